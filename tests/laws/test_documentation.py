# SPDX-License-Identifier: Apache-2.0
"""Law 8: every verb, parser, detector, setting and error code appears in the reference, made from the code."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from headwater.case.settings import CaseSettings
from headwater.cli.main import main, name_of, verbs
from headwater.detect.registry import all_detectors
from headwater.examine.registry import all_parsers
from headwater.model.codes import CODES

ROOT = Path(__file__).parents[2]


def test_reference_names_everything(tmp_path: Path) -> None:
    assert main(["reference", "--out", str(tmp_path)]) == 0
    text = {p.name: p.read_text() for p in tmp_path.glob("*.md")}
    for verb in verbs():
        assert f"## {name_of(verb)}\n" in text["verbs.md"]
    for parser in all_parsers():
        assert f"## {parser}\n" in text["parsers.md"]
    for detector in all_detectors():
        assert f"## {detector}\n" in text["detectors.md"]
    for field in fields(CaseSettings):
        assert f"`{field.name}`" in text["settings.md"]
        assert f"``{field.name}" in (CaseSettings.__doc__ or ""), f"{field.name} is not explained"
    for code in CODES:
        assert f"## {code}\n" in text["errors.md"]


def test_every_code_that_is_raised_is_in_the_table() -> None:
    raised = set()
    for path in (ROOT / "src").rglob("*.py"):
        if not path.name.startswith("codes"):
            raised.update(re.findall(r'"(HW\d{4})"', path.read_text()))
    assert raised <= set(CODES)
    unused = set(CODES) - raised
    assert not unused, f"codes that nothing raises: {sorted(unused)}"


def test_every_message_is_in_both_languages() -> None:
    for number, entry in CODES.items():
        assert any("\u4e00" <= c <= "\u9fff" for c in entry.zh), number
        assert entry.en.isascii() or "—" in entry.en or "…" in entry.en, number
        assert set(re.findall(r"{(\w+)}", entry.zh)) == set(re.findall(r"{(\w+)}", entry.en)), number
        assert bool(entry.hint_zh) == bool(entry.hint_en), number
