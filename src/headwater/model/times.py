# SPDX-License-Identifier: Apache-2.0
"""Nanoseconds since 1970 as int64, RFC 3339 text, and the offsets of a zone as a small pure table."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MIN_SECOND = -62_135_596_800  # 0001-01-01
_MAX_SECOND = 253_402_300_799  # 9999-12-31


def rfc3339(ns: int | None) -> str | None:
    """``2026-03-02T11:22:33.123456789Z`` for int64 nanoseconds since 1970; None stays None."""
    if ns is None:
        return None
    seconds, fraction = divmod(ns, SECOND)
    if not _MIN_SECOND <= seconds <= _MAX_SECOND:
        return None
    moment = _EPOCH + timedelta(seconds=seconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z".rjust(30, "0")


def from_rfc3339(text: str) -> int:
    """The inverse of :func:`rfc3339`; accepts any offset and up to nine fraction digits.

    Raises:
        ValueError: the text is not an RFC 3339 time.
    """
    body, _, rest = text.partition(".")
    if rest:
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        zone = rest[len(digits) :]
    else:
        digits, zone = "", ""
    moment = datetime.fromisoformat(body + zone)
    if moment.tzinfo is None:
        raise ValueError(f"no offset in {text!r}")
    whole = moment - _EPOCH
    return (whole.days * 86_400 + whole.seconds) * SECOND + int(digits.ljust(9, "0")[:9] or "0")


@dataclass(frozen=True, slots=True)
class Offset:
    """From this wall-clock nanosecond on (as if UTC), local time is ahead of UTC by ``ahead`` nanoseconds."""

    wall_from: int | None  # None: from the beginning of time
    ahead: int


@functools.lru_cache(maxsize=64)
def zone_offsets(zone: str, first_year: int = 1970, last_year: int = 2100) -> Sequence[Offset]:
    """The offsets of an IANA zone between two years, keyed by wall clock, in order.

    A wall-clock time that occurs twice (autumn) is read as the first; one that never occurs (spring) is read
    with the offset before the change. Both choices are the ``fold=0`` of PEP 495.

    Raises:
        zoneinfo.ZoneInfoNotFoundError: the zone is unknown.
    """
    info = ZoneInfo(zone)

    def ahead_at(second: int) -> int:
        delta = (_EPOCH + timedelta(seconds=second)).astimezone(info).utcoffset()
        return 0 if delta is None else (delta.days * 86_400 + delta.seconds)

    start = int((datetime(first_year, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())
    end = int((datetime(last_year + 1, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())
    current = ahead_at(start)
    found = [Offset(None, current * SECOND)]
    step = 7 * 86_400
    at = start
    while at < end:
        after = ahead_at(at + step)
        if after != current:
            low, high = at, at + step
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if ahead_at(middle) == current else (low, middle)
            # fold=0: the old offset holds until the wall clock, counted with the larger offset, passes the change
            found.append(Offset((high + max(current, after)) * SECOND, after * SECOND))
            current = after
        at += step
    return tuple(found)
