# SPDX-License-Identifier: Apache-2.0
"""A failure that is told in the wrong language, names the wrong cause, or an empty file that nobody explains."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headwater.acquire import windows_device
from headwater.cli.main import main
from headwater.cli.printing import line
from headwater.formats import e01, e01_sets, ewf_sections, ewf_tables
from headwater.model.errors import AcquireError, AuthorityError, UsageError
from headwater.procedure import collecting_again
from headwater.procedure.investigate import Outcome
from headwater.procedure.stated_words import told
from headwater.vault.roles import Actor, permit
from people import added, cheap, do, photograph, staffed

_LETTERS = re.compile(r"[A-Za-z]{2,} [a-z]{2,}")


def _details(module: Any) -> list[str]:
    """The details of a module's gaps and holes as its source writes them, their places filled with a 7."""
    source = Path(module.__file__).read_text()
    found = re.findall(
        r'(?:Gap|Hole|self\._note)\([^"\n]*(?:\([^()"\n]*\)[^"\n]*)?f?"([^"]+)"|detail = f?"([^"]+)"', source
    )
    return [re.sub(r"\{[^}]*\}", "7", a or b) for a, b in found]


def test_damage_of_an_e01_is_told_in_chinese_too() -> None:
    details = [d for m in (e01, e01_sets, ewf_sections, ewf_tables) for d in _details(m)]
    assert len(details) >= 12
    for detail in details:
        assert not _LETTERS.search(told(detail).zh), detail


@pytest.mark.parametrize(
    "words",
    [
        "no answer for 30 s", "nothing came for 30 s", "the command ended without saying how", "no answer",
        "[Errno 111] Connect call failed ('127.0.0.1', 22)", "[Errno -2] Name or service not known", "permission denied",
        "Connection lost", "No matching key exchange algorithm found, sent a, received b", "its shell is no POSIX sh",
        "connection lost, 5 attempts failed: Connection lost",
        *(f"{words} (5)" for words in windows_device._ERRORS.values()), "Windows error (1)",
    ],
)  # fmt: skip
def test_a_server_that_does_not_answer_is_told_in_chinese_too(words: str) -> None:
    error = AcquireError("HW2064", "web01:22", what=words)
    said = error.text("zh").replace("POSIX sh", "")
    assert not _LETTERS.search(said), said
    assert words in error.text("en")


def test_damaged_e01_is_looked_into_in_the_reader_s_language(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("ewfacquire") is None:
        pytest.skip("ewfacquire")
    (tmp_path / "disk").write_bytes(bytes(range(256)) * 2048)
    subprocess.run(
        ["ewfacquire", "-u", "-q", "-t", tmp_path / "disk", tmp_path / "disk"], check=True, capture_output=True
    )
    whole = (tmp_path / "disk.E01").read_bytes()
    (tmp_path / "cut.E01").write_bytes(whole[:-700])
    main(["open", str(tmp_path / "cut.E01"), "ls", "--lang", "zh"])
    said = capsys.readouterr().err
    assert "分段文件" in said
    assert not _LETTERS.search(said.replace("--case", "")), said


def test_two_persons_act_where_nobody_is_named_says_that() -> None:
    with pytest.raises(AuthorityError) as caught:
        permit({}, Actor(""), "destroy")
    assert caught.value.code == "HW1020"
    assert "尚无一人" in caught.value.text("zh")
    assert "--as, --approver" not in caught.value.text("en")


def test_named_stranger_is_still_said_not_to_be_enrolled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap(monkeypatch, tmp_path)
    staffed(tmp_path)
    with pytest.raises(AuthorityError) as caught:
        permit({}, Actor("王五"), "destroy")
    assert (caught.value.code, caught.value.names["what"]) == ("HW1010", "王五")


def test_body_file_without_a_row_says_why(
    worked: tuple[Path, Path, Outcome], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = worked[1]
    for language, words in (("zh", "只容文件的时间"), ("en", "times of files alone")):
        out = tmp_path / f"{language}.body"
        assert main(["timeline", str(case), "--format", "body", "--out", str(out), "--lang", language]) == 0
        assert words in capsys.readouterr().out


def _there(asset: str, notes: list[dict[str, Any]]) -> Any:
    entries = [SimpleNamespace(entry=SimpleNamespace(action=collecting_again.ACTED, note=n)) for n in notes]
    ledger = SimpleNamespace(entries=lambda: entries)
    return SimpleNamespace(corridor=SimpleNamespace(ledger=ledger), passed=SimpleNamespace(asset=asset))


def test_collection_under_another_name_is_pointed_at() -> None:
    cut = {"act": "collect", "asset": "10.0.0.8", "evidence": "2", "collection": {"end": {}, "ended": "lost"}}
    for number in (0, 2):
        with pytest.raises(UsageError) as caught:
            collecting_again.before(_there("web01", [cut]), number)
        assert "E2 (10.0.0.8)" in caught.value.text("zh")
        assert "E2 (10.0.0.8)" in caught.value.text("en")
    with pytest.raises(UsageError) as caught:
        collecting_again.before(_there("web01", [cut]), 7)
    assert "10.0.0.8" not in caught.value.text("en")


def test_wrong_use_of_a_verb_points_at_the_help_of_that_verb(
    worked: tuple[Path, Path, Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    case = str(worked[1])
    for words, zh in (
        (["timeline", case, "--since", "yesterday"], "不是时刻"),
        (["find", case, ""], "为空"),
        (["timeline", case, "--format", "csv"], "--out"),
        (["timeline", case, "--bogus"], "--bogus"),
    ):
        assert main([*words, "--lang", "zh"]) == 2
        said = capsys.readouterr().err
        assert zh in said
        assert f"headwater {words[0]} --help" in said
    assert main(["nosuch"]) == 2
    assert "headwater --help" in capsys.readouterr().err


def test_json_on_a_screen_holds_nothing_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"a": "\x1b[2J\x7f\x9b31m\u202egnp.exe\ufeff", "中文": "\n"}
    line(row)
    said = capsys.readouterr().out
    assert json.loads(said) == row
    assert said.endswith("}\n")
    assert said[:-1].isprintable()
    assert "中文" in said


def test_second_person_is_asked_for_in_words_and_a_seal_that_is_not_said_is_not_an_empty_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cheap(monkeypatch, tmp_path)
    case = str(staffed(tmp_path))
    photo = photograph(tmp_path)
    assert added(tmp_path, Path(case), photo, who="张三") == 0
    assert do(tmp_path, "seal", case, "I1", "--purpose", "封存", "--seal-after", "S-1", who="张三") == 0
    capsys.readouterr()
    assert do(tmp_path, "unseal", case, "I1", "--purpose", "检验", "--lang", "zh", who="张三") == 3
    assert "启封 unseal 须由两人办理，另一人须为 批准人 approver" in capsys.readouterr().err
    assert do(tmp_path, "unseal", case, "I1", "--purpose", "检验", "--approver", "王五", who="张三") == 5
    said = capsys.readouterr().err
    assert "启封时封条为 未说明（--seal-before），封存时为 S-1" in said
    assert "the seal was not said (--seal-before) when opened, S-1 when closed" in said
    assert do(tmp_path, "transfer", case, "I1", "--purpose", "移送", who="张三") == 2
    assert "缺少必填参数：--to NAME" in capsys.readouterr().err


def test_options_of_events_are_not_passed_over_when_bytes_are_looked_through(
    worked: tuple[Path, Path, Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    case = str(worked[1])
    assert main(["find", case, "sshd", "--bytes", "--since", "2026-01-01T00:00:00Z", "--lang", "zh"]) == 2
    assert "--since 只用于查找事件" in capsys.readouterr().err
    assert main(["find", case, "sshd", "--bytes", "--limit", "2", "--lang", "zh"]) in {0, 1}
    said = capsys.readouterr().out.splitlines()
    assert sum("@" in each for each in said) == 2
    assert "列出 2 处" in said[2]


def test_case_without_an_act_at_the_scene_says_so(
    worked: tuple[Path, Path, Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scene", "show", str(worked[1]), "--lang", "zh"]) == 0
    assert "尚未登记现场操作" in capsys.readouterr().out


def _run(words: list[str], encoding: str = "utf-8", out: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    start = [sys.executable, "-c", "import sys; from headwater.cli.main import entry; sys.exit(entry())", *words]
    if out is None:
        return subprocess.run(start, env=environment, capture_output=True, check=False)
    with out.open("wb") as file:
        return subprocess.run(start, env=environment, stdout=file, stderr=subprocess.PIPE, check=False)


def test_terminal_that_has_not_every_character_gets_escapes_and_json_stays_json(
    worked: tuple[Path, Path, Outcome],
) -> None:
    case = str(worked[1])
    done = _run(["findings", case, "--lang", "both"], "latin-1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\u5f15\\u8bc1" in done.stdout  # what stands before the citations
    row = _run(["findings", case, "--json"], "gbk").stdout.splitlines()[0]
    assert row.isascii()
    assert json.loads(row)["text"]["zh"]


def test_full_disk_behind_stdout_is_an_error_and_no_verdict(worked: tuple[Path, Path, Outcome]) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("/dev/full")
    for words in (["findings", str(worked[1]), "--lang", "zh"], ["custody", str(worked[1]), "--lang", "zh"]):
        done = _run(words, out=full)
        assert done.returncode == 6
        assert done.stderr.decode().startswith("HW0011 读写未成：stdout（磁盘空间不足）")
        assert b"Traceback" not in done.stderr
        assert b"ignored" not in done.stderr
