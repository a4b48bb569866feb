# SPDX-License-Identifier: Apache-2.0
"""Decompresses gzip, bzip2, xz, zstd and servicing logs' cabinets as streams, under limits, keeping what was good before a fault.

Formats: RFC 1952 (gzip), RFC 8878 (zstd), https://tukaani.org/xz/xz-file-format.txt, bzip2 1.0.8, and
:mod:`headwater.formats.cabinet`. The magic number decides, not the name (of a cabinet both). A gzip stream may have
several members; zero padding after the last is allowed, other bytes are a gap. Content of a gzip member whose checksum
does not fit is given out and said to be doubtful.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, cast

from isal import isal_zlib

from headwater.formats.cabinet import BadCabinet, content, is_one_log
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

Layer = Literal["gz", "bz2", "xz", "zst", "cab", "deflate"]  # deflate: a bare RFC 1951 stream, as zip holds it

# the wheel's stub declares an instance where the class is
IsalError = cast(type[Exception], isal_zlib.IsalError)

_READ = 64 << 10
_GIVE = 1 << 20
_BITE = 4 << 10
_MIB = 1 << 20
_XZ_MEMORY = 192 * _MIB  # xz -9 needs 65 MiB to decompress; a hostile header may ask for 4 GiB
_ZSTD_WINDOW = 128 * _MIB  # zstd --ultra -22 uses 128 MiB
_MEMBERS = 1_000_000
_GZIP_HEADER = 1 * _MIB  # a name or comment longer than this is not believed


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one stream: bytes given out, and bytes out per byte in once ``ratio_from`` bytes came out."""

    total: int = 4 << 30
    ratio: int = 400
    ratio_from: int = 256 * _MIB


DEFAULT_LIMITS = Limits()


def layer_of(name: str, head: bytes) -> Layer | None:
    """Which compression a file has by its first bytes (36 suffice); its name is not believed without them."""
    if head[:3] == b"\x1f\x8b\x08":
        return "gz"
    # bzip2: the block size digit, then pi (a block) or sqrt(pi) (the end of an empty stream)
    if head[:3] == b"BZh" and head[3:4] in b"123456789" and head[4:6] in (b"\x31\x41", b"\x17\x72"):
        return "bz2"
    if head[:6] == b"\xfd7zXZ\x00":
        return "xz"
    if head[:4] == b"\x28\xb5\x2f\xfd":
        return "zst"
    return "cab" if is_one_log(name, head) else None


class _Broken(Exception):
    """The stream cannot go on: where in the compressed bytes, why, and whether it concerns what was given out."""

    def __init__(self, offset: int, reason: GapReason, detail: str) -> None:
        super().__init__(detail)
        self.gap_from = offset
        self.reason = reason
        self.detail = detail


class Decompression(Iterator[bytes]):
    """The chunks of a decompressed stream (each at most 1 MiB), then, if something was wrong, ``gap``.

    ``gap`` has its offset and length in the compressed bytes: from the fault to the end of the source, or the member
    whose checksum does not fit. ``total`` counts the bytes given out. Nothing raises for hostile input.
    """

    def __init__(self, source: ByteSource, layer: Layer, limits: Limits = DEFAULT_LIMITS) -> None:
        self._source = source
        self._limits = limits
        self.layer = layer
        self.gap: Gap | None = None
        self.total = 0
        self._at = 0  # compressed bytes taken so far
        stream = {
            "gz": self._gzip,
            "deflate": self._inflate,
            "bz2": self._members,
            "xz": self._members,
            "zst": self._zstd,
            "cab": self._cabinet,
        }[layer]
        self._chunks = stream()

    def __next__(self) -> bytes:
        if self.gap is not None and self.gap.reason is GapReason.LIMIT:
            raise StopIteration
        try:
            chunk = next(self._chunks)
        except _Broken as fault:
            self.gap = Gap(fault.gap_from, self._source.size - fault.gap_from, fault.reason, fault.detail)
            raise StopIteration from None
        room = self._limits.total - self.total
        if len(chunk) > room:
            chunk = chunk[:room]
            self._stop(f"more than {self._limits.total} bytes come out of this stream")
        self.total += len(chunk)
        if self.total > self._limits.ratio_from and self.total > self._limits.ratio * max(1, self._at):
            self._stop(f"more than {self._limits.ratio} bytes come out for each byte in")
        if not chunk:
            raise StopIteration
        return chunk

    def _stop(self, detail: str) -> None:
        self.gap = Gap(self._at, max(0, self._source.size - self._at), GapReason.LIMIT, detail)

    def _read(self) -> bytes:
        data = self._source.pread(self._at, _READ)
        self._at += len(data)
        return data

    def _only_zeros(self, at: int) -> bool:
        """Whether nothing but padding is left from ``at`` on (tar and tape pad so)."""
        while at < self._source.size:
            block = self._source.pread(at, _READ)
            if block.strip(b"\0"):
                return False
            at += len(block)
        return True

    # gzip ---------------------------------------------------------------------------------------------------------

    def _gzip(self) -> Iterator[bytes]:
        doubtful: Gap | None = None
        member = count = 0
        while True:
            count += 1
            if count > _MEMBERS:
                raise _Broken(member, GapReason.LIMIT, f"more than {_MEMBERS} gzip members")
            body = self._gzip_header(member)
            if body is None:
                break
            crc = size = 0
            self._at = body
            for chunk in self._inflate():
                crc = isal_zlib.crc32(chunk, crc)
                size += len(chunk)
                yield chunk
            trailer = self._source.pread(self._at, 8)
            self._at += len(trailer)
            if len(trailer) < 8:
                raise _Broken(self._at, GapReason.TRUNCATED, "the checksum of the last member is cut off")
            if struct.unpack("<II", trailer) != (crc, size & 0xFFFFFFFF):
                detail = "the checksum of this gzip member does not fit what it holds: some of it is wrong"
                doubtful = doubtful or Gap(member, self._at - member, GapReason.UNREADABLE, detail)
            member = self._at
        self.gap = doubtful

    def _gzip_header(self, at: int) -> int | None:
        """The offset of the deflate data of the member at ``at``; None where only padding is left (RFC 1952 §2.3)."""
        size = self._source.size
        head = self._source.pread(at, 10)
        if at and self._only_zeros(at):
            return None
        if head[:3] != b"\x1f\x8b\x08" or (len(head) > 3 and head[3] & 0xE0):
            raise _Broken(at, GapReason.NOT_THIS_FORMAT, "no gzip member begins here")
        if len(head) < 10:
            raise _Broken(at, GapReason.TRUNCATED, "the header of a gzip member is cut off")
        flags, position = head[3], at + 10
        if flags & 4:
            extra = self._source.pread(position, 2)
            position += 2 + int.from_bytes(extra, "little")
        for flag in (8, 16):  # original name, comment: each ended by a zero byte
            if flags & flag:
                text = self._source.pread(position, _GZIP_HEADER)
                end = text.find(b"\0")
                if end < 0:
                    raise _Broken(at, GapReason.TRUNCATED, "the header of a gzip member has no end")
                position += end + 1
        if flags & 2:
            position += 2
        if position > size:
            raise _Broken(at, GapReason.TRUNCATED, "the header of a gzip member is cut off")
        return position

    def _inflate(self) -> Iterator[bytes]:
        """One raw deflate stream from ``_at``, which is left at the first byte after it."""
        start, given = self._at, 0
        inflater = isal_zlib.decompressobj(-15)
        data = self._read()
        while True:
            try:
                chunk = inflater.decompress(data, _GIVE)
            except IsalError:
                yield from self._rescue(start, given)
                return
            given += len(chunk)
            if chunk:
                yield chunk
            if inflater.eof:
                self._at -= len(inflater.unused_data)
                return
            data = inflater.unconsumed_tail
            # a full chunk may have left output inside the inflater: an empty call fetches it before more is read
            if not data and len(chunk) < _GIVE:
                data = self._read()
                if not data:
                    raise _Broken(self._source.size, GapReason.TRUNCATED, "the compressed data end early")

    def _rescue(self, start: int, given: int) -> Iterator[bytes]:
        """After a fault: the same stream again with zlib, giving what comes after ``given``.

        isal drops the output of the call that fails; here the failing bite is taken again byte by byte.
        """
        inflater = zlib.decompressobj(-15)
        at, made, step = start, 0, _BITE
        while True:
            bite = self._source.pread(at, step)
            if not bite:
                raise _Broken(at, GapReason.TRUNCATED, "the compressed data end early")
            before = inflater.copy() if step > 1 else inflater
            try:
                chunk = inflater.decompress(bite)  # a bite of 4 KiB can give 4 MiB at most
            except zlib.error as error:
                if step > 1:
                    inflater, step = before, 1
                    continue
                raise _Broken(at, GapReason.UNREADABLE, f"the compressed data are broken here: {error}") from None
            at += len(bite)
            made += len(chunk)
            if made > given:
                yield chunk[-(made - given) :] if made - given < len(chunk) else chunk
                given = made
            self._at = at
            if inflater.eof:
                self._at -= len(inflater.unused_data)
                return

    # bzip2 and xz -------------------------------------------------------------------------------------------------

    def _members(self) -> Iterator[bytes]:
        while True:
            start = self._at
            head = self._source.pread(start, 6)
            if start and self._only_zeros(start):
                return
            if layer_of("", head) != self.layer:
                raise _Broken(start, GapReason.NOT_THIS_FORMAT, f"no {self.layer} stream begins here")
            yield from self._member(start)

    def _member(self, start: int) -> Iterator[bytes]:
        """One bzip2 or xz stream; small bites again from its start after a fault, as the library drops its output."""
        given = 0
        for bite in (_READ, 64):
            engine = _engine(self.layer)
            self._at, made = start, 0
            data = b""
            try:
                while not engine.eof:
                    if engine.needs_input:
                        at = self._at
                        data = self._source.pread(at, bite)
                        self._at += len(data)
                        if not data:
                            raise _Broken(at, GapReason.TRUNCATED, "the compressed data end early")
                    chunk = engine.decompress(data, _GIVE)
                    data = b""
                    made += len(chunk)
                    if made > given:
                        yield chunk[-(made - given) :] if made - given < len(chunk) else chunk
                        given = made
                self._at -= len(engine.unused_data)
                return
            except (OSError, ValueError, EOFError, lzma.LZMAError) as error:
                where = max(start, self._at - bite)
                fault = _Broken(where, GapReason.UNREADABLE, f"the compressed data are broken here: {error}")
        raise fault

    def _cabinet(self) -> Iterator[bytes]:
        doubtful: Gap | None = None
        try:
            for after, chunk, good in content(self._source):
                if not good and doubtful is None:
                    detail = "the checksum of a block of the cabinet does not fit what it holds: some of it is wrong"
                    doubtful = Gap(self._at, after - self._at, GapReason.UNREADABLE, detail)
                self._at = after
                if chunk:
                    yield chunk
        except BadCabinet as error:
            raise _Broken(error.offset, error.reason, str(error)) from None
        self.gap = doubtful

    # zstd ---------------------------------------------------------------------------------------------------------

    def _zstd(self) -> Iterator[bytes]:
        """Frames cut into their blocks (RFC 8878 §3.1.1), so that one call can never give out more than 128 KiB."""
        while self._at < self._source.size:
            start = self._at
            head = self._source.pread(start, 18)
            if start and self._only_zeros(start):
                return
            magic = int.from_bytes(head[:4], "little")
            if magic & 0xFFFFFFF0 == 0x184D2A50:  # a skippable frame
                self._at += 8 + int.from_bytes(head[4:8], "little")
                continue
            if magic != 0xFD2FB528:
                raise _Broken(start, GapReason.NOT_THIS_FORMAT, "no zstd frame begins here")
            yield from self._zstd_frame(start, head)

    def _zstd_frame(self, start: int, head: bytes) -> Iterator[bytes]:
        import zstandard  # only where there is such a stream

        flags = (head + b"\0")[4]
        single = flags >> 5 & 1
        content_size = (1 if single else 0, 2, 4, 8)[flags >> 6]
        header = 5 + (1 - single) + (0, 1, 2, 4)[flags & 3] + content_size
        engine = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
        pending, self._at = self._take(start, header), start + header
        last = False
        try:
            while not last:
                block = int.from_bytes(self._take(self._at, 3), "little")
                last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
                length = 3 + (1 if kind == 1 else size)  # kind 1: one byte, repeated
                if length > 3 + (128 << 10):
                    raise _Broken(self._at, GapReason.UNREADABLE, "a zstd block states an impossible size")
                if last and flags & 4:
                    length += 4  # the checksum of the content
                pending += self._take(self._at, length)
                chunk = engine.decompress(pending)
                pending = b""
                self._at += length
                if chunk:
                    yield chunk
        except zstandard.ZstdError as error:
            raise _Broken(self._at, GapReason.UNREADABLE, f"the compressed data are broken here: {error}") from None

    def _take(self, offset: int, length: int) -> bytes:
        data = self._source.pread(offset, length)
        if len(data) < length:
            raise _Broken(offset, GapReason.TRUNCATED, "the compressed data end early")
        return data


class _Engine(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def _engine(layer: Layer) -> _Engine:
    if layer == "bz2":
        return bz2.BZ2Decompressor()
    return cast(_Engine, lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY))


def decompress(source: ByteSource, layer: Layer, limits: Limits = DEFAULT_LIMITS) -> Decompression:
    """The content of a compressed file as an iterator of chunks; see :class:`Decompression`."""
    return Decompression(source, layer, limits)


def inflate_zlib(data: bytes | memoryview, most: int) -> bytes | None:
    """The content of one whole zlib stream (RFC 1950) of at most ``most`` bytes whose checksum fits; otherwise None."""
    engine = isal_zlib.decompressobj()
    try:
        content: bytes = engine.decompress(data, most + 1)
    except IsalError:
        return None
    return content if engine.eof and len(content) <= most else None
