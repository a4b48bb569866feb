# SPDX-License-Identifier: Apache-2.0
"""The bytes of NTFS streams: plain, sparse, compressed (LZNT1), system-compressed (WOF); what cannot be had is said.

A file whose bytes are not here (encrypted by EFS, in a deduplication store, with a cloud service) has its size, zeros
for bytes, and all of it in ``bad``: zeros are never passed off as content. Reparse points: [MS-FSCC] 2.1.2,
https://learn.microsoft.com/openspecs/windows_protocols/ms-fscc/; WOF: FILE_PROVIDER_EXTERNAL_INFO_V1 in ntifs.h.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence

from headwater.formats import lznt1, lzx, xpress_huffman
from headwater.formats.ntfs_file import Attribute, MftMap, Stream, joined
from headwater.formats.ntfs_runs import Run
from headwater.formats.sources import Bad, BadRanges, ChainSource, MemorySource, Piece, RangeSource
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource

DATA, REPARSE = 0x80, 0xC0
COMPRESSED, ENCRYPTED = 0x00FF, 0x4000
WOF, DEDUP = 0x80000017, 0x80000013
WOF_STREAM = "WofCompressedData"
_CLOUD = 0x9000001A
_REPARSE_MOST = 16 << 10
_CACHED = 8
_WOF_CHUNKS = {0: 4096, 1: 32768, 2: 8192, 3: 16384}  # XPRESS4K, LZX, XPRESS8K, XPRESS16K
_CHUNKS_MOST = 1 << 24


class UnitSource(RangeSource):
    """Bytes that are made unit by unit; a unit that cannot be made is zeros and stands in ``bad``."""

    def __init__(self, size: int, unit: int, make: Callable[[int], bytes], below: ByteSource) -> None:
        self._size, self._unit, self._make, self._below = size, unit, make, below
        self._bad = BadRanges()
        self._held: OrderedDict[int, bytes] = OrderedDict()

    def _read(self, offset: int, length: int) -> bytes:
        parts = []
        while length:
            index, inside = divmod(offset, self._unit)
            held = self._one(index)[inside : inside + length]
            parts.append(held)
            offset += len(held)
            length -= len(held)
        return b"".join(parts)

    def _one(self, index: int) -> bytes:
        if index in self._held:
            self._held.move_to_end(index)
            return self._held[index]
        at = index * self._unit
        want = min(self._unit, self._size - at)
        before = len(self._below.bad)
        try:
            data = self._make(index)
            if len(self._below.bad) != before:
                _, _, reason, detail = self._below.bad[-1]
                self._bad.add(at, want, reason, f"where this part stands: {detail}")
        except (ValueError, IndexError, struct.error) as error:
            data = b""
            self._bad.add(at, want, GapReason.NOT_THIS_FORMAT, f"compressed data: {str(error)[:120]}")
        data = data[:want].ljust(want, b"\0")
        self._held[index] = data
        while len(self._held) > _CACHED:
            self._held.popitem(last=False)
        return data

    def close(self) -> None:
        """Nothing of its own to close."""
        self._held.clear()


def lost(size: int, reason: GapReason, detail: str) -> ChainSource:
    """A content of which only the size is known."""
    return ChainSource((Piece(None, 0, size),), extra=((0, size, reason, detail),))


def reparse_of(mft: MftMap, parts: Sequence[Attribute]) -> bytes:
    """The reparse point of a file (tag, length, data); empty where it has none."""
    held = [a for a in parts if a.type == REPARSE]
    return mft.read(joined(held), _REPARSE_MOST) if held else b""


def open_stream(source: ByteSource, cluster: int, stream: Stream) -> ByteSource:
    """The content of one stream of the volume ``source``."""
    if stream.flags & ENCRYPTED and stream.size:
        return lost(stream.size, GapReason.ENCRYPTED, "the file is encrypted (EFS)")
    if stream.resident is not None:
        return MemorySource(stream.resident)
    if stream.flags & COMPRESSED:
        if stream.flags & COMPRESSED != 1 or not stream.unit:
            return lost(stream.size, GapReason.UNSUPPORTED, "a compression that no reader here knows")
        return _compressed(source, cluster, stream)
    pieces, bad = pieces_of(source, cluster, stream)
    return ChainSource(pieces, extra=bad)


def pieces_of(source: ByteSource, cluster: int, stream: Stream) -> tuple[list[Piece], list[Bad]]:
    """The pieces of a plain or sparse stream, in order, and what of it no run maps."""
    pieces: list[Piece] = []
    bad: list[Bad] = []
    at = 0
    size, valid = stream.size, stream.initialized
    for run in stream.runs:
        start = run.logical * cluster
        if start >= size:
            break
        if start > at:
            pieces.append(Piece(None, 0, start - at))
            bad.append((at, start - at, GapReason.UNREADABLE, "a part of this stream that no record maps"))
        end = min(start + run.length * cluster, size)
        held = max(0, min(end, valid) - start) if run.physical >= 0 else 0
        if held:
            pieces.append(Piece(source, run.physical * cluster, held))
        if end - start > held:  # a hole, or beyond what was ever written: zeros by the format
            pieces.append(Piece(None, 0, end - start - held))
        at = end
    if at < size:
        pieces.append(Piece(None, 0, size - at))
        if at < valid or stream.broken:
            bad.append((at, size - at, GapReason.UNREADABLE, "a part of this stream that no record maps"))
    return pieces, bad


def _compressed(source: ByteSource, cluster: int, stream: Stream) -> UnitSource:
    unit = stream.unit * cluster
    runs = stream.runs
    starts = [run.logical for run in runs]

    def make(index: int) -> bytes:
        low, high = index * stream.unit, (index + 1) * stream.unit
        held: list[bytes] = []
        holes = 0
        for run in _between(runs, starts, low, high):
            first, last = max(run.logical, low), min(run.logical + run.length, high)
            if run.physical < 0:
                holes += last - first
            elif holes:
                raise ValueError("clusters after a hole in one unit")
            else:
                place = (run.physical + first - run.logical) * cluster
                held.append(source.pread(place, (last - first) * cluster).ljust((last - first) * cluster, b"\0"))
        data = b"".join(held)
        if not data:
            if not holes and index * unit < stream.initialized:
                raise ValueError("a part of this stream that no record maps")
            return b""
        plain = data if len(data) >= unit else lznt1.decompress(data, unit)
        return plain[: max(0, stream.initialized - index * unit)]

    return UnitSource(stream.size, unit, make, source)


def _between(runs: Sequence[Run], starts: Sequence[int], low: int, high: int) -> list[Run]:
    import bisect

    first = max(0, bisect.bisect_right(starts, low) - 1)
    found = []
    for run in runs[first:]:
        if run.logical >= high:
            break
        if run.logical + run.length > low:
            found.append(run)
    return found


def open_reparsed(
    source: ByteSource, mft: MftMap, parts: Sequence[Attribute], reparse: bytes, size: int
) -> ByteSource | None:
    """The content that a reparse point stands for; None where it is no kind that holds a file's content elsewhere."""
    tag = int.from_bytes(reparse[:4], "little")
    if tag == DEDUP:
        return lost(size, GapReason.UNSUPPORTED, "the content is in the volume's deduplication store")
    if tag & 0xFFFF0FFF == _CLOUD:
        return lost(size, GapReason.UNSUPPORTED, "a placeholder: the content is with a cloud service")
    if tag != WOF or len(reparse) < 16:
        return None
    if len(reparse) < 24 or struct.unpack_from("<III", reparse, 8) != (1, 2, 1):
        return lost(size, GapReason.UNSUPPORTED, "system-compressed, with its content in a WIM file")
    chunk = _WOF_CHUNKS.get(int.from_bytes(reparse[20:24], "little"))
    held = [a for a in parts if a.type == DATA and a.name == WOF_STREAM]
    if chunk is None or not held:
        return lost(size, GapReason.UNSUPPORTED, "system-compressed in a way that no reader here knows")
    return wof_source(open_stream(source, mft.boot.cluster, joined(held)), size, chunk)


def wof_source(packed: ByteSource, size: int, chunk: int) -> ByteSource:
    """The plain bytes of a WofCompressedData stream: a table of offsets, then chunks, each by itself."""
    count = -(-size // chunk)
    width = 4 if size <= 0xFFFFFFFF else 8
    if count > _CHUNKS_MOST:
        return lost(size, GapReason.LIMIT, "system-compressed in more chunks than are read")
    base = max(0, count - 1) * width
    unpack = lzx.decompress if chunk == 32768 else xpress_huffman.decompress

    def make(index: int) -> bytes:
        begin = int.from_bytes(packed.pread((index - 1) * width, width), "little") if index else 0
        end = int.from_bytes(packed.pread(index * width, width), "little") if index + 1 < count else packed.size - base
        plain = min(chunk, size - index * chunk)
        if not 0 <= begin < end or end - begin > chunk or base + end > packed.size:
            raise ValueError("a chunk that lies outside its stream")
        data = packed.pread(base + begin, end - begin)
        return data if len(data) == plain else unpack(data, plain)

    return UnitSource(size, chunk, make, packed)
