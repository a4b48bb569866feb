# SPDX-License-Identifier: Apache-2.0
"""A clock that was wrong must be found out, corrected in one place, and never by touching what was recorded."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from headwater.cli.main import main
from headwater.procedure.clocks import clocks, skews
from headwater.procedure.corridor import open_case, store_of
from headwater.procedure.investigate import investigate
from headwater.procedure.verification import verify
from small_case import order

LOGINS = 9


def _log(folder: Path, host: str, late: int) -> Path:
    """Syslog with its zone stated, of a host and of the server that its lines were forwarded to."""
    folder.mkdir(parents=True)
    lines = [
        f"2026-03-0{n + 1}T08:{n:02}:{30 + late % 60 + n % 2:02}.000000+08:00 {host} sshd[{400 + n}]: "
        f"Accepted password for user{n} from 203.0.113.{n} port {50000 + n} ssh2"
        for n in range(LOGINS)
    ]
    (folder / "auth.log").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("clocks")
    first = _log(base / "web", "web01", 20)
    second = _log(base / "logs", "web01", 5)
    asked = order(first, base / "case")
    investigate(replace(asked, sources=(first, second)))
    return base / "case"


def test_wrong_clock_is_seen_corrected_and_what_was_recorded_stays(
    case: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corridor = open_case(case)
    with corridor.ledger:
        found = {s.ground: s for s in skews(corridor)}
        before = (
            store_of(corridor)
            .scan(feeds=["linux.auth"])
            .select("source", "offset", "t_recorded", "ts")
            .collect()
            .sort("source", "offset")
        )
    assert {(s.first, s.second, s.ahead, s.matched) for s in found.values()} == {(1, 2, 15 * 10**9, LOGINS)}
    assert {"login", "message"} <= set(found)

    assert main(["clock", os.fspath(case), "--skew", "1=15", "--zone", "2=Asia/Shanghai"]) == 0
    told = capsys.readouterr().out
    assert "Asia/Shanghai" in told
    corridor = open_case(case)
    with corridor.ledger:
        assert {s.ahead for s in skews(corridor)} == {0}
        after = (
            store_of(corridor)
            .scan(feeds=["linux.auth"])
            .select("source", "offset", "t_recorded", "ts")
            .collect()
            .sort("source", "offset")
        )
        assert after["t_recorded"].equals(before["t_recorded"])
        moved = (before["ts"] - after["ts"]).to_list()
        assert moved == [15 * 10**9 if s == 1 else 0 for s in before["source"]]
        assert [c.skew_ns for c in clocks(corridor)] == [15 * 10**9, 0]
        assert corridor.ledger.last("settings") is not None
        assert {c.result for c in verify(corridor)} == {"ok"}


def test_item_or_number_that_is_none_changes_nothing(case: Path) -> None:
    head = open_case(case).settings
    for words in (["--skew", "9=1"], ["--skew", "1=soon"], ["--zone", "1=Nowhere/Else"], ["--skew", "1=nan"]):
        assert main(["clock", os.fspath(case), *words]) in (2, 3)
    assert open_case(case).settings == head
