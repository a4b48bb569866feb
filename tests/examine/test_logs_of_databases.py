# SPDX-License-Identifier: Apache-2.0
"""Packages, transactions, pages and operations that stand in a write-ahead log alone are told, once, with their place."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tiling import GOLDEN, batches

from headwater.examine.registry import all_parsers, by_path
from headwater.model.records import File

PARSERS = all_parsers()


def logged(folder: Path, fixture: Path, *statements: str) -> tuple[bytes, bytes]:
    """A database, and its log after these statements were committed and not yet moved into it."""
    path = folder / "x.db"
    shutil.copy(fixture, path)
    database = sqlite3.connect(path)
    database.execute("pragma journal_mode=wal")
    database.execute("pragma wal_autocheckpoint=0")
    database.execute("pragma wal_checkpoint(truncate)")
    for statement in statements:
        database.execute(statement)
    database.commit()
    found = path.read_bytes(), path.with_name("x.db-wal").read_bytes()
    database.close()
    return found


def read(feed: str, where: str, data: bytes, log: bytes) -> tuple[list[dict[str, Any]], list[Any]]:
    assert by_path(f"{where}-wal") == (PARSERS[feed],)
    assert PARSERS[feed].beside is not None
    assert PARSERS[feed].beside(f"{where}-wal") == (where,)
    file = File(f"{where}-wal", len(log), lambda at, n: log[at : at + n], beside={where: File.of(data)})
    done = batches(PARSERS[feed], file)
    return [r for b in done for r in b.events.iter_rows(named=True)], [g for b in done for g in b.gaps]


def test_a_package_that_was_being_installed_is_told_from_the_log(tmp_path: Path) -> None:
    fixture = GOLDEN / "linux_rpm" / "rpmdb.sqlite"
    data, log = logged(tmp_path, fixture, "insert into Packages (blob) select blob from Packages limit 1")
    rows, gaps = read("linux.rpm", "/var/lib/rpm/rpmdb.sqlite", data, log)
    assert (rows, gaps) == ([], [])  # the same package under another number is not told again
    data, log = logged(tmp_path, fixture, "delete from Packages")
    assert read("linux.rpm", "/var/lib/rpm/rpmdb.sqlite", data, log)[0] == []
    empty = sqlite3.connect(tmp_path / "other.db")
    empty.execute("attach ? as old", (str(fixture),))
    empty.execute("create table Packages (hnum integer primary key autoincrement, blob blob not null)")
    empty.commit()
    empty.close()
    data, log = logged(
        tmp_path,
        tmp_path / "other.db",
        f"attach '{fixture}' as old",
        "insert into Packages (blob) select blob from old.Packages",
    )
    rows, _ = read("linux.rpm", "/var/lib/rpm/rpmdb.sqlite", data, log)
    assert rows
    assert {r["stands_in"] for r in rows} == {"write-ahead log"}
    assert all(r["offset"] >= 32 for r in rows)


def test_a_transaction_of_dnf_that_was_broken_off_is_told_with_its_packages(tmp_path: Path) -> None:
    fixture = GOLDEN / "linux_dnf_history" / "history.sqlite"
    columns = "dt_begin, dt_end, rpmdb_version_begin, rpmdb_version_end, releasever, user_id, cmdline, state, comment"
    data, log = logged(
        tmp_path,
        fixture,
        f"insert into trans ({columns}) select dt_begin + 60, null, rpmdb_version_begin, null, releasever, 1000,"
        " 'dnf install xmrig', 0, '' from trans limit 1",
    )
    rows, _ = read("linux.dnf_history", "/var/lib/dnf/history.sqlite", data, log)
    assert [(r["command_line"], r["stands_in"]) for r in rows] == [("dnf install xmrig", "write-ahead log")]


def test_a_page_of_a_browser_that_was_not_closed_is_told(tmp_path: Path) -> None:
    fixture = GOLDEN / "browser_chromium" / "History"
    data, log = logged(
        tmp_path,
        fixture,
        "insert into urls (id, url, title, visit_count, typed_count, last_visit_time, hidden)"
        " values (9001, 'http://203.0.113.9/late', 'late', 1, 1, 13432788100000000, 0)",
        "insert into visits (id, url, visit_time, from_visit, transition, visit_duration) values (9001, 9001, 13432788100000000, 0, 1, 0)",
    )
    where = "/Users/ops/AppData/Local/Google/Chrome/User Data/Default/History"
    rows, _ = read("browser.chromium", where, data, log)
    assert [(r["url"], r["dst_ip"], r["stands_in"]) for r in rows] == [
        ("http://203.0.113.9/late", "203.0.113.9", "write-ahead log")
    ]


@pytest.mark.parametrize(
    ("feed", "where"),
    [
        ("linux.rpm", "/var/lib/rpm/rpmdb.sqlite"),
        ("linux.dnf_history", "/var/lib/dnf/history.sqlite"),
        ("browser.chromium", "/Users/a/AppData/Local/Google/Chrome/User Data/Default/History"),
        ("panel.baota", "/www/server/panel/data/default.db"),
    ],
)
def test_a_log_that_is_none_or_alone_is_a_gap(feed: str, where: str) -> None:
    for log in (b"", b"\x00" * 100, bytes(range(256)) * 40):
        rows, gaps = read(feed, where, b"no database", log)
        assert not rows
        assert bool(gaps) == bool(log)
    alone = File.of(b"\x37\x7f\x06\x82" + bytes(60), f"{where}-wal")
    assert [g.detail for b in batches(PARSERS[feed], alone) for g in b.gaps] == [
        "a write-ahead log without its database"
    ]
