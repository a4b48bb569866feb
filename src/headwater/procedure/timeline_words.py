# SPDX-License-Identifier: Apache-2.0
"""Counts by time for the eye: the thin years before the activity folded into a line, silences shown as silences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headwater.model.nouns import Text
from headwater.model.times import rfc3339
from headwater.procedure.timeline import WIDTHS

_THIN = 0.02  # of all events: as many at most are folded at the start …
_FEWEST = 8  # … and no fewer rows than these
_SILENCE = 3  # stretches without an event that are shown one by one; more are one line
_NAMES = {"minute": ("分钟", "minutes"), "hour": ("小时", "hours"), "day": ("天", "days"), "week": ("周", "weeks")}


@dataclass(frozen=True, slots=True)
class Shown:
    """One line: a stretch with its count, or words instead of several stretches."""

    start: int
    count: int
    words: Text | None = None


def folded(rows: Sequence[tuple[int, int]], width: str, *, whole: bool = False) -> Iterator[Shown]:
    """Stretches (start in UTC ns, count, in order, none empty) as lines.

    The first stretches are folded into one line where they are many and hold next to nothing: files keep the times of
    the packages they came from, years before the machine was set up. ``whole``: somebody asked from when on; nothing is
    folded at the start then.
    """
    first = 0 if whole else _thin(rows)
    if first:
        held = sum(count for _, count in rows[:first])
        since, until, shown = (_day(rows[n][0]) for n in (0, first - 1, first))
        yield Shown(rows[0][0], held, Text(
            f"此前 {held:,} 条，分散在 {first} 段（{since} 至 {until}），多为文件自带的时间；--since {since_words(rows[0][0])} 可逐段列出",
            f"before {shown}: {held:,} events in {first} stretches ({since} to {until}), mostly times that files brought "
            f"along; --since {since_words(rows[0][0])} lists them",
        ))  # fmt: skip
    step = WIDTHS[width]
    for at in range(first, len(rows)):
        if at > first:
            yield from _silence(rows[at - 1][0] + step, rows[at][0], width)
        yield Shown(*rows[at])


def _thin(rows: Sequence[tuple[int, int]]) -> int:
    """How many stretches at the start hold next to nothing."""
    room = _THIN * sum(count for _, count in rows)
    held = 0.0
    for at, (_, count) in enumerate(rows):
        held += count
        if held > room:
            return at if at >= _FEWEST else 0
    return 0


def _silence(begin: int, end: int, width: str) -> Iterator[Shown]:
    step = WIDTHS[width]
    empty = (end - begin) // step
    if empty <= _SILENCE:
        yield from (Shown(begin + n * step, 0) for n in range(empty))
        return
    zh, en = _NAMES[width]
    yield Shown(begin, 0, Text(f"… {empty:,} {zh}无事件", f"… {empty:,} {en} without an event"))


def since_words(start: int) -> str:
    """A start as ``--since`` takes it."""
    return (rfc3339(start) or "")[:19] + "Z"


def _day(start: int) -> str:
    return (rfc3339(start) or "")[:10]
