# SPDX-License-Identifier: Apache-2.0
"""Requests that Windows' HTTP driver refused or lost before a site saw them (windows.httperr).

Reads:  /Windows/System32/LogFiles/HTTPERR/httperr*.log.
Time:   UTC, whole seconds, whatever the host's zone.
Format: columns as the last ``#Fields:`` above names them, https://learn.microsoft.com/troubleshoot/developer/webapps/aspnet/
        site-behavior-performance/error-logging-http-apis; names are those of windows.iis.
Limits: spaces in an address are logged as they came, then the line is a gap; Timer_ and Connection_ reasons are mostly idle
        clients, not attacks; other services on the driver (WinRM, WSUS) stand here too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headwater.examine.parsers._records import event
from headwater.examine.parsers._text import Line, lines
from headwater.examine.parsers._when import NONE, iso
from headwater.model.kinds import EventKind, GapReason, Outcome, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "windows.httperr"
VERSION = 1
READS = ("/LogFiles/HTTPERR/*.log", "/httperr*.log")
_HEADER = {"c-ip": "src_ip", "s-ip": "dst_ip"}
_NAMED = {"cs(user-agent)": "cs-user-agent"}
_NUMBERS = frozenset({"sc-status", "s-port", "c-port", "sc-win32-status"})


def recognise(head: bytes) -> bool:
    return head.startswith(b"#Software: Microsoft HTTP API")


def parse(file: File) -> Iterator[Record]:
    names: list[str] = []
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
            continue
        text = line.text
        if text.startswith("#"):
            names = text[8:].split() if text.startswith("#Fields:") else names
            yield Skip(line.offset, line.length, "a directive")
        elif not text.strip():
            yield Skip(line.offset, line.length, "blank line")
        else:
            values = text.split()
            if not names or len(values) != len(names):
                detail = "another number of columns" if names else "no #Fields above this line"
                yield Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, detail)
            else:
                yield _event(line, names, values)


def _event(line: Line, names: Sequence[str], values: Sequence[str]) -> Event:
    said = {name.lower(): text for name, text in zip(names, values) if text != "-"}
    clock = f"{said.pop('date', '')} {said.pop('time', '')}".strip()
    when = iso(clock, TimeBasis.UTC) if clock else NONE
    fields: dict[str, Value] = {"provider": "http.sys"}
    for name, text in said.items():
        whole = name in _NUMBERS and text.isascii() and text.isdigit() and len(text) < 19
        fields[_HEADER.get(name) or _NAMED.get(name, name)] = int(text) if whole else text
    if when[0] is None and clock:
        fields["time_text"] = clock
    uri = said.get("cs-uri")
    if uri:
        stem, mark, query = uri.partition("?")
        fields["cs-uri-stem"] = stem
        fields["cs-uri-query"] = query if mark else None
    return event(line, when, EventKind.WEB_ERROR, Outcome.FAILURE, fields)
