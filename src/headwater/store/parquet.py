# SPDX-License-Identifier: Apache-2.0
"""Writes a frame as one Parquet file, in which columns of one value cost nothing.

Where the compiled scanner is, it encodes the columns (:mod:`headwater.store.encoded`). Else Polars does, but for those that hold
nothing or one value throughout a part, as most of the header's do: to encode these like any other was a quarter of what a
log line cost. They are added at the file's end as pages of a few bytes (one run of nulls, or one value and one run of "the
first value"), and the footer names all columns in the frame's order. To every reader of Parquet either is a file like any other.

Formats: https://github.com/apache/parquet-format (README.md, Encodings.md, src/main/thrift/parquet.thrift).
"""

from __future__ import annotations

import io
import struct

import polars as pl

from headwater.store.encoded import encoded
from headwater.store.pages import Constant, element, i32, i64, statistics
from headwater.store.thrift import LIST, STRUCT, Struct, read, signed, written

ROW_GROUP = 256 * 1024  # so a part is one group
_MAGIC = b"PAR1"


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    """The frame (of plain columns, none nested) as a Parquet file in row groups of :data:`ROW_GROUP` rows."""
    whole = encoded(frame, ROW_GROUP)
    if whole is not None:
        return whole
    constant = _constants(frame)
    out = io.BytesIO()
    # the least and the greatest text of a column cost a tenth of the writing and tell a search next to nothing
    frame.drop(constant).write_parquet(
        out, compression="lz4", compression_level=None, row_group_size=ROW_GROUP, statistics=False
    )
    return _completed(out.getvalue(), frame, constant)


def _constants(frame: pl.DataFrame) -> dict[str, Constant]:
    """The columns that need not be written value by value; at least one column is left."""
    found: dict[str, Constant] = {}
    height = frame.height
    for series in frame.iter_columns() if height else ():
        text = series.dtype == pl.String
        if not text and series.dtype != pl.Int64:
            continue
        nulls = series.null_count()
        if nulls == height:
            found[series.name] = Constant(text, None)
        elif not nulls and series[0] == series[-1] == series[height // 2] and (series == series[0]).all():
            found[series.name] = Constant(text, series[0])
    if len(found) == len(frame.columns):
        found.popitem()
    return found


def _statistics(values: pl.Series) -> Struct:
    """Nulls, the least and the greatest of whole numbers."""
    least, greatest = values.min(), values.max()
    if isinstance(least, int) and isinstance(greatest, int):
        return statistics(values.null_count(), struct.pack("<q", least), struct.pack("<q", greatest))
    return statistics(values.null_count())


def _completed(data: bytes, frame: pl.DataFrame, constant: dict[str, Constant]) -> bytes:
    """The file with the constant columns in their places, and the bounds of whole numbers."""
    order = frame.columns
    numbers = [s for s in frame.iter_columns() if s.dtype == pl.Int64 and s.name not in constant]
    size = struct.unpack("<I", data[-8:-4])[0]
    footer = read(data[-8 - size : -8])
    at = len(data) - 8 - size
    out = [data[:at]]
    root, *others = footer[2][1][1]
    elements = {bytes(e[4][1]).decode(): e for e in others}
    elements |= {name: element(c.physical, name) for name, c in constant.items()}
    root[5] = i32(len(order))
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
            chunk = column.chunk(rows)
            chunks[name] = chunk.footer(name, rows, at)
            out += (chunk.dictionary, chunk.data)
            at += chunk.size
            added += chunk.size
        group[1] = (LIST, (STRUCT, [chunks[name] for name in order]))
        for number in (2, 6):  # all bytes of the group, uncompressed and compressed
            group[number] = i64(signed(group[number][1]) + added)
    # types are those of Parquet's own schema; Arrow's, which Polars adds, does not know the added columns
    del footer[5]
    footer[7] = (LIST, (STRUCT, [{1: (STRUCT, {})} for _ in order]))  # all columns are ordered by their types
    tail = written(footer)
    return b"".join((*out, tail, struct.pack("<I", len(tail)), _MAGIC))
