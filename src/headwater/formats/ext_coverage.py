# SPDX-License-Identifier: Apache-2.0
"""What every block of an ext volume is: in use, free, or part of the file system's own frame."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from headwater.formats.ext_layout import (
    GROUP_BLOCK_UNINIT,
    INCOMPAT_META_BG,
    Groups,
    Superblock,
    descriptor_blocks,
    has_superblock,
)
from headwater.formats.trees import Coverage
from headwater.model.ports import ByteSource

_WHAT: tuple[Coverage, ...] = ("unallocated", "allocated", "metadata")


def _frame(block: Superblock, groups: Groups) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(first block, blocks) of superblock copies, descriptors, bitmaps and inode tables."""
    per_table = (block.inodes_per_group * block.inode_size + block.block_size - 1) // block.block_size
    numbers = np.arange(groups.count, dtype=np.int64)
    copies = np.array([n for n in range(groups.count) if has_superblock(block, n)], np.int64)
    gdt = (groups.count * block.descriptor_size + block.block_size - 1) // block.block_size + block.reserved_descriptors
    if block.incompat & INCOMPAT_META_BG:
        gdt = min(gdt, block.first_meta_bg)  # the other descriptors stand in their own groups
    spread = _meta_groups(block, groups.count)
    firsts = [
        block.first_block + copies * block.blocks_per_group,
        groups.block_bitmap,
        groups.inode_bitmap,
        groups.inode_table,
        np.array(descriptor_blocks(block, groups.count), np.int64),
        np.zeros(1, np.int64),
        np.array(spread, np.int64),
    ]
    head = 1 if block.block_size > 1024 else 2
    counts = [np.full(len(copies), 1 + gdt), np.ones_like(numbers), np.ones_like(numbers)]
    counts += [np.full(groups.count, per_table), np.ones(len(firsts[4]), np.int64), np.array([head])]
    counts.append(np.ones(len(spread), np.int64))
    return np.concatenate(firsts), np.concatenate(counts).astype(np.int64)


def _meta_groups(block: Superblock, count: int) -> list[int]:
    """The three copies of each descriptor block that stand in their own groups (meta_bg): first, second, last."""
    if not block.incompat & INCOMPAT_META_BG:
        return []
    per_block = block.block_size // block.descriptor_size
    found = []
    for start in range(block.first_meta_bg * per_block, count, per_block):
        for group in {start, start + 1, start + per_block - 1}:
            if group < count:
                found.append(block.first_block + group * block.blocks_per_group + has_superblock(block, group))
    return found


def coverage(source: ByteSource, block: Superblock, groups: Groups) -> Iterator[tuple[int, int, Coverage]]:
    """Ranges (offset, length, what) in order, from the first byte to the last block that the superblock counts."""
    size = block.block_size
    firsts, counts = _frame(block, groups)
    order = np.argsort(firsts, kind="stable")
    firsts, counts = firsts[order], counts[order]
    ends = firsts + counts
    longest = int(counts.max()) if len(counts) else 0
    held_at, held, held_what = 0, 0, -1
    for group in range(groups.count):
        start = block.first_block + group * block.blocks_per_group if group else 0
        stop = min(block.first_block + (group + 1) * block.blocks_per_group, block.blocks)
        what = _bits(source, block, groups, group, start, stop)
        low = int(np.searchsorted(firsts, start - longest))
        high = int(np.searchsorted(firsts, stop))
        for first, end in zip(firsts[low:high].tolist(), ends[low:high].tolist()):
            what[max(0, first - start) : max(0, min(end, stop) - start)] = 2
        breaks = np.flatnonzero(np.diff(what)) + 1
        edges = [0, *breaks.tolist(), len(what)]
        for begin, end in pairwise(edges):
            if begin == end:
                continue
            value = int(what[begin])
            if value == held_what:
                held += (end - begin) * size
                continue
            if held:
                yield held_at, held, _WHAT[held_what]
            held_at, held, held_what = (start + begin) * size, (end - begin) * size, value
    if held:
        yield held_at, held, _WHAT[held_what]


def _bits(
    source: ByteSource, block: Superblock, groups: Groups, group: int, start: int, stop: int
) -> NDArray[np.uint8]:
    count = max(0, stop - start)
    if groups.flags[group] & GROUP_BLOCK_UNINIT:
        return np.zeros(count, np.uint8)
    lead = block.first_block if not group else 0  # with 1 KiB blocks the bitmap begins at block 1
    clusters = (count - lead + block.cluster_ratio - 1) // block.cluster_ratio
    raw = source.pread(int(groups.block_bitmap[group]) * block.block_size, (clusters + 7) // 8)
    bits = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")[:clusters]
    full = np.repeat(bits, block.cluster_ratio) if block.cluster_ratio > 1 else bits
    result = np.zeros(count, np.uint8)
    result[lead : lead + len(full)] = full[: max(0, count - lead)]
    return result


def blocks_in_use(
    source: ByteSource,
    block: Superblock,
    groups: Groups,
    first: int,
    count: int,
    held: OrderedDict[int, NDArray[np.uint8]],
) -> NDArray[np.uint8]:
    """Of ``count`` blocks from ``first``, which are in use (1) by the bitmaps; outside the volume all are.

    ``held`` keeps the bitmaps of some groups between calls.
    """
    found = np.ones(count, np.uint8)
    at = max(first, block.first_block)
    while at < min(first + count, block.blocks):
        group = (at - block.first_block) // block.blocks_per_group
        if group >= groups.count:
            break
        start = block.first_block + group * block.blocks_per_group if group else 0
        stop = min(block.first_block + (group + 1) * block.blocks_per_group, block.blocks)
        bits = held.get(group)
        if bits is None:
            bits = _bits(source, block, groups, group, start, stop)
            held[group] = bits
            if len(held) > 64:
                held.popitem(last=False)
        end = min(stop, first + count)
        found[at - first : end - first] = bits[at - start : end - start]
        at = end
    return found
