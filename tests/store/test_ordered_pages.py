# SPDX-License-Identifier: Apache-2.0
"""Events that the engine cannot sort whole come page by page: the same rows, in the same order, none twice and none lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from headwater.model.errors import HeadwaterError
from headwater.store import ordered

_ROWS = """
CREATE VIEW events AS SELECT CASE WHEN i % 7 = 0 THEN NULL ELSE (i * 37) % 50 END AS ts,
    CASE WHEN i % 7 = 0 THEN NULL ELSE (i * 37) % 50 - 5 END AS t_recorded, 1 + i % 2 AS source, '/p' || (i % 5) AS path,
    i AS "offset", i % 3 AS ordinal, 'v' || i AS value FROM range(3000) r(i)
"""
_ALL = f"SELECT * FROM events WHERE value <> 'v9' ORDER BY {ordered.ORDER}"


class Short:
    """An engine that has no memory to sort whole rows."""

    def __init__(self, engine: duckdb.DuckDBPyConnection) -> None:
        self._engine, self.refused = engine, 0

    def cursor(self) -> duckdb.DuckDBPyConnection:
        return self._engine.cursor()

    def execute(self, query: str, given: Any = None) -> duckdb.DuckDBPyConnection:
        if "t_recorded BETWEEN" not in query and "t_recorded IS NULL" not in query and "SELECT *" in query:
            self.refused += 1
            raise duckdb.OutOfMemoryException("no room")
        return self._engine.execute(query, given)


@pytest.fixture
def engine() -> duckdb.DuckDBPyConnection:
    made = duckdb.connect(":memory:")
    made.execute(_ROWS)
    return made


@pytest.mark.parametrize("limit", [None, 0, 1, 499, 500, 501, 2_998, 5_000])
def test_pages_hold_what_the_whole_holds(
    engine: duckdb.DuckDBPyConnection, monkeypatch: Any, limit: int | None
) -> None:
    monkeypatch.setattr(ordered, "_PAGE_LEAST", 100)
    monkeypatch.setattr(ordered, "_CELLS", 700)
    short = Short(engine)
    found = [tuple(row.values()) for row in ordered.in_order(short, "*", "value <> 'v9'", {}, limit)]  # type: ignore[arg-type]
    assert short.refused == 1
    assert found == engine.execute(_ALL).fetchall()[:limit]


def test_a_file_is_written_in_the_order_of_the_whole(
    engine: duckdb.DuckDBPyConnection, monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.setattr(ordered, "_PAGE_LEAST", 100)
    monkeypatch.setattr(ordered, "_CELLS", 700)
    out = tmp_path / "it's [new].parquet"
    asked: list[str] = []
    real = ordered.run

    def heard(engine: Any, query: str, *given: Any) -> Any:
        if "read_parquet([" in query:  # where that engine would put what has no room in memory
            asked.append(engine.execute("SELECT current_setting('temp_directory')").fetchone()[0])
        return real(engine, query, *given)

    monkeypatch.setattr(ordered, "run", heard)
    assert ordered.write_in_order(Short(engine), "value <> 'v9'", None, out, tmp_path) == 2_999  # type: ignore[arg-type]
    assert [Path(place).parent for place in asked] == [tmp_path]
    written = (
        duckdb.connect(":memory:").execute("SELECT * FROM read_parquet(?)", [str(out).replace("[", "[[]")]).fetchall()
    )
    assert written == engine.execute(_ALL).fetchall()
    assert [p.name for p in tmp_path.iterdir()] == [out.name]


def test_a_condition_of_either_or_is_held_to_each_page(engine: duckdb.DuckDBPyConnection, monkeypatch: Any) -> None:
    """Without brackets the second half of it would bring rows of every other page again."""
    monkeypatch.setattr(ordered, "_PAGE_LEAST", 100)
    monkeypatch.setattr(ordered, "_CELLS", 700)
    where = "value <> 'v9' OR value = 'v9'"
    found = [tuple(row.values()) for row in ordered.in_order(Short(engine), "*", where, {}, None)]  # type: ignore[arg-type]
    known = engine.execute(f"SELECT * FROM events WHERE {where} ORDER BY {ordered.ORDER}").fetchall()
    assert found == known


@pytest.mark.parametrize(
    ("fault", "code"),
    [(duckdb.OutOfMemoryException, "HW5002"), (duckdb.IOException, "HW5003"), (duckdb.BinderException, "HW0006")],
)
def test_a_condition_is_not_blamed_for_want_of_memory_or_of_a_disk(fault: type[duckdb.Error], code: str) -> None:
    class Failing:
        def execute(self, query: str, given: Any = None) -> None:
            raise fault("so it is")

    with pytest.raises(HeadwaterError) as told:
        ordered.run(Failing(), "SELECT 1")  # type: ignore[arg-type]
    assert told.value.code == code
