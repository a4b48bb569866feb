# SPDX-License-Identifier: Apache-2.0
"""An examiner must not wait for the last byte of a large image to hear that somebody got in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from headwater.cli.main import main
from headwater.examine.priority import SOON, first
from headwater.model.errors import DetectError
from headwater.model.nouns import Finding
from headwater.procedure import examination, judgement
from headwater.procedure.investigate import investigate
from headwater.procedure.listing import seen_lines
from small_case import make_evidence, order


class _Cut(Exception):
    """The run ends here, as if the machine went off."""


@pytest.mark.parametrize(
    "path",
    [
        "/var/log/auth.log", "p2!/var/log/secure-20260301", "/root/.bash_history", "/home/li/.ssh/authorized_keys",
        "/www/wwwlogs/a.log", "/etc/cron.d/x", "p1!/Windows/System32/winevt/Logs/Security.evtx",
        "/Users/li/NTUSER.DAT",
    ],
)  # fmt: skip
def test_what_tells_of_an_intruder_is_read_first(path: str) -> None:
    assert first(path, 1000)


@pytest.mark.parametrize(
    "path", ["/usr/share/doc/var/log/x", "/var/lib/docker/containers/a/a-json.log", "/etcetera/passwd"]
)
def test_other_files_do_not_push_in_front(path: str) -> None:
    assert not first(path, 1000)


def test_one_huge_log_holds_up_no_others() -> None:
    assert not first("/var/log/auth.log", SOON + 1)


def test_a_first_look_is_told_before_the_rest_is_read_and_shown_until_the_case_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_evidence(tmp_path / "evidence")
    (source / "opt").mkdir()
    (source / "opt" / "notes.txt").write_text("nothing of note\n")
    monkeypatch.setattr(examination, "MUCH", 0)
    told: list[Sequence[Finding]] = []

    def hear(found: Sequence[Finding]) -> None:
        told.append(found)
        raise _Cut

    with pytest.raises(_Cut):
        investigate(order(source, tmp_path / "case"), news=hear)
    assert {f.rule.id for f in told[0]} >= {"ssh-guessing"}
    words = list(seen_lines(told[0], "both"))
    assert "初步发现" in words[0]
    assert any("203.0.113.66" in line for line in words)

    capsys.readouterr()
    assert main(["findings", str(tmp_path / "case"), "--json"]) == 0
    shown = capsys.readouterr()
    assert "seen so far" in shown.err
    assert {json.loads(line)["id"] for line in shown.out.splitlines()} == {f.id for f in told[0]}
    assert main(["events", str(tmp_path / "case"), "--where", "kind = 'auth.success'", "--json"]) == 0
    assert capsys.readouterr().out.count("\n") == 2  # what is read so far can be asked already

    outcome = investigate(order(source, tmp_path / "case"))
    assert not (tmp_path / "case" / "seen-first.jsonl").exists()
    assert main(["findings", str(tmp_path / "case"), "--json"]) == 0
    shown = capsys.readouterr()
    assert "seen so far" not in shown.err
    assert {json.loads(line)["id"] for line in shown.out.splitlines()} == {f.id for f in outcome.judged.findings}


def test_a_detector_that_fails_at_the_first_look_is_told_then_and_not_days_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = tmp_path / "case"
    monkeypatch.setattr(examination, "MUCH", 0)
    runs = judgement.registry.run

    def spoilt(detector: Any, *more: Any) -> Any:
        if detector.RULE.id == "ssh-guessing":
            raise DetectError("HW6002", "ssh-guessing", what="a column that is not there")
        return runs(detector, *more)

    monkeypatch.setattr(judgement.registry, "run", spoilt)

    def hear(found: Sequence[Finding]) -> None:
        assert "ssh-guessing" not in {f.rule.id for f in found}
        words = list(seen_lines(found, "zh", judgement.failed_first(case)))
        assert words[-1] == "  检测器未能运行: ssh-guessing: a column that is not there"
        raise _Cut

    with pytest.raises(_Cut):
        investigate(order(make_evidence(tmp_path / "evidence"), case), news=hear)
    capsys.readouterr()
    assert main(["findings", str(case), "--json"]) == 0
    shown = capsys.readouterr()
    assert "ssh-guessing: a column that is not there" in shown.err


def test_the_most_serious_finding_stands_at_the_top(
    worked: tuple[Path, Path, object], capsys: pytest.CaptureFixture[str]
) -> None:
    grades = ["critical", "high", "medium", "low", "informational"]
    capsys.readouterr()
    assert main(["findings", str(worked[1]), "--json"]) == 0
    ranks = [grades.index(json.loads(line)["severity"]) for line in capsys.readouterr().out.splitlines()]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) > 1
    assert main(["findings", str(worked[1]), "--json", "--by", "time"]) == 0
    times = [json.loads(line)["ts_first"] or "9" for line in capsys.readouterr().out.splitlines()]
    assert times == sorted(times)
