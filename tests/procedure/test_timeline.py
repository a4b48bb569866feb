# SPDX-License-Identifier: Apache-2.0
"""Pages, neighbourhoods, counts and exports must show the same events as the store holds, none twice, none lost."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from headwater.cli.main import main
from headwater.model.errors import UsageError
from headwater.procedure.clock_words import item_lines
from headwater.procedure.clocks import ItemClock
from headwater.procedure.corridor import Corridor, open_case, store_of
from headwater.procedure.investigate import Outcome, investigate
from headwater.procedure.judgement import by_severity, load
from headwater.procedure.reporting import timeline
from headwater.procedure.searching import Wanted, in_bytes, in_events
from headwater.procedure.timeline import FORMS, WIDTHS, Question, counts, page, save, values
from headwater.procedure.timeline_words import folded
from headwater.procedure.tracing import trace
from small_case import make_evidence, order


@pytest.fixture
def corridor(worked: tuple[Path, Path, Outcome]) -> Iterator[Corridor]:
    held = open_case(worked[1])
    with held.ledger:
        yield held


def test_pages_together_are_the_whole(corridor: Corridor) -> None:
    whole = [event["id"] for event in page(corridor, Question())]
    assert len(whole) == store_of(corridor).scan().collect().height
    asked, got = Question(limit=7), []
    while rows := list(page(corridor, asked)):
        got += [event["id"] for event in rows]
        asked = replace(asked, after=got[-1])
    assert got == whole


def test_neighbourhood_holds_what_happened_within_it_and_nothing_else(corridor: Corridor) -> None:
    timed = [e for e in page(corridor, Question()) if e["ts"] is not None]
    middle = timed[len(timed) // 2]
    near = [e["id"] for e in page(corridor, Question(around=middle["id"], minutes=30))]
    assert near == [e["id"] for e in timed if abs(e["ts"] - middle["ts"]) <= 30 * 60 * 10**9]
    assert middle["id"] in near
    with pytest.raises(UsageError):
        list(page(corridor, Question(around="1:/nowhere:0:0")))


def test_counts_add_up(corridor: Corridor) -> None:
    whole = list(page(corridor, Question()))
    assert sum(n for _, n in values(corridor, Question(), "kind", 1000)) == len(whole)
    for width in ("minute", "hour", "day", "week"):
        assert sum(n for _, n in counts(corridor, Question(), width)) == sum(e["ts"] is not None for e in whole)
    with pytest.raises(UsageError):
        values(corridor, Question(), 'kind" FROM events --', 5)


def test_every_form_holds_every_event_it_can(corridor: Corridor, tmp_path: Path) -> None:
    whole = list(page(corridor, Question()))
    timed = sum(e["ts"] is not None for e in whole)
    for form in FORMS:
        out = tmp_path / f"events.{form}"
        done = save(corridor, Question(), form, out)
        if form == "parquet":
            assert pl.read_parquet(out)["offset"].to_list() == [e["offset"] for e in whole]
            continue
        rows = out.read_text("utf-8", "surrogateescape").splitlines()
        if form != "csv":  # a cell of CSV may hold line ends
            assert len(rows) == done.rows
        if form in ("timesketch", "ocsf"):
            assert (done.rows, done.without_time) == (timed, len(whole) - timed)
        elif form != "body":
            assert done.rows == len(whole)
        if form in ("jsonl", "timesketch", "ecs", "ocsf"):
            assert all(isinstance(json.loads(r), dict) for r in rows)
        with pytest.raises(UsageError):  # what is there is never written over
            save(corridor, Question(), form, out)


def test_text_is_found_in_events_and_in_the_bytes_that_they_came_from(corridor: Corridor) -> None:
    event = next(e for e in page(corridor, Question(feed="linux.auth")) if e["fields"].get("message"))
    text = str(event["fields"]["message"])
    events = {e["id"]: found for e, found in in_events(corridor, Wanted(text), Question())}
    assert "message" in events[event["id"]]
    hits, account = in_bytes(corridor, Wanted(text), medium=False, most=100)
    assert any(
        h.path == event["path"] and event["offset"] <= h.offset < event["offset"] + event["length"] for h in hits
    )
    assert account.looked_through > 0
    assert not account.failed
    with pytest.raises(UsageError):
        in_bytes(corridor, Wanted("(", regex=True), medium=False, most=1)
    with pytest.raises(UsageError):
        list(in_events(corridor, Wanted("(", regex=True), Question()))


def test_verbs_print_what_they_find(worked: tuple[Path, Path, Outcome], capsys: pytest.CaptureFixture[str]) -> None:
    case = os.fspath(worked[1])
    assert main(["timeline", case, "--limit", "2", "--show-zone", "Asia/Shanghai"]) == 0
    assert "--after" in capsys.readouterr().out
    assert main(["timeline", case, "--facet", "kind", "--json"]) == 0
    assert main(["timeline", case, "--histogram", "day"]) == 0
    assert main(["find", case, "Failed password", "--limit", "1"]) == 0
    assert "auth" in capsys.readouterr().out
    assert main(["timeline", case, "--format", "csv"]) == 2
    assert main(["timeline", case, "--where", "1) OR (SELECT 1"]) == 2


def test_search_reads_compressed_files_and_the_medium_and_refuses_nothing_at_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_evidence(tmp_path / "evidence")
    secret = b"Mar  2 03:12:31 web01 sshd[990]: needle in a compressed log\n"
    (source / "var/log/auth.log.2.gz").write_bytes(gzip.compress(secret, mtime=0))
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes(1 << 20) + b"needle on the medium" + bytes(1 << 20))
    case = tmp_path / "case"
    investigate(replace(order(source, case), sources=(source, disk)))
    held = open_case(case)
    with held.ledger:
        hits, account = in_bytes(held, Wanted("needle"), medium=False, most=10)
        assert [(h.path, h.offset) for h in hits] == [("/var/log/auth.log.2.gz!gz", 33)]
        assert not account.unread
        hits, account = in_bytes(held, Wanted("needle"), medium=True, most=10)
        assert [(h.evidence, h.path, h.offset) for h in hits] == [(2, "", 1 << 20)]
        assert account.looked_through == disk.stat().st_size
        assert account.failed == [(1, "a folder has no medium")]
        (source / "var/log/auth.log.2.gz").unlink()  # what is gone was not searched, and must be said
        hits, account = in_bytes(held, Wanted("needle"), medium=False, most=10)
        assert [path for _, path, _ in account.unread] == ["/var/log/auth.log.2.gz"]
    capsys.readouterr()
    assert main(["find", os.fspath(case), "needle", "--medium", "--lang", "zh"]) == 1
    assert capsys.readouterr().out.startswith("2:检材 disk.raw（raw）的介质 @1048576+6  ")
    for words in (["find", os.fspath(case), ""], ["timeline", os.fspath(case), "--limit", "0"]):
        assert main(words) == 2


def test_labels_of_the_report_lead_where_its_ids_lead(worked: tuple[Path, Path, Outcome]) -> None:
    held = open_case(worked[1])
    with held.ledger:
        judged = load(worked[1])
        rows = timeline(held, judged)[0]
        gravest = min(judged.findings, key=by_severity)  # the report's order; the case's own is another
        pairs = [("E1", "evidence-1"), ("L1", "ledger-1"), ("F1", gravest.id), ("S1", judged.steps[0].id)]
        pairs += [("Q1", judged.searches[0].id), ("H1", judged.hypotheses[0].id), ("T1", rows[0].id)]
        for label, name in pairs:
            assert [(k.kind, k.id) for k in trace(held, label)] == [(k.kind, k.id) for k in trace(held, name)]
        with pytest.raises(UsageError):
            trace(held, "F999999")


def test_decades_of_old_file_times_do_not_bury_the_activity_and_silence_is_shown() -> None:
    day = WIDTHS["day"]
    rows = [(n * 100 * day, 1) for n in range(20)] + [(3000 * day, 900), (3002 * day, 700), (3009 * day, 5)]
    shown = list(folded(rows, "day"))
    assert shown[0].words is not None
    assert shown[0].count == 20
    assert "--since 1970-01-01T00:00:00Z" in shown[0].words.en
    assert [(r.start // day, r.count) for r in shown[1:4]] == [(3000, 900), (3001, 0), (3002, 700)]
    assert shown[4].words is not None
    assert shown[4].words.en == "… 6 days without an event"
    assert sum(r.count for r in shown) == sum(n for _, n in rows)  # nothing is lost by the folding
    assert next(iter(folded(rows, "day", whole=True))).words is None
    assert [r.count for r in folded(rows[:3] + rows[20:21], "day") if r.words is None] == [1, 1, 1, 900]
    assert list(folded([], "day")) == []


def test_export_never_overwrites_a_file_and_says_so_of_the_file(
    worked: tuple[Path, Path, Outcome], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "o.csv"
    out.write_text("mine")
    assert main(["timeline", os.fspath(worked[1]), "--format", "csv", "--out", os.fspath(out)]) == 2
    assert "HW0010 文件" in capsys.readouterr().err
    assert out.read_text() == "mine"


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_an_export_that_is_cut_off_leaves_nothing_that_looks_like_one(
    corridor: Corridor, tmp_path: Path, form: str
) -> None:
    late = (
        "CASE WHEN ordinal >= 0 AND kind <> '' THEN CAST(path AS INTEGER) > 0 END"  # fails on a row, not on the words
    )
    with pytest.raises(UsageError):
        save(corridor, Question(where=late), form, tmp_path / f"o.{form}")
    assert list(tmp_path.iterdir()) == []


def test_clock_says_in_chinese_on_what_ground_and_each_language_on_its_own_lines() -> None:
    held = ItemClock(
        2, "web02.E01", "UTC", "nothing says otherwise", -1_500_000_000, {"utc": 3, "of-tomorrow": 1}, "2.c1"
    )
    said = list(item_lines(held, "both"))
    assert said[0] == "检材 2.c1 evidence 2.c1 · web02.E01"
    assert said[1] == "    时区 UTC（依据：检材中无记载，按 UTC）；时钟慢 1.5 秒"
    assert said[2] == "    事件时间的依据：记录即为 UTC 3，of-tomorrow 1"
    assert said[3] == "    zone UTC (ground: nothing says otherwise); its clock 1.5 s behind"
