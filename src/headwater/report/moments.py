# SPDX-License-Identifier: Apache-2.0
"""Times as a report shows them: in UTC and, beside it, in the case's zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from headwater.model.times import SECOND

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = -62_135_596_800 + 86_400, 253_402_300_799 - 86_400  # a day inside what datetime can hold


def _fraction(ns: int) -> str:
    """Three digits, or as many groups of three as the value needs; nothing for whole seconds."""
    digits = f"{ns % SECOND:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f".{digits}" if digits else ""


def _moment(ns: int, zone: str) -> datetime | None:
    seconds = ns // SECOND
    if not _FIRST <= seconds <= _LAST:
        return None
    return (_EPOCH + timedelta(seconds=seconds)).astimezone(UTC if zone == "UTC" else ZoneInfo(zone))


def utc(ns: int) -> str:
    """``2026-03-02 11:22:33.123 UTC``; a value that no calendar holds is given as nanoseconds."""
    moment = _moment(ns, "UTC")
    if moment is None:
        return f"{ns} ns since 1970 (UTC)"
    return f"{moment:%Y-%m-%d %H:%M:%S}".rjust(19, "0") + _fraction(ns) + " UTC"


def local(ns: int, zone: str) -> str | None:
    """``2026-03-02 19:22:33.123 +08:00`` in the case's zone; None where that says nothing more.

    Raises:
        zoneinfo.ZoneInfoNotFoundError: the zone is unknown.
    """
    moment = _moment(ns, zone)
    if zone == "UTC" or moment is None:
        return None
    ahead = moment.strftime("%z")
    behind = f":{ahead[5:7]}" if ahead[5:] else ""  # local mean time, before zones were whole minutes
    return f"{moment:%Y-%m-%d %H:%M:%S}".rjust(19, "0") + _fraction(ns) + f" {ahead[:3]}:{ahead[3:5]}{behind}"


def short(ns: int) -> str:
    """``03-02 11:22:33``, UTC, for labels that state the zone elsewhere."""
    moment = _moment(ns, "UTC")
    return "?" if moment is None else f"{moment:%m-%d %H:%M:%S}"


def day(ns: int) -> str:
    """``2026-03-02``, UTC."""
    moment = _moment(ns, "UTC")
    return "?" if moment is None else f"{moment:%Y-%m-%d}".rjust(10, "0")
