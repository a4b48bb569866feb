# SPDX-License-Identifier: Apache-2.0
"""Broken containers, unknown and encrypted volumes, a full disk: said with a number or a gap, and nothing is lost."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headwater.cli.main import EXIT_SOURCE, main
from headwater.model.errors import VaultError
from headwater.procedure.accounts import load_ranges
from headwater.procedure.corridor import open_case
from headwater.procedure.investigate import investigate
from headwater.procedure.verification import verify
from small_case import make_evidence, order


def _gaps(case: Path) -> list[dict[str, Any]]:
    parts = sorted((case / "gaps").rglob("*.parquet"))
    return [row for part in parts for row in pl.read_parquet(part).to_dicts()]


def _tiled(case: Path, size: int) -> dict[str, int]:
    """The states of the one medium; fails unless they tile it."""
    at = 0
    sums: dict[str, int] = {}
    for offset, length, state in load_ranges(case)[1]:
        assert offset == at
        at += length
        sums[state] = sums.get(state, 0) + length
    assert at == size
    return sums


def test_e01_without_its_second_segment_is_refused(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(shared_data / "dfvfs/test_data/ext2.split.E01", tmp_path / "a.E01")
    code = main(["investigate", str(tmp_path / "a.E01"), "--case", str(tmp_path / "case"), "--no-authority", "test"])
    assert code == EXIT_SOURCE
    assert "HW2004" in capsys.readouterr().err


def test_e01_cut_short_is_read_as_far_as_it_goes_and_the_rest_is_a_gap(shared_data: Path, tmp_path: Path) -> None:
    source = tmp_path / "cut.E01"
    source.write_bytes((shared_data / "dfvfs/test_data/ext2.E01").read_bytes()[:9000])
    outcome = investigate(order(source, tmp_path / "case"))
    assert any(v.what == "read-completely" and v.result == "mismatch" for v in outcome.items[0].verdicts)
    assert any(g["reason"] == "unreadable" for g in _gaps(tmp_path / "case"))
    assert "unreadable" in _tiled(tmp_path / "case", outcome.items[0].size)


def test_whole_image_matches_its_stated_digest_and_is_tiled(shared_data: Path, tmp_path: Path) -> None:
    outcome = investigate(order(shared_data / "dfvfs/test_data/ext2.E01", tmp_path / "case"))
    assert [v.result for v in outcome.items[0].verdicts] == ["match"]
    states = _tiled(tmp_path / "case", outcome.items[0].size)
    assert states["metadata"] > 0
    assert states["unallocated"] > 0


@pytest.mark.parametrize(
    ("head", "reason"),
    [(b"LUKS\xba\xbe\x00\x01", "encrypted"), (b"\xeb\x52\x90-FVE-FS-", "encrypted"), (b"\x99", "unsupported")],
)
def test_volume_that_cannot_be_opened_is_one_stated_gap(tmp_path: Path, head: bytes, reason: str) -> None:
    source = tmp_path / "disk.raw"
    source.write_bytes(head + random.Random(7).randbytes(64) * 4096)
    outcome = investigate(order(source, tmp_path / "case"))
    gaps = [g for g in _gaps(tmp_path / "case") if g["reason"] == reason]
    assert gaps, "an unopened volume was passed over in silence"
    assert sum(_tiled(tmp_path / "case", outcome.items[0].size).values()) == source.stat().st_size
    assert outcome.judged.steps == ()


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A mounted tmpfs of 600 KiB; root alone may mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "none", folder], check=False).returncode
    ):
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=False)


def test_full_disk_is_said_and_the_same_command_goes_on_when_there_is_room(small_disk: Path, tmp_path: Path) -> None:
    source = make_evidence(tmp_path / "evidence")
    with pytest.raises(VaultError) as caught:
        investigate(order(source, small_disk / "case"))
    assert caught.value.code in {"HW3001", "HW3004"}
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    outcome = investigate(order(source, small_disk / "case"))
    assert outcome.judged.findings
    corridor = open_case(small_disk / "case")
    with corridor.ledger:
        assert not [c for c in verify(corridor) if c.result == "failed"]


def test_file_that_vanishes_or_cannot_be_read_is_a_gap_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headwater.formats import folders

    source = make_evidence(tmp_path / "evidence")
    real = folders.FolderTree.open_file

    def refuse(self: Any, key: str) -> Any:
        if key.endswith("auth.log.1") and getattr(self, "asked", False):
            raise PermissionError(13, "Permission denied")
        self.asked = True
        return real(self, key)

    monkeypatch.setattr("headwater.procedure.folder_listing.FolderTree.open_file", refuse)
    outcome = investigate(order(source, tmp_path / "case"))
    assert outcome.incomplete == ("/var/log/auth.log.1",)
    gap = next(g for g in _gaps(tmp_path / "case") if g["path"] == "/var/log/auth.log.1")
    assert (gap["reason"], gap["offset"], gap["length"]) == (
        "unreadable",
        0,
        (source / "var/log/auth.log.1").stat().st_size,
    )
    assert any(f.rule.id == "ssh-guessing" for f in outcome.judged.findings)


def test_names_and_case_folders_of_any_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "case [9] 'x'"
    source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff!%41.log"))
    source.write_bytes((make_evidence(tmp_path / "e") / "var/log/auth.log").read_bytes())
    outcome = investigate(order(source, folder))
    assert outcome.judged.findings
    assert main(["events", str(folder), "--where", "kind = 'auth.success'"]) == 0
    corridor = open_case(folder)
    with corridor.ledger:
        assert {c.result for c in verify(corridor)} == {"ok"}
