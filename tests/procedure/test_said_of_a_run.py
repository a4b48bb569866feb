# SPDX-License-Identifier: Apache-2.0
"""A reader takes an inferred year for a written one; a person who starts again cannot tell whether it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.cli.main import main
from headwater.cli.meter import Meter
from headwater.procedure.assumed_years import Yearless, said
from headwater.procedure.going_on import going_on

_LINES = "".join(
    f"Dec 3{day} 23:00:0{n} web01 sshd[71{n}]: Failed password for root from 203.0.113.9 port 4022{n} ssh2\n"
    for day in (0, 1)
    for n in range(4)
)


def test_inferred_year_stands_in_the_story_and_a_second_run_says_that_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "srv"
    (folder / "var/log").mkdir(parents=True)
    (folder / "etc").mkdir()
    (folder / "var/log/auth.log").write_text(_LINES)
    (folder / "etc/timezone").write_text("Asia/Shanghai\n")
    (folder / "var/spool/cron/atjobs").mkdir(parents=True)
    # due in 2099, as it should be
    (folder / f"var/spool/cron/atjobs/a00002{4_073_000_000 // 60:08x}").write_text(
        "#!/bin/sh\n# atrun uid=0 gid=0\n# mail root 0\numask 22\nid\n"
    )
    case = tmp_path / "case"
    ask = ["investigate", str(folder), "--case", str(case), "--examiner", "A", "--no-authority", "test", "--lang", "en"]
    ask += ["--workers", "1", "--no-reread"]
    assert going_on(case) is None
    assert main(ask) == 0
    first = capsys.readouterr()
    assert "Going on" not in first.err
    assert "lie after its registration" not in first.out
    assert "Note: 8 events of item 1 are of records that name no year (linux.auth)" in first.out
    parsing = [line for line in first.err.splitlines() if line.startswith("parsing:") and "(100 %)" in line]
    assert len(parsing) == 1, first.err
    assert main(["clock", str(case), "--lang", "en"]) == 0
    # the wall clock of a folder's logs is that of the system that it was collected from
    assert "zone Asia/Shanghai (ground: /etc/timezone)" in capsys.readouterr().out
    report = (case / "report" / "report.html").read_bytes()
    assert b"name no year" in report
    assert main(ask) == 0
    second = capsys.readouterr()
    assert second.err.startswith("Going on: this case has a report")
    assert (case / "report" / "report.html").read_bytes() == report
    (case / "tasks" / "0001-000001.json").unlink()
    assert main(ask) == 0
    assert (case / "report" / "report.html").read_bytes() == report


def test_log_over_the_turn_of_a_year_names_both() -> None:
    words = said(Yearless(2, 4100, "2023", "2026", ("linux.auth", "linux.kern")), {"/var/log/auth.log": 2026}).text
    assert "2023 至 2026 年" in words.zh
    assert "检验人给定年份者除外" in words.zh
    assert "2023 to 2026 is inferred" in words.en
    assert "4,100 events of item 2" in words.en


def test_stage_that_is_over_is_not_said_to_be_over_again(capsys: pytest.CaptureFixture[str]) -> None:
    with Meter("en") as meter:
        for _ in range(3):
            meter("parse", 70, 70, "bytes")
        meter("content", 9, 9, "bytes")
        meter("parse", 70, 70, "bytes")  # of the next item
    assert [line.split(":")[0] for line in capsys.readouterr().err.splitlines()] == [
        "parsing",
        "file contents",
        "parsing",
    ]
