# SPDX-License-Identifier: Apache-2.0
"""Inodes of ext2, ext3 and ext4, decoded by column, a stretch of the inode table at a time.

Layout and the epoch bits of times: https://docs.kernel.org/filesystems/ext4/inodes.html. Seconds are signed 32 bits
plus two epoch bits from the upper half of the inode (1901 to 2446), nanoseconds 30 bits; user and group are 32 bits in
two halves. Times that int64 nanoseconds cannot hold (after 2262-04-11) are None, and counted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headwater.formats.attributes import Capable
from headwater.formats.ext_layout import GROUP_INODE_UNINIT, INCOMPAT_LARGEDIR, Groups, Superblock
from headwater.model.ports import ByteSource

FLAG_ENCRYPT = 0x800
FLAG_INDEX = 0x1000
FLAG_EXTENTS = 0x80000
FLAG_EA_INODE = 0x200000
FLAG_INLINE = 0x10000000

_CHUNK_BYTES = 2 << 20  # one read of an inode table
_CHUNK_INODES = 8192
_CACHED_INODES = 200_000  # decoded rows kept, about 400 bytes each
_NEVER = np.int64(-(1 << 63))
_FIRST_SECOND, _LAST_SECOND = -9_223_372_036, 9_223_372_035  # whole seconds that int64 nanoseconds hold
_CREATOR_LINUX = 0

_FIELDS: list[tuple[str, str, int]] = [
    ("mode", "<u2", 0),
    ("uid", "<u2", 2),
    ("size", "<u4", 4),
    ("atime", "<i4", 8),
    ("ctime", "<i4", 12),
    ("mtime", "<i4", 16),
    ("dtime", "<u4", 20),
    ("gid", "<u2", 24),
    ("links", "<u2", 26),
    ("blocks", "<u4", 28),
    ("flags", "<u4", 32),
    ("acl", "<u4", 104),
    ("size_high", "<u4", 108),
    ("uid_high", "<u2", 120),
    ("gid_high", "<u2", 122),
]
_WIDE: list[tuple[str, str, int]] = [
    ("extra", "<u2", 128),
    ("ctime_extra", "<u4", 132),
    ("mtime_extra", "<u4", 136),
    ("atime_extra", "<u4", 140),
    ("crtime", "<i4", 144),
    ("crtime_extra", "<u4", 148),
]


class Row(NamedTuple):
    """One inode in use or once in use. Times: nanoseconds since 1970, UTC; None where none is recorded."""

    number: int
    mode: int
    uid: int
    gid: int
    size: int
    links: int
    flags: int
    blocks: int  # in 512-byte units, lower 32 bits
    acl: int  # block of extended attributes, lower 32 bits
    modified: int | None
    accessed: int | None
    changed: int | None
    created: int | None
    deleted: int | None


# Row._make without its Python frame: it is called once for every inode
_ROW: Callable[[tuple[Any, ...]], Row] = partial(tuple.__new__, Row)


def _dtype(size: int) -> np.dtype[Any]:
    fields = _FIELDS + (_WIDE if size >= 152 else [])
    spec = {"names": [f[0] for f in fields], "formats": [f[1] for f in fields], "offsets": [f[2] for f in fields]}
    return np.dtype({**spec, "itemsize": size})  # type: ignore[call-overload,no-any-return]


def _times(table: NDArray[Any], name: str, end: int, wide: bool) -> tuple[NDArray[np.int64], int]:
    """Nanoseconds of one of the four times; ``end`` is where its extra word ends, within the inode's extra size."""
    seconds = table[name].astype(np.int64)
    if wide:
        there = table["extra"] >= end - 128
        extra = np.where(there, table[f"{name}_extra"].astype(np.int64), 0)
        seconds += (extra & 3) << 32
        nanos = extra >> 2
    else:
        nanos = np.zeros(len(table), np.int64)
    far = (seconds < _FIRST_SECOND) | (seconds > _LAST_SECOND)
    result = np.where(far, _NEVER, np.where(far, 0, seconds) * 1_000_000_000 + nanos)
    return result, int(far.sum())


def _listed(times: NDArray[np.int64]) -> list[int | None]:
    if not (times == _NEVER).any():
        return times.tolist()  # type: ignore[no-any-return]
    never = int(_NEVER)
    return [None if t == never else t for t in times.tolist()]


def decode_inodes(raw: bytes, size: int, first: int, large_directories: bool = False) -> tuple[list[Row], int]:
    """The inodes with a mode or a change time among consecutive records, and how many times int64 could not hold.

    ``first`` is the number of the first record; a partial record at the end is left out.
    """
    table = np.frombuffer(raw, dtype=_dtype(size), count=len(raw) // size)
    used = np.flatnonzero((table["mode"] != 0) | (table["ctime"] != 0))
    table = table[used]
    wide = size >= 152
    kind = table["mode"] & 0xF000
    high = (kind == 0x8000) | ((kind == 0x4000) & large_directories)
    length = table["size"].astype(np.uint64) | np.where(high, table["size_high"].astype(np.uint64) << 32, 0)
    lost = 0
    columns: list[list[Any]] = []
    for name, end in (("mtime", 140), ("atime", 144), ("ctime", 136)):
        values, far = _times(table, name, end, wide)
        lost += far
        columns.append(_listed(values))
    if wide:
        born, far = _times(table, "crtime", 152, wide)
        # crtime came with ext4: a record too short for it, or with nothing there, recorded none
        none = (table["extra"] < 20) | ((table["crtime"] == 0) & (table["crtime_extra"] == 0))
        lost += int((~none & (born == _NEVER)).sum())
        columns.append(_listed(np.where(none, _NEVER, born)))
    else:
        columns.append([None] * len(table))
    # while an inode waits on the orphan list, dtime is the number of the next one there, not a time
    gone = table["dtime"].astype(np.int64)
    columns.append(_listed(np.where((gone == 0) | (table["links"] != 0), _NEVER, gone * 1_000_000_000)))
    uid = table["uid"].astype(np.int64) | table["uid_high"].astype(np.int64) << 16
    gid = table["gid"].astype(np.int64) | table["gid_high"].astype(np.int64) << 16
    heads = [(used + first), table["mode"], uid, gid, length, table["links"], table["flags"], table["blocks"]]
    rows = zip(*(h.tolist() for h in heads), table["acl"].tolist(), *columns)
    return list(map(_ROW, rows)), lost


class InodeTable:
    """The inodes of a volume by number, decoded in stretches and kept while memory allows."""

    def __init__(self, source: ByteSource, block: Superblock, groups: Groups) -> None:
        self._source = source
        self._block = block
        self._groups = groups
        self._tables = groups.inode_table.tolist()
        self._step = max(1, min(_CHUNK_INODES, _CHUNK_BYTES // block.inode_size, block.inodes_per_group))
        self._cache: OrderedDict[tuple[int, int], dict[int, Row]] = OrderedDict()
        self._held = 0
        self._near: dict[int, Row] = {}
        self._bitmaps: OrderedDict[int, NDArray[np.bool_]] = OrderedDict()
        self.lost_times: dict[tuple[int, int], int] = {}
        self.capable = Capable()
        self.last = min(block.inodes, groups.count * block.inodes_per_group)

    def place(self, number: int) -> int:
        """Where the record of an inode begins on the volume, in bytes.

        Raises:
            KeyError: the volume has no such inode.
        """
        if not 1 <= number <= self.last:
            raise KeyError(number)
        group, index = divmod(number - 1, self._block.inodes_per_group)
        return int(self._tables[group]) * self._block.block_size + index * self._block.inode_size

    def places(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """:meth:`place` for a column; numbers outside the volume give -1."""
        good = (numbers >= 1) & (numbers <= self.last)
        group, index = np.divmod(np.where(good, numbers, 1) - 1, self._block.inodes_per_group)
        found = self._groups.inode_table[group] * self._block.block_size + index * self._block.inode_size
        return np.where(good, found, -1)

    def raw(self, number: int) -> bytes:
        """The record of an inode as it stands; shorter than the inode size only at the end of the volume."""
        return self._source.pread(self.place(number), self._block.inode_size)

    def get(self, number: int) -> Row | None:
        """A decoded inode; None where the number is outside the volume or the record was never used."""
        row = self._near.get(number)
        if row is not None:
            return row
        if not 1 <= number <= self.last:
            return None
        group, index = divmod(number - 1, self._block.inodes_per_group)
        self._near = self.stretch(group, index // self._step)  # the next inode asked for is most often close by
        return self._near.get(number)

    def stretches(self) -> list[tuple[int, int]]:
        """(group, part) of all stretches that may hold used inodes, in order of inode number."""
        found: list[tuple[int, int]] = []
        unused = self._groups.unused.tolist()
        flags = self._groups.flags.tolist()
        for group in range(self._groups.count):
            if flags[group] & GROUP_INODE_UNINIT:
                continue
            used = self._block.inodes_per_group - unused[group]
            found.extend((group, part) for part in range((used + self._step - 1) // self._step))
        return found

    def unnamed(self, group: int, part: int, seen: bytearray) -> list[int]:
        """The numbers in one stretch that hold a mode and are not marked in ``seen``; decodes nothing."""
        number, raw = self.records(group, part)
        modes = np.frombuffer(raw, dtype=_dtype(self._block.inode_size), count=len(raw) // self._block.inode_size)[
            "mode"
        ]
        marks = np.frombuffer(seen, np.uint8)[number : number + len(modes)]
        found = np.flatnonzero((modes != 0) & (marks == 0)) + number
        return found.tolist()

    def records(self, group: int, part: int) -> tuple[int, bytes]:
        """(number of the first inode, records) of one stretch."""
        size = self._block.inode_size
        start = part * self._step
        number = group * self._block.inodes_per_group + start + 1
        count = max(0, min(self._step, self._block.inodes_per_group - start, self.last - number + 1))
        return number, self._source.pread(self._tables[group] * self._block.block_size + start * size, count * size)

    def stretch(self, group: int, part: int) -> dict[int, Row]:
        """The used inodes of one stretch by number; read once, kept for a while."""
        key = (group, part)
        rows = self._cache.get(key)
        if rows is not None:
            self._cache.move_to_end(key)
            return rows
        number, raw = self.records(group, part)
        size = self._block.inode_size
        decoded, lost = decode_inodes(raw, size, number, bool(self._block.incompat & INCOMPAT_LARGEDIR))
        if lost:
            self.lost_times[key] = lost
        rows = {row.number: row for row in decoded}
        self.capable.look(raw, size, number)
        self._cache[key] = rows
        self._held += len(rows)
        while self._held > _CACHED_INODES and len(self._cache) > 1:
            self._held -= len(self._cache.popitem(last=False)[1])
        return rows

    def in_use(self, number: int) -> bool:
        """Whether the group's bitmap says that the inode is allocated."""
        group, index = divmod(number - 1, self._block.inodes_per_group)
        bits = self._bitmap(group)
        return index < len(bits) and bool(bits[index])

    def _bitmap(self, group: int) -> NDArray[np.bool_]:
        bits = self._bitmaps.get(group)
        if bits is None:
            count = self._block.inodes_per_group
            if self._groups.flags[group] & GROUP_INODE_UNINIT:
                bits = np.zeros(count, np.bool_)
            else:
                at = int(self._groups.inode_bitmap[group]) * self._block.block_size
                raw = np.frombuffer(self._source.pread(at, (count + 7) // 8), np.uint8)
                bits = np.unpackbits(raw, bitorder="little", count=min(count, len(raw) * 8)).astype(np.bool_)
            self._bitmaps[group] = bits
            if len(self._bitmaps) > 256:
                self._bitmaps.popitem(last=False)
        else:
            self._bitmaps.move_to_end(group)
        return bits
