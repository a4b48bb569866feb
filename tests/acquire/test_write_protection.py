# SPDX-License-Identifier: Apache-2.0
"""Write protection: nothing is called protected that is not, and nothing is set that nobody asked for."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from system_trees import plant

from headwater.acquire.environment import Environment, environment_of
from headwater.acquire.write_protection import BLKROGET, BLKROSET, refuse_mounted, write_protection
from headwater.model.errors import AcquireError


class Kernel:
    """The read-only flags of devices that are files here."""

    def __init__(self, *protected: str, refuse: bool = False) -> None:
        self.flags = set(protected)
        self.refuse = refuse
        self.set: list[str] = []

    def __call__(self, fd: int, request: int, argument: bytes) -> bytes:
        name = os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))
        if request == BLKROGET:
            return struct.pack("=i", name in self.flags)
        assert request == BLKROSET
        assert struct.unpack("=i", argument) == (1,)
        if self.refuse:
            raise PermissionError(13, "Permission denied")
        self.set.append(name)
        self.flags.add(name)
        return argument


@pytest.fixture
def system(tmp_path: Path) -> tuple[dict[str, str], str]:
    roots = plant("workshop", tmp_path)
    for name in ("sda", "sda1", "sda2", "nvme0n1"):
        (tmp_path / "dev" / name).write_bytes(b"")
    return roots, roots["dev_root"]


def _record(path: str, system: tuple[dict[str, str], str]) -> Environment:
    return environment_of(path, **system[0])


def test_flag_on_the_disk_alone_leaves_partitions_open(system: tuple[dict[str, str], str]) -> None:
    found = write_protection(_record("/dev/sda", system), ioctl=Kernel("sda"), dev_root=system[1])
    assert found.kind == "none"
    assert found.needs_confirmation
    assert found.flags == {"sda": True, "sda1": False, "sda2": False}
    assert "sda1, sda2" in found.said


def test_flag_on_all_is_software_protection(system: tuple[dict[str, str], str]) -> None:
    kernel = Kernel("sda", "sda1", "sda2")
    found = write_protection(_record("/dev/sda", system), ioctl=kernel, dev_root=system[1])
    assert (found.kind, found.needs_confirmation, found.set_by_us) == ("software", False, ())
    assert not kernel.set


def test_named_blocker_is_recorded_with_what_the_kernel_sees(system: tuple[dict[str, str], str]) -> None:
    found = write_protection(
        _record("/dev/nvme0n1", system), write_blocker=" Tableau T8u/\x1b[2J01 ", ioctl=Kernel(), dev_root=system[1]
    )
    assert found.kind == "hardware"
    assert found.blocker == "Tableau T8u/%1B[2J01"
    assert "no read-only flag" in found.said
    assert found.plain()["read_only_flags"] == {"nvme0n1": False}


def test_empty_name_is_no_blocker(system: tuple[dict[str, str], str]) -> None:
    found = write_protection(_record("/dev/nvme0n1", system), write_blocker="  ", ioctl=Kernel(), dev_root=system[1])
    assert found.needs_confirmation


def test_flag_is_set_only_when_asked_for_and_recorded(system: tuple[dict[str, str], str]) -> None:
    kernel = Kernel()
    found = write_protection(_record("/dev/nvme0n1", system), set_readonly=True, ioctl=kernel, dev_root=system[1])
    assert (found.kind, found.set_by_us, kernel.set) == ("software", ("nvme0n1",), ["nvme0n1"])


def test_flag_is_not_set_under_a_file_system_that_is_being_written(system: tuple[dict[str, str], str]) -> None:
    kernel = Kernel()
    with pytest.raises(AcquireError, match="HW2060"):
        write_protection(_record("/dev/sda", system), set_readonly=True, ioctl=kernel, dev_root=system[1])
    assert not kernel.set


def test_refused_flag_is_an_error_not_a_claim(system: tuple[dict[str, str], str]) -> None:
    record = _record("/dev/nvme0n1", system)
    with pytest.raises(AcquireError, match="HW2061"):
        write_protection(record, set_readonly=True, ioctl=Kernel(refuse=True), dev_root=system[1])


def test_device_that_cannot_be_asked_falls_back_to_what_sysfs_says(system: tuple[dict[str, str], str]) -> None:
    found = write_protection(_record("/dev/sdb", system), ioctl=Kernel(), dev_root=system[1])
    assert (found.kind, found.flags) == ("software", {"sdb": True})


def test_mounted_source_is_refused_unless_live(system: tuple[dict[str, str], str]) -> None:
    record = _record("/dev/sda", system)
    with pytest.raises(AcquireError) as caught:
        refuse_mounted(record, live=False)
    assert caught.value.code == "HW2060"
    assert "/ (dm-0)" in caught.value.text("zh")
    assert "swap (dm-1)" in caught.value.text("en")
    refuse_mounted(record, live=True)
    refuse_mounted(_record("/dev/sda1", system), live=False)


def test_flag_of_this_machines_disk_is_not_touched_for_a_servers(system: tuple[dict[str, str], str]) -> None:
    """A server's /dev/sda and ours bear the same name."""
    record = replace(_record("/dev/nvme0n1", system), here=False)
    kernel = Kernel("nvme0n1")
    found = write_protection(record, ioctl=kernel, dev_root=system[1])
    assert found.kind == "none"
    with pytest.raises(AcquireError, match="not under the /dev"):
        write_protection(record, set_readonly=True, ioctl=kernel, dev_root=system[1])
    assert not kernel.set


def test_file_has_no_flag(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(b"x" * 512)
    record = environment_of(image)
    assert write_protection(record).needs_confirmation
    with pytest.raises(AcquireError, match="HW2061"):
        write_protection(record, set_readonly=True)


def _write(device: str) -> None:
    """Refused at opening or at writing, as the kernel's version has it."""
    fd = os.open(device, os.O_WRONLY)
    try:
        os.pwrite(fd, b"x" * 512, 0)
    finally:
        os.close(fd)


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[str]:
    """A loop device over a file, where this machine lets us have one."""
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(1 << 20)
    try:
        made = subprocess.run(["losetup", "-f", "--show", str(image)], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("losetup is absent")
    if made.returncode:
        pytest.skip(f"no loop device here: {made.stderr.strip()}")
    device = made.stdout.strip()
    subprocess.run(["blockdev", "--setrw", device], check=True)
    yield device
    subprocess.run(["blockdev", "--setrw", device], check=True)  # the flag outlives the loop's file
    subprocess.run(["losetup", "-d", device], check=True)


def test_real_device_refuses_writing_after_its_flag_is_set(loop: str) -> None:
    record = environment_of(loop)
    before = write_protection(record)
    assert (before.kind, record.claimed, record.medium.table) == ("none", False, "none")
    after = write_protection(record, set_readonly=True)
    assert (after.kind, after.set_by_us) == ("software", (os.path.basename(loop),))
    with pytest.raises(PermissionError):
        _write(loop)
    again = environment_of(loop)
    assert again.device is not None
    assert again.device.read_only is True
