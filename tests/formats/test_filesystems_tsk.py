# SPDX-License-Identifier: Apache-2.0
"""FAT, ISO 9660 and HFS+ through The Sleuth Kit, and volumes that cannot be read as files at all."""

from __future__ import annotations

import struct
import time
from collections import Counter
from pathlib import Path

import pytest
from disk_images import SHARED, ext, run, source, tool

from headwater.examine.macb import macb_batches
from headwater.formats.filesystems import identify, open_filesystem
from headwater.formats.sources import MemorySource
from headwater.formats.trees import Entry, Tree
from headwater.model.kinds import GapReason


def opened(path: Path) -> Tree:
    tree = open_filesystem(source(path))
    assert tree is not None
    return tree


def content(tree: Tree, entry: Entry) -> bytes:
    file = tree.open(entry.key)
    return file.pread(0, file.size)


def test_fat_wall_clock_is_the_same_in_every_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(8 << 20)
    run(tool("mkfs.vfat"), "-n", "VOLUME", image)
    data = bytearray(image.read_bytes())
    reserved, fats, root, per_fat = (
        struct.unpack_from("<H", data, 14)[0],
        data[16],
        0,
        struct.unpack_from("<H", data, 22)[0],
    )
    root = (reserved + fats * per_fat) * 512 + 32
    # an empty file A.TXT, written 2024-03-05 06:07:08 by the clock of whoever wrote it
    date, clock = (2024 - 1980) << 9 | 3 << 5 | 5, 6 << 11 | 7 << 5 | 8 // 2
    data[root : root + 32] = struct.pack(
        "<11sBBBHHHHHHHI", b"A       TXT", 32, 0, 0, clock, date, date, 0, clock, date, 0, 0
    )
    image.write_bytes(data)
    found = set()
    for zone in ("UTC", "Asia/Shanghai", "America/New_York"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        for frame, _ in macb_batches(opened(image)):
            for row in frame.iter_rows(named=True):
                if row["file_path"] == "/A.TXT" and row["t_kind"] == "modified":
                    found.add((row["t_recorded"], row["t_basis"]))
    monkeypatch.undo()
    time.tzset()
    assert found == {(1709618828 * 10**9, "zone-assumed")}


# SOURCE: log2timeline/dfvfs test_data, Apache-2.0
@pytest.mark.parametrize("name", ["hfsplus.raw", "iso9660.raw"])
def test_public_images_are_listed_as_fls_lists_them(name: str) -> None:
    image = SHARED / "dfvfs" / "test_data" / name
    if not image.is_file():
        pytest.skip("../shared/data is absent")
    tree = opened(image)
    entries = list(tree.entries())
    theirs = run(tool("fls"), "-r", "-p", image).decode().splitlines()
    names = Counter("/" + line.split("\t", 1)[1].replace("^", "") for line in theirs)
    assert Counter(e.path.replace("^", "").replace("%0D", "") for e in entries if e.path != "/") == names
    for entry in entries:
        if entry.kind == "file" and entry.key != "gone":
            assert content(tree, entry) == run(tool("icat"), image, entry.key.replace(":", "-")), entry.path


def test_what_cannot_be_read_as_files_says_why(tmp_path: Path) -> None:
    def volume(at: int, signature: bytes) -> MemorySource:
        data = bytearray(256 << 10)
        data[at : at + len(signature)] = signature
        return MemorySource(bytes(data))

    cases = [
        ("luks", volume(0, b"LUKS\xba\xbe\0\x02"), GapReason.ENCRYPTED),
        ("bitlocker", volume(3, b"-FVE-FS-"), GapReason.ENCRYPTED),
        ("btrfs", volume(0x10040, b"_BHRfS_M"), GapReason.UNSUPPORTED),
        ("swap", volume(4086, b"SWAPSPACE2"), GapReason.UNSUPPORTED),
        ("apfs", volume(32, b"NXSB"), GapReason.UNSUPPORTED),
        ("lvm2", volume(512, b"LABELONE"), GapReason.UNSUPPORTED),
        ("xfs", volume(0, b"XFSB"), GapReason.NOT_THIS_FORMAT),
        ("ext", volume(1080, b"\x53\xef"), GapReason.UNSUPPORTED),
    ]
    for kind, held, reason in cases:
        assert identify(held) == kind
        tree = open_filesystem(held)
        assert tree is not None
        assert list(tree.entries()) == []
        assert [gap.reason for gap in tree.warnings] == [reason], kind
    assert identify(MemorySource(bytes(1 << 20))) == "empty"
    assert identify(MemorySource(b"x" * 5000)) == "unknown"
    assert open_filesystem(MemorySource(b"x" * 5000)) is None
    assert open_filesystem(MemorySource(b"")) is None


def test_ext_that_the_reader_refuses_is_not_passed_over(tmp_path: Path) -> None:
    image = ext(tmp_path / "image")
    data = bytearray(image.read_bytes())
    struct.pack_into("<H", data, 1024 + 88, 77)  # an inode size that cannot be
    tree = open_filesystem(MemorySource(bytes(data)))
    assert tree is not None
    assert tree.warnings[0].length == len(data)
