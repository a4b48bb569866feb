# SPDX-License-Identifier: Apache-2.0
"""Records of small logs that begin with a dated line and may go on over further lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from headwater.examine.parsers._text import Line, lines
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import GapReason, TimeBasis
from headwater.model.records import File, Gap, Skip
from headwater.model.times import SECOND

_TEXT = 1 << 16  # characters of one record that its event carries; the rest is read at the cited place
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT = lazy_regex(
    r"(\d{4})[-/](\d\d)[-/](\d\d)[ T]+(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?(?: ?(Z|UTC|[+-]\d\d:?\d\d))?"
)
_LEVEL = lazy_regex(r"\b(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|FATAL|SEVERE)\b", re.IGNORECASE)


@dataclass(slots=True)
class Stamped:
    """A record: where it is, what its first line's pattern found, and its text after the head, lines joined."""

    offset: int
    length: int
    head: re.Match[str]
    texts: list[str] = field(default_factory=list)
    size: int = 0

    def take(self, line: Line, text: str) -> None:
        self.length = line.offset + line.length - self.offset
        if self.size <= _TEXT:
            self.texts.append(text[: _TEXT - self.size])
        self.size += len(text) + 1

    @property
    def message(self) -> str:
        """The text, at most 65,536 characters of it."""
        return "\n".join(self.texts)

    @property
    def cut(self) -> bool | None:
        """True where the text is longer than what the event carries."""
        return True if self.size - 1 > _TEXT else None


def stamped(file: File, head: re.Pattern[str]) -> Iterator[Stamped | Gap | Skip]:
    """Records whose first lines match ``head``; what stands before the first one is a gap. They tile the file.

    The text of a first line is what follows the match. Blank lines inside a record belong to it, those behind it do not.
    """
    record: Stamped | None = None
    blank: list[Line] = []
    for line in lines(file):
        match = None if isinstance(line, Gap) else head.match(line.text)
        if isinstance(line, Gap) or match:
            yield from _closed(record, blank)
            record, blank = None, []
        if isinstance(line, Gap):
            yield line
        elif match:
            record = Stamped(line.offset, line.length, match)
            record.take(line, line.text[match.end() :])
        elif not line.raw.strip():
            blank.append(line)
        elif record:
            for held in [*blank, line]:
                record.take(held, held.text)
            blank = []
        else:
            yield from _closed(None, blank)
            blank = []
            yield Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "text before the first dated line")
    yield from _closed(record, blank)


def _closed(record: Stamped | None, blank: list[Line]) -> Iterator[Stamped | Skip]:
    if record:
        yield record
    for line in blank:
        yield Skip(line.offset, line.length, "blank line")


def moment(text: str) -> tuple[int | None, TimeBasis]:
    """Nanoseconds and basis of ``2026-03-02 11:22:33[.,fraction][offset]``; the whole text must be such a time."""
    match = _MOMENT.fullmatch(text.strip())
    if not match:
        return None, TimeBasis.NONE
    year, month, day, hour, minute = (int(match[k]) for k in range(1, 6))
    second, zone = int(match[6] or 0), match[8]
    try:
        when = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None, TimeBasis.NONE
    if second > 60 or not 1678 <= year <= 2261:
        return None, TimeBasis.NONE
    ahead = timedelta()
    if zone and zone[0] in "+-":
        ahead = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:])) * (1 if zone[0] == "+" else -1)
    whole = when - ahead - _EPOCH
    seconds = whole.days * 86_400 + whole.seconds + (second == 60)
    basis = TimeBasis.ZONE_GIVEN if zone else TimeBasis.ZONE_ASSUMED
    return seconds * SECOND + int((match[7] or "").ljust(9, "0")[:9]), basis


def level_of(text: str) -> str | None:
    """The severity that a message names among its first characters."""
    match = _LEVEL.search(text[:48])
    return match[1].lower() if match else None
