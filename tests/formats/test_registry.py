# SPDX-License-Identifier: Apache-2.0
"""A hive that lies about lengths, loops or is cut gives what it holds and a statement of what it does not; never a crash."""

from __future__ import annotations

import itertools
import random
import struct
from pathlib import Path

import pytest
from hive_samples import ALL, with_remains
from hive_writing import NOWHERE, T0, Node, Writer, changed, dirty, new_log, old_log, tree, write

from headwater.formats.registry_deleted import Deleted
from headwater.formats.registry_hive import Hive, open_hive, text_of
from headwater.formats.registry_layout import base_block, checksum
from headwater.formats.registry_log import marvin32, read_log, replay
from headwater.model.kinds import GapReason

SHARED = Path(__file__).parents[3] / "shared" / "data" / "plaso" / "test_data"


def opened(data: bytes) -> Hive:
    hive = open_hive(data)
    assert hive is not None
    return hive


def said(hive: Hive) -> dict[str, dict[str, str]]:
    """Every key with its values as text."""
    found: dict[str, dict[str, str]] = {path: {} for path in hive.paths}
    for row, key in enumerate(hive.tree.value_key.tolist()):
        found[hive.paths[key]][hive.value_names[row]] = hive.value_data(row).hex()
    return found


@pytest.mark.parametrize(
    ("leaf", "minor", "split"), [("li", 3, 500), ("lf", 3, 500), ("lh", 5, 500), ("lh", 5, 7), ("li", 3, 3)]
)
def test_every_form_of_a_list_gives_the_same_keys(leaf: str, minor: int, split: int) -> None:
    root = tree({f"A\\k{n:03d}": {"v": n} for n in range(40)} | {"乙\\键": {"值": "字", "": "default"}})
    hive = opened(write(root, leaf=leaf, minor=minor, split=split))
    assert len(hive.paths) == 44
    assert hive.tree.lost == 0
    key = hive.key("a\\K017")
    assert key is not None
    assert key.number("V") == 17
    assert key.written == (T0 - 116_444_736_000_000_000) * 100
    named = hive.key("乙\\键")
    assert named is not None
    assert named.text("值") == "字"
    assert named.text("") == "default"


def test_data_of_every_size_comes_back_whole() -> None:
    sizes = (0, 1, 4, 5, 16_344, 16_345, 40_000)
    root = tree({"K": {f"v{n}": bytes(random.Random(n).randbytes(n)) for n in sizes}})
    for minor in (3, 5):
        hive = opened(write(root, minor=minor))
        key = hive.key("K")
        assert key is not None
        for size in sizes:
            value = key.value(f"v{size}")
            assert value is not None
            assert hive.value_data(value.row, 1 << 20) == random.Random(size).randbytes(size)


def test_every_cell_in_use_has_a_purpose() -> None:
    for make in ALL.values():
        hive = opened(make())
        assert ((hive.tree.role != 0) == hive.cells.used).all()
        assert hive.tree.lost == 0
        assert not hive.tree.gaps
        assert not hive.cells.gaps


def looped() -> tuple[bytes, int]:
    """A hive whose deepest key lists its grandparent as a subkey."""
    writer = Writer()
    root = writer.key("ROOT", tree({"A\\B\\C": {"v": 1}}), NOWHERE, 0x0C)
    data = bytearray(writer.hive(root))
    hive = opened(bytes(data))
    cells = hive.cells.starts[hive.tree.key_cell].tolist()
    last = cells[-1]
    listed = struct.unpack_from("<I", data, cells[1] + 4 + 28)[0]  # the list of A's subkeys
    struct.pack_into("<I", data, last + 4 + 20, 1)
    struct.pack_into("<I", data, last + 4 + 28, listed)
    return bytes(data), len(cells)


def test_a_loop_of_keys_ends_and_is_told() -> None:
    data, keys = looped()
    hive = opened(data)
    assert len(hive.paths) == keys
    assert [g.detail for g in hive.tree.gaps] == ["a key whose list of subkeys is not there"]


def test_one_list_for_many_keys_is_read_once() -> None:
    root = tree({f"K{n}": {"v": n} for n in range(50)} | {f"Big\\{n:04d}": {} for n in range(2000)})
    data = bytearray(write(root, split=5000))
    hive = opened(bytes(data))
    cells = hive.cells.starts[hive.tree.key_cell].tolist()
    big = hive.paths.index("Big")
    listed = struct.unpack_from("<I", data, cells[big] + 32)[0]
    for row, path in enumerate(hive.paths):
        if path.startswith("K") and "\\" not in path:
            struct.pack_into("<I", data, cells[row] + 24, 0xFFFF_FFFF)
            struct.pack_into("<I", data, cells[row] + 32, listed)
    again = opened(bytes(data))
    assert len(again.paths) <= len(hive.paths)
    assert len(again.tree.gaps) == 50


def test_a_deep_hive_is_walked_without_recursion() -> None:
    writer = Writer()
    offset = NOWHERE
    cells = []
    for depth in range(1500):
        cells.append(writer.key(f"k{depth % 10}", Node(), offset))
        offset = cells[-1]
    for above, below in itertools.pairwise(cells):
        listed = writer.leaves([("k", below)])
        struct.pack_into("<I", writer.bins, above + 4 + 20, 1)
        struct.pack_into("<I", writer.bins, above + 4 + 28, listed)
    hive = opened(writer.hive(cells[0]))
    assert len(hive.paths) == 1024
    assert hive.tree.lost >= 1


def test_a_cut_hive_says_how_much_is_missing() -> None:
    data = ALL["SYSTEM"]()
    hive = opened(data[:-4096])
    assert [g.reason for g in hive.cells.gaps] == [GapReason.TRUNCATED]
    assert hive.tree.lost + len(hive.tree.gaps) > 0


def test_a_wiped_bin_is_a_gap_and_the_rest_is_read() -> None:
    data = bytearray(write(tree({f"K{n}": {"v": bytes(300)} for n in range(60)})))
    data[8192:12288] = bytes(4096)
    hive = opened(bytes(data))
    assert [(g.offset, g.length) for g in hive.cells.gaps] == [(8192, 4096)]
    assert 0 < len(hive.paths) < 61


def test_a_value_whose_data_is_gone_is_not_empty() -> None:
    data = bytearray(write(tree({"K": {"v": bytes(range(100))}})))
    hive = opened(bytes(data))
    cell = int(hive.cells.starts[hive.tree.value_cell[0]])
    struct.pack_into("<I", data, cell + 12, 0x7FFF_FFF8)
    again = opened(bytes(data))
    assert int(again.tree.data_cell[0]) == -1
    assert int(again.sizes[0]) == 100


def test_a_deleted_key_comes_with_its_values_as_claims() -> None:
    hive = opened(with_remains())
    deleted = Deleted(hive)
    (key,) = deleted.keys
    assert (key.name, key.parent, key.parent_state, key.where) == ("Removed", "", "in-use", "freed")
    assert [(v.name, v.owner, v.data_state) for v in deleted.values] == [
        ("Command", "Removed", "as-left"),
        ("Flag", "Removed", "as-left"),
    ]
    assert text_of(deleted.values[0].data) == "C:\\Users\\Public\\gone.exe"


def test_data_given_to_another_cell_is_not_claimed_for_the_deleted_value() -> None:
    data = bytearray(with_remains())
    hive = opened(bytes(data))
    value = Deleted(hive).values[0]
    live = int(hive.cells.starts[hive.tree.key_cell[2]])
    struct.pack_into("<I", data, value.offset + 12, live - 4096)
    (again, _) = Deleted(opened(bytes(data))).values
    assert (again.data, again.data_state) == (b"", "reused")


def test_marvin32_is_the_published_hash() -> None:
    # test vectors of the .NET runtime's MarvinTests (MIT), seed 0x4FB61A001BDBCC
    seed = 0x004F_B61A_001B_DBCC
    assert marvin32(b"", seed) == 0x30ED_35C1_00CD_3C7D
    assert marvin32(bytes.fromhex("AF"), seed) == 0x48E7_3FC7_7D75_DDC1
    assert marvin32(bytes.fromhex("E70F"), seed) == 0xB5F6_E1FC_485D_BFF8


OLD, NEW = ALL["SYSTEM"](False), ALL["SYSTEM"](True)  # type: ignore[operator]


def both(hive: bytes, *logs: bytes | None) -> bytes | None:
    found = replay(hive, [read_log(log) if log else None for log in logs], [log or b"" for log in logs])
    return found.data if found is not None else None


def test_a_new_log_makes_a_dirty_hive_whole() -> None:
    log = new_log(7, [(len(NEW) - 4096, changed(OLD, NEW))])
    after = both(dirty(OLD, 7), None, log, None)
    assert after is not None
    assert said(opened(after)) == said(opened(NEW))


def test_a_log_of_a_whole_hive_is_not_applied() -> None:
    assert both(OLD, None, new_log(7, [(len(NEW) - 4096, changed(OLD, NEW))]), None) is None


def test_two_logs_are_applied_in_the_order_of_their_numbers() -> None:
    pages = changed(OLD, NEW)
    size = len(NEW) - 4096
    first, second = new_log(7, [(size, pages[:1])]), new_log(8, [(size, pages[1:])])
    for logs in ((None, first, second), (None, second, first)):
        after = both(dirty(OLD, 7), *logs)
        assert after is not None
        assert after[4096:] == NEW[4096:]


def test_entries_after_a_hole_are_not_applied() -> None:
    pages = changed(OLD, NEW)
    size = len(NEW) - 4096
    first, third = new_log(7, [(size, pages[:1])]), new_log(9, [(size, pages[1:])])
    after = both(dirty(OLD, 7), None, first, third)
    assert after is not None
    assert after[4096:] != NEW[4096:]
    at = pages[0][0] + 4096
    assert after[at : at + 4096] == pages[0][1]


def test_an_entry_with_a_wrong_sum_stops_the_replay() -> None:
    pages = changed(OLD, NEW)
    size = len(NEW) - 4096
    log = bytearray(new_log(7, [(size, pages[:1]), (size, pages[1:])]))
    log[-1] ^= 1
    read = read_log(bytes(log))
    assert read is not None
    assert [e.sound for e in (*read.entries, *read.older)] == [True, False]
    after = both(dirty(OLD, 7), None, bytes(log), None)
    assert after is not None
    assert after[4096:] != NEW[4096:]


def test_remains_of_earlier_writes_are_told_and_not_applied() -> None:
    pages = changed(OLD, NEW)
    size = len(NEW) - 4096
    log = new_log(7, [(size, pages)]) + new_log(3, [(size, [(0, bytes(4096))])])[512:]
    read = read_log(log)
    assert read is not None
    assert [e.sequence for e in read.entries] == [7]
    assert [e.sequence for e in read.older] == [3]
    after = both(dirty(OLD, 7), None, log, None)
    assert after is not None
    assert after[4096:] == NEW[4096:]


def test_an_old_log_makes_a_dirty_hive_whole() -> None:
    old, new = dirty(OLD, 1), NEW
    after = both(old, None, old_log(len(new) - 4096, changed(OLD, new)), None)
    assert after is not None
    assert said(opened(after)) == said(opened(NEW))


def test_an_old_log_of_another_time_is_not_applied() -> None:
    hive = bytearray(dirty(OLD, 1))
    struct.pack_into("<Q", hive, 12, T0 + 5)
    struct.pack_into("<I", hive, 508, checksum(bytes(hive)))
    assert both(bytes(hive), None, old_log(len(NEW) - 4096, changed(OLD, NEW)), None) is None


def test_a_hive_with_a_broken_base_block_is_mended_from_the_latest_log() -> None:
    hive = bytearray(OLD)
    hive[36:40] = b"\xff\xff\xff\xff"
    base = base_block(bytes(hive))
    assert base is not None
    assert not base.sound
    after = both(bytes(hive), None, new_log(7, [(len(NEW) - 4096, changed(OLD, NEW))]), None)
    assert after is not None
    assert said(opened(after)) == said(opened(NEW))


def test_spoilt_logs_and_hives_never_raise() -> None:
    chance = random.Random(11)
    log = new_log(7, [(len(NEW) - 4096, changed(OLD, NEW))])
    old = old_log(len(NEW) - 4096, changed(OLD, NEW))
    for source in (log, old):
        for _ in range(60):
            bent = bytearray(source[: chance.randrange(len(source) + 1)] if chance.random() < 0.3 else source)
            for _ in range(chance.randrange(1, 20)):
                if bent:
                    bent[chance.randrange(min(len(bent), 1200))] = chance.randrange(256)
            after = both(dirty(OLD, 7), None, bytes(bent), None)
            if after is not None:
                said(opened(after))


@pytest.mark.parametrize(
    ("name", "keys", "values"),
    [
        ("NTUSER.DAT", 1127, 5602),
        ("NTUSER-WIN7.DAT", 2288, 5470),
        ("winreg/Amcache.hve", 2105, 17539),
        ("regf/UsrClass.dat", 7505, 19987),
        ("regf/corrupt_sub_key_list.hiv", 100, 99),
    ],
)
def test_real_hives_hold_what_another_reader_counts(name: str, keys: int, values: int) -> None:
    """The counts are those of libregf (pyregf 20260526) over the same files."""
    if not (SHARED / name).exists():
        pytest.skip(f"no reference data: {name}")
    hive = opened((SHARED / name).read_bytes())
    assert (len(hive.paths), len(hive.value_names)) == (keys, values)
