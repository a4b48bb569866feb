# SPDX-License-Identifier: Apache-2.0
"""A screen in the wrong language: a verb that cannot be asked for one, or that answers in the other all the same."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import headwater
from headwater.cli.main import asked_language, build, main
from headwater.cli.printing import language_of
from headwater.procedure.investigate import Outcome
from people import cheap, do

# four Latin words in a row are a sentence of ours; names, paths and digests are shorter or hold other signs
_ENGLISH = re.compile(r"(?<![\w./=-])[A-Za-z]{2,}(?: [a-z]{2,}){2,}")
# what is no word of ours: a log's own text, a command to type, the names of choices
_OF_EVIDENCE = re.compile(r"(认证|  utf-8  ).*|headwater [\w -]+|category: .*|admin examiner custodian|（2021）.*第")
_HAN = re.compile(r"[\u4e00-\u9fff]")
_MIXED = re.compile(r"[\u4e00-\u9fff]( · | )[a-z]{2,}")


def _leaves(parser: argparse.ArgumentParser, words: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    acts = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    for act in acts:
        for name, each in act.choices.items():
            yield from _leaves(each, f"{words} {name}")
    if not acts:
        yield words, parser


def test_a_verb_that_cannot_be_asked_for_a_language() -> None:
    without = [n for n, p in _leaves(build(), "headwater") if "--lang" not in p._option_string_actions]
    assert not without


def _printed(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The strings of a module that are neither documentation nor an option's help, which stand in both languages."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            skipped |= {id(each) for each in ast.walk(body[0])}
        helps = isinstance(node, ast.FunctionDef) and any(a.arg == "parser" for a in node.args.args)
        table = isinstance(node, (ast.Assign, ast.AnnAssign)) and node.col_offset == 0
        if helps or table:
            skipped |= {id(each) for each in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.lineno, node.value


def test_two_languages_in_one_string_that_no_option_can_part() -> None:
    found = []
    for path in sorted((Path(headwater.__file__).parent / "cli").glob("*.py")):
        if path.stem in {"main", "welcome", "errand", "options"}:  # the help, which stands in both languages
            continue
        for line, text in _printed(ast.parse(path.read_text())):
            if _MIXED.search(re.sub(r"(headwater|--)[ \w-]+|\b(nft|age|sudo|sh)\b", "", text)):
                found.append(f"{path.name}:{line} {text[:60]}")
    assert not found, "\n".join(found)


@pytest.fixture
def said(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], language: str
) -> str:
    """All that the verbs print of one case, asked in one language; people and files have names of that language."""
    cheap(monkeypatch, tmp_path)
    case, lang = str(copied), ["--lang", language]
    disk = tmp_path / "disk.bin"
    disk.write_bytes(b"\x33" * 70_000)
    item = tmp_path / "f.jpg"
    item.write_bytes(b"\xff\xd8 x")
    one, two, why = ("张三", "李四", "测试") if language == "zh" else ("Ann", "Bob", "test")
    key = ["--passphrase-file", str(tmp_path / "pass")]
    case2, image = str(tmp_path / "c2"), str(tmp_path / "i")
    first = ["add", case, str(item), "--category", "photograph", "--source", why, "--method", "onsite"]
    runs: list[list[str]] = [
        ["case", "new", case2, "--no-authority", why, "--examiner", one, *lang],
        ["case", "people", case2, "list"], ["case", "duties", case2, "--laws"], ["case", "scope", case2],
        ["register", case2], ["custody", case2], ["defects", case2],
        ["scene", "plan", case2, "--goal", why], ["scene", "record", case2, "power", "--unattested", why],
        ["scene", "record", case2, "nothing"], ["scene", "show", case2], ["scene", "acts"],
        ["case", "people", case, "add", one, "--role", "admin", "--role", "examiner", "--role", "custodian", *key],
        ["case", "people", case, "add", two, "--role", "approver", "--role", "custodian", "--as", one, *key],
        ["case", "people", case, "list"], ["case", "show", case], ["case", "scope", case],
        ["case", "duties", case, "--known", "2026-03-03T00:00:00Z", "--operator", "cii", "--matter", "criminal",
         "--as", one, *key],
        [*first, "--absent-rest", why, "--as", one, *key], [*first, "--as", one, *key], ["add", "--fields"],
        ["transfer", case, "E1", "--purpose", why, "--from", one, "--to", two, "--as", one, *key],
        ["transfer", case, "E1", "--purpose", why, "--receive", "--as", two, *key],
        ["seal", case, "E1", "--purpose", why, "--seal-after", "7", "--as", two, *key],
        ["checkout", case, "E1", "--purpose", why, "--to", two, "--as", two, *key],
        ["hold", case, "E1", "--purpose", why, "--as", two, *key], ["custody", case], ["register", case],
        ["unseal", case, "E1", "--purpose", why, "--as", two, *key],
        ["defects", case], ["anchor", case], ["anchor", case, "--check", str(item)],
        ["witness", "init", str(tmp_path / "w"), "--name", one],
        ["witness", "ask", case, "--out", str(tmp_path / "q")],
        ["witness", "sign", str(tmp_path / "w"), str(tmp_path / "q"), "--out", str(tmp_path / "r")],
        ["witness", "keep", case, str(tmp_path / "r")], ["witness", "sign", str(tmp_path / "w"), str(item), "--out", "x"],
        ["image", str(disk), "--case", case2, "--out", image, "--format", "raw", "--hash", "sha256",
         "--confirm-unprotected", why, "--override", why, "--because", why],
        ["verify-image", f"{image}.dd"], ["open", f"{image}.dd", "ls"],
        ["open", str(tmp_path), "ls"],
        ["convert", f"{image}.dd", "--out", str(tmp_path / "o"), "--format", "raw"],
        ["convert", f"{image}.dd", "--out", str(tmp_path / "none" / "o")],
        ["export", case, "--out", str(tmp_path / "e.hwcase"), "--to", one, "--basis", why, "--as", one,
         "--approver", two, *key],
        ["verify", str(tmp_path / "e.hwcase")], ["collect", "local:", "--case", case2, "--profile", "web", "--list"],
        ["summary", case], ["findings", case], ["steps", case], ["clock", case], ["events", case, "--limit", "2"],
        ["timeline", case, "--limit", "2"], ["find", case, "root", "--limit", "2"], ["trace", case, "evidence-1"],
        ["trace", case, "ledger-1"], ["find", case, "Accepted", "--bytes"], ["disks"],
    ]  # fmt: skip
    capsys.readouterr()
    told = []
    for words in runs:
        if words[:2] == ["collect", "local:"]:
            words = [*words[:-1], *lang, "--list"]  # an option that ends the run; the language stands before it
        try:
            main(words if words[-2:] == lang else [*words, *lang])
        except SystemExit:
            pass
        out, err = capsys.readouterr()
        told += [f"{' '.join(words[:3])[:40]} | {line}" for line in (out + err).splitlines()]
    return "\n".join(told)


@pytest.mark.parametrize("language", ["zh"])
def test_chinese_asked_for_and_english_sentences_told(said: str) -> None:
    found = [line for line in said.splitlines() if _ENGLISH.search(_OF_EVIDENCE.sub("", line.partition(" | ")[2]))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("language", ["en"])
def test_english_asked_for_and_chinese_told(said: str) -> None:
    found = [line for line in said.splitlines() if _HAN.search(line.partition(" | ")[2]) and "baota" not in line]
    assert not found, "\n".join(found)


def test_a_complaint_stands_in_the_language_asked_for_though_the_rest_cannot_be_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["image", "--lang", "zh", "--nonsense"]) == 2
    assert not _ENGLISH.search(capsys.readouterr().err)
    assert main(["image", "--lang=en", "--nonsense"]) == 2
    assert not _HAN.search(capsys.readouterr().err)
    assert main(["image", "--nonsense"]) == 2
    err = capsys.readouterr().err
    assert _HAN.search(err)
    assert "required" in err
    assert asked_language(["x", "--lang", "nl"]) == "both"


def test_the_language_of_the_case_holds_where_none_is_asked_for(
    worked: tuple[Path, Path, Outcome],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cheap(monkeypatch, tmp_path)
    case = tmp_path / "case"
    assert main(["case", "new", str(case), "--no-authority", "a test", "--examiner", "A", "--lang", "en"]) == 0
    assert language_of(case) == "en"
    assert do(tmp_path, "case", "people", str(case), "list") == 0
    assert "nobody is enrolled yet" in capsys.readouterr().out
    assert main(["defects", str(case)]) == 1
    assert not _HAN.search(capsys.readouterr().out)
