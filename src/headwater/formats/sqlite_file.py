# SPDX-License-Identifier: Apache-2.0
"""Reads tables of a SQLite 3 database page by page, with the place of every row.

A library would give rows and hide where they stand, take locks, and replay a journal on its own; an examiner needs the
bytes. So: the header, the schema, table b-trees with their overflow chains, cells that point outside their page as
faults, and which pages no tree reached. Format: https://www.sqlite.org/fileformat2.html. Tables WITHOUT ROWID and
indexes are not read; a ``-wal`` file beside the database is a file of its own: its pages can be laid over the database's
(:func:`open_over`), and a row says then in which of the two it stands.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from headwater.formats.patterns import lazy_regex
from headwater.formats.sqlite_wal import NotWal, read_wal
from headwater.model.ports import ByteSource

MAGIC = b"SQLite format 3\0"
PAYLOAD_MOST = 256 << 20  # bytes of one row
PAGES_MOST = 4_000_000
_LEAF, _INNER, _INDEX = 0x0D, 0x05, (0x02, 0x0A)
Value = int | float | str | bytes | None


class NotSqlite(ValueError):
    """The bytes are no SQLite 3 database, or its header makes no sense."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row. ``offset`` and ``length`` bound its cell in the file: without what lies on overflow pages, ``overflow``.

    ``over``: the cell stands in the log that was laid over the database, and ``offset`` counts in it.
    """

    offset: int
    length: int
    rowid: int
    values: tuple[Value, ...]
    overflow: tuple[tuple[int, int], ...] = ()
    over: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """Bytes of a table that could not be read as rows, and why; ``over`` as for rows."""

    offset: int
    length: int
    why: str
    over: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    root: int
    columns: tuple[str, ...]
    rowid_column: int | None  # the column that is another name of the rowid and is stored as NULL


@dataclass(slots=True)
class Database:
    """An open database; ``seen`` grows with the pages that were read."""

    source: ByteSource
    page_size: int
    usable: int
    encoding: str
    pages: int
    free: int
    wal: bool
    seen: set[int] = field(default_factory=set)
    log: ByteSource | None = None
    newer: Mapping[int, int] = field(default_factory=dict)  # where a page begins in the log, by number
    _tables: dict[str, Table] | None = None

    def page(self, number: int) -> bytes:
        """The bytes of a page (from 1); short or empty where the file ends."""
        if self.log is not None and number in self.newer:
            return self.log.pread(self.newer[number], self.page_size)
        return self.source.pread((number - 1) * self.page_size, self.page_size)

    def place(self, number: int) -> int:
        """Where a page begins, in the file or in the log."""
        return self.newer.get(number, (number - 1) * self.page_size)

    def tables(self) -> dict[str, Table]:
        """The ordinary tables by name, from the schema on page 1."""
        if self._tables is None:
            self._tables = {}
            for row in self.rows(1):
                if isinstance(row, Row) and len(row.values) >= 5 and row.values[0] == "table":
                    name, root, sql = row.values[1], row.values[3], row.values[4]
                    if isinstance(name, str) and isinstance(root, int) and isinstance(sql, str) and root > 0:
                        columns, alias = _columns(sql)
                        if not re.search(r"without\s+rowid\s*;?\s*$", sql, re.IGNORECASE):
                            self._tables[name] = Table(name, root, columns, alias)
        return self._tables

    def rows(self, root: int) -> Iterator[Row | Fault]:
        """The rows of the table b-tree at ``root``, in order of rowid; what cannot be read comes as faults.

        The walk is iterative and visits no page twice, so a loop in the tree ends it.
        """
        waiting = [root]
        visited: set[int] = set()
        while waiting:
            number = waiting.pop()
            if number in visited or not 1 <= number <= self.pages or len(visited) >= PAGES_MOST:
                at = min(max(0, number - 1) * self.page_size, self.source.size)
                yield Fault(at, 0, f"page {number} is not part of a sound tree")
                continue
            visited.add(number)
            self.seen.add(number)
            page = self.page(number)
            start = 100 if number == 1 else 0
            if len(page) < self.page_size:
                yield Fault(self.place(number), len(page), "the file ends inside this page", number in self.newer)
                continue
            kind, count = page[start], struct.unpack_from(">H", page, start + 3)[0]
            head = start + (12 if kind == _INNER else 8)
            if kind not in (_LEAF, _INNER) or head + 2 * count > self.usable:
                why = f"page {number} is no page of a table"
                yield Fault(self.place(number), self.page_size, why, number in self.newer)
                continue
            cells = struct.unpack_from(f">{count}H", page, head)
            if kind == _INNER:
                children = [struct.unpack_from(">I", page, at)[0] for at in cells if at + 4 <= self.usable]
                children.append(struct.unpack_from(">I", page, start + 8)[0])
                waiting.extend(reversed(children))
                continue
            for at in cells:
                yield self._cell(number, page, at)

    def _cell(self, number: int, page: bytes, at: int) -> Row | Fault:
        base, over = self.place(number), number in self.newer
        try:
            size, after = _varint(page, at)
            rowid, after = _varint(page, after)
            local = self._local(size)
            stored = page[after : after + local]
            if len(stored) < local or after + local > self.usable or size > PAYLOAD_MOST:
                raise ValueError("a cell that leaves its page")
            end = after + local
            chain: list[tuple[int, int]] = []
            if local < size:
                (following,) = struct.unpack_from(">I", page, end)
                end += 4
                stored += self._overflow(following, size - local, chain)
            values = tuple(_values(stored, self.encoding))
        except (ValueError, IndexError, struct.error) as error:
            where, length = base + min(at, self.page_size - 1), max(0, min(4, self.page_size - at))
            return Fault(where, length, str(error) or "a cut cell", over)
        return Row(base + at, end - at, _signed(rowid), values, tuple(chain), over)

    def _local(self, size: int) -> int:
        """How much of a payload of this size lies in its leaf cell (fileformat2, "Cell Payload Overflow Pages")."""
        most = self.usable - 35
        if size <= most:
            return size
        least = (self.usable - 12) * 32 // 255 - 23
        part = least + (size - least) % (self.usable - 4)
        return part if part <= most else least

    def _overflow(self, number: int, size: int, chain: list[tuple[int, int]]) -> bytes:
        parts: list[bytes] = []
        visited: set[int] = set()
        while size > 0:
            if number in visited or not 1 <= number <= self.pages:
                raise ValueError("a broken chain of overflow pages")
            visited.add(number)
            self.seen.add(number)
            page = self.page(number)
            take = min(size, self.usable - 4)
            if len(page) < 4 + take:
                raise ValueError("the file ends inside an overflow page")
            parts.append(page[4 : 4 + take])
            chain.append((self.place(number) + 4, take))
            size -= take
            (number,) = struct.unpack_from(">I", page)
        return b"".join(parts)


def open_sqlite(source: ByteSource) -> Database:
    """Open a database.

    Raises:
        NotSqlite: the header is not one of SQLite 3.
    """
    head = source.pread(0, 100)
    if len(head) < 100 or not head.startswith(MAGIC):
        raise NotSqlite("no SQLite header")
    (raw,) = struct.unpack_from(">H", head, 16)
    size = 65536 if raw == 1 else raw
    reserved = head[20]
    encoding = {1: "utf-8", 2: "utf-16-le", 3: "utf-16-be"}.get(struct.unpack_from(">I", head, 56)[0], "utf-8")
    if size < 512 or size & (size - 1) or size - reserved < 480:
        raise NotSqlite("a page size that cannot be")
    (free,) = struct.unpack_from(">I", head, 36)
    return Database(source, size, size - reserved, encoding, -(-source.size // size), free, head[18] == 2)


def open_over(source: ByteSource, log: ByteSource) -> Database:
    """Open a database with the pages of its write-ahead log laid over its own.

    Raises:
        NotSqlite: the header of neither is one of SQLite 3, or they do not belong together.
    """
    try:
        found = read_wal(log)
    except NotWal as error:
        raise NotSqlite(str(error)) from None
    database = open_sqlite(source)
    if database.page_size != found.page_size:
        raise NotSqlite("a log whose pages are of another size than the database's")
    database.log, database.newer = log, found.pages
    database.pages = max([database.pages, *found.pages])
    return database


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for n in range(9):
        byte = data[at + n]
        if n == 8:
            return value << 8 | byte, at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + n + 1
    raise ValueError("unreachable")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _values(record: bytes, encoding: str) -> Iterator[Value]:
    """The values of a record: header size, serial types, then the bodies."""
    header, at = _varint(record, 0)
    body = header
    if header > len(record):
        raise ValueError("a record header longer than its record")
    while at < header:
        serial, at = _varint(record, at)
        if serial >= 12:
            size = (serial - 12) // 2
            raw = record[body : body + size]
            if len(raw) < size:
                raise ValueError("a value longer than its record")
            body += size
            yield raw.decode(encoding, "surrogateescape" if encoding == "utf-8" else "replace") if serial % 2 else raw
        elif serial == 0:
            yield None
        elif serial in (8, 9):
            yield serial - 8
        elif serial in (10, 11):
            raise ValueError("a reserved serial type")
        else:
            size = (0, 1, 2, 3, 4, 6, 8, 8)[serial]
            raw = record[body : body + size]
            if len(raw) < size:
                raise ValueError("a value longer than its record")
            body += size
            yield struct.unpack(">d", raw)[0] if serial == 7 else int.from_bytes(raw, "big", signed=True)


_TOKEN = lazy_regex(
    r"\"(?:[^\"]|\"\")*\"|`(?:[^`]|``)*`|\[[^\]]*\]|'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/|[(),]|[^\s(),]+", re.DOTALL
)
_CONSTRAINTS = {"constraint", "primary", "unique", "check", "foreign"}


def _columns(sql: str) -> tuple[tuple[str, ...], int | None]:
    """Column names of a CREATE TABLE text, and the one that is the rowid by another name."""
    words = [t for t in _TOKEN.findall(sql[:1_000_000]) if not t.startswith(("--", "/*"))]
    if "(" not in words:
        return (), None
    columns: list[list[str]] = [[]]
    depth = 0
    for word in words[words.index("(") :]:
        if word == "(":
            depth += 1
            if depth == 1:
                continue
        elif word == ")":
            depth -= 1
            if depth == 0:
                break
        if word == "," and depth == 1:
            columns.append([])
        else:
            columns[-1].append(word)
    named = [c for c in columns if c and c[0].lower() not in _CONSTRAINTS]
    alias = None
    for number, column in enumerate(named):
        lower = [t.lower() for t in column]
        if len(lower) > 1 and lower[1] == "integer" and "primary" in lower and "desc" not in lower:
            alias = number
    if alias is None:
        for column in columns:
            lower = [t.lower() for t in column]
            if lower[:2] == ["primary", "key"] and lower.count(",") == 0 and len(lower) >= 5:
                for number, named_column in enumerate(named):
                    if _bare(named_column[0]).lower() == _bare(lower[3]) and [t.lower() for t in named_column[1:2]] == [
                        "integer"
                    ]:
                        alias = number
    return tuple(_bare(c[0]) for c in named), alias


def _bare(name: str) -> str:
    if len(name) >= 2 and name[0] in "\"`['" and name[-1] in "\"`]'":
        return name[1:-1].replace(name[-1] * 2, name[-1])
    return name
