# SPDX-License-Identifier: Apache-2.0
"""The distinct values of a column, numbered, and for each row the number of its value.

Where the compiled scanner was built it numbers texts and integers in order of their first row; without it Polars does,
in an order of its own. Whoever asks may rely on the numbers meaning the same rows, not on which number a value has.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.formats import compiled

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Distinct:
    """``values``: each once, without null. ``codes``: a row's number; ``len(values)`` where the row is null."""

    values: pl.Series
    codes: Numbers


def distinct(column: pl.Series) -> Distinct:
    """Number the values of a column of texts or 64-bit integers."""
    if column.null_count() == len(column):
        return Distinct(column.clear(), np.zeros(len(column), np.int64))
    found = _compiled(column)
    if found is not None:
        return found
    coded = column.cast(pl.String).cast(pl.Categorical(pl.Categories.random()))
    unique = coded.unique().drop_nulls()
    physical = coded.to_physical()
    place = np.empty(int(cast(int, unique.to_physical().max())) + 1, np.int64)
    place[unique.to_physical().to_numpy()] = np.arange(len(unique))
    codes = place[physical.fill_null(int(unique.to_physical()[0])).to_numpy()]
    if physical.null_count():
        codes[physical.is_null().to_numpy()] = len(unique)
    return Distinct(unique.cast(pl.String).cast(column.dtype), codes)


def _compiled(column: pl.Series) -> Distinct | None:
    """The same in C; None where that was not built or has no memory."""
    library = compiled.library()
    if library is None or column.dtype not in (pl.String, pl.Int64):
        return None
    rows = len(column)
    codes, first = np.empty(rows, np.uint32), np.empty(rows, np.int64)
    stream = column.__arrow_c_stream__()
    count = library.hw_codes(pointer(stream, b"arrow_array_stream"), compiled.at(codes), compiled.at(first), rows)
    if count < 0:
        return None
    return Distinct(column.gather(pl.Series(first[:count])), codes.astype(np.int64))


def pointer(capsule: Any, name: bytes) -> int:
    """Where the struct in a capsule of Arrow's C interface stands in memory."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return cast(int, get(capsule, name))
