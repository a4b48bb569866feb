# SPDX-License-Identifier: Apache-2.0
"""Devices described from sysfs: the wrong disk must not be imaged for want of a name, a size or a layer."""

from __future__ import annotations

from pathlib import Path

from system_trees import plant

from headwater.acquire.devices import block_devices, built_of, related
from headwater.acquire.system_files import LocalFiles, NotRecorded, SentFiles


def _files(name: str, root: Path) -> LocalFiles:
    return LocalFiles(**plant(name, root))


def test_disk_is_named_with_identity_sectors_and_bus(tmp_path: Path) -> None:
    sda = block_devices(_files("workshop", tmp_path))["sda"]
    assert (sda.model, sda.serial, sda.firmware) == ("WDC WD10EZEX-08W", "WD-WCC6Y0000001", "1A02")
    assert (sda.vendor, sda.wwid, sda.transport) == ("ATA", "naa.50014ee2b1a2c3d4", "ata")
    assert sda.size == 1953525168 * 512
    assert (sda.logical_sector, sda.physical_sector, sda.rotational) == (512, 4096, True)
    assert (sda.removable, sda.read_only, sda.kind) == (False, False, "disk")
    assert sda.partitions == ("sda1", "sda2")


def test_partition_knows_its_disk_and_where_it_starts(tmp_path: Path) -> None:
    sda2 = block_devices(_files("workshop", tmp_path))["sda2"]
    assert (sda2.kind, sda2.parent, sda2.partition) == ("partition", "sda", 2)
    assert sda2.start == 1050624 * 512
    assert sda2.model == "WDC WD10EZEX-08W"


def test_what_is_built_on_a_disk_is_followed_through_raid_and_lvm(tmp_path: Path) -> None:
    devices = block_devices(_files("workshop", tmp_path))
    assert related(devices, "sda") == ("sda", "sda1", "sda2", "md0", "dm-0", "dm-1")
    assert related(devices, "sdb") == ("sdb", "md0", "dm-0", "dm-1")
    assert built_of(devices, "dm-0") == ("md0", "sda2", "sdb", "sda")
    assert devices["md0"].layer == {"md.level": "raid1", "md.raid_disks": "2", "md.array_state": "clean"}
    assert devices["md0"].kind == "md-raid"
    assert devices["dm-0"].kind == "device-mapper"


def test_layers_in_a_circle_end(tmp_path: Path) -> None:
    contents = {f"/sys/class/block/dm-{n}/dev": b"253:%d" % n for n in (0, 1)}
    contents |= {"/sys/class/block/dm-0/holders/dm-1/x": b"", "/sys/class/block/dm-1/holders/dm-0/x": b""}
    devices = block_devices(SentFiles(contents, {}))
    assert related(devices, "dm-0") == ("dm-0", "dm-1")


def test_strings_of_a_stick_cannot_command_a_terminal(tmp_path: Path) -> None:
    sdc = block_devices(_files("workshop", tmp_path))["sdc"]
    assert sdc.transport == "usb"
    assert sdc.model == "%1B[2J%1B]0;owned%07$(id)%E2%80%AEgpj"


def test_a_size_that_is_no_size_is_not_recorded(tmp_path: Path) -> None:
    sdc = block_devices(_files("workshop", tmp_path))["sdc"]
    assert isinstance(sdc.size, NotRecorded)
    assert isinstance(sdc.serial, NotRecorded)
    assert isinstance(sdc.logical_sector, NotRecorded)
    assert sdc.sector == 512


def test_names_with_a_slash_and_nvme_are_found(tmp_path: Path) -> None:
    devices = block_devices(_files("workshop", tmp_path))
    assert devices["cciss!c0d0"].path == "/dev/cciss/c0d0"
    nvme = devices["nvme0n1"]
    assert (nvme.transport, nvme.model, nvme.serial, nvme.firmware) == (
        "nvme", "Samsung SSD 980 PRO 1TB", "S5GXNX0R000001", "5B2QGXA7",
    )  # fmt: skip


def test_a_real_virtual_machine(tmp_path: Path) -> None:
    devices = block_devices(_files("virtio", tmp_path))
    assert sorted(devices) == ["loop0", "vda", "zram0"]
    vda = devices["vda"]
    assert (vda.transport, vda.size, vda.number, vda.kind) == ("virtio", 268435456 * 1024, "254:0", "disk")
    assert devices["loop0"].kind == "loop"
    assert devices["zram0"].size == 0
