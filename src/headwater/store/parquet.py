# SPDX-License-Identifier: Apache-2.0
"""Writes a frame as one Parquet file, in which columns of one value cost nothing.

Of the header that every event has, most columns hold nothing or one value throughout a part, and to encode them like any
other was a quarter of what a log line cost. Polars writes the other columns; these are then added at the file's end as
pages of a few bytes (one run of nulls, or one value and one run of "the first value"), and the footer names all columns
in the frame's order. To every reader of Parquet it is a file like any other.

Formats: https://github.com/apache/parquet-format (README.md, Encodings.md, src/main/thrift/parquet.thrift).
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

import polars as pl

from headwater.store.thrift import BINARY, I32, I64, LIST, STRUCT, Struct, read, signed, varint, written, zigzag

ROW_GROUP = 256 * 1024  # so a part is one group
_MAGIC = b"PAR1"
_INT64, _BYTE_ARRAY = 2, 6  # physical types
_PLAIN, _RLE, _RLE_DICTIONARY = 0, 3, 8
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2
_OPTIONAL, _UTF8, _UNCOMPRESSED = 1, 0, 0
_LONGEST_STATISTIC = 64  # bytes


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    """The frame (of plain columns, none nested) as a Parquet file in row groups of :data:`ROW_GROUP` rows."""
    constant = _constants(frame)
    out = io.BytesIO()
    # the least and the greatest text of a column cost a tenth of the writing and tell a search next to nothing
    frame.drop(constant).write_parquet(
        out, compression="lz4", compression_level=None, row_group_size=ROW_GROUP, statistics=False
    )
    return _completed(out.getvalue(), frame, constant)


@dataclass(frozen=True, slots=True)
class _Constant:
    """A column of text or of whole numbers that holds ``value`` in every row."""

    text: bool
    value: str | int | None

    def plain(self) -> bytes:
        """The value as the encoding PLAIN has it, without the length of a text."""
        return self.value.encode() if isinstance(self.value, str) else struct.pack("<q", self.value)

    def pages(self, rows: int) -> tuple[bytes, bytes]:
        """The dictionary page (empty for nulls) and the data page of one column chunk."""
        levels = varint(rows << 1) + (b"\0" if self.value is None else b"\1")
        data = struct.pack("<I", len(levels)) + levels
        encoding = _PLAIN
        dictionary = b""
        if self.value is not None:
            entry = self.plain()
            entry = struct.pack("<I", len(entry)) + entry if self.text else entry
            dictionary = _page(_DICTIONARY_PAGE, 7, {1: _i32(1), 2: _i32(_PLAIN)}, entry)
            data += b"\1" + varint(rows << 1) + b"\0"  # indices of one bit, and a run of the first
            encoding = _RLE_DICTIONARY
        header: Struct = {1: _i32(rows), 2: _i32(encoding), 3: _i32(_RLE), 4: _i32(_RLE)}
        return dictionary, _page(_DATA_PAGE, 5, header, data)

    def schema(self, name: str) -> Struct:
        """The column's SchemaElement."""
        element: Struct = {
            1: _i32(_BYTE_ARRAY if self.text else _INT64), 3: _i32(_OPTIONAL), 4: (BINARY, name.encode())
        }  # fmt: skip
        if self.text:
            element |= {6: _i32(_UTF8), 10: (STRUCT, {1: (STRUCT, {})})}
        return element

    def chunk(self, name: str, rows: int, at: int, dictionary: int, data: int) -> Struct:
        """The ColumnChunk of pages at ``at`` of these sizes."""
        size = dictionary + data
        encodings = [zigzag(e) for e in ((_PLAIN, _RLE, _RLE_DICTIONARY) if dictionary else (_PLAIN, _RLE))]
        meta: Struct = {
            1: _i32(_BYTE_ARRAY if self.text else _INT64), 2: (LIST, (I32, encodings)), 3: (LIST, (BINARY, [name.encode()])),
            4: _i32(_UNCOMPRESSED), 5: _i64(rows), 6: _i64(size), 7: _i64(size), 9: _i64(at + dictionary),
        }  # fmt: skip
        statistics: Struct = {3: _i64(rows if self.value is None else 0)}
        if dictionary:
            meta[11] = _i64(at)
            if len(plain := self.plain()) <= _LONGEST_STATISTIC:
                statistics |= {5: (BINARY, plain), 6: (BINARY, plain)}
        meta[12] = (STRUCT, statistics)
        return {2: _i64(at), 3: (STRUCT, meta)}


def _i32(value: int) -> tuple[int, int]:
    return I32, zigzag(value)


def _i64(value: int) -> tuple[int, int]:
    return I64, zigzag(value)


def _page(sort: int, number: int, header: Struct, body: bytes) -> bytes:
    """A page with its header; ``number`` is the field that the kind of page has in PageHeader."""
    size = _i32(len(body))
    return written({1: _i32(sort), 2: size, 3: size, number: (STRUCT, header)}) + body


def _constants(frame: pl.DataFrame) -> dict[str, _Constant]:
    """The columns that need not be written value by value; at least one column is left."""
    found: dict[str, _Constant] = {}
    height = frame.height
    for series in frame.iter_columns() if height else ():
        text = series.dtype == pl.String
        if not text and series.dtype != pl.Int64:
            continue
        nulls = series.null_count()
        if nulls == height:
            found[series.name] = _Constant(text, None)
        elif not nulls and series[0] == series[-1] == series[height // 2] and (series == series[0]).all():
            found[series.name] = _Constant(text, series[0])
    if len(found) == len(frame.columns):
        found.popitem()
    return found


def _statistics(values: pl.Series) -> Struct:
    """Nulls, the greatest and the least of whole numbers, as Statistics."""
    found: Struct = {3: _i64(values.null_count())}
    least, greatest = values.min(), values.max()
    if isinstance(least, int) and isinstance(greatest, int):
        found |= {5: (BINARY, struct.pack("<q", greatest)), 6: (BINARY, struct.pack("<q", least))}
    return found


def _completed(data: bytes, frame: pl.DataFrame, constant: dict[str, _Constant]) -> bytes:
    """The file with the constant columns in their places, and the bounds of whole numbers."""
    order = frame.columns
    numbers = [s for s in frame.iter_columns() if s.dtype == pl.Int64 and s.name not in constant]
    size = struct.unpack("<I", data[-8:-4])[0]
    footer = read(data[-8 - size : -8])
    at = len(data) - 8 - size
    out = [data[:at]]
    root, *others = footer[2][1][1]
    elements = {bytes(e[4][1]).decode(): e for e in others}
    elements |= {name: c.schema(name) for name, c in constant.items()}
    root[5] = _i32(len(order))
    footer[2] = (LIST, (STRUCT, [root, *(elements[name] for name in order)]))
    first = 0
    for group in footer[4][1][1]:
        rows = signed(group[3][1])
        chunks = {bytes(c[3][1][3][1][1][0]).decode(): c for c in group[1][1][1]}
        for values in numbers:
            chunks[values.name][3][1][12] = (STRUCT, _statistics(values.slice(first, rows)))
        first += rows
        added = 0
        for name, column in constant.items():
            pages = column.pages(rows)
            sizes = len(pages[0]), len(pages[1])
            chunks[name] = column.chunk(name, rows, at, *sizes)
            out.extend(pages)
            at += sum(sizes)
            added += sum(sizes)
        group[1] = (LIST, (STRUCT, [chunks[name] for name in order]))
        for number in (2, 6):  # all bytes of the group, uncompressed and compressed
            group[number] = _i64(signed(group[number][1]) + added)
    # types are those of Parquet's own schema; Arrow's, which Polars adds, does not know the added columns
    del footer[5]
    footer[7] = (LIST, (STRUCT, [{1: (STRUCT, {})} for _ in order]))  # all columns are ordered by their types
    tail = written(footer)
    return b"".join((*out, tail, struct.pack("<I", len(tail)), _MAGIC))
