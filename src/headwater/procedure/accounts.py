# SPDX-License-Identifier: Apache-2.0
"""The account of every file: what parsed it, how many bytes became events, what was skipped, what is a gap."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headwater.formats.atomic import write_atomic
from headwater.formats.canonical import canonical
from headwater.model.errors import ExamineError

Json = dict[str, Any]


def accounts_path(case: Path) -> Path:
    """Where the account of every file stands, one JSON object per line."""
    return case / "coverage.jsonl"


def save_accounts(case: Path, accounts: Mapping[int, Sequence[Json]]) -> str:
    """Write the accounts of all items; returns the file's SHA-256."""
    lines = [
        canonical({"evidence": number, **account}) + b"\n"
        for number in sorted(accounts)
        for account in accounts[number]
    ]
    return write_atomic(accounts_path(case), b"".join(lines))


def save_ranges(case: Path, ranges: Mapping[int, Sequence[tuple[int, int, str]]]) -> str:
    """Write the ranges that tile each medium, [evidence, offset, length, state] per line; returns the SHA-256."""
    lines = [canonical([number, *row]) + b"\n" for number in sorted(ranges) for row in ranges[number]]
    return write_atomic(case / "extents.jsonl", b"".join(lines))


def load_ranges(case: Path) -> dict[int, list[tuple[int, int, str]]]:
    """The ranges of every medium, by evidence number.

    Raises:
        ExamineError: HW4003 where the examination has not come that far.
    """
    found: dict[int, list[tuple[int, int, str]]] = {}
    try:
        for line in (case / "extents.jsonl").read_bytes().splitlines():
            number, offset, length, state = json.loads(line)
            found.setdefault(int(number), []).append((int(offset), int(length), str(state)))
    except (OSError, ValueError) as error:
        raise ExamineError("HW4003", str(case), what="extents.jsonl") from error
    return found


def load_accounts(case: Path) -> list[Json]:
    """The accounts of all items, in order.

    Raises:
        ExamineError: HW4003 where the examination has not come that far.
    """
    try:
        rows = [json.loads(line) for line in accounts_path(case).read_bytes().splitlines()]
    except (OSError, ValueError) as error:
        raise ExamineError("HW4003", str(case), what="coverage.jsonl") from error
    for row in rows:
        if row["target"]["mtime"] is not None:  # canonical JSON holds nanoseconds as text
            row["target"]["mtime"] = int(row["target"]["mtime"])
    return rows


def sealed_parts(case: Path) -> dict[str, str]:
    """Every part of every finished task with its digest, as the markers state them."""
    found: dict[str, str] = {}
    for marker in sorted((case / "tasks").glob("*.json")):
        content = json.loads(marker.read_bytes())
        found.update(dict(content["parts"]))
    return found
