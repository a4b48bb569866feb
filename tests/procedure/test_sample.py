# SPDX-License-Identifier: Apache-2.0
"""The sample server against the truth that its lab noted, and its benign twin against false alarms.

SOURCE: sample/ (made by lab/, Apache-2.0); TRUTH.json was written by what drove the guests, not by any analysis.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headwater.model.kinds import Severity, Stage
from headwater.model.times import from_rfc3339
from headwater.procedure.accounts import load_accounts, load_ranges
from headwater.procedure.corridor import open_case
from headwater.procedure.investigate import Outcome, investigate
from headwater.procedure.reporting import fill
from headwater.procedure.tracing import trace
from headwater.procedure.verification import verify
from small_case import Claim, Order

SAMPLE = Path(__file__).parents[2] / "sample"
TRUTH = json.loads((SAMPLE / "TRUTH.json").read_text())
MINUTE = 60 * 1_000_000_000

Worked = tuple[Path, Outcome]


def _work(tmp_path_factory: pytest.TempPathFactory, name: str) -> Worked:
    case = tmp_path_factory.mktemp(name) / "case"
    order = Order((SAMPLE / f"{name}.E01",), case, Claim(waiver="a test"), ("A", "B"), {"language": "zh"})
    return case, investigate(order)


@pytest.fixture(scope="module")
def web01(tmp_path_factory: pytest.TempPathFactory) -> Worked:
    """The case of the server that was broken into."""
    return _work(tmp_path_factory, "web01")


@pytest.fixture(scope="module")
def benign01(tmp_path_factory: pytest.TempPathFactory) -> Worked:
    """The case of its twin."""
    return _work(tmp_path_factory, "benign01")


def _events(case: Path, feed: str) -> pl.DataFrame:
    parts = sorted((case / "events" / f"feed={feed}").glob("*.parquet"))
    return pl.concat([pl.read_parquet(p) for p in parts], how="diagonal_relaxed")


def _guesses(case: Path) -> dict[str, dict[str, int]]:
    """Refused passwords by address and name, as the journal has them."""
    rows = _events(case, "linux.journal").filter((pl.col("kind") == "auth.failure") & (pl.col("method") == "password"))
    found: dict[str, dict[str, int]] = {}
    for address, user, count in rows.group_by("src_ip", "user").len().iter_rows():
        found.setdefault(address, {})[user] = count
    return found


@pytest.mark.parametrize("name", ["web01", "benign01"])
def test_medium_has_the_digest_that_the_lab_noted(name: str, request: pytest.FixtureRequest) -> None:
    case, outcome = request.getfixturevalue(name)
    noted = TRUTH["media"][name]["raw"]
    item = outcome.items[0]
    assert (item.size, item.digests["sha256"], item.digests["md5"]) == (noted["size"], noted["sha256"], noted["md5"])
    assert [v.result for v in item.verdicts] == ["match"] * len(item.verdicts)
    assert sum(n for _, n, _ in load_ranges(case)[1]) == noted["size"]


@pytest.mark.parametrize("name", ["web01", "benign01"])
def test_refused_passwords_are_those_that_were_typed(name: str, request: pytest.FixtureRequest) -> None:
    case, _ = request.getfixturevalue(name)
    assert _guesses(case) == TRUTH["twins"][name]["refused_passwords"]


def test_benign_twin_has_no_step_and_nothing_above_low(benign01: Worked) -> None:
    judged = benign01[1].judged
    assert judged.steps == ()
    assert [f.rule.id for f in judged.findings if f.severity not in {Severity.INFO, Severity.LOW}] == []


def test_all_stages_of_the_intrusion_are_found_when_they_happened(web01: Worked) -> None:
    steps = web01[1].judged.steps
    noted: dict[str, list[dict[str, Any]]] = {}
    for act in TRUTH["twins"]["web01"]["intrusion"]:
        noted.setdefault(act["stage"], []).append(act)
    assert {s.stage.value for s in steps} == set(noted) == {s.value for s in Stage}
    begin = min(from_rfc3339(a["from"]) for acts in noted.values() for a in acts)
    end = max(from_rfc3339(a["until"]) for acts in noted.values() for a in acts)
    for step in steps:
        assert step.ts_first is not None
        assert step.ts_last is not None
        assert begin - MINUTE <= step.ts_first <= step.ts_last <= end + 24 * 60 * MINUTE, step.text.en


def test_actors_and_artifacts_are_named(web01: Worked) -> None:
    judged = web01[1].judged
    by_rule: dict[str, list[Any]] = {}
    for finding in judged.findings:
        by_rule.setdefault(finding.rule.id, []).append(finding)
    success = by_rule["ssh-guessing-success"][0]
    assert (success.src_ip, success.user) == ("203.0.113.66", "deploy")
    total = sum(TRUTH["twins"]["web01"]["refused_passwords"]["203.0.113.66"].values())
    assert success.facts["failures"] == total
    assert {f.src_ip for f in by_rule["web-command"] if f.severity is Severity.HIGH} == {"198.51.100.23"}
    assert by_rule["web-shell"][0].facts["path"] == "/var/www/html/uploads/img_thumb.php"
    assert "sysd0" in {f.user for f in by_rule["uid0-account"]}
    assert "/etc/cron.d/sysd-update" in " ".join(f.text.en for f in by_rule["persistence"])
    assert str(TRUTH["twins"]["web01"]["encrypted_files"]) in by_rule["ransomware"][0].text.en
    assert by_rule["ransomware"][0].src_ip is None  # two had come in the day before
    zeroed = TRUTH["twins"]["web01"]["wtmp"]
    cleaned = [g for f in by_rule["cleaned-logs"] for g in f.gaps if g.reason == "overwritten"]
    assert [(g.span.offset, g.span.length) for g in cleaned] == [(zeroed["first_byte"], zeroed["bytes"])]
    assert any("auth.log" in f.text.en and ".1" in f.text.en for f in by_rule["cleaned-logs"])
    assert {s.actor for s in judged.steps if s.stage is Stage.EXPLOIT} == {"198.51.100.23"}


def test_every_statement_is_derived_again_from_the_image(web01: Worked) -> None:
    corridor = open_case(web01[0])
    with corridor.ledger:
        checks = verify(corridor)
    assert {c.result for c in checks} == {"ok"}, [c for c in checks if c.result != "ok"]


def test_no_file_stays_incomplete_and_lines_are_nearly_all_events(web01: Worked) -> None:
    accounts = load_accounts(web01[0])
    assert not [a["path"] for a in accounts if "incomplete" in a]
    parsed = [a for a in accounts if a["parser"] and not a["tally"].get("declared")]
    gap, size = sum(a["tally"]["gap"] for a in parsed), sum(a["size"] for a in parsed)
    assert gap < size / 100, [(a["path"], a["tally"]["gap"]) for a in parsed if a["tally"]["gap"]]


def test_trace_of_a_journal_entry_shows_its_message_and_both_spans(web01: Worked) -> None:
    corridor = open_case(web01[0])
    success = next(f for f in web01[1].judged.findings if f.rule.id == "ssh-guessing-success")
    with corridor.ledger:
        links = trace(corridor, success.id)
    messages = [link for link in links if link.kind == "message"]
    assert any("Failed password for deploy from 203.0.113.66" in link.facts["value"] for link in messages)
    assert any(b"Accepted password for deploy from 203.0.113.66" in (link.data or b"") for link in links)
    entries = {link.id for link in links if link.kind == "bytes"}
    for link in messages:
        assert link.facts["entry"] in entries
        assert link.data is not None
        assert len(link.data) == link.facts["length"]
        assert link.data.endswith(link.facts["value"].encode())


def test_printed_report_stays_short_enough_to_be_read(web01: Worked) -> None:
    pages = len(re.findall(rb"/Type */Page\b", (web01[0] / "report" / "report.pdf").read_bytes()))
    assert 0 < pages < 26


def test_damage_of_the_sample_is_what_the_lab_did(web01: Worked) -> None:
    corridor = open_case(web01[0])
    with corridor.ledger:
        damage = [(figure.label.en, figure.value.en) for figure in fill(corridor).damage if figure.value]
    said = {label: " | ".join(words for name, words in damage if name == label) for label, _ in damage}
    truth = TRUTH["twins"]["web01"]
    assert f"{truth['encrypted_files']} files" in said["Files encrypted and renamed"]
    assert f"{truth['wtmp']['bytes'] // 384} login records" in said["Log records destroyed"]
    assert "deploy" in said["Accounts touched"]
