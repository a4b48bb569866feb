# SPDX-License-Identifier: Apache-2.0
"""The frame of an ext2, ext3 or ext4 volume: superblock, group descriptors, where inodes and bitmaps lie.

Layout: https://docs.kernel.org/filesystems/ext4/globals.html. All integers are little-endian. Nothing here believes a
number from the volume beyond what the volume's own size allows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

SUPERBLOCK_AT = 1024
SUPERBLOCK_SIZE = 1024
MAGIC = b"\x53\xef"

COMPAT_HAS_JOURNAL = 0x4
COMPAT_FAST_COMMIT = 0x400
INCOMPAT_FILETYPE = 0x2
INCOMPAT_RECOVER = 0x4
INCOMPAT_JOURNAL_DEV = 0x8
INCOMPAT_META_BG = 0x10
INCOMPAT_EXTENTS = 0x40
INCOMPAT_64BIT = 0x80
INCOMPAT_FLEX_BG = 0x200
INCOMPAT_CSUM_SEED = 0x2000
INCOMPAT_LARGEDIR = 0x4000
INCOMPAT_ENCRYPT = 0x10000
RO_SPARSE_SUPER = 0x1
RO_GDT_CSUM = 0x10
RO_BIGALLOC = 0x200
RO_METADATA_CSUM = 0x400

ROOT_INODE = 2
JOURNAL_INODE = 8
GROUP_INODE_UNINIT = 0x1
GROUP_BLOCK_UNINIT = 0x2
STATE_CLEAN = 0x1
STATE_ERRORS = 0x2

Longs = NDArray[np.int64]


class NotExt(ValueError):
    """The bytes are not a superblock that a volume could have."""


@dataclass(frozen=True, slots=True)
class Superblock:
    """What the reader needs of the superblock; sizes in bytes, positions in blocks unless said otherwise."""

    inodes: int
    blocks: int
    first_block: int
    block_size: int
    cluster_ratio: int  # blocks per bit of the block bitmap (bigalloc)
    blocks_per_group: int
    inodes_per_group: int
    inode_size: int
    first_inode: int
    state: int
    creator_os: int
    revision: int
    compat: int
    incompat: int
    ro_compat: int
    descriptor_size: int
    reserved_descriptors: int  # blocks after the descriptors, kept free for growth
    first_meta_bg: int
    journal_inode: int
    journal_device: int
    last_orphan: int
    special: frozenset[int]  # inodes that are in use without a name: quotas, the orphan file
    uuid: bytes
    written: int  # seconds since 1970

    @property
    def groups(self) -> int:
        return (self.blocks - self.first_block + self.blocks_per_group - 1) // self.blocks_per_group

    @property
    def kind(self) -> str:
        """``ext2``, ``ext3`` or ``ext4``, by the features that only the later ones have (as blkid tells them)."""
        ext4_incompat = INCOMPAT_EXTENTS | INCOMPAT_64BIT | INCOMPAT_FLEX_BG | ~0x1F
        ext4_ro = ~0x7  # sparse_super, large_file, btree_dir are ext2's and ext3's
        if self.incompat & ext4_incompat or self.ro_compat & ext4_ro:
            return "ext4"
        return "ext3" if self.compat & COMPAT_HAS_JOURNAL else "ext2"

    @property
    def needs_recovery(self) -> bool:
        return bool(self.incompat & INCOMPAT_RECOVER)


def read_superblock(source: ByteSource) -> Superblock:
    """The primary superblock, with every number checked that later arithmetic rests on.

    Raises:
        NotExt: no superblock, or one whose numbers cannot be.
    """
    raw = source.pread(SUPERBLOCK_AT, SUPERBLOCK_SIZE)
    if len(raw) < SUPERBLOCK_SIZE or raw[56:58] != MAGIC:
        raise NotExt("no superblock")

    def u32(at: int) -> int:
        return int.from_bytes(raw[at : at + 4], "little")

    def u16(at: int) -> int:
        return int.from_bytes(raw[at : at + 2], "little")

    revision, compat, incompat, ro_compat = u32(76), u32(92), u32(96), u32(100)
    log_block, log_cluster = u32(24), u32(28)
    if log_block > 6:
        raise NotExt("block size above 64 KiB")
    ratio = 1 << (log_cluster - log_block) if ro_compat & RO_BIGALLOC and log_block <= log_cluster <= 24 else 1
    wide = bool(incompat & INCOMPAT_64BIT)
    found = Superblock(
        inodes=u32(0),
        blocks=u32(4) | (u32(336) << 32 if wide else 0),
        first_block=u32(20),
        block_size=1024 << log_block,
        cluster_ratio=ratio,
        blocks_per_group=u32(32),
        inodes_per_group=u32(40),
        inode_size=u16(88) if revision else 128,
        first_inode=u32(84) if revision else 11,
        state=u16(58),
        creator_os=u32(72),
        revision=revision,
        compat=compat,
        incompat=incompat,
        ro_compat=ro_compat,
        descriptor_size=max(64, u16(254)) if wide else 32,
        reserved_descriptors=u16(206),
        first_meta_bg=u32(260),
        journal_inode=u32(224),
        journal_device=u32(228),
        last_orphan=u32(232),
        special=frozenset((u32(0x240), u32(0x244), u32(0x26C), u32(0x280))) - {0},
        uuid=raw[104:120],
        written=u32(48),
    )
    _plausible(found)
    return found


def _plausible(block: Superblock) -> None:
    size = block.inode_size
    if not 128 <= size <= block.block_size or size & (size - 1):
        raise NotExt("inode size")
    if not 0 < block.inodes_per_group <= 8 * block.block_size:
        raise NotExt("inodes per group")
    if not 0 < block.blocks_per_group <= 8 * block.block_size * block.cluster_ratio:
        raise NotExt("blocks per group")
    if block.first_block >= block.blocks or not block.inodes:
        raise NotExt("block count")
    if block.descriptor_size > block.block_size or block.descriptor_size & (block.descriptor_size - 1):
        raise NotExt("descriptor size")


@dataclass(frozen=True, slots=True)
class Groups:
    """The group descriptors as columns: block numbers of bitmaps and inode tables, unused inodes at the table's end."""

    block_bitmap: Longs
    inode_bitmap: Longs
    inode_table: Longs
    flags: Longs
    unused: Longs

    @property
    def count(self) -> int:
        return len(self.inode_table)


def descriptor_blocks(block: Superblock, groups: int) -> list[int]:
    """The blocks of the primary group descriptors in order, with the meta_bg placement where it is in use."""
    per_block = block.block_size // block.descriptor_size
    own = SUPERBLOCK_AT // block.block_size  # 1 where blocks are 1 KiB
    needed = (groups + per_block - 1) // per_block
    found = []
    for number in range(needed):
        if block.incompat & INCOMPAT_META_BG and number >= block.first_meta_bg:
            group = number * per_block
            found.append(block.first_block + group * block.blocks_per_group + has_superblock(block, group))
        else:
            found.append(own + 1 + number)
    return found


def has_superblock(block: Superblock, group: int) -> int:
    """1 where the group begins with a copy of the superblock, else 0."""
    if group <= 1 or not block.ro_compat & RO_SPARSE_SUPER:
        return 1
    for base in (3, 5, 7):
        power = base
        while power < group:
            power *= base
        if power == group:
            return 1
    return 0


def read_groups(source: ByteSource, block: Superblock) -> tuple[Groups, list[Gap]]:
    """The group descriptors that the volume can hold, and gaps for those it claims beyond.

    A volume cannot have more inode tables than fit into it: a superblock that claims billions of groups costs nothing.
    """
    gaps: list[Gap] = []
    table = block.inodes_per_group * block.inode_size
    most = source.size // table + 1
    claimed = min(block.groups, (block.inodes + block.inodes_per_group - 1) // block.inodes_per_group)
    groups = min(claimed, most)
    if groups < claimed:
        end = source.size
        text = f"{claimed - groups} of {claimed} block groups lie beyond the end of the volume"
        gaps.append(Gap(end, max(0, block.blocks * block.block_size - end), GapReason.TRUNCATED, text))
    elif (whole := min(block.blocks * block.block_size, 1 << 62)) > source.size:
        text = f"the volume says {whole} bytes; {whole - source.size} of them lie beyond the end of the image"
        gaps.append(Gap(source.size, whole - source.size, GapReason.TRUNCATED, text))
    size = block.block_size
    raw = b"".join(source.pread(b * size, size).ljust(size, b"\0") for b in descriptor_blocks(block, groups))
    step = block.descriptor_size
    per_block = size // step
    rows = np.frombuffer(raw, dtype=np.uint8)[: len(raw) // size * size].reshape(-1, step)[:groups]
    if per_block * step != size:
        raise NotExt("descriptor size")
    words = rows.view("<u4").astype(np.int64)
    halves = rows.view("<u2").astype(np.int64)
    low = [words[:, 0].copy(), words[:, 1].copy(), words[:, 2].copy()]
    unused = halves[:, 14].copy()
    if step >= 64:
        for index in range(3):
            low[index] |= words[:, 8 + index] << 32
        unused |= halves[:, 25] << 16
    if not block.ro_compat & (RO_GDT_CSUM | RO_METADATA_CSUM):
        unused[:] = 0
        flags = np.zeros(groups, np.int64)
    else:
        flags = halves[:, 9].copy()
    return Groups(low[0], low[1], low[2], flags, np.minimum(unused, block.inodes_per_group)), gaps
