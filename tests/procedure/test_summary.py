# SPDX-License-Identifier: Apache-2.0
"""One screen must tell what counts, fit the screen, say what could not run, and stay inert whatever the evidence says."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from headwater.cli.main import main
from headwater.model.columns import columns, cut
from headwater.model.kinds import SEVERITY_TEXT, Severity, Stage
from headwater.model.nouns import Text
from headwater.procedure import story
from headwater.procedure.addresses import Address, _once
from headwater.procedure.judgement import Judged
from headwater.procedure.listing import in_language
from headwater.procedure.summary import Days, Named, Summary
from headwater.procedure.summary_words import WIDEST, _matrix, address_row, lines, spark
from small_case import make_evidence


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("summary")
    source, case = make_evidence(folder / "evidence"), folder / "case"
    rules = folder / "rules"
    rules.mkdir()
    (rules / "root.yml").write_text(
        "title: Root came in\nid: 11111111-1111-4111-8111-111111111111\nauthor: A. Uthor\nlevel: low\n"
        "logsource: {product: linux, service: sshd}\ndetection: {s: {user: root}, condition: s}\n"
    )
    (rules / "zeek.yml").write_text(
        "title: Not here\nid: 22222222-2222-4222-8222-222222222222\nauthor: A. Uthor\n"
        "logsource: {product: zeek, service: dns}\ndetection: {s: {query: x}, condition: s}\n"
    )
    asked = ["investigate", os.fspath(source), "--case", os.fspath(case), "--no-authority", "a test", "--rules"]
    asked += [os.fspath(rules), "--examiner", "A", "--examiner", "B", "--zone", "Asia/Shanghai"]
    assert main(asked) == 0
    return case


def test_the_figures_are_those_of_the_case(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["summary", os.fspath(case), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    findings = [json.loads(line) for line in (case / "findings.jsonl").read_text().splitlines()]
    assert said["findings"] == len(findings) == sum(sum(row.values()) for row in said["matrix"].values())
    assert 0 < said["cited"] <= said["events"]
    (worst,) = [a for a in said["addresses"] if a["address"] == "203.0.113.66"]
    assert (worst["failure"], worst["success"], worst["inside"]) == (40, 1, False)
    assert worst["first"].startswith("2026-03-01T19:00:00")
    assert ("A. Uthor", 1) in [(r["author"], r["findings"]) for r in said["fired"]]
    assert said["unable"] == {"no events of its log source": 1}
    assert said["gaps"] == {"not-this-format": [1, len(b"this line is no syslog at all\n")]}
    assert sum(said["days"]["counts"]) + said["days"]["outside"] > 40


def test_every_address_has_its_parts_sources_and_the_country_of_a_list(
    case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "ranges.csv"
    listed.write_text("network,country\n203.0.113.0/24,XX\n")
    capsys.readouterr()
    asked = ["summary", os.fspath(case), "--addresses", "--countries", os.fspath(listed)]
    assert main([*asked, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert len(said["addresses"]) == said["address_count"]
    (worst,) = [a for a in said["addresses"] if a["address"] == "203.0.113.66"]
    assert (worst["roles"], worst["feeds"], worst["country"]) == (["login"], ["linux.auth"], "XX")
    assert said["country_list"]["ranges"] == 1
    assert main([*asked, "--lang", "both"]) == 0
    assert all(columns(line) <= WIDEST for line in capsys.readouterr().out.splitlines())
    listed.write_text("nothing here\n")
    assert main(asked) != 0
    assert "HW0001" in capsys.readouterr().err


@pytest.mark.parametrize("language", ["zh", "en", "both"])
def test_no_line_is_wider_than_the_screen(case: Path, capsys: pytest.CaptureFixture[str], language: str) -> None:
    capsys.readouterr()
    assert main(["summary", os.fspath(case), "--lang", language]) == 0
    said = capsys.readouterr().out.splitlines()
    assert 12 < len(said) <= 55
    assert not [line for line in said if line.endswith("…")]  # in both languages long lines take two, uncut
    assert max(map(columns, said)) <= WIDEST
    assert any("203.0.113.66" in line for line in said)


_EMPTY = Summary(0, 0, 0, 0, 0, {}, (), (), (), 0, Days(), (), 0, 18, {}, ())


def test_an_empty_case_and_hostile_names_break_no_line() -> None:
    assert list(lines(_EMPTY, "en"))[-1] == "gaps: none"
    hostile = replace(_EMPTY, hosts=tuple(Named("主" * 300 + str(n), 1, 0) for n in range(8)))
    assert max(map(columns, lines(hostile, "both"))) <= WIDEST
    assert columns(cut("检材" * 9, 7)) <= 7


def test_bars_show_silence_as_silence_and_little_as_little() -> None:
    assert spark((0, 1, 500, 1000)) == " ▁▄█"
    assert spark(()) == ""


def test_rules_that_could_not_run_are_named_with_their_reasons() -> None:
    rules = {"sigma": {"unsupported": [{"rule": "Not here", "reason": "no events of feed zeek.dns"}]}}
    assert list(story.unsupported(rules)) == [("Not here", "no events of feed zeek.dns")]


@pytest.mark.parametrize(
    ("feed", "rules", "said"),
    [
        ("windows.eventlog", {"sigma": {"ran": [], "unsupported": [], "matched": []}}, True),
        ("windows.eventlog", {"sigma": {"ran": [{"id": "1"}], "unsupported": [], "matched": []}}, False),
        ("linux.auth", {"sigma": {}}, False),
    ],
)
def test_event_logs_without_rules_are_not_read_as_clean(feed: str, rules: dict[str, Any], said: bool) -> None:
    judged = Judged((), (), (), (), rules)
    account = {"feed": feed, "parser": "x", "evidence": 1, "size": 1, "path": "/a"}
    items: Any = [SimpleNamespace(number=1)]
    sentences = [s.text.zh for s in story.limits(judged, items, {}, {}, [account])]
    assert any("未给出 Sigma 规则" in s for s in sentences) is said


def test_a_long_address_is_not_cut() -> None:
    name = "fe80:0:0:0:80ac:4126:fa58:1b81"
    one = Address(name, True, 2, 0, 0, "2019-04-18", "2019-04-18", 0)
    assert [name in line for line in address_row(one, "zh")] == [True, False]


@pytest.mark.parametrize("language", ["both", "zh", "en"])
def test_the_heads_of_severities_stand_apart(language: str) -> None:
    row = {severity.value: 1234 for severity in Severity}
    head, line, *_ = list(_matrix({Stage.LOGIN.value: row}, language))
    for severity in Severity:
        zh, en = SEVERITY_TEXT[severity]
        name = in_language(Text(zh, en), language)
        assert f"  {name}" in head
    assert columns(head) == columns(line) <= WIDEST


def test_attempts_that_two_logs_tell_count_once_and_repeated_lines_as_often_as_they_say() -> None:
    rows = pl.DataFrame(
        {
            "address": ["203.0.113.1"] * 3, "role": ["login"] * 3, "feed": ["linux.auth", "linux.btmp", "app.mail"], "source": [1] * 3,
            "n": [9, 12, 2], "success": [1, 0, 0], "failure": [14, 12, 2],
        }
    )  # fmt: skip
    found = _once(rows).sort("feed")
    assert found.select("feed", "n", "success", "failure").rows() == [
        ("app.mail", 2, 0, 2),
        ("linux.auth", 9, 1, 14),
        ("linux.btmp", 12, 0, 0),
    ]
