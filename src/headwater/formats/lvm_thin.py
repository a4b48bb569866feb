# SPDX-License-Identifier: Apache-2.0
"""Thin volumes: a pool's map from (device, block) to blocks of its data.

Layout: the kernel's drivers/md/dm-thin-metadata.c and persistent-data/dm-btree-internal.h, dm-space-map-common.h. Blocks
of 4 KiB, little-endian, each with a CRC-32C of its own; two levels of B+tree: devices, then blocks, whose values keep
the place in their upper 40 bits and a time below. A block that no device maps reads as zeros: so does the kernel.
"""

from __future__ import annotations

import bisect
import struct

from headwater.formats.lvm_segments import Refused, Resolver
from headwater.formats.lvm_text import Tree, number
from headwater.formats.sources import BadRanges, RangeSource
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource

_BLOCK = 4096
_SUPER = 27022010
_SUPER_XOR, _NODE_XOR = 160774, 121107
_SECTOR = 512
_INTERNAL, _LEAF = 1, 2
_DEPTH = 12
_CACHED = 512


class Pool:
    """A thin pool: its metadata and data volumes.

    Raises:
        Refused: the metadata have no superblock that fits.
    """

    def __init__(self, metadata: ByteSource, data: ByteSource, chunk: int) -> None:
        self._metadata, self.data, self.chunk = metadata, data, chunk
        head = metadata.pread(0, _BLOCK)
        if len(head) < _BLOCK or int.from_bytes(head[32:40], "little") != _SUPER:
            raise Refused(GapReason.NOT_THIS_FORMAT, "a thin pool without a superblock")
        if not _fits(head, _SUPER_XOR):
            raise Refused(GapReason.UNREADABLE, "the superblock of a thin pool has a wrong checksum")
        # csum 4, flags 4, block 8, uuid 16, magic 8, version 4, time 4, transaction 8, metadata snapshot 8, two space maps
        # of 128 each, root of the maps 8, root of the details 8, data block size in sectors 4
        self._devices, _, sectors = struct.unpack_from("<QQI", head, 320)
        if sectors * _SECTOR != chunk:
            raise Refused(GapReason.NOT_THIS_FORMAT, "a thin pool whose chunk size is not that of its volume")
        self._nodes: dict[int, tuple[bool, list[int], list[int]]] = {}

    def device(self, number: int) -> int:
        """The root of a device's map.

        Raises:
            Refused: the pool does not know the device.
        """
        root = self.find(self._devices, number)
        if root is None:
            raise Refused(GapReason.UNREADABLE, f"the thin pool does not know device {number}")
        return root

    def find(self, root: int, key: int) -> int | None:
        """The value of a key in a tree; None where it has none.

        Raises:
            Refused: a node that is not one.
        """
        block = root
        for _ in range(_DEPTH):
            leaf, keys, values = self._node(block)
            index = bisect.bisect_right(keys, key) - 1
            if index < 0:
                return None
            if leaf:
                return values[index] if keys[index] == key else None
            block = values[index]
        raise Refused(GapReason.LIMIT, "a tree of a thin pool is too deep")

    def _node(self, block: int) -> tuple[bool, list[int], list[int]]:
        found = self._nodes.get(block)
        if found is not None:
            return found
        raw = self._metadata.pread(block * _BLOCK, _BLOCK)
        # csum 4, flags 4, block 8, entries 4, most entries 4, value size 4, padding 4
        if len(raw) < _BLOCK or not _fits(raw, _NODE_XOR):
            raise Refused(GapReason.UNREADABLE, f"block {block} of a thin pool's metadata has a wrong checksum")
        flags, here, count, most, size = struct.unpack_from("<IQIII", raw, 4)
        if flags not in (_INTERNAL, _LEAF) or here != block or count > most or most > 252 or size != 8:
            raise Refused(GapReason.NOT_THIS_FORMAT, f"block {block} of a thin pool's metadata is no node")
        keys = list(struct.unpack_from(f"<{count}Q", raw, 32))
        values = list(struct.unpack_from(f"<{count}Q", raw, 32 + 8 * most))
        if len(self._nodes) >= _CACHED:
            self._nodes.clear()
        self._nodes[block] = found = (flags == _LEAF, keys, values)
        return found


def _fits(block: bytes, salt: int) -> bool:
    from headwater.formats.crc32c import crc32c  # numpy is loaded with it: only where there is a thin pool

    return crc32c(0xFFFFFFFF, block[4:]) ^ salt == int.from_bytes(block[:4], "little")


class ThinSource(RangeSource):
    """One thin volume; blocks without a place are zeros, or those of an origin outside the pool."""

    def __init__(self, pool: Pool, device: int, size: int, origin: ByteSource | None) -> None:
        self._pool, self._origin, self._size = pool, origin, size
        self._root = pool.device(device)
        self._bad = BadRanges()

    def _read(self, offset: int, length: int) -> bytes:
        parts: list[bytes] = []
        for source, at, take in self._map(offset, length):
            data = b"" if source is None else source.pread(at, take)
            if source is not None and len(data) < take:
                self._bad.add(offset, take, GapReason.TRUNCATED, "beyond the end of the thin pool's data")
            parts.append(data.ljust(take, b"\0"))
            offset += take
        return b"".join(parts)

    def _map(self, offset: int, length: int) -> list[tuple[ByteSource | None, int, int]]:
        found: list[tuple[ByteSource | None, int, int]] = []
        chunk, end = self._pool.chunk, offset + length
        while offset < end:
            index, inside = divmod(offset, chunk)
            take = min(end - offset, chunk - inside)
            try:
                value = self._pool.find(self._root, index)
            except Refused as error:
                self._bad.add(offset, take, error.reason, error.detail)
                value = None
            if value is not None:
                found.append((self._pool.data, (value >> 24) * chunk + inside, take))
            elif self._origin is not None and offset < self._origin.size:
                found.append((self._origin, offset, take))
            else:
                found.append((None, 0, take))
            offset += take
        return found

    def parts(self, offset: int, length: int) -> list[tuple[ByteSource, int, int]]:
        """(source, offset in it, length) of what holds the bytes; what the pool does not keep is left out."""
        found = self._map(offset, max(0, min(length, self._size - offset)))
        return [(source, at, take) for source, at, take in found if source is not None]

    def close(self) -> None:
        """Nothing of its own to close: the pool's volumes stay with whoever opened them."""


def thin(resolver: Resolver, segment: Tree, length: int) -> ByteSource:
    """The thin volume that a segment describes.

    Raises:
        Refused: its pool cannot be read, or does not know it.
    """
    name = str(segment.get("thin_pool"))
    pool = resolver.pools.get(name)
    if not isinstance(pool, Pool):
        parts = resolver.segments(name)
        if not parts or str(parts[0].get("type", "")).split("+")[0] != "thin-pool":
            raise Refused(GapReason.NOT_THIS_FORMAT, f"volume {name} is no thin pool")
        metadata, data = (resolver.open(str(parts[0].get(word))) for word in ("metadata", "pool"))
        resolver.pools[name] = pool = Pool(metadata, data, number(parts[0], "chunk_size") * _SECTOR)
    outside = segment.get("external_origin")
    origin = resolver.open(str(outside)) if outside is not None else None
    return ThinSource(pool, number(segment, "device_id"), length, origin)
