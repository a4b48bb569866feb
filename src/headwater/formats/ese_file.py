# SPDX-License-Identifier: Apache-2.0
"""Reads the tables of an ESE database record by record, with the place of every one.

The library that others use gives values and hides where they stand; an examiner needs the bytes. So: the catalog, the
trees of tables with their long values, faults where a page or a record contradicts itself, pages whose checksum does not
hold, records that are struck out and not yet cleared. Read only: the log files beside a database are not replayed, so
that one that was not closed in order is seen as it stood on the disk; :attr:`Database.header` says so.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from headwater.formats.ese_pages import Fault, Header, Node, NotEse, Pages, header
from headwater.formats.ese_values import BadRecord, Column, Columns, Value, plain, read
from headwater.model.ports import ByteSource

__all__ = ["Database", "Fault", "Header", "NotEse", "Row", "Table", "Value", "open_ese"]
CATALOG = 4  # the page at which the table of all tables begins
LONG_MOST = 16 << 20  # bytes of one long value
_LONG_ALL = 256 << 20  # bytes of all of them, or eight times the file: records can share one
_NODE = 64  # what looking at a piece counts for in that
_CHUNKS = 1 << 14
_TABLES_MOST, _COLUMNS_MOST = 100_000, 1 << 16
_TABLE, _COLUMN, _LONG = 1, 2, 4


@dataclass(frozen=True, slots=True)
class Row:
    """One record. ``offset`` and ``length`` bound it in the file, without the long values that stand on other pages.

    ``apart``: the places of those; ``unread``: columns that hold something that could not be read.
    """

    offset: int
    length: int
    values: dict[str, Value]
    deleted: bool
    unread: tuple[str, ...] = ()
    apart: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class Table:
    name: str
    number: int
    root: int
    long_root: int = 0
    template: str = ""
    columns: dict[int, Column] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns.values())


@dataclass(slots=True)
class Database:
    """An open database; ``seen`` grows with the pages of tables that were read."""

    pages: Pages
    faults: list[Fault] = field(default_factory=list)  # of the catalog
    seen: set[int] = field(default_factory=set)
    _given: int = 0  # bytes of long values so far
    _tables: dict[str, Table] | None = None

    @property
    def header(self) -> Header:
        return self.pages.header

    def tables(self) -> dict[str, Table]:
        """The tables by name, in the order of the catalog; its faults go to ``faults``."""
        if self._tables is None:
            self._tables = {}
            by_number: dict[int, Table] = {}
            for item in self._nodes(CATALOG):
                if isinstance(item, Fault):
                    self.faults.append(item)
                    continue
                try:
                    entry, _ = read(item.data, _catalog_columns(self.pages.small), lambda _: None)
                except BadRecord as error:
                    self.faults.append(Fault(item.offset, item.length, str(error)))
                    continue
                if not item.deleted:
                    self._entry(entry, by_number)
            for table in self._tables.values():
                parent = self._tables.get(table.template)
                if parent is not None and parent is not table:
                    table.columns = parent.columns | table.columns
        return self._tables

    def _entry(self, entry: dict[str, Value], by_number: dict[int, Table]) -> None:
        """Take one line of the catalog: a table, or what a table has."""
        assert self._tables is not None
        number, kind = entry.get("ObjidTable"), entry.get("Type")
        what, name = entry.get("ColtypOrPgnoFDP"), entry.get("Name")
        if not isinstance(number, int) or not isinstance(what, int) or not isinstance(name, str):
            return
        if kind == _TABLE:
            if len(by_number) < _TABLES_MOST:
                template = entry.get("TemplateTable")
                table = Table(name, number, what, template=template if isinstance(template, str) else "")
                by_number[number] = self._tables[name] = table
        elif number in by_number:
            table = by_number[number]
            if kind == _LONG:
                table.long_root = what
            elif kind == _COLUMN and len(table.columns) < _COLUMNS_MOST:
                column = _column(entry, name, what)
                if column is not None:
                    table.columns[column.number] = column

    def rows(self, table: Table) -> Iterator[Row | Fault]:
        """The records of a table in order of key; what cannot be read comes as faults."""
        columns = Columns(table.columns, self.pages.small)
        apart: list[tuple[int, int]] = []

        def long_value(number: bytes) -> bytes | None:
            return self._long(table, number, apart)

        for item in self._nodes(table.root, self.seen):
            if isinstance(item, Fault):
                yield item
                continue
            apart.clear()
            try:
                values, unread = read(item.data, columns, long_value)
            except (BadRecord, struct.error, IndexError) as error:
                yield Fault(item.offset, item.length, str(error) or "a cut record")
                continue
            yield Row(item.offset, item.length, values, item.deleted, unread, tuple(apart))

    def _nodes(self, root: int, seen: set[int] | None = None) -> Iterator[Node | Fault]:
        for page in self.pages.leaves(root, seen):
            if isinstance(page, Fault):
                yield page
                continue
            yield from page.faults
            if not page.sound:
                yield Fault(self.pages.place(page.number), 0, f"the checksum of page {page.number} does not hold")
            if page.long_values:
                yield Fault(self.pages.place(page.number), 0, f"page {page.number} is of another kind of tree")
            else:
                yield from page.nodes

    def _long(self, table: Table, number: bytes, apart: list[tuple[int, int]]) -> bytes | None:
        """A value that stands apart: a node with its size, then its pieces by offset, each packed or not."""
        most = max(_LONG_ALL, 8 * self.pages.source.size)
        if not table.long_root or len(number) not in (4, 8) or self._given > most:
            return None
        key = number[::-1]
        parts = list(self.pages.under(table.long_root, key, _CHUNKS))
        if not parts or parts[0].key != key or len(parts[0].data) < 8:
            self._given += self.pages.header.page_size  # what a look in vain costs
            return None
        (size,) = struct.unpack_from("<I", parts[0].data, 4)
        self._given += min(size, LONG_MOST) + _NODE * len(parts)
        if size > LONG_MOST or self._given > most:
            return None
        pieces = [(int.from_bytes(p.key[len(key) :], "big"), p) for p in parts[1:]]
        out = bytearray()
        for index, (start, part) in enumerate(pieces):
            wanted = (pieces[index + 1][0] if index + 1 < len(pieces) else size) - start
            piece: bytes | None = part.data
            if len(part.data) != wanted:
                piece = plain(part.data)
            if piece is None or len(piece) != wanted or start != len(out):
                return None
            out += piece
            apart.append((part.offset, part.length))
        return bytes(out) if len(out) == size else None


def open_ese(source: ByteSource) -> Database:
    """Open a database.

    Raises:
        NotEse: neither its header nor the copy of it is one.
    """
    return Database(Pages(source, header(source)))


def _column(entry: dict[str, Value], name: str, kind: int) -> Column | None:
    number, size, codepage = entry.get("Id"), entry.get("SpaceUsage"), entry.get("PagesOrLocale")
    flags, at, default = entry.get("Flags"), entry.get("RecordOffset"), entry.get("DefaultValue")
    if not isinstance(number, int) or not isinstance(size, int) or not 1 <= number < 1 << 16:
        return None
    return Column(
        number,
        name,
        kind,
        max(0, size),
        codepage if isinstance(codepage, int) else 0,
        flags if isinstance(flags, int) else 0,
        at if isinstance(at, int) else None,
        default if isinstance(default, bytes) else None,
    )


_CATALOG = (
    (1, "ObjidTable", 4), (2, "Type", 3), (3, "Id", 4), (4, "ColtypOrPgnoFDP", 4), (5, "SpaceUsage", 4),
    (6, "Flags", 4), (7, "PagesOrLocale", 4), (8, "RootFlag", 1), (9, "RecordOffset", 3),
    (128, "Name", 10), (130, "TemplateTable", 10), (131, "DefaultValue", 9),
)  # fmt: skip


def _catalog_columns(small: bool) -> Columns:
    """The catalog's own columns, as far as they are used here; the engine has them built in."""
    return Columns({n: Column(n, name, kind, 0, 1252, 0, None, None) for n, name, kind in _CATALOG}, small)
