# SPDX-License-Identifier: Apache-2.0
"""Logins, logouts and boots in the database that replaces wtmp (linux.wtmpdb).

Reads:  /var/lib/wtmpdb/wtmp.db, /var/log/wtmp.db, and the wtmp.db-wal beside: rows that the database has not, or not so.
Time:   microseconds, UTC, by the host's own clock.
Format: SQLite; table wtmp(ID, Type, User, Login, Logout, TTY, RemoteHost, Service), wtmpdb(8).
Limits: a row holds login and logout: deleting it takes both.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from headwater.examine.parsers._sqlite import Columns, number, of_log, rows_of, text
from headwater.formats.sqlite_file import Row
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.records import Event, File, Record, Value

FEED = "linux.wtmpdb"
VERSION = 2
READS = ("/var/lib/wtmpdb/wtmp.db", "/var/log/wtmp.db", "/var/lib/wtmpdb/wtmp.db-wal", "/var/log/wtmp.db-wal")
beside = of_log
_KINDS = {
    1: EventKind.SYSTEM_BOOT,
    2: EventKind.SYSTEM_BOOT,
    3: EventKind.SESSION_OPEN,
}  # BOOT_TIME, RUNLEVEL, USER_PROCESS
_MOST = 1 << 52  # microseconds: the year 2112


def address(stated: str | None) -> str | None:
    """The address in a host field, if it is one."""
    try:
        return str(ipaddress.ip_address(stated.strip())) if stated else None
    except ValueError:
        return None


def _event(row: Row, columns: Columns) -> Event | None:
    login, logout, host = number(columns.get("Login")), number(columns.get("Logout")), text(columns.get("RemoteHost"))
    if login is None or not 0 < login < _MOST:
        return None
    own: dict[str, Value] = {
        "line": text(columns.get("TTY")), "host_text": host, "service": text(columns.get("Service")),
        "type": number(columns.get("Type")), "logout": logout,
        "seconds": (logout - login) // 1_000_000 if logout and login <= logout < _MOST else None,
    }  # fmt: skip
    return Event(
        row.offset, row.length, _KINDS.get(number(columns.get("Type")) or 3, EventKind.LOG_MESSAGE),
        t_recorded=login * 1000, t_basis=TimeBasis.UTC, user=text(columns.get("User")), src_ip=address(host), fields=own,
    )  # fmt: skip


def parse(file: File) -> Iterator[Record]:
    return rows_of(file, {"wtmp": _event})
