# SPDX-License-Identifier: Apache-2.0
"""Connections, logins and refused ones of OpenVPN servers (vpn.openvpn).

Reads:  /var/log/openvpn*.log, /var/log/openvpn/*, /etc/openvpn/*.log: the log, and the status file.
Time:   the host's wall clock, whole seconds; status versions 2 and 3 state UTC seconds as well.
Format: ``2026-03-02 11:22:33 text`` since 2.5, ``Mon Mar  2 11:22:33 2026 text`` before; lines without a time join theirs.
        Without times where its unit says --suppress-timestamps (Debian's): each line is a record that states none.
        Status: --status-version 1 to 3 of openvpn(8), a client and a route in a line.
Limits: a status file holds those connected when it was written last; a log written through syslog is linux.syslog's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from headwater.examine.parsers._records import TextLog, rule, text_records
from headwater.examine.parsers._text import Line, lines
from headwater.examine.parsers._when import NONE, any_form
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "vpn.openvpn"
VERSION = 2
READS = ("/var/log/openvpn*.log*", "/var/log/openvpn/*.log*", "/etc/openvpn/*.log", "/etc/openvpn/server/*.log")
_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}"
_STRANGER = r"^(?P<src_ip>[0-9a-fA-F.:]+?):(?P<port>\d+) "
_PEER = r"^(?:(?P<user>[^/\s:]+)/)?(?P<src_ip>[0-9a-fA-F.:]+?):(?P<port>\d+) "
_HEAD = 1 << 16
_TIMED = lazy_regex(rf"^(?:{_TIME}) ".encode(), re.MULTILINE)
_UNTIMED = lazy_regex(rb"^(?:<\d>)?OpenVPN \d|^(?:<\d>)?(?:TUN/TAP device|TCP/UDP: |UDPv[46] link )", re.MULTILINE)
_STATUS = lazy_regex(rb"OpenVPN (?:CLIENT LIST|STATISTICS)|TITLE[,\t]OpenVPN")
_TITLES = frozenset({
    "OpenVPN CLIENT LIST", "OpenVPN STATISTICS", "TITLE", "TIME", "Updated", "ROUTING TABLE", "GLOBAL STATS", "GLOBAL_STATS",
    "Max bcast/mcast queue length", "END",
})  # fmt: skip
_CLIENT = ("name", "real_address", "bytes_received", "bytes_sent", "since")
_CLIENT_2 = (
    "name", "real_address", "vpn_address", "vpn_address_6", "bytes_received", "bytes_sent", "since", "since_utc", "login",
    "client_id", "peer_id", "cipher",
)  # fmt: skip
_ROUTE = ("vpn_address", "name", "real_address", "since", "since_utc")
LOG = TextLog(
    lazy_regex(rf"(?:{_TIME}) ".encode()),
    lazy_regex(rf"(?s)(?P<time>{_TIME}) (?P<message>.*)"),
    any_form,
    (
        rule(
            _STRANGER + r"TLS: Username/Password authentication succeeded for username '(?P<user>[^']*)'",
            K.AUTH_SUCCESS,
            Outcome.SUCCESS,
        ),
        rule(_PEER + r".*(?:TLS Auth Error|AUTH_FAILED|VERIFY ERROR)", K.AUTH_FAILURE, Outcome.FAILURE),
        rule(_PEER + r"\[(?P<peer_name>[^\]]*)\] Peer Connection Initiated", K.SESSION_OPEN, Outcome.SUCCESS),
        rule(_PEER + r"MULTI: Learn: (?P<vpn_address>\S+) ->", K.LOG_MESSAGE),
        rule(_PEER + r"(?:SIGUSR1|SIGTERM)\[", K.SESSION_CLOSE),
        rule(_PEER + r".*TLS (?:key negotiation failed|handshake failed)", K.AUTH_PROBE, Outcome.FAILURE),
        rule(_PEER, K.LOG_MESSAGE),
        rule(r"^Initialization Sequence Completed", K.SERVICE_START, Outcome.SUCCESS),
    ),
    provider="openvpn",
)
UNTIMED = replace(
    LOG,
    starts=lazy_regex(rb"(?=[ -~])"),
    head=lazy_regex(r"(?s)(?P<time>)(?:<(?P<severity>\d)>)?(?P<message>.*)"),
    when=lambda _: NONE,
)


def parse(file: File) -> Iterator[Record]:
    head = file.pread(0, _HEAD)
    if _STATUS.match(head):
        return _status(file)
    return text_records(file, LOG if _TIMED.search(head) or not _UNTIMED.search(head) else UNTIMED)


def _status(file: File) -> Iterator[Record]:
    """Clients and routes, each a line; titles and counters say nothing of anybody."""
    columns = _CLIENT
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
            continue
        words = re.split(r"[,\t]", line.text)
        if words[0] in ("HEADER", "Common Name", "Virtual Address"):
            names = words[2:] if words[0] == "HEADER" else words
            columns = _ROUTE if names[:1] == ["Virtual Address"] else _CLIENT
            yield Skip(line.offset, line.length, "header")
        elif words[0] in _TITLES or not line.raw.strip():
            yield Skip(line.offset, line.length, "header")
        elif words[0] in ("CLIENT_LIST", "ROUTING_TABLE"):
            yield _client(line, words[1:], _CLIENT_2 if words[0] == "CLIENT_LIST" else _ROUTE)
        else:
            yield _client(line, words, columns)


def _client(line: Line, words: list[str], columns: tuple[str, ...]) -> Event | Gap:
    if len(words) < min(len(columns), 4):
        return Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT)
    said = dict(zip(columns, words, strict=False))
    address, _, port = said.pop("real_address", "").rpartition(":")
    user = said.pop("name", "")
    when, basis = any_form(said.pop("since", ""))
    seconds = said.pop("since_utc", "")
    if seconds.isdigit() and len(seconds) < 11:
        when, basis = int(seconds) * 1_000_000_000, TimeBasis.UTC
    own: dict[str, Value] = {name: int(v) if name.startswith("bytes") and v.isdigit() and len(v) < 19 else v
                             for name, v in said.items() if v}  # fmt: skip
    own |= {"port": int(port)} if port.isdigit() and len(port) < 6 else {}
    return Event(
        line.offset, line.length, K.STATE_SESSION, when, basis, user=None if user in ("", "UNDEF") else user,
        src_ip=address or None, provider="openvpn", fields=own,
    )  # fmt: skip
