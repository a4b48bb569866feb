# SPDX-License-Identifier: Apache-2.0
"""headwater notamper, the whole way: a verdict that stands nowhere, or a record that can be changed afterwards."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "reconstruct"))

from touched_disks import Disk, disk_images

from headwater.cli.main import EXIT_NOT_CLEAN, EXIT_USAGE, EXIT_VAULT, main
from headwater.model.times import rfc3339
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
    assert "raw sectors" in told
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


def test_folder_and_number_that_are_not_there(worked: tuple[Path, Path, object], copied: Path) -> None:
    baseline = ["--baseline", "2026-03-04T00:00:00Z", "--source", "x", "--uncertainty", "1"]
    assert main(["notamper", "E9", "--case", str(copied), *baseline]) == EXIT_VAULT
    assert main(["notamper", "E1", "--case", str(copied), *baseline]) == EXIT_NOT_CLEAN
    assert json.loads((copied / "notamper" / "E1.json").read_text())["verdict"] == "E"
