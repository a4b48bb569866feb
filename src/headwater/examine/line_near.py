# SPDX-License-Identifier: Apache-2.0
"""The lines of a block with some of those before and behind them, for formats in which one event stands on several lines.

What is near depends on the bytes alone, never on where a block ends: so many lines that say something, within so many bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from headwater.examine.line_blocks import LineBlock, Lines
from headwater.examine.line_views import PADDING, Flags, Ints

LINES, REACH = 256, 4 << 20  # so many lines, and bytes of the file, on either side


@dataclass(frozen=True, slots=True)
class Near:
    """Lines over one block of bytes, of which those from ``low`` to ``high`` are its own; offset and length of each record."""

    lines: Lines
    offset: Ints
    length: Ints
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A block and which of its lines say something."""

    block: LineBlock
    rows: Ints

    def first(self, most: int, until: int) -> Kept:
        """No more than so many of its lines, those that begin before an offset."""
        rows = self.rows[:most]
        return Kept(self.block, rows[self.block.offset[rows] < until])

    def last(self, most: int, since: int) -> Kept:
        """As :meth:`first`, from the end, those that end behind an offset."""
        rows = self.rows[max(0, len(self.rows) - most) :]
        return Kept(self.block, rows[self.block.offset[rows] + self.block.length[rows] > since])


def kept(block: LineBlock, skip: Flags) -> Kept:
    """A block without the lines that say nothing."""
    return Kept(block, np.flatnonzero(~skip))


def _gathered(some: list[Kept], at: int) -> tuple[bytes, Ints, Ints]:
    """The lines' texts behind each other, with line feeds, and where each starts and ends if the first stands at ``at``."""
    pieces = [
        k.block.lines.data[low:high].tobytes()
        for k in some
        for low, high in zip(k.block.lines.start[k.rows].tolist(), k.block.lines.end[k.rows].tolist())
    ]
    sizes = np.fromiter((len(p) for p in pieces), dtype=np.int64, count=len(pieces))
    ends = at + np.cumsum(sizes + 1) - 1
    return b"".join(piece + b"\n" for piece in pieces), ends - sizes, ends


def near(before: list[Kept], own: Kept, behind: list[Kept]) -> Near:
    """A block's own lines among their neighbours."""
    lines = own.block.lines
    lead, start, end = _gathered(before, 0)
    lead = b"\n" + lead if lead else b""  # nothing stands in front of the first but a line feed
    start, end = start + bool(lead), end + bool(lead)
    shift = len(lead)
    trail, start_after, end_after = _gathered(behind, shift + len(lines.data))
    if lead or trail:
        pieces = (np.frombuffer(lead, np.uint8), lines.data, np.frombuffer(trail + bytes(PADDING), np.uint8))
        data = np.concatenate(pieces)
        start = np.concatenate([start, lines.start[own.rows] + shift, start_after])
        end = np.concatenate([end, lines.end[own.rows] + shift, end_after])
        lines = Lines(data, start, end)
    else:
        lines = lines.take(own.rows)
    low = sum(len(k.rows) for k in before)
    every = (*before, own, *behind)
    offset = np.concatenate([k.block.offset[k.rows] for k in every])
    length = np.concatenate([k.block.length[k.rows] for k in every])
    return Near(lines, offset, length, low, low + len(own.rows))


def with_neighbours(blocks: Iterable[Kept]) -> Iterator[tuple[Kept, Near]]:
    """Each block with the lines near it; held back until these have been read."""
    waiting: deque[Kept] = deque()
    past: deque[Kept] = deque()

    def ready() -> bool:
        after = list(waiting)[1:]
        if sum(len(k.rows) for k in after) >= LINES:
            return True
        return bool(after) and after[-1].block.end - waiting[0].block.end >= REACH

    def pop() -> tuple[Kept, Near]:
        own = waiting.popleft()
        found = near(_last(past, own.block.start), own, _first(waiting, own.block.end))
        past.append(own)
        while len(past) > 1 and sum(len(k.rows) for k in list(past)[1:]) >= LINES:
            past.popleft()
        while past and past[0].block.end <= own.block.end - REACH:
            past.popleft()
        return own, found

    for block in blocks:
        waiting.append(block)
        while len(waiting) > 1 and ready():
            yield pop()
    while waiting:
        yield pop()


def _first(blocks: Iterable[Kept], end: int) -> list[Kept]:
    found: list[Kept] = []
    most = LINES
    for block in blocks:
        if most <= 0 or block.block.start >= end + REACH:
            break
        found.append(block.first(most, end + REACH))
        most -= len(block.rows)
    return found


def _last(blocks: Iterable[Kept], start: int) -> list[Kept]:
    found: list[Kept] = []
    most = LINES
    for block in reversed(list(blocks)):
        if most <= 0 or block.block.end <= start - REACH:
            break
        found.insert(0, block.last(most, start - REACH))
        most -= len(block.rows)
    return found
