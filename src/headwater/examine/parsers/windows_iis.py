# SPDX-License-Identifier: Apache-2.0
"""Requests as Microsoft IIS logged them in the W3C extended format (windows.iis).

Reads:  **/LogFiles/W3SVC*/*.log and FTPSVC; or content that begins with its directives.
Time:   UTC, whole seconds, whatever the host's zone; without a date column the day of the last ``#Date:`` above.
Format: columns as the last ``#Fields:`` above names them; names are Sigma's, ``cs(User-Agent)`` as cs-user-agent.
Limits: spaces are logged as ``+``, which is kept; without a ``#Fields:`` above a line is a gap; lines are buffered by the
        kernel for up to a minute before they are written.

Source: https://www.w3.org/TR/WD-logfile.html, https://learn.microsoft.com/windows/win32/http/w3c-logging
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from headwater.examine.parsers._records import event
from headwater.examine.parsers._text import Line, lines
from headwater.examine.parsers._when import NONE, iso
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "windows.iis"
VERSION = 1
READS = (
    "/LogFiles/W3SVC*/*.log",
    "/LogFiles/**/u_ex*.log",
    "/LogFiles/FTPSVC*/*.log",
    "/u_ex*.log",
)
_HEADER = {"c-ip": "src_ip", "s-ip": "dst_ip", "cs-username": "user", "s-computername": "host"}
_NAMED = {
    "cs(user-agent)": "cs-user-agent",
    "cs(referer)": "cs-referer",
    "cs(cookie)": "cs-cookie",
    "x-forwarded-for": "x-forwarded-for",
}
_NUMBERS = frozenset(
    {"sc-status", "sc-bytes", "cs-bytes", "s-port", "c-port", "sc-win32-status", "sc-substatus", "time-taken"}
)
_DAY = re.compile(r"#Date: (\d{4}-\d\d-\d\d)")


def _event(line: Line, names: Sequence[str], values: Sequence[str], day: str | None) -> Event:
    fields: dict[str, Value] = {}
    for name, text in zip(names, values):
        lower = name.lower()
        field = (
            _HEADER.get(lower)
            or _NAMED.get(lower)
            or (lower if lower.startswith(("cs-", "sc-", "s-", "c-", "time")) else name)
        )
        if text == "-":
            continue
        fields[field] = (
            int(text) if lower in _NUMBERS and text.isascii() and text.isdigit() and len(text) < 19 else text
        )
    date, clock = str(fields.pop("date", day) or ""), str(fields.pop("time", "") or "")
    when = iso(f"{date} {clock}", TimeBasis.UTC) if date and clock else NONE
    if when[0] is None and clock:
        fields["time_text"] = f"{date} {clock}".strip()
    status = fields.get("sc-status")
    outcome = None if not isinstance(status, int) else Outcome.FAILURE if status >= 400 else Outcome.SUCCESS
    stem, query = fields.get("cs-uri-stem"), fields.get("cs-uri-query")
    if stem is not None:
        fields["cs-uri"] = f"{stem}?{query}" if query is not None else stem
    return event(line, when, K.WEB_REQUEST, outcome, fields, provider="iis")


def parse(file: File) -> Iterator[Record]:
    names: list[str] = []
    day: str | None = None
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
            continue
        text = line.text
        if text.startswith("#"):
            date = _DAY.match(text)
            day = date.group(1) if date else day
            names = text[8:].split() if text.startswith("#Fields:") else names
            yield Skip(line.offset, line.length, "a directive")
        elif not text.strip():
            yield Skip(line.offset, line.length, "blank line")
        else:
            values = text.rstrip(" ").split(" ")
            values = values if len(values) == len(names) else text.split()  # some modules write a space too many
            if not names or len(values) != len(names):
                detail = "another number of columns" if names else "no #Fields above this line"
                yield Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, detail)
            else:
                yield _event(line, names, values, day)


def recognise(head: bytes) -> bool:
    return head.startswith((b"#Software: Microsoft Internet Information", b"#Software: Microsoft HTTP Server"))
