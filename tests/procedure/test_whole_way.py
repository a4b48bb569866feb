# SPDX-License-Identifier: Apache-2.0
"""The main job on a small folder: contracts, counts, citations, and that a second run changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from headwater.cli.main import main
from headwater.procedure.corridor import open_case
from headwater.procedure.investigate import Outcome, investigate
from headwater.procedure.reporting import fill
from headwater.procedure.tracing import trace
from small_case import make_evidence, order

Worked = tuple[Path, Path, Outcome]
SCHEMAS = Path(__file__).parents[2] / "schemas"


def _schema(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((SCHEMAS / f"{name}.json").read_text()))


def _lines(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(arguments) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(("verb", "schema"), [("findings", "finding"), ("steps", "step"), ("events", "event")])
def test_json_lines_keep_the_contract(
    worked: Worked, capsys: pytest.CaptureFixture[str], verb: str, schema: str
) -> None:
    rows = _lines(capsys, verb, str(worked[1]), "--json")
    assert rows
    for row in rows:
        _schema(schema).validate(row)


def test_searches_hypotheses_and_ledger_keep_the_contract(worked: Worked) -> None:
    for name in ("searches", "hypotheses"):
        lines = (worked[1] / f"{name}.jsonl").read_text().splitlines()
        assert lines
        for line in lines:
            _schema({"searches": "search", "hypotheses": "hypothesis"}[name]).validate(json.loads(line))
    corridor = open_case(worked[1])
    with corridor.ledger:
        for sealed in corridor.ledger.entries():
            _schema("custody-entry").validate(json.loads(sealed.body))


def test_guessing_and_the_login_after_it_are_found_with_exact_counts(worked: Worked) -> None:
    by_rule = {f.rule.id: f for f in worked[2].judged.findings}
    assert by_rule["ssh-guessing"].facts["failures"] == 40
    assert by_rule["ssh-guessing"].src_ip == "203.0.113.66"
    success = by_rule["ssh-guessing-success"]
    assert (success.user, success.severity.value) == ("root", "high")
    assert any(s.stage.value == "abnormal-login" for s in worked[2].judged.steps)


def test_the_case_zone_moves_times_and_rewrites_nothing(worked: Worked, capsys: pytest.CaptureFixture[str]) -> None:
    rows = _lines(capsys, "events", str(worked[1]), "--where", "kind = 'auth.success' AND user = 'root'", "--json")
    assert [r["t_recorded"] for r in rows] == ["2026-03-02T03:12:31.000000000Z"]
    assert [r["ts"] for r in rows] == ["2026-03-01T19:12:31.000000000Z"]  # Asia/Shanghai is eight hours ahead


def test_the_assumed_year_and_zone_stand_in_the_report(worked: Worked) -> None:
    corridor = open_case(worked[1])
    with corridor.ledger:
        (clock,) = fill(corridor).clocks
    assert (clock.year, clock.zone, clock.basis.value) == (2026, "Asia/Shanghai", "year-assumed")


def test_line_that_is_no_syslog_is_a_gap_and_the_rest_tiles(worked: Worked) -> None:
    rows = [json.loads(line) for line in (worked[1] / "coverage.jsonl").read_text().splitlines()]
    log = next(r for r in rows if r["path"].endswith("/auth.log"))
    assert log["tally"]["gap"] == len(b"this line is no syslog at all\n")
    assert log["tally"]["parsed"] + log["tally"]["gap"] + log["tally"]["skipped"] == log["size"]


def test_every_finding_leads_to_bytes_hash_custody_and_authority(worked: Worked) -> None:
    source, case, outcome = worked
    corridor = open_case(case)
    with corridor.ledger:
        for finding in outcome.judged.findings:
            links = trace(corridor, finding.id)
            kinds = {link.kind for link in links}
            assert {"finding", "bytes", "evidence", "custody", "authority"} <= kinds
            for link in links:
                if link.kind == "bytes":
                    path = source / str(link.facts["path"]).lstrip("/")
                    at, length = link.facts["offset"], link.facts["length"]
                    assert link.data == path.read_bytes()[at : at + length]
        for step in outcome.judged.steps:
            assert any(link.kind == "bytes" for link in trace(corridor, step.id))


def test_same_command_again_adds_nothing_and_gives_the_same_report(worked: Worked, copied: Path) -> None:
    before = {p: p.read_bytes() for p in sorted(copied.rglob("*")) if p.is_file() and "ledger" not in p.name}
    investigate(order(worked[0], copied))
    after = {p: p.read_bytes() for p in sorted(copied.rglob("*")) if p.is_file() and "ledger" not in p.name}
    assert before.keys() == after.keys()
    assert [str(p) for p in before if before[p] != after[p]] == []


def test_rows_do_not_depend_on_the_number_of_workers(worked: Worked, tmp_path: Path) -> None:
    again = tmp_path / "case"
    outcome = investigate(order(worked[0], again, workers=1))
    assert [f.id for f in outcome.judged.findings] == [f.id for f in worked[2].judged.findings]
    for part in sorted((worked[1] / "events").rglob("*.parquet")):
        assert (again / part.relative_to(worked[1])).read_bytes() == part.read_bytes()


def test_evidence_is_left_as_it_was(tmp_path: Path) -> None:
    source = make_evidence(tmp_path / "evidence")
    files = sorted(p for p in source.rglob("*"))
    for path in files:
        os.utime(path, ns=(1_700_000_000_000_000_000, path.stat().st_mtime_ns))

    def state() -> list[tuple[Any, ...]]:
        found = []
        for path in files:
            s = path.stat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            found.append((str(path), s.st_mtime_ns, s.st_ctime_ns, s.st_size, s.st_mode, content))
        return found

    before = state()
    atimes = [p.stat().st_atime_ns for p in files if p.is_file()]
    investigate(order(source, tmp_path / "case"))
    assert state() == before
    if os.geteuid() == 0:  # O_NOATIME is the owner's privilege; state() above read the files once before
        assert len(atimes) == 2
