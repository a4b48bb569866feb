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
import itertools
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

PADDING = 64  # zero bytes kept behind a block, so that a fixed-width read at any position stays inside the buffer
_INLINE = 12


class _Schema(ctypes.Structure):
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


class _Array(ctypes.Structure):
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


_kept: dict[int, object] = {}  # what an exported array points into, until its consumer releases it
_numbers = itertools.count(1)
_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


@ctypes.CFUNCTYPE(None, ctypes.POINTER(_Schema))  # type: ignore[untyped-decorator]
def _release_schema(schema: Any) -> None:
    schema.contents.release = None


@ctypes.CFUNCTYPE(None, ctypes.POINTER(_Array))  # type: ignore[untyped-decorator]
def _release_array(array: Any) -> None:
    _kept.pop(array.contents.private_data, None)
    array.contents.release = None


class _Exported:
    """One string view array as the PyCapsule protocol wants it; it is handed over at once, and only once."""

    def __init__(self, views: NDArray[np.uint64], data: Bytes, validity: Bytes | None) -> None:
        self._parts = (views, data, validity)
        self._structs: tuple[_Schema, _Array] | None = None

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        views, data, validity = self._parts
        sizes = np.array([len(data)], dtype=np.int64)
        valid_at = 0 if validity is None else validity.ctypes.data
        buffers = (ctypes.c_void_p * 4)(valid_at, views.ctypes.data, data.ctypes.data, sizes.ctypes.data)
        number = next(_numbers)
        _kept[number] = (self._parts, sizes, buffers)
        schema = _Schema(b"vu", b"", None, 2, 0, None, None, ctypes.cast(_release_schema, ctypes.c_void_p), None)
        nulls = 0 if validity is None else -1
        where = ctypes.cast(buffers, ctypes.c_void_p)
        release = ctypes.cast(_release_array, ctypes.c_void_p)
        array = _Array(len(views), nulls, 0, 4, 0, where, None, None, release, number)
        self._structs = (schema, array)
        return (
            _new_capsule(ctypes.addressof(schema), b"arrow_schema", None),
            _new_capsule(ctypes.addressof(array), b"arrow_array", None),
        )


_MASK4 = np.array([(1 << (8 * min(n, 4))) - 1 for n in range(_INLINE + 1)], dtype=np.uint64)
_MASK8 = np.array([(1 << (8 * max(0, n - 4))) - 1 for n in range(_INLINE + 1)], dtype=np.uint64)
_32 = np.uint64(32)


def words(data: Bytes, width: int) -> NDArray[Any]:
    """Every position of a padded block as a little-endian word of 4 or 8 bytes, overlapping, without a copy."""
    return np.ndarray((len(data) - 8,), dtype=f"<u{width}", buffer=data, strides=(1,))


def column(data: Bytes, start: Ints, end: Ints, valid: Flags | None = None) -> pl.Series:
    """The texts ``data[start:end]`` as a String series; null where ``valid`` is false.

    ``data`` is valid UTF-8, padded by :data:`PADDING` zeros, at most 2 GiB, and must never change afterwards; starts and
    ends lie between characters and within the unpadded part.
    """
    if valid is not None:
        start = np.where(valid, start, 0)
        end = np.where(valid, end, 0)
    size = (end - start).astype(np.uint64)
    first = words(data, 4)[start].astype(np.uint64)
    views = np.empty((len(start), 2), dtype=np.uint64)
    views[:, 0] = size | (first << _32)
    views[:, 1] = start.astype(np.uint64) << _32  # buffer number 0, then the position in it
    short = np.flatnonzero(size <= _INLINE)
    if len(short):
        n = size[short]
        views[short, 0] = n | ((first[short] & _MASK4[n]) << _32)
        views[short, 1] = words(data, 8)[start[short] + 4] & _MASK8[n]
    bits = None if valid is None else np.packbits(valid, bitorder="little")
    return pl.Series(_Exported(views, data, bits))


_ONES = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_ONE = np.uint64(1)
_ROUNDS = 12  # after so many words without a hit, the few rows left are searched one by one


def find(data: Bytes, at: Ints, byte: int, limit: Ints) -> Ints:
    """For each row the first position of ``byte`` at or after ``at``, or ``limit`` where there is none before it.

    Eight bytes of every row are looked at in one step: the lowest zero byte of ``word ^ pattern`` (H. S. Warren,
    Hacker's Delight, 6-1).
    """
    wide = words(data, 8)
    pattern = np.uint64(byte) * _ONES
    found = limit.copy()
    rows = np.flatnonzero(at < limit)
    here = at[rows]
    for _ in range(_ROUNDS):
        if not len(rows):
            return found
        difference = wide[here] ^ pattern
        zeros = (difference - _ONES) & ~difference & _HIGH
        hit = zeros != 0
        step = np.bitwise_count((zeros & (~zeros + _ONE)) - _ONE).astype(np.int64) >> 3
        done = rows[hit]
        found[done] = np.minimum(here[hit] + step[hit], limit[done])
        here = here + 8
        more = ~hit & (here < limit[rows])
        rows, here = rows[more], here[more]
    raw = data.data
    wanted = bytes([byte])
    for row, position in zip(rows.tolist(), here.tolist()):
        stop = int(limit[row])
        offset = bytes(raw[position:stop]).find(wanted)
        found[row] = stop if offset < 0 else position + offset
    return found
