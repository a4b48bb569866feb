# SPDX-License-Identifier: Apache-2.0
"""NTFS read directly: names, streams, times, compressed and sparse content, deleted files, damage to its own tables."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import polars as pl
import pytest
from disk_images import SHARED, run, source, tool, unmounted
from ntfs_images import LONG, NOISE, TEXT, ntfs_image

from headwater.examine.macb import macb_batches, verify_inode
from headwater.examine.recovered import frame
from headwater.formats import ntfs
from headwater.formats.filesystems import identify, open_filesystem
from headwater.formats.ntfs_tree import NtfsTree
from headwater.formats.sources import MemorySource
from headwater.formats.trees import Entry, Tree
from headwater.model.kinds import GapReason


@pytest.fixture(scope="module")
def image() -> Path:
    return ntfs_image()


@pytest.fixture(scope="module")
def volume(image: Path) -> bytes:
    return image.read_bytes()


def opened(data: bytes | Path) -> NtfsTree:
    tree = open_filesystem(MemorySource(data) if isinstance(data, bytes) else source(data))
    assert isinstance(tree, NtfsTree)
    return tree


def content(tree: Tree, entry: Entry) -> bytes:
    file = tree.open(entry.key)
    held = file.pread(0, file.size)
    assert not file.bad
    return held


def listed(tree: Tree) -> dict[str, Entry]:
    return {e.path: e for e in tree.entries()}


def test_names_streams_hard_links_and_deleted_files_are_those_of_fls(image: Path) -> None:
    tree = opened(image)
    entries = listed(tree)
    assert tree.warnings == ()
    theirs = run(tool("fls"), "-r", "-p", "-F", image).decode().splitlines()
    names = {"/" + line.split("\t", 1)[1] for line in theirs}
    shown = {
        n.replace("%", "%25", 1).replace("!", "%21") if "50%" in n else n
        for n in names
        if ":$" not in n and "OrphanFiles" not in n and ":nnn" not in n
    }
    mine = {e.path for e in entries.values() if e.kind != "dir" and ":$" not in e.path and ":nnn" not in e.path}
    # fls lists no file without data, such as those that hold an index only
    assert shown - mine == {"/dir/sub/hard.txt:stream"}  # a stream stands once, under its file's first name
    assert mine - shown <= {"/$Secure", "/$Extend/$ObjId", "/$Extend/$Quota", "/$Extend/$Reparse", "/link"}


def test_content_is_what_was_written(image: Path) -> None:
    tree = opened(image)
    entries = listed(tree)
    assert content(tree, entries["/dir/a.txt"]) == b"hello" * 1000
    assert content(tree, entries["/dir/a.txt:stream"]) == b"hidden in a stream"
    assert content(tree, entries["/dir/中文.txt"]) == b"resident"
    assert content(tree, entries["/dir/50%25%21.txt"]) == b"odd name"
    assert content(tree, entries["/sparse"]) == b"front" + bytes((3 << 20) - 5) + b"back"
    assert entries["/dir/sub/hard.txt"].inode == entries["/dir/a.txt"].inode
    assert entries["/link"].kind == "link" or content(tree, entries["/link"])


@pytest.mark.parametrize(("at", "length"), [(0, 10), (65_530, 12), (4095, 70_000), (-100, 200)])
def test_compressed_content_is_the_same_at_any_place(image: Path, at: int, length: int) -> None:
    tree = opened(image)
    entries = listed(tree)
    for name, held in (("text", TEXT), ("noise", NOISE), ("holes", TEXT + bytes(200_000) + TEXT)):
        file = tree.open(entries[f"/packed/{name}"].key)
        start = at if at >= 0 else len(held) + at
        assert file.size == len(held)
        assert file.pread(start, length) == held[start : start + length]
        assert not file.bad
    stated = tree.mft.file(entries["/packed/text"].inode)
    assert any(a.type == 0x80 and a.flags & 1 for a in stated), "ntfs-3g did not compress"


def test_file_whose_attributes_fill_several_records_is_whole(image: Path) -> None:
    tree = opened(image)
    entries = listed(tree)
    assert content(tree, entries["/many"]) == b"many streams and names"
    streams = {e.path.partition(":")[2]: e for e in entries.values() if e.path.startswith("/many:")}
    assert len(streams) == 12
    assert {content(tree, e) for e in streams.values()} == {b"stream %d" % n * 20 for n in range(12)}
    links = [e for e in entries.values() if e.path.startswith(f"/dir/{LONG}-") and ":" not in e.path]
    assert {e.inode for e in links} == {entries["/many"].inode}
    assert len(links) == 12


def test_deleted_files_stand_where_they_stood(image: Path) -> None:
    tree = opened(image)
    entries = listed(tree)
    gone = entries["/dir/gone.txt"]
    assert not gone.allocated
    assert content(tree, gone) == b"deleted data" * 300
    assert not entries["/lost"].allocated
    assert content(tree, entries["/lost/small.txt"]) == b"small and deleted"
    assert content(tree, entries["/lost/below/deep.txt"]) == b"in a deleted folder" * 100
    names = {p for p in entries if p.startswith("/full/")}
    assert len(names) == 90


def test_places_of_content_lead_to_its_bytes(image: Path, volume: bytes) -> None:
    tree = opened(image)
    entries = listed(tree)
    for path in ("/dir/a.txt", "/dir/gone.txt", "/dir/a.txt:stream", "/many"):
        held = b"".join(volume[at : at + n] for at, n in tree.extents(entries[path].key))
        assert held == content(tree, entries[path])


def test_times_before_1970_and_their_100_ns_are_kept(image: Path) -> None:
    entry = listed(opened(image))["/dir/a.txt"]
    assert entry.accessed == -(10**18) + 500
    assert entry.modified == 9 * 10**18 + 1234500


def test_times_can_be_derived_from_the_cited_record(image: Path, volume: bytes) -> None:
    rows = 0
    for listing, _ in macb_batches(opened(image)):
        for row in listing.iter_rows(named=True):
            record = volume[row["offset"] : row["offset"] + row["length"]]
            assert verify_inode("ntfs", record)[row["t_kind"]] == row["t_recorded"]
            rows += 1
    assert rows > 400


def test_coverage_agrees_with_the_clusters_in_use(image: Path) -> None:
    ranges = list(opened(image).coverage())
    free = sum(n for _, n, what in ranges if what == "unallocated")
    stated = run(tool("ntfsinfo"), "-m", "-f", image).decode()
    clusters = next(line for line in stated.splitlines() if "Free Clusters" in line)
    assert free // 4096 == int(clusters.split(":")[1].split()[0])
    assert sum(n for _, n, _ in ranges) <= image.stat().st_size


def test_marked_dirty_is_said(volume: bytes) -> None:
    held = bytearray(volume)
    at = held.find(b"\x70\0\0\0\x28\0\0\0")  # $VOLUME_INFORMATION of the record of $Volume
    struct.pack_into("<H", held, at + 24 + 10, 1)
    assert [gap.reason for gap in opened(bytes(held)).warnings] == [GapReason.NOT_REPLAYED]


def test_log_in_use_is_not_clean() -> None:
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


def test_wiped_boot_sector_is_replaced_by_its_backup(volume: bytes) -> None:
    held = bytearray(volume)
    held[:512] = bytes(512)
    assert identify(MemorySource(bytes(held))) == "ntfs"
    tree = opened(bytes(held))
    assert "backup" in tree.warnings[0].detail
    assert content(tree, listed(tree)["/dir/a.txt"]) == b"hello" * 1000


def test_wiped_record_of_the_mft_is_replaced_by_the_mirror(volume: bytes) -> None:
    tree = opened(volume)
    at = tree.boot.mft * tree.boot.cluster
    held = bytearray(volume)
    held[at : at + 1024] = bytes(1024)
    tree = opened(bytes(held))
    assert "$MFTMirr" in tree.warnings[0].detail
    assert content(tree, listed(tree)["/dir/a.txt"]) == b"hello" * 1000


def test_torn_record_is_a_gap_at_its_place(volume: bytes) -> None:
    tree = opened(volume)
    entry = listed(tree)["/dir/a.txt"]
    place = tree.mft.place(entry.inode)
    held = bytearray(volume)
    held[place + 510] ^= 0xFF
    tree = opened(bytes(held))
    entries = listed(tree)
    assert "/dir/a.txt" not in entries
    assert [(g.offset, g.length) for g in tree.warnings] == [(place, 1024)]
    assert "torn" in tree.warnings[0].detail


def test_folder_that_lies_in_itself_ends_the_chain(volume: bytes) -> None:
    tree = opened(volume)
    entries = listed(tree)
    inner, outer = entries["/dir/sub"].inode, entries["/dir"].inode
    held = bytearray(volume)
    for child, parent in ((outer, inner), (inner, outer)):
        place = tree.mft.place(child)
        names = tree.table.names
        at = int(names.at[names.owner.tolist().index(child)]) - child * 1024
        reference = int(tree.table.sequence[parent]) << 48 | parent
        struct.pack_into("<Q", held, place + at + 24, reference)
    tree = opened(bytes(held))
    orphan = next(path for path in listed(tree) if "中文" in path)
    assert orphan.startswith("/$OrphanFiles/")
    assert any("lies in itself" in g.detail for g in tree.warnings)


def test_encrypted_content_is_a_gap_and_not_zeros(volume: bytes) -> None:
    tree = opened(volume)
    entry = listed(tree)["/dir/a.txt"]
    place = tree.mft.place(entry.inode)
    held = bytearray(volume)
    at = held.find(b"\x80\0\0\0", place)
    struct.pack_into("<H", held, at + 12, 0x4000)
    tree = opened(bytes(held))
    file = tree.open(entry.key)
    assert [(o, n, r) for o, n, r, _ in file.bad] == [(0, 5000, GapReason.ENCRYPTED)]


def test_real_windows_volume_is_listed_as_fls_lists_it() -> None:
    path = SHARED / "dfvfs/test_data/windows_volume.qcow2"
    if not path.exists():
        pytest.skip("dfvfs's test data are not here")
    from headwater.formats.media import open_medium
    from headwater.formats.opened import open_readonly

    tree = open_filesystem(open_medium([open_readonly(path)]))
    assert tree is not None
    entries = listed(tree)
    assert entries["/Windows/System32/config/syslog"].inode == 67
    assert content(tree, entries["/Windows/System32/config/syslog"]).startswith(b"Jan 22 07:52:33 myho")


def test_deleted_files_are_a_view_with_their_claims(image: Path) -> None:
    tree = opened(image)
    found = {r.entry.path: r for r in tree.deleted.recovered() if r.slack is None}
    assert set(found) == {e.path for e in tree.entries() if not e.allocated and e.key != "gone"}
    gone = found["/dir/gone.txt"]
    assert (gone.blocks, gone.free, gone.name_claim, gone.metadata_claim) == (1, 1, "record", "record")
    assert tree.deleted.open(gone.entry.key).pread(0, 9999) == b"deleted data" * 300
    assert found["/lost"].blocks == 0
    deep = found["/lost/below/deep.txt"]
    assert tree.deleted.open(deep.entry.key).pread(0, 9999) == b"in a deleted folder" * 100


def test_deleted_content_that_is_another_files_by_now_is_a_gap(volume: bytes) -> None:
    tree = opened(volume)
    gone = next(r for r in tree.deleted.recovered() if r.entry.path == "/dir/gone.txt")
    ((at, _),) = tree.extents(gone.entry.key)
    cluster = at // tree.boot.cluster
    ((bitmap, _),) = tree.extents("6")
    held = bytearray(volume)
    held[bitmap + cluster // 8] |= 1 << cluster % 8
    tree = opened(bytes(held))
    gone = next(r for r in tree.deleted.recovered() if r.entry.path == "/dir/gone.txt")
    assert (gone.blocks, gone.free) == (1, 0)
    file = tree.deleted.open(gone.entry.key)
    assert file.pread(0, 3600) == bytes(3600)
    assert [(o, n, r) for o, n, r, _ in file.bad] == [(0, 3600, GapReason.OVERWRITTEN)]


def test_claims_of_deleted_files_are_rows_with_their_own_identity(image: Path) -> None:
    tree = opened(image)
    rows = frame(tree.deleted.recovered(), "p1!deleted")
    assert rows.height > 60
    assert rows.select("offset", "ordinal").n_unique() == rows.height
    assert set(rows["name_claim"]) <= {"record", "index"}
    assert set(rows.filter(pl.col("name_claim") == "record")["content_claim"]) == {"whole", "not-applicable"}
    assert rows["t_recorded"].null_count() == rows.height


def test_table_of_a_single_record_is_listed_without_its_bitmap(volume: bytes) -> None:
    tree = opened(volume)
    at = tree.boot.mft * tree.boot.cluster
    held = bytearray(volume)
    stated = held.find(b"\x80\0\0\0", at)
    struct.pack_into("<QQQ", held, stated + 40, 1024, 1024, 1024)
    tree = opened(bytes(held))
    assert [e.path for e in tree.entries()] == ["/$MFT"]
    assert list(tree.coverage()) == []
    assert list(tree.deleted.entries()) == []


def test_name_that_only_an_index_still_holds_has_its_times_and_its_place(
    image: Path, volume: bytes, tmp_path: Path
) -> None:
    now, point = tmp_path / "image", tmp_path / "mount"
    shutil.copy(image, now)
    point.mkdir()
    if subprocess.run([tool("ntfs-3g"), str(now), str(point)], capture_output=True).returncode:
        pytest.skip("ntfs-3g cannot mount here")
    try:
        (point / "full" / "file number 0029.dat").rename(point / "full" / "aaa.dat")
        for n in range(80):  # the records of deleted files are used again
            (point / "dir" / f"new {n}").write_bytes(b"new")
    finally:
        unmounted(point)
    data = now.read_bytes()
    tree = opened(data)
    left = {r.entry.path: r for r in tree.deleted.recovered() if r.slack is not None}
    assert left, "ntfs-3g left no names in its indexes"
    assert all(path.startswith("/full/file number 00") for path in left)
    for path, found in left.items():
        assert path.rpartition("/")[2].encode("utf-16-le") in data[found.place : found.place + found.record_size]
        assert found.entry.created is not None
        assert tree.deleted.open(found.entry.key).size == 0
    rows = frame(list(left.values()), "deleted")
    assert set(rows["metadata_claim"]) == {"index"}
    assert set(rows["content_claim"]) == {"none"}
