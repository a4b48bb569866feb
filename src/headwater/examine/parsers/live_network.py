# SPDX-License-Identifier: Apache-2.0
"""Interfaces, addresses, routes, rules and neighbours that ip told of (live.network).

Reads:  /@command/ip-*.stdout of a live collection.
Time:   the start of the command, UTC, where its .json states it.
Format: ip(8) address, link, route, rule, neigh: an interface's lines below its numbered line; else one object a line.
Limits: of one network namespace, by the server's own tool.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._live import CONTEXT as CONTEXT
from headwater.examine.parsers._live import artifact, captured, row, rows
from headwater.examine.parsers._text import Line
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.records import Event, File, Record, Value

FEED = "live.network"
VERSION = 1
READS = ("/@command/ip-*.stdout",)
_INTERFACE = lazy_regex(
    r"(?P<number>\d+): (?P<interface>[^:@\s]+)(?:@(?P<parent>[^:\s]+))?: <(?P<flags>[^>]*)>(?P<rest>.*)"
)
_LINK = lazy_regex(r"\s+link/(?P<type>\S+)(?: (?P<mac>[0-9a-f:]{11,59}))?.*")
_ADDRESS = lazy_regex(r"\s+(?P<family>inet6?) (?P<address>[0-9A-Fa-f.:]+)(?:/(?P<prefix>\d+))?(?P<rest>.*)")
_ROUTE = lazy_regex(
    r"(?:(?P<type>unicast|local|broadcast|anycast|multicast|unreachable|blackhole|prohibit|throw) )?"
    r"(?P<destination>default|[0-9A-Fa-f.:]+(?:/\d+)?)(?P<rest> .*|)"
)
_RULE = lazy_regex(r"(?P<priority>\d+):\s+(?P<rule>.*)")
_PAIRS = lazy_regex(r"\b(via|dev|src|proto|scope|metric|table|lladdr|state|mtu|master|brd)\s+(\S+)")
_STATES = lazy_regex(r"\b(REACHABLE|STALE|DELAY|PROBE|FAILED|INCOMPLETE|PERMANENT|NOARP|NONE)\b")


def parse(file: File) -> Iterator[Record]:
    when = captured(file)
    name = artifact(file)
    interface: str | None = None

    def make(line: Line, text: str) -> Event | str | None:
        nonlocal interface
        fields: dict[str, Value]
        if match := _INTERFACE.fullmatch(text):
            interface = match["interface"]
            fields = {"mechanism": "interface", **match.groupdict()}
        elif name.startswith(("ip-rule",)) and (match := _RULE.fullmatch(text)):
            fields = {"mechanism": "rule", **match.groupdict()}
        elif text[:1].isspace() and interface:
            if re.match(r"\s+(?:valid_lft|RX:|TX:|\d)", text):
                return "lifetimes and counters"
            found = _LINK.fullmatch(text) or _ADDRESS.fullmatch(text)
            if found is None:
                return "details of an interface" if re.match(r"\s+[a-z]", text) else None
            what = "link" if "mac" in found.groupdict() else "address"
            fields = {"mechanism": what, "interface": interface, **found.groupdict()}
        elif match := _ROUTE.fullmatch(text):
            near = name.startswith("ip-neigh")
            fields = {"mechanism": "neighbour" if near else "route", **match.groupdict()}
        else:
            return None
        rest = str(fields.pop("rest", None) or "")
        fields |= {
            ("interface" if k == "dev" else "local_address" if k == "src" else k): v for k, v in _PAIRS.findall(rest)
        }
        if found := _STATES.search(rest):
            fields["state"] = found[1]
        return row(line, when, EventKind.STATE_NETWORK, fields)

    yield from rows(file, make)
