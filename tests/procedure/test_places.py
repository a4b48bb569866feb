# SPDX-License-Identifier: Apache-2.0
"""A table of places is kept with its digest, stands in the ledger, and what rests on it is derived again without it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from headwater.cli.main import main
from headwater.vault.ledger import Ledger

TABLE = b"203.0.113.0,203.0.113.255,AS,CN,Shanghai,Shanghai,31.2222,121.458\n198.51.100.0,198.51.100.255,EU,DE,Hesse,Frankfurt,50.1109,8.68213\n"
AUTH = """Nov  3 09:05:01 web01 sshd[700]: Accepted password for li from 203.0.113.5 port 50000 ssh2
Nov  3 09:41:01 web01 sshd[710]: Accepted password for li from 198.51.100.7 port 50000 ssh2
"""


def test_a_table_is_kept_cited_sealed_and_needed_no_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, case, table = tmp_path / "host", tmp_path / "case", tmp_path / "city.csv"
    (folder / "var/log").mkdir(parents=True)
    (folder / "var/log/auth.log").write_text(AUTH)
    table.write_bytes(TABLE)
    asked = ["investigate", os.fspath(folder), "--case", os.fspath(case), "--no-authority", "a test", "--examiner", "A"]
    asked += ["--examiner", "B", "--zone", "UTC", "--year", "/var/log/auth.log=2026", "--places", os.fspath(table)]
    assert main(asked) == 0
    digest = hashlib.sha256(TABLE).hexdigest()
    findings = [json.loads(line) for line in (case / "findings.jsonl").read_text().splitlines()]
    told = [f for f in findings if f["rule"] == "impossible-login"]
    assert [f["facts"]["table_sha256"] for f in told] == [digest]
    assert json.loads((case / "rules.json").read_text())["places"][0]["placed"] == 2
    kept = hashlib.sha256((case / "places.json").read_bytes()).hexdigest()
    with Ledger(case) as ledger:
        sealed = ledger.last("detect")
        assert sealed is not None
        assert sealed.entry.products["places.json"] == kept
    assert digest in (case / "report/report.html").read_text()
    table.unlink()
    capsys.readouterr()
    assert main(["verify", os.fspath(case), "--rebuild"]) == 0


def test_a_table_that_is_none_stops_before_the_case_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, table = tmp_path / "host", tmp_path / "city.csv"
    (folder / "var/log").mkdir(parents=True)
    (folder / "var/log/auth.log").write_text(AUTH)
    asked = [
        "investigate",
        os.fspath(folder),
        "--case",
        os.fspath(tmp_path / "case"),
        "--no-authority",
        "a test",
        "--examiner",
        "A",
    ]
    assert main([*asked, "--places", os.fspath(table)]) != 0
    assert not (tmp_path / "case").exists()
    table.write_bytes(b"no table\n")
    assert main([*asked, "--places", os.fspath(table)]) != 0
    assert "HW6012" in capsys.readouterr().err
