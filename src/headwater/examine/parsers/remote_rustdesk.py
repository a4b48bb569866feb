# SPDX-License-Identifier: Apache-2.0
"""Connections that RustDesk took and made (remote.rustdesk).

Reads:  RustDesk/log/**/*.log of the service (in ServiceProfiles/LocalService) and of users; .local/share/logs/RustDesk of Linux.
Time:   microseconds with their offset.
Format: ``[time] LEVEL [source:line] text``, flexi_logger in https://github.com/rustdesk/rustdesk (src/server/connection.rs,
        src/rendezvous_mediator.rs).
Limits: a connection stands here before it gave a password, and no line says that one was right; through a relay the address may be the
        relay's; whoever turned the log's level down left less.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._records import TextLog, rule, text_records
from headwater.examine.parsers._when import iso
from headwater.examine.parsers._wide import text_lines
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome
from headwater.model.records import File, Record

FEED = "remote.rustdesk"
VERSION = 1
READS = (
    "/RustDesk/log/**/*.log",
    "/Rustdesk/log/**/*.log",
    "/rustdesk/log/**/*.log",
    "/RustDesk_r*.log",
    "/logs/RustDesk/**/*.log",
)
LOG = TextLog(
    lazy_regex(rb"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"),
    lazy_regex(
        r"(?s)\[(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? [+-]\d\d:\d\d)\] (?P<level>\w+) +\[(?P<component>[^\]\n]*)\] "
        r"(?P<message>.*)"
    ),
    iso,
    (
        rule(r"^#(?P<connection>\d+) Connection opened from (?P<src_ip>[0-9A-Fa-f.:\[\]]+?):(?P<port>\d+)\.?", K.AUTH_PROBE),
        rule(r"^#(?P<connection>\d+) Connection closed(?:: (?P<reason>.*))?", K.SESSION_CLOSE),
        rule(r"^Punch (?:tcp |udp )?hole to (?P<src_ip>[0-9A-Fa-f.:\[\]]+?):(?P<port>\d+)", K.NETWORK_CONNECTION),
        rule(r"^create_relay requested from (?P<src_ip>[0-9A-Fa-f.:\[\]]+?):(?P<port>\d+), relay_server: (?P<relay>[^"
             r",\s]+)", K.NETWORK_CONNECTION),
        rule(r"[Ww]rong password|[Ll]ogin (?:failed|error)", K.AUTH_FAILURE, Outcome.FAILURE),
        rule(r"^peer address: (?P<peer>\S+)", K.LOG_MESSAGE),
        rule(r"^(?:main )?start args: (?P<arguments>.*)|^start --(?P<mode>\w+)", K.SERVICE_START),
    ),
    provider="rustdesk",
    read=text_lines,
)  # fmt: skip


def parse(file: File) -> Iterator[Record]:
    return text_records(file, LOG)
