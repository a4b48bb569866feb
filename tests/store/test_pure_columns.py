# SPDX-License-Identifier: Apache-2.0
"""Harms: numpy takes one text for another, packs a number short, loses a null; a made-up column stops a part or its readers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from headwater.formats import compiled
from headwater.store import numbering, parquet, pure_columns, view_words
from headwater.store.bit_packing import packed
from headwater.store.numbering import Numbering, Texts


@pytest.fixture(autouse=True)
def _pure(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    compiled.forbid()
    monkeypatch.setattr(pure_columns, "FEW", 1)
    monkeypatch.setattr(pure_columns, "SELDOM", 0.0)  # all texts that it can
    yield
    compiled.allow()


def _read_by_both(frame: pl.DataFrame, path: Path) -> None:
    path.write_bytes(parquet.parquet_bytes(frame))
    assert_frame_equal(pl.read_parquet(path), frame)
    with duckdb.connect(":memory:") as engine:
        found = engine.execute(f"SELECT * FROM '{path}'")
        assert [c[0] for c in found.description] == frame.columns
        assert found.fetchall() == frame.rows()


def _texts(chance: random.Random, count: int) -> dict[str, list[Any]]:
    sizes = (0, 1, 7, 8, 11, 12, 13, 14, 19, 20, 21, 27, 28, 29, 60, 68, 75, 76, 77, 90, 200)
    some = [chance.choice("ab") * size + chance.choice(("", "x", "é")) for size in sizes for _ in range(3)]
    alike = [f"same{n:04d}" + "-" * 30 + "the end" for n in range(50)]  # but for the bytes between first and last
    return {
        "some": [chance.choice(some) for _ in range(count)],
        "alike": [chance.choice(alike) for _ in range(count)],
        "seldom": [chance.choice(some) if chance.random() < 0.02 else None for _ in range(count)],
        "nulls behind": [chance.choice(some[:9]) if n < count // 2 else None for n in range(count)],
        "distinct": [f"{n * 7919 % 10_000_019:09d}" for n in range(count)],
        "later distinct": ["a"] * (count // 2) + [f"text {n} of many more bytes" for n in range(count - count // 2)],
        "empty": [chance.choice(("", None)) for _ in range(count)],
        "zeros": [chance.choice(("\0", "\0\0", "\0" * 20, "\0" * 21)) for _ in range(count)],
    }


@pytest.mark.parametrize("height", [1, 2, 9, 63, 2_049, 35_000])
def test_texts_are_read_back_whatever_they_have_in_common(height: int, tmp_path: Path) -> None:
    made = _texts(random.Random(height), height)
    whole = pl.DataFrame(made, schema=dict.fromkeys(made, pl.String))
    pieces = pl.concat([whole.head(height // 3), whole.slice(height // 3)], rechunk=False)
    every = (whole, pieces, pieces.reverse(), pieces.slice(height // 9))
    for frame in every if height < 10_000 else every[1:2]:
        _read_by_both(frame, tmp_path / "part.parquet")


@pytest.mark.parametrize("height", [1, 2, 8, 257, 1_025, 5_000])
def test_integers_of_any_width_are_read_back(height: int, tmp_path: Path) -> None:
    chance = random.Random(height)
    columns: dict[str, list[int | None]] = {
        f"{bits} bits": [chance.randrange(-(1 << bits), 1 << bits) for _ in range(height)]
        for bits in (0, 1, 7, 8, 15, 16, 17, 31, 33, 40, 59, 60, 61, 62, 63)
    }
    columns["one far off"] = [5] * (height - 1) + [2**62]
    columns["falling"] = [-n * n for n in range(height)]
    columns["bounds"] = [chance.choice((-(2**63), 2**63 - 1)) for _ in range(height)]
    columns["some"] = [chance.choice((None, n)) for n in range(height)]
    columns["few"] = [chance.choice((None, 200, 404)) for _ in range(height)]
    columns["last"] = [None] * (height - 1) + [7]
    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Int64))
    truth = pl.Series("truth", [chance.choice((True, False, None)) for _ in range(height)], dtype=pl.Boolean)
    none = pl.Series("none", [None] * height, dtype=pl.Boolean)
    _read_by_both(frame.with_columns(truth, none), tmp_path / "part.parquet")


def test_texts_beyond_all_measure_are_left_to_polars(tmp_path: Path) -> None:
    huge = "h" * (1 << 20)
    frame = pl.DataFrame(
        {
            "two": [huge, huge + "x", None, huge] * 3,
            "one among many": ["short"] * 11 + [huge],
            "many": [f"{n}" * 100 for n in range(12)],
        }
    )
    _read_by_both(frame, tmp_path / "part.parquet")
    many = pl.DataFrame({"n": [f"{n} " * 40 for n in range(3_000)], "m": [f"{n % 9} " * 40 for n in range(3_000)]})
    assert pure_columns.column_of(many["n"]) is None
    _read_by_both(many, tmp_path / "part.parquet")


def test_a_million_distinct_texts_are_given_up_early(monkeypatch: pytest.MonkeyPatch) -> None:
    series = pl.Series(range(1_000_000)).cast(pl.String)
    seen = 0
    own = Numbering.numbers

    def counted(self: Numbering, texts: Texts) -> Any:
        nonlocal seen
        seen += len(texts.low)
        return own(self, texts)

    monkeypatch.setattr(Numbering, "numbers", counted)
    assert pure_columns.column_of(series) is None
    assert seen <= view_words.FIRST


def test_texts_that_all_meet_in_one_slot_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbering, "_slots", lambda mixed, table, bits: np.zeros(len(mixed), dtype=np.int64))
    frame = pl.DataFrame({"text": [f"{n % 40}" for n in range(1_000)], "number": range(1_000)})
    assert pure_columns.column_of(frame["text"]) is None
    assert_frame_equal(pl.read_parquet(parquet.parquet_bytes(frame)), frame)


def test_texts_that_often_meet_are_still_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = numbering._slots
    monkeypatch.setattr(numbering, "_slots", lambda mixed, table, bits: own(mixed, table, bits) % 300)
    frame = pl.DataFrame({"text": [f"{n % 270}" + "long " * (n % 3) for n in range(9_000)]})
    _read_by_both(frame, tmp_path / "part.parquet")


@pytest.mark.parametrize("width", range(1, 65))
def test_packed_numbers_are_the_bits_of_each_in_turn(width: int) -> None:
    chance = random.Random(width)
    values = [chance.getrandbits(width) for _ in range(21)]
    bits = sum(value << k * width for k, value in enumerate(values))
    assert packed(np.array(values, dtype=np.uint64), width) == bits.to_bytes(3 * width, "little")


def test_same_rows_by_numpy_and_by_the_scanner() -> None:
    if compiled.allow() or compiled.library() is None:
        pytest.skip("the compiled scanner was not built")
    frame = pl.DataFrame(_texts(random.Random(5), 3_000))
    one = parquet.parquet_bytes(frame)
    compiled.forbid()
    other = parquet.parquet_bytes(frame)
    assert_frame_equal(pl.read_parquet(one), pl.read_parquet(other))
    assert other == parquet.parquet_bytes(frame)


def test_a_text_in_rows_that_were_not_looked_at_is_not_taken_for_the_others(tmp_path: Path) -> None:
    nearly = ["same"] * 3_000
    nearly[1_234] = "other"
    made = {
        "one": ["same", None, None] * 1_000,
        "one too, in the same rows": ["another", None, None] * 1_000,
        "nearly one": [text if row % 2 == 0 else None for row, text in enumerate(nearly)],
        "empty": ["", None, None] * 1_000,
    }
    _read_by_both(pl.DataFrame(made, schema=dict.fromkeys(made, pl.String)), tmp_path / "part.parquet")
