# SPDX-License-Identifier: Apache-2.0
"""Sessions, logins and refusals of ProFTPD (ftp.proftpd).

Reads:  /var/log/proftpd/proftpd.log, /var/log/proftpd.log; its xferlog is read by ftp.vsftpd.
Time:   the host's wall clock, milliseconds (older versions: syslog's head without a year, kept as text).
Format: ``2026-03-02 11:22:33,123 host proftpd[pid] server (client[address]): text`` (SystemLog); ProFTPD 1.3 docs, Logging.
Limits: the client's name is the resolver's word; an ExtendedLog in a format of its own is not read.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._records import TextLog, rule, text_records
from headwater.examine.parsers._when import any_form
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome
from headwater.model.records import File, Record

FEED = "ftp.proftpd"
VERSION = 1
READS = ("/var/log/proftpd/proftpd.log*", "/var/log/proftpd.log*", "/var/log/proftpd/controls.log*")
_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
_NO = Outcome.FAILURE
LOG = TextLog(
    lazy_regex(rf"(?:{_TIME}) ".encode()),
    lazy_regex(
        rf"(?s)(?P<time>{_TIME}) (?P<host>\S+) (?P<process>proftpd)\[(?P<pid>\d+)\]:? ?(?P<server>[^\s(:]+)"
        r"(?: \((?P<client>[^\[\)]*)\[(?P<src_ip>[^\]]+)\]\))?:? ?(?:- )?(?P<message>.*)"
    ),
    any_form,
    (
        rule(r"^USER (?P<user>.*?): Login successful", K.AUTH_SUCCESS, Outcome.SUCCESS),
        rule(r"^ANON (?P<user>.*?): Login successful", K.AUTH_SUCCESS, Outcome.SUCCESS),
        rule(r"^USER (?P<user>.*?) \(Login failed\): (?P<reason>.*)", K.AUTH_FAILURE, _NO),
        rule(r"^USER (?P<user>.*?): no such user found", K.AUTH_FAILURE, _NO),
        rule(r"^Maximum login attempts \((?P<attempts>\d+)\) exceeded", K.AUTH_PROBE, _NO),
        rule(r"^FTP session opened", K.NETWORK_CONNECTION),
        rule(r"^FTP session closed", K.SESSION_CLOSE),
        rule(r"^SECURITY VIOLATION: (?P<reason>.*)", K.AUTH_PROBE, _NO),
        rule(r"ProFTPD \S+ .*standalone mode STARTUP", K.SERVICE_START, Outcome.SUCCESS),
        rule(r"ProFTPD \S* ?.*SHUTDOWN", K.SERVICE_STOP),
    ),
    provider="proftpd",
)  # fmt: skip


def parse(file: File) -> Iterator[Record]:
    return text_records(file, LOG)
