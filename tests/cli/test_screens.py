# SPDX-License-Identifier: Apache-2.0
"""A screen that leaves its reader in doubt: broken lines of progress, a blank answer, work that seems to have stopped at 25 %."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from headwater.cli import meter
from headwater.cli.main import main
from headwater.model.columns import columns, cut, padded
from headwater.model.voice import Voice
from headwater.procedure.corridor import open_case
from headwater.procedure.investigate import Outcome
from headwater.procedure.registering import lines

Worked = tuple[Path, Path, Outcome]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [20, 44, 200])
def test_progress_is_never_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    screen = _Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("COLUMNS", str(width))
    with meter.Meter("both") as told:
        told("read-again", 0, 1 << 30, "bytes")
        told._told = told._began = -60.0  # as if a minute had passed
        told("read-again", 400 << 20, 1 << 30, "bytes")
    lines = [part.removeprefix("\x1b[K").rstrip("\n") for part in screen.getvalue().split("\r") if part]
    assert len(lines) == 3
    assert all(columns(line) < width for line in lines), lines
    assert lines[-1].startswith("再次读取检材")
    if width == 200:
        assert lines[-1].startswith("再次读取检材 reading the source again: 1.0 GiB / 1.0 GiB (100 %)")


def test_a_text_is_cut_by_what_it_takes_of_a_terminal() -> None:
    assert columns("检材 E1") == 7
    assert cut("检材检材", 5) == "检材…"
    assert cut("检材检材", 4) == "检…"
    assert cut("e\u0301" * 5, 5) == "e\u0301" * 5
    assert padded("检", 4) == "检  "
    assert padded("检", 4, right=True) == "  检"


@pytest.mark.parametrize(
    "words", [["events", "--where", "src_ip = '192.0.2.250'"], ["timeline", "--since", "2099-01-01T00:00:00Z"]]
)
def test_no_event_is_said_and_not_left_blank(
    words: list[str], worked: Worked, capsys: pytest.CaptureFixture[str]
) -> None:
    verb, *rest = words
    assert main([verb, str(worked[1]), *rest, "--lang", "zh"]) == 0
    assert capsys.readouterr().out == "没有符合条件的事件；未发现不等于未发生。\n"
    assert main([verb, str(worked[1]), *rest, "--json"]) == 0
    assert capsys.readouterr().out == ""


def test_text_that_no_event_holds_is_said_not_to_be_found(worked: Worked, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["find", str(worked[1]), "no such words", "--lang", "en"]) == 0
    assert capsys.readouterr().out == "No event meets the condition; not found is not the same as did not happen.\n"


def test_an_expression_that_is_none_is_explained_in_plain_words(
    worked: Worked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["find", str(worked[1]), "(", "--regex", "--lang", "zh"]) == 2
    assert "正则表达式有误（missing ): (）" in capsys.readouterr().err


def test_a_list_of_countries_that_is_not_there_is_no_list_of_indicators(
    worked: Worked, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["summary", str(worked[1]), "--countries", "/nosuch", "--lang", "zh"]) == 2
    assert "--countries /nosuch：没有这个文件或目录" in capsys.readouterr().err


def test_no_terminal_to_ask_for_a_passphrase_is_told_and_no_traceback(
    copied: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", nobody)
    assert main(["case", "people", str(copied), "add", "甲", "--role", "bogus"]) == 2, "a mistyped word is told first"
    capsys.readouterr()
    assert main(["case", "people", str(copied), "add", "甲", "--role", "admin", "--lang", "zh"]) == 5
    assert "没有给出口令，请用 --passphrase-file" in capsys.readouterr().err
    assert main(["case", "people", str(copied), "add", "甲", "--role", "admin", "--lang", "en"]) == 5
    assert "no passphrase was given: --passphrase-file" in capsys.readouterr().err


def test_what_is_outside_the_mandate_is_told_in_one_language(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("scene", "first", "ssh://nobody@127.0.0.1:1", "--case", str(tmp_path / "c"), "--no-authority", "a test",
             "--examiner", "A", "--one-person", "a test", "--no-witness", "a test")  # fmt: skip
    for language, there, not_there in (("zh", "远程取证缺少", "remote work"), ("en", "remote work lacks", "远程")):
        assert main([*words, "--lang", language]) == 3
        said = capsys.readouterr().err
        assert there in said
        assert not_there not in said


def test_a_register_in_english_holds_no_words_of_ours_in_chinese(copied: Path) -> None:
    item = copied.parent / "photo.jpg"
    item.write_bytes(b"\xff\xd8 x")
    words = ("add", str(copied), str(item), "--category", "photograph", "--source", "rack 3", "--method", "onsite")
    assert main([*words, "--absent-rest", "as the record says"]) == 0
    with_case = open_case(copied)
    with with_case.ledger:
        for language, form in (("en", r"[\u4e00-\u9fff（）]"), ("zh", r"absent:|not judged|Medium")):
            held = [str(value) for row in lines(with_case, Voice(language)) for _, value in row.more] + [
                value for row in lines(with_case, Voice(language)) for value in row.seven
            ]
            assert [value for value in held if re.search(form, value)] == []
