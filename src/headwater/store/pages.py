# SPDX-License-Identifier: Apache-2.0
"""Pages, column chunks and schema elements of a Parquet file, as the structs of its footer.

Formats: https://github.com/apache/parquet-format (README.md, Encodings.md, src/main/thrift/parquet.thrift).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from headwater.store.thrift import BINARY, I32, I64, LIST, STRUCT, Struct, varint, written, zigzag

BOOLEAN, INT64, BYTE_ARRAY = 0, 2, 6  # physical types
PLAIN, RLE, DELTA_BINARY_PACKED, RLE_DICTIONARY = 0, 3, 5, 8
UNCOMPRESSED, ZSTD, LZ4_RAW = 0, 6, 7
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2
_OPTIONAL, _UTF8 = 1, 0
_LONGEST_STATISTIC = 64  # bytes


def i32(value: int) -> tuple[int, int]:
    return I32, zigzag(value)


def i64(value: int) -> tuple[int, int]:
    return I64, zigzag(value)


def _header(sort: int, number: int, header: Struct, raw: int, stored: int) -> bytes:
    """A page's header; ``number`` is the field that the kind of page has in PageHeader."""
    return written({1: i32(sort), 2: i32(raw), 3: i32(stored), number: (STRUCT, header)})


def data_header(rows: int, encoding: int, raw: int, stored: int) -> bytes:
    """The header of a data page of so many bytes, unpacked and as they stand."""
    return _header(_DATA_PAGE, 5, {1: i32(rows), 2: i32(encoding), 3: i32(RLE), 4: i32(RLE)}, raw, stored)


def dictionary_header(values: int, raw: int, stored: int) -> bytes:
    """The header of a dictionary page."""
    return _header(_DICTIONARY_PAGE, 7, {1: i32(values), 2: i32(PLAIN)}, raw, stored)


def element(physical: int, name: str) -> Struct:
    """A column's SchemaElement."""
    made: Struct = {1: i32(physical), 3: i32(_OPTIONAL), 4: (BINARY, name.encode())}
    if physical == BYTE_ARRAY:
        made |= {6: i32(_UTF8), 10: (STRUCT, {1: (STRUCT, {})})}
    return made


def statistics(nulls: int, least: bytes | None = None, greatest: bytes | None = None) -> Struct:
    """How many values are null, and the least and the greatest of the others."""
    found: Struct = {3: i64(nulls)}
    if least is not None and greatest is not None:
        found |= {5: (BINARY, greatest), 6: (BINARY, least)}
    return found


@dataclass(frozen=True, slots=True)
class Chunk:
    """A column of one row group: two pages with their headers (the dictionary may be empty), and what the footer says."""

    physical: int
    encoding: int
    dictionary: bytes
    data: bytes
    unpacked: int  # bytes of both pages with their headers, before they were compressed
    codec: int
    statistics: Struct

    @property
    def size(self) -> int:
        return len(self.dictionary) + len(self.data)

    def footer(self, name: str, rows: int, at: int) -> Struct:
        """The ColumnChunk of these pages, standing at ``at``."""
        used = (PLAIN, RLE, RLE_DICTIONARY) if self.dictionary else (self.encoding, RLE)
        meta: Struct = {
            1: i32(self.physical), 2: (LIST, (I32, [zigzag(e) for e in used])), 3: (LIST, (BINARY, [name.encode()])),
            4: i32(self.codec), 5: i64(rows), 6: i64(self.unpacked), 7: i64(self.size), 9: i64(at + len(self.dictionary)),
        }  # fmt: skip
        if self.dictionary:
            meta[11] = i64(at)
        meta[12] = (STRUCT, self.statistics)
        return {2: i64(at), 3: (STRUCT, meta)}


@dataclass(frozen=True, slots=True)
class Constant:
    """A column of text or of whole numbers that holds ``value`` in every row."""

    text: bool
    value: str | int | None

    @property
    def physical(self) -> int:
        return BYTE_ARRAY if self.text else INT64

    def _plain(self) -> bytes:
        """The value as the encoding PLAIN has it, without the length of a text."""
        return self.value.encode() if isinstance(self.value, str) else struct.pack("<q", self.value)

    def chunk(self, rows: int) -> Chunk:
        """Pages of a few bytes: one run of nulls, or one value and one run of "the first value"."""
        levels = varint(rows << 1) + (b"\0" if self.value is None else b"\1")
        data = struct.pack("<I", len(levels)) + levels
        if self.value is None:
            page = data_header(rows, PLAIN, len(data), len(data)) + data
            return Chunk(self.physical, PLAIN, b"", page, len(page), UNCOMPRESSED, statistics(rows))
        plain = self._plain()
        entry = struct.pack("<I", len(plain)) + plain if self.text else plain
        dictionary = dictionary_header(1, len(entry), len(entry)) + entry
        data += b"\1" + varint(rows << 1) + b"\0"  # indices of one bit, and a run of the first
        page = data_header(rows, RLE_DICTIONARY, len(data), len(data)) + data
        short = plain if len(plain) <= _LONGEST_STATISTIC else None
        size = len(dictionary) + len(page)
        return Chunk(self.physical, RLE_DICTIONARY, dictionary, page, size, UNCOMPRESSED, statistics(0, short, short))
