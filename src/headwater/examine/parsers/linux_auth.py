# SPDX-License-Identifier: Apache-2.0
"""Logins, sudo, su, account changes and sessions as syslog recorded them (linux.auth).

Reads:  /var/log/auth.log and /var/log/secure with their rotations; or content that looks like them.
Time:   BSD heads state neither year nor zone: the year is inferred for the file; ISO and RFC 5424 heads state an offset.
Format: RFC 3164, RFC 5424 and rsyslog's file format; the texts are those of sshd, PAM, sudo, su, shadow, cron, logind.
Limits: continuation lines of multi-line messages are gaps; a name or text in a message is the peer's word.
"""

from __future__ import annotations

from headwater.examine.syslog_lines import SYSLOG, syslog_share

FEED = "linux.auth"
VERSION = 3
READS = (
    "/var/log/auth.log*",
    "/var/log/secure*",
    "/var/log/authlog*",
    "/auth.log",
    "/auth.log.?",
    "/secure",
)
GRAMMAR = SYSLOG


def recognise(head: bytes) -> bool:
    syslog, auth = syslog_share(head)
    return syslog >= 0.8 and auth >= 0.5
