# SPDX-License-Identifier: Apache-2.0
"""Columns of Parquet encoded with numpy, where there is no compiled scanner and Polars would take longer.

1. A column of nulls or of one value is a page of a few bytes (:class:`headwater.store.pages.Constant`).
2. Integers are a dictionary where they are few, else their differences; booleans are bits.
3. Texts that many rows have not are numbered (:mod:`headwater.store.numbering`): a dictionary page and the numbers packed.

Left to Polars (None is given back): other types, texts that nearly all rows have, that are mostly distinct or long, and
integers that lie too far apart.
"""

from __future__ import annotations

import functools
import struct
from typing import Any

import numpy as np
import polars as pl
import zstandard
from numpy.typing import NDArray

from headwater.store.bit_packing import differences, levels, numbered
from headwater.store.numbering import Numbering
from headwater.store.pages import (
    BOOLEAN,
    BYTE_ARRAY,
    DELTA_BINARY_PACKED,
    INT64,
    PLAIN,
    RLE_DICTIONARY,
    UNCOMPRESSED,
    ZSTD,
    Chunk,
    Constant,
    data_header,
    dictionary_header,
    statistics,
)
from headwater.store.view_words import FIRST, Column, Flags, Ints

FEW = (
    1 << 16
)  # rows; in smaller parts the calls for a column, some fifty, cost more than Polars, which takes all columns in one
SELDOM = (
    0.25  # texts are numbered where at least this share of the rows has none: Polars pays for these too, numpy does not
)
_FAR = 1 << 61  # values that lie so far apart are not written as differences
_NEAR = 1 << 16  # of integers that lie closer together a table of all of them is made
_WORTH = 1 << 12  # bytes of a dictionary that are worth compressing
_COMMON = 1 << 18  # bytes of a page that is kept in case another column has the same
_COMPRESSOR = zstandard.ZstdCompressor(level=1, write_checksum=False, write_content_size=True)


def column_of(series: pl.Series) -> Chunk | None:
    """One column of one row group; None where it is to be written in another way."""
    same = constant_of(series)
    if same is not None or len(series) < FEW:
        return same
    nulls = series.null_count()
    if series.dtype == pl.Boolean:
        return _truths(series, nulls)
    if series.dtype == pl.Int64:
        return _integers(series, nulls)
    if series.dtype != pl.String or nulls < SELDOM * len(series):
        return None
    return _texts(series, nulls)


def constant_of(series: pl.Series) -> Chunk | None:
    """A column of texts or integers that holds nothing, or one value in every row; None: it does not."""
    height, nulls, text = len(series), series.null_count(), series.dtype == pl.String
    if not height or not (text or series.dtype == pl.Int64):
        return None
    if nulls == height:
        return Constant(text, None).chunk(height)
    if nulls or not series[0] == series[-1] == series[height // 2] or not (series == series[0]).all():
        return None
    return Constant(text, series[0]).chunk(height)


def _there(series: pl.Series, nulls: int) -> Flags | None:
    return series.is_not_null().to_numpy() if nulls else None


def _truths(series: pl.Series, nulls: int) -> Chunk:
    there = _there(series, nulls)
    values = (series.drop_nulls() if nulls else series).to_numpy()
    data = levels(there, len(series)) + np.packbits(values, bitorder="little").tobytes()
    return _plain_chunk(BOOLEAN, PLAIN, len(series), data, statistics(nulls))


def _plain_chunk(physical: int, encoding: int, rows: int, data: bytes, bounds: Any) -> Chunk:
    page = data_header(rows, encoding, len(data), len(data)) + data
    return Chunk(physical, encoding, b"", page, len(page), UNCOMPRESSED, bounds)


def _with_dictionary(physical: int, rows: int, entries: bytes, distinct: int, data: bytes, bounds: Any) -> Chunk:
    """Both pages, compressed where the dictionary is more than a few entries and that makes it shorter."""
    codec, pages = UNCOMPRESSED, (entries, data)
    if len(entries) + len(data) >= _WORTH:
        shorter = (_COMPRESSOR.compress(entries), _compressed(data))
        if 20 * sum(map(len, shorter)) < 19 * (len(entries) + len(data)):
            codec, pages = ZSTD, shorter
    first = dictionary_header(distinct, len(entries), len(pages[0]))
    second = data_header(rows, RLE_DICTIONARY, len(data), len(pages[1]))
    unpacked = len(first) + len(entries) + len(second) + len(data)
    return Chunk(physical, RLE_DICTIONARY, first + pages[0], second + pages[1], unpacked, codec, bounds)


def _compressed(data: bytes) -> bytes:
    return _known(data) if len(data) < _COMMON else _COMPRESSOR.compress(data)


@functools.lru_cache(maxsize=8)
def _known(data: bytes) -> bytes:
    """Columns that are there in the same rows, with one value or the same ones, as those of one kind of line, have one page."""
    return _COMPRESSOR.compress(data)


def _integers(series: pl.Series, nulls: int) -> Chunk | None:
    there = _there(series, nulls)
    values: Ints = (series.drop_nulls() if nulls else series).to_numpy()
    least, greatest = int(values.min()), int(values.max())
    if greatest - least >= _FAR:
        return None
    bounds = statistics(nulls, struct.pack("<q", least), struct.pack("<q", greatest))
    if greatest - least < min(_NEAR, len(values)):
        found = _near(values - least, greatest - least + 1)
        if found is not None:
            codes, distinct = found
            data = levels(there, len(series)) + numbered(codes, len(distinct))
            entries = (distinct + least).tobytes()
            return _with_dictionary(INT64, len(series), entries, len(distinct), data, bounds)
    data = levels(there, len(series)) + differences(values)
    return _plain_chunk(INT64, DELTA_BINARY_PACKED, len(series), data, bounds)


def _near(above: Ints, room: int) -> tuple[NDArray[np.uint16], Ints] | None:
    """The numbers of values below ``room``, and the distinct values in order; None where these are not few."""
    seen = np.zeros(room, dtype=np.bool_)
    seen[above] = True
    distinct = np.flatnonzero(seen)
    if 4 * len(distinct) > len(above) and len(above) > 2048:
        return None
    number = np.zeros(room, dtype=np.uint16)
    number[distinct] = np.arange(len(distinct), dtype=np.uint16)
    return number[above], distinct


def _texts(series: pl.Series, nulls: int) -> Chunk | None:
    """A dictionary and numbers; None where texts are long, nearly all distinct, or made to be hard to tell apart."""
    kept = series.drop_nulls() if nulls else series
    found = _one(kept) or _several(kept)
    if found is None:
        return None
    first, codes = found
    data = levels(_there(series, nulls), len(series)) + numbered(codes, len(first))
    return _with_dictionary(BYTE_ARRAY, len(series), _entries(kept, first), len(first), data, statistics(nulls))


def _one(texts: pl.Series) -> tuple[Ints, NDArray[Any]] | None:
    """The numbers where all texts are the same; a comparison with one text costs a sixth of the table."""
    last = len(texts) - 1
    some = {texts[row] for row in (0, last // 5, last // 3, last // 2, last)}
    if len(some) > 1 or not (texts == texts[0]).all():
        return None
    return np.zeros(1, dtype=np.int64), np.zeros(len(texts), dtype=np.uint8)


def _several(texts: pl.Series) -> tuple[Ints, NDArray[Any]] | None:
    """The row of each new text, and the number of every row's text."""
    known = Numbering()
    codes: list[Ints] = []
    first: list[Ints] = []
    row = 0
    for slab, _, height in Column(texts).slabs():
        found = None if slab is None else known.numbers(slab)
        if found is None:
            return None
        numbers, new = found
        codes.append(numbers)
        first.append(new + row)
        row += height
        if row >= FIRST // 4 and 4 * known.count > 3 * row:
            return None  # Polars makes less of each new text
    return np.concatenate(first), np.concatenate(codes)


def _entries(series: pl.Series, rows: Ints) -> bytes:
    """The texts of these rows as a dictionary page has them, each behind its length."""
    texts = series.gather(pl.Series(rows.astype(np.uint32)))
    joined = np.frombuffer(str(texts.str.join("").item()).encode(), dtype=np.uint8)
    sizes = texts.str.len_bytes().to_numpy().astype("<u4")
    ends = np.cumsum(sizes.astype(np.int64) + 4)
    lengths = (ends - sizes - 4)[:, None] + np.arange(4)
    out = np.empty(len(joined) + 4 * len(rows), dtype=np.uint8)
    text = np.ones(len(out), dtype=np.bool_)
    text[lengths] = False
    out[text] = joined
    out[lengths] = sizes.view(np.uint8).reshape(-1, 4)
    return out.tobytes()
