# SPDX-License-Identifier: Apache-2.0
"""SQL over the event store: the one place that knows the SQL engine.

A condition is one boolean expression over the columns of the view ``events``. It is parsed alone first, in a
connection without tables, and refused unless it is exactly one expression without subqueries or table functions: the
examiner's own text can read the events and nothing else. The engine runs with external access locked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb

from headwater.model.errors import StoreError, UsageError
from headwater.store.clocks import Clock, ts_sql
from headwater.store.events import EventStore
from headwater.store.parts import HEADER_SCHEMA

_FETCH = 5_000


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
            raise UsageError("HW0006", what=str(error).splitlines()[0]) from error
    text = str(row[0]) if row else "{}"
    tree: dict[str, Any] = json.loads(text)
    if tree.get("error", True):
        raise UsageError("HW0006", what=tree.get("error_message", "not an expression"))
    statements = tree.get("statements", [])
    if len(statements) != 1 or '"SUBQUERY"' in text or statements[0]["node"].get("type") != "SELECT_NODE":
        raise UsageError("HW0006", what="one expression without subqueries")
    return condition


def _literal(path: str) -> str:
    """A path that the engine takes as it stands: its glob characters in brackets, its quotes doubled."""
    return re.sub(r"[\[*?]", r"[\g<0>]", path).replace("'", "''")


def _reader(parts: list[Path]) -> str:
    names = ", ".join("'" + _literal(str(p)) + "'" for p in parts)
    return f"read_parquet([{names}], union_by_name=true, hive_partitioning=false)"


def select_events(
    case: Path, clocks: Mapping[str, Clock], condition: str = "true", limit: int | None = None, feed: str | None = None
) -> Iterator[dict[str, Any]]:
    """Events that meet a condition, ordered by (ts, source, path, offset, ordinal), nulls last; every column.

    Raises:
        UsageError: HW0006 where the condition cannot be used.
        StoreError: HW5001 where parts cannot be read.
    """
    condition = _checked(condition)
    case = case.absolute()
    store = EventStore(case, clocks)
    feeds = [f for f in store.feeds() if feed is None or f == feed]
    if not feeds:
        return
    parts = [p for f in feeds for p in store.parts(f)]
    with duckdb.connect(":memory:") as engine:
        try:
            engine.execute("SET threads = 2; SET memory_limit = '700MB'; SET preserve_insertion_order = false")
            spill = case / "tmp"
            spill.mkdir(exist_ok=True)
            engine.execute(f"SET temp_directory = '{str(spill).replace(chr(39), chr(39) * 2)}'")
            source = _reader(parts)
            # the escaped form as well: it is the pattern, not the file, that the engine asks leave for
            allowed = ", ".join(f"'{form}'" for form in (str(case).replace("'", "''"), _literal(str(case))))
            engine.execute(f"SET allowed_directories = [{allowed}]")
            engine.execute("SET enable_external_access = false; SET lock_configuration = true")
            engine.execute(f"CREATE VIEW events AS SELECT {ts_sql(clocks)} AS ts, * FROM {source}")  # noqa: S608
        except (duckdb.Error, OSError) as error:
            raise StoreError("HW5001", str(case), what=str(error).splitlines()[0]) from error
        bound = "" if limit is None else f" LIMIT {int(limit)}"
        order = 'ts NULLS LAST, source, path, "offset", ordinal'
        try:
            result = engine.execute(f"SELECT * FROM events WHERE ({condition}\n) ORDER BY {order}{bound}")  # noqa: S608
        except duckdb.Error as error:
            raise UsageError("HW0006", what=str(error).splitlines()[0]) from error
        names = [c[0] for c in result.description or ()]
        while rows := result.fetchmany(_FETCH):
            for row in rows:
                yield dict(zip(names, row, strict=True))


def contract(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row as the contract of ``events --json`` has it, times still in nanoseconds: header, and own ``fields``."""
    header = {name: row.get(name) for name in HEADER_SCHEMA}
    own = {k: v for k, v in row.items() if k not in HEADER_SCHEMA and k != "ts" and v is not None}
    return {"ts": row.get("ts"), **header, "fields": {k.removeprefix("own."): v for k, v in own.items()}}
