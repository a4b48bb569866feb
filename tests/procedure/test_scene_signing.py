# SPDX-License-Identifier: Apache-2.0
"""What is done at a server is signed by whoever did it: the case's key alone would let anybody with the folder say so."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "vault"))

from headwater.cli.main import main
from headwater.model.custody import Sealed
from headwater.procedure.corridor import open_case
from headwater.vault.trail import Person
from people import ROLES, cheap, staffed


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cheap(monkeypatch, tmp_path)
    staffed(tmp_path)
    return tmp_path


def _first(home: Path, *more: str) -> int:
    words = ["scene", "first", "local:", "--case", str(home / "case"), "--override", "试验用本机 a test",
             "--passphrase-file", str(home / "pass")]  # fmt: skip
    return main([*words, *more])


def _entries(home: Path) -> tuple[list[Sealed], dict[str, Person]]:
    corridor = open_case(home / "case")
    with corridor.ledger:
        found = corridor.ledger.examined()  # every signature is verified here
        return list(corridor.ledger.entries()), {p.name: p for p in found.people.values()}


def test_every_entry_of_an_errand_bears_the_key_of_who_acted_and_the_act_that_of_the_second(home: Path) -> None:
    before = len(_entries(home)[0])
    assert _first(home, "--as", "张三", "--with", "李四") == 0
    entries, people = _entries(home)
    new = entries[before:]
    assert [s.entry.action for s in new][-3:] == ["register", "scene-act", "countersign"]
    *acted, second = new
    assert {s.entry.note["signer"] for s in acted} == {people["张三"].public}
    assert second.entry.note["signer"] == people["李四"].public
    assert second.entry.note["entry"] == acted[-1].hash
    assert acted[-1].entry.actors == ("张三", "李四")


def test_nobody_acts_unsigned_where_people_are_enrolled(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = len(_entries(home)[0])
    assert _first(home) == 3
    said = capsys.readouterr().err
    assert "HW1020" in said
    assert "张三" in said
    image = home / "web01.raw"
    image.write_bytes(bytes(4096))
    assert main(["collect", f"image:{image}", "--case", str(home / "case")]) == 3
    assert len(_entries(home)[0]) == before  # refused before anything was done


@pytest.mark.parametrize(("words", "code"), [
    (["--as", "赵六"], "HW1011"),  # an auditor looks on, and takes nothing
    (["--as", "张三", "--with", "张三"], "HW1012"),
    (["--as", "张三", "--with", "王五"], "HW1011"),
])  # fmt: skip
def test_role_and_a_second_person_who_is_another_one(
    home: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: str
) -> None:
    assert set(ROLES) >= {"张三", "王五", "赵六"}
    before = len(_entries(home)[0])
    assert _first(home, *words) == 3
    assert code in capsys.readouterr().err
    assert len(_entries(home)[0]) == before


def test_while_nobody_is_enrolled_a_second_name_is_one_of_those_at_work(tmp_path: Path) -> None:
    (tmp_path / "pass").write_text("x\n")
    case = str(tmp_path / "case")
    words = ["scene", "first", "local:", "--case", case, "--no-authority", "a test", "--as", "甲", "--with", "乙"]
    assert main([*words, "--passphrase-file", str(tmp_path / "pass")]) == 0
    act = _entries(tmp_path)[0][-1].entry
    assert act.actors == ("甲", "乙")
    assert "signer" not in act.note
