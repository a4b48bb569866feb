# SPDX-License-Identifier: Apache-2.0
"""The fixed structures of a Windows event log file (EVTX): file header, chunk header, record header.

A file is a header block of 4,096 bytes and chunks of 65,536; a chunk has a header of 512 bytes and records that follow
each other. All numbers are little-endian, times are FILETIME in UTC.
https://github.com/libyal/libevtx/blob/main/documentation/Windows%20XML%20Event%20Log%20(EVTX).asciidoc,
https://learn.microsoft.com/openspecs/windows_protocols/ms-even6/
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

FILE_MAGIC = b"ElfFile\0"
CHUNK_MAGIC = b"ElfChnk\0"
RECORD_MAGIC = b"**\0\0"
FILE_HEADER = 4096
CHUNK = 65_536
CHUNK_HEADER = 512
RECORD_HEADER = 24
RECORD_LEAST = 28  # header and the size repeated at the end
DIRTY = 1
FULL = 2
_FILE = struct.Struct("<8sQQQIHHHH76xII")
_CHUNK = struct.Struct("<8sQQQQIIII64xII")
_RECORD = struct.Struct("<4sIQQ")
_SIZE = struct.Struct("<I")
FILETIME_EPOCH = 116_444_736_000_000_000  # 1970 in units of 100 ns since 1601
_LATEST = FILETIME_EPOCH + 92_233_720_368_547_758  # the last FILETIME that fits nanoseconds since 1970


@dataclass(frozen=True, slots=True)
class FileHeader:
    """``chunks``: how many chunks the header counts; it lags behind in a log that was not closed (``dirty``)."""

    next_record: int
    version: tuple[int, int]
    chunks: int
    dirty: bool
    full: bool
    sound: bool


@dataclass(frozen=True, slots=True)
class ChunkHeader:
    """``first`` and ``last``: record numbers; ``free``: where the next record would stand; sums checked or not."""

    first: int
    last: int
    first_id: int
    last_id: int
    last_record: int
    free: int
    header_sound: bool
    records_sound: bool


def file_header(data: bytes) -> FileHeader | None:
    """The header at the start of a file; None where there is none."""
    if len(data) < _FILE.size or not data.startswith(FILE_MAGIC):
        return None
    _, _, _, following, _, minor, major, _, chunks, flags, checksum = _FILE.unpack_from(data)
    sound = zlib.crc32(data[:120]) == checksum
    return FileHeader(following, (major, minor), chunks, bool(flags & DIRTY), bool(flags & FULL), sound)


def chunk_header(data: bytes) -> ChunkHeader | None:
    """The header of a chunk (``data`` is all of the chunk that there is); None where there is none."""
    if len(data) < CHUNK_HEADER or not data.startswith(CHUNK_MAGIC):
        return None
    _, first, last, first_id, last_id, _, last_record, free, records_sum, _, header_sum = _CHUNK.unpack_from(data)
    header_sound = zlib.crc32(data[128:512], zlib.crc32(data[:120])) == header_sum
    within = CHUNK_HEADER <= free <= len(data)
    records_sound = within and zlib.crc32(data[CHUNK_HEADER:free]) == records_sum
    return ChunkHeader(first, last, first_id, last_id, last_record, free, header_sound, records_sound)


def record_at(data: bytes, at: int, end: int) -> tuple[int, int, int] | None:
    """Size, number and FILETIME of the record at ``at``; None where none stands whole before ``end``."""
    if at + RECORD_LEAST > end:
        return None
    magic, size, number, written = _RECORD.unpack_from(data, at)
    if magic != RECORD_MAGIC or size < RECORD_LEAST or at + size > end:
        return None
    if _SIZE.unpack_from(data, at + size - 4)[0] != size:
        return None
    return size, number, written


def nanoseconds(filetime: int) -> int | None:
    """A FILETIME as nanoseconds since 1970; None where it does not fit (or was never set)."""
    return (filetime - FILETIME_EPOCH) * 100 if 0 < filetime <= _LATEST else None
