# SPDX-License-Identifier: Apache-2.0
"""Opens an XFS volume that was not cleanly unmounted: with its log played back in memory, or as it was recorded.

The kernel would play the log back by writing; here the blocks that it changes lie over the volume's own when they are
read. Both views are true of the disk: *recorded* is what stands in the blocks, *replayed* what the next mount would see.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from headwater.formats.sources import LaidOver
from headwater.formats.xfs_finish import INTENTS, NEEDLESS, Finished, finish
from headwater.formats.xfs_layout import XfsSuper
from headwater.formats.xfs_log import Log, NotLog, Record, is_clean, records, transactions
from headwater.formats.xfs_log_items import Played, play
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

_NEEDLESS = frozenset(INTENTS[kind] for kind in NEEDLESS)
_SIZE_AT = 56  # in an inode
_RECORD = 176  # an inode's core, as it is logged


class Patched(LaidOver):
    """A volume with some blocks replaced by what playing the log back made of them; ``inodes``: where each one that was
    replaced stands in the log as it is, −1 where it does not in one piece."""

    def __init__(self, source: ByteSource, block_size: int, played: Played) -> None:
        super().__init__(source)
        self._size = block_size
        self._numbers = sorted(played.blocks)
        self._blocks: Mapping[int, bytearray] = played.blocks
        self.inodes: Mapping[int, int] = played.inodes
        self.record_length = _RECORD

    def pread(self, offset: int, length: int) -> bytes:
        data = self._source.pread(offset, length)
        touched = self._touched(offset, len(data))
        if not touched:
            return data
        result = bytearray(data)
        for number in touched:
            start = number * self._size
            low, high = max(offset, start), min(offset + len(data), start + self._size)
            result[low - offset : high - offset] = self._blocks[number][low - start : high - start]
        return bytes(result)

    def _touched(self, offset: int, length: int) -> list[int]:
        first = bisect.bisect_left(self._numbers, offset // self._size)
        last = bisect.bisect_right(self._numbers, (offset + length - 1) // self._size) if length else first
        return self._numbers[first:last]

    def untouched(self, offset: int, length: int) -> bool:
        """Whether the volume itself holds these bytes as they are read here."""
        return not self._touched(offset, length)


class View(NamedTuple):
    """``source``: what to read the tree from; ``view``: ``clean``, ``replayed`` or ``recorded``; ``finished``: what the log
    began and did not end, as the next mount would end it."""

    source: ByteSource
    view: str
    gaps: tuple[Gap, ...]
    notes: tuple[str, ...]
    finished: Finished = Finished()


def view_of(source: ByteSource, head: XfsSuper, play_back: bool) -> View:
    """The view of a volume that its log asks for; ``play_back`` False keeps to what is recorded."""
    try:
        log = Log(source, head)
        chain, faults = records(log)
    except NotLog as error:
        return _without(source, head, str(error))
    if is_clean(log, chain[-1]):
        return View(source, "clean", _behind(log, faults), ())
    if not play_back:
        return _stale(source, log, "the log was left aside as asked")
    try:
        played = play(source, head, _uuids(source), lambda: transactions(log, chain))
    except NotLog as error:
        return _stale(source, log, f"its log cannot be played back: {error}")
    played.faults.extend(faults)
    return _replayed(source, head, log, chain, played)


def _behind(log: Log, faults: Sequence[str]) -> tuple[Gap, ...]:
    """What stands in the log behind the record of an unmount and could not be read: it may have been written since."""
    if not faults:
        return ()
    text = f"behind the record of its last unmount the log holds more: {'; '.join(faults)}; the tree may be older than the last writes"
    return (Gap(log.start, log.size, GapReason.NOT_REPLAYED, text),)


def _uuids(source: ByteSource) -> list[bytes]:
    """The identities that blocks of this volume may carry, the one for new blocks first."""
    raw = source.pread(0, 264)
    own, meta = raw[32:48], raw[248:264]
    return [meta, own] if any(meta) else [own]


def _without(source: ByteSource, head: XfsSuper, why: str) -> View:
    if not head.log_start:
        text = "the log lies on another device; whether it was clean is not known"
        return View(source, "recorded", (Gap(0, 0, GapReason.NOT_REPLAYED, text),), ())
    at, size = head.place(head.log_start), head.log_blocks * head.block_size
    if not source.pread(at, min(size, 1 << 20)).strip(b"\0"):
        return View(source, "clean", (), ())
    text = f"the log cannot be played back: {why}; if it was dirty the tree is older than the last writes"
    return View(source, "recorded", (Gap(at, size, GapReason.NOT_REPLAYED, text),), ())


def _stale(source: ByteSource, log: Log, why: str) -> View:
    text = f"the volume was not cleanly unmounted and {why}: the tree is older than the last writes"
    return View(source, "recorded", (Gap(log.start, log.size, GapReason.NOT_REPLAYED, text),), ())


def _replayed(source: ByteSource, head: XfsSuper, log: Log, chain: list[Record], played: Played) -> View:
    gaps = [Gap(log.start, log.size, GapReason.UNREADABLE, f"log: {fault}") for fault in played.faults]
    over = Patched(source, head.block_size, played)
    finished = finish(over, head, played.intents)
    if finished.sizes:
        over = Patched(source, head.block_size, _resized(over, head, played, finished.sizes))
    if finished.left:
        what = ", ".join(f"{n} of {kind}" for kind, n in sorted(finished.left.items()))
        text = f"the log holds changes that were begun and not finished and could not be finished here: {what}"
        gaps.append(Gap(log.start, log.size, GapReason.NOT_REPLAYED, text))
    note = (
        f"the volume was not cleanly unmounted: {played.transactions} transactions of its log "
        f"(records {_lsn(chain[0].lsn)} to {_lsn(chain[-1].lsn)}) were played back in memory, "
        f"replacing {len(played.blocks)} blocks and {len(played.inodes)} inodes; "
        f"{_begun(finished, head.block_size)}"
        "the tree is the view after that, and the evidence itself is unchanged"
    )
    return View(over, "replayed", tuple(gaps), (note,), finished)


def _resized(over: ByteSource, head: XfsSuper, played: Played, sizes: Mapping[int, int]) -> Played:
    """What was played back, with other sizes in inodes."""
    block = head.block_size
    for number, size in sizes.items():
        place = head.inode_place(number) + _SIZE_AT
        held = played.blocks.setdefault(place // block, bytearray(over.pread(place // block * block, block)))
        held[place % block : place % block + 8] = size.to_bytes(8, "big")
    return played


def _begun(finished: Finished, block_size: int) -> str:
    """The changes that the log begins and does not end, and what was made of them."""
    freed = sum(size for _, size in finished.freed) // block_size
    parts = []
    needed = [f"{n} of {kind}" for kind, n in sorted(finished.done.items()) if kind not in _NEEDLESS]
    if needed:
        parts.append(f"begun, not ended and finished in memory as the next mount would: {', '.join(needed)}")
    if freed or finished.maps:
        parts.append(f"{freed} blocks are free by that and {len(finished.maps)} files mapped otherwise")
    if finished.aside:
        parts.append(f"{finished.aside} of these blocks were set aside for a copy on write that no file got")
    other = [f"{n} of {kind}" for kind, n in sorted(finished.done.items()) if kind in _NEEDLESS]
    if other:
        parts.append(f"begun and not ended, but read by nothing here: {', '.join(other)}")
    return "; ".join(parts or ["no change was begun and not finished"]) + "; "


def _lsn(value: int) -> str:
    return f"{value >> 32}:{value & 0xFFFFFFFF}"
