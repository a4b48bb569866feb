# SPDX-License-Identifier: Apache-2.0
"""Many columns over one block handed to Polars at once, as the children of one Arrow struct array.

Each column by itself would be two structs, a capsule and a call of their own, some seventy times a block; here their structs are
rows of two arrays. The memory that they point into lives until the last of them is released.

Sources: https://arrow.apache.org/docs/format/CDataInterface.html, .../CDataInterface/PyCapsuleInterface.html
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headwater.examine.arrow_structs import ArrowArray, ArrowSchema
from headwater.examine.line_views import ARRAY_ENDS, KEPT, NUMBERS, Bytes, new_capsule
from headwater.formats import compiled

# a column: its name, whether it is of texts (else of integers), and where its values and its bits begin; 0: all rows have a value
Column = tuple[str, bool, int, int]
_NULLABLE = 2
_TEXT, _INTEGER, _STRUCT = b"vu\0", b"l\0", b"+s\0"


@ctypes.CFUNCTYPE(None, ctypes.POINTER(ArrowArray))  # type: ignore[untyped-decorator]
def _release_all(array: Any) -> None:
    held = KEPT.pop(array.contents.private_data, None)
    if isinstance(held, _Table):
        for number in held.unreleased():
            KEPT.pop(number, None)
    array.contents.release = None


@ctypes.CFUNCTYPE(None, ctypes.POINTER(ArrowSchema))  # type: ignore[untyped-decorator]
def _release_name(schema: Any) -> None:
    schema.contents.release = None


_ALL_END, _NAME_ENDS = (ctypes.cast(f, ctypes.c_void_p).value or 0 for f in (_release_all, _release_name))


def _place(array: NDArray[Any]) -> int:
    """Where an array's values begin in memory."""
    return compiled.at(array) or 0


class _Table:
    """The structs of all columns; it is handed over at once, and only once. ``kept``: what the columns point into.

    The arrays' structs live until they are released, those of names and types as long as this.
    """

    def __init__(self, columns: Sequence[Column], texts: Sequence[Bytes], first: int, rows: int, kept: object) -> None:
        count, buffers = len(columns), 3 + len(texts)
        self._kept, self._sizes = (kept, texts), np.array([len(text) for text in texts], dtype=np.int64)
        places = np.zeros((count + 1, buffers), dtype=np.int64)
        places[1:, 2:] = [*map(_place, texts), _place(self._sizes)]
        kinds = np.array([text for _, text, _, _ in columns], dtype=np.bool_)
        places[1:, 1] = [values for _, _, values, _ in columns]
        places[1:, 0] = [bits for _, _, _, bits in columns]
        # length, nulls, offset, buffers, children, where buffers stand, where children stand, dictionary, release, number
        arrays = np.zeros((count + 1, 10), dtype=np.int64)
        arrays[:, 0] = rows
        arrays[1:, 1] = np.where(places[1:, 0] == 0, 0, -1)
        arrays[1:, 2] = first
        arrays[0, 3], arrays[1:, 3] = 1, np.where(kinds, buffers, 2)
        arrays[:, 5] = _place(places) + 8 * buffers * np.arange(count + 1)
        arrays[:, 8] = ARRAY_ENDS or 0
        arrays[:, 9] = [next(NUMBERS) for _ in range(count + 1)]
        self._places, self._arrays = places, arrays
        self._schemas, self._names = self._described(columns, kinds)
        self._children = [np.arange(1, count + 1) * 8 * m.shape[1] + _place(m) for m in (arrays, self._schemas)]
        arrays[0, 4] = self._schemas[0, 4] = count
        arrays[0, 6], self._schemas[0, 5] = map(_place, self._children)
        arrays[0, 8] = _ALL_END

    def _described(self, columns: Sequence[Column], kinds: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Bytes]:
        """The structs of names and types, and the texts that these point to."""
        names = [name.encode() + b"\0" for name, _, _, _ in columns]
        text = np.frombuffer(b"".join((_STRUCT, _TEXT, _INTEGER, b"\0", *names)), dtype=np.uint8)
        start = _place(text)
        integer = len(_STRUCT) + len(_TEXT)
        nothing = integer + len(_INTEGER)
        # format, name, metadata, flags, children, where these stand, dictionary, release, number
        schemas = np.zeros((len(columns) + 1, 9), dtype=np.int64)
        schemas[0, :2] = start, start + nothing
        schemas[1:, 0] = start + np.where(kinds, len(_STRUCT), integer)
        schemas[1:, 1] = start + nothing + 1 + np.cumsum([0, *map(len, names[:-1])])
        schemas[1:, 3] = _NULLABLE
        schemas[:, 7] = _NAME_ENDS
        return schemas, text

    def unreleased(self) -> list[int]:
        """The numbers of the columns that nobody has released by themselves."""
        its = self._arrays[1:]
        numbers: list[int] = its[its[:, 8] != 0, 9].tolist()
        return numbers

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        for number in self._arrays[:, 9].tolist():
            KEPT[number] = self
        at = compiled.at
        return (
            new_capsule(at(self._schemas), b"arrow_schema", None),
            new_capsule(at(self._arrays), b"arrow_array", None),
        )


def handed(
    columns: Sequence[Column], texts: Sequence[Bytes], first: int, rows: int, kept: object
) -> dict[str, pl.Series]:
    """So many rows from ``first`` on of all columns; those of texts are views into ``texts``. Names must differ.

    ``kept`` is whatever the places point into.
    """
    if not columns:
        return {}
    table = _Table(columns, texts, first, rows, kept)
    whole = pl.Series(table)
    del table  # its names have been read
    return {series.name: series for series in whole.struct.unnest().get_columns()}
