# SPDX-License-Identifier: Apache-2.0
"""A finding set aside must stay where all can see it, with who and why; nothing may vanish by a person's word."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from headwater.cli.main import main
from headwater.procedure.corridor import open_case
from headwater.procedure.verification import verify
from small_case import make_evidence


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suppress")
    source, case = make_evidence(folder / "evidence"), folder / "case"
    asked = ["investigate", os.fspath(source), "--case", os.fspath(case), "--no-authority", "a test"]
    assert main([*asked, "--examiner", "Zhang San", "--examiner", "Li Si", "--zone", "Asia/Shanghai"]) == 0
    return case


def _rows(case: Path, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (case / name).read_text().splitlines()]


def _all_ok(case: Path, *, rebuild: bool = False) -> None:
    corridor = open_case(case)
    with corridor.ledger:
        bad = [c for c in verify(corridor, rebuild=rebuild) if c.result != "ok"]
    assert not bad, bad


def test_what_is_set_aside_stays_in_sight_and_counts_on(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {n: (case / n).read_bytes() for n in ("findings.jsonl", "steps.jsonl")}
    (finding, *_) = [r for r in _rows(case, "findings.jsonl") if r["severity"] in ("high", "critical")]
    name = str(finding["id"])
    why = "渗透测试，已核对授权书 <b>"
    assert main(["suppress", os.fspath(case), name, "--because", why, "--as", "Li Si"]) == 0
    assert {n: (case / n).read_bytes() for n in before} == before
    capsys.readouterr()
    assert main(["findings", os.fspath(case), "--lang", "both"]) == 0
    said = capsys.readouterr().out
    assert name in said
    assert "已由 Li Si 排除" in said
    assert why in said
    page = (case / "report" / "report.html").read_text()
    assert "渗透测试，已核对授权书 &lt;b&gt;" in page
    assert name in page
    _all_ok(case)


def test_left_out_of_the_steps_and_taken_back_gives_the_same_steps_again(case: Path) -> None:
    before = (case / "steps.jsonl").read_bytes()
    used = {f for step in _rows(case, "steps.jsonl") for f in step["findings"]}  # type: ignore[attr-defined]
    name = sorted(used)[0]
    assert main(["suppress", os.fspath(case), name, "--because", "a drill", "--out-of-steps", "--as", "Li Si"]) == 0
    assert name in (case / "findings.jsonl").read_text()
    assert name not in (case / "steps.jsonl").read_text()
    _all_ok(case, rebuild=True)
    assert main(["suppress", os.fspath(case), name, "--because", "no drill after all", "--undo", "--as", "Li Si"]) == 0
    assert (case / "steps.jsonl").read_bytes() == before
    assert "set aside" not in json.dumps(_rows(case, "findings.jsonl"))


def test_no_reason_no_finding_no_act(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = (case / "ledger.db").read_bytes()
    someone = ["--as", "Li Si"]
    assert main(["suppress", os.fspath(case), "F-0000000000000000", "--because", "x", *someone]) != 0
    assert "HW0005" in capsys.readouterr().err
    name = str(_rows(case, "findings.jsonl")[0]["id"])
    assert main(["suppress", os.fspath(case), name, "--because", "  ", *someone]) != 0
    assert "HW1015" in capsys.readouterr().err
    assert main(["suppress", os.fspath(case), name, "--because", "x", "--undo", *someone]) != 0
    assert main(["suppress", os.fspath(case), name, "--because", "one of two"]) != 0
    assert "HW1021" in capsys.readouterr().err
    assert len((case / "ledger.db").read_bytes()) == len(entries)


def test_where_people_are_enrolled_their_roles_and_keys_decide(
    case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs last: from the first enrolment on, nothing is entered unsigned in this case."""
    monkeypatch.setenv("XDG_CONFIG_HOME", os.fspath(tmp_path))
    (tmp_path / "words").write_text("pw\n")
    signed = ["--passphrase-file", os.fspath(tmp_path / "words")]
    people = ["case", "people", os.fspath(case), "add"]
    assert main([*people, "Adam", "--role", "admin", *signed]) == 0
    assert main([*people, "Eve", "--role", "examiner", "--as", "Adam", *signed]) == 0
    act = ["suppress", os.fspath(case), str(_rows(case, "findings.jsonl")[0]["id"]), "--because", "a drill"]
    assert main(act) != 0
    assert main([*act, "--as", "Adam", *signed]) != 0
    assert "HW1011" in capsys.readouterr().err
    assert main([*act, "--as", "Eve", *signed]) == 0
    _all_ok(case)
