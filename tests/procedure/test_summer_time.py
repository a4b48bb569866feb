# SPDX-License-Identifier: Apache-2.0
"""A wall clock in an hour that came twice, or never, is not told as if it were sure."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from headwater.model.times import zone_offsets
from headwater.procedure.corridor import open_case
from headwater.procedure.investigate import investigate
from headwater.procedure.summer_time import Changed, changed_hours, doubled, warnings
from small_case import order

HOUR = 3600 * 10**9


def _wall(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 10**9  # type: ignore[arg-type, misc]


def test_stretches_are_those_of_the_clock_and_of_the_log_alone() -> None:
    found = doubled(zone_offsets("America/New_York"), _wall(2025, 6, 1), _wall(2026, 4, 1))
    assert found == [
        (_wall(2025, 11, 2, 1), _wall(2025, 11, 2, 2), -HOUR),
        (_wall(2026, 3, 8, 2), _wall(2026, 3, 8, 3), HOUR),
    ]
    assert doubled(zone_offsets("Asia/Shanghai"), _wall(2000, 1, 1), _wall(2090, 1, 1)) == []


def test_hours_twice_and_never_are_counted_and_said(tmp_path: Path) -> None:
    lines = {
        "syslog": ["Nov  2 00:30:00", "Nov  2 01:00:00", "Nov  2 01:59:59", "Nov  2 01:10:00", "Nov  2 02:00:00"],
        "messages": ["Mar  8 01:59:59", "Mar  8 02:30:00", "Mar  8 03:00:00"],
    }
    for name, until in (
        ("syslog", datetime(2025, 11, 2, 8, tzinfo=UTC)),
        ("messages", datetime(2026, 3, 8, 8, tzinfo=UTC)),
    ):
        log = tmp_path / "ny" / "var" / "log" / name
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("".join(f"{head} ny cron[7]: said\n" for head in lines[name]))
        os.utime(log, (until.timestamp(), until.timestamp()))
    investigate(replace(order(tmp_path / "ny", tmp_path / "case"), changes={"zone": "America/New_York"}))
    corridor = open_case(tmp_path / "case")
    with corridor.ledger:
        found = changed_hours(corridor)
        said = [each.text.en for each in warnings(corridor)]
    assert found == [Changed("1", "America/New_York", True, 3, HOUR), Changed("1", "America/New_York", False, 1, HOUR)]
    assert "may be 60 minutes later" in said[0]
    assert "never were" in said[1]
