# SPDX-License-Identifier: Apache-2.0
"""Sessions, logins and refusals of ProFTPD (ftp.proftpd).

Reads:  /var/log/proftpd/*.log, /var/log/proftpd.log; its xferlog is read by ftp.vsftpd.
Time:   the host's wall clock, milliseconds (older versions: syslog's head without a year, kept as text); in an ExtendedLog
        with its offset.
Format: ``2026-03-02 11:22:33,123 host proftpd[pid] server (client[address]): text`` (SystemLog); ``… mod_x/1.2[pid]: text`` of
        modules; ``client ident user [time] "command" status bytes`` (ExtendedLog, the default format); ProFTPD 1.3 docs, Logging.
Limits: the client's name is the resolver's word; a failed PASS names no user, the USER line before it does; an ExtendedLog whose
        LogFormat does not begin so is a gap. Of a whole server's log in use the SystemLog tells failures alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._records import TextLog, rule, text_records
from headwater.examine.parsers._when import any_form, clf
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome
from headwater.model.records import File, Record

FEED = "ftp.proftpd"
VERSION = 2
READS = ("/var/log/proftpd/*.log*", "/var/log/proftpd.log*")
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
        rule(r"ProFTPD (?:\S* ?.*SHUTDOWN|killed )", K.SERVICE_STOP),
    ),
    provider="proftpd",
)  # fmt: skip

_MODULE = TextLog(
    LOG.starts,
    lazy_regex(rf"(?s)(?P<time>{_TIME}) (?P<process>[\w./-]+)\[(?P<pid>\d+)\]: ?(?P<message>.*)"),
    any_form,
    (
        rule(r"^user '(?P<user>.*?)' authenticated via '(?P<method>[^']*)'", K.AUTH_SUCCESS, Outcome.SUCCESS),
        rule(r"^USER (?P<user>.*?) \(Login failed\)", K.AUTH_FAILURE, _NO),
    ),
    provider="proftpd",
)
_OK = Outcome.SUCCESS
_COMMANDS = TextLog(
    lazy_regex(rb"\S+ \S+ .{1,300}? ?\[\d\d/[A-Z][a-z]{2}/\d{4}:"),
    lazy_regex(
        r"(?P<src_ip>\S+) (?P<ident>\S+) (?:-|(?P<user>.+?)) \[(?P<time>[^\]]+)\] "
        r"(?P<message>\"(?P<command>.*?)\"(?: (?P<status>\d{3}|-)(?: (?P<bytes>\d+|-).*)?)?)\Z"
    ),
    clf,
    (
        rule(r'^"PASS [^"]*" 2\d\d', K.AUTH_SUCCESS, _OK),
        rule(r'^"PASS [^"]*" [45]\d\d', K.AUTH_FAILURE, _NO),
        rule(r'^"USER (?P<named_user>.*?)" ', K.LOG_MESSAGE),
        rule(
            r'^"(?:STOR|APPE|STOU|MKD|XMKD|RNTO|SITE CPTO|SITE SYMLINK) (?P<file_path>.*)" 2\d\d', K.FILE_CREATED, _OK
        ),
        rule(r'^"RETR (?P<file_path>.*)" 2\d\d', K.FILE_ACCESSED, _OK),
        rule(r'^"(?:DELE|RMD|XRMD|RNFR) (?P<file_path>.*)" 2\d\d', K.FILE_DELETED, _OK),
        rule(
            r'^"(?:STOR|APPE|STOU|RETR|DELE|MKD|RMD|SITE CPFR|SITE CPTO) (?P<file_path>.*)" [45]\d\d',
            K.LOG_MESSAGE,
            _NO,
        ),
        rule(r'" [45]\d\d', K.LOG_MESSAGE, _NO),
    ),
    provider="proftpd",
)


def _form(file: File) -> TextLog:
    """Which of its logs a file is, by its first line that one of them begins with."""
    try:
        head = file.pread(0, 4096)
    except OSError:
        return LOG
    for line in head.split(b"\n"):
        if _COMMANDS.starts.match(line):
            return _COMMANDS
        if LOG.starts.match(line):
            text = line.decode("utf-8", "surrogateescape")
            return _MODULE if _MODULE.head.match(text) and not LOG.head.match(text) else LOG
    return LOG


def parse(file: File) -> Iterator[Record]:
    return text_records(file, _form(file))
