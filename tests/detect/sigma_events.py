# SPDX-License-Identifier: Apache-2.0
"""Frames of plain records for tests of the Sigma engine, and what each of its three readers says of a rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import polars as pl
import yaml
from sigma.rule import SigmaRule

from headwater.detect.sigma_columns import Columns
from headwater.detect.sigma_explain import explain
from headwater.detect.sigma_plan import Plan
from headwater.detect.sigma_rules import _POLICY
from headwater.detect.sigma_scan import Slice
from headwater.detect.sigma_sql import condition
from headwater.detect.sigma_tree import Or, Tree, Unsupported, Values, compiled


def tree_of(detection: Mapping[str, Any] | str, values: Values | None = None) -> Tree:
    """The compiled form of a detection section."""
    held = yaml.safe_load(detection) if isinstance(detection, str) else detection
    rule = SigmaRule.from_dict(
        {"title": "t", "logsource": {"product": "linux"}, "detection": dict(held)}, policy=_POLICY
    )
    trees = tuple(compiled(c.parsed, values) for c in rule.detection.parsed_condition)
    return trees[0] if len(trees) == 1 else Or(trees)


def frame_of(records: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Records as text columns; a field that differs only in case is the same field."""
    names: dict[str, str] = {}
    for record in records:
        for name in record:
            names.setdefault(name.lower(), name)
    rows = [{names[k.lower()]: None if v is None else _text(v) for k, v in r.items()} for r in records]
    return pl.DataFrame(rows, schema=dict.fromkeys(names.values(), pl.String))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def by_engine(trees: Sequence[Tree], frame: pl.DataFrame) -> list[list[int]]:
    """The rows that each tree matches, by dictionary and automaton."""
    plan = Plan(Columns(frame.columns))
    for tree in trees:
        plan.add(tree)
    found = {number: rows.tolist() for number, rows in Slice(plan.close(), frame).matches()}
    return [found.get(number, []) for number in range(len(trees))]


def by_walking(tree: Tree, frame: pl.DataFrame) -> list[int]:
    """The rows that a tree matches, one event at a time."""
    columns = Columns(frame.columns)
    return [at for at, row in enumerate(frame.iter_rows(named=True)) if explain(tree, row, columns) is not None]


def by_sql(tree: Tree, frame: pl.DataFrame) -> list[int] | None:
    """The rows that a tree matches, by SQL; None where SQL does not express it."""
    try:
        where = condition(tree, Columns(frame.columns))
    except Unsupported:
        return None
    with duckdb.connect(":memory:", config={"threads": 1}) as engine:
        columns = ", ".join('"' + c.replace('"', '""') + '" VARCHAR' for c in frame.columns)
        engine.execute(f"CREATE TABLE events (place BIGINT, {columns})")
        marks = ", ".join("?" * (frame.width + 1))
        engine.executemany(f"INSERT INTO events VALUES ({marks})", [(i, *r) for i, r in enumerate(frame.iter_rows())])
        return [r[0] for r in engine.execute(f"SELECT place FROM events WHERE {where} ORDER BY place").fetchall()]
