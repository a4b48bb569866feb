# SPDX-License-Identifier: Apache-2.0
"""$LogFile played back: a real volume's earlier state and its later log must give its later state, name by name.

The volume is plaso's ``vsstest.qcow2`` with two shadow copies, each the same volume at an earlier moment; the log of the
later moment, laid over the earlier one and marked as in use, is what a disk pulled out of a running Windows looks like.
"""

from __future__ import annotations

import functools
import random
import struct
import tracemalloc

import pytest
from disk_images import SHARED, source
from ntfs_images import ntfs_image

from headwater.examine import replayed
from headwater.examine.opening import View
from headwater.formats import ntfs, ntfs_log_index, ntfs_log_view, ntfs_redo, ntfs_replay
from headwater.formats.filesystems import open_filesystem
from headwater.formats.media import open_medium
from headwater.formats.ntfs_log import Log, LogRecord
from headwater.formats.ntfs_log_index import Records, records_of
from headwater.formats.ntfs_replay import Played, Start, Unit, on_volume, play_log
from headwater.formats.ntfs_tree import NtfsTree
from headwater.formats.opened import open_readonly
from headwater.formats.overlay import Patched
from headwater.formats.sources import MemorySource
from headwater.formats.volumes import volumes
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource

IMAGE = SHARED / "plaso/test_data/vsstest.qcow2"
FIRST = 2133188  # the first record after the first copy was made


@functools.cache
def states() -> dict[str, ByteSource]:
    if not IMAGE.exists():
        pytest.skip("plaso's test data are not here")
    medium = open_medium([open_readonly(IMAGE)])
    return {"now": medium, **{v.name: v.source for v in volumes(medium).volumes if v.type == "vss"}}


def tree_of(source: ByteSource, play: bool = True) -> NtfsTree:
    tree = open_filesystem(source, play)
    assert isinstance(tree, NtfsTree)
    return tree


@functools.cache
def log_of(name: str) -> tuple[Log, Records, bytes]:
    file = tree_of(states()[name]).system(2)
    log = Log(file.pread, file.size)
    return log, records_of(log), file.pread(0, file.size)


def checkpoint(before: str, after: str) -> int:
    """The last checkpoint before the earlier state that the later log still holds."""
    file = tree_of(states()[before]).system(2)
    current = max(r.current for r in Log(file.pread, file.size).restarts)
    return max(lsn for lsn, r in log_of(after)[1].items() if r.kind == 2 and lsn <= current)


def in_use(raw: bytes, restart: int) -> bytes:
    """A log whose restart pages say that the volume is mounted, with the checkpoint that they name."""
    log = bytearray(raw)
    for at in (0, 4096):
        page = bytearray(ntfs.fixed_up(bytes(log[at : at + 4096])))
        area = struct.unpack_from("<H", page, 24)[0]
        client = area + struct.unpack_from("<H", page, area + 22)[0]
        struct.pack_into("<HH", page, area + 12, 0, 0)
        struct.pack_into("<QQ", page, client, restart, restart)
        log[at : at + 4096] = on_volume(Unit(((0, 4096),), page, True))
    return bytes(log)


def pulled(before: str, after: str, raw: bytes = b"") -> ByteSource:
    ((place, _),) = tree_of(states()[before]).extents("2")
    return Patched(states()[before], {place: in_use(raw or log_of(after)[2], checkpoint(before, after))})


def listed(tree: NtfsTree) -> dict[str, tuple[object, ...]]:
    """All that is there, without times of access, which Windows does not log."""
    return {e.path: (*e[1:9], e.changed, e.created) for e in tree.entries() if e.allocated}


@pytest.mark.parametrize(("before", "after"), [("vss1", "vss2"), ("vss1", "now")])
def test_real_volume_and_its_later_log_give_its_later_state(before: str, after: str) -> None:
    tree = tree_of(pulled(before, after))
    assert tree.view == "replayed"
    assert tree.warnings == ()
    assert "played back in memory" in tree.notes[0]
    live = tree_of(states()[after])
    assert listed(tree) == listed(live)
    assert listed(tree_of(pulled(before, after), play=False)) != listed(live)
    mine, theirs = tree.system(6), live.system(6)
    assert mine.pread(0, mine.size) == theirs.pread(0, theirs.size)  # which clusters are in use


def test_records_and_buffers_are_those_that_windows_wrote() -> None:
    log, records, _ = log_of("vss2")
    boot = tree_of(states()["vss1"]).boot
    played = play_log(states()["vss1"], log, records, Start(FIRST, FIRST, {}, {}), boot.cluster, boot.record)
    assert played.applied > 1000
    assert (played.left_out, played.faults) == ({}, [])
    for unit in played.units.values():
        real = b"".join(states()["vss2"].pread(at, n) for at, n in unit.parts)
        mine, theirs = content(unit.data), content(bytearray(ntfs.fixed_up(real) if unit.guarded else real))
        if mine != theirs:  # what a user writes into a file so small that it stands in its record is not logged
            differs = [n for n in range(len(mine)) if mine[n] != theirs[n]]
            assert mine[:4] == b"FILE"
            assert not any(mine[n] for n in differs)


def content(data: bytearray) -> bytes:
    """A unit without fixups, its number (a change of a name's copied times does not set it) and what is out of use."""
    if data[:4] not in (b"FILE", b"INDX"):
        return bytes(data)
    at, count = struct.unpack_from("<HH", data, 4)
    used = struct.unpack_from("<I", data, 24)[0] if data[:4] == b"FILE" else 24 + struct.unpack_from("<I", data, 28)[0]
    data = bytearray(data)
    data[8:16], data[at : at + 2 * count] = bytes(8), bytes(2 * count)
    return bytes(data[:used])


def test_log_over_a_volume_that_has_it_all_changes_nothing() -> None:
    tree = tree_of(pulled("now", "now"))
    assert listed(tree) == listed(tree_of(states()["now"]))


def cut(last: int) -> Played:
    log, records, _ = log_of("now")
    boot = tree_of(states()["vss1"]).boot
    kept = {lsn: r for lsn, r in records.items() if FIRST <= lsn <= last}
    return play_log(states()["vss1"], log, kept, Start(FIRST, FIRST, {}, {}), boot.cluster, boot.record)


def test_transaction_that_the_crash_cut_in_two_is_undone() -> None:
    records = [r for lsn, r in sorted(log_of("now")[1].items()) if FIRST <= lsn <= 2155442 and r.kind == 1]
    within: dict[int, tuple[int, LogRecord]] = {}
    under_way: set[int] = set()
    whole = 0
    for record in records:
        if record.redo_op in (26, 27):
            under_way.discard(record.transaction)
        else:
            under_way.add(record.transaction)
        if not under_way:
            whole = record.lsn
        elif whole:
            within[record.lsn] = (whole, record)
    kinds = {(r.redo_op, r.undo_op): lsn for lsn, (_, r) in sorted(within.items(), reverse=True)}
    # Windows does not undo a file record that it makes, and the copied times of a name only as it last knew them
    kinds = {k: lsn for k, lsn in kinds.items() if k[0] not in (2, 20)}
    assert len(kinds) >= 9
    for lsn in [*kinds.values(), *random.Random(1).sample(sorted(within), 12)]:
        if within[lsn][1].redo_op in (2, 20):
            continue
        half, before = cut(lsn), cut(within[lsn][0])
        assert half.left_out == {}
        for place, unit in before.units.items():
            assert content(half.units[place].data) == content(unit.data), (lsn, place)


def test_difference_of_the_two_views_names_the_file_that_only_the_log_has() -> None:
    volume = pulled("vss1", "now")
    view = View("", tree_of(volume), 0, volume.size, True, volume=volume)
    frame = replayed.frame_of(view)
    assert frame is not None
    new = set(frame.filter(frame["difference"] == "only-replayed")["file_path"])
    assert "/another_file" in new


def test_torn_page_ends_what_is_played_back_and_is_told() -> None:
    _, records, raw = log_of("now")
    middle = sorted(lsn for lsn in records if FIRST <= lsn <= 2155442)[700]
    at = records[middle].at // 4096 * 4096
    torn = bytearray(raw)
    torn[at + 510] ^= 1
    tree = tree_of(pulled("vss1", "now", bytes(torn)))
    assert tree.view == "replayed"
    assert [gap.reason for gap in tree.warnings] == [GapReason.UNREADABLE]
    assert "break off" in tree.warnings[0].detail


def test_log_without_its_checkpoint_leaves_the_tree_as_recorded_and_says_why() -> None:
    _, records, raw = log_of("now")
    at = records[checkpoint("vss1", "now")].at // 4096 * 4096
    tree = tree_of(pulled("vss1", "now", raw[:at] + bytes(4096) + raw[at + 4096 :]))
    assert tree.view == "recorded"
    assert [gap.reason for gap in tree.warnings] == [GapReason.NOT_REPLAYED]
    assert "checkpoint" in tree.warnings[0].detail


def test_hostile_log_never_breaks_the_reading() -> None:
    log, records, _ = log_of("now")
    boot = tree_of(states()["vss1"]).boot
    rng = random.Random(7)
    refused = 0
    for _ in range(6):
        wild = {}
        for lsn, record in records.items():
            if record.kind == 1 and rng.random() < 0.2:
                name = rng.choice(
                    ("offset", "attribute_offset", "block", "redo_op", "undo_op", "lcns", "redo", "undo_next")
                )
                value: object = rng.randrange(1 << 16)
                if name in ("redo_op", "undo_op"):
                    value = rng.randrange(64)
                elif name == "lcns":
                    value = (rng.randrange(1 << 62), *record.lcns)
                elif name == "redo":
                    value = rng.randbytes(rng.randrange(200))
                elif name == "undo_next":
                    value = rng.choice(sorted(records))
                record = record._replace(**{name: value})
            if rng.random() < 0.02:
                record = record._replace(redo_op=0 if record.redo_op in (26, 27) else record.redo_op)
            wild[lsn] = record
        played = play_log(states()["vss1"], log, wild, Start(FIRST, FIRST, {}, {}), boot.cluster, boot.record)
        refused += sum(played.left_out.values())
    assert refused > 100


# SOURCE: an image of mkfs.ntfs and ntfs-3g made by the test (tests/formats/ntfs_images.py)
def test_log_that_leaves_no_readable_volume_leaves_the_one_that_was_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = [name for name in states() if name != "now"][:2]
    volume = pulled(first, second)
    whole = listed(tree_of(volume, play=False))
    nothing = {0: bytes(512), volume.size // 512 * 512 - 512: bytes(512)}
    monkeypatch.setattr(ntfs_log_view, "patches_of", lambda played: nothing)
    tree = tree_of(volume)
    assert (tree.view, listed(tree)) == ("recorded", whole)
    assert any(g.reason is GapReason.NOT_REPLAYED and "no volume that can be read" in g.detail for g in tree.warnings)


def test_records_that_many_unfinished_transactions_name_are_undone_once() -> None:
    records = {
        lsn: LogRecord(0, 56, lsn, 0, lsn - 1, 1, 1, 8, 8, b"new!", b"old!", 0, 0, 0, 0, 0, False, (1,))
        for lsn in range(1, 200)
    }
    player = ntfs_replay._Player(MemorySource(bytes(1 << 16)), 4096, 1024)
    for _ in range(50):
        player.undo(records, 199)
    assert player.played.undone == 199
    assert player.played.faults == ["two transactions that were not finished share their records"]


def hostile_log(pages: int, length: int) -> bytes:
    """A log full of checkpoint records of so many bytes, as many as a page takes. SOURCE: written here."""
    size = (4 + pages) * 4096
    bits = (size - 1).bit_length() - 3
    made = bytearray(4 * 4096)
    for at in range(4 * 4096, size, 4096):
        page = bytearray(4096)
        struct.pack_into("<4sHH", page, 0, b"RCRD", 40, 9)
        for place in range(64, 4096 - 48, max(48 + length, 56) if length < 4096 else 4096):
            lsn = 1 << bits | (at + place) >> 3
            struct.pack_into("<QQQIHHII", page, place, lsn, 0, 0, length, 0, 0, 2, 0)
        made += on_volume(Unit(((0, 4096),), page, True))
    return bytes(made)


def test_a_log_of_nothing_but_small_records_is_held_by_their_numbers() -> None:
    raw = hostile_log(512, 8)
    log = Log(lambda at, n: raw[at : at + n], len(raw))
    tracemalloc.start()
    records = records_of(log)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(records) == 512 * 72
    assert held < 32 * len(records), "half a kilobyte each would be 600 MB of a log that can be made"
    for lsn in (next(iter(records)), list(records)[-1]):
        assert records[lsn].lsn == lsn
    assert records.get(5) is None


def test_log_of_more_records_than_are_held_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, raw = log_of("now")
    assert not records_of(Log(lambda at, n: raw[at : at + n], len(raw))).cut
    held = len(list(Log(lambda at, n: raw[at : at + n], len(raw)).records()))
    volume = pulled("vss1", "now")
    monkeypatch.setattr(ntfs_log_index, "RECORDS_MOST", held)
    assert GapReason.LIMIT not in {gap.reason for gap in tree_of(volume).warnings}
    monkeypatch.setattr(ntfs_log_index, "RECORDS_MOST", held - 1)
    assert GapReason.LIMIT in {gap.reason for gap in tree_of(volume).warnings}


def test_records_that_all_claim_the_rest_of_the_log_end_in_a_gap() -> None:
    raw = hostile_log(600, 1 << 20)
    log = Log(lambda at, n: raw[at : at + n], len(raw))
    found = sum(1 for _ in log.records())
    assert found < 16
    (gap,) = (g for g in log.gaps if g.reason is GapReason.LIMIT)
    assert gap.offset + gap.length == len(raw)


def test_units_of_the_volume_are_bounded_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ntfs_replay, "UNITS_HELD", 8 * 4096)
    player = ntfs_replay._Player(MemorySource(bytes(1 << 20)), 4096, 1024)
    for lcn in range(1, 100):
        player.redo(LogRecord(0, 56, lcn, 0, 0, 1, 1, 8, 8, b"new!", b"old!", 0, 0, 0, 0, 0, False, (lcn,)))
    assert len(player.played.units) == 8
    assert sum(player.played.left_out.values()) == 91


def test_operations_and_their_undoing_leave_a_record_as_it_was() -> None:
    tree = tree_of(source(ntfs_image()))
    raw = bytearray(tree.mft.record(5))
    end = struct.unpack_from("<I", raw, 24)[0]
    attributes = {}
    at = struct.unpack_from("<H", raw, 20)[0]
    while struct.unpack_from("<I", raw, at)[0] != 0xFFFFFFFF:
        attributes[struct.unpack_from("<I", raw, at)[0]] = at
        at += struct.unpack_from("<I", raw, at + 4)[0]
    made = struct.pack("<IIBBHHH", 0x100, 32, 0, 0, 24, 0, 900) + struct.pack("<IHBB", 8, 24, 0, 0) + b"attested"
    blank = LogRecord(0, 0, 1, 0, 0, 1, 24, 0, 0, b"", b"", 0, 0, 0, 0, 0, False, ())
    standard = attributes[0x10]
    old = bytes(raw[standard + 24 : standard + 32])
    cases = [
        (blank._replace(offset=at), (5, made), (6, b"")),
        (blank._replace(offset=standard, attribute_offset=24, redo=b"\1" * 8, undo=old), (7, b"\1" * 8), (7, old)),
    ]
    for record, (redo, new), (undo, before) in cases:
        data = bytearray(raw)
        ntfs_redo.apply(data, record, redo, new)
        assert data[:end] != raw[:end]
        ntfs_redo.apply(data, record, undo, before)
        assert data[42:end] == raw[42:end]
    data = bytearray(raw)
    with pytest.raises(ntfs_redo.Refused):
        ntfs_redo.apply(data, blank._replace(offset=at), 5, made[:20])
    assert data == raw
