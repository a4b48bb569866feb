# SPDX-License-Identifier: Apache-2.0
"""Columns handed to Polars over memory that is used again: nothing stale is read, nothing is held for ever."""

from __future__ import annotations

import gc

import numpy as np
import polars as pl
import pytest

from headwater.examine.line_tables import handed
from headwater.examine.line_views import KEPT, PADDING, buffered, cleared, picked, same
from headwater.formats import compiled

_TEXT = np.frombuffer(b"a text that does not fit into its view" + bytes(PADDING), dtype=np.uint8)


def _columns(rows: int) -> tuple[np.ndarray, np.ndarray]:
    size = len(_TEXT) - PADDING
    view = np.array([size | int.from_bytes(_TEXT[:4].tobytes(), "little") << 32, 0], dtype=np.uint64)
    return np.tile(view, (rows, 1)), np.arange(rows, dtype=np.int64)


def _handed(rows: int, first: int = 0) -> dict[str, pl.Series]:
    views, values = _columns(rows)
    bits = np.packbits(np.arange(rows) % 3 == 0, bitorder="little")
    at = compiled.at
    columns = [("text", True, at(views) or 0, 0), ("number", False, at(values) or 0, at(bits) or 0)]
    return handed(columns, (_TEXT,), first, rows - first, (views, values, bits))


def test_columns_handed_together_say_what_each_would_alone() -> None:
    made = _handed(100, 8)
    assert list(made) == ["text", "number"]
    assert made["text"].to_list() == [_TEXT[:-PADDING].tobytes().decode()] * 92
    assert made["number"].to_list() == [k if k % 3 == 0 else None for k in range(8, 100)]
    assert handed([], (), 0, 5, None) == {}


def test_one_column_that_is_kept_outlives_the_others() -> None:
    made = _handed(1_000)
    text = made.pop("text")
    del made
    gc.collect()
    junk = [np.full(4_000, 255, dtype=np.uint64) for _ in range(64)]  # takes memory that was given back too early
    assert text.unique().to_list() == [_TEXT[:-PADDING].tobytes().decode()]
    assert junk


def test_a_long_log_does_not_hold_the_memory_of_every_block() -> None:
    gc.collect()
    before = len(KEPT)
    for _ in range(20):
        frame = pl.DataFrame(list(_handed(500).values()))
        assert frame.filter(pl.col("number") > 400).height == 33
        del frame
    gc.collect()
    assert len(KEPT) == before


@pytest.mark.parametrize("rows", [1, 7, 8, 63, 64, 65, 130, 200])
def test_what_stood_in_the_memory_before_is_no_text(rows: int) -> None:
    if compiled.library() is None:
        pytest.skip("the compiled scanner is not built here")
    there = np.zeros(rows, dtype=np.bool_)
    there[::5] = True
    there[64:128] = False
    bits = np.packbits(there, bitorder="little")
    views, numbers = _columns(rows)
    views[~there] = np.uint64(2**64 - 1)  # a view that leads nowhere: Polars would follow it
    numbers[~there] = -1
    cleared(views, bits, rows)
    cleared(numbers, bits, rows)
    assert not views[~there].any()
    assert not numbers[~there].any()
    assert numbers[there].tolist() == np.flatnonzero(there).tolist()
    series = buffered(views, (_TEXT,), bits, 0, rows)
    assert pl.concat([series, series]).rechunk().null_count() == 2 * int((~there).sum())


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 1_000, (1 << 17) + 1])
def test_columns_of_one_value_have_their_own_number_of_rows(rows: int) -> None:
    for value, dtype in (("auditd", pl.String), (None, pl.String), (0, pl.Int64), (None, pl.Int64)):
        series = same(value, dtype, rows)
        assert series.dtype == dtype
        assert len(series) == rows
        assert series.null_count() == (rows if value is None else 0)
        assert set(series.to_list()) == ({value} if rows else set())


def test_texts_by_their_numbers_are_the_texts() -> None:
    codes = np.array([2, 0, 1, 2, 2], dtype=np.uint8)
    texts = (None, "success", "a name longer than a view holds")
    assert picked(texts, codes).to_list() == [texts[k] for k in codes]
    assert picked(("x", "y"), codes % 2).to_list() == ["x", "x", "y", "x", "x"]
    assert picked(texts, codes[:0]).to_list() == []
