# SPDX-License-Identifier: Apache-2.0
"""Where the content of an ext inode lies: extents, block maps, data inside the inode.

Layout: https://docs.kernel.org/filesystems/ext4/ifork.html. A hostile map may be a cycle, may claim blocks without
end, may lie outside the volume: what is read is bounded by the number of blocks that the volume has, and what could
not be followed is told as a bad range of the content.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from headwater.formats.ext_inode import FLAG_ENCRYPT, FLAG_EXTENTS, FLAG_INLINE, Row
from headwater.formats.ext_layout import Superblock
from headwater.formats.sources import Bad, ChainSource, Piece
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource

_EXTENT_MAGIC = 0xF30A
_DEPTH = 5  # ext4 never makes a deeper tree
_UNWRITTEN = 32768
_NODES = 100_000  # nodes of one extent tree: 34 million extents of 4 KiB blocks
_RUNS = 1_000_000
_XATTR_MAGIC = 0xEA020000
_XATTR_SYSTEM = 7
_MAP_AT, _MAP_SIZE = 40, 60

_HEADER = struct.Struct("<HHHH")
_LEAF = struct.Struct("<IHHI")
_INDEX = struct.Struct("<IIH")


class Run(NamedTuple):
    """``blocks`` of content from block ``logical`` on, at ``physical`` of the volume (0: never written)."""

    logical: int
    physical: int
    blocks: int


class Map(NamedTuple):
    runs: list[Run]
    faults: list[str]


class Inodes(Protocol):
    """Where the records of inodes are, and what stands in them."""

    def raw(self, number: int) -> bytes: ...
    def place(self, number: int) -> int: ...


class Contents:
    """Finds the content of inodes on one volume."""

    def __init__(self, source: ByteSource, block: Superblock, inodes: Inodes) -> None:
        self._source = source
        self._block = block
        self._inodes = inodes
        self.fixed: Mapping[int, list[Run]] = {}  # maps that fast commits changed, by inode

    def map(self, row: Row) -> Map:
        """The runs of an inode's block map in the content's order, with words for what could not be followed."""
        if row.number in self.fixed:
            return Map(list(self.fixed[row.number]), [])
        raw = self._inodes.raw(row.number)[_MAP_AT : _MAP_AT + _MAP_SIZE].ljust(_MAP_SIZE, b"\0")
        found = self._extents(raw) if row.flags & FLAG_EXTENTS else self._indirect(raw, row.size)
        return Map(tidy(found.runs, self._block.blocks, found.faults), found.faults)

    def _extents(self, root: bytes) -> Map:
        runs: list[Run] = []
        faults: list[str] = []
        seen: set[int] = set()
        stack: list[tuple[bytes, int]] = [(root, _DEPTH)]
        while stack:
            node, most = stack.pop()
            magic, entries, _, depth = _HEADER.unpack_from(node, 0)
            if magic != _EXTENT_MAGIC or depth > most:
                faults.append("a node of the extent tree is not one")
                continue
            entries = min(entries, len(node) // 12 - 1)
            if depth == 0:
                for at in range(12, 12 + entries * 12, 12):
                    logical, length, high, low = _LEAF.unpack_from(node, at)
                    if length > _UNWRITTEN:
                        runs.append(Run(logical, 0, length - _UNWRITTEN))
                    elif length:
                        runs.append(Run(logical, high << 32 | low, length))
                continue
            children = []
            for at in range(12, 12 + entries * 12, 12):
                _, low, high = _INDEX.unpack_from(node, at)
                child = high << 32 | low
                if child in seen or child >= self._block.blocks or len(seen) >= _NODES:
                    faults.append("a node of the extent tree is met twice, or lies outside the volume")
                    continue
                seen.add(child)
                children.append((self._read(child), depth - 1))
            stack.extend(reversed(children))
        return Map(runs, faults)

    def _read(self, number: int) -> bytes:
        size = self._block.block_size
        return self._source.pread(number * size, size).ljust(size, b"\0")

    def _indirect(self, raw: bytes, size: int) -> Map:
        """The map of ext2 and ext3: 12 direct blocks, then one, two and three levels of blocks of block numbers."""
        numbers = np.frombuffer(raw, "<u4")
        per_block = self._block.block_size // 4
        last = min((size + self._block.block_size - 1) // self._block.block_size, 12 + per_block**3 * 2)
        runs = _runs_of(0, numbers[:12].astype(np.int64))
        faults: list[str] = []
        budget = self._block.blocks  # blocks are not shared: more than all of them is a lie
        stack = [
            (int(numbers[12 + level]), level, 12 + sum(per_block**n for n in range(1, level + 1)))
            for level in (2, 1, 0)
        ]
        while stack:
            number, level, logical = stack.pop()
            if not number or logical >= last:
                continue
            budget -= 1
            if number >= self._block.blocks or budget < 0 or len(runs) > _RUNS:
                faults.append("an indirect block lies outside the volume, or there are more than the volume has")
                if budget < 0 or len(runs) > _RUNS:
                    break
                continue
            held = np.frombuffer(self._read(number), "<u4").astype(np.int64)
            if level == 0:
                runs.extend(_runs_of(logical, held[: max(0, last - logical)]))
                continue
            span = per_block**level
            there = np.flatnonzero(held)[::-1]
            stack.extend((int(held[i]), level - 1, logical + int(i) * span) for i in there)
        return Map(runs, faults)

    def open(self, row: Row) -> ChainSource:
        """The content of an inode as bytes; holes and unwritten extents are zeros, as the format says."""
        if row.flags & FLAG_ENCRYPT and row.mode & 0xF000 == 0x8000:
            note: Bad = (0, row.size, GapReason.ENCRYPTED, "the file is encrypted (fscrypt)")
            return ChainSource((Piece(None, 0, row.size),), extra=(note,))
        pieces, bad = self.pieces(row)
        return ChainSource(pieces, extra=bad)

    def pieces(self, row: Row) -> tuple[list[Piece], list[Bad]]:
        """Pieces of the volume that make the content, exactly ``row.size`` bytes long in all."""
        if row.flags & FLAG_INLINE:
            return self._inline(row)
        if (
            row.mode & 0xF000 == 0xA000
            and not row.flags & FLAG_EXTENTS
            and row.size < _MAP_SIZE
            and not self._mapped(row)
        ):
            return [Piece(self._source, self._inodes.place(row.number) + _MAP_AT, row.size)], []
        found = self.map(row)
        block = self._block.block_size
        pieces: list[Piece] = []
        at = 0
        for run in found.runs:
            start = run.logical * block
            if start >= row.size:
                break
            if start > at:
                pieces.append(Piece(None, 0, start - at))
            length = min(run.blocks * block, row.size - start)
            pieces.append(Piece(self._source if run.physical else None, run.physical * block, length))
            at = start + length
        if at < row.size:
            pieces.append(Piece(None, 0, row.size - at))
        bad = [(0, max(1, row.size), GapReason.NOT_THIS_FORMAT, text) for text in dict.fromkeys(found.faults)]
        return pieces, bad

    def _mapped(self, row: Row) -> bool:
        """Whether a symbolic link holds blocks of its own; one for extended attributes does not count."""
        own = self._block.block_size // 512 if row.acl else 0
        return row.blocks > own

    def _inline(self, row: Row) -> tuple[list[Piece], list[Bad]]:
        place = self._inodes.place(row.number)
        pieces = [Piece(self._source, place + _MAP_AT, min(_MAP_SIZE, row.size))]
        rest = row.size - _MAP_SIZE
        if rest <= 0:
            return pieces, []
        held = inline_rest(self._inodes.raw(row.number))
        if held is not None:
            take = min(rest, held[1])
            pieces.append(Piece(self._source, place + held[0], take))
            rest -= take
        if rest <= 0:
            return pieces, []
        pieces.append(Piece(None, 0, rest))
        return pieces, [(row.size - rest, rest, GapReason.NOT_THIS_FORMAT, "the inode holds less data than its size")]

    def extents(self, row: Row) -> tuple[tuple[int, int], ...]:
        """Ranges (offset, length) on the volume that hold the content, in order; holes and unwritten ones left out."""
        return tuple((p.offset, p.length) for p in self.pieces(row)[0] if p.source is not None and p.length)


def inline_rest(raw: bytes) -> tuple[int, int] | None:
    """(offset in the inode, length) of the value ``system.data``, where inline data goes on after the first 60 bytes.

    https://docs.kernel.org/filesystems/ext4/attributes.html
    """
    if len(raw) < 132:
        return None
    at = 128 + int(struct.unpack_from("<H", raw, 128)[0])
    if at + 4 > len(raw) or struct.unpack_from("<I", raw, at)[0] != _XATTR_MAGIC:
        return None
    first = at = at + 4
    while at + 16 <= len(raw) and raw[at : at + 4] != b"\0\0\0\0":
        length, index, offset, inode, size = struct.unpack_from("<BBHII", raw, at)
        if index == _XATTR_SYSTEM and raw[at + 16 : at + 16 + length] == b"data":
            if inode or first + offset + size > len(raw):
                return None
            return first + offset, size
        at += 16 + (length + 3 & ~3)
    return None


def _runs_of(logical: int, numbers: NDArray[np.int64]) -> list[Run]:
    """Block numbers as runs of neighbours; zeros are holes."""
    if not len(numbers):
        return []
    breaks = np.flatnonzero((np.diff(numbers) != 1) | (numbers[:-1] == 0)) + 1
    starts = np.concatenate((np.zeros(1, np.int64), breaks))
    ends = np.concatenate((breaks, [len(numbers)]))
    firsts = numbers[starts]
    real = np.flatnonzero(firsts)
    columns = (starts[real] + logical, firsts[real], (ends - starts)[real])
    return [Run(*run) for run in zip(*(c.tolist() for c in columns))]


def tidy(runs: list[Run], blocks: int, faults: list[str]) -> list[Run]:
    """Runs in order, neighbours joined, without overlaps and without blocks that the volume does not have."""
    result: list[Run] = []
    for run in sorted(runs):
        if run.physical and run.physical + run.blocks > blocks:
            faults.append("a block lies outside the volume")
        last = result[-1] if result else None
        if last is not None and run.logical < last.logical + last.blocks:
            faults.append("two extents claim the same block of the content")
            skip = last.logical + last.blocks - run.logical
            if skip >= run.blocks:
                continue
            run = Run(run.logical + skip, run.physical + skip if run.physical else 0, run.blocks - skip)
        if (
            last is not None
            and last.logical + last.blocks == run.logical
            and bool(last.physical) == bool(run.physical)
            and (not run.physical or last.physical + last.blocks == run.physical)
        ):
            result[-1] = Run(last.logical, last.physical, last.blocks + run.blocks)
        else:
            result.append(run)
    return result
