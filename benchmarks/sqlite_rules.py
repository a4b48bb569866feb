# SPDX-License-Identifier: Apache-2.0
"""A peer for Sigma: each rule one SQL statement over one SQLite table of flattened events, by public packages alone.

It is the way that Zircolite goes, with the backend of the same author (pySigma-backend-sqlite), but it is not Zircolite. It runs
in an environment of its own: ``pip install pySigma-backend-sqlite pySigma-pipeline-sysmon pySigma-pipeline-windows evtx``.

``VENV/bin/python sqlite_rules.py --convert RULES OUT.json`` makes the rules of product windows into statements, which is not
part of what is measured (Zircolite too is given them made). Then
``sqlite_rules.py --ruleset OUT.json --outfile FILE --events FILE-OR-FOLDER [--json-input]``, as Zircolite is called.
"""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

TABLE = "logs"
_MOST = 2000  # columns, SQLite's own bound


def convert(rules: Path, out: Path) -> None:
    """Rules of product windows as statements; those that the backend cannot make are counted."""
    from sigma.backends.sqlite import sqliteBackend
    from sigma.collection import SigmaCollection
    from sigma.pipelines.sysmon import sysmon_pipeline
    from sigma.pipelines.windows import windows_logsource_pipeline

    backend = sqliteBackend(sysmon_pipeline() + windows_logsource_pipeline())
    made: list[dict[str, Any]] = []
    failed = 0
    for path in sorted(rules.rglob("*.yml")):
        try:
            collection = SigmaCollection.from_yaml(path.read_text(encoding="utf-8"))
            if collection.rules[0].logsource.product != "windows":
                continue
            statements = [str(s).replace("<TABLE_NAME>", TABLE) for s in backend.convert(collection)]
            made.append({"title": collection.rules[0].title, "rule": statements})
        except Exception:
            failed += 1
    out.write_text(json.dumps(made), encoding="utf-8")
    print(f"{len(made)} rules made, {failed} not")


def flat(value: Any, name: str, out: dict[str, Any]) -> None:
    """An event's fields under their last names, as Zircolite has them; attributes under the names they had."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "#attributes":
                for attribute, said in inner.items():
                    out.setdefault(attribute if attribute != "Name" else f"{name}_Name", said)
            else:
                flat(inner, name if key == "#text" else key, out)
    elif isinstance(value, list):
        out[name] = ",".join(str(v) for v in value)
    elif value is not None:
        out[name] = value


def events_of(place: Path, of_json: bool) -> Iterator[dict[str, Any]]:
    """Flattened events of a file of JSON lines, or of every event log below a folder."""
    if of_json:
        with open(place, "rb") as file:
            for line in file:
                out: dict[str, Any] = {}
                flat(json.loads(line), "", out)
                yield out
        return
    from evtx import PyEvtxParser

    for path in sorted(p for p in place.rglob("*") if p.suffix.lower() == ".evtx"):
        try:
            for record in PyEvtxParser(str(path)).records_json():
                out = {}
                flat(json.loads(record["data"])["Event"], "", out)
                yield out
        except (RuntimeError, OSError, KeyError):
            continue


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:
        return None


def _regexp(pattern: str, text: object) -> int:
    found = _compiled(pattern)
    return int(text is not None and found is not None and found.search(str(text)) is not None)


def run(ruleset: Path, place: Path, of_json: bool, out: Path) -> None:
    """All statements over all events."""
    connection = sqlite3.connect(":memory:")
    connection.create_function("regexp", 2, _regexp, deterministic=True)
    rows = list(events_of(place, of_json))
    names: dict[str, str] = {}
    for row in rows:
        for name in row:
            names.setdefault(name.lower(), name)
    columns = [n for n in list(names.values())[:_MOST] if '"' not in n]
    stated = ", ".join(f'"{n}" TEXT COLLATE NOCASE' for n in columns)
    connection.execute(f"CREATE TABLE {TABLE} (row_id INTEGER PRIMARY KEY, {stated})")
    known = {n.lower(): i for i, n in enumerate(columns)}
    marks = ", ".join("?" for _ in columns)
    listed = ", ".join(f'"{n}"' for n in columns)

    def values(row: dict[str, Any]) -> list[Any]:
        made: list[Any] = [None] * len(columns)
        for name, value in row.items():
            at = known.get(name.lower())
            if at is not None:
                made[at] = value if isinstance(value, str) else str(value)
        return made

    connection.executemany(f"INSERT INTO {TABLE} ({listed}) VALUES ({marks})", map(values, rows))
    if "eventid" in known:
        connection.execute(f'CREATE INDEX of_numbers ON {TABLE} ("{columns[known["eventid"]]}")')
    found, matched, dead = [], 0, 0
    for rule in json.loads(ruleset.read_text(encoding="utf-8")):
        hits: list[Any] = []
        for statement in rule["rule"]:
            try:
                hits.extend(connection.execute(statement).fetchall())
            except sqlite3.Error:
                dead += 1  # a column that no event has
        if hits:
            matched += len(hits)
            found.append({"title": rule["title"], "count": len(hits), "matches": hits})
    out.write_text(json.dumps(found), encoding="utf-8")
    print(f"{len(rows)} events, {len(found)} rules matched {matched} events, {dead} statements could not run")


def main() -> None:
    """Convert, or run."""
    if sys.argv[1:2] == ["--convert"]:
        convert(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--ruleset", type=Path, required=True)
    parser.add_argument("--events", type=Path, required=True)
    parser.add_argument("--outfile", type=Path, required=True)
    parser.add_argument("--json-input", action="store_true")
    options = parser.parse_args()
    run(options.ruleset, options.events, options.json_input, options.outfile)


if __name__ == "__main__":
    main()
