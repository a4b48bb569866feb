# SPDX-License-Identifier: Apache-2.0
"""Logins and transfers of FTP servers: vsftpd's log, and xferlog as vsftpd, ProFTPD and wu-ftpd write it (ftp.vsftpd).

Reads:  /var/log/vsftpd.log, /var/log/xferlog, /var/log/proftpd/xferlog.
Time:   the host's wall clock, whole seconds (vsftpd writes UTC unless use_localtime=YES: the log does not say).
Format: ``time [pid n] [user] OK|FAIL ACTION: Client "address", …``; xferlog(5).
Limits: names of files are the client's words; spaces in xferlog's names are written as ``_``.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._records import event
from headwater.examine.parsers._text import Line, line_records
from headwater.examine.parsers._when import asctime
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome
from headwater.model.records import Event, File, Gap, Record, Value

FEED = "ftp.vsftpd"
VERSION = 1
READS = ("/var/log/vsftpd*.log*", "/var/log/xferlog*", "/var/log/proftpd/xferlog*", "/vsftpd.log")
_TIME = r"(?P<time>[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})"
_VSFTPD = lazy_regex(
    _TIME
    + r" \[pid (?P<pid>\d+)\] (?:\[(?P<user>.*?)\] )?(?:(?P<result>OK|FAIL) )?(?P<action>[A-Z]+): Client \"(?P<src_ip>[^\"]*)\""
    r"(?:, \"(?P<file_path>.*)\"(?:, (?P<bytes>\d+) bytes)?(?:, (?P<rate>[\d.]+)Kbyte/sec)?)?(?P<rest>.*)"
)
_XFER = lazy_regex(
    _TIME
    + r" (?P<seconds>\d+) (?P<src_ip>\S+) (?P<bytes>\d+) (?P<file_path>.*) (?P<type>[ab]) (?P<flag>\S) (?P<direction>[iod])"
    r" (?P<access>[agr]) (?P<user>.*) (?P<service>\S+) [01] \S+ (?P<status>[ci])$"
)
_KINDS = {
    "CONNECT": K.NETWORK_CONNECTION, "UPLOAD": K.FILE_CREATED, "DOWNLOAD": K.FILE_ACCESSED, "DELETE": K.FILE_DELETED,
    "MKDIR": K.FILE_CREATED, "RMDIR": K.FILE_DELETED, "RENAME": K.FILE_CHANGED, "CHMOD": K.FILE_CHANGED,
}  # fmt: skip


def _event(line: Line, fields: dict[str, Value]) -> Event:
    stated, result, action = str(fields.pop("time")), fields.pop("result", None), fields.get("action")
    when = asctime(stated)
    if when[0] is None:
        fields["time_text"] = stated
    if fields.get("direction"):
        kind = {"i": K.FILE_CREATED, "o": K.FILE_ACCESSED}.get(str(fields["direction"]), K.FILE_DELETED)
        outcome: Outcome | None = Outcome.SUCCESS if fields.get("status") == "c" else Outcome.FAILURE
    else:
        outcome = {"OK": Outcome.SUCCESS, "FAIL": Outcome.FAILURE}.get(str(result))
        kind = _KINDS.get(str(action), K.LOG_MESSAGE)
        if action == "LOGIN":
            kind = {"OK": K.AUTH_SUCCESS, "FAIL": K.AUTH_FAILURE}.get(str(result), K.LOG_MESSAGE)
        elif outcome == Outcome.FAILURE:
            kind = K.LOG_MESSAGE
    return event(line, when, kind, outcome, fields, provider="ftp")


def _record(line: Line) -> Event | Gap:
    match = _VSFTPD.match(line.text[:8192]) or _XFER.match(line.text[:8192])
    if match is None:
        return Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "no line of an FTP server")
    return _event(line, dict(match.groupdict()))


def parse(file: File) -> Iterator[Record]:
    return line_records(file, _record)
