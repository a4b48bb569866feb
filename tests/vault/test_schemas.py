# SPDX-License-Identifier: Apache-2.0
"""What leaves the program and is not what its schema says."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from stamping import Authority

from headwater.cli.main import main
from headwater.formats.canonical import canonical
from headwater.procedure import anchoring
from headwater.procedure.corridor import open_case
from headwater.vault import hwcase
from headwater.vault.witness import Witness
from people import added, cheap, do, photograph, staffed

SCHEMAS = Path(__file__).parents[2] / "schemas"


def _valid(name: str, value: Any) -> None:
    held = {p.name: json.loads(p.read_bytes()) for p in SCHEMAS.glob("*.json")}
    registry: Registry[Any] = Registry().with_resources(
        [(f"https://headwater.invalid/schemas/{n}", Resource.from_contents(s)) for n, s in held.items()]
    )
    Draft202012Validator.check_schema(held[f"{name}.json"])
    Draft202012Validator(held[f"{name}.json"], registry=registry).validate(value)


def test_everything_in_an_export_is_what_its_schema_says(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap(monkeypatch, tmp_path)
    case = staffed(tmp_path)
    assert added(tmp_path, case, photograph(tmp_path)) == 0
    assert do(tmp_path, "seal", str(case), "I1", "--purpose", "移送", "--seal-after", "S-1", who="张三") == 0
    with authority.serving() as url:
        assert main(["anchor", str(case), "--tsa", url, "--chain", str(authority.chain)]) == 0
    here = Witness.make(tmp_path / "witness", "见证")
    corridor = open_case(case)
    with corridor.ledger:
        receipt = here.sign(anchoring.ask_witness(corridor, None))
        anchoring.keep_receipt(corridor, receipt, "r")
    _valid("witness-receipt", receipt)
    out = tmp_path / "c.hwcase"
    words = ("--to", "检察院", "--basis", "移送", "--approver", "王五")
    assert do(tmp_path, "export", str(case), "--out", str(out), *words, who="张三") == 0
    with zipfile.ZipFile(out) as book:
        _valid("export-manifest", json.loads(book.read(hwcase.MANIFEST)))
        for name in book.namelist():
            if name.startswith("anchors/") and name.endswith(".json"):
                _valid("anchor", json.loads(book.read(name)))
        for line in book.read(hwcase.CHECKPOINTS).splitlines():
            _valid("checkpoint", json.loads(json.loads(line)["body"]))
        events = 0
        for line in book.read(hwcase.ENTRIES).splitlines():
            body = json.loads(json.loads(line)["body"])
            _valid("custody-entry", body)
            assert canonical(body) == json.loads(line)["body"].encode()
            if body["action"] == "custody":
                events += 1
                _valid("custody-event", body["note"])
    assert events == 1
