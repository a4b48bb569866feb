# SPDX-License-Identifier: Apache-2.0
"""What a running system said of itself: kernel, clock, identity, space, boots (live.host).

Reads:  /@command/ outputs of uname, timedatectl, hostnamectl, df, id, date, uptime, free, journalctl --list-boots, getenforce,
        chronyc, ipcs, atq, bpftool and their like; /proc/{version,uptime,cmdline,loadavg,meminfo,stat,swaps,mdstat,
        partitions,filesystems,keys}, /proc/sys, /sys/kernel and /proc/net/{arp,route,dev} of a live collection.
Time:   the start of the command, UTC, where its .json states it; none for /proc.
Format: each program's own; ``name: value`` is taken apart, any other line stands whole as ``value``.
Limits: the server's own word for its clock and its kernel; a column header is told like any line.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._live import CONTEXT as CONTEXT
from headwater.examine.parsers._live import artifact, captured, row, rows
from headwater.examine.parsers._text import Line
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.records import Event, File, Record, Value

FEED = "live.host"
VERSION = 1
_COMMANDS = (
    "uname", "timedatectl", "hostnamectl", "df", "id", "date", "uptime", "free", "journalctl-boots", "getenforce",
    "aa-status", "sestatus", "lscpu", "lsblk", "chronyc", "ipcs", "atq", "bpftool",
)  # fmt: skip
_FACTS = (
    "version", "uptime", "cmdline", "loadavg", "meminfo", "stat", "swaps", "mdstat", "partitions", "filesystems", "keys",
    "net/arp", "net/route", "net/dev", "sys/**",
)  # fmt: skip
READS = (
    *(f"/@command/{name}{more}.stdout" for name in _COMMANDS for more in ("", "-*")),
    *(f"/proc/{name}" for name in _FACTS),
    "/sys/kernel/**",
)
_PAIR = lazy_regex(r"\s*(?P<setting>[A-Za-z][A-Za-z0-9 ()/_.-]{0,60}?)\s*[:=]\s+(?P<value>\S.*?)\s*")


def parse(file: File) -> Iterator[Record]:
    when = captured(file)
    name = artifact(file)

    def make(line: Line, text: str) -> Event | str | None:
        match = _PAIR.fullmatch(text) if name != "uname-a" else None
        fields: dict[str, Value] = {"mechanism": name, "value": text.strip()}
        if match:
            fields |= match.groupdict()
        return row(line, when, EventKind.STATE_HOST, fields)

    yield from rows(file, make)
