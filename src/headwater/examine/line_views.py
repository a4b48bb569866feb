# SPDX-License-Identifier: Apache-2.0
"""String columns over a block of bytes, without copying the bytes.

A column is an Arrow string view array (format ``vu``): 16 bytes per row, which hold the text itself up to 12 bytes, else
its first four bytes and where it stands in a shared buffer. So any cutting of a block into fields is arithmetic on two
integer arrays, start and end; the array reaches Polars through the Arrow C data interface.

Sources: https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-view-layout,
https://arrow.apache.org/docs/format/CDataInterface.html, .../CDataInterface/PyCapsuleInterface.html
"""

from __future__ import annotations

import ctypes
import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headwater.examine.arrow_structs import ArrowArray, ArrowSchema
from headwater.examine.filled import filled
from headwater.examine.line_search import Bytes as Bytes
from headwater.examine.line_search import Flags as Flags
from headwater.examine.line_search import Ints as Ints
from headwater.examine.line_search import find as find
from headwater.examine.line_search import find_back as find_back
from headwater.examine.line_search import places as places
from headwater.examine.line_search import words as words
from headwater.examine.line_search import words_from as words_from
from headwater.formats import compiled

PADDING = 64  # zero bytes kept behind a block, so that a fixed-width read at any position stays inside the buffer
_INLINE = 12
_SHARED = 1 << 17  # rows


KEPT: dict[int, object] = {}  # what an exported array points into, until its consumer releases it
NUMBERS = itertools.count(1)
new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype = ctypes.py_object
new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


@ctypes.CFUNCTYPE(None, ctypes.POINTER(ArrowSchema))  # type: ignore[untyped-decorator]
def _release_schema(schema: Any) -> None:
    schema.contents.release = None


@ctypes.CFUNCTYPE(None, ctypes.POINTER(ArrowArray))  # type: ignore[untyped-decorator]
def _release_array(array: Any) -> None:
    KEPT.pop(array.contents.private_data, None)
    array.contents.release = None


# where the two stand in memory, as the structs have them
_SCHEMA_ENDS = ctypes.cast(_release_schema, ctypes.c_void_p).value
ARRAY_ENDS = ctypes.cast(_release_array, ctypes.c_void_p).value


class _Counted:
    """One array of 64-bit integers with its bits of validity, handed over in the same way."""

    def __init__(self, values: Ints, validity: Bytes | None, first: int, rows: int) -> None:
        self._parts = (values, validity)
        self._bounds = (first, rows)
        self._structs: tuple[ArrowSchema, ArrowArray] | None = None

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        values, validity = self._parts
        buffers = (ctypes.c_void_p * 2)(compiled.at(validity), compiled.at(values))
        nulls = 0 if validity is None else -1
        self._structs, capsules = _capsules(b"l", self._bounds, nulls, buffers, (self._parts, buffers))
        return capsules


def _capsules(
    form: bytes, bounds: tuple[int, int], nulls: int, buffers: Any, kept: object
) -> tuple[Any, tuple[object, object]]:
    """The structs of one array and their capsules; ``kept`` lives until the consumer releases it; first row and rows in ``bounds``."""
    number = next(NUMBERS)
    KEPT[number] = kept
    schema = ArrowSchema(form, b"", None, 2, 0, None, None, _SCHEMA_ENDS, None)
    where = ctypes.addressof(buffers)
    array = ArrowArray(bounds[1], nulls, bounds[0], len(buffers), 0, where, None, None, ARRAY_ENDS, number)
    return (schema, array), (
        new_capsule(ctypes.addressof(schema), b"arrow_schema", None),
        new_capsule(ctypes.addressof(array), b"arrow_array", None),
    )


class _Exported:
    """One string view array as the PyCapsule protocol wants it; it is handed over at once, and only once."""

    def __init__(
        self, views: NDArray[np.uint64], texts: Sequence[Bytes], validity: Bytes | None, bounds: tuple[int, int]
    ) -> None:
        self._parts = (views, tuple(texts), validity)
        self._bounds = bounds
        self._structs: tuple[ArrowSchema, ArrowArray] | None = None

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        views, texts, validity = self._parts
        sizes = np.array([len(text) for text in texts], dtype=np.int64)
        at = compiled.at
        buffers = (ctypes.c_void_p * (3 + len(texts)))(at(validity), at(views), *map(at, texts), at(sizes))
        nulls = 0 if validity is None else -1
        self._structs, capsules = _capsules(b"vu", self._bounds, nulls, buffers, (self._parts, sizes, buffers))
        return capsules


def buffered(
    views: NDArray[np.uint64], texts: Sequence[Bytes], validity: Bytes | None, first: int, rows: int
) -> pl.Series:
    """So many rows from ``first`` on of a column of string views into several buffers; null where a bit of validity is 0."""
    return pl.Series(_Exported(views, texts, validity, (first, rows)))


def counted(values: Ints, validity: Bytes | None, first: int, rows: int) -> pl.Series:
    """As :func:`buffered`, of integers."""
    return pl.Series(_Counted(values, validity, first, rows))


MASK8 = np.array([(1 << (8 * n)) - 1 for n in range(9)], dtype=np.uint64)  # the first n bytes of a word
_32 = np.uint64(32)
_8 = np.uint64(8)


def _views(data: Bytes, start: Ints, end: Ints) -> NDArray[np.uint64]:
    size = (end - start).view(np.uint64)
    views = np.empty((len(start), 2), dtype=np.uint64)
    short = size <= _INLINE
    count = int(np.count_nonzero(short))
    if 4 * count > len(start):
        _cut_out(data, start, size, views)
        if count < len(start):
            rows = np.flatnonzero(~short)
            views[rows, 1] = start[rows].view(np.uint64) << _32
        return views
    views[:, 0] = size | (words(data, 8)[start] << _32)
    views[:, 1] = start.view(np.uint64) << _32  # buffer number 0, then the position in it
    if count:
        rows = np.flatnonzero(short)
        few = np.empty((count, 2), dtype=np.uint64)
        _cut_out(data, start[rows], size[rows], few)
        views[rows] = few
    return views


def _cut_out(data: Bytes, start: Ints, size: NDArray[np.uint64], views: NDArray[np.uint64]) -> None:
    """The views of texts of up to twelve bytes; of a longer one the first word only."""
    number = size.view(np.int64)  # an index of 64 bits with a sign is taken as it is
    if number.max(initial=0) <= 8:  # cut out of the word that begins with it
        first, rest = words(data, 8)[start], None
        first &= MASK8[number]
    else:
        first, rest = words_from(data, start, 2)
        first &= MASK8[np.minimum(number, 8)]
        rest &= MASK8[np.minimum(np.maximum(number, 8) - 8, 4)]
        rest <<= _32
    views[:, 0] = size | (first << _32)
    first >>= _32
    views[:, 1] = first if rest is None else first | rest


def cleared(values: NDArray[Any], bits: Bytes, rows: int) -> None:
    """Zeroes the values of rows that have none: the memory was another's before, and nothing may be taken for a view."""
    library = compiled.library()
    compiled.checked(library.hw_clear(compiled.at(values), compiled.at(bits), rows, 1 if values.ndim == 1 else 2))


def views_of(data: Bytes, start: Ints, end: Ints, number: int) -> NDArray[np.uint64]:
    """The views of the texts ``data[start:end]``, for :func:`buffered`, where ``data`` is the buffer of that number."""
    library = compiled.library()
    if library is None:
        views = _views(data, start, end)
    else:
        views = np.zeros((len(start), 2), dtype=np.uint64)
        start, end = compiled.whole(start), compiled.whole(end)
        at = compiled.at
        compiled.checked(library.hw_views(at(data), len(data), at(start), at(end), None, len(start), at(views), None))
    if number:
        views[:, 1] |= np.where(end - start > _INLINE, number, 0).astype(np.uint64)
    return views


class Texts:
    """Columns of string views that the compiled scanner fills for one block: places for it, then series from it."""

    def __init__(self, data: Bytes, rows: int, names: Sequence[str], pool: Bytes | None = None) -> None:
        """``pool``: a second buffer for texts that do not stand in the block."""
        self._texts, self._names = (data,) if pool is None else (data, pool), names
        self._views = np.empty((len(names), rows, 2), dtype=np.uint64)  # rows without a text are cleared at the end
        self._bits = np.zeros((len(names), (rows + 7) // 8), dtype=np.uint8)
        self._counts = np.zeros(len(names), dtype=np.int64)

    def places(self) -> tuple[int | None, ...]:
        """Where the views, the bits of validity and the counts of texts begin."""
        return tuple(compiled.at(array) for array in (self._views, self._bits, self._counts))

    def there(self, number: int, rows: int) -> Flags | None:
        """Which rows of a column have a value; None where none has."""
        if not self._counts[number]:
            return None
        return np.unpackbits(self._bits[number], count=rows, bitorder="little").view(np.bool_)

    def column(self, number: int, rows: int) -> pl.Series:
        """One column."""
        validity = None if self._counts[number] == rows else self._bits[number, : (rows + 7) // 8]
        if validity is not None:
            cleared(self._views[number], validity, rows)
        return buffered(self._views[number], self._texts, validity, 0, rows)

    def columns(self, rows: int) -> dict[str, pl.Series]:
        """The columns that have a text in their first ``rows`` rows."""
        return {name: self.column(k, rows) for k, name in enumerate(self._names) if self._counts[k]}


def column(data: Bytes, start: Ints, end: Ints, valid: Flags | None = None) -> pl.Series:
    """The texts ``data[start:end]`` as a String series; null where ``valid`` is false.

    ``data`` is valid UTF-8, padded by :data:`PADDING` zeros, at most 2 GiB, and must never change afterwards; starts and
    ends lie between characters and within the unpadded part.
    """
    library = compiled.library()
    if library is not None:
        return _compiled_column(library, data, start, end, valid)
    if valid is None:
        return buffered(_views(data, start, end), (data,), None, 0, len(start))
    rows = np.flatnonzero(valid)
    if 4 * len(rows) > 3 * len(valid):
        start = np.where(valid, start, 0)
        views = _views(data, start, np.where(valid, end, start))
    else:
        views = np.zeros((len(start), 2), dtype=np.uint64)
        views[rows] = _views(data, start[rows], end[rows])
    return buffered(views, (data,), np.packbits(valid, bitorder="little"), 0, len(start))


def _compiled_column(library: Any, data: Bytes, start: Ints, end: Ints, valid: Flags | None) -> pl.Series:
    rows, at = len(start), compiled.at
    views = np.zeros((rows, 2), dtype=np.uint64)
    bits = None if valid is None else np.zeros((rows + 7) // 8, dtype=np.uint8)
    flags = None if valid is None else compiled.whole(valid, "?")
    start, end = compiled.whole(start), compiled.whole(end)
    compiled.checked(library.hw_views(at(data), len(data), at(start), at(end), at(flags), rows, at(views), at(bits)))
    return buffered(views, (data,), bits, 0, rows)


@functools.lru_cache(maxsize=32)
def _same(value: str | int | None, dtype: type[pl.DataType], rows: int) -> pl.Series:
    return filled(value, rows, dtype)


def same(value: str | int | None, dtype: type[pl.DataType], rows: int) -> pl.Series:
    """A column of one value, or of nulls; most are the first rows of one that is made only once."""
    room = 1 << max(rows - 1, 1).bit_length()
    return _same(value, dtype, room).head(rows) if room <= _SHARED else filled(value, rows, dtype)


def constant(text: str | None, rows: int) -> pl.Series:
    """A column of one text, or of nulls."""
    return same(text, pl.String, rows)


@functools.lru_cache(maxsize=16)
def _table(texts: tuple[str | None, ...]) -> tuple[Bytes, NDArray[np.uint64], Flags]:
    """Texts behind each other, the view of each, and which are none."""
    raw = [(text or "").encode() for text in texts]
    data = np.frombuffer(b"".join((*raw, bytes(PADDING))), dtype=np.uint8)
    end = np.cumsum([len(text) for text in raw])
    start = end - np.array([len(text) for text in raw])
    return data, _views(data, start, end), np.array([text is None for text in texts])


def picked(texts: tuple[str | None, ...], codes: NDArray[np.integer[Any]]) -> pl.Series:
    """A column of a few texts by their numbers."""
    data, views, nothing = _table(texts)
    missing = nothing[codes] if nothing.any() else nothing[:0]
    bits = np.packbits(~missing, bitorder="little") if missing.any() else None
    return buffered(views[codes], (data,), bits, 0, len(codes))


def numbers(values: Ints, valid: Flags) -> pl.Series:
    """Integers as a series; null where ``valid`` is false."""
    series = pl.Series(values)
    return series if valid.all() else series.set(pl.Series(~valid), None)
