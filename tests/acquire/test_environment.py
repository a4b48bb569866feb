# SPDX-License-Identifier: Apache-2.0
"""The environment record: what uses a source, what it is part of and what it hides is told before it is read."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from system_trees import plant

from headwater.acquire.device_asking import (
    DCO_IDENTIFY,
    GET_NATIVE_MAX,
    IDENTIFY,
    NATIVE_MAX_EXT,
    SMART_STATUS,
    Answer,
    ata_answers,
    nvme_words,
    pass_through,
    registers,
)
from headwater.acquire.device_use import service_of
from headwater.acquire.environment import Environment, environment_of, lies_on
from headwater.acquire.superblocks import superblocks
from headwater.acquire.system_files import NotRecorded
from headwater.formats.opened import open_readonly
from headwater.formats.sources import FileSource, MemorySource
from headwater.model.errors import AcquireError
from headwater.procedure.disks import disks, table

MIB = 1 << 20


def _of(path: str, root: Path, name: str = "workshop") -> Environment:
    return environment_of(path, **plant(name, root))


# ------------------------------------------------------------------ who uses it


def test_disk_under_raid_and_lvm_is_seen_as_mounted(tmp_path: Path) -> None:
    """Nothing mounts /dev/sdb itself; the root file system stands on an array of which it is a part."""
    found = _of("/dev/sdb", tmp_path)
    assert [(m.device, m.where, m.writable) for m in found.use.mounts] == [
        ("dm-0", "/", True), ("dm-0", "/export here", True),
    ]  # fmt: skip
    assert found.mounted_writable
    assert found.use.swaps == ("dm-1",)
    assert [n for n in found.devices if n not in found.on_it] == ["sda2", "sda"]


def test_read_only_bind_of_a_writable_file_system_is_being_written(tmp_path: Path) -> None:
    found = _of("/dev/mapper/vg-root", tmp_path)
    bind = next(m for m in found.use.mounts if m.where == "/export here")
    assert bind.options.startswith("ro,")
    assert bind.writable


def test_mount_read_only_is_not_being_written(tmp_path: Path) -> None:
    found = _of("/dev/sda1", tmp_path)
    assert [(m.where, m.writable) for m in found.use.mounts] == [("/boot", False)]
    assert not found.mounted_writable


def test_mount_in_a_container_only_is_seen(tmp_path: Path) -> None:
    found = _of("/dev/sdc", tmp_path)
    assert [(m.where, m.namespace, m.writable) for m in found.use.mounts] == [("/media", "900 nginx", True)]


def test_second_disk_of_a_btrfs_is_seen_as_mounted(tmp_path: Path) -> None:
    assert _of("/dev/sde", tmp_path).mounted_writable


def test_swap_in_use_counts_as_being_written(tmp_path: Path) -> None:
    found = _of("/dev/dm-1", tmp_path)
    assert not found.use.mounts
    assert found.mounted_writable


def test_processes_that_hold_it_are_named_with_their_service(tmp_path: Path) -> None:
    found = _of("/dev/sdb", tmp_path)
    assert [(h.pid, h.name, h.service) for h in found.use.holders] == [
        (1201, "mysqld", "mysql.service"), (1300, "%1B[31mevil", "session-3.scope"),
    ]  # fmt: skip
    assert found.use.services == ("mysql.service", "session-3.scope")


def test_service_of_hostile_cgroup() -> None:
    assert service_of(b"0::/a/\x1b[2J.service") == "%1B[2J.service"
    assert service_of(b"\xff::::") == ""
    assert service_of(b"") == ""


def test_system_is_described(tmp_path: Path) -> None:
    system = _of("/dev/sda", tmp_path).system
    assert system["release"] == "CentOS Linux 8"
    assert (system["hostname"], system["zone"], system["uptime_seconds"]) == ("db01", "Asia/Shanghai", "86400.25")
    assert system["arrays"] == ["md0 : active raid1 sdb[1] sda2[0]"]
    assert "mysql.service" in system["services"]
    assert isinstance(system["machine_serial"], NotRecorded)


def test_record_is_json_and_flat_text_without_a_default_for_what_is_missing(tmp_path: Path) -> None:
    found = _of("/dev/sdc", tmp_path)
    text = json.dumps(found.plain())
    assert "\\u001b" not in text
    assert found.plain()["devices"]["sdc"]["serial"] == {"not_recorded": "the driver does not tell"}
    facts = found.facts()
    assert facts["serial"] == "not recorded: the driver does not tell"
    assert facts["contents"].startswith("not recorded: ")
    assert all(isinstance(v, str) and v.isprintable() for v in facts.values())


def test_missing_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AcquireError, match="HW2001"):
        _of("/dev/sdz", tmp_path)
    with pytest.raises(AcquireError, match="HW2001"):
        environment_of(tmp_path / "absent.img")


def test_file_is_described_and_its_loop_counts_as_use(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(MIB))
    roots = plant("virtio", tmp_path)
    loop = tmp_path / "sys/devices/virtual/block/loop0"
    (loop / "loop").mkdir()
    (loop / "loop/backing_file").write_text(f"{os.path.realpath(image)}\n")
    with (tmp_path / "proc/self/mountinfo").open("a") as file:
        file.write("99 27 7:0 / /mnt rw - ext4 /dev/loop0 rw\n")
    found = environment_of(image, **roots)
    assert (found.kind, found.size, found.device) == ("file", MIB, None)
    assert found.on_it == ("loop0",)
    assert found.mounted_writable


def test_destination_on_the_evidence_is_noticed(tmp_path: Path) -> None:
    found = _of("/dev/vda", tmp_path, "virtio")
    number = os.stat(tmp_path).st_dev
    here = f"{os.major(number)}:{os.minor(number)}"
    place = tmp_path / "sys/devices/pci0000:00/0000:00:02.0/virtio1/block/vda/dev"
    assert lies_on(tmp_path, found) == (here == "254:0")
    place.write_text(here + "\n")
    roots = {f"{n}_root": str(tmp_path / n) for n in ("sys", "proc", "dev", "etc")}
    again = environment_of("/dev/vda", **roots)
    assert lies_on(tmp_path, again)
    assert not lies_on(tmp_path, replace(again, here=False))  # a server's numbers say nothing of our disks


# ------------------------------------------------------------------ what the medium says


def _made(tmp_path: Path, command: list[str], size: int) -> FileSource:
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(size)
    try:
        subprocess.run([*command, str(image)], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip(f"{command[0]} is absent")
    return FileSource(open_readonly(image))


def test_luks_header_made_by_cryptsetup_is_described(tmp_path: Path) -> None:
    ident = "11111111-2222-4333-8444-555555555555"
    source = _made(tmp_path, ["cryptsetup", "luksFormat", "-q", "--uuid", ident, "--label", "数据", "--pbkdf", "pbkdf2",
                              "--pbkdf-force-iterations", "1000", "--key-file", "/etc/os-release"], 20 * MIB)  # fmt: skip
    _, blocks, _ = superblocks(source)
    assert blocks[0].kind == "luks"
    assert blocks[0].details == {"version": "2", "uuid": ident, "label": "数据"}


def test_ext4_made_by_mkfs_is_described(tmp_path: Path) -> None:
    ident = "11111111-2222-4333-8444-555555555555"
    _, blocks, _ = superblocks(_made(tmp_path, ["mkfs.ext4", "-q", "-U", ident, "-L", "data"], MIB))
    assert blocks[0].kind == "ext4"
    assert blocks[0].details == {"uuid": ident, "label": "data", "last_mounted": "", "state": "clean"}


def _md1(name: bytes = b"web01:0", level: int = 5, at: int = 0) -> bytes:
    """A 1.x superblock of two devices after struct mdp_superblock_1 in linux/raid/md_p.h, for ``at`` on its member."""
    block = bytearray(260)
    struct.pack_into("<II", block, 0, 0xA92B4EFC, 1)
    block[16:32] = uuid.UUID(int=7).bytes
    block[32 : 32 + len(name)] = name
    struct.pack_into("<iI", block, 72, level, 2)
    struct.pack_into("<II", block, 88, 1024, 3)
    struct.pack_into("<QQ", block, 128, 2048, 4096)
    struct.pack_into("<Q", block, 144, at // 512)
    struct.pack_into("<I", block, 160, 1)
    struct.pack_into("<Q", block, 200, 42)
    struct.pack_into("<I", block, 220, 2)
    struct.pack_into("<HH", block, 256, 0, 2)
    total = sum(struct.unpack("<65I", block))
    struct.pack_into("<I", block, 216, (total & 0xFFFFFFFF) + (total >> 32))
    return bytes(block)


@pytest.mark.parametrize(("version", "at"), [("1.1", 0), ("1.2", 4096), ("1.0", MIB - 8192)])
def test_raid_member_is_told_from_each_place_of_its_superblock(version: str, at: int) -> None:
    disk = bytearray(MIB)
    disk[at : at + 260] = _md1(at=at)
    _, blocks, _ = superblocks(MemorySource(bytes(disk)))
    assert (blocks[0].kind, blocks[0].member_of) == ("mdraid", str(uuid.UUID(int=7)))
    said = blocks[0].details
    assert (said["version"], said["name"], said["level"], said["disks"], said["events"]) == (
        version, "web01:0", "raid5", "3", "42",
    )  # fmt: skip
    assert (said["device"], said["role"], said["chunk_sectors"]) == ("1", "2", "1024")


def test_raid_mark_whose_checksum_does_not_fit_is_told_and_not_believed() -> None:
    disk = bytearray(MIB)
    disk[4096 : 4096 + 260] = _md1(at=4096)
    disk[4096 + 92] ^= 1
    _, blocks, _ = superblocks(MemorySource(bytes(disk)))
    assert (blocks[0].kind, blocks[0].member_of) == ("mdraid", "")
    assert blocks[0].details == {"superblock": "at 4096: its checksum or its place does not fit"}


@pytest.mark.parametrize("order", ["<", ">"])
def test_old_raid_member_is_told_in_either_byte_order(order: str) -> None:
    disk = bytearray(MIB)
    words = [0] * 1024
    words[0], words[1], words[2], words[7], words[10] = 0xA92B4EFC, 0, 90, 1, 2
    words[5], words[13:16] = 1, [2, 3, 4]
    words[38] = (sum(words) & 0xFFFFFFFF) + (sum(words) >> 32)
    disk[MIB - 0x10000 : MIB - 0x10000 + 4096] = struct.pack(order + "1024I", *words)
    _, blocks, _ = superblocks(MemorySource(bytes(disk)))
    said = blocks[0].details
    assert (said["version"], said["level"], said["disks"], said["role"]) == ("0.90", "raid1", "2", "spare")
    assert blocks[0].member_of == "00000001-0000-0002-0000-000300000004"


def test_hostile_superblocks_are_said_and_never_raised() -> None:
    for seed in range(64):
        disk = bytearray((b"LUKS\xba\xbe" + bytes([seed]) * 700) * 90)
        disk[0x10040:0x10048] = b"_BHRfS_M"
        disk[510:512] = b"\x55\xaa"
        superblocks(MemorySource(bytes(disk[: 512 + seed * 1000])))
    superblocks(MemorySource(b""))
    text = superblocks(MemorySource(_md1(b"\x1b[2J\xff\n")))[1][0].details["name"]
    assert text == "%1B[2J%FF%0A"


# ------------------------------------------------------------------ what the disk answers


def _identity(**changes: int) -> bytes:
    words = [0] * 256

    def put(first: int, text: bytes, count: int) -> None:
        words[first : first + count] = struct.unpack(f">{count}H", text.ljust(count * 2))

    put(10, b"WD-WCC6Y0000001", 10)
    put(23, b"01.01A02", 4)
    put(27, b"WDC WD10EZEX-08W\x1b[2J", 20)
    words[82], words[83], words[85] = 0x0400, 0x4C00, 1
    words[100:104] = [0x6DB0, 0x7470, 0, 0]  # 1,953,525,168 sectors
    for name, value in changes.items():
        words[int(name[1:])] = value
    return struct.pack("<256H", *words)


class Disk:
    """A disk that answers by the specification."""

    def __init__(self, native: int, whole: int, identity: bytes | None = None) -> None:
        self.native, self.whole, self.identity = native, whole, identity or _identity()
        self.asked: list[tuple[int, int]] = []

    def __call__(self, command: tuple[int, int]) -> Answer:
        self.asked.append(command)
        if command == IDENTIFY:
            return Answer(self.identity, 0x50, 0)
        if command in (NATIVE_MAX_EXT, GET_NATIVE_MAX):
            return Answer(b"", 0x50, self.native - 1)
        if command == DCO_IDENTIFY:
            data = bytearray(512)
            data[6:14] = (self.whole - 1).to_bytes(8, "little")
            data[511] = -sum(data) & 0xFF
            return Answer(bytes(data), 0x50, 0)
        assert command == SMART_STATUS
        return Answer(b"", 0x50, 0xC24F00)


def test_hidden_areas_are_counted() -> None:
    user = 1_953_525_168
    found = ata_answers(Disk(user + 2048, user + 4096))
    assert (found.hidden_hpa, found.hidden_dco) == (2048 * 512, 2048 * 512)
    assert (found.model, found.serial) == ("WDC WD10EZEX-08W%1B[2J", "WD-WCC6Y0000001")
    assert found.health == "SMART: passed"


def test_newer_disk_is_asked_by_the_newer_command() -> None:
    disk = Disk(1_953_525_168, 0, _identity(w82=0, w83=0x4400, w119=0x4100))
    found = ata_answers(disk)
    assert found.hidden_hpa == 0
    assert GET_NATIVE_MAX in disk.asked
    assert NATIVE_MAX_EXT not in disk.asked
    assert isinstance(found.hidden_dco, NotRecorded)


def test_disk_that_refuses_or_contradicts_itself_is_not_recorded_as_zero() -> None:
    def mute(command: tuple[int, int]) -> Answer:
        raise OSError(25, "Inappropriate ioctl for device")

    for found in (ata_answers(mute), ata_answers(lambda c: Answer(bytes(512), 0, 0)), ata_answers(Disk(5, 5))):
        assert isinstance(found.hidden_hpa, NotRecorded)
        assert found.hidden_hpa.reason


def test_only_commands_that_change_nothing_can_be_sent() -> None:
    sent = {pass_through(c)[14] for c in (IDENTIFY, NATIVE_MAX_EXT, GET_NATIVE_MAX, DCO_IDENTIFY, SMART_STATUS)}
    assert sent == {0xEC, 0x27, 0x78, 0xB1, 0xB0}
    assert pass_through(DCO_IDENTIFY)[4] == 0xC2  # identify, never C0h restore, C1h freeze or C3h set
    assert pass_through(GET_NATIVE_MAX)[4] == 0  # get, never 1 set or 2 freeze
    assert pass_through(SMART_STATUS)[4] == 0xDA


def test_registers_of_both_sense_formats() -> None:
    described = bytes(
        [0x72, 1, 0, 0x1D, 0, 0, 0, 14, 9, 12, 1, 0, 0, 0, 0x44, 0x11, 0x55, 0x22, 0x66, 0x33, 0x40, 0x50]
    )
    assert registers(described) == (0x50, 0x665544332211)
    fixed = bytes([0x70, 0, 1, 0, 0x50, 0x40, 0, 10, 0x80, 0x11, 0x22, 0x33, 0, 0x1D, 0, 0, 0, 0])
    assert registers(fixed) == (0x50, 0x332211)
    for sense in (b"", bytes(32), fixed[:8] + b"\xa0" + fixed[9:]):
        with pytest.raises(OSError, match="registers"):
            registers(sense)


def test_nvme_log_is_put_in_words() -> None:
    log = bytearray(512)
    log[0], log[3], log[5], log[128], log[160] = 4, 97, 3, 200, 1
    assert nvme_words(bytes(log)) == (
        "NVMe: critical warning 0x04, spare 97 %, used 3 %, power-on hours 200, media errors 1"
    )


# ------------------------------------------------------------------ headwater disks


def test_table_marks_what_is_being_written_and_stays_inert(tmp_path: Path) -> None:
    records = list(disks(**plant("workshop", tmp_path)))
    lines = table(records)
    text = "\n".join(lines)
    assert "\x1b" not in text
    assert any("/dev/sda1" in line and "/boot (ro)" in line and "! " not in line for line in lines)
    assert any("/dev/dm-0" in line and "! / (rw)" in line for line in lines)
    assert any("/dev/sdc1" in line and "! /media (rw, 900 nginx)" in line for line in lines)
    assert lines[-1].startswith("! ")


def test_nothing_is_opened_for_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = plant("workshop", tmp_path)
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(MIB))
    seen: list[int] = []
    real = os.open

    def watched(path: object, flags: int, *more: object, **named: object) -> int:
        if str(path).startswith(str(tmp_path)):
            seen.append(flags)
        return real(path, flags, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", watched)
    list(disks(**roots))
    environment_of(image, **roots)
    assert seen
    assert all(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC) == 0 for flags in seen)


def test_system_without_block_devices_says_so(tmp_path: Path) -> None:
    with pytest.raises(AcquireError, match="HW2071"):
        list(disks(str(tmp_path), str(tmp_path), str(tmp_path), str(tmp_path)))
