# SPDX-License-Identifier: Apache-2.0
"""The kernel's ring buffer as it was saved at a start or by a collection (linux.dmesg).

Reads:  /var/log/dmesg with rotations, dmesg.txt, vmcore-dmesg.txt of kdump and
        /@command/dmesg.stdout of collections; or content that begins with ``[ 0.000000] ``.
Time:   seconds since the machine's start (``uptime_us``), no calendar time; ``dmesg -T`` states a wall clock, which is
        reckoned from the uptime and drifts after a suspension.
Format: ``[seconds] text``, with ``<priority>`` or ``facility:level:`` in front (dmesg(1) -r, -x), lines of one message
        being apart.
Limits: the buffer is a ring: the oldest messages are gone; anyone who may read it may have cleared it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from headwater.examine.messages import classify
from headwater.examine.parsers._text import Line, lines
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import GapReason, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Skip, Value
from headwater.model.times import SECOND

FEED = "linux.dmesg"
VERSION = 1
READS = ("/var/log/dmesg*", "/dmesg.txt", "/vmcore-dmesg.txt", "/dmesg.log", "/@command/dmesg*.stdout")
_LINE = lazy_regex(
    r"(?:<(?P<priority>\d{1,3})>|(?P<facility>[a-z0-9]+) *:(?P<level>[a-z]+) *: )?"
    r"\[ *(?:(?P<uptime>\d{1,10}\.\d{1,6})|(?P<wall>[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d \d{4}))\]"
    r"(?: \[ *(?:[TC]\d+)\])? ?(?P<text>.*)",
    re.DOTALL,
)


def recognise(head: bytes) -> bool:
    return bool(re.match(rb"(?:<\d+>)?\[ *0\.000000\] (?:Linux version|Booting Linux|microcode)", head))


def parse(file: File) -> Iterator[Record]:
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
        elif not line.raw.strip():
            yield Skip(line.offset, line.length, "blank line")
        elif match := _LINE.fullmatch(line.text):
            yield _event(line, match)
        else:
            yield Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT)


def _wall(text: str | None) -> int | None:
    if not text:
        return None
    try:
        when = datetime.strptime(" ".join(text.split()), "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(when.timestamp()) * SECOND


def _event(line: Line, match: re.Match[str]) -> Event:
    kind, outcome, header, own = classify("kernel", match["text"])
    time = _wall(match["wall"])
    fields: dict[str, Value] = dict(own)
    if match["uptime"]:
        whole, _, part = match["uptime"].partition(".")
        fields["uptime_us"] = int(whole) * 1_000_000 + int(part.ljust(6, "0"))
    elif time is None:
        fields["time_text"] = match["wall"]
    if match["priority"]:
        fields["severity"] = int(match["priority"]) & 7
    elif match["level"]:
        fields["severity_text"] = match["level"]
    address = {k: str(header[k]) for k in ("src_ip", "dst_ip") if header.get(k) is not None}
    return Event(
        line.offset, line.length, kind, time, TimeBasis.NONE if time is None else TimeBasis.ZONE_ASSUMED,
        outcome=outcome, process="kernel", src_ip=address.get("src_ip"), dst_ip=address.get("dst_ip"), fields=fields,
    )  # fmt: skip
