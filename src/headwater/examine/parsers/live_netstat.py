# SPDX-License-Identifier: Apache-2.0
"""The sockets that netstat told of (live.netstat).

Reads:  /@command/netstat*.stdout of a live collection; netstat_-a*.txt of UAC.
Time:   the start of the command, UTC, where its .json states it.
Format: netstat(8) of net-tools and BusyBox: tables of internet and of UNIX sockets, each under its header.
Limits: what the server's own netstat chose to show; long IPv6 addresses are cut unless ``-W`` was given; ``dst_ip`` is
        the other end, whoever began.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._live import CONTEXT as CONTEXT
from headwater.examine.parsers._live import captured, ends, row, rows, value
from headwater.examine.parsers._slots import address
from headwater.examine.parsers._text import Line
from headwater.examine.parsers._when import When
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.records import Event, File, Record, Value

FEED = "live.netstat"
VERSION = 2
READS = ("/@command/netstat-*.stdout", "/live_response/network/netstat_-a*.txt")
_INET = lazy_regex(
    r"(?P<protocol>(?:tcp|udp|udplite|udpl|raw|sctp|dccp)6?)\s+(?P<receive_queue>\d+)\s+(?P<send_queue>\d+)\s+"
    r"(?P<local>\S+:\S+)\s+(?P<remote>\S+:\S+)(?:\s+(?P<state>[A-Z][A-Z_0-9]*|7))?"
    r"(?:\s+(?P<user>\S+)\s+(?P<inode>\d+))?(?:\s+(?:(?P<pid>\d+)/(?P<process>.*?)|-))?\s*"
)
_UNIX = lazy_regex(
    r"unix\s+(?P<references>\d+)\s+\[(?P<flags>[^\]]*)\]\s+(?P<type>\S+)\s+(?:(?P<state>[A-Z]+)\s+)?(?P<inode>\d+)"
    r"(?:\s+(?:(?P<pid>\d+)/(?P<process>.*?)|-))?(?:\s+(?P<local_path>[@/]\S*))?\s*"
)
_HEAD = lazy_regex(r"Active |Proto |\(|Kernel ")


def parse(file: File) -> Iterator[Record]:
    when = captured(file)
    yield from rows(file, lambda line, text: _made(line, text, when))


def _made(line: Line, text: str, when: When) -> Event | str | None:
    if _HEAD.match(text):
        return "header line"
    if match := _INET.fullmatch(text):
        found: dict[str, Value] = dict(match.groupdict())
        found |= ends(str(found.pop("local")), str(found.pop("remote")))
        found["dst_ip"] = address(str(found["remote_address"])) if found["remote_port"] else None
    elif match := _UNIX.fullmatch(text):
        found = {"protocol": "unix", **match.groupdict()}
        found["flags"] = str(found["flags"]).strip() or None
    else:
        return None
    for name in ("receive_queue", "send_queue", "inode", "references"):
        if name in found:
            found[name] = value(match[name])
    return row(line, when, EventKind.STATE_SOCKET, found)
