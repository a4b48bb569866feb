# SPDX-License-Identifier: Apache-2.0
"""Logins and sessions that last, lastb, who and w told of (live.last).

Reads:  /@command/{last,lastb,lastlog,who,w}.stdout of a live collection, with further options behind a dash.
Time:   of last and who: the login as printed, a wall clock of the system's zone; last without ``-F`` states no year, so
        that it stays text (``time_text``). Of w, whose login column is shortened: the start of the command, UTC.
Format: last(1), lastlog(8), who(1), w(1) of util-linux, coreutils and procps.
Limits: a second telling of wtmp, btmp and utmp by the server's own tools; kinds are ``state.session``, so that no login
        counts twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._live import CONTEXT as CONTEXT
from headwater.examine.parsers._live import artifact, captured, row, rows
from headwater.examine.parsers._records import event
from headwater.examine.parsers._slots import address
from headwater.examine.parsers._text import Line
from headwater.examine.parsers._when import NONE, When, asctime, iso
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, Outcome
from headwater.model.records import Event, File, Record, Value

FEED = "live.last"
VERSION = 1
READS = tuple(
    f"/@command/{name}{more}.stdout" for name in ("last", "lastb", "lastlog", "who", "w") for more in ("", "-*")
)
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ 0-9]\d"
_LAST = lazy_regex(
    rf"(?P<user>\S+)?\s+(?P<line>\S+(?: boot)?)\s+(?:(?P<host_text>\S+)\s+)?"
    rf"(?P<time>{_DAY} \d\d:\d\d(?::\d\d \d{{4}})?)"
    r"(?:\s+(?P<ended>still logged in|still running|gone - no logout|- .*?\([^)]*\)))?(?:\s+(?P<host_last>\S.*?))?\s*"
)
_LASTLOG = lazy_regex(
    rf"(?P<user>\S+)\s+(?:(?P<line>\S+)\s+)?(?:(?P<host_text>\S+)\s+)?(?P<time>{_DAY} \d\d:\d\d:\d\d [+-]\d{{4}} \d{{4}})\s*"
)
_WHO = lazy_regex(
    r"(?P<user>\S+)\s+[+?-]?\s*(?P<line>\S+(?: boot)?)\s+(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d|[A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d)"
    r"(?:\s+(?P<idle>[.\d:]+|old|\?))?(?:\s+(?P<pid>\d+))?(?:\s+\((?P<host_text>[^)]*)\))?\s*"
)
_BOOT = lazy_regex(
    r"(?P<user>LOGIN)?\s+(?P<line>system boot|run-level \S+|pts/\d+|tty\S+|clock change)\s+(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d)"
    r"(?P<value>\s.*?)?\s*"
)
_W = lazy_regex(
    r"(?P<user>\S+)\s+(?P<line>\S+)\s+(?:(?P<host_text>\S+)\s+)?(?P<login>\d\d:\d\d|\d\d?[A-Z][a-z]{2}\d\d|[A-Z][a-z]{2}\d\d)"
    r"\s+(?P<idle>\S+)\s+(?P<jcpu>\d\S*)\s+(?P<pcpu>\d\S*)\s+(?P<command_line>.*)"
)


def parse(file: File) -> Iterator[Record]:
    when = captured(file)
    name = artifact(file).partition("-")[0]

    def make(line: Line, text: str) -> Event | str | None:
        if name == "w":
            return _w(line, text, when)
        return _who(line, text) if name == "who" else _last(line, text, name)

    yield from rows(file, make)


def _session(line: Line, time: str | None, fields: dict[str, Value], outcome: Outcome | None = None) -> Event:
    when: When = NONE
    if time:
        when = asctime(time) if time[0].isalpha() else iso(time + ":00")
        if when[0] is None:
            fields["time_text"] = time
    host = fields.get("host_text")
    fields["src_ip"] = address(str(host)) if host else None
    return event(line, when, EventKind.STATE_SESSION, outcome, fields)


def _last(line: Line, text: str, name: str) -> Event | str | None:
    if re.match(r"[wb]tmp\S* begins ", text):
        return "where the log begins"
    if name == "lastlog":
        return _lastlog(line, text)
    match = _LAST.fullmatch(text)
    if match is None:
        return None
    fields: dict[str, Value] = dict(match.groupdict())
    time, behind = fields.pop("time"), fields.pop("host_last")
    fields["host_text"] = fields["host_text"] or behind  # option -a puts the host last
    failed = Outcome.FAILURE if name == "lastb" else None
    return _session(line, str(time), fields, failed)


def _lastlog(line: Line, text: str) -> Event | str | None:
    if text.split()[0] == "Username":
        return "header line"
    if text.endswith("**Never logged in**"):
        return row(line, NONE, EventKind.STATE_SESSION, {"user": text.split()[0], "value": "never logged in"})
    match = _LASTLOG.fullmatch(text)
    if match is None:
        return None
    fields: dict[str, Value] = dict(match.groupdict())
    words = str(fields.pop("time")).split()
    return _session(line, " ".join([*words[:4], words[5]]), fields)


def _who(line: Line, text: str) -> Event | str | None:
    if text.split()[0] == "NAME":
        return "header line"
    fields: dict[str, Value]
    if boot := _BOOT.fullmatch(text):
        fields = {"line": boot["line"], "value": (boot["value"] or "").strip() or None}
        return _session(line, boot["time"], fields)
    match = _WHO.fullmatch(text)
    if match is None:
        return None
    fields = dict(match.groupdict())
    return _session(line, str(fields.pop("time")), fields)


def _w(line: Line, text: str, when: When) -> Event | str | None:
    if text.split()[:2] == ["USER", "TTY"]:
        return "header line"
    if re.match(r"\s*\d\d:\d\d:\d\d up ", text):
        return row(line, when, EventKind.STATE_HOST, {"setting": "uptime", "value": text.strip()})
    match = _W.fullmatch(text)
    if match is None:
        return None
    fields: dict[str, Value] = dict(match.groupdict())
    host = fields["host_text"]
    if host == "-":
        fields["host_text"] = host = None
    fields["src_ip"] = address(str(host)) if host else None
    return row(line, when, EventKind.STATE_SESSION, fields)
