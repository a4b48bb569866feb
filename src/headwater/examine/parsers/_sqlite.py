# SPDX-License-Identifier: Apache-2.0
"""Rows of SQLite tables as events, in the counted form: rows found and rows lost are what the tables hold."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from headwater.formats.sqlite_file import Database, Fault, NotSqlite, Row, open_over, open_sqlite
from headwater.formats.sqlite_file import Value as Stored
from headwater.formats.sqlite_wal import read_wal
from headwater.model.kinds import GapReason
from headwater.model.records import Count, Event, File, Gap, Record, Value

LOG = "-wal"
_KEPT_MOST = 2_000_000  # rows of a database that those of its log are compared with
Columns = Mapping[str, Stored]
Make = Callable[[Row, Columns], "Event | Sequence[Event] | None"]
Plan = Callable[[Database], Mapping[str, Make]]


@dataclass(frozen=True, slots=True)
class ParserSource:
    """A parser's file as a byte source."""

    file: File
    bad = ()

    @property
    def size(self) -> int:
        return self.file.size

    def pread(self, offset: int, length: int) -> bytes:
        return self.file.pread(offset, length)

    def close(self) -> None:
        """Nothing is held."""


def named(database: Database, table: str, row: Row) -> dict[str, Stored]:
    """The values of a row by column name, the rowid under its alias; columns added later than the row are missing."""
    layout = database.tables()[table]
    found = dict(zip(layout.columns, row.values))
    if layout.rowid_column is not None and layout.rowid_column < len(layout.columns):
        found[layout.columns[layout.rowid_column]] = row.rowid
    return found


def value(stored: Stored, most: int = 8192) -> Value:
    """A stored value as an event's field; bytes in hexadecimal, long ones cut with their length said."""
    if isinstance(stored, bytes):
        return stored[: most // 2].hex() + (f"… ({len(stored)} bytes)" if len(stored) > most // 2 else "")
    if isinstance(stored, str) and len(stored) > most:
        return stored[:most] + f"… ({len(stored)} characters)"
    return stored


def text(stored: Stored) -> str | None:
    """A stored text that says something; None for null, empty, and what is no text."""
    return stored if isinstance(stored, str) and stored else None


def number(stored: Stored) -> int | None:
    """A stored whole number, also one written as text; None for anything else."""
    if isinstance(stored, int):
        return stored
    if isinstance(stored, str) and stored.strip().lstrip("-").isdigit():
        return int(stored)
    return None


def rows_of(file: File, makers: Mapping[str, Make] | Plan) -> Iterator[Record]:
    """Events of the named tables in order of table and rowid; faults as gaps; the count at the end.

    A row that its maker has nothing to say of (None) counts as lost and is a gap; one whose maker gives an empty sequence
    is told of elsewhere and not counted. Slack is what stands in no row's cell. ``makers`` may be made from the database,
    where rows are joined. Of a write-ahead log (``…-wal``, its database beside it) those rows are told that stand in it and
    not so in the database.
    """
    try:
        if is_log(file.path):
            database, kept = _logged(file)
            yield from unread(file)
        else:
            database, kept = open_sqlite(ParserSource(file)), None
    except NotSqlite as error:
        if file.size:
            yield Gap(0, file.size, GapReason.NOT_THIS_FORMAT, str(error))
        yield Count(0, 0, 0)
        return
    declared = lost = used = 0
    if callable(makers):
        makers = makers(database)
    for table in sorted(set(makers) & set(database.tables())):
        same = _rows_in(kept, table) if kept is not None else frozenset[int]()
        for item in database.rows(database.tables()[table].root):
            if kept is not None and not item.over:
                continue
            if isinstance(item, Fault):
                lost += 1
                declared += 1
                yield Gap(item.offset, item.length, GapReason.NOT_THIS_FORMAT, item.why)
                continue
            used += item.length
            made = makers[table](item, named(database, table, item))
            if same and hash((item.rowid, item.values)) in same:
                continue
            if made is None:
                declared, lost = declared + 1, lost + 1
                yield Gap(item.offset, item.length, GapReason.NOT_THIS_FORMAT, f"a row of {table} without sense")
            elif made:
                declared += 1
                told = (made,) if isinstance(made, Event) else made
                yield from told if kept is None else (in_log(event) for event in told)
    yield Count(declared, lost, max(0, file.size - used))


def is_log(path: str) -> bool:
    """Whether a path is that of a write-ahead log."""
    return path.endswith(LOG)


def of_log(path: str) -> tuple[str, ...]:
    """The database that a parser wants beside a write-ahead log (its ``beside``)."""
    return (path.removesuffix(LOG),) if is_log(path) else ()


def _logged(file: File) -> tuple[Database, Database]:
    """The database as its log leaves it, and as it is without.

    Raises:
        NotSqlite: there is none beside, or one of the two is none.
    """
    if not file.beside:
        raise NotSqlite("a write-ahead log without its database")
    database = ParserSource(next(iter(file.beside.values())))
    return open_over(database, ParserSource(file)), open_sqlite(database)


def unread(file: File) -> Iterator[Gap]:
    """Frames of the log that no transaction made to count, and those of before; the log's header must have been read."""
    log = read_wal(ParserSource(file))
    for count, why in ((log.open, "of no finished transaction"), (log.before, "of an earlier round of the log")):
        if count:
            yield Gap(log.end, 0, GapReason.NOT_REPLAYED, f"{count} frames {why}")


def _rows_in(database: Database, table: str) -> frozenset[int]:
    layout = database.tables().get(table)
    rows = database.rows(layout.root) if layout is not None else ()
    return frozenset(
        hash((row.rowid, row.values)) for row in itertools.islice(rows, _KEPT_MOST) if isinstance(row, Row)
    )


def in_log(event: Event) -> Event:
    """The event, saying that it stands in a write-ahead log alone."""
    return replace(event, fields={**event.fields, "stands_in": "write-ahead log"})
