# SPDX-License-Identifier: Apache-2.0
"""Timeline: what a person asks of the events — a stretch of time, a neighbourhood, a page, counts, another program's form."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from headwater import __version__
from headwater.case.settings import check_zone
from headwater.model.errors import UsageError
from headwater.model.nouns import Text
from headwater.model.times import SECOND, from_rfc3339
from headwater.procedure.contracts import event_id, event_json, parse_event_id
from headwater.procedure.corridor import Corridor, clocks_of, store_of
from headwater.store import forms
from headwater.store.ordered import Place
from headwater.store.sql import body_rows, contract, facet, histogram, save_parquet, select_events

FORMS = ("jsonl", "csv", "parquet", "timesketch", "body", "ecs", "ocsf")
WIDTHS = {"minute": 60 * SECOND, "hour": 3600 * SECOND, "day": 86_400 * SECOND, "week": 7 * 86_400 * SECOND}
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """Which events. ``since``, ``until`` (both inclusive), ``around``: RFC 3339 or, for ``around``, an event's id.

    ``minutes``: on either side of ``around``. ``after``: the id of the last event of the page before.
    """

    where: str = "true"
    feed: str | None = None
    since: str | None = None
    until: str | None = None
    around: str | None = None
    minutes: float = 10.0
    after: str | None = None
    limit: int | None = None


def condition(corridor: Corridor, asked: Question) -> str:
    """The question as one condition of SQL.

    Raises:
        UsageError: HW0001 for a time that is none, HW0005 for an event that is not there.
    """
    parts = [f"({asked.where}\n)"]
    if asked.since is not None:
        parts.append(f"ts >= {_moment(asked.since, '--since')}")
    if asked.until is not None:
        parts.append(f"ts <= {_moment(asked.until, '--until')}")
    if asked.around is not None:
        middle = _middle(corridor, asked.around)
        reach = int(asked.minutes * 60 * SECOND)
        parts.append(f"ts BETWEEN {middle - reach} AND {middle + reach}")
    return " AND ".join(parts)


def _moment(text: str, option: str) -> int:
    try:
        return from_rfc3339(text)
    except ValueError as error:
        forms = "2026-03-02T08:15:00+08:00, 2026-03-02T00:15:00Z"
        what = Text(f"{option} {text} 不是时刻，写法如 {forms}", f"{option} {text} is no time; write it like {forms}")
        raise UsageError("HW0001", what=what) from error


def _middle(corridor: Corridor, text: str) -> int:
    try:
        return from_rfc3339(text)
    except ValueError:
        found = place_of(corridor, text)[0]
    if found is None:
        what = Text(f"--around {text}：该事件未载时间", f"--around {text}: the event states no time")
        raise UsageError("HW0001", what=what)
    return found


def place_of(corridor: Corridor, name: str) -> Place:
    """An event's place in the order of time, by its id.

    Raises:
        UsageError: HW0005, there is no such event.
    """
    try:
        source, path, offset, ordinal = parse_event_id(name)
    except ValueError as error:
        raise UsageError("HW0005", what=name) from error
    row = store_of(corridor).event(source, path, offset, ordinal)
    if row is None:
        raise UsageError("HW0005", what=name)
    return row["ts"], source, path, offset, ordinal


def page(corridor: Corridor, asked: Question) -> Iterator[Json]:
    """The events asked for as rows of the contract with their ``id``, times in nanoseconds, in the order of time."""
    after = None if asked.after is None else place_of(corridor, asked.after)
    rows = select_events(
        corridor.case, clocks_of(corridor), condition(corridor, asked), asked.limit, asked.feed, after
    )  # fmt: skip
    for row in rows:
        yield identified(row)


def identified(row: Json) -> Json:
    """A row of the store as the contract has it, with its id."""
    held = contract(row)
    return {"id": event_id(held["source"], held["path"], held["offset"], held["ordinal"]), **held}


def values(corridor: Corridor, asked: Question, column: str, most: int) -> list[tuple[str | None, int]]:
    """The most frequent values of a column among the events asked for."""
    return facet(corridor.case, clocks_of(corridor), column, condition(corridor, asked), most, asked.feed)


def counts(corridor: Corridor, asked: Question, width: str) -> list[tuple[int, int]]:
    """How many of the events asked for begin in each minute, hour, day or week (UTC), as (start in ns, count)."""
    monday = 4 * WIDTHS["day"] if width == "week" else 0  # 1970-01-01 was a Thursday
    where = condition(corridor, asked)
    return histogram(corridor.case, clocks_of(corridor), WIDTHS[width], where, asked.feed, monday)


def shown_in(ns: int | None, zone: str) -> str:
    """A time for the eye with its offset, to the microsecond where it was recorded, in a display zone."""
    if ns is None:
        return "-"
    try:
        there = datetime.fromtimestamp(ns // SECOND, ZoneInfo(zone)).replace(microsecond=ns % SECOND // 1000)
    except (OverflowError, ValueError, OSError):  # a year beyond what calendars here reach
        return f"{ns // SECOND} s"
    return there.isoformat(sep=" ")


def checked_zone(name: str) -> str:
    """The display zone, if there is one of that name.

    Raises:
        UsageError: HW1004, as :func:`headwater.case.settings.check_zone` has it.
    """
    check_zone(name)
    return name


@dataclass(frozen=True, slots=True)
class Saved:
    """What was written: events (for the body file: files), and those that the form cannot hold for want of a time."""

    path: Path
    rows: int
    without_time: int


def save(corridor: Corridor, asked: Question, form: str, out: Path) -> Saved:
    """Write the events asked for to a new file in another program's form.

    Raises:
        UsageError: HW0010 where the file is there already, or its folder is not.
    """
    if out.exists() or not out.absolute().parent.is_dir():
        raise UsageError("HW0010", str(out))
    partial = out.with_name(out.name + ".part")
    try:
        if form == "parquet":
            where = condition(corridor, asked)
            rows, lost = save_parquet(corridor.case, clocks_of(corridor), partial, where, asked.feed, asked.limit), 0
        else:
            rows, lost = _written(partial, _lines(corridor, asked, form))
        if partial.exists():  # Parquet without a column is no file
            partial.rename(out)
    finally:
        partial.unlink(missing_ok=True)  # what is cut off holds nothing that the case has not
    return Saved(out, rows - (form == "csv"), lost)


def _written(partial: Path, lines: Iterable[str | None]) -> tuple[int, int]:
    """Write the lines; how many there are, and how many events had none."""
    rows = lost = 0
    with partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        for text in lines:
            if text is None:
                lost += 1
            else:
                rows += 1
                file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return rows, lost


def _lines(corridor: Corridor, asked: Question, form: str) -> Iterable[str | None]:
    if form == "body":
        for row in body_rows(corridor.case, clocks_of(corridor), condition(corridor, asked)):
            yield forms.body_line(row)
        return
    if form == "csv":
        yield forms.csv_head()
    for row in page(corridor, asked):
        if form == "csv":
            yield forms.csv_line(row)
            continue
        if form == "jsonl":
            text: str | None = json.dumps(event_json(row), ensure_ascii=False, separators=(",", ":"), default=str)
        elif form == "timesketch":
            text = forms.timesketch_line(row)
        elif form == "ecs":
            text = forms.ecs_line(row)
        else:
            text = forms.ocsf_line(row, __version__)
        yield None if text is None else text + "\n"
