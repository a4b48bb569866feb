# SPDX-License-Identifier: Apache-2.0
"""Connections and statements of MySQL's and MariaDB's general query log (mysql.general).

Reads:  general_log_file where it usually lies: /var/log/mysql/{mysql,general,query}*.log, /var/lib/mysql/HOST.log; or content.
Time:   UTC (``Z``) since MySQL 5.7; the wall clock before and in MariaDB, where an empty time means the one above.
Format: ``time TAB thread command TAB argument``; statements of several lines are one record.
Limits: a Connect line is written before the password is judged, so it proves no login; user and address of a statement are
        those of its thread's last Connect line above it in the same file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._records import Chunk, chunks, event, meaning, rule
from headwater.examine.parsers._when import NONE, When
from headwater.examine.parsers.mysql_error import _DENIED, when
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome
from headwater.model.records import Event, File, Gap, Record, Value

FEED = "mysql.general"
VERSION = 1
READS = (
    "/var/log/mysql/general*",
    "/var/log/mysql/query*.log*",
    "/var/log/mysql/mysql-general*",
    "/var/lib/mysql/general*.log",
    "/www/server/data/general*.log",
)
_TIME = rb"(?:\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)|\d{6} {1,2}\d?\d:\d\d:\d\d|\t)\t *\d+ [A-Z]"
_STARTS = re.compile(_TIME)
_PLAIN = re.compile(rb"\S+, Version: |Tcp port: |Time +Id +Command")
_HEAD = re.compile(
    r"(?s)(?P<time>[^\t]*)\t+ *(?P<thread>\d+) (?P<command>[A-Z][A-Za-z]*(?: [A-Za-z]+)?)(?:[\t ]+(?P<argument>.*))?$"
)
_CONNECT = (
    rule(_DENIED, K.AUTH_FAILURE, Outcome.FAILURE),
    rule(r"^(?P<user>.*)@(?P<src_ip>[^@\s]*) (?:as \S* )?on ?(?P<database>\S*)", K.NETWORK_CONNECTION),
)
_SHELL = re.compile(r"(?i)\bsys_(?:exec|eval)\s*\(\s*['\"]([^'\"]*)")
_INTO = re.compile(r"(?i)\bINTO\s+(?:OUTFILE|DUMPFILE)\s+['\"]([^'\"]+)")
_MOST_THREADS = 10_000


class _Sessions:
    def __init__(self) -> None:
        self.time: When = NONE
        self.peers: dict[str, dict[str, Value]] = {}

    def event(self, chunk: Chunk, found: re.Match[str]) -> Event:
        stated, thread, command = found["time"].strip(), found["thread"], found["command"]
        if stated:
            self.time = when(stated)
        argument = found["argument"] or ""
        fields: dict[str, Value] = {"thread": int(thread) if len(thread) < 19 else thread, "command": command}
        if stated and self.time[0] is None:
            fields["time_text"] = stated
        kind, outcome = K.LOG_MESSAGE, None
        if command == "Connect":
            kind, outcome, peer = meaning(_CONNECT, argument, kind)
            if outcome is None and len(self.peers) < _MOST_THREADS:
                self.peers[thread] = {k: peer.get(k) for k in ("user", "src_ip")}
            fields |= {"message": argument, **peer}
        else:
            fields |= {"statement": argument, **self.peers.get(thread, {})}
        if command == "Quit":
            kind = K.SESSION_CLOSE
            self.peers.pop(thread, None)
        shell, into = _SHELL.search(argument[:8192]), _INTO.search(argument[:8192])
        if shell:
            fields["command_line"], kind = shell.group(1), K.COMMAND_HISTORY
        if into:
            fields["file_path"] = into.group(1)
        return event(chunk, self.time, kind, outcome, fields, provider="mysqld")


def parse(file: File) -> Iterator[Record]:
    sessions = _Sessions()
    for chunk in chunks(file, _STARTS, _PLAIN):
        if not isinstance(chunk, Chunk):
            yield chunk
            continue
        found = _HEAD.match(chunk.text)
        if found is None:
            yield Gap(chunk.offset, chunk.length, GapReason.NOT_THIS_FORMAT, "the head of the record cannot be read")
        else:
            yield sessions.event(chunk, found)


def recognise(head: bytes) -> bool:
    return b"\nTime " in head[:600] and b" Command " in head[:600] and bool(re.search(rb"(?m)^" + _TIME, head))
