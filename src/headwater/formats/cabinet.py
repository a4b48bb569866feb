# SPDX-License-Identifier: Apache-2.0
"""Reads the one file of a cabinet: servicing logs that Windows puts away (CbsPersist_*.cab).

Format: https://learn.microsoft.com/previous-versions/bb417343(v=msdn.10) (cabinet file format), MSZIP by [MS-MCI]: blocks
of 32 KiB at most, each a deflate stream behind ``CK`` that may refer back into the block before. Stored and MSZIP
folders are read; LZX and Quantum ones, cabinets of several files and those that go on in another one are not.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource

MAGIC = b"MSCF"
_HEAD = 36
_BLOCK = 32768
_PACKED_MOST = _BLOCK + 6144  # what MSZIP may grow to, by the format's description
_METHODS = {0: "stored", 1: "MSZIP", 2: "Quantum", 3: "LZX"}
_RESERVED, _CHAINED = 4, 3


class BadCabinet(Exception):
    """The content cannot go on: ``offset`` in the cabinet, ``reason`` and the words why."""

    def __init__(self, offset: int, reason: GapReason, detail: str) -> None:
        super().__init__(detail)
        self.offset = offset
        self.reason = reason


class _Plan(NamedTuple):
    at: int  # the first block
    blocks: int
    method: int
    reserve: int  # bytes of each block's head that an application keeps
    skip: int  # bytes of the folder before the file
    size: int


def is_one_log(name: str, head: bytes) -> bool:
    """Whether a file is a cabinet of one file by its first bytes, under the name of a servicing log put away."""
    inner = name.rpartition("/")[2].lower()
    single = head[:4] == MAGIC and len(head) >= _HEAD and struct.unpack_from("<HH", head, 26) == (1, 1)
    return single and inner.startswith("cbspersist_")


def content(source: ByteSource) -> Iterator[tuple[int, bytes, bool]]:
    """The file's bytes block by block: where the next block stands, the bytes, and whether the block's checksum holds.

    Raises:
        BadCabinet: where the bytes end or make no sense.
    """
    plan = _plan(source)
    at, before, skip, left = plan.at, b"", plan.skip, plan.size
    for _ in range(plan.blocks):
        if not left:
            break
        head = source.pread(at, 8 + plan.reserve)
        if len(head) < 8 + plan.reserve:
            raise BadCabinet(at, GapReason.TRUNCATED, "the cabinet ends before its last block")
        checksum, packed, plain = struct.unpack_from("<IHH", head)
        data = source.pread(at + len(head), packed)
        if len(data) < packed:
            raise BadCabinet(at, GapReason.TRUNCATED, "the cabinet ends within a block")
        if plain > _BLOCK or packed > _PACKED_MOST:
            raise BadCabinet(at, GapReason.UNREADABLE, "a block of the cabinet states a size that cannot be")
        whole = data if plan.method == 0 else _inflated(data, before, at)
        if len(whole) != plain:
            raise BadCabinet(
                at, GapReason.UNREADABLE, "a block of the cabinet holds another number of bytes than it states"
            )
        at, before = at + len(head) + packed, whole
        chunk = whole[skip : skip + left]
        skip, left = max(0, skip - plain), left - len(chunk)
        yield at, chunk, not checksum or checksum == _checksum(head[4:], _checksum(data, 0))
    if left:
        raise BadCabinet(at, GapReason.TRUNCATED, f"the blocks of the cabinet end {left} bytes before its file")


def _plan(source: ByteSource) -> _Plan:
    head = source.pread(0, _HEAD)
    if len(head) < _HEAD or head[:4] != MAGIC:
        raise BadCabinet(0, GapReason.NOT_THIS_FORMAT, "no head of a cabinet")
    (files,) = struct.unpack_from("<I", head, 16)
    (flags,) = struct.unpack_from("<H", head, 30)
    at, reserve = _HEAD, 0
    if flags & _CHAINED:
        raise BadCabinet(0, GapReason.UNSUPPORTED, "a cabinet that goes on in another one")
    if flags & _RESERVED:
        sizes = source.pread(at, 4)
        if len(sizes) < 4:
            raise BadCabinet(at, GapReason.TRUNCATED, "the head of the cabinet is cut off")
        own, _, reserve = struct.unpack("<HBB", sizes)
        at += 4 + own
    folder, file = source.pread(at, 8), source.pread(files, 16)
    if len(folder) < 8 or len(file) < 16:
        raise BadCabinet(at, GapReason.TRUNCATED, "the head of the cabinet is cut off")
    first, blocks, method = struct.unpack("<IHH", folder)
    size, skip = struct.unpack_from("<II", file)
    if method & 15 not in (0, 1):
        raise BadCabinet(
            first, GapReason.UNSUPPORTED, f"a cabinet packed by {_METHODS.get(method & 15, 'an unknown method')}"
        )
    return _Plan(first, blocks, method & 15, reserve, skip, size)


def _inflated(data: bytes, before: bytes, at: int) -> bytes:
    if data[:2] != b"CK":
        raise BadCabinet(at, GapReason.UNREADABLE, "a block of the cabinet is no MSZIP block")
    inflater = zlib.decompressobj(-15, zdict=before[-_BLOCK:])
    try:
        return inflater.decompress(data[2:], _BLOCK + 1)
    except zlib.error as error:
        raise BadCabinet(at, GapReason.UNREADABLE, f"a block of the cabinet is broken: {error}") from None


def _checksum(data: bytes, seed: int) -> int:
    """The words of four bytes xored; what is left over counts as one big-endian number."""
    import numpy as np  # only where there is a cabinet

    whole = len(data) & ~3
    rest = int.from_bytes(data[whole:], "big")
    return seed ^ int(np.bitwise_xor.reduce(np.frombuffer(data[:whole], "<u4"), initial=0)) ^ rest
