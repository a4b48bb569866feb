# SPDX-License-Identifier: Apache-2.0
"""Rows that a program had not yet moved from its write-ahead log into its database are not lost; each stands where it is said to."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from headwater.formats.sources import MemorySource
from headwater.formats.sqlite_file import NotSqlite, Row, open_over
from headwater.formats.sqlite_wal import NotWal, read_wal


def _left(path: Path, page: int = 4096, rounds: bool = False) -> tuple[bytes, bytes, list[tuple[object, ...]]]:
    """A database and its log as a program that was not closed leaves them, and what SQLite selects from both."""
    open_ = sqlite3.connect(path)
    open_.execute(f"pragma page_size={page}")
    open_.execute("pragma journal_mode=wal")
    open_.execute("pragma wal_autocheckpoint=0")
    open_.execute("create table t (id integer primary key, said text)")
    open_.executemany("insert into t values (?, ?)", [(n, f"old {n}") for n in range(300)])
    open_.commit()
    open_.execute("pragma wal_checkpoint(restart)")
    open_.executemany("insert into t values (?, ?)", [(n, f"new {n} " + "x" * 40) for n in range(300, 340)])
    open_.execute("update t set said = 'changed' where id = 7")
    open_.commit()
    both = path.read_bytes(), path.with_name(path.name + "-wal").read_bytes()
    wanted = open_.execute("select id, said from t order by id").fetchall()
    open_.close()
    return *both, wanted


@pytest.mark.parametrize("page", [512, 4096, 65536])
def test_the_log_and_the_database_together_are_what_sqlite_selects(tmp_path: Path, page: int) -> None:
    data, log, wanted = _left(tmp_path / "x", page)
    found = open_over(MemorySource(data), MemorySource(log))
    rows = [row for row in found.rows(found.tables()["t"].root) if isinstance(row, Row)]
    assert [(row.rowid, row.values[1]) for row in rows] == wanted
    new = [row for row in rows if row.over]
    assert {row.rowid for row in new} >= {7, *range(300, 340)}
    for row in new:
        assert isinstance(row.values[1], str)
        assert row.values[1].encode() in log[row.offset : row.offset + row.length]


def test_a_frame_that_was_changed_ends_what_counts(tmp_path: Path) -> None:
    _, log, _ = _left(tmp_path / "x", 512)
    whole = read_wal(MemorySource(log))
    assert whole.frames > 2
    bent = bytearray(log)
    bent[32 + (24 + 512) + 24 + 100] ^= 1
    assert read_wal(MemorySource(bytes(bent))).frames <= 1
    assert read_wal(MemorySource(log[: whole.end - 10])).frames < whole.frames
    assert read_wal(MemorySource(log[: whole.end - 10])).open > 0


def test_what_is_no_log_is_told(tmp_path: Path) -> None:
    data, log, _ = _left(tmp_path / "x")
    for bad in (b"", b"x" * 40, log[:31], log[:8] + b"\0\0\0\7" + log[12:]):
        with pytest.raises(NotWal):
            read_wal(MemorySource(bad))
    with pytest.raises(NotSqlite):
        open_over(MemorySource(data), MemorySource(data))
    other, _, _ = _left(tmp_path / "y", 512)
    with pytest.raises(NotSqlite, match="another size"):
        open_over(MemorySource(other), MemorySource(log))


def test_bent_logs_loop_nowhere(tmp_path: Path) -> None:
    data, log, _ = _left(tmp_path / "x", 512)
    chance = random.Random(3)
    for _ in range(40):
        bent = bytearray(log)
        for _ in range(chance.randrange(1, 8)):
            bent[chance.randrange(32, len(bent))] = chance.randrange(256)
        found = open_over(MemorySource(data), MemorySource(bytes(bent)))
        for item in found.rows(2):
            assert item.offset + item.length <= (len(log) if item.over else len(data))
