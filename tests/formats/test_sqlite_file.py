# SPDX-License-Identifier: Apache-2.0
"""Rows are those that SQLite itself gives, each where it stands; a bent database loops nowhere and raises nothing else."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from headwater.formats.sources import MemorySource
from headwater.formats.sqlite_file import Fault, NotSqlite, Row, open_sqlite


def made(tmp_path: Path, page: int = 4096, encoding: str = "UTF-8", rows: int = 800) -> tuple[bytes, list[tuple]]:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA page_size={page}")
        db.execute(f"PRAGMA encoding='{encoding}'")
        db.execute(
            'CREATE TABLE logs(id INTEGER PRIMARY KEY AUTOINCREMENT, [type] TEXT, "log, x" TEXT, n REAL, raw BLOB)'
        )
        db.execute("CREATE INDEX i ON logs(type)")
        chance = random.Random(5)
        for n in range(rows):
            text = "登录 " * chance.randrange(1, 3000 if n % 50 == 0 else 20)
            db.execute(
                "INSERT INTO logs(type, 'log, x', n, raw) VALUES(?,?,?,?)",
                (f"t{n}", text, n / 3, chance.randbytes(chance.randrange(60))),
            )
        db.execute("DELETE FROM logs WHERE id % 7 = 0")
        db.execute("INSERT INTO logs VALUES(-5, NULL, '', 9223372036854775807, x'')")
    with sqlite3.connect(path) as db:
        expected = db.execute("SELECT * FROM logs ORDER BY id").fetchall()
    return path.read_bytes(), expected


@pytest.mark.parametrize(("page", "encoding"), [(512, "UTF-8"), (4096, "UTF-16le"), (65536, "UTF-16be")])
def test_rows_equal_sqlite_s_own(tmp_path: Path, page: int, encoding: str) -> None:
    data, expected = made(tmp_path, page, encoding)
    database = open_sqlite(MemorySource(data))
    table = database.tables()["logs"]
    assert table.columns == ("id", "type", "log, x", "n", "raw")
    assert table.rowid_column == 0
    rows = list(database.rows(table.root))
    assert not [r for r in rows if isinstance(r, Fault)]
    assert [(r.rowid, *r.values[1:]) for r in rows if isinstance(r, Row)] == expected
    for row in rows:
        assert isinstance(row, Row)
        assert 0 < row.offset < row.offset + row.length <= len(data)


def test_a_cell_s_bytes_hold_its_short_text(tmp_path: Path) -> None:
    data, _ = made(tmp_path)
    database = open_sqlite(MemorySource(data))
    row = next(r for r in database.rows(database.tables()["logs"].root) if isinstance(r, Row) and r.rowid == 5)
    assert b"t4" in data[row.offset : row.offset + row.length]


@pytest.mark.parametrize("seed", range(30))
def test_a_bent_database_gives_rows_and_faults_and_ends(tmp_path: Path, seed: int) -> None:
    data, _ = made(tmp_path, 512, rows=120)
    chance = random.Random(seed)
    bent = bytearray(data[: chance.randrange(200, len(data) + 1)])
    for _ in range(chance.randrange(1, 60)):
        bent[chance.randrange(100, len(bent))] = chance.randrange(256)
    database = open_sqlite(MemorySource(bytes(bent)))
    for table in database.tables().values():
        assert sum(1 for _ in database.rows(table.root)) < 100_000


def test_a_loop_of_pages_ends() -> None:
    page = bytearray(512)
    page[0:16] = b"SQLite format 3\0"
    page[16:18] = (512).to_bytes(2, "big")
    page[100] = 5  # an inner page whose only child is itself
    page[108:112] = (1).to_bytes(4, "big")
    rows = list(open_sqlite(MemorySource(bytes(page))).rows(1))
    assert len(rows) == 1
    assert isinstance(rows[0], Fault)


@pytest.mark.parametrize("data", [b"", b"SQLite format 3\0", b"\0" * 200, b"SQLite format 3\0" + bytes(100)])
def test_what_is_no_database_is_refused(data: bytes) -> None:
    with pytest.raises(NotSqlite):
        open_sqlite(MemorySource(data))
