# SPDX-License-Identifier: Apache-2.0
"""Which year a line without a year is of: counted from the file's last line, back over the turns of the year.

The last line is taken to be of the latest year that puts it no later than a day after the file was last written, or of
the year that the examiner states. Between lines the calendar goes forward, except that up to a week back is taken for
lines out of order. 29 February must fall into a leap year: the last line's year is moved back until every such line does,
by at most :data:`_MOST_BACK` years; where no year serves, those lines have no time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from headwater.examine.line_time import _BEFORE_MONTH, DAY, YearlessTimes, days, is_leap
from headwater.examine.line_views import Flags, Ints
from headwater.examine.line_words import runs
from headwater.model.records import File
from headwater.model.times import SECOND

_BACK = 7  # days
_CYCLE = 366  # every year is counted as a leap year here, so that a day of the year is one number
_MOST_BACK = 8  # between 1896 and 1904 there is no 29 February


@dataclass(slots=True)
class YearWalk:
    """Goes through the times of a file in order and numbers their years 0, 1, 2 …."""

    place: int | None = None

    def advance(self, times: YearlessTimes) -> Ints:
        """The year numbers of the times that are ``ok``."""
        rows = np.flatnonzero(times.ok)
        if not len(rows):
            return rows
        every = _BEFORE_MONTH[times.month[rows] - 1] + times.day[rows] - 1
        firsts, run = runs(every)  # most lines are of the same day as the line before
        day_of_year = every[firsts]
        first = int(day_of_year[0]) if self.place is None else self.place
        steps = np.diff(day_of_year, prepend=first % _CYCLE)
        steps = (steps + _BACK) % _CYCLE - _BACK
        places = first + np.cumsum(steps)
        self.place = int(places[-1])
        numbers: Ints = ((places - day_of_year) // _CYCLE)[run]
        return numbers


@dataclass(slots=True)
class Years:
    """The years of one file: ``last`` is the year of its last line (None: nothing tells), ``number`` that line's."""

    last: int | None
    number: int
    walk: YearWalk = field(default_factory=YearWalk)

    def nanoseconds(self, times: YearlessTimes) -> tuple[Flags, Ints]:
        """Wall-clock nanoseconds of the next times of the file, and for which of the ``ok`` ones they are known."""
        numbers = self.walk.advance(times)
        rows = np.flatnonzero(times.ok)
        known = np.zeros(len(times.ok), dtype=np.bool_)
        ns = np.zeros(len(times.ok), dtype=np.int64)
        if self.last is None:
            return known, ns
        month, day_of_month = times.month[rows], times.day[rows]
        firsts, run = runs(numbers, month, day_of_month)
        year = self.last - (self.number - numbers[firsts])
        real, day = days(year, month[firsts], day_of_month[firsts])
        real &= (year > 1700) & (year < 2250)
        real, day = real[run], day[run]
        known[rows] = real
        ns[rows] = np.where(real, (day * DAY + times.second[rows]) * SECOND, 0)
        return known, ns


def years_of(file: File, blocks: Iterable[YearlessTimes]) -> Years:
    """Goes once through the times of a whole file (block by block), to know how many turns of the year stand before its end."""
    walk = YearWalk()
    number = 0
    leap_days: set[int] = set()
    last: tuple[int, int, int] | None = None
    for times in blocks:
        numbers = walk.advance(times)
        if not len(numbers):
            continue
        rows = np.flatnonzero(times.ok)
        number = int(numbers[-1])
        last = (int(times.month[rows[-1]]), int(times.day[rows[-1]]), int(times.second[rows[-1]]))
        feb29 = (times.month[rows] == 2) & (times.day[rows] == 29)
        leap_days.update(np.unique(numbers[feb29]).tolist())
    return Years(_last_year(file, number, last, leap_days), number)


def _last_year(file: File, number: int, last: tuple[int, int, int] | None, leap_days: set[int]) -> int | None:
    if file.facts.year is not None:
        return file.facts.year
    if file.mtime_ns is None or last is None:
        return None
    latest = file.mtime_ns // SECOND + DAY
    year = 1970 + latest // (_CYCLE * DAY) + 2
    while _second(year, last) > latest:
        year -= 1
    for back in range(_MOST_BACK + 1):
        if all(is_leap(np.array([year - back - number + n]))[0] for n in leap_days):
            return year - back
    return year


def _second(year: int, date: tuple[int, int, int]) -> int:
    month, day, second = date
    _, number = days(np.array([year]), np.array([month]), np.array([day]))
    return int(number[0]) * DAY + second
