# SPDX-License-Identifier: Apache-2.0
"""Runs of like events: two hundred refused passwords from one address are one row of a printed timeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headwater.model.times import SECOND
from headwater.report.data import TimelineRow

APART = 3600 * SECOND  # events further apart than this begin a new run
LEAST = 3  # fewer like events are printed one by one


@dataclass(slots=True)
class Run:
    """Like events in order of time: same kind, host, source address, file and steps."""

    rows: list[TimelineRow]

    @property
    def first(self) -> TimelineRow:
        return self.rows[0]

    @property
    def last(self) -> TimelineRow:
        return self.rows[-1]

    @property
    def users(self) -> tuple[str, ...]:
        """The accounts of the run, in order of first mention."""
        return tuple(dict.fromkeys(r.user for r in self.rows if r.user))


def runs(rows: Sequence[TimelineRow]) -> list[Run]:
    """The rows as runs, each at the place of its first event; short runs are taken apart again.

    Every row stands in exactly one run.
    """
    found: list[Run] = []
    under_way: dict[tuple[object, ...], Run] = {}
    for row in rows:
        key = (row.kind, row.host, row.src_ip, row.evidence, row.path, row.steps, row.basis)
        run = under_way.get(key)
        if run is not None and row.ts is not None and run.last.ts is not None and row.ts - run.last.ts <= APART:
            run.rows.append(row)
            continue
        under_way[key] = Run([row])
        found.append(under_way[key])
    place = {id(row): at for at, row in enumerate(rows)}
    split = [r for run in found for r in ([run] if len(run.rows) >= LEAST else [Run([row]) for row in run.rows])]
    return sorted(split, key=lambda run: place[id(run.first)])
