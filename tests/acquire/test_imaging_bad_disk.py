# SPDX-License-Identifier: Apache-2.0
"""A real failing block device: FUSE below a read-only loop. What is lost beside the bad sectors, by us and by others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from fuse_disk import SECTOR, content

from headwater.acquire.file_source import FileBlockSource
from headwater.acquire.imaging import Desk, Imaging
from headwater.acquire.plans import Plan
from headwater.formats.media import open_medium
from headwater.formats.opened import open_readonly

SECTORS = 4096
BAD = frozenset({0, 9, 10, 11, 100, 1001, 1003, *range(2000, 2016), SECTORS - 1})


@pytest.fixture(scope="module")
def failing_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The path of a loop device with bad sectors."""
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse") or shutil.which("losetup") is None:
        pytest.skip("a failing block device needs root, /dev/fuse and losetup")
    where = tmp_path_factory.mktemp("fuse")
    program = str(Path(__file__).with_name("fuse_disk.py"))
    bad = ",".join(str(n) for n in sorted(BAD))
    server = subprocess.Popen(
        [sys.executable, program, str(where), str(SECTORS), bad], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert server.stdout is not None
    loop = ""
    try:
        if server.stdout.readline() != b"ready\n":
            pytest.skip("FUSE cannot be mounted here")
        made = subprocess.run(
            ["losetup", "-r", "-f", "--show", str(where / "disk")], capture_output=True, text=True, check=False
        )
        loop = made.stdout.strip()
        if made.returncode or not loop:
            pytest.skip("no loop device can be had here")
        yield loop
    finally:
        if loop:
            subprocess.run(["losetup", "-d", loop], check=False)
        subprocess.run(["umount", "-l", str(where)], check=False, capture_output=True)
        server.terminate()
        server.wait(timeout=10)
        server.stdout.close()


def expected() -> bytes:
    data = bytearray(content(SECTORS))
    for number in BAD:
        data[number * SECTOR : (number + 1) * SECTOR] = bytes(SECTOR)
    return bytes(data)


def lost(data: bytes) -> int:
    """How many sectors of an image are zeros; the disk itself has none."""
    return sum(not data[at : at + SECTOR].strip(b"\0") for at in range(0, len(data), SECTOR))


def unsigned(_: bytes) -> Mapping[str, str]:
    return {}


@pytest.mark.parametrize("form", ["e01", "raw"])
def test_good_sectors_of_a_failing_device_are_lost(failing_disk: str, tmp_path: Path, form: str) -> None:
    source = FileBlockSource(failing_disk)
    assert source.direct, "a block device is read past the page cache"
    desk = Desk(lambda *_: None, unsigned, lambda: "2026-11-22T04:00:00.000000000Z", "headwater test", {})
    done = Imaging(source, Plan(tmp_path, "web01", form, retries=1), desk).run()
    source.close()
    medium = open_medium([open_readonly(tmp_path / done.segments[0][0])])
    assert medium.pread(0, medium.size) == expected()
    found = {n for at, length, _, _ in done.bad for n in range(at // SECTOR, (at + length) // SECTOR)}
    assert found == BAD
    if form == "e01":
        assert {n for at, length, _, _ in medium.bad for n in range(at // SECTOR, (at + length) // SECTOR)} == BAD


@pytest.mark.skipif(shutil.which("dc3dd") is None, reason="dc3dd is not installed")
def test_more_is_lost_than_by_dc3dd(failing_disk: str, tmp_path: Path) -> None:
    subprocess.run(["dc3dd", f"if={failing_disk}", f"of={tmp_path / 'dc3dd.raw'}"], capture_output=True, check=False)
    assert lost((tmp_path / "dc3dd.raw").read_bytes()) >= len(BAD)


@pytest.mark.skipif(shutil.which("ewfacquire") is None, reason="ewfacquire is not installed")
def test_more_is_lost_than_by_ewfacquire(failing_disk: str, tmp_path: Path) -> None:
    command = ["ewfacquire", "-u", "-q", "-c", "fast", "-g", "1", "-r", "1", "-t", str(tmp_path / "ewf"), failing_disk]
    subprocess.run(command, capture_output=True, check=False)
    medium = open_medium([open_readonly(tmp_path / "ewf.E01")])
    assert lost(medium.pread(0, medium.size)) >= len(BAD)


@pytest.mark.skipif(shutil.which("ewfverify") is None, reason="ewfverify is not installed")
def test_device_with_sectors_of_4096_bytes(tmp_path: Path) -> None:
    if os.geteuid() != 0 or shutil.which("losetup") is None:
        pytest.skip("a loop device needs root and losetup")
    data = content(8 * 301)
    (tmp_path / "disk").write_bytes(data)
    made = subprocess.run(
        ["losetup", "-r", "-b", "4096", "-f", "--show", str(tmp_path / "disk")],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("no loop device with sectors of 4096 bytes can be had here")
    try:
        source = FileBlockSource(made.stdout.strip())
        assert source.sector_size == 4096
        desk = Desk(lambda *_: None, unsigned, lambda: "2026-11-22T04:00:00.000000000Z", "headwater test", {})
        done = Imaging(source, Plan(tmp_path, "web01"), desk).run()
        source.close()
    finally:
        subprocess.run(["losetup", "-d", made.stdout.strip()], check=False)
    assert [v.result for v in done.verdicts] == ["match"] * 3
    assert done.size == len(data)
    medium = open_medium([open_readonly(tmp_path / "web01.E01")])
    assert medium.sector_size == 4096
    assert medium.pread(0, medium.size) == data
    subprocess.run(["ewfverify", "-q", str(tmp_path / "web01.E01")], check=True, capture_output=True)
