# SPDX-License-Identifier: Apache-2.0
"""A volume whose journal is a disk of its own: its last writes are there when that disk is, and missed aloud when not."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from disk_images import run, source, tool, unmounted

from headwater.examine.macb import macb_batches, verify_inode
from headwater.formats.ext import ExtTree
from headwater.formats.filesystems import identify, open_filesystem
from headwater.formats.sources import MemorySource
from headwater.model.kinds import GapReason


def _loop(image: Path) -> str:
    done = subprocess.run(["losetup", "-f", "--show", str(image)], capture_output=True, text=True)
    if done.returncode or os.geteuid():
        pytest.skip("no loop devices here")
    device = done.stdout.strip()
    subprocess.run(["blockdev", "--setrw", device], check=False, capture_output=True)  # the flag outlives an attachment
    return device


@contextmanager
def _loops(*images: Path) -> Iterator[list[str]]:
    devices: list[str] = []
    try:
        devices += map(_loop, images)  # one that was had is given back where the next is not to be had
        yield devices
    finally:
        for device in devices:
            subprocess.run(["losetup", "-d", device], check=False, capture_output=True)


@pytest.fixture(scope="module", params=["4096", "1024"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """(volume, journal) copied while mounted, and the volume after the kernel's own recovery."""
    folder = tmp_path_factory.mktemp("outer")
    volume, journal, point = folder / "volume", folder / "journal", folder / "mount"
    for path, size in ((volume, 24), (journal, 8)):
        with path.open("wb") as file:
            file.truncate(size << 20)
    point.mkdir()
    run(tool("mke2fs"), "-q", "-F", "-O", "journal_dev", "-b", request.param, journal)
    with _loops(journal, volume) as (outer, inner):
        run(tool("mkfs.ext4"), "-q", "-b", request.param, "-J", f"device={outer}", inner)
        if subprocess.run(["mount", inner, str(point)], capture_output=True).returncode:
            pytest.skip("no loop mount here")
        try:
            for n in range(60):
                (point / f"file-{n}").write_bytes(b"%d" % n * 700)
            os.sync()
            for n in range(20):
                path = point / f"late-{n}"
                path.write_bytes(bytes([n]) * 3000)
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            (point / "file-1").rename(point / "moved")
            os.sync()
            for path in (volume, journal):
                shutil.copy(path, path.with_suffix(".copy"))
        finally:
            unmounted(point)
    kept = folder / "volume.kernel", folder / "journal.kernel"
    for path, other in zip((volume, journal), kept):
        shutil.copy(path.with_suffix(".copy"), other)
    with _loops(kept[1], kept[0]) as (outer, inner):
        run("mount", "-o", f"journal_path={outer}", inner, point)
        unmounted(point)
    return volume.with_suffix(".copy"), journal.with_suffix(".copy"), kept[0]


def seen(tree: ExtTree) -> dict[str, tuple[object, ...]]:
    found = {}
    for entry in tree.entries():
        file = tree.open(entry.key)
        digest = hashlib.sha256(file.pread(0, file.size)).hexdigest() if entry.kind == "file" else ""
        found[entry.path] = (*entry[1:13], digest)
    return found


def test_journal_at_hand_is_played_back_as_the_kernel_does(pair: tuple[Path, Path, Path]) -> None:
    volume, journal, kernel = pair
    assert identify(source(journal)) == "jbd2"
    tree = open_filesystem(source(volume), others=[MemorySource(bytes(8192)), source(journal)])
    assert isinstance(tree, ExtTree)
    assert (tree.view, tree.warnings) == ("replayed", ())
    assert "a volume of its own" in tree.notes[0]
    theirs = open_filesystem(source(kernel))
    assert isinstance(theirs, ExtTree)
    assert theirs.view == "clean"
    assert seen(tree) == seen(theirs)
    raw = volume.read_bytes()
    rows = cited = 0
    for frame, _ in macb_batches(tree):
        for row in frame.iter_rows(named=True):
            rows += 1
            if row["length"]:  # what only the journal has stands nowhere on the volume
                cited += 1
                found = verify_inode("ext4", raw[row["offset"] : row["offset"] + row["length"]])
                assert found[row["t_kind"]] == row["t_recorded"]
    assert rows > cited


def test_journal_that_is_not_at_hand_is_named(pair: tuple[Path, Path, Path]) -> None:
    volume, journal, _ = pair
    other = bytearray(journal.read_bytes())
    other[1024 + 104] ^= 1  # another journal's identity
    for others in ((), (MemorySource(bytes(other)),)):
        tree = open_filesystem(source(volume), others=others)
        assert isinstance(tree, ExtTree)
        assert tree.view == "recorded"
        assert [gap.reason for gap in tree.warnings] == [GapReason.NOT_REPLAYED]
        assert journal.read_bytes()[1024 + 104 : 1024 + 120].hex() in tree.warnings[0].detail
