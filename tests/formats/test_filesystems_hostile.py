# SPDX-License-Identifier: Apache-2.0
"""Mutants of real volumes neither raise nor hang: each is walked, read and turned into events, under one fixed seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from disk_images import ext, run, tool
from ntfs_images import ntfs_image
from test_filesystems_xfs import sample

WALKER = Path(__file__).with_name("hostile_volumes.py")
SEED = 1000
SHARE = 100  # mutants of one process, whose time is bounded


def populated(folder: Path) -> Path:
    (folder / "d" / "e").mkdir(parents=True)
    for n in range(1, 7):
        (folder / "d" / f"f{n}").write_bytes(bytes(range(256)) * (n * 3))
        os.symlink(f"../f{n}", folder / "d" / "e" / f"l{n}")
    return folder


def volume(kind: str, folder: Path) -> Path:
    image = folder / "image"
    if kind in ("ext2", "ext4"):
        options = ("-O", "inline_data") if kind == "ext4" else ()
        tree = populated(folder / "tree")
        return ext(image, "-b", "1024", "-N", "64", *options, "-d", str(tree), size="4M", kind=kind)
    if kind == "ntfs":
        return ntfs_image()
    if kind.startswith("dirty"):
        return sample(kind, folder)[0]
    with image.open("wb") as file:
        file.truncate(12 << 20)
    run(tool(f"mkfs.{kind}"), image)
    return image


def walked(image: Path, first: int, last: int) -> tuple[int, list[str]]:
    command = [sys.executable, str(WALKER), str(image), str(first), str(last), str(SEED)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout.splitlines()


def check(kind: str, folder: Path, mutants: int) -> None:
    image = volume(kind, folder)
    first = 0
    while first < mutants:
        last = min(first + SHARE, mutants)
        code, lines = walked(image, first, last)
        assert [line for line in lines if line.startswith("FAULT")] == []
        if code == 0:
            first = last
            continue
        # only The Sleuth Kit's C code may take a process down; in the program that process is a confined child
        assert code < 0, lines[-3:]
        assert kind == "vfat", f"mutant {lines[-1]} ended the process: {code}"
        first = int(lines[-1].split()[1]) + 1


KINDS = ("ext2", "ext4", "dirty-ext4", "dirty-xfs", "ntfs", "vfat")


@pytest.mark.parametrize("kind", KINDS)
def test_mutants_of_a_volume_neither_raise_nor_hang(tmp_path: Path, kind: str) -> None:
    check(kind, tmp_path, {"dirty-xfs": 3, "dirty-ext4": 6}.get(kind, 20))


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_many_mutants_of_a_volume_neither_raise_nor_hang(tmp_path: Path, kind: str) -> None:
    check(kind, tmp_path, 600)
