# SPDX-License-Identifier: Apache-2.0
"""Requests and connections that HAProxy passed on, and its own messages (web.haproxy).

Reads:  /var/log/haproxy.log, /var/log/haproxy/*.log, as syslog wrote them.
Time:   the accept date in brackets, milliseconds, the host's wall clock; for other messages the line's own head.
Format: HAProxy Configuration Manual 2.8, chapter 8.2: HTTP (``option httplog``) and TCP (``option tcplog``) log formats,
        connection errors (8.2.5), server and proxy state messages.
Limits: the client is the immediate peer; captured headers are kept as one text; custom log-format lines are messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._records import event
from headwater.examine.parsers._text import Line, lines
from headwater.examine.parsers._when import clf, iso
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "web.haproxy"
VERSION = 1
READS = ("/var/log/haproxy.log*", "/var/log/haproxy/*.log*")
_LINE_MOST = 65_536
_HEAD = lazy_regex(
    r"(?:(?P<bsd>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)|(?P<iso>\d{4}-\d\d-\d\dT\S+)) (?P<host>\S+) "
    r"(?P<process>haproxy)(?:\[(?P<pid>\d+)\])?: (?P<message>.*)"
)
_DATE = r"\[(?P<accepted>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3})\]"
_ENDS = r"(?P<src_ip>\S+):(?P<port>\d+) "
_COUNTS = r"(?P<connections>\d+/\d+/\d+/\d+/\+?\d+) (?P<queues>\d+/\d+)"
_HTTP = lazy_regex(
    _ENDS
    + _DATE
    + r" (?P<frontend>\S+) (?P<backend>[^/\s]+)/(?P<server>\S+) (?P<timers>[-+\d/]+) (?P<status>-?\d+) \+?(?P<bytes>\d+) \S+ \S+ "
    r"(?P<termination>[\w-]{4}) " + _COUNTS + r"(?P<captured>(?: \{[^}]*\}){0,2}) \"(?P<request>.*)\"?$"
)
_TCP = lazy_regex(
    _ENDS
    + _DATE
    + r" (?P<frontend>\S+) (?P<backend>[^/\s]+)/(?P<server>\S+) (?P<timers>[-+\d/]+) \+?(?P<bytes>\d+) (?P<termination>[\w-]{2}) "
    + _COUNTS
    + "$"
)
_ERROR = lazy_regex(_ENDS + _DATE + r" (?P<frontend>[^/\s]+)/(?P<bind>\S+): (?P<reason>.*)")
_STATE = lazy_regex(
    r"(?:Server|Proxy|Backup Server) (?P<server>\S+) (?:is (?P<state>UP|DOWN|stopping|started)|started|stopped)"
)
_REQUEST = lazy_regex(r"(?P<method>[A-Z]{3,20}) (?P<target>.*?)(?: (?P<version>HTTP/[\d.]+))?$")
_SHOWN = 8_192  # characters of a request that an event carries; the record is cited whole


def _request(fields: dict[str, Value], text: str) -> None:
    text = text.removesuffix('"')
    match = _REQUEST.match(text)
    if match is None:  # <BADREQ>, <NOSRV>
        fields["request"] = text[:_SHOWN]
        return
    stem, _, query = match["target"].partition("?")
    fields["cs-method"], fields["cs-uri"], fields["cs-uri-stem"] = (
        match["method"],
        match["target"][:_SHOWN],
        stem[:_SHOWN],
    )
    fields["cs-uri-query"], fields["cs-version"] = query[:_SHOWN] or None, match["version"]


def _event(line: Line, head: re.Match[str]) -> Event:
    message = head["message"]
    fields: dict[str, Value] = {k: head[k] for k in ("host", "process", "pid")}
    for pattern in (_HTTP, _TCP, _ERROR):
        match = pattern.match(message)
        if match is None:
            continue
        fields |= {
            k: v
            for k, v in match.groupdict().items()
            if k not in ("accepted", "request", "status", "bytes", "captured")
        }
        fields["port"] = int(match["port"])
        when = clf(match["accepted"])
        if when[0] is None:
            fields["time_text"] = match["accepted"]
        if pattern is _ERROR:
            return event(line, when, K.NETWORK_CONNECTION, Outcome.FAILURE, fields, provider="haproxy")
        fields["sc-bytes"] = int(match["bytes"][:18])
        if pattern is _TCP:
            return event(line, when, K.NETWORK_CONNECTION, None, fields, provider="haproxy")
        status = int(match["status"])
        fields["sc-status"] = status if status > 0 else None
        fields["captured"] = match["captured"].strip() or None
        _request(fields, match["request"])
        outcome = None if status <= 0 else Outcome.FAILURE if status >= 400 else Outcome.SUCCESS
        return event(line, when, K.WEB_REQUEST, outcome, fields, provider="haproxy")
    fields["message"] = message[:_SHOWN]
    when = iso(head["iso"]) if head["iso"] else (None, TimeBasis.NONE)
    if when[0] is None:  # a syslog head without a year says less than the lines around it
        fields["time_text"] = head["iso"] or head["bsd"]
    state = _STATE.match(message)
    if state:
        fields["server"] = state["server"]
        down = state["state"] in ("DOWN", "stopping") or " stopped" in message
        return event(line, when, K.SERVICE_STOP if down else K.SERVICE_START, None, fields, provider="haproxy")
    return event(line, when, K.LOG_MESSAGE, None, fields, provider="haproxy")


def parse(file: File) -> Iterator[Record]:
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
        elif not line.raw.strip():
            yield Skip(line.offset, line.length, "blank line")
        else:
            head = _HEAD.match(line.text[:_LINE_MOST])
            if head is None:
                yield Gap(
                    line.offset, line.length, GapReason.NOT_THIS_FORMAT, "no line of HAProxy behind a syslog head"
                )
            else:
                yield _event(line, head)
