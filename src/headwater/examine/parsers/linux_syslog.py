# SPDX-License-Identifier: Apache-2.0
"""The general system log: syslog, messages, daemon, user, mail and debug logs (linux.syslog).

Reads:  /var/log/{syslog,messages,daemon.log,user.log,mail.log,maillog,debug} with rotations; or content like it.
Time:   BSD heads state neither year nor zone: the year is inferred for the file; ISO and RFC 5424 heads state an offset.
Format: RFC 3164, RFC 5424 and rsyslog's file format; texts are read by the same rules as those of linux.auth.
Limits: continuation lines of multi-line messages are gaps; any program may write any text under any name.
"""

from __future__ import annotations

from headwater.examine.syslog_lines import SYSLOG, syslog_share

FEED = "linux.syslog"
VERSION = 4
READS = (
    "/var/log/syslog*",
    "/var/log/messages*",
    "/var/log/daemon.log*",
    "/var/log/user.log*",
    "/var/log/mail.log*",
    "/var/log/mail.err*",
    "/var/log/mail.warn*",
    "/var/log/mail.info*",
    "/var/log/maillog*",
    "/var/log/debug*",
    "/syslog",
    "/messages",
)
GRAMMAR = SYSLOG


def recognise(head: bytes) -> bool:
    syslog, auth = syslog_share(head)
    return syslog >= 0.6 and auth < 0.5
