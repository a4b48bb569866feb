# SPDX-License-Identifier: Apache-2.0
"""The texts of a Polars column as words of 64 bits, such that equal texts have equal words and others have not.

A column is taken through the Arrow C stream protocol, without a copy: string views (16 bytes a row: size, first four bytes, then the
text itself up to twelve bytes, or which buffer has it and where). A short text's view is its words; of a longer one they are its size
with its first four bytes, its last eight, and those between them.

Sources: https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-view-layout,
https://arrow.apache.org/docs/format/CDataInterface.html, .../CStreamInterface.html
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headwater.store.numbering import Texts

Words = NDArray[np.uint64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Bytes = NDArray[np.uint8]

FIRST, SLAB = 1024, 1 << 15  # rows that are looked at together: at first few, then as many as stay near the processor
_SHORT = 12  # bytes of a text that stands in its view
_MOST_WORDS = 8  # between a text's first four bytes and its last eight
_LONG = _SHORT + 8 * _MOST_WORDS
_FEW_OF, _FEW = (
    16,
    64,
)  # texts over that are compared one by one where they are no more than this part of all, or so many
_MOST_BUFFERS = 16
_HALF, _LOW = np.uint64(32), np.uint64(0xFFFFFFFF)
_CALL = ctypes.CFUNCTYPE
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


class _Array(ctypes.Structure):
    """struct ArrowArray"""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("length", "null_count", "offset", "n_buffers", "n_children")),
        ("buffers", ctypes.POINTER(ctypes.c_void_p)),
        *((name, ctypes.c_void_p) for name in ("children", "dictionary", "release", "private_data")),
    )


class _Stream(ctypes.Structure):
    """struct ArrowArrayStream"""

    _fields_ = tuple(
        (name, ctypes.c_void_p) for name in ("get_schema", "get_next", "get_last_error", "release", "private_data")
    )


_NEXT = _CALL(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_RELEASE = _CALL(None, ctypes.c_void_p)


def _memory(place: int | None, size: int) -> Bytes:
    """So many bytes that stand there, without a copy."""
    if not place or not size:
        return np.zeros(0, dtype=np.uint8)
    return np.frombuffer(memoryview((ctypes.c_uint8 * size).from_address(place)), dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Views as rows of two words, which rows have a text (None: all), and the buffers; only as long as its array lives."""

    views: Words
    there: Flags | None
    buffers: tuple[Bytes, ...]


def _chunk_of(array: _Array) -> _Chunk:
    first, rows, count = array.offset, array.length, array.n_buffers
    end = first + rows
    bits = _memory(array.buffers[0], (end + 7) // 8) if array.null_count else np.zeros(0, dtype=np.uint8)
    there = np.unpackbits(bits, count=end, bitorder="little")[first:].view(np.bool_) if len(bits) else None
    sizes = _memory(array.buffers[count - 1], 8 * (count - 3)).view(np.int64).tolist()
    views = _memory(array.buffers[1], 16 * end).view(np.uint64).reshape(-1, 2)[first:]
    return _Chunk(views, there, tuple(_memory(array.buffers[2 + k], size) for k, size in enumerate(sizes)))


def _chunks(series: pl.Series) -> Iterator[_Chunk]:
    """The chunks of a column of texts, each released when the next is asked for."""
    capsule = series.__arrow_c_stream__()
    stream = _Stream.from_address(_pointer(capsule, b"arrow_array_stream"))
    following = _NEXT(stream.get_next)
    while True:
        array = _Array()
        if following(ctypes.addressof(stream), ctypes.addressof(array)):
            raise MemoryError("a column's next chunk")
        if not array.release:
            return
        try:
            yield _chunk_of(array)
        finally:
            _RELEASE(array.release)(ctypes.addressof(array))


class Column:
    """A column's texts, slab by slab."""

    def __init__(self, series: pl.Series) -> None:
        self._series = series
        self._known: dict[bytes, int] = {}  # texts over _LONG bytes, each with a number of its own

    def slabs(self) -> Iterator[tuple[Texts | None, Flags | None, int]]:
        """The rows that have a text, which rows these are (None: all), and how many rows there are; None: too many texts are long."""
        size = FIRST
        for chunk in _chunks(self._series):
            at, rows = 0, len(chunk.views)
            while at < rows:
                part = chunk.views[at : at + size]
                there = None if chunk.there is None else chunk.there[at : at + size]
                yield self._texts(part, there, chunk.buffers), there, len(part)
                at, size = at + size, SLAB

    def _texts(self, views: Words, there: Flags | None, buffers: Sequence[Bytes]) -> Texts | None:
        flat = views.reshape(-1)
        if there is None:
            low, high = flat[0::2].copy(), flat[1::2].copy()
        else:
            rows = np.flatnonzero(there) * 2
            low, high = flat[rows], flat[rows + 1]
        size = (low & _LOW).view(np.int64)
        long = np.flatnonzero(size > _SHORT)
        if not len(long):
            return Texts(low, high, None, ())
        size = size[long]
        over = np.flatnonzero(size > _LONG)
        if len(buffers) > _MOST_BUFFERS or len(over) > max(_FEW, len(low) // _FEW_OF):
            return None
        many = min(-(-(int(size.max()) - _SHORT) // 8), _MOST_WORDS) + bool(len(over))
        words = [np.zeros(len(long), dtype=np.uint64) for _ in range(1 + many)]
        place = high[long]
        which, offset = (place & _LOW).view(np.int64), (place >> _HALF).view(np.int64)
        for number, buffer in enumerate(buffers):
            mine = np.arange(len(long)) if len(buffers) == 1 else np.flatnonzero(which == number)
            _fill(words[: 1 + _MOST_WORDS], mine, size[mine], offset[mine], buffer)
        for row in over.tolist():
            at, buffer = int(offset[row]), buffers[which[row]]
            text = buffer[at : at + int(size[row])].tobytes()
            words[-1][row] = self._known.setdefault(text, len(self._known) + 1)
        high[long] = words[0]
        return Texts(low, high, None if len(long) == len(low) else long, words[1:])


def _fill(words: Sequence[Words], rows: Ints, size: Ints, offset: Ints, buffer: Bytes) -> None:
    """The last eight bytes of texts over :data:`_SHORT` bytes, then the words between, which stay 0 where a text has none."""
    wide: Words = np.ndarray((max(len(buffer) - 7, 0),), dtype="<u8", buffer=buffer, strides=(1,))
    words[0][rows] = wide[offset + size - 8]
    for k, word in enumerate(words[1:]):
        if k:
            more = np.flatnonzero(size > _SHORT + 8 * k)
            if len(more) < len(rows):
                rows, size, offset = rows[more], size[more], offset[more]
        word[rows] = wide[offset + 4 + 8 * k]
