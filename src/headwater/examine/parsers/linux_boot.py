# SPDX-License-Identifier: Apache-2.0
"""Units that started or failed at a start of the machine, as shown on its console (linux.boot).

Reads:  /var/log/boot.log with rotations, /var/log/boot.
Time:   none; a line of dashes states the time of a start (Red Hat's plymouth), wall clock with a zone's name.
Format: ``[  OK  ] Started …`` as systemd prints it, with terminal escapes.
Limits: lines bear no time and the file is overwritten or appended to, as the distribution has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._text import Line, line_records
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, Outcome
from headwater.model.records import Event, File, Record, Value

FEED = "linux.boot"
VERSION = 1
READS = ("/var/log/boot.log*", "/var/log/boot")
_ESCAPE = lazy_regex(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|[\r\x08]")
_STATE = lazy_regex(r"\[ *(OK|FAILED|WARN|DEPEND|TIME|INFO|SKIP)[ D]*\] (.*)", re.DOTALL)
_STARTED = lazy_regex(r"(?:Started|Finished) (.*?)\.?")
_FAILED = lazy_regex(r"(?:Failed to start|Dependency failed for) (.*?)\.?")
_RULE = lazy_regex(r"-{4,} (.*?) -{4,}")


def parse(file: File) -> Iterator[Record]:
    return line_records(file, _event)


def _event(line: Line) -> Event:
    plain = _ESCAPE.sub("", line.text).strip()
    rule, state = _RULE.fullmatch(plain), _STATE.fullmatch(plain)
    if rule:
        fields: dict[str, Value] = {"message": plain, "time_text": rule[1]}
        return Event(line.offset, line.length, EventKind.SYSTEM_BOOT, fields=fields)
    text = state[2] if state else plain
    started, failed = _STARTED.fullmatch(text), _FAILED.fullmatch(text)
    kind, outcome = EventKind.LOG_MESSAGE, None
    if state and started and state[1] == "OK":
        kind, outcome = EventKind.SERVICE_START, Outcome.SUCCESS
    elif state and failed:
        kind, outcome = EventKind.SERVICE_FAILURE, Outcome.FAILURE
    unit = started or failed
    own: dict[str, Value] = {"message": text, "state": state[1] if state else None, "unit": unit[1] if unit else None}
    own = {k: v for k, v in own.items() if v is not None}
    return Event(line.offset, line.length, kind, outcome=outcome, fields=own)
