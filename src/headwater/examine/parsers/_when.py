# SPDX-License-Identifier: Apache-2.0
"""Times as programs write them into their logs: nanoseconds since 1970 and what they rest on, or nothing.

A text that is no time gives ``(None, TimeBasis.NONE)``; a default is never put in its place. Zone abbreviations other
than UTC and GMT mean several zones (CST is China's and Chicago's), so that such a time counts as a wall clock.
"""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime

from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import TimeBasis

When = tuple[int | None, TimeBasis]
NONE: When = (None, TimeBasis.NONE)
SECOND = 1_000_000_000
_MONTHS = {
    m: n for n, m in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)
}
_ISO = lazy_regex(
    r"(\d{4})[-/.](\d\d?)[-/.](\d\d?)[ T]{1,2}(\d\d?):(\d\d):(\d\d)(?:[.,:](\d{1,9}))?\s?(Z|UTC|GMT|[+-]\d\d:?(?:\d\d)?)?"
)
_CLF = lazy_regex(
    r"\[?(\d\d?)[/-]([A-Z][a-z]{2})[/-](\d{4})[: ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?: ?([+-]\d{4}|UTC|GMT|Z))?"
)
_NAMED = lazy_regex(r"(?:[A-Z][a-z]{2},? )?([A-Z][a-z]{2}) {1,2}(\d\d?) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))? (\d{4})")
_DAY_FIRST = lazy_regex(
    r"(?:[A-Z][a-z]{2},? )?(\d\d?) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?: ([+-]\d{4}|UTC|GMT))?"
)
_AMERICAN = lazy_regex(
    r"([A-Z][a-z]{2}) (\d\d?), (\d{4}),? (\d\d?):(\d\d):(\d\d)(?:[.,](\d{1,9}))?[ \u202f]?([AP]M)?(?: (UTC|GMT|[+-]\d\d:?\d\d))?"
)
_OLD_MYSQL = lazy_regex(r"(\d\d)(\d\d)(\d\d) {1,2}(\d\d?):(\d\d):(\d\d)")


@functools.lru_cache(maxsize=1024)
def _midnight(year: int, month: int, day: int) -> int | None:
    """Seconds since 1970 at which a day began; None where there is no such day."""
    try:
        return int(datetime(year, month, day, tzinfo=UTC).timestamp())
    except ValueError:
        return None


def _moment(
    year: str | int,
    month: int,
    day: str,
    hour: int,
    minute: str,
    second: str,
    part: str | None,
    zone: str | None,
    bare: TimeBasis,
) -> When:
    midnight = _midnight(int(year), month, int(day))
    if midnight is None or hour > 23 or int(minute) > 59:
        return NONE
    if int(second) > 60 or (zone and not zone.isalpha() and int(zone[1:3]) > 15):
        return NONE
    ns = (midnight + hour * 3600 + int(minute) * 60 + int(second)) * SECOND + (int(part.ljust(9, "0")) if part else 0)
    if zone and not zone.isalpha():
        ahead = int(zone[1:3]) * 3600 + int(zone.replace(":", "")[3:5] or 0) * 60
        ns -= (-ahead if zone[0] == "-" else ahead) * SECOND
    if not -(1 << 63) <= ns < 1 << 63:
        return NONE  # 64 bits of nanoseconds end in 2262
    return ns, bare if not zone else TimeBasis.UTC if zone.isalpha() else TimeBasis.ZONE_GIVEN


def iso(text: str, bare: TimeBasis = TimeBasis.ZONE_ASSUMED) -> When:
    """``2026-03-02T11:22:33.123456+08:00`` and its relatives; ``bare``: what a time without an offset rests on."""
    match = _ISO.match(text)
    if match is None:
        return NONE
    year, month, day, hour, minute, second, part, zone = match.groups()
    return _moment(year, int(month), day, int(hour), minute, second, part, zone, bare)


def clf(text: str) -> When:
    """``02/Mar/2026:11:22:33 +0800``, with dashes and a space too, as Tomcat and PHP-FPM write it."""
    match = _CLF.match(text)
    if match is None or match.group(2) not in _MONTHS:
        return NONE
    day, month, year, hour, minute, second, part, zone = match.groups()
    return _moment(year, _MONTHS[month], day, int(hour), minute, second, part, zone, TimeBasis.ZONE_ASSUMED)


def asctime(text: str) -> When:
    """``Mon Mar  2 11:22:33 2026``."""
    match = _NAMED.match(text)
    if match is None or match.group(1) not in _MONTHS:
        return NONE
    month, day, hour, minute, second, part, year = match.groups()
    return _moment(year, _MONTHS[month], day, int(hour), minute, second, part, None, TimeBasis.ZONE_ASSUMED)


def day_first(text: str) -> When:
    """``02 Mar 2026 11:22:33.123``, as Redis writes it."""
    match = _DAY_FIRST.match(text)
    if match is None or match.group(2) not in _MONTHS:
        return NONE
    day, month, year, hour, minute, second, part, zone = match.groups()
    return _moment(year, _MONTHS[month], day, int(hour), minute, second, part, zone, TimeBasis.ZONE_ASSUMED)


def american(text: str) -> When:
    """``Mar 2, 2026 11:22:33 AM``, as Java's loggers write it."""
    match = _AMERICAN.match(text)
    if match is None or match.group(1) not in _MONTHS:
        return NONE
    month, day, year, hour, minute, second, part, half, zone = match.groups()
    clock = int(hour) % 12 + (12 if half == "PM" else 0) if half else int(hour)
    return _moment(year, _MONTHS[month], day, clock, minute, second, part, zone, TimeBasis.ZONE_ASSUMED)


def old_mysql(text: str) -> When:
    """``260302 11:22:33``, MySQL's form before 5.7; its two-digit years are of this century."""
    match = _OLD_MYSQL.match(text)
    if match is None:
        return NONE
    year, month, day, hour, minute, second = match.groups()
    return _moment(2000 + int(year), int(month), day, int(hour), minute, second, None, None, TimeBasis.ZONE_ASSUMED)


def epoch(stated: object) -> When:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970 by their size, as a number or its text."""
    match = re.fullmatch(r"(\d{9,19})(?:\.(\d{1,9})\d*)?", str(stated))
    if match is None:
        return NONE
    digits = len(match.group(1))
    scale = SECOND if digits <= 11 else 1_000_000 if digits <= 14 else 1_000 if digits <= 17 else 1
    ns = int(match.group(1)) * scale
    if match.group(2) and scale == SECOND:
        ns += int(match.group(2).ljust(9, "0"))
    return (ns, TimeBasis.UTC) if ns < 1 << 63 else NONE


def any_form(text: str) -> When:
    """The first of the forms above, without the bare numbers, that the text begins with."""
    for form in (iso, clf, asctime, day_first, american):
        found = form(text)
        if found[0] is not None:
            return found
    return NONE
