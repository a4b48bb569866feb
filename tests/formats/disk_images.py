# SPDX-License-Identifier: Apache-2.0
"""Makes small file system images for tests with the system's own mkfs and debugfs; a test without them is skipped."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from headwater.formats.opened import open_readonly
from headwater.formats.sources import FileSource

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def source(path: Path) -> FileSource:
    return FileSource(open_readonly(path))


def tool(name: str) -> str:
    """A tool's path; skips the test by name where the machine does not have it."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: object, feed: str | None = None) -> bytes:
    for _ in range(4):
        done = subprocess.run([str(c) for c in command], input=feed.encode() if feed else None, capture_output=True)
        # qemu-img times its key derivation to choose the rounds, and on a machine that is taken away meanwhile gives up
        if b"Unable to get accurate CPU usage" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def ext(path: Path, *options: str, size: str = "4M", kind: str = "ext4", commands: str = "") -> Path:
    """An ext image, with debugfs commands applied to it."""
    with path.open("wb") as file:
        file.truncate(int(size[:-1]) << 20)
    run(tool(f"mkfs.{kind}"), "-q", "-F", "-E", "lazy_itable_init=0", *options, path)
    if commands:
        script = path.with_suffix(".debugfs")
        script.write_text(commands)
        run(tool("debugfs"), "-w", "-f", script, path)
    return path


def mounted(image: Path, point: Path, *options: str) -> None:
    """Mount an image through a loop device; skips the test by name where that is not permitted."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    point.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-o", ",".join(("loop", *options)), str(image), str(point)], capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"no loop mount here: {done.stderr.decode(errors='replace').strip()}")


def unmounted(point: Path) -> None:
    subprocess.run(["umount", str(point)], check=False, capture_output=True)
