# SPDX-License-Identifier: Apache-2.0
"""Times of log lines, decoded from the bytes of a whole block at once.

Every decoder takes a padded block and the positions where a time should stand, and returns for each whether it does. All
values are int64; nanoseconds count from 1970 as if the wall clock were UTC, and an offset that is stated is taken off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.examine import line_words
from headwater.examine.line_views import Bytes, Flags, Ints, words, words_from
from headwater.formats import compiled
from headwater.model.times import SECOND

DAY = 86_400
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_CODES = np.array([int.from_bytes(m.encode(), "little") for m in _MONTHS], dtype=np.uint32)
_MONTH_ORDER = np.argsort(_MONTH_CODES)
_MONTH_SORTED = _MONTH_CODES[_MONTH_ORDER]
_MONTH_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)
_8, _32, _56 = np.uint64(8), np.uint64(32), np.uint64(56)
_SCALE = 10 ** np.arange(9, -1, -1, dtype=np.int64)  # of a fraction of so many digits to nanoseconds
_BEFORE_MONTH = np.cumsum(_MONTH_DAYS).astype(np.int64)  # by month - 1, in a year of 366 days


Letters = NDArray[np.uint8]  # one row per position behind the start, one column per line


def letters(data: Bytes, at: Ints, width: int) -> Letters:
    """The ``width`` bytes at each position, in words of eight: a line's head costs one visit to memory, not one a byte."""
    wide = words(data, 8)
    count = -(-width // 8)
    grid = np.empty((len(at), count), dtype="<u8")
    for k in range(count):
        grid[:, k] = wide[at + 8 * k if k else at]
    return np.ascontiguousarray(grid.view(np.uint8).reshape(len(at), 8 * count).T)


def digits(text: Letters, place: int, count: int) -> tuple[Flags, Ints]:
    """A number of exactly ``count`` decimal digits."""
    value = np.zeros(text.shape[1], dtype=np.int64)
    ok = np.ones(text.shape[1], dtype=np.bool_)
    for k in range(place, place + count):
        digit = text[k] - np.uint8(48)  # wraps below "0"
        ok &= digit <= 9
        value = value * 10 + digit
    return ok, value


def month_name(text: Letters, place: int) -> tuple[Flags, Ints]:
    """``Jan`` … ``Dec`` as 1 … 12."""
    code = (
        text[place].astype(np.uint32) | text[place + 1].astype(np.uint32) << 8 | text[place + 2].astype(np.uint32) << 16
    )
    found = np.minimum(np.searchsorted(_MONTH_SORTED, code), 11)
    return _MONTH_SORTED[found] == code, (_MONTH_ORDER[found] + 1).astype(np.int64)


def clock(text: Letters, place: int) -> tuple[Flags, Ints]:
    """``HH:MM:SS`` as seconds of the day; a leap second 60 is taken as the next second."""
    ok_h, hour = digits(text, place, 2)
    ok_m, minute = digits(text, place + 3, 2)
    ok_s, second = digits(text, place + 6, 2)
    ok = ok_h & ok_m & ok_s & (text[place + 2] == 58) & (text[place + 5] == 58)
    ok &= (hour < 24) & (minute < 60) & (second <= 60)
    return ok, hour * 3600 + minute * 60 + second


def is_leap(year: Ints) -> Flags:
    leap: Flags = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    return leap


def days(year: Ints, month: Ints, day: Ints) -> tuple[Flags, Ints]:
    """Days since 1970 of a date of the proleptic Gregorian calendar, and whether there is such a date."""
    ok = (month >= 1) & (month <= 12)
    month = np.where(ok, month, 1)
    ok &= (day >= 1) & (day <= _MONTH_DAYS[month]) & ~((month == 2) & (day == 29) & ~is_leap(year))
    y = year - 1
    before = y * 365 + y // 4 - y // 100 + y // 400
    leap_day_missing = (month > 2) & ~is_leap(year)
    return ok, before - 719_162 + _BEFORE_MONTH[month - 1] - leap_day_missing + day - 1


def fraction(data: Bytes, at: Ints) -> tuple[Ints, Ints]:
    """Nanoseconds of ``.ddd`` or ``,ddd`` with up to nine digits, and the position behind it; 0 where there is none."""
    value = np.zeros(len(at), dtype=np.int64)
    on = ((data[at] == 46) | (data[at] == 44)) & (data[at + 1] - np.uint8(48) <= 9)
    if not on.any():
        return value, at
    count, value = line_words.decimal(line_words.word(data, at + 1))
    ninth = data[at + 9] - np.uint8(48)
    nine = (count == 8) & (ninth <= 9)
    value = np.where(nine, value * 10 + ninth, value * _SCALE[count])
    return np.where(on, value, 0), at + np.where(on, 1 + count + nine, 0)


def zone(data: Bytes, at: Ints) -> tuple[Flags, Ints, Ints]:
    """``Z``, ``+HH:MM``, ``+HHMM`` or ``+HH``: whether stated, seconds ahead of UTC, and the position behind it."""
    return _zone(letters(data, at, 6), at)


def _zone(text: Letters, at: Ints) -> tuple[Flags, Ints, Ints]:
    sign = text[0]
    zulu = (sign == 90) | (sign == 122)
    signed = (sign == 43) | (sign == 45)
    ok_h, hour = digits(text, 1, 2)
    colon = text[3] == 58
    plain, split = digits(text, 3, 2), digits(text, 4, 2)
    ok_m, minute = np.where(colon, split[0], plain[0]), np.where(colon, split[1], plain[1])
    signed &= ok_h & (hour < 24)
    ok_m &= minute < 60
    ahead = hour * 3600 + np.where(ok_m, minute, 0) * 60
    ahead = np.where(sign == 45, -ahead, ahead)
    end = np.where(zulu, at + 1, np.where(signed, at + 3 + np.where(ok_m, colon + 2, 0), at))
    return zulu | signed, np.where(signed, ahead, 0), end


@dataclass(frozen=True, slots=True)
class Times:
    """``ns`` holds where ``ok``; ``zoned`` says that the offset was stated and taken off; ``end`` is behind the time."""

    ok: Flags
    ns: Ints
    zoned: Flags
    end: Ints


def iso(data: Bytes, at: Ints, separators: str = "-T") -> Times:
    """RFC 3339 and its relatives: ``2026-03-02T11:22:33.123456+08:00``, the offset and the fraction being optional.

    ``separators``: the one between the parts of the date, then those that may stand before the clock.
    """
    allowed = np.frombuffer(separators[1:].encode(), dtype=np.uint8)
    first, run = line_words.runs(line_words.word(data, at), line_words.masked(line_words.word(data, at + 8), 3))
    ok_day, number = _iso_day(letters(data, at[first], 11), ord(separators[0]), allowed)
    ok, second = line_words.clock(line_words.word(data, at + 11))
    ok &= ok_day[run]
    nanos, end = fraction(data, at + 19)
    zoned, ahead, end = zone(data, end)
    return Times(ok, (number[run] * DAY + second - ahead) * SECOND + nanos, ok & zoned, end)


def _iso_day(text: Letters, between: int, allowed: Letters) -> tuple[Flags, Ints]:
    """Whether ``2026-03-02T`` stands there, and its days since 1970."""
    ok_y, year = digits(text, 0, 4)
    ok_m, month = digits(text, 5, 2)
    ok_d, day = digits(text, 8, 2)
    ok_day, number = days(year, month, day)
    ok = ok_y & ok_m & ok_d & ok_day & (year > 0) & (text[4] == between) & (text[7] == between)
    ok &= np.isin(text[10], allowed)
    ok &= (number > -106_000) & (number < 106_000)  # what int64 nanoseconds can hold
    return ok, np.where(ok, number, 0)


def clf(data: Bytes, at: Ints) -> Times:
    """``10/Oct/2000:13:55:36 -0700``, the common log format's time without its brackets."""
    text = words_from(data, at, 4)
    first, run = line_words.runs(text[0], line_words.masked(text[1], 4))
    ok_day, number = _clf_day(letters(data, at[first], 12))
    ok, second = line_words.clock((text[1] >> _32) | (text[2] << _32))
    ok, number = ok & ok_day[run], number[run]
    behind = (text[2] >> _32) | (text[3] << _32)  # from the twentieth byte on
    if (line_words.masked(behind, 1) == 32).all():
        nanos, end, space = np.zeros(1, np.int64), at + 20, np.ones(len(at), dtype=np.bool_)
    else:
        nanos, end = fraction(data, at + 20)
        space, behind = data[end] == 32, line_words.word(data, end)
    first, run = line_words.runs(behind)
    zoned, ahead, size = _zone(letters(data, end[first] + 1, 6), np.ones(len(first), dtype=np.int64))
    zoned = zoned[run] & space
    ns = (number * DAY + second - np.where(zoned, ahead[run], 0)) * SECOND + nanos
    return Times(ok, ns, ok & zoned, np.where(zoned, end + size[run], end))


def _clf_day(text: Letters) -> tuple[Flags, Ints]:
    """Whether ``10/Oct/2000:`` stands there, and its days since 1970."""
    ok_d, day = digits(text, 0, 2)
    ok_m, month = month_name(text, 3)
    ok_y, year = digits(text, 7, 4)
    ok_day, number = days(year, month, day)
    ok = ok_d & ok_m & ok_y & ok_day & (text[2] == 47) & (text[6] == 47) & (text[11] == 58)
    ok &= (number > -106_000) & (number < 106_000)
    return ok, np.where(ok, number, 0)


def ctime(data: Bytes, at: Ints) -> Times:
    """``Mon Mar 02 11:22:33.123456 2026``: asctime(3), with Apache's optional fraction."""
    text = letters(data, at, 19)
    ok_m, month = month_name(text, 4)
    space = text[8] == 32
    ok_1, one = digits(text, 9, 1)
    ok_2, two = digits(text, 8, 2)
    ok_c, second = clock(text, 11)
    nanos, end = fraction(data, at + 19)
    ok_y, year = digits(letters(data, end + 1, 4), 0, 4)
    ok_day, number = days(year, month, np.where(space, one, two))
    ok = ok_m & (ok_2 | (space & ok_1)) & ok_c & ok_y & ok_day & (data[end] == 32)
    ok &= (number > -106_000) & (number < 106_000)
    return Times(ok, (np.where(ok, number, 0) * DAY + second) * SECOND + nanos, np.zeros(len(at), np.bool_), end + 5)


@dataclass(frozen=True, slots=True)
class YearlessTimes:
    """``Mmm dd HH:MM:SS`` of RFC 3164: ``month`` and ``day`` are of a possible date where ``ok``."""

    ok: Flags
    month: Ints
    day: Ints
    second: Ints


def bsd(data: Bytes, at: Ints) -> YearlessTimes:
    """The head of a BSD syslog line, with a space behind it; the day's first digit may be a space or a zero."""
    library = compiled.library()
    if library is not None:
        return _quick_bsd(library, data, at)
    low, high = words_from(data, at, 2)
    first, run = line_words.runs(line_words.masked(low, 7))
    text = letters(data, at[first], 8)
    ok, month = month_name(text, 0)
    space = text[4] == 32
    ok_1, one = digits(text, 5, 1)
    ok_2, two = digits(text, 4, 2)
    day = np.where(space, one, two)
    ok &= (ok_2 | (space & ok_1)) & (text[3] == 32) & (text[6] == 32) & (day >= 1) & (day <= _MONTH_DAYS[month])
    month, day = np.where(ok, month, 1), np.where(ok, day, 1)
    in_time, second = line_words.clock((low >> _56) | (high << _8))
    in_time &= ok[run] & ((high >> _56) == 32)
    return YearlessTimes(in_time, month[run], day[run], second)


def _quick_bsd(library: Any, data: Bytes, at: Ints) -> YearlessTimes:
    rows, place = len(at), compiled.at
    at, ok = compiled.whole(at), np.empty(rows, dtype=np.bool_)
    month, day, second = (np.empty(rows, dtype=np.int64) for _ in range(3))
    made = (place(array) for array in (ok, month, day, second))
    compiled.checked(library.hw_bsd(place(data), len(data), place(at), rows, *made))
    return YearlessTimes(ok, month, day, second)
