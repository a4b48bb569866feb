# SPDX-License-Identifier: Apache-2.0
"""The write-ahead log beside a SQLite database: which of its pages are newer than those of the database, and where they stand.

A log is a header and frames, each a page behind a header of its own. What counts are the frames from the beginning that bear the
log's salt and hold the running checksum, up to the last that ends a transaction; behind them can stand frames of before.
Format: https://www.sqlite.org/fileformat2.html, "WAL File Format".
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headwater.model.ports import ByteSource

_LITTLE, _BIG = 0x377F0682, 0x377F0683
_HEAD, _FRAME = 32, 24
_FRAMES_MOST = 1_000_000
Words = NDArray[np.uint64]


class NotWal(ValueError):
    """The bytes are no write-ahead log, or its header makes no sense."""


@dataclass(frozen=True, slots=True)
class Wal:
    """``pages``: where the newest committed form of a page begins in the log, by its number.

    ``frames`` of it count; ``open`` frames behind them belong to no finished transaction, ``before`` are of an earlier round.
    """

    page_size: int
    pages: dict[int, int]
    frames: int
    open: int
    before: int

    @property
    def end(self) -> int:
        """Where the frames that count end."""
        return _HEAD + self.frames * (_FRAME + self.page_size)


def read_wal(source: ByteSource) -> Wal:
    """Read the frames of a log.

    Raises:
        NotWal: its header is none.
    """
    head = source.pread(0, _HEAD)
    if len(head) < _HEAD:
        raise NotWal("no header of a write-ahead log")
    magic, _version, size, _round, *salt = struct.unpack_from(">6I", head)
    if magic not in (_LITTLE, _BIG) or not 512 <= size <= 65_536 or size & (size - 1):
        raise NotWal("no header of a write-ahead log")
    order = "<u4" if magic == _LITTLE else ">u4"
    state = _sum((0, 0), head[:24], order)
    if state != struct.unpack_from(">II", head, 24):
        raise NotWal("a write-ahead log whose header's checksum does not hold")
    pages: dict[int, int] = {}
    waiting: dict[int, int] = {}
    counted = seen = before = 0
    total = min((source.size - _HEAD) // (_FRAME + size), _FRAMES_MOST)
    for index in range(total):
        at = _HEAD + index * (_FRAME + size)
        frame = source.pread(at, _FRAME + size)
        if len(frame) < _FRAME + size:
            break
        number, committed, *own = struct.unpack_from(">4I", frame)
        if own != salt:
            before = total - index
            break
        state = _sum(_sum(state, frame[:8], order), frame[_FRAME:], order)
        if state != struct.unpack_from(">II", frame, 16) or not number:
            break
        seen += 1
        waiting[number] = at + _FRAME
        if committed:
            pages |= waiting
            waiting.clear()
            counted = seen
    return Wal(size, pages, counted, seen - counted, before)


def _sum(state: tuple[int, int], data: bytes, order: str) -> tuple[int, int]:
    """The running checksum behind ``data``: s0 += x + s1, s1 += y + s0 for each pair of words, in 32 bits.

    A step is linear, so that a page is one product with the powers of its matrix.
    """
    words = np.frombuffer(data, dtype=order).astype(np.uint64)
    first = words[0::2]
    both = first + words[1::2]
    powers = _powers(len(first))
    (a, b, c, d) = (int(p[0]) for p in powers)
    # the state passes through one more step than the first pair does
    s0, s1 = (
        a * (state[0] + state[1]) + b * (state[0] + 2 * state[1]),
        c * (state[0] + state[1]) + d * (state[0] + 2 * state[1]),
    )
    s0 += int((powers[0] * first + powers[1] * both).sum(dtype=np.uint64))
    s1 += int((powers[2] * first + powers[3] * both).sum(dtype=np.uint64))
    return s0 & 0xFFFF_FFFF, s1 & 0xFFFF_FFFF


@functools.lru_cache(maxsize=16)
def _powers(count: int) -> tuple[Words, Words, Words, Words]:
    """The entries of the powers count - 1 … 0 of the step's matrix (1 1; 1 2), in 32 bits."""
    rows = [(1, 0, 0, 1)]
    for _ in range(count - 1):
        a, b, c, d = rows[-1]
        rows.append(
            ((a + b) & 0xFFFF_FFFF, (a + 2 * b) & 0xFFFF_FFFF, (c + d) & 0xFFFF_FFFF, (c + 2 * d) & 0xFFFF_FFFF)
        )
    found = np.array(rows[::-1], dtype=np.uint64)
    return found[:, 0], found[:, 1], found[:, 2], found[:, 3]
