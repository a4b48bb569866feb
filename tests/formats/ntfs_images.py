# SPDX-License-Identifier: Apache-2.0
"""One small NTFS volume for all tests, written by mkntfs and ntfs-3g; a test without them is skipped."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from disk_images import run, tool, unmounted

TEXT = b"".join(b"line %d of a file that compresses well\n" % n for n in range(3000))
NOISE = bytes((n * n * 7 + n // 3) % 251 for n in range(40_000))
LONG = "n" * 200


def fill(point: Path) -> None:
    """Plain, resident, sparse, compressed, linked, renamed, deleted; a file whose attributes fill several records."""
    (point / "dir" / "sub").mkdir(parents=True)
    (point / "dir" / "a.txt").write_bytes(b"hello" * 1000)
    os.link(point / "dir" / "a.txt", point / "dir" / "sub" / "hard.txt")
    (point / "dir" / "中文.txt").write_bytes(b"resident")
    (point / "dir" / "50%!.txt").write_bytes(b"odd name")
    os.setxattr(point / "dir" / "a.txt", "user.stream", b"hidden in a stream")
    os.utime(point / "dir" / "a.txt", ns=(-(10**18) + 500, 9 * 10**18 + 1234500))
    (point / "dir" / "gone.txt").write_bytes(b"deleted data" * 300)
    with (point / "sparse").open("wb") as file:
        file.write(b"front")
        file.seek(3 << 20)
        file.write(b"back")
    (point / "packed").mkdir()
    os.setxattr(point / "packed", "system.ntfs_attrib", (0x810).to_bytes(4, "little"))
    (point / "packed" / "text").write_bytes(TEXT)
    (point / "packed" / "noise").write_bytes(NOISE)
    (point / "packed" / "holes").write_bytes(TEXT + bytes(200_000) + TEXT)
    os.symlink("dir/a.txt", point / "link")
    (point / "many").write_bytes(b"many streams and names")
    for n in range(12):
        os.setxattr(point / "many", f"user.{LONG}{n}", b"stream %d" % n * 20)
        os.link(point / "many", point / "dir" / f"{LONG}-{n}")
    (point / "full").mkdir()
    for n in range(90):
        (point / "full" / f"file number {n:04d}.dat").write_bytes(b"%d" % n)
    (point / "lost" / "below").mkdir(parents=True)
    (point / "lost" / "below" / "deep.txt").write_bytes(b"in a deleted folder" * 100)
    (point / "lost" / "small.txt").write_bytes(b"small and deleted")


def remove(point: Path) -> None:
    (point / "dir" / "gone.txt").unlink()
    for n in range(30, 90):
        (point / "full" / f"file number {n:04d}.dat").unlink()
    (point / "lost" / "below" / "deep.txt").unlink()
    (point / "lost" / "small.txt").unlink()
    (point / "lost" / "below").rmdir()
    (point / "lost").rmdir()


@functools.cache
def ntfs_image() -> Path:
    """The volume, made once for a test session."""
    folder = Path(tempfile.mkdtemp(prefix="headwater-ntfs-"))
    atexit.register(shutil.rmtree, folder, True)
    image, point = folder / "image", folder / "mount"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    run(tool("mkfs.ntfs"), "-q", "-F", "-f", image)
    point.mkdir()
    done = subprocess.run(
        [tool("ntfs-3g"), "-o", "compression,streams_interface=xattr", str(image), str(point)], capture_output=True
    )
    if done.returncode:
        pytest.skip(f"ntfs-3g cannot mount here: {done.stderr.decode(errors='replace').strip()}")
    try:
        fill(point)
        os.sync()
        remove(point)
    finally:
        unmounted(point)
    return image
