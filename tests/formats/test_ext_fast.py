# SPDX-License-Identifier: Apache-2.0
"""Fast commits of ext4: what a server fsynced in its last seconds is in the tree, exactly as the kernel recovers it."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from disk_images import ext, mounted, source, unmounted

from headwater.examine.macb import macb_batches, verify_inode
from headwater.formats import ext_fast
from headwater.formats.ext import ExtTree
from headwater.formats.ext_journal import journal_places
from headwater.formats.filesystems import open_filesystem
from headwater.model.kinds import GapReason

FAST = ("-O", "fast_commit", "-J", "size=4,fast_commit_size=256")


def opened(path: Path) -> ExtTree:
    tree = open_filesystem(source(path))
    assert isinstance(tree, ExtTree)
    return tree


def seen(tree: ExtTree) -> dict[str, tuple[object, ...]]:
    """Everything that is there; of folders not the times, which the kernel sets by its own clock when it recovers."""
    found: dict[str, tuple[object, ...]] = {}
    for entry in tree.entries():
        if not entry.allocated:
            continue
        file = tree.open(entry.key)
        digest = hashlib.sha256(file.pread(0, file.size)).hexdigest() if entry.kind == "file" else ""
        times = entry[8:13] if entry.kind != "dir" else ()
        size = entry.size if entry.kind != "dir" else 0
        found[entry.path] = (entry.kind, size, *entry[3:8], *times, entry.target, digest)
    return found


def by_the_kernel(image: Path, point: Path) -> ExtTree:
    copy = image.with_suffix(".kernel")
    shutil.copy(image, copy)
    mounted(copy, point)
    unmounted(point)
    tree = opened(copy)
    assert tree.view == "clean"
    return tree


def synced(path: Path, data: bytes, at: int | None = None) -> None:
    fd = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        if at is not None:
            os.lseek(fd, at, os.SEEK_SET)
        os.write(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def settled(point: Path) -> None:
    """What a whole commit holds, before the fast ones."""
    (point / "etc").mkdir()
    for n in range(40):
        (point / "etc" / f"old-{n}").write_bytes(bytes([n]) * 9000)
    (point / "log").write_bytes(b"first\n" * 3000)
    os.sync()


def lived(point: Path, seed: int) -> None:
    """Changes of every kind, fsynced one by one."""
    rng = random.Random(seed)
    os.symlink("etc/old-3", point / "short")  # a pipe is none of what fast commits can hold: a whole commit follows
    os.mkfifo(point / "pipe")
    for n in range(25):
        synced(point / f"new-{n}", bytes([n]) * rng.randrange(1, 30_000))
    os.rename(point / "new-0", point / "renamed")
    os.rename(point / "new-1", point / "etc" / "old-0")  # over another
    os.unlink(point / "new-2")
    os.unlink(point / "etc" / "old-1")
    os.link(point / "new-3", point / "etc" / "linked")
    with (point / "log").open("ab") as file:
        file.write(b"intruder was here\n" * 900)
        file.flush()
        os.fsync(file.fileno())
    with (point / "new-4").open("r+b") as file:
        file.truncate(100)
        os.fsync(file.fileno())
    for n in range(9):  # more extents than an inode holds
        synced(point / "holes", b"x" * 3000, n * 40_000)
    (point / "etc" / "made").mkdir()
    synced(point / "etc" / "made" / "within", b"deep" * 2000)
    fd = os.open(point / "ahead", os.O_CREAT | os.O_WRONLY)
    os.posix_fallocate(fd, 0, 50_000)
    os.write(fd, b"begun")
    os.fsync(fd)
    os.close(fd)
    os.unlink(point / "new-5")
    os.chmod(point / "new-6", 0o4755)
    synced(point / "new-6", b"setuid", 0)


def dirty(tmp_path: Path, *options: str, seed: int = 1, size: str = "24M") -> Path:
    image = ext(tmp_path / "image", *FAST, *options, size=size)
    point, copy = tmp_path / "mount", tmp_path / "copy"
    mounted(image, point)
    try:
        settled(point)
        lived(point, seed)
        subprocess.run(["cp", "--sparse=always", image, copy], check=True)
    finally:
        unmounted(point)
    return copy


@pytest.mark.parametrize("options", [("-b", "4096"), ("-b", "1024", "-O", "^metadata_csum")])
def test_files_of_fast_commits_are_what_the_kernel_recovers(tmp_path: Path, options: tuple[str, ...]) -> None:
    image = dirty(tmp_path, *options, size="48M" if "4096" in options else "24M")
    before = hashlib.sha256(image.read_bytes()).hexdigest()
    tree = opened(image)
    assert tree.view == "replayed"
    assert tree.warnings == ()
    if not any("fast commits" in note for note in tree.notes):
        pytest.skip("this kernel made no fast commits")
    mine, theirs = seen(tree), seen(by_the_kernel(image, tmp_path / "mount"))
    assert {"/renamed", "/etc/made/within", "/short"} < set(mine)
    assert "/new-2" not in mine
    assert mine == theirs
    assert hashlib.sha256(image.read_bytes()).hexdigest() == before


def test_inodes_of_fast_commits_are_cited_where_they_stand(tmp_path: Path) -> None:
    image = dirty(tmp_path)
    tree = opened(image)
    volume = image.read_bytes()
    journal = set(journal_places(source(image), tree.block))
    held = 0
    for frame, _ in macb_batches(tree):
        for row in frame.iter_rows(named=True):
            record = volume[row["offset"] : row["offset"] + row["length"]]
            assert verify_inode("ext4", record)[row["t_kind"]] == row["t_recorded"], row["file_path"]
            held += row["length"] < 256 and row["offset"] // 1024 * 1024 in journal
    assert held > 60


def test_fast_commit_that_was_damaged_ends_what_is_played_back_and_is_told(tmp_path: Path) -> None:
    image = dirty(tmp_path)
    whole = opened(image)
    entry = next(e for e in whole.entries() if e.path == "/new-20")
    (offset,), _ = whole.record_spans(np.array([entry.inode]))
    volume = bytearray(image.read_bytes())
    volume[int(offset) + 60] ^= 1
    image.write_bytes(volume)
    tree = opened(image)
    names = {e.path for e in tree.entries() if e.allocated}
    assert "/new-15" in names
    assert "/new-22" not in names
    assert [gap.reason for gap in tree.warnings] == [GapReason.UNREADABLE]
    assert "checksum" in tree.warnings[0].detail


def test_fast_commits_of_an_earlier_round_are_not_played_back(tmp_path: Path) -> None:
    image = ext(tmp_path / "image", *FAST, size="24M")
    point, copy = tmp_path / "mount", tmp_path / "copy"
    mounted(image, point)
    try:
        settled(point)
        for n in range(5):
            synced(point / f"gone-{n}", b"z" * 4000)
        for n in range(5):
            os.unlink(point / f"gone-{n}")
        os.sync()  # a whole commit: what the area holds is void
        subprocess.run(["cp", "--sparse=always", image, copy], check=True)
    finally:
        unmounted(point)
    tree = opened(copy)
    assert tree.view == "replayed"
    assert len(tree.notes) == 1
    assert not any("gone" in e.path for e in tree.entries() if e.allocated)
    assert seen(tree) == seen(by_the_kernel(copy, point))


class _Fits(int):
    """A checksum that fits whatever is stated."""

    def __ne__(self, other: object) -> bool:
        return False


def test_hostile_fast_commits_never_break_the_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = dirty(tmp_path, seed=3)
    tree = opened(image)
    (first,), _ = tree.record_spans(np.array([next(e.inode for e in tree.entries() if e.path == "/new-10")]))
    volume = image.read_bytes()
    monkeypatch.setattr(ext_fast, "crc32c", lambda seed, data: _Fits(0))
    rng = random.Random(5)
    applied = 0
    for _ in range(12):
        changed = bytearray(volume)
        for _ in range(20):
            place = int(first) - 8000 + rng.randrange(16_000)
            if changed[place]:  # within a record, not in what is free behind its TAIL
                changed[place] = rng.randrange(256)
        image.write_bytes(changed)
        tree = opened(image)
        applied += len(tree.notes) > 1
        for entry in tree.entries():
            assert entry.path.startswith("/")
            if entry.kind == "file":
                tree.open(entry.key).pread(0, 1000)
        assert sum(length for _, length, _ in tree.coverage()) <= len(volume)
    assert applied
