# SPDX-License-Identifier: Apache-2.0
"""A damaged image whose examination ends as if nothing were wrong, or counts what is lost in it twice."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from headwater.cli.main import main

_NOISE = random.Random(1).randbytes(1 << 20)


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """An E01 of an ext4 file system in which one byte of one file's content was changed afterwards."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "noise").write_bytes(_NOISE)
    disk = tmp_path / "disk.img"
    with disk.open("wb") as out:
        out.truncate(4 << 20)
    words = ["mkfs.ext4", "-q", "-F", "-b", "4096", "-d", str(tmp_path / "tree"), str(disk)]
    subprocess.run(words, check=True, capture_output=True)
    words = ["image", str(disk), "--case", str(tmp_path / "made"), "--out", str(tmp_path / "web01"), "--no-authority", "a test",
             "--no-reread", "--state", "static"]  # fmt: skip
    assert main(words) == 0
    (tmp_path / "web01.json").unlink()  # the container is to tell by itself
    image = tmp_path / "web01.E01"
    data = bytearray(image.read_bytes())
    data[data.index(_NOISE[500_000:500_064])] ^= 1
    image.write_bytes(data)
    return image


def test_examination_of_a_damaged_image_says_that_it_is_not_claimable_in_words_and_exit_code(
    damaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = str(damaged.parent / "case")
    assert main(["investigate", str(damaged), "--case", case, "--no-authority", "a test", "--no-reread"]) == 1
    said = capsys.readouterr().out
    assert "不可主张" in said
    assert "不可主张 NOT CLAIMABLE: " in said
    # one chunk of the medium, which is also in a file: the medium's bytes are lost once
    assert "unreadable 1 (32,768 B)" in said
    assert main(["verify", case]) == 1
    said = capsys.readouterr().out
    assert "not claimable" in said
    assert "failed" not in said.lower()
