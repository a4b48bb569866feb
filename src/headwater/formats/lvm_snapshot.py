# SPDX-License-Identifier: Apache-2.0
"""Snapshots of LVM2's older kind: the origin's blocks, but for those that the store keeps as they were or became.

Layout: the kernel's drivers/md/dm-snap-persistent.c. The store's first chunk is a header; then, over and over, a chunk
full of exceptions (old chunk, new chunk), followed by the chunks that they name. Little-endian.
"""

from __future__ import annotations

import struct

from headwater.formats.lvm_segments import Refused, Resolver
from headwater.formats.lvm_text import Tree, number
from headwater.formats.sources import ChainSource, Piece
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource

_MAGIC = 0x70416E53
_SECTOR = 512
_MOST = 4_000_000


def snapshot(resolver: Resolver, segment: Tree, store: ByteSource) -> ByteSource:
    """The snapshot that a hidden segment of type ``snapshot`` describes, over its store.

    Raises:
        Refused: the origin is not there, or the store is not one, or was given up because it was full.
    """
    origin = resolver.open(str(segment.get("origin")))
    magic, valid, version, sectors = struct.unpack("<IIII", store.pread(0, 16).ljust(16, b"\0"))
    chunk = sectors * _SECTOR
    if magic != _MAGIC or version != 1 or not 4096 <= chunk <= 1 << 24 or chunk & (chunk - 1):
        raise Refused(GapReason.NOT_THIS_FORMAT, "the store of a snapshot has no header")
    if number(segment, "chunk_size") != sectors:
        raise Refused(GapReason.NOT_THIS_FORMAT, "the store of a snapshot has another chunk size than its volume")
    if not valid:
        raise Refused(GapReason.OVERWRITTEN, "the snapshot was full and was given up; what it kept is not whole")
    kept = _exceptions(store, chunk)
    pieces: list[Piece] = []
    at = 0
    for old in sorted(kept):
        start = old * chunk
        if start >= origin.size:
            break
        if start > at:
            pieces.append(Piece(origin, at, start - at))
        at = min(start + chunk, origin.size)
        pieces.append(Piece(store, kept[old] * chunk, at - start))
    pieces.append(Piece(origin, at, origin.size - at))
    return ChainSource(pieces)


def _exceptions(store: ByteSource, chunk: int) -> dict[int, int]:
    per = chunk // 16
    kept: dict[int, int] = {}
    area = 1
    while area * chunk < store.size and len(kept) < _MOST:
        for old, new in struct.iter_unpack("<QQ", store.pread(area * chunk, chunk).ljust(chunk, b"\0")):
            if not new:
                return kept
            if new * chunk < store.size:
                kept[old] = new
        area += per + 1
    return kept
