# SPDX-License-Identifier: Apache-2.0
"""The ext reader against debugfs and The Sleuth Kit: owners, times, depth, cycles, deleted names, every layout."""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

import pytest
from disk_images import SHARED, ext, run, source, tool

from headwater.formats.ext import ExtTree
from headwater.formats.ext_layout import read_groups, read_superblock
from headwater.formats.filesystems import identify, open_filesystem
from headwater.formats.trees import Entry, Tree
from headwater.model.kinds import GapReason
from headwater.model.paths import decode_name

SECOND = 1_000_000_000


def opened(path: Path) -> Tree:
    tree = open_filesystem(source(path))
    assert tree is not None
    return tree


def listed(tree: Tree) -> dict[str, Entry]:
    return {e.path: e for e in tree.entries()}


def content(tree: Tree, entry: Entry) -> bytes:
    file = tree.open(entry.key)
    return file.pread(0, file.size)


def populated(folder: Path) -> dict[str, bytes]:
    """Files of the sizes where layouts change: empty, inline, one block, many blocks, a hole, more than 12 blocks."""
    files = {
        f"size{n}": bytes((i * 31 + n) & 255 for i in range(n)) for n in (0, 1, 59, 60, 61, 120, 1024, 4097, 90_000)
    }
    files |= {f"many/n{n:04d}-a-name-long-enough-for-a-hash-tree": b"%d" % n for n in range(600)}
    files["sparse"] = b"x" + bytes(3_000_000) + b"y"
    files["中文 名.txt"] = "内容".encode()
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            if name == "sparse":
                file.write(b"x")
                file.seek(3_000_001)
                file.write(b"y")
            else:
                file.write(data)
    os.symlink("/etc/passwd", folder / "short")
    os.symlink("l" * 300, folder / "long")
    os.link(folder / "size1024", folder / "many" / "hard")
    return files


LAYOUTS = [
    ("ext2", "-b", "1024"),
    ("ext3", "-b", "1024"),
    ("ext2", "-b", "4096", "-I", "128"),
    ("ext4", "-b", "1024"),
    ("ext4", "-b", "4096", "-O", "64bit,metadata_csum"),
    ("ext4", "-b", "4096", "-O", "inline_data"),
    ("ext4", "-b", "1024", "-O", "inline_data,metadata_csum_seed", "-I", "512"),
    ("ext4", "-b", "1024", "-O", "bigalloc", "-C", "16384"),
    ("ext4", "-b", "1024", "-O", "meta_bg,^resize_inode"),
    ("ext4", "-b", "2048", "-O", "^has_journal,^dir_index,^flex_bg"),
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: " ".join(layout))
def test_ext_layout_loses_no_file_and_no_byte(tmp_path: Path, layout: tuple[str, ...]) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    files = populated(folder)
    kind, *options = layout
    image = ext(tmp_path / "image", *options, "-d", str(folder), size="24M", kind=kind)
    tree = opened(image)
    entries = listed(tree)
    assert tree.kind == kind
    assert tree.warnings == ()
    volume = image.read_bytes()
    for name, data in files.items():
        entry = entries["/" + name]
        assert entry.size == len(data), name
        assert content(tree, entry) == data, name
        held = sum(length for _, length in tree.extents(entry.key))
        if name != "sparse":
            assert b"".join(volume[at : at + n] for at, n in tree.extents(entry.key)) == data, name
            assert held == len(data)
        else:
            assert held < 100_000  # the hole is zeros, and lies nowhere on the volume
    assert entries["/short"].target == "/etc/passwd"
    assert entries["/long"].target == "l" * 300
    assert entries["/many/hard"].inode == entries["/size1024"].inode
    if "bigalloc" in layout:
        return  # The Sleuth Kit does not open it
    names = run(tool("fls"), "-r", "-p", image).decode().splitlines()
    theirs = {"/" + line.split("\t", 1)[1] for line in names} - {"/$OrphanFiles"}
    assert set(entries) - {"/"} == theirs


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: " ".join(layout))
def test_ext_coverage_counts_the_free_blocks_that_the_superblock_counts(
    tmp_path: Path, layout: tuple[str, ...]
) -> None:
    kind, *options = layout
    image = ext(tmp_path / "image", *options, size="24M", kind=kind)
    ranges = list(opened(image).coverage())
    lines = run(tool("dumpe2fs"), "-h", image).decode().splitlines()
    stated = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    free = sum(n for _, n, what in ranges if what == "unallocated")
    block = int(stated["Block size"])
    assert free == int(stated["Free blocks"]) * block
    at = 0
    for offset, length, _ in ranges:
        assert offset == at
        at += length
    assert at == int(stated["Block count"]) * block


def test_uid_above_65535_and_times_before_1970_and_after_2038_are_kept(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    image = ext(
        tmp_path / "image",
        commands=f"write {tmp_path / 'a'} a\nset_inode_field a uid 4000000001\nset_inode_field a gid 70000\n"
        "set_inode_field a mtime @-1000000000\nset_inode_field a mtime_extra 0x1D6F3454\n"
        "set_inode_field a ctime @5000000000\nset_inode_field a atime @-2147483648\nset_inode_field a atime_extra 0\n",
    )
    entry = listed(opened(image))["/a"]
    assert (entry.uid, entry.gid) == (4000000001, 70000)
    assert entry.modified == -1_000_000_000 * SECOND + (0x1D6F3454 >> 2)
    assert entry.changed == 5_000_000_000 * SECOND
    assert entry.accessed == -2_147_483_648 * SECOND
    stat = run(tool("debugfs"), "-R", "stat a", image).decode()
    assert "Group: 70000" in stat


def test_time_beyond_int64_nanoseconds_is_none_and_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    image = ext(tmp_path / "image", commands=f"write {tmp_path / 'a'} a\nset_inode_field a mtime @12884901888\n")
    tree = opened(image)
    assert listed(tree)["/a"].modified is None
    assert any("2262" in gap.detail for gap in tree.warnings)


def test_five_thousand_levels_hide_nothing(tmp_path: Path) -> None:
    deep = 5000
    image = ext(tmp_path / "image", "-N", "8192", size="24M")
    lines = []
    for level in range(deep):
        lines += [f"mkdir d{level}", f"cd d{level}"]
    (tmp_path / "a").write_bytes(b"at the bottom")
    lines.append(f"write {tmp_path / 'a'} bottom")
    script = tmp_path / "deep"
    script.write_text("\n".join(lines))
    run(tool("debugfs"), "-w", "-f", script, image)
    tree = opened(image)
    entries = list(tree.entries())
    bottom = [e for e in entries if e.path.endswith("/bottom")]
    assert len(bottom) == 1
    assert bottom[0].path.count("/") == deep + 1
    assert content(tree, bottom[0]) == b"at the bottom"
    assert tree.warnings == ()


def test_a_directory_cycle_ends_and_is_said(tmp_path: Path) -> None:
    image = ext(tmp_path / "image", commands="mkdir a\nmkdir a/b\nln / a/b/again\nln a a/b/up\n")
    tree = opened(image)
    entries = list(tree.entries())
    assert sum(e.path.endswith(("/again", "/up")) for e in entries) == 2
    assert len(entries) < 20
    assert sum("two names" in gap.detail for gap in tree.warnings) == 2


def test_names_that_are_no_text_keep_their_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    names = [b"\xff\xfe", b"a!b%c", b"line\nbreak", "\u202egnp.exe".encode(), b"\xed\xa0\x80"]
    for name in names:
        (Path(os.fsdecode(os.fsencode(folder) + b"/" + name))).write_bytes(name)
    image = ext(tmp_path / "image", "-d", str(folder))
    tree = opened(image)
    found = {decode_name(e.path)[1:]: e for e in tree.entries() if e.kind == "file"}
    assert set(found) == set(names)
    for name in names:
        assert content(tree, found[name]) == name
        found[name].path.encode()  # no lone surrogate may reach a table


def test_deleted_names_and_orphans_are_listed_as_not_allocated(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"gone but not forgotten")
    write = "".join(f"write {tmp_path / 'a'} f{n}\n" for n in range(4))
    image = ext(tmp_path / "image", kind="ext2", commands=f"{write}rm f1\nrm f2\nkill_file f3\nunlink f3\n")
    tree = opened(image)
    lost = [e for e in tree.entries() if not e.allocated]
    theirs = run(tool("fls"), "-r", "-d", "-p", image).decode().splitlines()
    assert {e.path[1:] for e in lost} == {line.split("\t", 1)[1].replace("(realloc)", "") for line in theirs}
    assert any(e.deleted for e in lost)


def test_a_key_that_was_never_given_out_is_refused(tmp_path: Path) -> None:
    tree = opened(ext(tmp_path / "image"))
    for key in ("", "0", "999999", "-1", "../1", "1e3", "²"):
        with pytest.raises(KeyError):
            tree.open(key)


def test_a_superblock_that_claims_billions_of_groups_costs_nothing(tmp_path: Path) -> None:
    image = ext(tmp_path / "image")
    data = bytearray(image.read_bytes())
    struct.pack_into("<I", data, 1024, 0xFFFFFFF0)
    struct.pack_into("<I", data, 1024 + 4, 0xFFFFFFF0)
    image.write_bytes(data)
    block = read_superblock(source(image))
    groups, gaps = read_groups(source(image), block)
    assert groups.count < 100
    assert gaps[0].reason == GapReason.TRUNCATED


def test_truncated_volume_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "big").write_bytes(os.urandom(3 << 20))
    image = ext(tmp_path / "image", "-d", str(folder), size="8M")
    data = image.read_bytes()
    image.write_bytes(data[: 4 << 20])
    tree = opened(image)
    entry = listed(tree)["/big"]
    file = tree.open(entry.key)
    assert len(file.pread(0, file.size)) == 3 << 20
    short = file.bad or [gap for gap in tree.warnings if gap.reason == GapReason.TRUNCATED]
    assert short


def test_a_volume_that_lacks_its_last_part_is_not_called_whole(tmp_path: Path) -> None:
    image = ext(tmp_path / "short", kind="ext2", size="4M")
    assert not opened(image).warnings
    with image.open("r+b") as file:
        file.truncate(2 << 20)
    assert [(g.offset, g.length, g.reason) for g in opened(image).warnings] == [(2 << 20, 2 << 20, GapReason.TRUNCATED)]


# SOURCE: log2timeline/dfvfs and log2timeline/plaso test_data, Apache-2.0 (ext2.splitraw, ímynd.dd, syslog_image.dd)
@pytest.mark.parametrize(
    "parts",
    [
        ("dfvfs/test_data/ext2.splitraw.000", "dfvfs/test_data/ext2.splitraw.001"),
        ("dfvfs/test_data/ímynd.dd",),
        ("plaso/test_data/syslog_image.dd",),
    ],
    ids=["ext2.splitraw", "ímynd.dd", "syslog_image.dd"],
)
def test_public_images_are_listed_as_fls_lists_them(tmp_path: Path, parts: tuple[str, ...]) -> None:
    if not SHARED.is_dir():
        pytest.skip("../shared/data is absent")
    image = tmp_path / "image"
    image.write_bytes(b"".join((SHARED / part).read_bytes() for part in parts))
    tree = opened(image)
    mine = {(e.path[1:], e.inode, e.allocated) for e in tree.entries() if e.path != "/"}
    theirs = set()
    for line in run(tool("fls"), "-r", "-p", image).decode().splitlines():
        head, _, name = line.partition("\t")
        number = int(head.split()[-1].rstrip(":").replace("(realloc)", ""))
        theirs.add((name, number, "*" not in head))
    assert mine == {t for t in theirs if t[0] != "$OrphanFiles"}
    for entry in tree.entries():
        if entry.kind == "file" and entry.inode and entry.allocated:
            assert (
                hashlib.sha256(content(tree, entry)).digest()
                == hashlib.sha256(run(tool("icat"), image, entry.inode)).digest()
            )


def test_identify_tells_the_ext_family_apart(tmp_path: Path) -> None:
    for kind in ("ext2", "ext3", "ext4"):
        assert identify(source(ext(tmp_path / kind, kind=kind, size="8M"))) == kind


def test_record_places_are_the_inodes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    image = ext(tmp_path / "image", commands=f"write {tmp_path / 'a'} a\n")
    tree = opened(image)
    assert isinstance(tree, ExtTree)
    import numpy as np

    entry = listed(tree)["/a"]
    offsets, lengths = tree.record_spans(np.array([entry.inode, 0, 10**9]))
    record = image.read_bytes()[offsets[0] : offsets[0] + lengths[0]]
    assert struct.unpack_from("<H", record)[0] == entry.mode
    assert offsets[1] == offsets[2] == -1
