# SPDX-License-Identifier: Apache-2.0
"""NTFS, FAT, ISO 9660 and HFS+ through The Sleuth Kit, and volumes that cannot be read as files at all."""

from __future__ import annotations

import os
import struct
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from disk_images import SHARED, ext, run, source, tool, unmounted

from headwater.examine.macb import macb_batches, verify_inode
from headwater.formats import ntfs
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


@pytest.fixture(scope="module")
def ntfs_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ntfs")
    image, point = folder / "image", folder / "mount"
    with image.open("wb") as file:
        file.truncate(12 << 20)
    run(tool("mkfs.ntfs"), "-q", "-F", "-f", image)
    point.mkdir()
    done = subprocess.run([tool("ntfs-3g"), str(image), str(point)], capture_output=True)
    if done.returncode:
        pytest.skip(f"ntfs-3g cannot mount here: {done.stderr.decode(errors='replace').strip()}")
    try:
        (point / "dir" / "sub").mkdir(parents=True)
        (point / "dir" / "a.txt").write_bytes(b"hello" * 1000)
        os.link(point / "dir" / "a.txt", point / "dir" / "sub" / "hard.txt")
        (point / "dir" / "中文.txt").write_bytes(b"resident")
        os.setxattr(point / "dir" / "a.txt", "user.stream", b"hidden in a stream")
        os.utime(point / "dir" / "a.txt", ns=(-(10**18) + 500, 9 * 10**18 + 1234500))
        (point / "dir" / "gone.txt").write_bytes(b"deleted data" * 300)
        os.sync()
        (point / "dir" / "gone.txt").unlink()
    finally:
        unmounted(point)
    return image


def test_ntfs_lists_streams_hard_links_and_deleted_files(ntfs_image: Path) -> None:
    tree = opened(ntfs_image)
    entries = {e.path: e for e in tree.entries()}
    assert tree.kind == "ntfs"
    assert tree.warnings == ()
    assert content(tree, entries["/dir/a.txt"]) == b"hello" * 1000
    assert content(tree, entries["/dir/a.txt:stream"]) == b"hidden in a stream"
    assert content(tree, entries["/dir/中文.txt"]) == b"resident"
    assert entries["/dir/sub/hard.txt"].inode == entries["/dir/a.txt"].inode
    gone = entries["/dir/gone.txt"]
    assert not gone.allocated
    assert content(tree, gone) == b"deleted data" * 300
    volume = ntfs_image.read_bytes()
    held = b"".join(volume[at : at + n] for at, n in tree.extents(entries["/dir/a.txt"].key))
    assert held == b"hello" * 1000
    theirs = run(tool("fls"), "-r", "-p", ntfs_image).decode().splitlines()
    names = {"/" + line.split("\t", 1)[1] for line in theirs}
    mine = set(entries) - {"/"}
    # fls also lists the index attributes of NTFS's own files
    assert {n for n in names if ":$" not in n} == {n for n in mine if ":$" not in n} - {
        "/$Secure",
        "/$Extend/$ObjId",
        "/$Extend/$Quota",
        "/$Extend/$Reparse",
    }


def test_ntfs_times_before_1970_and_their_100_ns_are_kept(ntfs_image: Path) -> None:
    tree = opened(ntfs_image)
    entry = {e.path: e for e in tree.entries()}["/dir/a.txt"]
    assert entry.accessed == -(10**18) + 500
    assert entry.modified == 9 * 10**18 + 1234500


def test_ntfs_times_can_be_derived_from_the_cited_record(ntfs_image: Path) -> None:
    volume = ntfs_image.read_bytes()
    rows = 0
    for frame, _ in macb_batches(opened(ntfs_image)):
        for row in frame.iter_rows(named=True):
            record = volume[row["offset"] : row["offset"] + row["length"]]
            assert verify_inode("ntfs", record)[row["t_kind"]] == row["t_recorded"]
            rows += 1
    assert rows > 60


def test_ntfs_coverage_agrees_with_the_clusters_in_use(ntfs_image: Path) -> None:
    ranges = list(opened(ntfs_image).coverage())
    free = sum(n for _, n, what in ranges if what == "unallocated")
    stated = run(tool("ntfsinfo"), "-m", "-f", ntfs_image).decode()
    clusters = next(line for line in stated.splitlines() if "Free Clusters" in line)
    assert free // 4096 == int(clusters.split(":")[1].split()[0])


def test_ntfs_marked_dirty_is_said(ntfs_image: Path, tmp_path: Path) -> None:
    volume = bytearray(ntfs_image.read_bytes())
    at = volume.find(b"\x70\0\0\0\x28\0\0\0")  # $VOLUME_INFORMATION of the record of $Volume
    struct.pack_into("<H", volume, at + 24 + 10, 1)
    image = tmp_path / "dirty"
    image.write_bytes(volume)
    assert [gap.reason for gap in opened(image).warnings] == [GapReason.NOT_REPLAYED]


def test_ntfs_log_in_use_is_not_clean() -> None:
    page = bytearray(8192)
    page[:4] = b"RSTR"
    struct.pack_into("<I", page, 16, 4096)
    struct.pack_into("<H", page, 24, 48)
    struct.pack_into("<QHHHH", page, 48, 77, 1, 0, 0, 0)
    assert ntfs.log_clean(bytes(page)) is False
    struct.pack_into("<H", page, 48 + 14, 2)
    assert ntfs.log_clean(bytes(page)) is True
    assert ntfs.log_clean(b"\xff" * 8192) is True
    assert ntfs.log_clean(bytes(8192)) is None


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
