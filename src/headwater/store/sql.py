# SPDX-License-Identifier: Apache-2.0
"""SQL over the event store: the one place that knows the SQL engine.

A condition is one boolean expression over the columns of the view ``events``. It is parsed alone first, in a
connection without tables, and refused unless it is exactly one expression without subqueries or table functions: the
examiner's own text can read the events and nothing else. The engine runs with external access locked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from headwater.model.errors import StoreError, UsageError
from headwater.model.nouns import Text
from headwater.store.clocks import Clock, ts_sql
from headwater.store.events import EventStore
from headwater.store.ordered import (
    Place,
    behind_place,
    engine_words,
    in_order,
    literal,
    rows,
    run,
    write_in_order,
)
from headwater.store.parts import HEADER_SCHEMA

_NO_TEXT = frozenset({"path", "feed", "kind", "t_basis", "clock"})  # columns of ours, not of the records


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _checked(condition: str) -> str:
    """The condition, if it is one plain expression.

    Raises:
        UsageError: HW0006.
    """
    with duckdb.connect(":memory:") as bare:
        try:
            row = bare.execute("SELECT json_serialize_sql(?)", [f"SELECT 1 WHERE ({condition}\n)"]).fetchone()
        except duckdb.Error as error:
            raise UsageError("HW0006", what=engine_words(str(error))) from error
    text = str(row[0]) if row else "{}"
    tree: dict[str, Any] = json.loads(text)
    if tree.get("error", True):
        raise UsageError("HW0006", what=engine_words(str(tree.get("error_message", ""))))
    statements = tree.get("statements", [])
    if len(statements) != 1 or '"SUBQUERY"' in text or statements[0]["node"].get("type") != "SELECT_NODE":
        raise UsageError("HW0006", what=Text("只可是一个表达式，不含子查询", "one expression without subqueries"))
    return condition


def _reader(parts: list[Path]) -> str:
    names = ", ".join("'" + literal(str(p)) + "'" for p in parts)
    return f"read_parquet([{names}], union_by_name=true, hive_partitioning=false)"


@contextmanager
def _engine(
    case: Path, clocks: Mapping[str, Clock], feed: str | None, out: Path | None = None
) -> Iterator[duckdb.DuckDBPyConnection | None]:
    """A connection that has the view ``events`` and can read nothing else, nor write but below ``out``; None: no events.

    Raises:
        StoreError: HW5001 where parts cannot be read.
    """
    case = case.absolute()
    store = EventStore(case, clocks)
    parts = [p for f in store.feeds() if feed is None or f == feed for p in store.parts(f)]
    if not parts:
        yield None
        return
    with duckdb.connect(":memory:") as engine:
        try:
            engine.execute("SET threads = 2; SET memory_limit = '700MB'; SET preserve_insertion_order = false")
            spill = case / "tmp"
            spill.mkdir(exist_ok=True)
            engine.execute(f"SET temp_directory = '{str(spill).replace(chr(39), chr(39) * 2)}'")
            # the escaped form as well: it is the pattern, not the file, that the engine asks leave for
            open_to = [
                form for p in (case, out) if p is not None for form in (str(p).replace("'", "''"), literal(str(p)))
            ]
            allowed = ", ".join(f"'{form}'" for form in open_to)
            engine.execute(f"SET allowed_directories = [{allowed}]")
            engine.execute("SET enable_external_access = false; SET lock_configuration = true")
            engine.execute(f"CREATE VIEW events AS SELECT {ts_sql(clocks)} AS ts, * FROM {_reader(parts)}")  # noqa: S608
        except (duckdb.Error, OSError) as error:
            raise StoreError("HW5001", str(case), what=str(error).splitlines()[0]) from error
        yield engine


def select_events(
    case: Path,
    clocks: Mapping[str, Clock],
    condition: str = "true",
    limit: int | None = None,
    feed: str | None = None,
    after: Place | None = None,
) -> Iterator[dict[str, Any]]:
    """Events that meet a condition, ordered by (ts, source, path, offset, ordinal), nulls last; every column.

    ``after``: the place of the last event of the page before; the next page begins behind it, whatever its number.

    Raises:
        UsageError: HW0006 where the condition cannot be used.
        StoreError: HW5001 where parts cannot be read, HW5002 and HW5003 as in :func:`headwater.store.ordered.refused`.
    """
    condition = _checked(condition)
    with _engine(case, clocks, feed) as engine:
        if engine is None:
            return
        behind, given = _behind(after)
        yield from in_order(engine, "*", f"({condition}\n) AND {behind}", given, limit)


def _behind(after: Place | None) -> tuple[str, dict[str, Any]]:
    """The condition that an event stands behind a place in the order, and its named values."""
    return ("true", {}) if after is None else behind_place(after, "at")


def facet(
    case: Path,
    clocks: Mapping[str, Clock],
    column: str,
    condition: str = "true",
    most: int = 20,
    feed: str | None = None,
) -> list[tuple[str | None, int]]:
    """The values of one column among the events that meet a condition, as text, the most frequent first, ties by value.

    Raises:
        UsageError: HW0006, no such column or a condition that cannot be used.
    """
    condition = _checked(condition)
    with _engine(case, clocks, feed) as engine:
        if engine is None:
            return []
        name = f"CAST({_quoted(column)} AS VARCHAR)"
        query = (
            f"SELECT {name} AS value, count(*) AS n FROM events WHERE ({condition}\n) "  # noqa: S608
            f"GROUP BY 1 ORDER BY n DESC, value NULLS LAST LIMIT {int(most)}"
        )
        return [(row["value"], int(row["n"])) for row in rows(run(engine, query))]


def histogram(
    case: Path,
    clocks: Mapping[str, Clock],
    width_ns: int,
    condition: str = "true",
    feed: str | None = None,
    begin_ns: int = 0,
) -> list[tuple[int, int]]:
    """How many events that meet a condition begin in each stretch of ``width_ns``: (start in UTC ns, count), in order.

    Stretches are counted from ``begin_ns``. Those without an event are left out, events without a time too.
    """
    condition = _checked(condition)
    with _engine(case, clocks, feed) as engine:
        if engine is None:
            return []
        # floor to below also before 1970
        width, past = int(width_ns), f"(ts - {int(begin_ns)})"
        start = f"ts - (({past} % {width}) + {width}) % {width}"
        query = (
            f"SELECT {start} AS start, count(*) AS n FROM events WHERE ts IS NOT NULL AND ({condition}\n) "  # noqa: S608
            "GROUP BY 1 ORDER BY 1"
        )
        return [(int(row["start"]), int(row["n"])) for row in rows(run(engine, query))]


def find_text(
    case: Path,
    clocks: Mapping[str, Clock],
    pattern: str,
    *,
    regex: bool = False,
    ignore_case: bool = False,
    condition: str = "true",
    limit: int | None = None,
    feed: str | None = None,
    after: Place | None = None,
) -> Iterator[dict[str, Any]]:
    """Events any of whose text columns holds the pattern; each row has ``found``, the names of those columns.

    A regular expression is one of RE2: time linear in the text, whatever the expression.

    Raises:
        UsageError: HW0006.
    """
    condition = _checked(condition)
    with _engine(case, clocks, feed) as engine:
        if engine is None:
            return
        texts = [
            str(row["column_name"])
            for row in rows(run(engine, "DESCRIBE events"))
            if row["column_type"] == "VARCHAR" and row["column_name"] not in _NO_TEXT
        ]
        flags = "'i'" if ignore_case else "'c'"
        test = f"regexp_matches({{}}, $pattern, {flags})" if regex else "contains({}, $pattern)"
        if ignore_case and not regex:
            test = "contains(lower({}), lower($pattern))"
        tests = {n: test.format(_quoted(n)) for n in texts}
        named = ", ".join(f"CASE WHEN {t} THEN '{n.replace(chr(39), chr(39) * 2)}' END" for n, t in tests.items())
        behind, given = _behind(after)
        # a row is taken at its first column that holds it; all its columns are named once it is taken
        where = f"({condition}\n) AND {behind} AND ({' OR '.join(tests.values()) or 'false'})"
        found = f"*, list_filter([{named}], lambda x: x IS NOT NULL) AS found"
        yield from in_order(engine, found, where, given | {"pattern": pattern}, limit)


def save_parquet(
    case: Path,
    clocks: Mapping[str, Clock],
    out: Path,
    condition: str = "true",
    feed: str | None = None,
    limit: int | None = None,
) -> int:
    """Write the events that meet a condition, with ``ts``, in their order, to one Parquet file; returns how many.

    Raises:
        UsageError: HW0006; StoreError: HW5001.
    """
    condition = _checked(condition)
    out = out.absolute()
    with _engine(case, clocks, feed, out.parent) as engine:
        if engine is None:
            return 0
        return write_in_order(engine, f"({condition}\n)", limit, out, case.absolute() / "tmp")


def body_rows(case: Path, clocks: Mapping[str, Clock], condition: str = "true") -> Iterator[dict[str, Any]]:
    """One row for each file of the listings with its four times together, in order of place: for the body file."""
    condition = _checked(condition)
    times = ", ".join(
        f"max(CASE WHEN kind = 'file.{kind}' THEN ts END) AS {kind}"
        for kind in ("accessed", "modified", "changed", "created")
    )
    for feed in ("fs.macb", "windows.mft"):
        with _engine(case, clocks, feed) as engine:
            if engine is None:
                continue
            have = {str(row["column_name"]) for row in rows(run(engine, "DESCRIBE events"))}
            own = ", ".join(
                f"any_value({_quoted(n)}) AS {n}" if n in have else f"NULL AS {n}"
                for n in ("inode", "mode", "uid", "gid", "size", "allocated")
            )
            query = (
                f"SELECT source, path, file_path, {own}, {times} FROM events WHERE ({condition}\n) "  # noqa: S608
                'GROUP BY source, path, "offset", file_path ORDER BY source, path, file_path, "offset"'
            )
            yield from rows(run(engine, query))


def contract(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row as the contract of ``events --json`` has it, times still in nanoseconds: header, and own ``fields``."""
    header = {name: row.get(name) for name in HEADER_SCHEMA}
    own = {k: v for k, v in row.items() if k not in HEADER_SCHEMA and k != "ts" and v is not None}
    return {"ts": row.get("ts"), **header, "fields": {k.removeprefix("own."): v for k, v in own.items()}}
