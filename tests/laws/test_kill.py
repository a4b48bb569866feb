# SPDX-License-Identifier: Apache-2.0
"""Killed at any moment, the same command goes on where it stopped, and the rows are those of a run in peace."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headwater.cli.main import main
from headwater.procedure.corridor import open_case
from headwater.procedure.verification import verify
from small_case import make_evidence

KILLS = 25 if os.environ.get("HEADWATER_LONG") else 2


def _arguments(source: Path, case: Path) -> list[str]:
    words = ["investigate", str(source), "--case", str(case)]
    return [*words, "--no-authority", "test", "--zone", "Asia/Shanghai", "--lang", "zh"]


def _start(source: Path, case: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "headwater.cli.main", *_arguments(source, case)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)


def _rows(case: Path) -> dict[str, bytes]:
    wanted = [*case.glob("events/*/*.parquet"), *case.glob("gaps/*/*.parquet"), case / "findings.jsonl"]
    return {str(p.relative_to(case)): p.read_bytes() for p in wanted}


def _children_of(group: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int((entry / "stat").read_text().rpartition(")")[2].split()[2]) == group:
                    found.append(int(entry.name))
            except (OSError, IndexError):
                continue  # it ended while we looked
    return found


def test_killed_run_goes_on_and_ends_the_same(tmp_path: Path, worked: tuple[Path, Path, object]) -> None:
    source = make_evidence(tmp_path / "evidence")
    began = time.monotonic()
    peace = _start(source, tmp_path / "peace")
    _, errors = peace.communicate(timeout=120)
    assert peace.returncode == 0, errors.decode()
    whole = time.monotonic() - began
    expected = _rows(tmp_path / "peace")
    chance = random.Random(20260302)
    for at in range(KILLS):
        case = tmp_path / f"killed-{at}"
        delay = chance.uniform(0.15, 0.95) * whole
        process = _start(source, case)
        try:
            process.communicate(timeout=delay)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        deadline = time.monotonic() + 10
        while _children_of(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _children_of(process.pid), "children outlive their killed parent"
        again = _start(source, case)
        _, errors = again.communicate(timeout=120)
        assert again.returncode == 0, f"after a kill at {delay:.2f} s: {errors.decode()}"
        assert _rows(case) == expected, f"after a kill at {delay:.2f} s"
        corridor = open_case(case)
        with corridor.ledger:
            assert not [c for c in verify(corridor) if c.result == "failed"]


@pytest.mark.parametrize("left", ["keys", "ledger", "tmp"])
def test_debris_of_an_early_kill_is_no_obstacle(tmp_path: Path, left: str) -> None:
    """What a run leaves that is killed before its first ledger entry."""
    source = make_evidence(tmp_path / "evidence")
    case = tmp_path / "case"
    case.mkdir()
    (case / ".lock").touch()
    if left in {"keys", "tmp"}:
        (case / "keys").mkdir()
        (case / "keys" / ("case.key.tmp" if left == "tmp" else "x.tmp")).touch()
    if left == "ledger":
        (case / "ledger.db").touch()
    assert main(_arguments(source, case)) == 0
