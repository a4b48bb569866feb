# SPDX-License-Identifier: Apache-2.0
"""What a volume says of itself beside its files: used clusters, a journal not played back."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.formats.trees import Coverage
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

# what pytsk3 raises for bytes that it cannot make sense of
STATE_ERRORS = (OSError, SystemError, RuntimeError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)
_ROOT_MOST = 4096  # clusters of a root directory that are looked through
DATA = frozenset({1, 4352})  # default, HFS data fork


def journal_gaps(source: ByteSource, kind: str) -> Iterator[Gap]:
    """A gap where the volume was not cleanly dismounted and its journal holds what is not in the tree."""
    if kind in ("hfsplus", "hfsx"):
        # TN1150, volume header: bit 8 unmounted, bit 13 journaled
        attributes = int.from_bytes(source.pread(1028, 4), "big")
        if attributes & 0x2000 and not attributes & 0x100:
            yield Gap(
                0, source.size, GapReason.NOT_REPLAYED, "the volume was not cleanly unmounted; its journal is not read"
            )


def coverage_of(source: ByteSource, kind: str) -> Iterator[tuple[int, int, Coverage]]:
    """Ranges (offset, length, what) of used and free clusters where the volume tells them."""
    if kind == "exfat":
        yield from exfat_coverage(source)
    elif kind.startswith("fat"):
        yield from _fat_coverage(source, kind)


def ranges_of(used: NDArray[Any], at: int, unit: int) -> Iterator[tuple[int, int, Coverage]]:
    edges = [0, *(np.flatnonzero(np.diff(used.astype(np.int8))) + 1).tolist(), len(used)]
    for begin, end in pairwise(edges):
        if end > begin:
            yield at + begin * unit, (end - begin) * unit, "allocated" if used[begin] else "unallocated"


def exfat_coverage(source: ByteSource) -> Iterator[tuple[int, int, Coverage]]:
    """By the allocation bitmap, an entry of the root directory (Microsoft, "exFAT file system specification", 7.1)."""
    head = source.pread(0, 512)
    if len(head) < 512 or not 9 <= head[108] <= 12 or head[108] + head[109] > 25:
        return
    sector = 1 << head[108]
    unit = sector << head[109]
    fat, _, heap, count, root = struct.unpack_from("<5I", head, 80)
    heap, count = heap * sector, min(count, max(0, source.size - heap * sector) // unit)
    place, size = _bitmap(source, fat * sector, heap, unit, count, root)
    raw = np.frombuffer(source.pread(place, min(size, -(-count // 8))), np.uint8) if place else np.empty(0, np.uint8)
    if len(raw) * 8 < count or not count:
        return
    yield 0, heap, "metadata"
    yield from ranges_of(np.unpackbits(raw, count=count, bitorder="little") != 0, heap, unit)


def _bitmap(source: ByteSource, fat: int, heap: int, unit: int, count: int, cluster: int) -> tuple[int, int]:
    """(place, size in bytes) of the allocation bitmap; (0, 0) where the root directory does not tell it."""
    seen: set[int] = set()
    while 2 <= cluster < count + 2 and cluster not in seen and len(seen) < _ROOT_MOST:
        seen.add(cluster)
        data = source.pread(heap + (cluster - 2) * unit, unit)
        for at in range(0, len(data) - 31, 32):
            if data[at] == 0:
                return 0, 0
            if data[at] == 0x81 and not data[at + 1] & 1:
                first, size = struct.unpack_from("<IQ", data, at + 20)
                return (heap + (first - 2) * unit, size) if 2 <= first < count + 2 else (0, 0)
        cluster = int.from_bytes(source.pread(fat + cluster * 4, 4), "little")
    return 0, 0


def _fat_coverage(source: ByteSource, kind: str) -> Iterator[tuple[int, int, Coverage]]:
    """By the first file allocation table; an entry of 0 is a free cluster (Microsoft, fatgen103)."""
    head = source.pread(0, 512)
    if len(head) < 512:
        return
    sector, cluster, reserved, fats, root, total16, _, per_fat = struct.unpack_from("<HBHBHHBH", head, 11)
    if not sector * cluster:  # The Sleuth Kit may have gone by the copy of the boot sector
        return
    total = total16 or struct.unpack_from("<I", head, 32)[0]
    per_fat = per_fat or struct.unpack_from("<I", head, 36)[0]
    frame = (reserved + fats * per_fat) * sector + (root * 32 + sector - 1) // sector * sector
    yield 0, frame, "metadata"
    clusters = max(0, (min(total * sector, source.size) - frame) // (cluster * sector))
    raw = np.frombuffer(source.pread(reserved * sector, min(per_fat * sector, (clusters + 2) * 4)), np.uint8)
    if kind == "fat32":
        entries = raw[: len(raw) // 4 * 4].view("<u4") & 0x0FFFFFFF
    elif kind == "fat16":
        entries = raw[: len(raw) // 2 * 2].view("<u2").astype(np.uint32)
    else:
        triple = raw[: len(raw) // 3 * 3].reshape(-1, 3).astype(np.uint32)
        pair = np.stack((triple[:, 0] | (triple[:, 1] & 15) << 8, triple[:, 1] >> 4 | triple[:, 2] << 4), axis=1)
        entries = pair.reshape(-1)
    yield from ranges_of(entries[2 : clusters + 2] != 0, frame, cluster * sector)
