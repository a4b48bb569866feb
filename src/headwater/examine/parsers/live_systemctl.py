# SPDX-License-Identifier: Apache-2.0
"""The units and timers that systemctl told of (live.systemctl).

Reads:  /@command/systemctl*.stdout of a live collection; systemctl_*.txt of UAC.
Time:   the start of the command, UTC, where its .json states it; a timer's next and last runs stay text.
Format: systemctl(1) list-units, list-unit-files, list-timers: columns cut where the header's words begin, or by words.
Limits: what the running manager said; a unit that was started and deleted may stand here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._live import CONTEXT as CONTEXT
from headwater.examine.parsers._live import captured, row, rows
from headwater.examine.parsers._text import Line
from headwater.examine.parsers._when import When
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.records import Event, File, Record, Value

FEED = "live.systemctl"
VERSION = 1
READS = ("/@command/systemctl-*.stdout", "/live_response/system/systemctl_*.txt")
_MARK = lazy_regex(r"^\s*(?P<mark>[●○×*↻]\s+)?")
_NAME = r"(?P<unit>\S+\.(?:service|socket|target|device|mount|automount|swap|timer|path|slice|scope|snapshot|busname))"
_UNIT = lazy_regex(
    _NAME + r"\s+(?P<load>[a-z-]+)\s+(?P<active>[a-z-]+)\s+(?P<sub>[a-z-]+)(?:\s+(?P<description>.*?))?\s*"
)
_FILE = lazy_regex(_NAME + r"\s+(?P<state>[a-z-]+)(?:\s+(?P<preset>enabled|disabled|ignored|-))?\s*")
_TIMER = lazy_regex(r"(?P<times>.*?)\s+(?P<unit>\S+\.timer)(?:\s+(?P<activates>\S+))?\s*")
_LEGEND = lazy_regex(
    r"\s*(?:LOAD|ACTIVE|SUB|JOB)\s+= |\d+ (?:loaded )?(?:units?|unit files?|timers?) listed|Pass --all|Legend:"
    r"|\s+(?:→|->|=) |To show all installed"
)


def parse(file: File) -> Iterator[Record]:
    when = captured(file)
    head: list[str] = []

    def make(line: Line, text: str) -> Event | str | None:
        words = text.split()
        if not head and ("UNIT" in words or words[0] == "NEXT"):
            head.extend(words)
            return "header line"
        if _LEGEND.match(text):
            return "legend"
        match = _MARK.match(text)
        bare = text[match.end() :] if match else text
        if "NEXT" in head:
            return _timer(line, bare, when)
        form = _FILE if "FILE" in head else _UNIT
        found = form.fullmatch(bare)
        if found is None:
            return None
        fields: dict[str, Value] = dict(found.groupdict())
        if fields.get("preset") == "-":
            fields["preset"] = None
        return row(line, when, EventKind.STATE_SERVICE, fields)

    yield from rows(file, make)


def _timer(line: Line, text: str, when: When) -> Event | None:
    found = _TIMER.fullmatch(text)
    if found is None:
        return None
    fields: dict[str, Value] = {"unit": found["unit"], "activates": found["activates"]}
    fields["schedule"] = found["times"].strip()
    return row(line, when, EventKind.STATE_SCHEDULE, fields)
