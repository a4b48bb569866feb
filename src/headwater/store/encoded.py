# SPDX-License-Identifier: Apache-2.0
"""A Parquet file whose columns the compiled scanner encoded: the same rows as Polars would write, at a fraction of the cost.

1. A column of nulls or of one value is a page of a few bytes (:class:`headwater.store.pages.Constant`).
2. Any other column goes to C as its Arrow chunks and comes back as one or two pages.
3. The footer names all columns in the frame's order, row group by row group.

A frame with a column that is neither text, 64-bit integer nor boolean is not written here.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from typing import Any

import polars as pl

from headwater.formats import compiled
from headwater.store.pages import (
    BOOLEAN,
    BYTE_ARRAY,
    INT64,
    LZ4_RAW,
    UNCOMPRESSED,
    Chunk,
    Constant,
    data_header,
    dictionary_header,
    element,
    i32,
    i64,
    statistics,
)
from headwater.store.thrift import BINARY, LIST, STRUCT, Struct, written

_MAGIC = b"PAR1"
_PHYSICAL: dict[Any, int] = {pl.String: BYTE_ARRAY, pl.Int64: INT64, pl.Boolean: BOOLEAN}
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


class _Encoded(ctypes.Structure):
    """As ``Encoded`` in columns.h."""

    _fields_ = (
        ("pages", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("rows", "nulls", "distinct", "encoding", "compressed")),
        *((name, ctypes.c_int64) for name in ("dictionary_raw", "dictionary_size", "data_raw", "data_size")),
        *((name, ctypes.c_int64) for name in ("least", "greatest")),
    )


def encoded(frame: pl.DataFrame, rows: int) -> bytes | None:
    """The frame as a file of row groups of so many rows; None where it is to be written in the other way."""
    library = compiled.library()
    if library is None or not frame.height or any(t not in _PHYSICAL for t in frame.dtypes):
        return None
    columns: list[list[Chunk]] = []
    for series in frame.iter_columns():
        chunks: list[Chunk] = []
        for first in range(0, frame.height, rows):
            chunk = _chunk(library, series.slice(first, rows) if frame.height > rows else series)
            if chunk is None:
                return None
            chunks.append(chunk)
        columns.append(chunks)
    return joined(frame, columns, rows)


def joined(frame: pl.DataFrame, columns: Sequence[Sequence[Chunk]], rows: int) -> bytes:
    """A file of columns that are encoded, each row group by row group of so many rows."""
    out = [_MAGIC]
    at = len(_MAGIC)
    groups: list[Struct] = []
    for number, first in enumerate(range(0, frame.height, rows)):
        height = min(rows, frame.height - first)
        chunks: list[Struct] = []
        begin, unpacked = at, 0
        for name, column in zip(frame.columns, columns):
            chunk = column[number]
            chunks.append(chunk.footer(name, height, at))
            out += (chunk.dictionary, chunk.data)
            at += chunk.size
            unpacked += chunk.unpacked
        groups.append(
            {1: (LIST, (STRUCT, chunks)), 2: i64(unpacked), 3: i64(height), 5: i64(begin), 6: i64(at - begin)}
        )
    tail = written(_footer(frame, groups))
    return b"".join((*out, tail, struct.pack("<I", len(tail)), _MAGIC))


def _footer(frame: pl.DataFrame, groups: list[Struct]) -> Struct:
    root: Struct = {4: (BINARY, b"root"), 5: i32(frame.width)}
    columns = [element(_PHYSICAL[dtype], name) for name, dtype in frame.schema.items()]
    return {
        1: i32(1), 2: (LIST, (STRUCT, [root, *columns])), 3: i64(frame.height), 4: (LIST, (STRUCT, groups)),
        6: (BINARY, b"headwater"), 7: (LIST, (STRUCT, [{1: (STRUCT, {})} for _ in columns])),
    }  # fmt: skip


def _chunk(library: Any, series: pl.Series) -> Chunk | None:
    """One column of one row group; None where it cannot be encoded here."""
    physical = _PHYSICAL[series.dtype]
    height, nulls = len(series), series.null_count()
    if nulls == height and physical != BOOLEAN:
        return Constant(physical == BYTE_ARRAY, None).chunk(height)
    found = _Encoded()
    stream = series.__arrow_c_stream__()
    if not library.hw_encode(_pointer(stream, b"arrow_array_stream"), ctypes.addressof(found)):
        return None
    try:
        if found.distinct == 1 and not nulls:
            return Constant(physical == BYTE_ARRAY, series[0]).chunk(height)
        return _pages(found, physical)
    finally:
        library.hw_free(found.pages)


def _pages(found: _Encoded, physical: int) -> Chunk:
    dictionary = b""
    body = ctypes.string_at(found.pages, found.dictionary_size + found.data_size)
    unpacked = found.data_raw
    if found.distinct:
        head = dictionary_header(found.distinct, found.dictionary_raw, found.dictionary_size)
        dictionary = head + body[: found.dictionary_size]
        unpacked += len(head) + found.dictionary_raw
    head = data_header(found.rows, found.encoding, found.data_raw, found.data_size)
    bounds = statistics(found.nulls)
    if physical == INT64 and found.nulls < found.rows:
        bounds = statistics(found.nulls, struct.pack("<q", found.least), struct.pack("<q", found.greatest))
    data = head + body[found.dictionary_size :]
    codec = LZ4_RAW if found.compressed else UNCOMPRESSED
    return Chunk(physical, found.encoding, dictionary, data, unpacked + len(head), codec, bounds)
