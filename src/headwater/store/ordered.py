# SPDX-License-Identifier: Apache-2.0
"""Rows of the view ``events`` in their order, in bounded memory: whole where they fit, else page by page.

The engine sorts whole rows, and of rows with hundreds of columns it holds more than it may have long before a hundred thousand
are sorted. Then their places alone are sorted, which are narrow, and the rows of each stretch of places are fetched.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from headwater.model.errors import HeadwaterError, StoreError, UsageError
from headwater.model.nouns import Text

FETCH = 5_000
ORDER = 'ts NULLS LAST, source, path, "offset", ordinal'
_PLACE = '(source, path, "offset", ordinal)'
_CELLS = 2_000_000  # of a page
_GROUP = 4_096  # rows of a group of a file that holds many columns
_PAGE_LEAST, _PAGE_MOST = 500, 20_000  # rows
Place = tuple[int | None, int, str, int, int]  # ts, source, path, offset, ordinal
_REFUSALS = (
    (r'Referenced column "([^"]*)" not found', "没有名为 {} 的列", "no column is named {}"),
    (
        r'Referenced table "([^"]*)" not found',
        "没有名为 {} 的表；各列直接写列名",
        "no table {}; write a column's name alone",
    ),
    (r'syntax error at or near "([^"]*)"', "在 {} 处不合语法", "not an expression at {}"),
    (r"[Ff]unction with name (\S+) does not exist", "没有名为 {} 的函数", "no function is named {}"),
    (
        r"Could not convert string '([^']*)'",
        "{} 无法与该列的类型比较",
        "{} cannot be compared with a column of that type",
    ),
)


def engine_words(message: str) -> Text:
    """Why the engine refuses a condition, in both languages: its first line, the commonest reasons in words of ours."""
    line = message.splitlines()[0] if message else "not an expression"
    for form, zh, en in _REFUSALS:
        found = re.search(form, line)
        if found:
            return Text(zh.format(found[1]), en.format(found[1]))
    return Text(f"查询引擎称：{line}", line)


def refused(error: duckdb.Error) -> HeadwaterError:
    """What the engine's complaint is about: its memory (HW5002), the files below it (HW5003), or else the condition (HW0006)."""
    line = next(iter(str(error).splitlines()), "") or type(error).__name__
    if isinstance(error, duckdb.OutOfMemoryException):
        return StoreError("HW5002", what=line)
    if isinstance(error, duckdb.IOException):
        return StoreError("HW5003", what=line)
    return UsageError("HW0006", what=engine_words(str(error)))


def run(
    engine: duckdb.DuckDBPyConnection, query: str, given: Mapping[str, Any] | None = None
) -> duckdb.DuckDBPyConnection:
    try:
        return engine.execute(query, dict(given or {}))
    except duckdb.Error as error:
        raise refused(error) from error


def rows(result: duckdb.DuckDBPyConnection) -> Iterator[dict[str, Any]]:
    names = [c[0] for c in result.description or ()]
    try:
        while rows := result.fetchmany(FETCH):
            for row in rows:
                yield dict(zip(names, row, strict=True))
    except duckdb.Error as error:  # a cast or an expression that fails on a row further down
        raise refused(error) from error


def behind_place(place: Place, name: str) -> tuple[str, dict[str, Any]]:
    """The condition that an event stands behind a place in the order, and its values, whose names begin with ``name``."""
    values = dict(
        zip((f"{name}_ts", f"{name}_source", f"{name}_path", f"{name}_offset", f"{name}_ordinal"), place, strict=True)
    )
    beyond = f"{_PLACE} > (${name}_source, ${name}_path, ${name}_offset, ${name}_ordinal)"
    if values[f"{name}_ts"] is None:
        del values[f"{name}_ts"]
        return f"(ts IS NULL AND {beyond})", values
    return f"(ts > ${name}_ts OR ts IS NULL OR (ts = ${name}_ts AND {beyond}))", values


def in_order(
    engine: duckdb.DuckDBPyConnection, what: str, where: str, given: Mapping[str, Any], limit: int | None
) -> Iterator[dict[str, Any]]:
    """The events that meet ``where``, ordered by (ts, source, path, offset, ordinal), nulls last.

    Raises:
        UsageError: HW0006 where the condition cannot be used; StoreError: HW5002, HW5003.
    """
    bound = "" if limit is None else f" LIMIT {int(limit)}"
    try:
        taken = f"SELECT * FROM events WHERE {where} ORDER BY {ORDER}{bound}"  # noqa: S608
        # what is worked out of a row is so for the rows taken alone
        query = taken if what == "*" else f"SELECT {what} FROM ({taken}) ORDER BY {ORDER}"  # noqa: S608
        result = engine.execute(query, dict(given))
        first = result.fetchmany(FETCH)
    except duckdb.OutOfMemoryException:
        yield from _by_pages(engine, what, where, given, bound)
        return
    except duckdb.Error as error:
        raise refused(error) from error
    names = [c[0] for c in result.description or ()]
    for row in first:
        yield dict(zip(names, row, strict=True))
    del first
    yield from rows(result)


def _by_pages(
    engine: duckdb.DuckDBPyConnection, what: str, where: str, given: Mapping[str, Any], bound: str
) -> Iterator[dict[str, Any]]:
    for here, values in _stretches(engine, where, given, bound):
        query = f"SELECT {what} FROM events WHERE {here} AND ({where}) ORDER BY {ORDER}"  # noqa: S608
        yield from rows(run(engine, query, {**given, **values}))


def _stretches(
    engine: duckdb.DuckDBPyConnection, where: str, given: Mapping[str, Any], bound: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The places of the events in their order, cut into pages: each as a condition and its values."""
    columns = sum(1 for _ in rows(run(engine, "DESCRIBE events")))
    page = max(_PAGE_LEAST, min(_PAGE_MOST, _CELLS // max(1, columns)))
    places = engine.cursor()
    named = 'ts, source, path, "offset", ordinal, t_recorded'
    run(places, f"SELECT {named} FROM events WHERE {where} ORDER BY {ORDER}{bound}", given)  # noqa: S608
    last: Place | None = None
    while found := places.fetchmany(page):
        yield _stretch(last, found)
        last = found[-1][:5]


def write_in_order(engine: duckdb.DuckDBPyConnection, where: str, limit: int | None, out: Path, room: Path) -> int:
    """Write the events to one Parquet file in their order; ``room``: a folder for what is in between. Returns how many.

    Raises:
        UsageError: HW0006; StoreError: HW5002, HW5003.
    """
    bound = "" if limit is None else f" LIMIT {int(limit)}"
    whole = f"SELECT * FROM events WHERE {where} ORDER BY {ORDER}{bound}"  # noqa: S608
    try:
        row = engine.execute(_copy(whole, out)).fetchone()
        return int(row[0]) if row else 0
    except duckdb.OutOfMemoryException:
        out.unlink(missing_ok=True)
    except duckdb.Error as error:
        raise refused(error) from error
    with tempfile.TemporaryDirectory(dir=room) as held:
        pages: list[Path] = []
        for here, values in _stretches(engine, where, {}, bound):
            pages.append(Path(held) / f"{len(pages):08d}.parquet")
            query = f"SELECT * FROM events WHERE {here} AND ({where}) ORDER BY {ORDER}"  # noqa: S608
            run(engine, _copy(query, pages[-1]), values)
        with duckdb.connect(":memory:") as joining:  # one thread, which keeps the order of the files and of their rows
            joining.execute("SET threads = 1; SET memory_limit = '700MB'; SET preserve_insertion_order = true")
            joining.execute(
                f"SET temp_directory = '{held.replace(chr(39), chr(39) * 2)}'"
            )  # else where the person stands
            names = ", ".join("'" + literal(str(page)) + "'" for page in pages)
            row = run(joining, _copy(f"SELECT * FROM read_parquet([{names}])", out, _GROUP)).fetchone()  # noqa: S608
            return int(row[0]) if row else 0


def _copy(query: str, out: Path, group: int | None = None) -> str:
    target, size = str(out).replace("'", "''"), "" if group is None else f", ROW_GROUP_SIZE {group}"
    return f"COPY ({query}) TO '{target}' (FORMAT parquet, COMPRESSION zstd{size})"


def literal(path: str) -> str:
    """A path that the engine takes as it stands: its glob characters in brackets, its quotes doubled."""
    return re.sub(r"[\[*?]", r"[\g<0>]", path).replace("'", "''")


def _stretch(before: Place | None, found: Sequence[tuple[Any, ...]]) -> tuple[str, dict[str, Any]]:
    """The condition of a stretch of places: by the recorded time too, by which whole groups of rows are passed over."""
    past, values = behind_place(found[-1][:5], "to")
    parts = [f"NOT {past}"]
    if before is not None:
        behind, more = behind_place(before, "from")
        parts.append(behind)
        values |= more
    times = [place[5] for place in found if place[5] is not None]
    if times:
        values |= {"low": min(times), "high": max(times)}
        between = "t_recorded BETWEEN $low AND $high"
        parts.insert(0, between if len(times) == len(found) else f"({between} OR t_recorded IS NULL)")
    else:
        parts.insert(0, "t_recorded IS NULL")
    return " AND ".join(parts), values
