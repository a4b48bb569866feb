# SPDX-License-Identifier: Apache-2.0
"""Harms: a column of one value is lost, shifted or changed; a filter on it passes rows over; a second engine cannot read a part."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from headwater.formats import compiled
from headwater.model.kinds import GapReason
from headwater.model.records import Gap
from headwater.store import parquet, thrift
from headwater.store.parts import HEADER_SCHEMA, SORT, encode_events, encode_gaps


@pytest.fixture(autouse=True, params=["compiled", "pure"])
def _way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both ways of writing; the compiled one only where it was built."""
    if request.param == "pure":
        compiled.forbid()
    elif compiled.library() is None:
        pytest.skip("the compiled scanner was not built")
    yield
    compiled.allow()


def _frame(chance: random.Random, height: int) -> pl.DataFrame:
    """Columns of one value, of none, of one value that begins, ends and halves the column, and plain ones, in any order."""
    texts = ("", "x", "é" * 20, "long " * 40, "GET", "a\0b", "\x1b[31m")
    columns = [pl.Series("offset", range(height), dtype=pl.Int64)]
    for n in range(12):
        number, text = chance.randrange(-(2**63), 2**63), chance.choice(texts)
        almost = [text] * height
        if height > 3:
            almost[height // 3] = chance.choice([None, "other"])
        columns.append(
            chance.choice(
                (
                    pl.Series(f"none{n}", [None] * height, dtype=chance.choice((pl.Int64, pl.String, pl.Boolean))),
                    pl.Series(f"text{n}", [text] * height, dtype=pl.String),
                    pl.Series(f"number{n}", [number] * height, dtype=pl.Int64),
                    pl.Series(f"own.almost-{n}", almost, dtype=pl.String),
                    pl.Series(f"truth{n}", [chance.random() < 0.5] * height, dtype=pl.Boolean),
                    pl.Series(f"real{n}", [chance.random()] * height, dtype=pl.Float64),
                    pl.Series(f"any{n}", [chance.choice((None, *texts)) for _ in range(height)], dtype=pl.String),
                )
            )
        )
    chance.shuffle(columns)
    return pl.DataFrame(columns)


@pytest.mark.parametrize("height", [0, 1, 2, 99, 100, 101, 350])
def test_both_engines_read_what_was_written(height: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP", 100)
    chance = random.Random(height)
    for _ in range(2):
        frame = _frame(chance, height)
        path = tmp_path / "part.parquet"
        path.write_bytes(parquet.parquet_bytes(frame))
        lazy = pl.scan_parquet(path)
        assert lazy.collect_schema() == frame.schema
        assert_frame_equal(lazy.collect(), frame)
        with duckdb.connect(":memory:") as engine:
            found = engine.execute(f"SELECT * FROM '{path}' ORDER BY \"offset\"")
            assert [c[0] for c in found.description] == frame.columns
            assert found.fetchall() == frame.sort("offset").rows()
        for name in frame.columns:
            assert_frame_equal(lazy.select(name).collect(), frame.select(name))
            assert_frame_equal(lazy.filter(pl.col(name).is_null()).collect(), frame.filter(pl.col(name).is_null()))
            if height:
                same = pl.col(name) == pl.lit(frame[name][0], dtype=frame.schema[name])
                assert_frame_equal(lazy.filter(same).collect(), frame.filter(same))
                assert_frame_equal(lazy.filter(~same).collect(), frame.filter(~same))


def _values(chance: random.Random, sort: str, height: int) -> list[object]:
    """Values of which some, most or none are distinct, close together or far apart, in order or not."""
    draw: dict[str, Callable[[], object]] = {
        "far": lambda: chance.randrange(-(2**63), 2**63),
        "near": lambda: chance.randrange(10**6),
        "few": lambda: chance.choice((None, 1, 2, -5)),
        "seldom": lambda: None if chance.random() < 0.99 else chance.randrange(9),
        "distinct": lambda: f"é{chance.randrange(10**9)}/" + "x" * chance.randrange(40),
        "short": lambda: chance.choice(("", "a", "1234567", "12345678", "123456789012", "1234567890123", None)),
        "again": lambda: "many times the same text, " + str(chance.randrange(90)),
        "long": lambda: chance.choice("qxy") * chance.randrange(700),
        "truth": lambda: chance.choice((True, False, None)),
    }
    if sort == "rising":
        at = chance.randrange(-(2**40), 2**40)
        return [at := at + chance.randrange(10**9) for _ in range(height)]
    return [draw[sort]() for _ in range(height)]


_SORTS = {
    **dict.fromkeys(("far", "near", "few", "seldom", "rising"), pl.Int64), "truth": pl.Boolean,
    **dict.fromkeys(("distinct", "short", "again", "long"), pl.String),
}  # fmt: skip


@pytest.mark.parametrize("height", [1, 8, 33, 129, 1_000, 22_000])
def test_every_sort_of_column_is_read_back(height: int, tmp_path: Path) -> None:
    chance = random.Random(height)
    sizes = [height] if height < 100 else [height // 3, 13, height - height // 3 - 13]
    pieces = [pl.DataFrame({s: pl.Series(_values(chance, s, n), dtype=t) for s, t in _SORTS.items()}) for n in sizes]
    whole = pl.concat(pieces, rechunk=False)  # of several chunks
    for frame in (whole, whole.slice(5, max(1, height - 9))):
        path = tmp_path / "part.parquet"
        path.write_bytes(parquet.parquet_bytes(frame))
        assert_frame_equal(pl.read_parquet(path), frame)
        with duckdb.connect(":memory:") as engine:
            assert engine.execute(f"SELECT * FROM '{path}'").fetchall() == frame.rows()


def test_a_footer_is_written_back_byte_for_byte() -> None:
    data = parquet.parquet_bytes(_frame(random.Random(1), 300))
    size = int.from_bytes(data[-8:-4], "little")
    footer = data[-8 - size : -8]
    assert thrift.written(thrift.read(footer)) == footer
    for value in (0, 1, -1, 63, -64, 64, 2**31, -(2**63), 2**63 - 1):
        assert thrift.signed(thrift.zigzag(value)) == value


def test_columns_of_one_value_take_no_room() -> None:
    frame = pl.DataFrame({"offset": range(100_000)}).with_columns(
        **{f"n{n}": pl.lit(None, dtype=pl.String) for n in range(20)}, path=pl.lit("/var/log/auth.log")
    )
    assert len(parquet.parquet_bytes(frame)) < len(parquet.parquet_bytes(frame.select("offset"))) + 6_000


@pytest.mark.parametrize("paths", [("/a",), ("/b", "/a")])
@pytest.mark.parametrize("sort", ["in order", "times out of order", "places out of order", "without times"])
def test_rows_stand_in_one_order_however_they_came(sort: str, paths: tuple[str, ...]) -> None:
    chance = random.Random(sort)
    rows = [
        (n // 7, chance.choice(paths), n // 2 * 10, n % 2) if sort == "in order"
        else (chance.choice((None, 1, 2, 3)) if sort == "without times" else chance.randrange(5), chance.choice(paths),
              n // 2 * 10, n % 2)
        for n in range(60)
    ]  # fmt: skip
    if sort == "places out of order":
        chance.shuffle(rows)
    frame = pl.DataFrame(rows, schema=("t_recorded", "path", "offset", "ordinal"), orient="row")
    rest = [pl.lit(None, dtype=t).alias(n) for n, t in HEADER_SCHEMA.items() if n not in frame.columns]
    frame = frame.with_columns(rest)
    one = frame["path"][0] if len(paths) == 1 else None
    given = frame.drop("path") if one else frame
    data = encode_events(given, clock="1", feed="linux.auth", source=1, path=one)
    got = pl.read_parquet(data).select(SORT)
    expected = sorted(got.rows(), key=lambda row: (row[0] is not None, row[0] or 0, *row[1:]))
    assert got.rows() == expected
    assert sorted(r[3:] for r in got.rows()) == sorted(r[2:] for r in rows)


def test_no_gaps_and_many_are_read_back() -> None:
    for count in (0, 1, 5):
        gaps = [("/var/log/x", Gap(n * 10, 5, GapReason.TRUNCATED)) for n in range(count)]
        frame = pl.read_parquet(encode_gaps(gaps, feed="linux.auth", source=1))
        assert frame["offset"].to_list() == [n * 10 for n in range(count)]
