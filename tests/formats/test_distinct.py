# SPDX-License-Identifier: Apache-2.0
"""Two values taken for one, or a row given another row's value, would make a rule fire on what is not there."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest

from headwater.formats import compiled
from headwater.formats.distinct import distinct


@pytest.fixture(params=["compiled", "pure"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Both ways of numbering."""
    if request.param == "compiled" and compiled.library() is None:
        pytest.skip("the compiled scanner was not built here")
    if request.param == "pure":
        compiled.forbid()
    yield request.param
    compiled.allow()


def _again(column: pl.Series) -> list[object]:
    found = distinct(column)
    values = found.values.to_list()
    assert None not in values
    assert len(set(values)) == len(values)
    assert len(found.codes) == len(column)
    told = [*values, None]
    return [told[c] for c in found.codes.tolist()]


@pytest.mark.parametrize("seed", range(4))
def test_every_row_has_its_own_value_again(way: str, seed: int) -> None:
    pick = random.Random(seed)
    pool = ["", "a", "ab\x00", "ab", "é", "x" * 12, "x" * 13, "溯源" * 9, "tail-1" * 40, "tail-2" * 40]
    pool += [f"C:\\Windows\\{n}.exe" for n in range(pick.choice((3, 900)))]
    rows = [pick.choice(pool) if pick.random() < 0.8 else None for _ in range(3000)]
    whole = pl.Series(rows, dtype=pl.String)
    parts = pl.concat([whole.slice(0, 1), whole.slice(1, 701), whole.slice(702, 2298)], rechunk=False)
    assert _again(whole) == _again(parts) == rows
    assert _again(whole.slice(5, 77)) == rows[5:82]


def test_integers_are_numbered_by_their_value(way: str) -> None:
    rows = [0, -1, None, 2**63 - 1, -(2**63), 4624, 4624, None, 0]
    assert _again(pl.Series(rows, dtype=pl.Int64)) == rows


@pytest.mark.parametrize("dtype", [pl.String, pl.Int64])
def test_a_column_without_a_value_has_none(way: str, dtype: type[pl.DataType]) -> None:
    for rows in (0, 3):
        found = distinct(pl.Series([None] * rows, dtype=dtype))
        assert len(found.values) == 0
        assert np.array_equal(found.codes, np.zeros(rows, np.int64))
