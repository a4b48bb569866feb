# SPDX-License-Identifier: Apache-2.0
"""Partition tables and LVM2: no volume is lost, no table loops, nothing on the medium goes unmentioned."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
import uuid
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.formats.media import open_medium
from headwater.formats.opened import open_readonly
from headwater.formats.sources import MemorySource, physical_ranges
from headwater.formats.stacking import table_of
from headwater.formats.volumes import VolumeTable, volumes
from headwater.model.kinds import GapReason

SHARED = Path(__file__).parents[3] / "shared/data"
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"


def mbr(*entries: tuple[int, int, int]) -> bytes:
    """A boot record from (type, first, count) entries."""
    packed = b"".join(struct.pack("<B3xB3xII", 0, *entry) for entry in entries)
    return bytes(446) + packed.ljust(64, b"\0") + b"\x55\xaa"


def gpt_disk(sectors: int, parts: list[tuple[int, int, str]], unit: int = 512) -> bytearray:
    """A disk with both copies of a GPT over (first, last, name) partitions."""
    disk = bytearray(sectors * unit)
    disk[:512] = mbr((0xEE, 1, sectors - 1))
    entries = b"".join(
        uuid.UUID(LINUX).bytes_le
        + uuid.UUID(int=index + 1).bytes_le
        + struct.pack("<QQQ", first, last, 0)
        + name.encode("utf-16-le").ljust(72, b"\0")
        for index, (first, last, name) in enumerate(parts)
    ).ljust(128 * 128, b"\0")
    length = len(entries) // unit
    for mine, other, table in ((1, sectors - 1, 2), (sectors - 1, 1, sectors - 1 - length)):
        head = struct.pack("<8sIIIIQQQQ", b"EFI PART", 0x10000, 92, 0, 0, mine, other, 2 + length, sectors - 2 - length)
        head += bytes(16) + struct.pack("<QIII", table, 128, 128, zlib.crc32(entries))
        head = head[:16] + struct.pack("<I", zlib.crc32(head)) + head[20:]
        disk[mine * unit : mine * unit + 92] = head
        disk[table * unit : table * unit + len(entries)] = entries
    return disk


def scan(disk: bytes) -> VolumeTable:
    return volumes(MemorySource(bytes(disk)))


def places(table: VolumeTable) -> list[tuple[str, int, int]]:
    return [(v.name, v.offset, v.length) for v in table.volumes]


def assert_nothing_unmentioned(table: VolumeTable, size: int) -> None:
    at = 0
    for offset, length in sorted([(o, n) for o, n, _ in table.slack] + [(v.offset, v.length) for v in table.volumes]):
        assert offset <= at
        at = max(at, offset + length)
    assert at >= size


@pytest.mark.parametrize("unit", [512, 4096])
def test_gpt_is_read_with_its_names(unit: int) -> None:
    disk = gpt_disk(300, [(40, 99, "boot"), (120, 199, "系统!")], unit)
    table = scan(disk)
    assert table.kind == "gpt"
    assert places(table) == [("p1", 40 * unit, 60 * unit), ("p2", 120 * unit, 80 * unit)]
    assert [(v.type, v.label) for v in table.volumes] == [(LINUX, "boot"), (LINUX, "系统%21")]
    assert table.warnings == ()
    assert_nothing_unmentioned(table, len(disk))


@pytest.mark.parametrize("at", [512, 512 + 16, 1024 + 40])
def test_backup_gpt_serves_and_is_said(at: int) -> None:
    disk = gpt_disk(300, [(40, 99, "boot")])
    disk[at] ^= 0xFF
    table = scan(disk)
    assert places(table) == [("p1", 40 * 512, 60 * 512)]
    assert "backup" in table.warnings[0].detail


def test_missing_backup_is_said() -> None:
    table = scan(gpt_disk(300, [(40, 99, "boot")])[: 200 * 512])
    assert places(table) == [("p1", 40 * 512, 60 * 512)]
    assert [w.detail for w in table.warnings] == ["the backup GPT is missing or broken"]


def test_gpt_lost_in_both_copies_is_said() -> None:
    disk = gpt_disk(300, [(40, 99, "boot")])
    disk[520] ^= 1
    disk[299 * 512 + 20] ^= 1
    table = scan(disk)
    assert (table.kind, table.volumes) == ("gpt", ())
    assert table.warnings[0].reason is GapReason.UNREADABLE


def test_partition_beyond_the_medium_is_said() -> None:
    disk = gpt_disk(300, [(40, 99, "boot"), (120, 250, "cut")])[: 200 * 512]
    table = scan(disk)
    assert any(w.reason is GapReason.TRUNCATED for w in table.warnings)
    cut = table.volumes[1].source
    assert cut.pread(0, cut.size) == bytes(cut.size)
    assert cut.bad[0][:3] == (80 * 512, 51 * 512, GapReason.TRUNCATED)


def test_logical_partitions_count_from_five() -> None:
    disk = bytearray(400 * 512)
    disk[:512] = mbr((0x83, 10, 50), (0x05, 100, 300))
    disk[100 * 512 : 101 * 512] = mbr((0x83, 2, 40), (0x05, 60, 60))
    disk[160 * 512 : 161 * 512] = mbr((0x82, 1, 30), (0x05, 120, 60))
    disk[220 * 512 : 221 * 512] = mbr((0x83, 3, 20))
    table = scan(disk)
    expected = [("p1", 10, 50), ("p5", 102, 40), ("p6", 161, 30), ("p7", 223, 20)]
    assert places(table) == [(name, first * 512, count * 512) for name, first, count in expected]
    assert_nothing_unmentioned(table, len(disk))
    assert (100 * 512, 512, "extended boot record") in table.slack


def test_chain_of_boot_records_that_loops_ends() -> None:
    disk = bytearray(400 * 512)
    disk[:512] = mbr((0x05, 100, 300))
    disk[100 * 512 : 101 * 512] = mbr((0x83, 2, 40), (0x05, 60, 60))
    disk[160 * 512 : 161 * 512] = mbr((0x83, 1, 30), (0x05, 60, 60))
    table = scan(disk)
    assert [v.name for v in table.volumes] == ["p5", "p6"]
    assert [w.reason for w in table.warnings] == [GapReason.LIMIT]


def test_boot_sector_of_a_file_system_is_no_table() -> None:
    boot = bytearray(mbr((0x83, 1, 5)))
    boot[3:11] = b"NTFS    "
    assert scan(bytes(boot) + bytes(10_000)).kind == "none"
    assert scan(bytes(446) + b"\xff" * 64 + b"\x55\xaa" + bytes(9000)).kind == "none"
    assert scan(b"").kind == scan(bytes(100)).kind == "none"


def test_hidden_old_gpt_does_not_win_over_a_new_mbr() -> None:
    disk = gpt_disk(300, [(40, 99, "old")])
    disk[:512] = mbr((0x83, 100, 100))
    assert places(scan(disk)) == [("p1", 100 * 512, 100 * 512)]


VG = """
vg0 {{ id = "vg-id" seqno = {seq} status = ["RESIZEABLE"] extent_size = 8 # 4 KiB
 physical_volumes {{
  pv0 {{ id = "{pv0}" pe_start = 16 pe_count = 20 }}
  pv1 {{ id = "bbbbbb-bbbb-bbbb-bbbb-bbbb-bbbb-bbbbbb" pe_start = 16 pe_count = 20 }} }}
 logical_volumes {{
  root {{ status = ["READ", "WRITE", "VISIBLE"] segment_count = 2
   segment1 {{ start_extent = 0 extent_count = 2 type = "striped" stripe_count = 1 stripes = ["pv0", 4] }}
   segment2 {{ start_extent = 2 extent_count = 1 type = "striped" stripe_count = 1 stripes = ["pv0", 0] }} }}
  one {{ status = ["VISIBLE"] segment1 {{ start_extent = 0 extent_count = 3 type = "striped" stripe_count = 1
   stripes = ["pv0", 6] }} }}
  far {{ status = ["VISIBLE"] segment1 {{ start_extent = 0 extent_count = 1 type = "striped" stripe_count = 1
   stripes = ["pv0", 9] }} segment2 {{ start_extent = 1 extent_count = 1 type = "striped" stripe_count = 1
   stripes = ["pv1", 0] }} }}
  thin {{ status = ["VISIBLE"] segment1 {{ start_extent = 0 extent_count = 2 type = "thin" }} }}
  hidden {{ status = ["READ"] segment1 {{ start_extent = 0 extent_count = 1 type = "thin-pool" }} }} }} }}
"""


def crc(data: bytes) -> int:
    return zlib.crc32(data, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def physical_volume(seq: int = 3, uid: str = "a" * 32, wrap: bool = False) -> bytearray:
    """A physical volume of 20 extents of 4 KiB whose extents hold their own number."""
    dashed = "-".join((uid[:6], uid[6:10], uid[10:14], uid[14:18], uid[18:22], uid[22:26], uid[26:]))
    text = VG.format(seq=seq, pv0=dashed).encode() + b"\0"
    disk = bytearray(16 * 512 + 20 * 4096)
    for extent in range(20):
        disk[16 * 512 + extent * 4096 : 16 * 512 + (extent + 1) * 4096] = bytes([extent + 1]) * 4096
    label = struct.pack("<I8s", 32, b"LVM2 001") + uid.encode() + struct.pack("<Q", len(disk))
    label += struct.pack("<QQQQQQQQ", 8192, 0, 0, 0, 1024, 4096, 0, 0)
    label = label.ljust(512 - 20, b"\0")
    disk[512:1024] = struct.pack("<8sQI", b"LABELONE", 1, crc(label)) + label
    at = 4096 - 700 if wrap else 512
    head = b" LVM2 x[5A%r0N*>" + struct.pack("<IQQ", 1, 1024, 4096)
    head += struct.pack("<QQII", at, len(text), crc(text), 0)
    head = head.ljust(508, b"\0")
    disk[1024:1536] = struct.pack("<I", crc(head)) + head
    ring = text if not wrap else text[:700]
    disk[1024 + at : 1024 + at + len(ring)] = ring
    disk[1536 : 1536 + len(text) - len(ring)] = text[len(ring) :]
    return disk


@pytest.mark.parametrize("wrap", [False, True])
def test_logical_volumes_are_put_together(wrap: bool) -> None:
    medium = MemorySource(bytes(physical_volume(wrap=wrap)))
    table = volumes(medium)
    assert table.kind == "lvm2"
    found = {v.name: v for v in table.volumes}
    assert list(found) == ["lv.vg0.root", "lv.vg0.one", "lv.vg0.far", "lv.vg0.thin"]
    root, one = found["lv.vg0.root"], found["lv.vg0.one"]
    assert root.source.pread(0, 99_999) == b"\x05" * 4096 + b"\x06" * 4096 + b"\x01" * 4096
    assert (root.offset, one.offset, one.length) == (-1, 8192 + 6 * 4096, 3 * 4096)
    assert physical_ranges(root.source, medium, 8000, 400) == ((8192 + 4 * 4096 + 8000, 192), (8192, 208))
    far, thin = found["lv.vg0.far"].source, found["lv.vg0.thin"].source
    assert far.pread(0, 9000) == b"\x0a" * 4096 + bytes(4096)
    assert [b[:3] for b in far.bad] == [(4096, 4096, GapReason.UNREADABLE)]
    assert [b[:3] for b in thin.bad] == [(0, 8192, GapReason.NOT_THIS_FORMAT)]  # its pool is not in the group
    assert len(table.warnings) == 2


def test_logical_volume_on_a_partition_names_both() -> None:
    pv = physical_volume()
    disk = bytes(mbr((0x8E, 8, len(pv) // 512)).ljust(8 * 512, b"\0") + pv)
    table = scan(disk)
    assert [v.name for v in table.volumes][:3] == ["p1", "p1!lv.vg0.root", "p1!lv.vg0.one"]
    assert table.volumes[2].offset == 8 * 512 + 8192 + 6 * 4096


def test_newest_metadata_of_two_physical_volumes_wins() -> None:
    old, new = physical_volume(seq=3), physical_volume(seq=9, uid="c" * 32)
    size = len(old) // 512
    disk = bytes(mbr((0x8E, 8, size), (0x8E, 8 + size, size)).ljust(8 * 512, b"\0") + old + new)
    table = scan(disk)
    assert [v.name for v in table.volumes][2:4] == ["p2!lv.vg0.root", "p2!lv.vg0.one"]


def test_physical_volume_without_metadata_is_said() -> None:
    disk = physical_volume()
    disk[1024 + 600] ^= 1
    table = scan(disk)
    assert table.volumes == ()
    assert "without metadata" in table.warnings[0].detail


@settings(max_examples=200, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**48), which=st.sampled_from(["gpt", "mbr", "lvm"]), cut=st.booleans())
def test_damaged_tables_never_raise(seed: int, which: str, cut: bool) -> None:
    rng = random.Random(seed)
    if which == "lvm":
        disk = physical_volume()
    elif which == "gpt":
        disk = gpt_disk(300, [(40, 99, "boot"), (120, 199, "x")])
    else:
        disk = bytearray(400 * 512)
        disk[:512] = mbr((0x83, 10, 50), (0x05, 100, 300))
        disk[100 * 512 : 101 * 512] = mbr((0x83, 2, 40), (0x05, 60, 60))
    for _ in range(rng.randrange(1, 12)):
        disk[rng.choice([rng.randrange(len(disk)), rng.randrange(512), rng.randrange(2048)])] = rng.randrange(256)
    if cut:
        del disk[rng.randrange(len(disk)) :]
    table = scan(disk)
    for volume in table.volumes:
        volume.source.pread(0, 1000)
    for offset, length, _ in table.slack:
        assert 0 <= offset < offset + length <= len(disk)


@pytest.mark.skipif(not shutil.which("sfdisk"), reason="sfdisk is not installed")
@pytest.mark.parametrize("label", ["gpt", "dos"])
def test_tables_as_sfdisk_writes_them(tmp_path: Path, label: str) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(b"")
    with path.open("r+b") as file:
        file.truncate(16 << 20)
    lines = ["2M 1M", "4M 2M"] if label == "gpt" else ["2M 1M", "4M 8M E", "5M 1M", "8M 1M"]
    script = f"label: {label}\n" + "\n".join(
        f"start={line.split()[0]}iB,size={line.split()[1]}iB" + (",type=E" if "E" in line else "") for line in lines
    )
    subprocess.run(["sfdisk", "-q", str(path)], input=script, text=True, check=True, capture_output=True)
    medium = open_medium([open_readonly(path)])
    table = volumes(medium)
    mib = 1 << 20
    expected = {
        "gpt": [("p1", 2 * mib, mib), ("p2", 4 * mib, 2 * mib)],
        "dos": [("p1", 2 * mib, mib), ("p5", 5 * mib, mib), ("p6", 8 * mib, mib)],
    }
    assert (table.kind, places(table)) == ("gpt" if label == "gpt" else "mbr", expected[label])
    assert table.warnings == ()
    said = subprocess.run(["sfdisk", "-d", str(path)], text=True, check=True, capture_output=True).stdout.lower()
    disk = said.partition("label-id: 0x")[2].split("\n")[0]
    uuids = [part.uuid for part in table_of(medium).partitions]
    if label == "gpt":
        assert uuids == [line.partition("uuid=")[2].split(",")[0] for line in said.splitlines() if "uuid=" in line]
    else:
        assert uuids == [f"{disk}-01", f"{disk}-05", f"{disk}-06"]
    medium.close()


def test_real_disk_with_logical_partition() -> None:
    path = SHARED / "plaso/test_data/tsk_volume_system.raw"
    if not path.exists():
        pytest.skip("no ../shared/data/plaso")
    medium = open_medium([open_readonly(path)])
    table = volumes(medium)
    assert places(table) == [("p1", 512, 179_200), ("p5", 180_224, 1_294_336)]
    assert_nothing_unmentioned(table, medium.size)
    medium.close()
