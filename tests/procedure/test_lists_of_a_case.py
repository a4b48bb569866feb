# SPDX-License-Identifier: Apache-2.0
"""What a list found must stand when the list is gone, and a list that is none must stop nothing half-way."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from headwater.cli.main import main
from headwater.procedure.corridor import open_case
from headwater.procedure.verification import verify
from small_case import make_evidence


def test_findings_of_a_list_can_be_derived_again_without_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_evidence(tmp_path / "evidence")
    given, case = tmp_path / "c2.txt", tmp_path / "case"
    given.write_text("203.0.113.66 # seen elsewhere\n203.0.113.6\n")
    one = next(p for p in sorted(source.rglob("*")) if p.is_file() and p.stat().st_size)
    known = tmp_path / "known.txt"
    known.write_text(f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one.name}\n{'0' * 64}\n")
    asked = ["investigate", os.fspath(source), "--case", os.fspath(case), "--no-authority", "a test"]
    asked += ["--examiner", "A", "--examiner", "B", "--zone", "Asia/Shanghai"]
    assert main([*asked, "--indicators", os.fspath(tmp_path / "none.txt")]) == 6
    assert not case.exists()
    assert "HW6012" in capsys.readouterr().err
    assert main([*asked, "--indicators", os.fspath(given), "--known", os.fspath(known)]) == 0
    given.unlink()
    known.unlink()
    rows = [json.loads(line) for line in (case / "findings.jsonl").read_text().splitlines()]
    (hit,) = [r for r in rows if "indicator" in str(r["rule"])]
    assert hit["facts"]["indicator"] == "203.0.113.66"
    assert "seen elsewhere" in str(hit["text"])
    rules = json.loads((case / "rules.json").read_text())
    assert rules["indicators"][0]["indicators"] == 2
    assert (rules["known"]["files"], rules["known"]["sets"][0]["rows"], rules["known"]["lowered"]) == (1, 2, 0)
    corridor = open_case(case)
    with corridor.ledger:
        assert {c.result for c in verify(corridor, rebuild=True)} == {"ok"}
    (case / "indicator-lists.json").write_bytes((case / "indicator-lists.json").read_bytes().replace(b".66", b".67"))
    corridor = open_case(case)
    with corridor.ledger:
        assert any(c.result == "failed" and "indicator-lists" in c.what for c in verify(corridor))
