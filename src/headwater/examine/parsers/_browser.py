# SPDX-License-Identifier: Apache-2.0
"""What the histories of browsers have in common: addresses in URLs, times, rows to be joined."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from headwater.examine.parsers._sqlite import named, number
from headwater.formats.sqlite_file import Database, Row
from headwater.formats.sqlite_file import Value as Stored
from headwater.model.kinds import TimeBasis

When = tuple[int | None, TimeBasis]
NO_TIME: When = (None, TimeBasis.NONE)
ROWS_MOST = 2_000_000  # rows of a joined table that are held
_URL_MOST = 8192
_WEBKIT = 11_644_473_600_000_000  # microseconds from 1601 to 1970
_LAST = 9_223_372_036_854_775  # microseconds since 1970 that fit 64 bits of nanoseconds


def literal(url: str | None) -> str | None:
    """The address in a URL that names its host by one."""
    try:
        host = urlsplit(url[:_URL_MOST]).hostname if url else None
        return str(ipaddress.ip_address(host)) if host else None
    except ValueError:
        return None


def webkit(stored: Stored) -> When:
    """Microseconds since 1601, UTC; nothing for 0."""
    moment = number(stored)
    return unix_micro(moment - _WEBKIT) if moment and moment > 0 else NO_TIME


def unix_micro(stored: Stored) -> When:
    """Microseconds since 1970, UTC; nothing for 0."""
    moment = number(stored)
    return (moment * 1000, TimeBasis.UTC) if moment and -_LAST < moment < _LAST else NO_TIME


def rows_by(database: Database, table: str) -> Iterator[tuple[Row, dict[str, Stored]]]:
    """The rows of a table that another is joined with, as far as they are read and held."""
    layout = database.tables().get(table)
    if layout is None:
        return
    for held, row in enumerate(database.rows(layout.root)):
        if held >= ROWS_MOST:
            return
        if isinstance(row, Row):
            yield row, named(database, table, row)
