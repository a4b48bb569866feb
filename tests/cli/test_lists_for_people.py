# SPDX-License-Identifier: Apache-2.0
"""A list that a reader cannot use: one language, untranslated words, no way on to the bytes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from headwater.cli.main import main
from headwater.procedure.investigate import Outcome

Worked = tuple[Path, Path, Outcome]


def _said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("verb", ["findings", "steps"])
def test_rows_stand_in_the_language_of_the_case_and_lead_to_the_bytes(
    verb: str, worked: Worked, capsys: pytest.CaptureFixture[str]
) -> None:
    said = _said(capsys, verb, str(worked[1]))
    rows = [json.loads(line) for line in _said(capsys, verb, str(worked[1]), "--json").splitlines()]
    assert rows
    for row in rows:
        assert row["id"] in said
        assert row["text"]["zh"] in said
        assert row["text"]["en"] in said
    assert "异常登录 Abnormal login" in said
    assert "高度可能 Highly probable" in said
    for name in set(re.findall(r"(1:/\S+:\d+:\d+)$", said, re.MULTILINE)):
        assert main(["trace", str(worked[1]), name]) == 0


@pytest.mark.parametrize("verb", ["findings", "steps"])
@pytest.mark.parametrize(("language", "other"), [("zh", "en"), ("en", "zh")])
def test_one_language_is_one_language(
    verb: str, language: str, other: str, worked: Worked, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [json.loads(line) for line in _said(capsys, verb, str(worked[1]), "--json").splitlines()]
    said = _said(capsys, verb, str(worked[1]), "--lang", language)
    assert all(row["text"][language] in said and row["text"][other] not in said for row in rows)


def test_verdicts_of_verify_stand_in_the_language_asked_for(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zh = _said(capsys, "verify", str(copied), "--lang", "zh")
    en = _said(capsys, "verify", str(copied), "--lang", "en")
    assert "由所引字节重新得出" in zh
    assert "derived again from their bytes" not in zh
    assert "derived again from their bytes" in en
    assert not re.search(r"[\u4e00-\u9fff]", en)


def test_json_of_verify_keeps_its_words(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [json.loads(line) for line in _said(capsys, "verify", str(copied), "--json").splitlines()]
    assert {tuple(row) for row in rows} == {("what", "result", "detail")}
    assert rows[0]["what"] == "ledger"


@pytest.mark.parametrize(("verb", "said"), [("findings", "无发现"), ("steps", "未还原出入侵步骤")])
def test_nothing_found_is_not_an_empty_screen(
    verb: str, said: str, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("findings.jsonl", "steps.jsonl"):
        (copied / name).write_bytes(b"")
    assert said in _said(capsys, verb, str(copied))
    assert _said(capsys, verb, str(copied), "--json") == ""
