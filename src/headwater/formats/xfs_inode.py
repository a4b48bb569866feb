# SPDX-License-Identifier: Apache-2.0
"""Inodes of XFS, decoded by column, a chunk of 64 at a time.

Times are signed seconds and nanoseconds of 32 bits each, or (bigtime) 64 bits of nanoseconds since 1901-12-13.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headwater.formats.attributes import Capable
from headwater.formats.xfs_layout import XfsSuper
from headwater.model.ports import ByteSource

CHUNK = 64
FORMAT_LOCAL, FORMAT_EXTENTS, FORMAT_BTREE = 1, 2, 3
FLAG_REALTIME = 1
_BIGTIME, _NREXT64 = 8, 16
_BIGTIME_BEFORE = (1 << 31) * 1_000_000_000
_NEVER = -(1 << 63)
_CACHED_CHUNKS = 4000

_FIELDS: list[tuple[str, str, int]] = [
    ("magic", ">u2", 0),
    ("mode", ">u2", 2),
    ("version", "u1", 4),
    ("format", "u1", 5),
    ("uid", ">u4", 8),
    ("gid", ">u4", 12),
    ("links", ">u4", 16),
    ("big_extents", ">u8", 24),
    ("atime", ">u8", 32),
    ("mtime", ">u8", 40),
    ("ctime", ">u8", 48),
    ("size", ">i8", 56),
    ("extents", ">u4", 76),
    ("fork", "u1", 82),
    ("flags", ">u2", 90),
    ("generation", ">u4", 92),
    ("flags2", ">u8", 120),
    ("crtime", ">u8", 144),
    ("number", ">u8", 152),
]


class XfsRow(NamedTuple):
    """One inode. Times: nanoseconds since 1970, UTC; None where none is recorded. ``mode`` 0: not in use."""

    number: int
    mode: int
    version: int
    format: int
    uid: int
    gid: int
    size: int
    extents: int
    fork: int  # size of the data fork in units of 8 bytes; 0: all there is
    flags: int
    modified: int | None
    accessed: int | None
    changed: int | None
    created: int | None


def _dtype(size: int) -> np.dtype[Any]:
    return np.dtype(
        {
            "names": [f[0] for f in _FIELDS],
            "formats": [f[1] for f in _FIELDS],
            "offsets": [f[2] for f in _FIELDS],
            "itemsize": size,
        }
    )


def _times(column: NDArray[Any], big: NDArray[np.bool_]) -> list[int | None]:
    raw = column.astype(np.uint64)
    seconds = (raw >> np.uint64(32)).astype(np.uint32).view(np.int32).astype(np.int64)
    plain = seconds * 1_000_000_000 + (raw & np.uint64(0xFFFFFFFF)).astype(np.int64)
    # beyond int64 (the year 2262) the subtraction does not fit: such a time is not shown
    fits = raw < np.uint64((1 << 63) - 1 + _BIGTIME_BEFORE)
    wide = (np.where(fits, raw, np.uint64(0)) - np.uint64(_BIGTIME_BEFORE)).view(np.int64)
    result = np.where(big, np.where(fits, wide, _NEVER), plain)
    return [None if t == _NEVER else t for t in result.tolist()]


def decode_chunk(raw: bytes, size: int, first: int) -> list[XfsRow]:
    """The inodes among consecutive records of ``size`` bytes; ``first`` is the number of the first.

    Records without the magic, or (version 3) with another inode's number in them, are left out.
    """
    table = np.frombuffer(raw, dtype=_dtype(size), count=len(raw) // size)
    numbers = np.arange(first, first + len(table), dtype=np.uint64)
    three = table["version"] == 3
    good = (table["magic"] == 0x494E) & (~three | (table["number"] == numbers) | (first == 0))
    table, numbers, three = table[good], numbers[good], three[good]
    flags2 = np.where(three, table["flags2"], 0).astype(np.uint64)
    big = (flags2 & np.uint64(_BIGTIME)) != 0
    extents = np.where(flags2 & np.uint64(_NREXT64), table["big_extents"], table["extents"])
    created = [t if v else None for t, v in zip(_times(table["crtime"], big), three.tolist())]
    heads = [numbers] + [table[n] for n in ("mode", "version", "format", "uid", "gid")]
    heads += [np.maximum(table["size"].astype(np.int64), 0), extents, table["fork"], table["flags"]]
    times = [_times(table[n], big) for n in ("mtime", "atime", "ctime")]
    return list(map(XfsRow._make, zip(*(h.tolist() for h in heads), *times, created)))


class XfsInodes:
    """The inodes of a volume by number."""

    def __init__(self, source: ByteSource, head: XfsSuper) -> None:
        self._source = source
        self._head = head
        self._cache: OrderedDict[int, dict[int, XfsRow]] = OrderedDict()
        self.capable = Capable()

    def get(self, number: int) -> XfsRow | None:
        """A decoded inode, in use or not; None where there is no record of that number."""
        return self.chunk(number - number % CHUNK).get(number) if number > 0 else None

    def chunk(self, first: int) -> dict[int, XfsRow]:
        """The 64 inodes from ``first``, a multiple of 64; those that are no inodes are left out."""
        rows = self._cache.get(first)
        if rows is not None:
            return rows
        place = self._head.inode_place(first)
        raw = b"" if place < 0 else self._source.pread(place, CHUNK * self._head.inode_size)
        rows = {row.number: row for row in decode_chunk(raw, self._head.inode_size, first)}
        self.capable.look_xfs(raw, self._head.inode_size, first)
        self._cache[first] = rows
        if len(self._cache) > _CACHED_CHUNKS:
            self._cache.popitem(last=False)
        return rows

    def raw(self, number: int) -> bytes:
        """The record of an inode as it stands."""
        return self._source.pread(max(0, self._head.inode_place(number)), self._head.inode_size)
