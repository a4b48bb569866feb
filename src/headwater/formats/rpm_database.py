# SPDX-License-Identifier: Apache-2.0
"""The header blobs of an rpm database in its three forms: SQLite, Berkeley DB hash, and rpm's own ndb.

Sources: SQLite as :mod:`headwater.formats.sqlite_file`; Berkeley DB 5.3 ``src/dbinc/db_page.h`` (meta page, hash pages,
overflow chains); rpm ``lib/backend/ndb/rpmpkg.c`` (slot pages and blobs of 16-byte blocks).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from headwater.formats.sqlite_file import MAGIC, Database, Fault, Row, open_over, open_sqlite
from headwater.model.ports import ByteSource

BLOB_MOST = 64 << 20
_HASH_MAGIC = 0x061561
_HASH, _HASH_UNSORTED, _OVERFLOW = 13, 2, 7
_OFFPAGE, _KEYDATA = 3, 1
_SLOT_PAGE, _BLOCK = 4096, 16


class NotRpmDatabase(ValueError):
    """None of the three forms."""


@dataclass(frozen=True, slots=True)
class Blob:
    """One header. ``offset`` and ``length`` bound where it begins in the file; ``why`` says what is wrong with it."""

    offset: int
    length: int
    data: bytes
    why: str = ""


def kind_of(head: bytes) -> str | None:
    """``sqlite``, ``bdb`` or ``ndb`` by the first bytes; None for anything else."""
    if head.startswith(MAGIC):
        return "sqlite"
    if head.startswith(b"RpmP"):
        return "ndb"
    if len(head) >= 24 and _HASH_MAGIC in (
        struct.unpack_from("<I", head, 12)[0],
        struct.unpack_from(">I", head, 12)[0],
    ):
        return "bdb"
    return None


def blobs(source: ByteSource, log: ByteSource | None = None) -> Iterator[Blob]:
    """The header blobs in the order of the file.

    With the write-ahead ``log`` of an SQLite database: those that stand in it and not so in the database, placed in the log.

    Raises:
        NotRpmDatabase: before the first blob, where the file is none of the three.
        NotSqlite: the log does not belong to the database, or the database is damaged.
    """
    if log is not None:
        return _logged(source, log)
    kind = kind_of(source.pread(0, 64))
    if kind == "sqlite":
        return _sqlite(source)
    if kind == "ndb":
        return _ndb(source)
    if kind == "bdb":
        return _bdb(source)
    raise NotRpmDatabase("neither SQLite, Berkeley DB hash nor ndb")


def _sqlite(source: ByteSource) -> Iterator[Blob]:
    for row in _rows(open_sqlite(source)):
        yield _blob(row)


def _logged(source: ByteSource, log: ByteSource) -> Iterator[Blob]:
    database = open_over(source, log)
    digest = hashlib.blake2b
    kept = {digest(blob.data).digest() for blob in _sqlite(source) if not blob.why}
    for row in _rows(database):
        if row.over:
            blob = _blob(row)
            if blob.why or digest(blob.data).digest() not in kept:
                yield blob


def _rows(database: Database) -> Iterator[Row | Fault]:
    table = database.tables().get("Packages")
    if table is None:
        raise NotRpmDatabase("no table Packages")
    yield from database.rows(table.root)


def _blob(row: Row | Fault) -> Blob:
    if not isinstance(row, Row):
        return Blob(row.offset, row.length, b"", row.why)
    data = row.values[1] if len(row.values) > 1 else None
    if isinstance(data, bytes):
        return Blob(row.offset, row.length, data)
    return Blob(row.offset, row.length, b"", "no blob in the row")


def _ndb(source: ByteSource) -> Iterator[Blob]:
    _, _, _, pages = struct.unpack("<4sIII", source.pread(0, 16))
    slots = source.pread(0, min(pages, 16_384) * _SLOT_PAGE)
    for at in range(32, len(slots) - 15, 16):  # the header takes the place of the first two slots
        magic, number, block, blocks = struct.unpack_from("<4sIII", slots, at)
        if magic != b"Slot" or not number:
            continue
        offset, size = block * _BLOCK, blocks * _BLOCK
        head = source.pread(offset, 16)
        if len(head) < 16 or not 0 < size <= BLOB_MOST:
            yield Blob(at, 16, b"", "a slot that points nowhere")
            continue
        mark, index, _, length = struct.unpack("<4sIII", head)
        if mark != b"BlbS" or index != number or length + 16 > size:
            yield Blob(offset, min(size, max(0, source.size - offset)), b"", "a blob that is not its slot's")
            continue
        data = source.pread(offset + 16, length)
        yield Blob(offset, 16 + len(data), data, "" if len(data) == length else "the file ends inside the blob")


def _bdb(source: ByteSource) -> Iterator[Blob]:
    head = source.pread(0, 512)
    order = "<" if struct.unpack_from("<I", head, 12)[0] == _HASH_MAGIC else ">"
    (size,) = struct.unpack_from(order + "I", head, 20)
    if not 512 <= size <= 65536 or size & (size - 1):
        raise NotRpmDatabase("a page size that cannot be")
    for number in range(1, -(-source.size // size)):
        page = source.pread(number * size, size)
        if len(page) < 26 or page[25] not in (_HASH, _HASH_UNSORTED):
            continue
        (entries,) = struct.unpack_from(order + "H", page, 20)
        if 26 + 2 * entries > len(page):
            yield Blob(number * size, len(page), b"", "a hash page with more entries than bytes")
            continue
        places = struct.unpack_from(f"{order}{entries}H", page, 26)
        for n in range(1, entries, 2):  # keys and data by turns
            yield from _datum(source, order, size, number, page, places, n)


def _datum(
    source: ByteSource, order: str, size: int, number: int, page: bytes, places: tuple[int, ...], n: int
) -> Iterator[Blob]:
    at, end = places[n], places[n - 1]
    base = number * size
    if not 26 <= at < len(page):
        yield Blob(base, 0, b"", "an entry outside its page")
    elif page[at] == _OFFPAGE and at + 12 <= len(page):
        following, total = struct.unpack_from(order + "II", page, at + 4)
        if 0 < total <= BLOB_MOST:
            data, first = _chain(source, order, size, following, total)
            why = "" if len(data) == total else "a broken chain of overflow pages"
            there = min(total, size - 26, max(0, source.size - first))
            yield Blob(first if there else base + at, there or 12, data, why)
    elif page[at] == _KEYDATA and end - at > 16:  # what is shorter is the counter that the database keeps of itself
        yield Blob(base + at + 1, end - at - 1, page[at + 1 : end])


def _chain(source: ByteSource, order: str, size: int, number: int, total: int) -> tuple[bytes, int]:
    first = number * size + 26
    parts: list[bytes] = []
    visited: set[int] = set()
    while total > 0 and number and number not in visited:
        visited.add(number)
        page = source.pread(number * size, size)
        if len(page) < 26 or page[25] != _OVERFLOW:
            break
        (used,) = struct.unpack_from(order + "H", page, 22)
        part = page[26 : 26 + min(used, total)]
        if not part:
            break
        parts.append(part)
        total -= len(part)
        (number,) = struct.unpack_from(order + "I", page, 16)
    return b"".join(parts), first
