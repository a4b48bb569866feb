# SPDX-License-Identifier: Apache-2.0
"""Bad input gets a numbered message in both languages, an exit code, and nothing is lost or made."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.case.folder import prepare
from headwater.cli.main import EXIT_AUTHORITY, EXIT_NOT_CLEAN, EXIT_OTHER, EXIT_SOURCE, EXIT_USAGE, main
from headwater.procedure.investigate import Outcome
from headwater.vault.ledger import Ledger
from small_case import make_evidence

Worked = tuple[Path, Path, Outcome]


def _refused(capsys: pytest.CaptureFixture[str], code: str, *arguments: str) -> int:
    capsys.readouterr()
    exit_code = main(arguments)
    complaint = capsys.readouterr().err
    assert f"{code} " in complaint
    assert any("\u4e00" <= c <= "\u9fff" for c in complaint), "no Chinese"
    return exit_code


def test_without_authority_nothing_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_evidence(tmp_path / "evidence")
    case = tmp_path / "case"
    assert _refused(capsys, "HW1001", "investigate", str(source), "--case", str(case)) == EXIT_AUTHORITY
    assert not case.exists()
    assert (
        _refused(capsys, "HW1001", "investigate", str(source), "--case", str(case), "--no-authority", "  ")
        == EXIT_AUTHORITY
    )


def test_ended_authority_permits_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_evidence(tmp_path / "evidence")
    arguments = [
        "investigate",
        str(source),
        "--case",
        str(tmp_path / "case"),
        "--authority-no",
        "1",
        "--authority-by",
        "x",
    ]
    assert _refused(capsys, "HW1003", *arguments, "--authority-until", "2020-01-01") == EXIT_AUTHORITY
    assert _refused(capsys, "HW1005", *arguments, "--authority-until", "some day") == EXIT_USAGE
    missing = str(tmp_path / "none.pdf")
    assert _refused(capsys, "HW1002", *arguments, "--authority", missing) == EXIT_AUTHORITY


@pytest.mark.parametrize(("make", "code"), [("missing", "HW2001"), ("empty", "HW2002"), ("empty-folder", "HW2002")])
def test_source_that_is_not_there_or_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], make: str, code: str
) -> None:
    source = tmp_path / "source"
    if make == "empty":
        source.write_bytes(b"")
    elif make == "empty-folder":
        source.mkdir()
    arguments = ("investigate", str(source), "--case", str(tmp_path / "case"), "--no-authority", "test")
    assert _refused(capsys, code, *arguments) == EXIT_SOURCE


def test_folder_with_other_things_is_not_taken_for_a_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_evidence(tmp_path / "evidence")
    case = tmp_path / "case"
    case.mkdir()
    (case / "thesis.txt").write_text("three years of work")
    arguments = ("investigate", str(source), "--case", str(case), "--no-authority", "test")
    assert _refused(capsys, "HW0003", *arguments) == EXIT_USAGE
    assert [p.name for p in case.iterdir()] == ["thesis.txt"]


def test_other_sources_for_an_existing_case(worked: Worked, copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("investigate", str(worked[0] / "var"), "--case", str(copied), "--no-authority", "test")
    assert _refused(capsys, "HW0004", *arguments) == EXIT_USAGE


def test_condition_can_read_nothing_but_events(worked: Worked, capsys: pytest.CaptureFixture[str]) -> None:
    for condition in (
        "1=1) UNION SELECT * FROM read_text('/etc/passwd') --",
        "exists(SELECT 1 FROM read_text('/etc/passwd'))",
        "kind = (SELECT content FROM read_text('/etc/passwd'))",
        "true; COPY events TO '/tmp/x'",
        "no_such_column = 1",
        "kind =",
    ):
        assert _refused(capsys, "HW0006", "events", str(worked[1]), "--where", condition) == EXIT_USAGE


def test_case_that_was_not_examined_is_no_broken_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = str(tmp_path / "case")
    assert main(["case", "new", case, "--no-authority", "a test", "--examiner", "A"]) == 0
    for verb in ("findings", "steps", "summary", "report"):
        assert _refused(capsys, "HW0009", verb, case) == EXIT_USAGE
    assert main(["register", case, "--pdf", str(tmp_path / "r.pdf")]) == 0
    assert "尚未登记任何检材" in capsys.readouterr().out


def test_examination_that_goes_on_speaks_the_language_of_its_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case, log = str(tmp_path / "case"), tmp_path / "auth.log"
    log.write_text("2026-03-02T11:22:37+08:00 web01 sshd[31]: Server listening on 0.0.0.0 port 22.\n")
    assert main(["case", "new", case, "--no-authority", "a test", "--examiner", "A", "--lang", "zh"]) == 0
    capsys.readouterr()
    assert main(["investigate", str(log), "--case", case]) == 0
    said = capsys.readouterr().out
    assert "本次检验的检材共 1 项" in said
    assert "examined:" not in said


def test_verbs_refuse_what_is_no_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("findings", "steps", "events", "verify", "report"):
        assert _refused(capsys, "HW0002", verb, str(tmp_path)) == EXIT_USAGE
    assert _refused(capsys, "HW0002", "trace", str(tmp_path), "F-1") == EXIT_USAGE


def test_unknown_id_zone_and_rules(worked: Worked, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _refused(capsys, "HW0005", "trace", str(worked[1]), "F-0000000000000000") == EXIT_USAGE
    base = ("investigate", str(worked[0]), "--case", str(tmp_path / "c"), "--no-authority", "test")
    assert _refused(capsys, "HW1004", *base, "--zone", "Mars/Olympus") == EXIT_USAGE
    assert _refused(capsys, "HW6001", *base, "--rules", str(tmp_path / "none")) == EXIT_OTHER
    assert _refused(capsys, "HW0001", *base, "--year", "x") == EXIT_USAGE
    assert _refused(capsys, "HW0001", *base, "--trusted-proxy", "10.0.0.0/99") == EXIT_USAGE
    assert not (tmp_path / "c").exists()  # a mistyped word must not use up the case folder


def test_case_folder_left_by_a_run_that_never_opened_the_case_still_asks_for_the_authority(
    worked: Worked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(tmp_path / "c")
    with Ledger(tmp_path / "c", create=True):
        pass
    arguments = ("investigate", str(worked[0]), "--case", str(tmp_path / "c"))
    assert _refused(capsys, "HW1001", *arguments) == EXIT_AUTHORITY
    image = tmp_path / "i"
    image.write_bytes(b"\0" * 512)
    assert _refused(capsys, "HW1001", "open", str(image), "ls", "--case", str(tmp_path / "c")) == EXIT_AUTHORITY


def test_a_detector_that_fails_is_no_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from headwater.detect import registry

    name, detector = next((n, d) for n, d in registry.all_detectors().items() if not getattr(d, "ENTERS", False))

    def fails(*_: object) -> object:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(detector, "detect", fails)
    case = tmp_path / "case"
    words = ("investigate", str(make_evidence(tmp_path / "evidence")), "--case", str(case), "--no-authority", "a test")
    assert main([*words, "--examiner", "甲", "--no-reread"]) == EXIT_NOT_CLEAN
    assert f"detector did not run: {name}: ZeroDivisionError" in capsys.readouterr().out
    assert f"检测器 {name} 未能运行" in (case / "report" / "report.html").read_text()
