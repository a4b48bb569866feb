# SPDX-License-Identifier: Apache-2.0
"""A split image without its last part that is listed as if it were whole."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from headwater.formats.filesystems import open_filesystem
from headwater.formats.sources import MemorySource
from headwater.formats.volumes import volumes
from headwater.model.kinds import GapReason
from headwater.model.records import Gap

MIB = 1 << 20
MADE = {
    "fat16": (["mkfs.fat", "-F", "16"], 16),
    "fat32": (["mkfs.fat", "-F", "32"], 34),
    "exfat": (["mkfs.exfat"], 16),
    "ntfs": (["mkfs.ntfs", "-q", "-F"], 16),
    "xfs": (["mkfs.xfs", "-q"], 300),
    "ext4": (["mkfs.ext4", "-q", "-F"], 16),
}


def _made(kind: str, folder: Path) -> tuple[bytes, int]:
    """The first two thirds of a volume (the rest of what is empty holds zeros), and its whole size."""
    words, size = MADE[kind]
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is absent")
    path = folder / "volume"
    with path.open("wb") as out:
        out.truncate(size * MIB)
    subprocess.run([*words, str(path)], check=True, capture_output=True)
    return path.read_bytes(), size * MIB


def _lacking(data: bytes) -> list[Gap]:
    tree = open_filesystem(MemorySource(data))
    assert tree is not None
    for _ in tree.entries():
        pass
    return [g for g in tree.warnings if g.reason is GapReason.TRUNCATED]


@pytest.mark.parametrize("kind", sorted(MADE))
def test_volume_without_its_last_part_is_told_and_a_whole_one_is_not(kind: str, tmp_path: Path) -> None:
    data, size = _made(kind, tmp_path)
    assert _lacking(data) == []
    cut = size * 2 // 3 // 4096 * 4096
    gap = next(g for g in _lacking(data[:cut]) if g.offset == cut)
    assert size - cut - 4096 <= gap.length <= size - cut  # NTFS leaves a sector to the backup of its boot sector


@pytest.mark.parametrize("label", ["gpt", "dos"])
def test_partition_without_its_last_part_is_told_by_either_table(label: str, tmp_path: Path) -> None:
    if shutil.which("sfdisk") is None:
        pytest.skip("sfdisk (fdisk) is absent")
    path = tmp_path / "disk"
    with path.open("wb") as out:
        out.truncate(16 * MIB)
    script = f"label: {label}\nsize=5M\nsize=5M\n".encode()
    subprocess.run(["sfdisk", "-q", str(path)], input=script, check=True, capture_output=True)
    data = path.read_bytes()
    assert [g for g in volumes(MemorySource(data)).warnings if g.reason is GapReason.TRUNCATED] == []
    found = [g for g in volumes(MemorySource(data[: 8 * MIB])).warnings if g.reason is GapReason.TRUNCATED]
    assert [(g.offset, g.length) for g in found] == [(8 * MIB, 3 * MIB)]
    assert "p2" in (found[0].detail or "")
