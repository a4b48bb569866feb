# SPDX-License-Identifier: Apache-2.0
"""The frame of an XFS volume: superblock, allocation groups and free space.

Layout: "XFS Algorithms & Data Structures", https://mirrors.edge.kernel.org/pub/linux/utils/fs/xfs/docs/. All integers
are big-endian. Trees are followed with a bound on the blocks read, so that a hostile one ends.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from headwater.formats.trees import Coverage
from headwater.model.ports import ByteSource

V5_FTYPE, V5_META, V5_SHARED = 0x1, 0x100, 0x4
V4_FTYPE = 0x200
_NULL = 0xFFFFFFFF


class NotXfs(ValueError):
    """The bytes are not a superblock that a volume could have."""


@dataclass(frozen=True, slots=True)
class XfsSuper:
    """What the reader needs of the superblock; sizes in bytes, positions in blocks unless said otherwise."""

    block_size: int
    blocks: int
    root: int
    log_start: int
    log_blocks: int
    ag_blocks: int
    ag_count: int
    ag_block_bits: int
    inode_bits: int  # of the number of an inode within its block
    inode_size: int
    sector_size: int
    directory_block: int
    version: int
    file_types: bool
    special: frozenset[int]
    needs_repair: bool
    shared: bool  # files may share blocks, which are counted

    def place(self, block: int) -> int:
        """Where a file system block begins on the volume, in bytes."""
        group, inside = block >> self.ag_block_bits, block & ((1 << self.ag_block_bits) - 1)
        return (group * self.ag_blocks + inside) * self.block_size

    def inode_place(self, number: int) -> int:
        """Where an inode's record begins on the volume, in bytes; -1 where the volume has no such inode."""
        group = number >> (self.ag_block_bits + self.inode_bits)
        inside = number & ((1 << (self.ag_block_bits + self.inode_bits)) - 1)
        if group >= self.ag_count or inside >> self.inode_bits >= self.ag_blocks:
            return -1
        block = group * self.ag_blocks + (inside >> self.inode_bits)
        return block * self.block_size + (inside & ((1 << self.inode_bits) - 1)) * self.inode_size


def read_super(source: ByteSource) -> XfsSuper:
    """The primary superblock, with every number checked that later arithmetic rests on.

    Raises:
        NotXfs: no superblock, or one whose numbers cannot be.
    """
    raw = source.pread(0, 512)
    if len(raw) < 512 or raw[:4] != b"XFSB":
        raise NotXfs("no superblock")

    def u(at: int, size: int) -> int:
        return int.from_bytes(raw[at : at + size], "big")

    version = u(100, 2) & 15
    types = u(216, 4) & V5_FTYPE if version == 5 else u(200, 4) & V4_FTYPE
    special = {u(64, 8), u(72, 8), u(160, 8), u(168, 8), u(232, 8) if version == 5 else 0}
    found = XfsSuper(
        block_size=u(4, 4),
        blocks=u(8, 8),
        root=u(56, 8),
        log_start=u(48, 8),
        log_blocks=u(96, 4),
        ag_blocks=u(84, 4),
        ag_count=u(88, 4),
        ag_block_bits=raw[124],
        inode_bits=raw[123],
        inode_size=u(104, 2),
        sector_size=u(102, 2),
        directory_block=u(4, 4) << min(raw[192], 8),
        version=version,
        file_types=bool(types),
        special=frozenset(special - {0, (1 << 64) - 1}),
        needs_repair=version == 5 and bool(u(216, 4) & 0x10),
        shared=version == 5 and bool(u(212, 4) & V5_SHARED),
    )
    size = found.block_size
    if not 512 <= size <= 65536 or size & (size - 1) or version not in (4, 5):
        raise NotXfs("block size or version")
    if not 256 <= found.inode_size <= min(2048, size) or found.inode_size & (found.inode_size - 1):
        raise NotXfs("inode size")
    if size // found.inode_size != 1 << found.inode_bits:
        raise NotXfs("inodes per block")
    if not found.ag_blocks or not found.ag_count or not 0 < found.ag_block_bits <= 32:
        raise NotXfs("allocation groups")
    if found.ag_blocks > 1 << found.ag_block_bits or found.directory_block > 65536:
        raise NotXfs("allocation group size")
    if not 512 <= found.sector_size <= 32768 or (found.ag_count - 1) * found.ag_blocks > found.blocks:
        raise NotXfs("sector size or block count")
    return found


def groups_there(source: ByteSource, head: XfsSuper) -> int:
    """How many allocation groups begin within the volume."""
    return min(head.ag_count, source.size // (head.ag_blocks * head.block_size) + 1)


def short_leaves(
    source: ByteSource, head: XfsSuper, group: int, root: int, magics: tuple[bytes, bytes], key: int, record: int
) -> Iterator[bytes]:
    """The records of a group's B+tree with 32-bit pointers, leaf by leaf; ``key``, ``record``: their sizes in bytes.

    ``magics``: of version 4 and of version 5. A tree that is broken ends early.
    """
    header = 56 if head.version == 5 else 16
    most = (head.block_size - header) // (key + 4)
    seen: set[int] = set()
    stack = [root]
    while stack:
        number = stack.pop()
        if number in seen or number >= head.ag_blocks or len(seen) > head.ag_blocks:
            continue
        seen.add(number)
        data = source.pread((group * head.ag_blocks + number) * head.block_size, head.block_size)
        if len(data) < head.block_size or data[:4] != magics[head.version == 5]:
            continue
        level, count = struct.unpack_from(">HH", data, 4)
        if level == 0:
            yield data[header:][: count * record]
            continue
        at = header + most * key
        children = struct.unpack_from(f">{min(count, most)}I", data, at)
        stack.extend(reversed(children))


def coverage(
    source: ByteSource, head: XfsSuper, freed: Sequence[tuple[int, int]] = ()
) -> Iterator[tuple[int, int, Coverage]]:
    """Ranges (offset, length, what) by the groups' trees of free space; the log and the groups' heads are metadata.

    ``freed``: ranges that are free without the trees' saying so yet, in order.
    """
    log_at = head.place(head.log_start) if head.log_start else -1
    log_size = head.log_blocks * head.block_size
    for group in range(groups_there(source, head)):
        base = group * head.ag_blocks * head.block_size
        agf = source.pread(base + head.sector_size, 64)
        end = base + min(head.ag_blocks, head.blocks - group * head.ag_blocks) * head.block_size
        front = base + (4 * head.sector_size + head.block_size - 1) // head.block_size * head.block_size
        yield base, front - base, "metadata"
        if agf[:4] != b"XAGF":
            continue
        free: list[tuple[int, int]] = []
        for leaf in short_leaves(source, head, group, int.from_bytes(agf[16:20], "big"), (b"ABTB", b"AB3B"), 8, 8):
            pairs = np.frombuffer(leaf, ">u4").astype(np.int64).reshape(-1, 2).tolist()
            free.extend((base + s * head.block_size, n * head.block_size) for s, n in pairs)
        free.extend((at, size) for at, size in freed if base <= at < end)
        marks: list[tuple[int, int, Coverage]] = [(s, n, "unallocated") for s, n in free]
        if base <= log_at < end:
            marks.append((log_at, log_size, "metadata"))
        at = front
        for start, length, what in sorted(marks):
            if start < at or start + length > end:
                continue
            if start > at:
                yield at, start - at, "allocated"
            yield start, length, what
            at = start + length
        if at < end:
            yield at, end - at, "allocated"
