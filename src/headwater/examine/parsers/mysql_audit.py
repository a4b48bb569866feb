# SPDX-License-Identifier: Apache-2.0
"""Logins, statements and tables touched, as MariaDB's audit plugin wrote them (mysql.audit).

Reads:  server_audit.log and its rotations, in the data directory or under /var/log/mysql and /var/log/mariadb.
Time:   the server's wall clock, whole seconds.
Format: ``YYYYMMDD HH:MM:SS,server,user,host,connection,query,operation,database,object,code``; the object of a statement is
        quoted, with backslashes (MariaDB, "MariaDB Audit Plugin - Log Format").
Limits: what server_audit_events left out is not there; statements are cut at server_audit_query_log_limit (1,024 bytes);
        passwords in statements are stars; through syslog (server_audit_output_type) the rows are in that log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._records import Chunk, chunks, event
from headwater.examine.parsers._when import NONE, When, iso
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome
from headwater.model.records import Event, File, Gap, Record, Value

FEED = "mysql.audit"
VERSION = 1
READS = ("/server_audit.log*", "/mysql/audit.log*", "/mariadb/audit.log*")
_STARTS = lazy_regex(rb"\d{8} {1,2}\d?\d:\d\d:\d\d,[^,]*,")
_HEAD = lazy_regex(
    r"(?s)(?P<time>\d{8} {1,2}\d?\d:\d\d:\d\d),(?P<host>[^,]*),(?P<user>[^,]*),(?P<client>[^,]*),(?P<thread>\d+),(?P<query_id>\d+),"
    r"(?P<command>[A-Z_]+),(?P<database>[^,]*),(?P<object>.*),(?P<code>\d*)$"
)
_ESCAPE = lazy_regex(r"(?s)\\(.)")
_INTO = lazy_regex(r"(?i)\bINTO\s+(?:OUTFILE|DUMPFILE)\s+['\"]([^'\"]+)")
_SHELL = lazy_regex(r"(?i)\bsys_(?:exec|eval)\s*\(\s*['\"]([^'\"]*)")
_KINDS = {"CONNECT": K.AUTH_SUCCESS, "FAILED_CONNECT": K.AUTH_FAILURE, "DISCONNECT": K.SESSION_CLOSE}
_DENIED = {"1044", "1045", "1698"}
_MOST = 65_536


def recognise(head: bytes) -> bool:
    """Three lines that begin so."""
    found = head.split(b"\n")
    return len(found) > 3 and all(_STARTS.match(line) and line.count(b",") >= 9 for line in found[:3])


def _when(text: str) -> When:
    day, _, clock = text.partition(" ")
    return iso(f"{day[:4]}-{day[4:6]}-{day[6:]} {clock.strip()}")


def _event(chunk: Chunk, found: re.Match[str]) -> Event:
    stated = found.groupdict()
    when, command, code = _when(stated["time"]), stated["command"], stated["code"]
    text = stated["object"]
    fields: dict[str, Value] = {
        "host": stated["host"], "user": stated["user"], "src_ip": stated["client"], "thread": int(stated["thread"][:18]),
        "query_id": int(stated["query_id"][:18]), "command": command, "database": stated["database"], "code": code,
        "time_text": stated["time"] if when == NONE else None,
    }  # fmt: skip
    kind, outcome = _KINDS.get(command, K.LOG_MESSAGE), None
    if code:
        outcome = Outcome.SUCCESS if code == "0" else Outcome.FAILURE
    if kind is K.AUTH_SUCCESS and code not in ("", "0"):
        kind = K.AUTH_FAILURE if code in _DENIED else K.AUTH_PROBE
    if len(text) >= 2 and text[0] == text[-1] == "'":
        statement = _ESCAPE.sub(lambda m: {"n": "\n", "r": "\r", "t": "\t"}.get(m[1], m[1]), text[1:-1])[:_MOST]
        fields["statement"] = statement
        if shell := _SHELL.search(statement[:8192]):
            fields["command_line"], kind = shell[1], K.COMMAND_HISTORY
        if into := _INTO.search(statement[:8192]):
            fields["file_path"] = into[1]
    else:
        fields["object"] = text[:_MOST]
    return event(chunk, when, kind, outcome, fields, provider="mariadb")


def parse(file: File) -> Iterator[Record]:
    for chunk in chunks(file, _STARTS):
        if not isinstance(chunk, Chunk):
            yield chunk
        elif found := _HEAD.match(chunk.text):
            yield _event(chunk, found)
        else:
            yield Gap(chunk.offset, chunk.length, GapReason.NOT_THIS_FORMAT, "the head of the record cannot be read")
