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
    if kind.startswith("fat"):
        yield from _fat_coverage(source, kind)


def _ranges(used: NDArray[Any], at: int, unit: int) -> Iterator[tuple[int, int, Coverage]]:
    edges = [0, *(np.flatnonzero(np.diff(used.astype(np.int8))) + 1).tolist(), len(used)]
    for begin, end in pairwise(edges):
        if end > begin:
            yield at + begin * unit, (end - begin) * unit, "allocated" if used[begin] else "unallocated"


def _fat_coverage(source: ByteSource, kind: str) -> Iterator[tuple[int, int, Coverage]]:
    """By the first file allocation table; an entry of 0 is a free cluster (Microsoft, fatgen103)."""
    head = source.pread(0, 512)
    sector, cluster, reserved, fats, root, total16, _, per_fat = struct.unpack_from("<HBHBHHBH", head, 11)
    total = total16 or struct.unpack_from("<I", head, 32)[0]
    per_fat = per_fat or struct.unpack_from("<I", head, 36)[0]
    frame = (reserved + fats * per_fat) * sector + (root * 32 + sector - 1) // sector * sector
    yield 0, frame, "metadata"
    clusters = (min(total * sector, source.size) - frame) // (cluster * sector)
    raw = np.frombuffer(source.pread(reserved * sector, min(per_fat * sector, (clusters + 2) * 4)), np.uint8)
    if kind == "fat32":
        entries = raw[: len(raw) // 4 * 4].view("<u4") & 0x0FFFFFFF
    elif kind == "fat16":
        entries = raw[: len(raw) // 2 * 2].view("<u2").astype(np.uint32)
    else:
        triple = raw[: len(raw) // 3 * 3].reshape(-1, 3).astype(np.uint32)
        pair = np.stack((triple[:, 0] | (triple[:, 1] & 15) << 8, triple[:, 1] >> 4 | triple[:, 2] << 4), axis=1)
        entries = pair.reshape(-1)
    yield from _ranges(entries[2 : clusters + 2] != 0, frame, cluster * sector)
