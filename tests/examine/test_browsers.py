# SPDX-License-Identifier: Apache-2.0
"""Visits and downloads of a server's browsers, and transfers in the background, are not lost, misdated or given to another user."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import ese_samples
import pytest
from tiling import GOLDEN, batches, hold, run, spoilt

from headwater.examine import registry
from headwater.model.records import File

PARSERS = registry.all_parsers()
CHROMIUM, FIREFOX, WEBCACHE, BITS = (
    PARSERS[name] for name in ("browser.chromium", "browser.firefox", "browser.webcache", "windows.bits")
)
PROFILE = "/Users/ops/AppData/Local/Google/Chrome/User Data/Default/History"


def _made(path: Path, *statements: str) -> bytes:
    with sqlite3.connect(path) as made:
        for statement in statements:
            made.execute(statement)
    made.close()
    return path.read_bytes()


def test_what_sqlite_itself_selects_is_what_is_told() -> None:
    place = GOLDEN / "browser_chromium" / "History"
    rows, gaps, _ = run(CHROMIUM, place.read_bytes(), PROFILE)
    assert not gaps
    with sqlite3.connect(f"file:{place}?mode=ro&immutable=1", uri=True) as other:
        joined = "select visits.visit_time, urls.url from visits join urls on urls.id = visits.url"
        wanted = {(moment * 1000 - 11_644_473_600 * 10**9, url) for moment, url in other.execute(joined)}
        downloads = other.execute("select count(*) from downloads").fetchone()[0]
    other.close()
    told = {(r["t_recorded"], r["url"]) for r in rows if r["t_kind"] == "visited" and "url" in r}
    assert told == wanted
    assert len({r["offset"] for r in rows if r["kind"] == "browser.download"}) == downloads
    assert {r["browser"] for r in rows} == {"Chrome"}


def test_a_page_whose_visits_were_cleared_is_still_told() -> None:
    rows, _, _ = run(CHROMIUM, (GOLDEN / "browser_chromium" / "History").read_bytes(), PROFILE)
    (gone,) = [r for r in rows if r.get("visits_gone")]
    assert (gone["t_kind"], gone["search_term"]) == ("last", "rclone 上传")


def test_downloads_of_old_and_new_versions_have_their_times(tmp_path: Path) -> None:
    old = _made(
        tmp_path / "old",
        "create table downloads (id integer primary key, full_path text, url text, start_time integer, received_bytes integer,"
        " total_bytes integer, state integer)",
        "insert into downloads values (1, 'C:\\\\x.exe', 'http://192.0.2.1/x.exe', 1788314400, 1, 1, 1)",
    )
    (row,) = run(CHROMIUM, old, PROFILE)[0]
    assert (row["t_recorded"], row["dst_ip"], row["outcome"]) == (1_788_314_400 * 10**9, "192.0.2.1", "success")


def test_a_download_of_firefox_is_told_with_its_place() -> None:
    path = "/home/ops/.mozilla/firefox/x.default/places.sqlite"
    rows, _, _ = run(FIREFOX, (GOLDEN / "browser_firefox" / "places.sqlite").read_bytes(), path)
    (got,) = [r for r in rows if r["kind"] == "browser.download"]
    assert (got["user"], got["file_path"], got["total_bytes"]) == (
        "ops",
        "C:\\Users\\ops\\Downloads\\tool (3).bin",
        1000,
    )


def test_visits_that_stand_in_the_log_alone_are_told_once(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    browser = sqlite3.connect(path)
    for statement in (
        "pragma journal_mode=wal",
        "pragma wal_autocheckpoint=0",
        "create table moz_places (id integer primary key, url text, visit_count integer, last_visit_date integer)",
        "create table moz_historyvisits (id integer primary key, from_visit integer, place_id integer, visit_date integer,"
        " visit_type integer)",
        "insert into moz_places values (1, 'http://a.example/', 1, 1788314400000000)",
        "insert into moz_historyvisits values (1, 0, 1, 1788314400000000, 1)",
    ):
        browser.execute(statement)
    browser.commit()
    browser.execute("pragma wal_checkpoint(restart)")
    browser.execute("insert into moz_places values (2, 'http://203.0.113.9/late', 1, 1788314500000000)")
    browser.execute("insert into moz_historyvisits values (2, 1, 2, 1788314500000000, 2)")
    browser.commit()
    data, log = path.read_bytes(), path.with_name("places.sqlite-wal").read_bytes()
    browser.close()
    where = "/home/ops/.mozilla/firefox/x.default/places.sqlite"
    early, _, _ = run(FIREFOX, data, where)
    assert FIREFOX.beside is not None
    assert FIREFOX.beside(f"{where}-wal") == (where,)
    together = File(f"{where}-wal", len(log), lambda at, n: log[at : at + n], beside={where: File.of(data)})
    done = batches(FIREFOX, together)
    late = [row for batch in done for row in batch.events.iter_rows(named=True)]
    assert not [g for batch in done for g in batch.gaps if g.length]
    assert [r["url"] for r in early] == ["http://a.example/"]
    assert [(r["url"], r["from_url"], r["dst_ip"], r["stands_in"]) for r in late] == [
        ("http://203.0.113.9/late", "http://a.example/", "203.0.113.9", "write-ahead log")
    ]
    assert late[0]["offset"] > 32
    alone, gaps, _ = run(FIREFOX, log, f"{where}-wal")
    assert not alone
    assert [g.detail for g in gaps] == ["a write-ahead log without its database"]


def test_a_login_that_stands_in_the_log_of_wtmpdb_alone_is_told(tmp_path: Path) -> None:
    path = tmp_path / "wtmp.db"
    logins = sqlite3.connect(path)
    for statement in (
        "pragma journal_mode=wal",
        "create table wtmp (ID integer primary key, Type integer, User text, Login integer, Logout integer, TTY text,"
        " RemoteHost text, Service text)",
        "insert into wtmp values (1, 3, 'ops', 1788314400000000, null, 'pts/0', '10.0.0.9', 'sshd')",
    ):
        logins.execute(statement)
    logins.commit()
    logins.execute("pragma wal_checkpoint(restart)")
    logins.execute("update wtmp set Logout = 1788314460000000 where ID = 1")
    logins.execute("insert into wtmp values (2, 3, 'root', 1788314500000000, null, 'pts/1', '203.0.113.9', 'sshd')")
    logins.commit()
    data, log = path.read_bytes(), path.with_name("wtmp.db-wal").read_bytes()
    logins.close()
    where = "/var/lib/wtmpdb/wtmp.db"
    both = File(f"{where}-wal", len(log), lambda at, n: log[at : at + n], beside={where: File.of(data)})
    rows = [row for batch in batches(PARSERS["linux.wtmpdb"], both) for row in batch.events.iter_rows(named=True)]
    assert [(r["user"], r["src_ip"], r["seconds"]) for r in rows] == [
        ("ops", "10.0.0.9", 60),
        ("root", "203.0.113.9", None),
    ]
    assert registry.by_path(f"{where}-wal") == (PARSERS["linux.wtmpdb"],)


def test_internet_explorer_tells_pages_local_files_and_downloads() -> None:
    path = "/Users/ops/AppData/Local/Microsoft/Windows/WebCache/WebCacheV01.dat"
    rows, _, _ = run(WEBCACHE, ese_samples.webcache(size=32768), path)
    assert {r.get("url") for r in rows if r["kind"] == "browser.visit"} >= {"http://203.0.113.66:8080/tools/"}
    assert "C:\\Users\\ops\\Desktop\\账号.xlsx" in {r.get("file_path") for r in rows}
    (got, _) = [r for r in rows if r["kind"] == "browser.download"]
    assert (got["url"], got["file_path"]) == (
        "http://203.0.113.66:8080/tools/nc.exe",
        "C:\\Users\\ops\\Downloads\\nc.exe",
    )
    assert [r["EntryId"] for r in rows if r.get("row_deleted")] == [3]


def test_what_a_transfer_runs_when_it_is_done_is_told() -> None:
    rows, _, _ = run(BITS, ese_samples.bits(), "/ProgramData/Microsoft/Network/Downloader/qmgr.db")
    jobs = [r for r in rows if r["table"] == "Jobs" and r["job_name"] == "Update"]
    assert [r["t_kind"] for r in jobs] == ["created", "modified", "completed"]
    assert jobs[0]["command_line"] == "C:\\Users\\Public\\updater.exe /silent"
    files = {r["url"]: r for r in rows if r["table"] == "Files"}
    one = files["http://203.0.113.66:8080/u.bin"]
    assert (one["user"], one["dst_ip"], one["bytes_total"]) == ("S-1-5-21-1111-2222-3333-1104", "203.0.113.66", 73_216)
    assert f"{jobs[0]['offset']}+{jobs[0]['length']}" == one["job_at"]
    lone = files["https://files.example.net/x.zip"]
    assert "user" not in lone
    assert "t_recorded" not in lone


def test_times_are_found_behind_the_errors_of_a_job() -> None:
    rows, _, _ = run(BITS, ese_samples.bits())
    (made, _) = [r for r in rows if r["table"] == "Jobs" and r.get("outcome") == "failure"]
    assert made["t_recorded"] == (ese_samples.AT + 60) * 10**9


def test_an_old_queue_tells_what_is_in_it_and_what_was_before() -> None:
    rows, _, done = run(BITS, ese_samples.old_bits(), "/ProgramData/Microsoft/Network/Downloader/qmgr0.dat")
    assert done[-1].count is not None
    assert done[-1].count.declared == 5
    assert {r["job_name"] for r in rows if not r.get("carved")} == {"fetch"}
    assert {r["job_name"] for r in rows if r.get("carved")} == {"before"}
    assert {r["url"] for r in rows} == {
        "http://198.51.100.7/a.exe",
        "http://198.51.100.7/b.dll",
        "http://203.0.113.5/old.ps1",
    }


@pytest.mark.parametrize("name", ["bits", "old_bits", "webcache"])
def test_spoilt_queues_and_caches_are_counted(name: str) -> None:
    for bent in spoilt(getattr(ese_samples, name)()):
        hold(WEBCACHE if name == "webcache" else BITS, bent)


def test_a_history_that_points_at_itself_ends(tmp_path: Path) -> None:
    looped = _made(
        tmp_path / "h",
        "create table urls (id integer primary key, url text, title text, last_visit_time integer)",
        "create table visits (id integer primary key, url integer, visit_time integer, from_visit integer, transition integer)",
        "insert into urls values (1, 'http://[::1', char(0xd800), -5), (2, 'http://[2001:db8::1]/', null, 9223372036854775807)",
        "insert into visits values (1, 1, 13433910000000000, 1, -1), (2, 1, 9223372036854775807, 7, 0)",
    )
    rows, _, _ = run(CHROMIUM, looped, PROFILE)
    assert len(rows) == 3
    assert {r.get("dst_ip") for r in rows} == {None, "2001:db8::1"}
