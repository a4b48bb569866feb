# SPDX-License-Identifier: Apache-2.0
"""headwater notamper, the whole way: a verdict that stands nowhere, or a record that can be changed afterwards."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "reconstruct"))

from touched_disks import Disk, disk_images

from headwater.case.authority import Claim
from headwater.case.mandate import Mandate
from headwater.cli.main import EXIT_NOT_CLEAN, EXIT_USAGE, EXIT_VAULT, main
from headwater.model.errors import UsageError
from headwater.model.times import rfc3339
from headwater.procedure.casework import new_case
from headwater.procedure.corridor import open_case
from headwater.procedure.notamper_grounds import act, acts_of, known_digests
from headwater.procedure.notamper_held import papers
from headwater.procedure.standing import rows
from headwater.reconstruct.notamper_terms import Baseline
from headwater.vault.ledger import Ledger


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    made = Disk(tmp_path_factory.mktemp("touched"), lambda path: disk_images.ext(path, size="16M"))
    yield made
    made.close()


def _append(root: Path) -> None:
    with (root / "srv/data/ledger.csv").open("ab") as file:
        file.write(b"2026-03-02,4711,transfer,999999\n")


def test_verdict_stands_in_the_ledger_and_the_report(
    disk: Disk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, case = disk.touched(_append), tmp_path / "case"
    words = ["--case", str(case), "--no-authority", "test", "--examiner", "甲", "--workers", "1", "--no-reread"]
    assert main(["investigate", str(image), *words]) == 0
    assert main(["notamper", "E1", "--case", str(case)]) == EXIT_USAGE, "without a baseline there is no question"
    capsys.readouterr()
    baseline = ["--baseline", str(rfc3339(disk.t0)), "--source", "扣押笔录", "--uncertainty", "1", "--lang", "zh"]
    assert main(["notamper", "E1", "--case", str(case), *baseline]) == EXIT_NOT_CLEAN
    told = capsys.readouterr().out
    assert "D：发现基准时间之后未能解释的改动" in told
    assert "/srv/data/ledger.csv" in told
    assert "直接改写扇区" in told
    assert "raw sectors" not in told, "one language is one language"
    record = json.loads((case / "notamper" / "E1.json").read_text())
    assert record["verdict"] == "D"
    assert {s["layer"] for s in record["signs"]} == {1, 2, 3, 4}
    assert (case / "notamper" / "E1.pdf").read_bytes()[:5] == b"%PDF-"
    with Ledger(case) as ledger:
        entered = ledger.last("notamper")
        assert entered is not None
        assert entered.entry.note["verdict"] == "D"
        assert set(entered.entry.products) == {f"notamper/E1.{kind}" for kind in ("json", "html", "pdf")}
    assert main(["report", str(case), "--lang", "zh"]) == 0
    page = (case / "report" / "report.html").read_text()
    assert "检材的无污损检验" in page
    assert "/srv/data/ledger.csv" in page
    (case / "notamper" / "E1.json").write_text(json.dumps(record | {"verdict": "A"}))
    assert main(["report", str(case), "--lang", "zh"]) == EXIT_VAULT, "a record that was changed is not printed"
    corridor = open_case(case)
    with corridor.ledger:
        assert [(name, same) for _, name, same in papers(corridor)] == [
            ("notamper/E1.html", True), ("notamper/E1.json", False), ("notamper/E1.pdf", True),
        ]  # fmt: skip
        found = [row for row in rows(corridor, corridor.ledger.examined(), ()) if "E1.json" in row[0][1]]
    assert [row[1] for row in found] == ["failed"]


def test_folder_and_number_that_are_not_there(worked: tuple[Path, Path, object], copied: Path) -> None:
    baseline = ["--baseline", "2026-03-04T00:00:00Z", "--source", "x", "--uncertainty", "1"]
    assert main(["notamper", "E9", "--case", str(copied), *baseline]) == EXIT_VAULT
    assert main(["notamper", "E1", "--case", str(copied), *baseline]) == EXIT_NOT_CLEAN
    assert json.loads((copied / "notamper" / "E1.json").read_text())["verdict"] == "E"


def test_acts_of_the_ledger_reach_from_their_beginning_to_their_end(tmp_path: Path) -> None:
    new_case(tmp_path / "case", Claim(waiver="test"), Mandate(), {}, ["甲"], ["headwater"])
    corridor = open_case(tmp_path / "case")
    base = Baseline(time.time_ns() - 10**9, "a test")
    with corridor.ledger:
        corridor.record("image-begin", note={"state": "live"})
        corridor.record("isolate-begin")
        corridor.record("image")
        corridor.record("add-item")
        corridor.record("isolate")
        corridor.record("scene-act", note={"started": "2030-01-01T00:00:00Z", "ended": "2030-01-01T00:05:00Z"})
        found, stated = acts_of(corridor, base, time.time_ns())
    assert stated == "running", "a live image says that the system ran"
    assert [a.words for a in found] == ["image", "isolate"], (
        "adding a file touches nothing; what began later explains nothing"
    )
    assert all(base.t0 <= a.first <= a.last for a in found)
    for word in ("2026-01-01T00:00:00Z=x", "2026-01-01T00:00:00Z/2026-01-01T01:00:00Z=", "x/y=z"):
        with pytest.raises(UsageError):
            act(word)


def test_list_of_digests_is_read_as_sha256sum_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text(f"{'a' * 64}  ./etc/passwd\n{'B' * 64} *usr/bin/ls\nnothing\n")
    known, _ = known_digests(path, None, "")
    assert known.digests == {"/etc/passwd": "a" * 64, "/usr/bin/ls": "b" * 64}
    path.write_text("nothing\n")
    with pytest.raises(UsageError):
        known_digests(path, None, "")
