# SPDX-License-Identifier: Apache-2.0
"""An image that anybody with the case's folder could have said they made: who made it signs, and who was there too."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "vault"))

from headwater.cli.main import main
from headwater.procedure.corridor import open_case
from people import cheap, staffed


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cheap(monkeypatch, tmp_path)
    staffed(tmp_path)
    (tmp_path / "disk.raw").write_bytes(random.Random(3).randbytes(40_960))
    return tmp_path


def _image(home: Path, *more: str) -> int:
    words = ["image", str(home / "disk.raw"), "--case", str(home / "case"), "--out", str(home / "web01"), "--format", "raw",
             "--passphrase-file", str(home / "pass"), "--override", "试验 a test"]  # fmt: skip
    return main([*words, *more])


def test_image_bears_the_key_of_who_made_it_and_of_the_second_person(home: Path) -> None:
    assert _image(home, "--as", "张三", "--with", "李四") == 0
    corridor = open_case(home / "case")
    with corridor.ledger:
        found = corridor.ledger.examined()  # every signature is verified here
        people = {p.name: p.public for p in found.people.values()}
        *_, begun, made, registered, second = corridor.ledger.entries()
    assert [s.entry.action for s in (begun, made, registered, second)] == [
        "image-begin",
        "image",
        "register",
        "countersign",
    ]
    assert {s.entry.note["signer"] for s in (begun, made, registered)} == {people["张三"]}
    assert second.entry.note["signer"] == people["李四"]
    assert (second.entry.note["act"], second.entry.note["entry"]) == ("image", made.hash)
    assert made.entry.actors == ("张三", "李四")


@pytest.mark.parametrize(("words", "code"), [
    ([], "HW1020"),
    (["--as", "赵六"], "HW1011"),  # an auditor looks on, and takes nothing
    (["--as", "张三", "--with", "张三"], "HW1012"),
])  # fmt: skip
def test_nobody_images_unsigned_or_alone_as_two_where_people_are_enrolled(
    home: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: str
) -> None:
    assert _image(home, *words) == 3
    assert code in capsys.readouterr().err
    assert not list(home.glob("web01*"))
