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

from headwater.examine.filled import filled
from headwater.formats import compiled

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

PADDING = 64  # zero bytes kept behind a block, so that a fixed-width read at any position stays inside the buffer
_INLINE = 12
_SHARED = 1 << 17  # rows


class ArrowSchema(ctypes.Structure):
    _fields_ = (
        ("format", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("metadata", ctypes.c_char_p),
        ("flags", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("children", ctypes.c_void_p),
        ("dictionary", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    )


class ArrowArray(ctypes.Structure):
    _fields_ = (
        ("length", ctypes.c_int64),
        ("null_count", ctypes.c_int64),
        ("offset", ctypes.c_int64),
        ("n_buffers", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        ("buffers", ctypes.c_void_p),
        ("children", ctypes.c_void_p),
        ("dictionary", ctypes.c_void_p),
        ("release", ctypes.c_void_p),
        ("private_data", ctypes.c_void_p),
    )


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


def words(data: Bytes, width: int) -> NDArray[Any]:
    """Every position of a padded block as a little-endian word of 4 or 8 bytes, overlapping, without a copy."""
    return np.ndarray((len(data) - 8,), dtype=f"<u{width}", buffer=data, strides=(1,))


def _views(data: Bytes, start: Ints, end: Ints) -> NDArray[np.uint64]:
    size = (end - start).view(np.uint64)
    first = words(data, 8)[start]
    views = np.empty((len(start), 2), dtype=np.uint64)
    short = size <= _INLINE
    if not short.any():
        views[:, 0] = size | (first << _32)
        views[:, 1] = start.view(np.uint64) << _32  # buffer number 0, then the position in it
        return views
    # a text of up to eight bytes is cut out of the word that begins with it; a long one needs its first four only
    inside = first & MASK8[np.minimum(size, _8)]
    views[:, 0] = size | (inside << _32)
    views[:, 1] = np.where(short, inside >> _32, start.view(np.uint64) << _32)
    middle = np.flatnonzero(short & (size > _8))
    if len(middle):
        rest = words(data, 4)[start[middle] + 8].astype(np.uint64) & MASK8[size[middle] - _8]
        views[middle, 1] |= rest << _32
    return views


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
    if 2 * np.count_nonzero(valid) > len(valid):
        start = np.where(valid, start, 0)
        views = _views(data, start, np.where(valid, end, start))
    else:
        views = np.zeros((len(start), 2), dtype=np.uint64)
        views[valid] = _views(data, start[valid], end[valid])
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


_ONES = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_SEVENS = np.uint64(0x7F7F7F7F7F7F7F7F)
_ONE = np.uint64(1)
_ROUNDS = 4  # after so many words without a hit, all places of the byte are looked up for the rows that are left
_FEW = 512  # or each of these is searched by itself


def _look(data: Bytes, at: Ints, byte: int) -> tuple[Ints, Flags]:
    """Where the byte first stands in the eight bytes from each position on, and whether it does."""
    difference = words(data, 8)[at] ^ (np.uint64(byte) * _ONES)
    zeros = (difference - _ONES) & ~difference & _HIGH
    step = np.bitwise_count((zeros & (~zeros + _ONE)) - _ONE) >> np.uint8(3)
    return at + step, zeros != 0


def _searched(function: Any, data: Bytes, at: Ints, limit: Ints, byte: int) -> Ints:
    found = np.empty(len(at), dtype=np.int64)
    at, limit = compiled.whole(at), compiled.whole(limit)
    place = compiled.at
    compiled.checked(function(place(data), len(data), place(at), place(limit), len(at), byte, place(found)))
    return found


def find(data: Bytes, at: Ints, byte: int, limit: Ints) -> Ints:
    """For each row the first position of ``byte`` at or after ``at``, or ``limit`` where there is none before it.

    Eight bytes of every row are looked at in one step: the lowest zero byte of ``word ^ pattern`` (H. S. Warren,
    Hacker's Delight, 6-1).
    """
    library = compiled.library()
    if library is not None:
        return _searched(library.hw_find, data, at, limit, byte)
    found, hit = _look(data, at, byte)
    found = np.where(hit, np.minimum(found, limit), limit)
    rows = np.flatnonzero(~hit & (at + 8 < limit))
    here = at[rows] + 8
    for _ in range(_ROUNDS):
        if not len(rows):
            return found
        there, hit = _look(data, here, byte)
        done = rows[hit]
        found[done] = np.minimum(there[hit], limit[done])
        here = here + 8
        more = ~hit & (here < limit[rows])
        rows, here = rows[more], here[more]
    if len(rows) <= _FEW:
        for row, low, high in zip(rows.tolist(), here.tolist(), limit[rows].tolist()):
            place = data[low:high].tobytes().find(byte)
            found[row] = low + place if place >= 0 else high
    else:
        places = _places(data, int(here.min()), int(limit[rows].max()), byte)
        which = np.searchsorted(places[:-1], here)
        found[rows] = np.minimum(places[which], limit[rows])
    return found


def _places(data: Bytes, low: int, high: int, byte: int) -> Ints:
    """All positions of a byte in a stretch, and one beyond every position behind them."""
    return np.append(np.flatnonzero(data[low:high] == byte) + low, len(data))


def find_back(data: Bytes, end: Ints, byte: int, limit: Ints) -> Ints:
    """For each row the position behind the last ``byte`` before ``end``, or ``limit`` where there is none from it on.

    The rows' ends lie at 8 or later. As :func:`find`, but byte by byte exact, because it is the highest hit that counts.
    """
    library = compiled.library()
    if library is not None:
        return _searched(library.hw_find_back, data, end, limit, byte)
    wide = words(data, 8)
    pattern = np.uint64(byte) * _ONES
    found = limit.copy()
    rows = np.flatnonzero(end > limit)
    here = end[rows]
    for _ in range(_ROUNDS):
        if not len(rows):
            return found
        difference = (wide[np.maximum(here - 8, 0)] ^ pattern).byteswap()
        zeros = ~(((difference & _SEVENS) + _SEVENS) | difference | _SEVENS)
        hit = zeros != 0
        step = np.bitwise_count((zeros & (~zeros + _ONE)) - _ONE).astype(np.int64) >> 3
        done = rows[hit]
        found[done] = np.maximum(here[hit] - step[hit], limit[done])
        here = here - 8
        more = ~hit & (here > limit[rows])
        rows, here = rows[more], here[more]
    if len(rows) <= _FEW:
        for row, low, high in zip(rows.tolist(), limit[rows].tolist(), here.tolist()):
            found[row] = low + data[low:high].tobytes().rfind(byte) + 1
    else:
        low = int(limit[rows].min())
        places = _places(data, low, int(here.max()), byte)
        before = np.searchsorted(places[:-1], here) - 1
        found[rows] = np.where(before < 0, limit[rows], np.maximum(places[before] + 1, limit[rows]))
    return found
