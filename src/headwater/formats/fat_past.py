# SPDX-License-Identifier: Apache-2.0
"""The content of deleted files in FAT and exFAT, whose directories keep the first cluster and the length alone."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from headwater.formats.free_space import FreeSpace
from headwater.formats.sources import Bad, Piece
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource

_LATER = "these clusters belong to another file by now"
_UNKNOWN = "where this part stood is not known any more"


def cluster_of(source: ByteSource, kind: str) -> int:
    """Bytes of a cluster, by the boot sector."""
    head = source.pread(0, 512)
    if kind == "exfat":
        return 1 << min(head[108] + head[109], 25)
    return int(struct.unpack_from("<H", head, 11)[0]) * head[13]


def past_content(
    source: ByteSource, free: FreeSpace, runs: Sequence[tuple[int, int]], size: int
) -> tuple[list[Piece], list[Bad]]:
    """Pieces that make ``size`` bytes of a deleted file, and which of them are not its own any more.

    ``runs``: (offset, length) that follow from its first cluster. Where that one is in use by now they tell no more
    than it: the clusters behind it are then taken for the file's, as they are where nothing else was in the way.
    """
    if runs and not bool(free.holds(runs[0][0], 1)[0]):
        runs = [(runs[0][0], min(size, source.size - runs[0][0]))]
    pieces: list[Piece] = []
    bad: list[Bad] = []
    at = 0
    for place, length in runs:
        length = min(length, size - at)
        if length <= 0:
            break
        held = free.holds(place, -(-length // free.block))
        edges = [0, *(np.flatnonzero(np.diff(held)) + 1).tolist(), len(held)]
        for low, high in pairwise(edges):
            begin, end = low * free.block, min(high * free.block, length)
            pieces.append(Piece(source if held[low] else None, place + begin if held[low] else 0, end - begin))
            if not held[low]:
                bad.append((at + begin, end - begin, GapReason.OVERWRITTEN, _LATER))
        at += length
    if at < size:
        pieces.append(Piece(None, 0, size - at))
        bad.append((at, size - at, GapReason.OVERWRITTEN, _UNKNOWN))
    return pieces, bad
