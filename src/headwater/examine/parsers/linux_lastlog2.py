# SPDX-License-Identifier: Apache-2.0
"""The last login of each account in the database that replaces lastlog (linux.lastlog2).

Reads:  /var/lib/lastlog/lastlog2.db, and the lastlog2.db-wal beside: rows that the database has not, or not so.
Time:   seconds, UTC, by the host's own clock.
Format: SQLite; table Lastlog2(Name, Time, TTY, RemoteHost, Service), lastlog2(8).
Limits: only the last login; an account that never logged in has no row.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._sqlite import Columns, number, of_log, rows_of, text
from headwater.examine.parsers.linux_wtmpdb import address
from headwater.formats.sqlite_file import Row
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.records import Event, File, Record, Value

FEED = "linux.lastlog2"
VERSION = 2
READS = ("/var/lib/lastlog/lastlog2.db", "/var/lib/lastlog/lastlog2.db-wal")
beside = of_log


def _event(row: Row, columns: Columns) -> Event | None:
    seconds, user, host = number(columns.get("Time")), text(columns.get("Name")), text(columns.get("RemoteHost"))
    if seconds is None or user is None or not 0 <= seconds < 1 << 33:
        return None
    own: dict[str, Value] = {
        "line": text(columns.get("TTY")), "host_text": host, "service": text(columns.get("Service")),
    }  # fmt: skip
    return Event(
        row.offset, row.length, EventKind.STATE_LASTLOG, t_recorded=seconds * 1_000_000_000 if seconds else None,
        t_basis=TimeBasis.UTC if seconds else TimeBasis.NONE, user=user, src_ip=address(host), fields=own,
    )  # fmt: skip


def parse(file: File) -> Iterator[Record]:
    return rows_of(file, {"Lastlog2": _event})
