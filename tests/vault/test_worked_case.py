# SPDX-License-Identifier: Apache-2.0
"""Custody, register, defects and export over a case that was investigated first, as most are."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from headwater.cli.main import main
from headwater.vault import hwcase
from people import cheap, do


def test_sources_of_an_investigation_are_held_registered_and_exported(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cheap(monkeypatch, tmp_path)
    case = str(copied)
    event = [case, "E1", "--purpose", "test", "--from", "Zhang San", "--to", "Wang Wu"]
    assert main(["transfer", *event]) == 0  # nobody is enrolled: in the case's name, and the defects say so
    assert main(["custody", case, "E1"]) == 1
    assert "handed to Wang Wu" in capsys.readouterr().out
    assert main(["defects", case]) == 1
    assert "nobody signs with a key" in capsys.readouterr().out
    out = tmp_path / "c.hwcase"
    words = ("export", case, "--out", str(out), "--to", "x", "--basis", "y")
    assert main([*words]) == 3  # an export takes two enrolled persons
    for name, role in (("Admin", "admin"), ("Zhang San", "examiner"), ("Wang Wu", "approver")):
        who = "" if name == "Admin" else "Admin"
        add = ("people", case, "add", name, "--role", role)
        signing = [] if who else ["--passphrase-file", str(tmp_path / "pass")]
        assert do(tmp_path, "case", *add, *signing, who=who) == 0
    assert do(tmp_path, *words, "--approver", "Wang Wu", "--dsse", "--case-jsonld", who="Zhang San") == 0
    rows = hwcase.check_bytes(out.read_bytes())
    assert [r for r in rows if r.result == "failed"] == []
    with zipfile.ZipFile(out) as book:
        names = set(book.namelist())
    assert {"report/report.pdf", "findings.jsonl", "coverage.jsonl", "manifests/0001.jsonl"} <= names
    assert any(n.startswith("statements/") for n in names)
    assert main(["register", case, "--pdf", str(tmp_path / "r")]) == 0
    assert (tmp_path / "r" / "register.pdf").stat().st_size > 5000
