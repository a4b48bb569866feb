# SPDX-License-Identifier: Apache-2.0
"""A hive of a collected folder is hostile bytes: the parent never parses it, and a folder is still known by its name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "formats"))

import hive_samples

from headwater.case.authority import Claim
from headwater.examine import windows_facts
from headwater.procedure.corridor import facts_of
from headwater.procedure.investigate import Order, investigate
from headwater.vault.ledger import Ledger


def _never(*_: object) -> dict[str, str]:
    raise AssertionError("a hive was parsed in the parent")


@pytest.mark.parametrize("hostile", [False, True])
def test_hives_of_a_folder_are_parsed_by_a_confined_child_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hostile: bool
) -> None:
    hive = tmp_path / "out" / "Windows" / "System32" / "config" / "SYSTEM"
    hive.parent.mkdir(parents=True)
    hive.write_bytes(hive_samples.system()[: 4100 if hostile else None])
    monkeypatch.setattr(windows_facts, "facts", _never)
    investigate(Order((tmp_path / "out",), tmp_path / "case", Claim(waiver="a test"), ("A",), {}))
    with Ledger(tmp_path / "case") as ledger:
        said = facts_of(ledger, 1)[""]
    assert said.get("hostname") == (None if hostile else "srv-finance01")
