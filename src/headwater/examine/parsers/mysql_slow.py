# SPDX-License-Identifier: Apache-2.0
"""Statements that MySQL's and MariaDB's slow query log kept (mysql.slow).

Reads:  /var/log/mysql/*slow*, /var/lib/mysql/*slow*.log, /www/server/data/*slow*.log.
Time:   ``# Time:`` where it is UTC (``Z``, since 5.7), else ``SET timestamp=`` in UTC seconds, when it began, else the wall clock.
Format: ``# Time``, ``# User@Host``, ``# Query_time`` and the statement behind them; one record over its lines.
Limits: only what took longer than long_query_time; a statement can imitate the head of a record.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._records import Chunk, chunks, event
from headwater.examine.parsers._when import NONE, epoch
from headwater.examine.parsers.mysql_error import when
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Value

FEED = "mysql.slow"
VERSION = 3
READS = (
    "/var/log/mysql/*slow*",
    "/var/log/mariadb/*slow*",
    "/var/lib/mysql/*slow*.log*",
    "/www/server/data/*slow*.log*",
)
_STARTS = lazy_regex(rb"# (?:Time|User@Host): ")
_PLAIN = lazy_regex(rb"\S+, Version: |Tcp port: |Time\s+Id +Command")
_TIME = lazy_regex(r"# Time: ([^\n]+)")
_WHO = lazy_regex(
    r"# User@Host: (?P<user>[^\[\n]*)\[[^\]\n]*\] @ (?P<rhost>[^\[\n]*?) *\[(?P<src_ip>[^\]\n]*)\](?: *Id: *(?P<thread>\d+))?"
)
_NUMBERS = lazy_regex(r"(Query_time|Lock_time|Rows_sent|Rows_examined|Rows_affected|Schema): ([^\s]+)")
_SET = lazy_regex(r"(?m)^SET timestamp=(\d+);$")
_USE = lazy_regex(r"(?m)^use ([^;\n]+);$")


def recognise(head: bytes) -> bool:
    """A record's lines, at the first or behind the server's banner: its default is HOST-slow.log in the data directory."""
    return b"# User@Host: " in head and b"\n# Query_time: " in head


def _event(chunk: Chunk) -> Event | Gap:
    who = _WHO.search(chunk.text[:4096])
    if who is None:
        return Gap(chunk.offset, chunk.length, GapReason.NOT_THIS_FORMAT, "a record without its user")
    at = _TIME.match(chunk.text)
    found, began = when(at.group(1)) if at else NONE, _SET.search(chunk.text[:8192])
    if began and found[1] not in (TimeBasis.UTC, TimeBasis.ZONE_GIVEN):  # a wall clock: the statement's own time is UTC
        found = epoch(began.group(1))
    fields: dict[str, Value] = {k: v for k, v in who.groupdict().items() if v}
    if at and found[0] is None:
        fields["time_text"] = at.group(1)
    head = "\n".join(x for x in chunk.text.split("\n")[:12] if x.startswith("#"))
    fields |= {name.lower(): value for name, value in _NUMBERS.findall(head)}
    use = _USE.search(chunk.text[:8192])
    if use:
        fields["schema"] = use.group(1)
    fields["statement"] = "\n".join(
        x for x in chunk.text.split("\n") if not x.startswith(("# ", "SET timestamp=", "use "))
    ).strip()
    return event(chunk, found, K.LOG_MESSAGE, None, fields, provider="mysqld")


def parse(file: File) -> Iterator[Record]:
    time: Chunk | None = None
    for chunk in chunks(file, _STARTS, _PLAIN):
        if time is not None and not (isinstance(chunk, Chunk) and chunk.text.startswith("# User@Host")):
            yield Gap(time.offset, time.length, GapReason.NOT_THIS_FORMAT, "a time without its record")
            time = None
        if not isinstance(chunk, Chunk):
            yield chunk
        elif chunk.text.startswith("# Time") and "\n" not in chunk.text:
            time = chunk
        elif time is not None:
            yield _event(Chunk(time.offset, time.length + chunk.length, time.text + "\n" + chunk.text))
            time = None
        else:
            yield _event(chunk)
    if time is not None:
        yield Gap(time.offset, time.length, GapReason.TRUNCATED, "a time without its record")
