# SPDX-License-Identifier: Apache-2.0
"""A person who is turned away at the door: no first screen, a verb that is hidden, help in half a language."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

import pytest

from headwater.cli import welcome
from headwater.cli.main import build, main, name_of, verbs
from headwater.cli.meter import Meter


def test_bare_command_shows_every_verb_and_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    for verb in verbs():
        assert f"  {name_of(verb)} " in said.out
    assert "headwater investigate" in said.out


def test_verb_that_has_no_place_in_the_table_is_still_shown() -> None:
    groups = dict(welcome.grouped(["verify", "juggle"]))
    assert groups["其他 · further verbs"] == ["juggle"]
    assert sum(map(len, groups.values())) == 2


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from _parsers(sub)


@pytest.mark.parametrize(
    "verb", ["findings", "steps", "events", "trace", "verify", "report", "reference", "investigate"]
)
def test_help_is_whole_in_both_languages(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([verb, "--help"])
    assert left.value.code == 0
    said = capsys.readouterr().out
    assert "positional arguments" not in said
    assert "show this help message" not in said
    assert "退出码 exit codes" in said
    parser = next(p for p in _parsers(build()) if p.prog == f"headwater {verb}")
    for action in parser._actions:
        words = action.help or ""
        assert any("\u4e00" <= c <= "\u9fff" for c in words), (verb, action.dest)
        assert any(c.isascii() and c.isalpha() for c in words), (verb, action.dest)


def _told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_last_line_of_finished_work_is_its_full_total(capsys: pytest.CaptureFixture[str]) -> None:
    with Meter() as meter:
        meter("parse", 0, 1000, "bytes")
        meter("parse", 370, 1000, "bytes")
        meter("detect", 12, 13, "detectors")
    lines = _told(capsys)
    assert "(100 %)" in [line for line in lines if "parsing" in line][-1]
    assert "13 / 13 个检测器 detectors (100 %)" in lines[-1]


def test_progress_of_a_case_in_one_language_speaks_that_one_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("headwater.cli.meter.time.monotonic", lambda: clock[0])
    for language in ("zh", "en"):
        clock[0] = 0.0
        with Meter(language) as meter:
            meter("detect", 0, 40, "detectors")
            clock[0] = 10.0
            meter("detect", 20, 40, "detectors")
            meter("list", 5, None, "entries")
            meter("sigma", 0, None, "rules")
            meter("report", 0, 2, "files")
            meter("hash", 1, None, "bytes")
    told = _told(capsys)
    half = len(told) // 2
    assert "检测：20 / 40 个检测器 (50 %), 2 个检测器/秒, 剩余 10 秒" in told
    assert "detecting: 20 / 40 detectors (50 %), 2 detectors/s, left 10 s" in told
    assert not any(re.search("[a-z]", line.replace("KiB", "").replace("B", "").lower().replace("sigma", ""))
                   for line in told[:half])  # fmt: skip
    assert not any(re.search("[\u4e00-\u9fff]", line) for line in told[half:])


def test_small_files_first_do_not_foretell_days(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("headwater.cli.meter.time.monotonic", lambda: clock[0])
    for stage in ("parse", "image"):
        clock[0] = 0.0
        with Meter("en") as meter:
            for clock[0], done in ((0.0, 0), (90.0, 100), (180.0, 60_000)):
                meter(stage, done, 100_000, "bytes")
    parse, image = (
        line for line in _told(capsys) if line.startswith(("parsing", "imaging")) and "(0 %), 1 B/s" in line
    )
    assert "left" not in parse
    assert "left" in image, "a disk is read at an even pace"


def test_work_that_failed_is_never_said_to_be_complete(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with Meter() as meter:
            meter("parse", 370, 1000, "bytes")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        work()
    assert not any("100 %" in line for line in _told(capsys))


def test_two_items_in_one_stage_both_reach_their_total(capsys: pytest.CaptureFixture[str]) -> None:
    with Meter() as meter:
        for total in (500, 900):
            meter("hash", 0, total, "bytes")
            meter("hash", total // 2, total, "bytes")
    assert sum("(100 %)" in line for line in _told(capsys)) == 2


def test_time_left_is_not_foretold_from_the_first_bytes_and_is_never_nought(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("headwater.cli.meter.time.monotonic", lambda: clock[0])
    with Meter() as meter:
        meter("parse", 0, 1 << 24, "bytes")
        for clock[0], done in ((12.0, 1 << 16), (24.0, 1 << 22), (36.0, 1 << 23), (48.0, (1 << 24) - 1)):
            meter("parse", done, 1 << 24, "bytes")
    early, quarter, half, last = _told(capsys)[1:5]
    assert "left" not in early
    assert quarter.endswith("left 72 s")
    assert half.endswith("left 36 s")
    assert last.endswith("left 1 s")


def test_time_left_follows_the_rate_of_late_not_that_of_a_slow_start(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("headwater.cli.meter.time.monotonic", lambda: clock[0])
    with Meter() as meter:
        for clock[0], done in ((0.0, 0), (600.0, 1000), (660.0, 2000), (720.0, 3000)):
            meter("parse", done, 10_000, "bytes")
    assert _told(capsys)[3].endswith("left 7 min")


def test_a_form_that_is_read_alone_is_not_hoped_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["convert", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "只读入，不写出" in told
    assert "virtual forms are read, not written" in told
