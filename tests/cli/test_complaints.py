# SPDX-License-Identifier: Apache-2.0
"""A person who reads no English must be able to read what is wrong with the line that they typed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headwater.cli.main import build, main
from headwater.cli.printing import inert
from headwater.model.errors import AuthorityError, UsageError
from headwater.vault.roles import Actor, permit

_HAN = re.compile("[\u4e00-\u9fff]")


@pytest.mark.parametrize(
    "words",
    [
        ["findings"], ["findings", "c", "--lang", "fr"], ["nosuchverb"], ["findings", "c", "--nosuch"],
        ["events", "c", "--limit", "many"], ["events", "c", "--limit"], ["image", "x"], ["findings", "c", "--json=1"],
        ["scene", "plan"],
    ],
)  # fmt: skip
def test_every_complaint_about_a_command_line_says_in_chinese_what_is_wrong(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    zh, en = capsys.readouterr().err.splitlines()[:2]
    assert _HAN.search(zh.partition("：")[2])
    assert not _HAN.search(en)


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (["case", "people", "c"], "list, add, dismiss"), (["open", "i.E01"], "ls, stat, hash, cat"),
        (["case"], "new, show, people, scope, baseline, duties"),
    ],
)  # fmt: skip
def test_a_choice_that_was_left_out_is_told_with_what_there_is_to_choose(
    words: list[str], known: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    zh, en = capsys.readouterr().err.splitlines()[:2]
    assert known in zh
    assert known in en


@pytest.mark.parametrize(
    ("condition", "zh", "en"),
    [
        ("srcip = '1'", "没有名为 srcip 的列", "no column is named srcip"),
        ("src_ip = = 1", "在 = 处不合语法", "not an expression at ="),
        ("nosuch(src_ip)", "没有名为 nosuch 的函数", "no function is named nosuch"),
    ],
)
def test_a_condition_that_cannot_be_used_is_explained_in_both_languages(
    worked: tuple[Path, Path, object], capsys: pytest.CaptureFixture[str], condition: str, zh: str, en: str
) -> None:
    capsys.readouterr()
    assert main(["events", str(worked[1]), "--where", condition]) == 2
    said = capsys.readouterr().err.splitlines()
    assert zh in said[0]
    assert en in said[1]
    assert not _HAN.search(said[1])


def test_an_expression_that_cannot_be_looked_for_gets_no_advice_about_sql(
    worked: tuple[Path, Path, object], capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ([], ["--bytes"]):
        capsys.readouterr()
        assert main(["find", str(worked[1]), "a(b", "--regex", *more]) == 2
        said = capsys.readouterr().err
        assert "HW0008 查找的内容无法使用：正则表达式有误" in said
        assert "SQL" not in said


def test_several_reasons_stand_each_on_a_line_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = str(tmp_path / "case")
    assert main(["case", "new", case, "--no-authority", "a test", "--examiner", "甲"]) == 0
    assert main(["scene", "plan", case, "--type", "response", "--asset", "web\n01"]) == 0
    capsys.readouterr()
    assert main(["scene", "record", case, "power-off", "--asset", "web\n01", "--unattested", "x"]) == 4
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "HW2151 现场保护规则不允许：关闭电源"
    assert lines[1:3] == [
        "       · " + inert(f"web\n01：{w}") for w in ("内存尚未提取", "已解锁的加密卷（LUKS、BitLocker）密钥尚未固定")
    ]
    assert lines[3].startswith("HW2151 the scene's rules forbid it")


def test_hint_leads_to_the_help_of_the_verb_that_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["open", "disk.raw"]) == 2
    assert "运行 headwater open --help 查看用法" in capsys.readouterr().err
    assert main(["case", "people", "c"]) == 2
    assert "See headwater case people --help." in capsys.readouterr().err


def test_mistyped_verb_names_the_one_that_was_meant_not_all_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["findins", "case"]) == 2
    zh, en = capsys.readouterr().err.splitlines()[:2]
    assert "没有 findins 这个命令，是否指 findings" in zh
    assert "did you mean findings" in en
    assert "verify-image" not in zh + en


def test_act_without_a_name_says_which_option_names_the_person() -> None:
    with pytest.raises(AuthorityError) as refused:
        permit({}, Actor("", None), "export")
    assert "--as" in refused.value.text("zh")


def test_an_unknown_option_leads_to_the_help_of_its_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "x", "--case", "c", "--out", "o", "--nosuch"]) == 2
    assert "headwater image --help" in capsys.readouterr().err


def test_what_may_be_left_out_is_also_taken_behind_an_option() -> None:
    """``open IMAGE ls -r PATH`` was refused, for the path had been given up at the option."""
    for words in (["ls", "-r", "p1!/etc"], ["ls", "p1!/etc", "-r"], ["-r", "ls", "p1!/etc"]):
        options = build("open").parse_args(["open", "disk.E01", *words])
        assert (options.act, options.path, options.recursive) == ("ls", "p1!/etc", True)
    options = build("add").parse_args(["add", "case", "--lang", "en", "log.txt"])
    assert (str(options.case), str(options.item)) == ("case", "log.txt")
    for words in (["ls", "a", "b"], ["ls", "-r", "a", "b"], ["ls", "a", "--nosuch"], ["ls", "--nosuch", "a"]):
        with pytest.raises(UsageError):
            build("open").parse_args(["open", "disk.E01", *words])
