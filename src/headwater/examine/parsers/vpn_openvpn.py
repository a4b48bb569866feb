# SPDX-License-Identifier: Apache-2.0
"""Connections, logins and refused ones of OpenVPN servers (vpn.openvpn).

Reads:  /var/log/openvpn*.log, /var/log/openvpn/*, /etc/openvpn/*.log: the log.
Time:   the host's wall clock, whole seconds.
Format: ``2026-03-02 11:22:33 text`` since 2.5, ``Mon Mar  2 11:22:33 2026 text`` before; lines without a time join theirs.
Limits: status files are gaps; a log written through syslog is linux.syslog's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._records import TextLog, rule, text_records
from headwater.examine.parsers._when import any_form
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome
from headwater.model.records import File, Record

FEED = "vpn.openvpn"
VERSION = 1
READS = ("/var/log/openvpn*.log*", "/var/log/openvpn/*.log*", "/etc/openvpn/*.log", "/etc/openvpn/server/*.log")
_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}"
_STRANGER = r"^(?P<src_ip>[0-9a-fA-F.:]+?):(?P<port>\d+) "
_PEER = r"^(?:(?P<user>[^/\s:]+)/)?(?P<src_ip>[0-9a-fA-F.:]+?):(?P<port>\d+) "
LOG = TextLog(
    re.compile(rf"(?:{_TIME}) ".encode()),
    re.compile(rf"(?s)(?P<time>{_TIME}) (?P<message>.*)"),
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


def parse(file: File) -> Iterator[Record]:
    return text_records(file, LOG)
