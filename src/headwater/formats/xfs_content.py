# SPDX-License-Identifier: Apache-2.0
"""Where the content of an XFS inode lies: inside it, in a list of extents, or in a B+tree of extents."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np

from headwater.formats.ext_content import Map, Run, tidy
from headwater.formats.sources import Bad, ChainSource, Piece
from headwater.formats.xfs_inode import FLAG_REALTIME, FORMAT_BTREE, FORMAT_EXTENTS, FORMAT_LOCAL, XfsInodes, XfsRow
from headwater.formats.xfs_layout import XfsSuper
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource

_CORE = {3: 176}
_CORE_OLD = 100
_MAX_BLOCKS = 200_000
_SYMLINK_HEADER = 56
_NO_RUNS = 2_000_000


class XfsContents:
    """Finds the content of inodes on one volume."""

    def __init__(
        self, source: ByteSource, head: XfsSuper, inodes: XfsInodes, maps: Mapping[int, list[Run]] | None = None
    ) -> None:
        """``maps``: inode → runs that hold instead of those that it has, where finishing a change made others."""
        self._source = source
        self._maps = maps or {}
        self._head = head
        self._inodes = inodes

    def fork(self, row: XfsRow) -> tuple[int, bytes]:
        """(offset in the record, bytes) of the data fork."""
        start = _CORE.get(row.version, _CORE_OLD)
        raw = self._inodes.raw(row.number)
        end = start + row.fork * 8 if row.fork else len(raw)
        return start, raw[start : min(end, len(raw))]

    def map(self, row: XfsRow) -> Map:
        """The runs of the data fork in file system blocks, with words for what could not be followed."""
        faults: list[str] = []
        if row.number in self._maps:
            return Map(tidy(self._maps[row.number], self._head.ag_count << self._head.ag_block_bits, faults), faults)
        _, fork = self.fork(row)
        if row.format == FORMAT_EXTENTS:
            runs = runs_in(fork[: row.extents * 16])
            if row.extents * 16 > len(fork):
                faults.append("the inode claims more extents than it has room for")
        elif row.format == FORMAT_BTREE:
            runs = self._tree(fork, faults)
        else:
            runs = []
        return Map(tidy(runs, self._head.ag_count << self._head.ag_block_bits, faults), faults)

    def _tree(self, fork: bytes, faults: list[str]) -> list[Run]:
        if len(fork) < 4:
            return []
        head = self._head
        level, count = struct.unpack_from(">HH", fork, 0)
        most = (len(fork) - 4) // 16
        stack = list(reversed(_pointers(fork, 4 + most * 8, min(count, most))))
        header = 72 if head.version == 5 else 24
        magic = b"BMA3" if head.version == 5 else b"BMAP"
        seen: set[int] = set()
        runs: list[Run] = []
        while stack:
            block = stack.pop()
            data = self._source.pread(head.place(block), head.block_size)
            if block in seen or data[:4] != magic or len(seen) > _MAX_BLOCKS or len(runs) > _NO_RUNS:
                faults.append("a node of the extent tree is not one, or is met twice")
                continue
            seen.add(block)
            level, count = struct.unpack_from(">HH", data, 4)
            if level == 0:
                runs.extend(runs_in(data[header : header + count * 16]))
                continue
            most = (head.block_size - header) // 16
            stack.extend(reversed(_pointers(data, header + most * 8, min(count, most))))
        return runs

    def pieces(self, row: XfsRow) -> tuple[list[Piece], list[Bad]]:
        """Pieces of the volume that make the content, exactly ``row.size`` bytes long in all."""
        if row.format == FORMAT_LOCAL:
            start, fork = self.fork(row)
            take = min(row.size, len(fork))
            place = self._head.inode_place(row.number) + start
            pieces = [Piece(self._source, place, take), Piece(None, 0, row.size - take)]
            lack: list[Bad] = [(take, row.size - take, GapReason.NOT_THIS_FORMAT, "the inode holds less than its size")]
            return pieces, lack if row.size > take else []
        if row.flags & FLAG_REALTIME:
            return [Piece(None, 0, row.size)], [
                (0, row.size, GapReason.UNSUPPORTED, "the content lies on the realtime device")
            ]
        if row.mode & 0xF000 == 0xA000 and self._head.version == 5:
            return self._symlink(row), []
        found = self.map(row)
        size = self._head.block_size
        pieces = []
        at = 0
        for run in found.runs:
            start = run.logical * size
            if start >= row.size:
                break
            if start > at:
                pieces.append(Piece(None, 0, start - at))
            length = min(run.blocks * size, row.size - start)
            at = start + length
            pieces.append(Piece(self._source if run.physical else None, self._head.place(run.physical), length))
        if at < row.size:
            pieces.append(Piece(None, 0, row.size - at))
        bad = [(0, max(1, row.size), GapReason.NOT_THIS_FORMAT, text) for text in dict.fromkeys(found.faults)]
        return pieces, bad

    def _symlink(self, row: XfsRow) -> list[Piece]:
        """The target of a link in blocks of its own: a header stands at the beginning of each extent."""
        pieces = []
        left = row.size
        for run in self.map(row).runs:
            take = min(left, run.blocks * self._head.block_size - _SYMLINK_HEADER)
            pieces.append(Piece(self._source, self._head.place(run.physical) + _SYMLINK_HEADER, take))
            left -= take
        return [*pieces, Piece(None, 0, left)]

    def open(self, row: XfsRow) -> ChainSource:
        """The content of an inode as bytes; holes and unwritten extents are zeros, as the format says."""
        pieces, bad = self.pieces(row)
        return ChainSource(pieces, extra=bad)

    def extents(self, row: XfsRow) -> tuple[tuple[int, int], ...]:
        """Ranges (offset, length) on the volume that hold the content, in order."""
        return tuple((p.offset, p.length) for p in self.pieces(row)[0] if p.source is not None and p.length)


def _pointers(data: bytes, at: int, count: int) -> list[int]:
    count = max(0, min(count, (len(data) - at) // 8))
    return list(struct.unpack_from(f">{count}Q", data, at))


def runs_in(data: bytes) -> list[Run]:
    """Packed extents: 1 bit unwritten, 54 bits of logical block, 52 bits of physical block, 21 bits of length."""
    pairs = np.frombuffer(data, ">u8", count=len(data) // 16 * 2).astype(np.uint64).reshape(-1, 2)
    high, low = pairs[:, 0], pairs[:, 1]
    unwritten = high >> np.uint64(63) != 0
    logical = (high >> np.uint64(9)) & np.uint64((1 << 54) - 1)
    physical = (high & np.uint64(0x1FF)) << np.uint64(43) | low >> np.uint64(21)
    count = low & np.uint64((1 << 21) - 1)
    physical = np.where(unwritten, np.uint64(0), physical)
    return [Run(*r) for r in zip(logical.tolist(), physical.tolist(), count.tolist()) if r[2]]
