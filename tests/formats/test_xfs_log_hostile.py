# SPDX-License-Identifier: Apache-2.0
"""A log of XFS written to keep its reader busy: operations without content, regions in a million parts, one on the other.

The records are made here, of operations alone; checksums and headers are tried in test_xfs_log.py.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from headwater.formats import xfs_history, xfs_log, xfs_log_items
from headwater.formats.sources import MemorySource
from headwater.formats.xfs_history import LogHistory, OldName, read_log
from headwater.formats.xfs_log import Log, NotLog, Record, Transaction, records, transactions
from headwater.formats.xfs_log_items import _fork, _Player

START, COMMIT, CONTINUED = 1, 2, 8
HEAD = struct.pack("<IIII", 0x5452414E, 1, 1, 1)


def operation(flags: int, data: bytes = b"", name: int = 7) -> bytes:
    return struct.pack(">IIBBH", name, len(data), 0x69, flags, 0) + data


def played(monkeypatch: pytest.MonkeyPatch, operations: Iterable[bytes]) -> list[Transaction]:
    """The transactions of one record of these operations."""
    found = list(operations)
    data = b"".join(found)
    data += bytes(-len(data) % 512)
    monkeypatch.setattr(xfs_log, "_unpacked", lambda log, record: data)
    log: Any = SimpleNamespace(place=lambda block: block * 512)
    return list(transactions(log, [Record(10, 1, 1, 2, len(data) // 512, len(found))]))


def test_operations_without_content_do_not_cost_the_length_of_their_record(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = operation(0)
    found = played(monkeypatch, [operation(START), operation(0, HEAD), *[empty] * 60_000, operation(COMMIT)])
    assert [len(t.items) for t in found] == [60_000]


def test_region_that_comes_in_hundreds_of_thousands_of_parts_is_put_together_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = operation(CONTINUED, b"abc")
    first = operation(0, struct.pack("<HH", 0x123C, 9) + b"abc")
    rest = [operation(0, b"next"), operation(COMMIT)]
    (found,) = played(monkeypatch, [operation(START), operation(0, HEAD), first, *[part] * 150_000, *rest])
    ((region, behind),) = found.items
    assert region.data[4:] == b"abc" * 150_001
    assert (region.place, behind.data) == (-1, b"next")
    assert found.whole
    assert not played(monkeypatch, [operation(START), operation(0, HEAD), *[part] * 3, operation(COMMIT)])[0].whole


def test_what_is_begun_and_never_committed_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xfs_log, "_MOST_OPEN", 100)
    for many in (
        [operation(START, name=n) for n in range(200)],
        [operation(START), operation(0, HEAD), *[operation(0)] * 200],
    ):
        with pytest.raises(NotLog, match="open at once"):
            played(monkeypatch, many)
    one = [operation(START), operation(0, HEAD), *[operation(0)] * 60, operation(COMMIT)]
    assert len(played(monkeypatch, one * 5)) == 5  # what was committed is not open
    assert len(played(monkeypatch, one[:-1] * 5 + one[-1:])) == 1  # nor what was begun anew


def test_region_is_cited_where_it_stands_and_not_where_a_word_of_it_was_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chance = random.Random(5)
    sizes = [chance.choice((1, 4, 24, 128, 500, 700)) for _ in range(400)]
    parts = [operation(0, bytes([n % 251]) * size) for n, size in enumerate(sizes)]
    (found,) = played(monkeypatch, [operation(START), operation(0, HEAD), *parts, operation(COMMIT)])
    at, cited = 12 + 12 + len(HEAD), 0
    for size, region in zip(sizes, [r for item in found.items for r in item], strict=True):
        at += 12
        words = {b for s in range(0, at + size, 512) for b in range(s, s + 4)}
        own = set(range(at, at + size))
        whole = at // 512 == (at + size - 1) // 512 and not own & words
        assert region.place == (12 * 512 + at if whole else -1)
        cited += whole
        at += size
    assert 100 < cited < 400


def player(size: int = 1 << 21, version: int = 5) -> tuple[_Player, list[int]]:
    read: list[int] = []
    source = MemorySource(bytes(size))

    class Counted:
        size = source.size
        bad = ()

        def pread(self, offset: int, length: int) -> bytes:
            read.append(length)
            return source.pread(offset, length)

        def close(self) -> None:
            return None

    head: Any = SimpleNamespace(block_size=4096, blocks=size // 4096, version=version)
    return _Player(Counted(), head, [bytes(16)]), read


def test_large_buffer_that_changes_nothing_is_not_read_whole() -> None:
    one, read = player()
    item = [xfs_log.Region(struct.pack("<HHHHqII", 0x123C, 1, 0, 2048, 0, 1, 0), -1)]
    for _ in range(100):
        one._buffer(item, 1)
    assert sum(read) <= 100 * 4096


def test_cancelled_buffers_are_found_as_by_looking_at_each_and_never_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chance = random.Random(8)
    one, _ = player()
    for _ in range(300):
        one.cancelled[chance.randrange(2000), chance.choice((1, 8, 16, 128))] += chance.randrange(2)
    for sector in range(2200):
        naive = any(at <= sector < at + n for (at, n), left in one.cancelled.items() if left > 0)
        assert one._cancels(sector) is naive
    monkeypatch.setattr(xfs_log_items, "_LOOKS_MOST", 1000)
    one, _ = player()
    for n in range(1, 900):
        one.cancelled[0, 1000 + n] = 0
    assert not one._cancels(900)
    with pytest.raises(NotLog):
        one._cancels(900)


@pytest.mark.parametrize("end", [256, 2216])
def test_fork_of_an_inode_stays_within_its_inode(end: int) -> None:
    made = bytearray(512)
    _fork(made, 176, end, b"x" * 4000, root=False, version=5)
    assert len(made) == 512
    assert bytes(made[:176]) == bytes(176)
    assert made[176 : min(end, 512)] == b"x" * (min(end, 512) - 176)


def ring(sectors: int) -> MemorySource:
    """A log of version 4 in which each sector begins a record over the next 64: its cycle is the magic of a record."""
    raw = bytearray(sectors * 512)
    for block in range(sectors):
        struct.pack_into(">IIIIQQ", raw, block * 512, 0xFEEDBABE, 0xFEEDBABE, 1, 64 * 512, 0xFEEDBABE << 32 | block, 0)
        struct.pack_into(">I", raw, block * 512 + 300, 1)
    return MemorySource(bytes(raw))


def test_records_that_lie_over_one_another_are_read_up_to_a_bound_that_is_told() -> None:
    sectors = 2048
    head: Any = SimpleNamespace(
        log_start=1, place=lambda block: 0, log_blocks=sectors // 8, block_size=4096, version=4, blocks=sectors // 8
    )
    found = read_log(ring(sectors), head)
    assert 0 < found.records * 64 <= 40 * sectors
    assert any("over one another" in fault for fault in found.faults)
    with pytest.raises(NotLog):
        records(Log(ring(sectors), head))


def test_one_name_of_very_many_and_many_names_of_one_inode_cost_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    history = LogHistory()
    for n in range(60_000):
        history.name(OldName(9 | n % 3 << 32, 4, b"%d" % (n % 30_000), 1, n))
    assert len(history.names[9]) == 30_000
    assert [n.lsn for n in history.names[9][:3]] == [0, 1, 2]
    monkeypatch.setattr(xfs_history, "NAMES_MOST", 30_001)
    for n in range(5):
        history.name(OldName(10 + n, 4, b"x", 1, n))
    assert len(history.names) == 2
