# SPDX-License-Identifier: Apache-2.0
"""Writes a frame as one Parquet file, in which columns of one value cost nothing.

Where the compiled scanner is, it encodes the columns (:mod:`headwater.store.encoded`). Else numpy encodes those that it makes less of
than Polars does (:mod:`headwater.store.pure_columns`): what holds nothing or one value, integers, booleans, texts that are said again
and again. The others Polars writes; then those here are added at the file's end, and the footer names all columns in the
frame's order. To every reader of Parquet either is a file like any other.

Formats: https://github.com/apache/parquet-format (README.md, Encodings.md, src/main/thrift/parquet.thrift).
"""

from __future__ import annotations

import io
import struct

import polars as pl

from headwater.store.encoded import encoded, joined
from headwater.store.pages import Chunk, element, i32, i64, statistics
from headwater.store.pure_columns import column_of
from headwater.store.thrift import LIST, STRUCT, Struct, read, signed, written

ROW_GROUP = 256 * 1024  # so a part is one group
_MAGIC = b"PAR1"


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    """The frame (of plain columns, none nested) as a Parquet file in row groups of :data:`ROW_GROUP` rows."""
    whole = encoded(frame, ROW_GROUP)
    if whole is not None:
        return whole
    own = _own(frame)
    if frame.height and len(own) == frame.width:
        return joined(frame, [own[name] for name in frame.columns], ROW_GROUP)
    out = io.BytesIO()
    others = pl.DataFrame([series for series in frame.iter_columns() if series.name not in own])  # drop would copy all
    # the least and the greatest text of a column cost a tenth of the writing and tell a search next to nothing
    others.write_parquet(out, compression="lz4", compression_level=None, row_group_size=ROW_GROUP, statistics=False)
    return _completed(out.getvalue(), frame, own)


def _own(frame: pl.DataFrame) -> dict[str, list[Chunk]]:
    """The columns that are encoded here, row group by row group."""
    found: dict[str, list[Chunk]] = {}
    for series in frame.iter_columns() if frame.height else ():
        chunks: list[Chunk] = []
        for first in range(0, frame.height, ROW_GROUP):
            chunk = column_of(series.slice(first, ROW_GROUP) if frame.height > ROW_GROUP else series)
            if chunk is None:
                break
            chunks.append(chunk)
        else:
            found[series.name] = chunks
    return found


def _statistics(values: pl.Series) -> Struct:
    """Nulls, the least and the greatest of whole numbers."""
    least, greatest = values.min(), values.max()
    if isinstance(least, int) and isinstance(greatest, int):
        return statistics(values.null_count(), struct.pack("<q", least), struct.pack("<q", greatest))
    return statistics(values.null_count())


def _completed(data: bytes, frame: pl.DataFrame, own: dict[str, list[Chunk]]) -> bytes:
    """The file with the columns encoded here in their places, and the bounds of whole numbers."""
    order = frame.columns
    numbers = [s for s in frame.iter_columns() if s.dtype == pl.Int64 and s.name not in own]
    size = struct.unpack("<I", data[-8:-4])[0]
    footer = read(data[-8 - size : -8])
    at = len(data) - 8 - size
    out = [data[:at]]
    root, *others = footer[2][1][1]
    elements = {bytes(e[4][1]).decode(): e for e in others}
    elements |= {name: element(c[0].physical, name) for name, c in own.items()}
    root[5] = i32(len(order))
    footer[2] = (LIST, (STRUCT, [root, *(elements[name] for name in order)]))
    first = 0
    for number, group in enumerate(footer[4][1][1]):
        rows = signed(group[3][1])
        chunks = {bytes(c[3][1][3][1][1][0]).decode(): c for c in group[1][1][1]}
        for values in numbers:
            chunks[values.name][3][1][12] = (STRUCT, _statistics(values.slice(first, rows)))
        first += rows
        added = unpacked = 0
        for name, column in own.items():
            chunk = column[number]
            chunks[name] = chunk.footer(name, rows, at)
            out += (chunk.dictionary, chunk.data)
            at += chunk.size
            added += chunk.size
            unpacked += chunk.unpacked
        group[1] = (LIST, (STRUCT, [chunks[name] for name in order]))
        group[2] = i64(signed(group[2][1]) + unpacked)
        group[6] = i64(signed(group[6][1]) + added)
    # types are those of Parquet's own schema; Arrow's, which Polars adds, does not know the added columns
    del footer[5]
    footer[7] = (LIST, (STRUCT, [{1: (STRUCT, {})} for _ in order]))  # all columns are ordered by their types
    tail = written(footer)
    return b"".join((*out, tail, struct.pack("<I", len(tail)), _MAGIC))
