# SPDX-License-Identifier: Apache-2.0
"""Verify finds what was altered: evidence, sealed rows, results, and statements that the bytes do not bear out."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from headwater.formats.canonical import canonical
from headwater.model.errors import IntegrityError
from headwater.procedure.contracts import finding_json, finding_of
from headwater.procedure.corridor import open_case
from headwater.procedure.investigate import Outcome, investigate
from headwater.procedure.verification import Check, _identity, verify
from small_case import make_evidence, order

Worked = tuple[Path, Path, Outcome]


def _checks(case: Path, **more: bool) -> list[Check]:
    corridor = open_case(case)
    with corridor.ledger:
        return verify(corridor, **more)


def _failed(case: Path) -> list[Check]:
    return [c for c in _checks(case) if c.result == "failed"]


def test_untouched_case_verifies_and_rebuilds(copied: Path) -> None:
    checks = _checks(copied, rebuild=True)
    assert {c.result for c in checks} == {"ok"}
    assert any(c.what == "rebuild linux.auth" for c in checks)
    assert not list(copied.glob("headwater-rebuild-*"))


def _forge(case: Path, change: Callable[[dict[str, Any]], None]) -> str:
    """Alter one finding and give it the id that follows from the altered content, as a forger would."""
    path = case / "findings.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    row = next(r for r in rows if r["rule"] == "ssh-guessing-success")
    change(row)
    row["id"] = _identity(finding_of(row))
    row = finding_json(finding_of(row))
    rows = [row if r["rule"] == "ssh-guessing-success" else r for r in rows]
    path.write_bytes(b"".join(canonical(r) + b"\n" for r in rows))
    return str(row["id"])


def _other_address(row: dict[str, Any]) -> None:
    row["spans"][-1]["claims"]["src_ip"] = "198.51.100.1"


def _whole_file(row: dict[str, Any]) -> None:
    row["spans"][-1] |= {"offset": 0, "length": 100_000}


def _other_count(row: dict[str, Any]) -> None:
    row["tally"] = {"where": {"kind": "auth.failure", "src_ip": "203.0.113.66"}, "count": 41, "digest": "0" * 64}


def _no_such_gap(row: dict[str, Any]) -> None:
    row["gaps"] = [{"evidence": 1, "path": "/var/log/auth.log", "offset": 3, "length": 5, "reason": "overwritten"}]


@pytest.mark.parametrize("change", [_other_address, _whole_file, _other_count, _no_such_gap])
def test_statement_that_the_bytes_do_not_bear_out_fails(copied: Path, change: Callable[[dict[str, Any]], None]) -> None:
    name = _forge(copied, change)
    assert any(c.what == f"finding {name}" for c in _failed(copied))


def test_altered_finding_with_its_old_id_fails(copied: Path) -> None:
    path = copied / "findings.jsonl"
    path.write_bytes(path.read_bytes().replace("成功登录".encode(), "未能登录".encode()))
    assert any("id does not follow" in c.detail for c in _failed(copied))


def test_altered_or_added_rows_fail(copied: Path) -> None:
    part = next((copied / "events").rglob("*.parquet"))
    shutil.copy(part, part.with_name("0001-000777-00000.parquet"))
    part.write_bytes(part.read_bytes()[:-1] + b"\0")
    failed = {c.what for c in _failed_quietly(copied)}
    assert f"file {part.relative_to(copied)}" in failed
    assert any("000777" in what for what in failed)


def _failed_quietly(case: Path) -> list[Check]:
    """The sealed-file checks alone: with broken parts the store itself cannot be read."""
    from headwater.procedure.verification import _sealed

    corridor = open_case(case)
    with corridor.ledger:
        return [c for c in _sealed(corridor) if c.result == "failed"]


def test_results_whose_sealing_entries_were_cut_from_the_ledger_fail(copied: Path) -> None:
    with sqlite3.connect(copied / "ledger.db") as db:
        first = next(
            seq
            for seq, body in db.execute("SELECT seq, body FROM entries ORDER BY seq")
            if b'"action":"detect"' in body
        )
        db.execute("DELETE FROM entries WHERE seq >= ?", (first,))
        db.execute("DELETE FROM checkpoints")
    db.close()
    (copied / "ledger.tail").unlink()  # else the ledger itself is refused
    (copied / "steps.jsonl").write_bytes(b"")
    failed = {c.what for c in _failed(copied)}
    assert {"file findings.jsonl", "file steps.jsonl", "file report/report.html"} <= failed


def test_altered_steps_and_searches_fail_a_rebuild_even_where_the_key_holder_sealed_them(copied: Path) -> None:
    (copied / "hypotheses.jsonl").write_bytes(b"")
    corridor = open_case(copied)
    with corridor.ledger:
        products = dict(corridor.ledger.last("detect").entry.products)  # type: ignore[union-attr]
        products["hypotheses.jsonl"] = hashlib.sha256(b"").hexdigest()
        corridor.record("detect", products=products)
        failed = {c.what for c in verify(corridor, rebuild=True) if c.result == "failed"}
    assert "rebuild hypotheses.jsonl" in failed


def test_case_file_edited_by_hand_shows_and_moves_nothing_until_it_is_applied(copied: Path) -> None:
    path = copied / "case.json"
    path.write_text(path.read_text().replace("Asia/Shanghai", "America/New_York"))
    assert [c.what for c in _failed(copied)] == ["case.json"]
    corridor = open_case(copied)
    with corridor.ledger:
        assert corridor.settings.zone == "Asia/Shanghai"


def test_swapped_key_cannot_sign_and_a_copy_without_the_key_still_verifies(copied: Path) -> None:
    key = copied / "keys" / "case.key"
    other = Ed25519PrivateKey.generate()
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key.write_bytes(pem)
    for _ in range(2):
        checks = _checks(copied)
        assert {c.result for c in checks if c.what != "entry of this verification"} == {"ok"}
    key.unlink()
    assert any(c.what == "findings" and c.result == "ok" for c in _checks(copied))


def test_finding_that_states_nothing_of_its_record_fails(copied: Path) -> None:
    def bare(row: dict[str, Any]) -> None:
        for span in row["spans"]:
            span["claims"] = {}

    name = _forge(copied, bare)
    assert any(c.what == f"finding {name}" and "states nothing" in c.detail for c in _failed(copied))


def test_what_an_earlier_run_left_is_not_counted_twice(worked: Worked, copied: Path) -> None:
    """A task that failed was split into single files; the run was killed; next time the whole task succeeds."""
    part = next((copied / "events").rglob("*-000001-*.parquet"))
    shutil.copy(part, part.with_name("0001-500048-00000.parquet"))
    marker = json.loads((copied / "tasks/0001-000001.json").read_text())
    marker["parts"] = [[str(part.with_name("0001-500048-00000.parquet").relative_to(copied)), "0" * 64]]
    (copied / "tasks/0001-500048.json").write_text(json.dumps(marker))
    investigate(order(worked[0], copied))
    assert not list(copied.rglob("*500048*"))
    assert not _failed(copied)


def test_changed_evidence_fails_and_stops_a_new_run(tmp_path: Path) -> None:
    source = make_evidence(tmp_path / "evidence")
    investigate(order(source, tmp_path / "case"))
    log = source / "var/log/auth.log"
    data = bytearray(log.read_bytes())
    data[100] ^= 1
    log.write_bytes(bytes(data))
    failed = [c.what for c in _failed(tmp_path / "case")]
    assert "evidence 1 evidence" in failed


def test_source_that_changes_during_the_work_is_an_integrity_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headwater.procedure import investigate as module

    source = make_evidence(tmp_path / "evidence")
    real = module.judge

    def meddle(*args: Any, **more: Any) -> Any:
        with (source / "var/log/auth.log").open("ab") as log:
            log.write(b"one line more\n")
        return real(*args, **more)

    monkeypatch.setattr(module, "judge", meddle)
    with pytest.raises(IntegrityError) as caught:
        investigate(order(source, tmp_path / "case"))
    assert caught.value.code == "HW3003"
