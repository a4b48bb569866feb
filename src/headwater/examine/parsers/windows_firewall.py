# SPDX-License-Identifier: Apache-2.0
"""Packets and connections that the Windows firewall logged (windows.firewall).

Reads:  /Windows/System32/LogFiles/Firewall/pfirewall.log and its .old; /Windows/pfirewall.log before Vista.
Time:   whole seconds by the host's own clock and zone; no offset is written (``#Time Format: Local``), UTC where it says so.
Format: columns as the last ``#Fields:`` above names them, https://learn.microsoft.com/windows/security/operating-system-security/
        network-security/windows-firewall/configure-logging.
Limits: off unless somebody turned it on; 4 MiB and one older file; lost events are only counted (INFO-EVENTS-LOST).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headwater.examine.parsers._records import event
from headwater.examine.parsers._text import Line, lines
from headwater.examine.parsers._when import NONE, iso
from headwater.model.kinds import EventKind, GapReason, Outcome, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "windows.firewall"
VERSION = 1
READS = ("/pfirewall*.log", "/pfirewall.log.old", "/Firewall/*firewall*.log", "/Firewall/*firewall*.log.old")
_HEADER = {"src-ip": "src_ip", "dst-ip": "dst_ip"}
_NUMBERS = frozenset({"src-port", "dst-port", "size", "icmptype", "icmpcode", "tcpwin"})
_BLOCKED = frozenset({"DROP", "DROP-ICMP"})
_MADE = frozenset({"ALLOW", "OPEN", "OPEN-INBOUND", "CLOSE"})


def recognise(head: bytes) -> bool:
    return head.startswith(b"#Version:") and b"Windows Firewall" in head[:200]


def parse(file: File) -> Iterator[Record]:
    names: list[str] = []
    basis = TimeBasis.ZONE_ASSUMED
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
            continue
        text = line.text.removeprefix("\ufeff")
        if text.startswith("#"):
            names = text[8:].split() if text.startswith("#Fields:") else names
            if text.startswith("#Time Format:"):
                basis = TimeBasis.UTC if "utc" in text.lower() else TimeBasis.ZONE_ASSUMED
            yield Skip(line.offset, line.length, "a directive")
        elif not text.strip():
            yield Skip(line.offset, line.length, "blank line")
        else:
            values = text.split()
            if len(names) < 3 or not 3 <= len(values) <= len(names):
                detail = "another number of columns" if names else "no #Fields above this line"
                yield Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, detail)
            else:
                yield _event(line, names, values, basis)


def _event(line: Line, names: Sequence[str], values: Sequence[str], basis: TimeBasis) -> Event:
    said = {name: text for name, text in zip(names, values) if text != "-"}
    clock = f"{said.pop('date', '')} {said.pop('time', '')}".strip()
    when = iso(clock, basis) if clock else NONE
    action = said.get("action", "").upper()
    fields: dict[str, Value] = {"provider": "windows-firewall"}
    for name, text in said.items():
        whole = name in _NUMBERS and text.isascii() and text.isdigit() and len(text) < 19
        fields[_HEADER.get(name, name)] = int(text) if whole else text
    if when[0] is None and clock:
        fields["time_text"] = clock
    if action in _BLOCKED:
        return event(line, when, EventKind.FIREWALL_BLOCK, Outcome.FAILURE, fields)
    if action in _MADE:
        return event(line, when, EventKind.NETWORK_CONNECTION, Outcome.SUCCESS, fields)
    return event(line, when, EventKind.LOG_MESSAGE, None, fields)
