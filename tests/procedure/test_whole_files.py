# SPDX-License-Identifier: Apache-2.0
"""A file that vanished, or that nobody looked at to the end, and of which nothing is said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest

from headwater.confine.pool import Message, Outcome, Pool, Task
from headwater.model.kinds import GapReason
from headwater.model.records import Gap
from headwater.procedure.corridor import Corridor, evidence_of, open_case
from headwater.procedure.intake import Held
from headwater.procedure.tasks import WALK, Unit
from headwater.procedure.whole_files import Look, cut, run
from headwater.store.parts import encode_gaps

FEED = "fs.content"
CHILDS = "a gap of the child's own"


class _OnePool:
    """Runs nothing: each task says one gap, and ends as it is told to."""

    def __init__(self, status: str) -> None:
        self.status = status
        self.tasks: list[Task] = []

    def run(self, tasks: Iterable[Task], take: Callable[[Message], None]) -> Iterator[Outcome]:
        for task in tasks:
            self.tasks.append(task)
            blob = encode_gaps([("/c", Gap(0, 1, GapReason.LIMIT, CHILDS))], feed=FEED, source=1)
            take(Message(task.id, {"family": "gaps", "feed": FEED, "part": 0, "progress": 1}, blob))
            yield Outcome(task.id, self.status, "by a test" if self.status != "done" else "")


def _gaps(case: Path, status: str) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    corridor = open_case(case)
    with corridor.ledger:
        (item,) = evidence_of(corridor.ledger)
        listed = json.loads(Unit(item, WALK).marker(case).read_bytes())["contents"]
        targets = [{"view": v, "key": k, "path": p, "size": s} for v, k, p, s in listed]
        gone = [{"view": "", "key": f"gone{n}", "path": f"/gone{n}", "size": 7} for n in range(3)]
        units = cut(item, [*gone, *targets], 900_100_000, 100, 1 << 20, {})
        assert len(units) == 1
        look = Look("content", FEED, "nobody:nothing")
        numbers = run(cast(Corridor, corridor), cast(Pool, _OnePool(status)), Held((), ()), units, look)
        marker = json.loads(Unit(item, numbers[0]).marker(case).read_bytes())
    parts = [case / name for name, _ in marker["parts"]]
    frame = pl.concat([pl.read_parquet(p) for p in parts]).sort("path")
    return frame.select("path", "reason", "detail").rows(), marker


def test_a_file_that_vanished_before_it_was_looked_at_is_a_gap_beside_those_of_the_child(copied: Path) -> None:
    rows, marker = _gaps(copied, "done")
    assert [r[0] for r in rows] == ["/c", "/gone0", "/gone1", "/gone2"]
    assert {r[1] for r in rows[1:]} == {GapReason.UNREADABLE}
    names = [name for name, _ in marker["parts"]]
    assert len(names) == len(set(names)) == 2, "one part for all that vanished, and none written over"


@pytest.mark.parametrize("status", ["killed", "crashed"])
def test_files_of_a_task_that_did_not_end_are_gaps_in_one_part(copied: Path, status: str) -> None:
    rows, marker = _gaps(copied, status)
    assert [r[0] for r in rows] == ["/gone0", "/gone1", "/gone2", "/var/log/auth.log", "/var/log/auth.log.1"]
    assert {(r[1], r[2]) for r in rows} == {(GapReason.INCOMPLETE, f"content: {status}: by a test")}
    assert len(marker["parts"]) == 1, "4,000 files are not 4,000 parts"
