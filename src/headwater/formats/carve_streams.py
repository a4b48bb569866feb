# SPDX-License-Identifier: Apache-2.0
"""Walks over what was packed as one stream in free space, as rotated logs are: xz, bzip2 and Zstandard.

Formats: https://tukaani.org/xz/xz-file-format.txt; bzip2 1.0.8 (a block begins with the digits of pi); RFC 8878. The end of an xz or
bzip2 stream is found by unpacking it, whose sums must fit; of a Zstandard frame by its blocks' lengths, then it is unpacked.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import zstandard

from headwater.formats.carve_walk import STEPS_MOST, Stretch, Walked, number

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_READ = 1 << 16
_OUT = 1 << 20
_UNPACKED_MOST = 1 << 30
_XZ_MEMORY = 192 << 20
_ZSTD_WINDOW = 128 << 20
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_BLOCK = 128 << 10
_LEAST = 64  # bytes that must come out of a stream that is not whole


class _Machine(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def xz(data: Stretch) -> Walked | None:
    """An xz file: one stream or several, one behind the other."""
    head = data.at(0, 12)
    if len(head) < 12 or zlib.crc32(head[6:8]) != number(head, 8, 4) or head[6] or head[7] & 0xF0:
        return None
    checked = head[7] & 0x0F != 0
    return _streams(data, "xz", "xz", head[:6], lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY), checked)


def bzip2(data: Stretch) -> Walked | None:
    """A bzip2 file: one stream or several."""
    head = data.at(0, 10)
    if len(head) < 10 or not 0x31 <= head[3] <= 0x39 or head[4:10] != b"\x31\x41\x59\x26\x53\x59":
        return None
    return _streams(data, "bzip2", "bz2", head[:3], bz2.BZ2Decompressor, True)


def _streams(
    data: Stretch, kind: str, ending: str, magic: bytes, machine: Callable[[], _Machine], checked: bool
) -> Walked | None:
    at = made = 0
    for _ in range(STEPS_MOST):
        length, out, whole = _stream(data, at, machine(), _UNPACKED_MOST - made)
        made += out
        if not whole:
            if at:
                break
            if out < _LEAST:
                return None
            return Walked(kind, ending, length, False, "structure", "it cannot be unpacked to its end")
        at += length
        if data.at(at, len(magic)) != magic:
            break
    return Walked(kind, ending, at, True, "checksum" if checked else "structure")


def _stream(data: Stretch, start: int, machine: _Machine, most: int) -> tuple[int, int, bool]:
    """(bytes taken, bytes made, whether it came to its end and its sums fit)."""
    at, made = start, 0
    part = b""
    try:
        while not machine.eof and made <= most:
            if machine.needs_input:
                part = data.at(at, _READ)
                if not part:
                    break
                at += len(part)
            else:
                part = b""
            out = len(machine.decompress(part, _OUT))
            data.pay(out)
            made += out
    except (lzma.LZMAError, OSError, EOFError, MemoryError):
        return at - start, made, False
    return at - start - len(machine.unused_data), made, machine.eof


def zstd(data: Stretch) -> Walked | None:
    """A Zstandard file: one frame or several."""
    at, whole, summed = 0, True, True
    for _ in range(STEPS_MOST):
        if data.at(at, 4) != _ZSTD:
            break
        end, complete, checked = _frame(data, at)
        if not complete:
            if at:
                break  # what stands behind whole frames is not this file's
            at, whole = end, False
            break
        at, summed = end, summed and checked
    made = _unpacked(data, at)
    if not at or (not whole and made < _LEAST):
        return None
    if not whole or made < 0:
        return Walked("zstd", "zst", at, False, "structure", "it cannot be unpacked to its end")
    return Walked("zstd", "zst", at, True, "checksum" if summed else "structure")


def _frame(data: Stretch, start: int) -> tuple[int, bool, bool]:
    """(where a frame ends, or what of it is there; whether that is its end; whether it has a checksum)."""
    flags = number(data.at(start + 4, 1), 0, 1)
    if flags & 0x18:
        return start, False, False
    single = bool(flags & 0x20)
    at = start + 5 + (0 if single else 1) + (0, 1, 2, 4)[flags & 3] + (int(single), 2, 4, 8)[flags >> 6]
    for _ in range(STEPS_MOST):
        head = data.at(at, 3)
        size, kind = number(head, 0, 3) >> 3, number(head, 0, 1) >> 1 & 3
        if len(head) < 3 or kind == 3 or size > _ZSTD_BLOCK:
            break
        after = at + 3 + (1 if kind == 1 else size)
        if after > data.size:
            data.short = True
            return data.size, False, False
        at = after
        if head[0] & 1:
            end = at + (4 if flags & 4 else 0)
            return (end, True, bool(flags & 4)) if end <= data.size else (data.size, False, False)
    return at, False, False


class _Within(io.RawIOBase):
    """The first bytes of a stretch as a file."""

    def __init__(self, data: Stretch, size: int) -> None:
        self._data, self._left, self._at = data, size, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        room = memoryview(buffer)
        part = self._data.at(self._at, min(self._left, len(room))) if self._left else b""
        self._at, self._left = self._at + len(part), self._left - len(part)
        room[: len(part)] = part
        return len(part)


def _unpacked(data: Stretch, size: int) -> int:
    """How many bytes come out of frames; less than 0 where not all of them do, or a sum does not fit."""
    made = 0
    machine = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    try:
        with machine.stream_reader(
            io.BufferedReader(_Within(data, size), _READ), read_size=_READ, read_across_frames=True
        ) as reader:
            while part := reader.read(_OUT):
                data.pay(len(part))
                made += len(part)
                if made > _UNPACKED_MOST:
                    return -1
    except (zstandard.ZstdError, MemoryError):
        return -1
    return made
