# SPDX-License-Identifier: Apache-2.0
"""What an XFS volume keeps of freed inodes and directories outside its log.

Freeing clears an inode's mode and size and leaves the extents of its data fork standing behind the core, until the number
is given out again. When all 64 inodes of a chunk are free the chunk itself is given back: its records then stand in free
space as they were last written. Blocks of freed directories and of extent trees name their owner (version 5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from headwater.formats.ext_content import Run
from headwater.formats.free_space import FreeSpace
from headwater.formats.xfs_content import runs_in
from headwater.formats.xfs_directories import names_between
from headwater.formats.xfs_history import OldName, owner_of
from headwater.formats.xfs_inode import XfsRow, decode_chunk
from headwater.formats.xfs_layout import XfsSuper
from headwater.model.ports import ByteSource

_READ = 4 << 20
_RECORDS_MOST = 1_000_000
_NODES_MOST = 200_000
_IN, _TREE = 0x4E49, 0x33414D42  # as little-endian numbers: "IN", "BMA3"
_DIRECTORY = (0x33424458, 0x33444458, 0x42324458, 0x44324458)  # "XDB3", "XDD3", "XD2B", "XD2D"


@dataclass(frozen=True, slots=True)
class Record:
    """An inode's record that no file uses. ``generation``: of the file that it was; ``raw``: the whole record."""

    row: XfsRow
    generation: int
    place: int
    raw: bytes


@dataclass(slots=True)
class Found:
    """What free space holds: records of inodes, names out of directories' blocks, leaves of extent trees by inode."""

    records: list[Record] = field(default_factory=list)
    names: list[OldName] = field(default_factory=list)
    leaves: dict[int, list[Run]] = field(default_factory=dict)
    left_out: int = 0


def record_of(row: XfsRow, raw: bytes, place: int) -> Record:
    """A record that is not in use; freeing counts its generation up by one."""
    generation = int.from_bytes(raw[92:96], "big")
    return Record(row, generation if row.mode else generation - 1 & 0xFFFFFFFF, place, raw)


def search_free(
    source: ByteSource, head: XfsSuper, free: FreeSpace, beside: Callable[[int, bytes], None] | None = None
) -> Found:
    """Read the free space once; ``beside`` is given what is read and where, for whoever looks for something else in it."""
    found = Found()
    block = head.block_size
    for offset, length in free.ranges:
        for at in range(offset, offset + length, _READ):
            data = source.pread(at, min(_READ, offset + length - at))
            if beside is not None:
                beside(at, data)
            data = data[: len(data) // block * block]
            words = np.frombuffer(data, "<u4")[:: block // 4]
            for index in np.flatnonzero((words & 0xFFFF == _IN) | np.isin(words, (_TREE, *_DIRECTORY))).tolist():
                _block(head, data[index * block : (index + 1) * block], at + index * block, int(words[index]), found)
    return found


def _block(head: XfsSuper, data: bytes, place: int, magic: int, found: Found) -> None:
    if magic & 0xFFFF == _IN:
        for row, raw, at in _records(head, data, place):
            if len(found.records) >= _RECORDS_MOST:
                found.left_out += 1
            else:
                found.records.append(record_of(row, raw, at))
    elif magic == _TREE:
        owner, count = int.from_bytes(data[56:64], "big"), int.from_bytes(data[6:8], "big")
        if data[4:6] == b"\0\0" and len(found.leaves) < _NODES_MOST:
            found.leaves.setdefault(owner, []).extend(runs_in(data[72 : 72 + 16 * count]))
    elif owner := owner_of(data):
        for name in names_between(data, 64 if head.version == 5 else 16, len(data), head.file_types):
            if name.name not in (b".", b".."):
                found.names.append(OldName(name.inode, owner, name.name, name.kind, -1))


def _records(head: XfsSuper, data: bytes, place: int) -> Iterator[tuple[XfsRow, bytes, int]]:
    """The inodes of a free block: those that carry the number that their place asks for (version 5), or, where records
    carry none (version 4), all of a block in which nothing else stands."""
    group, inside = divmod(place // head.block_size, head.ag_blocks)
    first = (group << head.ag_block_bits | inside) << head.inode_bits
    size = head.inode_size
    three = head.version == 5
    if not three and any(data[at : at + 2] != b"IN" or data[at + 4] > 2 for at in range(0, len(data) - size + 1, size)):
        return
    core = 176 if three else 100
    for row in decode_chunk(data, size, first):
        at = (row.number - first) * size
        if (row.version == 3) is three and (row.mode or data[at + core : at + core + 16].strip(b"\0")):
            yield row, data[at : at + size], place + at


def stale_runs(raw: bytes, head: XfsSuper) -> list[Run]:
    """The extents that still stand behind the core of a freed inode: the first ones that can be, in order."""
    start = 176 if raw[4] >= 3 else 100
    fork = raw[start:]
    if raw[82] and raw[2:4] != b"\0\0":
        fork = fork[: raw[82] * 8]
    blocks, at = 0, 0
    kept: list[Run] = []
    for run in runs_in(fork[: len(fork) // 16 * 16]):
        group, inside = run.physical >> head.ag_block_bits, run.physical & ((1 << head.ag_block_bits) - 1)
        fits = run.physical and group < head.ag_count and inside + run.blocks <= head.ag_blocks
        if not fits or run.logical < at or run.logical - at > 1 << 32:
            break
        kept.append(run)
        at, blocks = run.logical + run.blocks, blocks + run.blocks
        if blocks > head.blocks:
            return []
    return kept


def split(free: FreeSpace, head: XfsSuper, run: Run, mine: NDArray[np.bool_]) -> Iterator[tuple[int, int, int]]:
    """(logical block, blocks, place in bytes, or −1 where other files have them, or a later one
    had them, as ``mine`` says block by block) of a run, cut where that changes."""
    place = head.place(run.physical)
    held = free.holds(place, run.blocks) & mine
    edges = [0, *(np.flatnonzero(np.diff(held)) + 1).tolist(), len(held)]
    for low, high in pairwise(edges):
        yield run.logical + low, high - low, place + low * head.block_size if held[low] else -1
