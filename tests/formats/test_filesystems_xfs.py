# SPDX-License-Identifier: Apache-2.0
"""The XFS reader against the kernel: every layout of a directory, names that are bytes, a log left dirty."""

from __future__ import annotations

import hashlib
import lzma
import os
from pathlib import Path

import pytest
from disk_images import mounted, run, source, tool, unmounted

from headwater.examine.macb import macb_batches, verify_inode
from headwater.formats.filesystems import identify, open_filesystem
from headwater.formats.trees import Entry, Tree
from headwater.model.kinds import GapReason
from headwater.model.paths import decode_name

SAMPLE = Path(__file__).resolve().parents[2] / "sample"


def opened(path: Path) -> Tree:
    tree = open_filesystem(source(path))
    assert tree is not None
    return tree


def content(tree: Tree, entry: Entry) -> bytes:
    file = tree.open(entry.key)
    return file.pread(0, file.size)


def fill(root: bytes) -> None:
    os.makedirs(root + b"/small/deep")
    for name in (b"\xff\xfebad", "中文 名.txt".encode(), b"line\nbreak", b"a!b%c"):
        Path(os.fsdecode(root + b"/small/" + name)).write_bytes(name * 3)
    os.symlink("/etc/passwd", root + b"/small/short")
    os.symlink("l" * 900, root + b"/small/long")
    with open(root + b"/small/sparse", "wb") as file:
        file.truncate(1 << 28)
        file.seek(5_000_000)
        file.write(b"zz")
    os.chown(root + b"/small/sparse", 4000000001, 70000)
    os.utime(root + b"/small/sparse", ns=(-(10**18), 5 * 10**18 + 123456789))
    for folder, count in ((b"/block", 40), (b"/leaf", 400), (b"/node", 6000)):
        os.mkdir(root + folder)
        for n in range(count):
            Path(os.fsdecode(root + folder + b"/a-name-of-some-length-%05d" % n)).write_bytes(b"%d" % n)
    os.link(root + b"/leaf/a-name-of-some-length-00001", root + b"/small/hard")
    with open(root + b"/btree", "wb") as file:
        for n in range(300):  # every second block: more extents than the inode holds
            file.seek(n * 8192)
            file.write(b"%04d" % n * 1024)


@pytest.mark.parametrize("options", [("-i", "size=512"), ("-n", "size=16384", "-b", "size=2048")])
def test_xfs_holds_what_the_kernel_says(tmp_path: Path, options: tuple[str, ...]) -> None:
    image, point = tmp_path / "image", tmp_path / "mount"
    with image.open("wb") as file:
        file.truncate(320 << 20)
    run(tool("mkfs.xfs"), "-q", *options, image)
    mounted(image, point)
    root = os.fsencode(point)
    try:
        fill(root)
    finally:
        unmounted(point)
    tree = opened(image)
    assert identify(source(image)) == "xfs"
    entries = {decode_name(e.path): e for e in tree.entries() if e.allocated}
    assert tree.warnings == ()
    mounted(image, point, "ro")
    try:
        theirs = {b"/"}
        for folder, folders, files in os.walk(root):
            theirs |= {folder[len(root) :] + b"/" + name for name in folders + files}
        assert set(entries) == theirs
        for path, entry in entries.items():
            stat = os.lstat(root + path)
            assert (entry.mode, entry.uid, entry.gid, entry.size) == (
                stat.st_mode,
                stat.st_uid,
                stat.st_gid,
                stat.st_size,
            )
            assert (entry.modified, entry.changed, entry.inode) == (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
            if entry.kind == "file" and entry.size < 10_000_000:
                assert content(tree, entry) == Path(os.fsdecode(root + path)).read_bytes(), path
        fs = os.statvfs(point)
    finally:
        unmounted(point)
    sparse = entries[b"/small/sparse"]
    file = tree.open(sparse.key)
    assert file.pread(4_999_999, 4) == b"\0zz\0"
    assert sum(length for _, length in tree.extents(sparse.key)) < 1 << 20
    assert entries[b"/small/long"].target == "l" * 900
    free = sum(length for _, length, what in tree.coverage() if what == "unallocated")
    assert abs(free - fs.f_bfree * fs.f_bsize) < 1 << 20  # the kernel keeps a few blocks back


def test_xfs_deleted_names_and_freed_inodes_are_listed(tmp_path: Path) -> None:
    image, point = tmp_path / "image", tmp_path / "mount"
    with image.open("wb") as file:
        file.truncate(320 << 20)
    run(tool("mkfs.xfs"), "-q", image)
    mounted(image, point)
    try:
        for n in range(40):
            (point / f"a-name-of-some-length-{n:03d}").write_bytes(b"x")
        inode = (point / "a-name-of-some-length-020").stat().st_ino
        (point / "a-name-of-some-length-020").unlink()
    finally:
        unmounted(point)
    lost = {e.path: e for e in opened(image).entries() if not e.allocated}
    assert lost["/a-name-of-some-length-020"].kind == "file"
    assert lost["/a-name-of-some-length-020"].modified is None  # nothing says what the inode was
    assert lost[f"/$OrphanFiles/OrphanFile-{inode}"].changed is not None


def sample(name: str, folder: Path) -> tuple[Path, dict[str, str]]:
    packed = SAMPLE / f"{name}.raw.xz"
    if not packed.is_file():
        pytest.skip(f"sample/{name}.raw.xz is absent")
    image = folder / name
    image.write_bytes(lzma.decompress(packed.read_bytes()))
    lines = [line.split(maxsplit=1) for line in (SAMPLE / f"{name}.sha256").read_text().splitlines()]
    assert hashlib.sha256(image.read_bytes()).hexdigest() == lines[-1][0]
    return image, {path.strip().lstrip("*"): digest for digest, path in lines[:-1]}


# SOURCE: sample/dirty-xfs.raw.xz, made by lab/dirty.sh, Apache-2.0, sha256 in sample/dirty-xfs.sha256
def test_xfs_dirty_log_left_aside_is_said_and_never_an_empty_tree_in_silence(tmp_path: Path) -> None:
    image, _ = sample("dirty-xfs", tmp_path)
    tree = open_filesystem(source(image), play=False)
    assert tree is not None
    paths = {e.path for e in tree.entries()}
    assert "/var/log/settled.log" in paths  # as recorded: older than the log
    assert [gap.reason for gap in tree.warnings] == [GapReason.NOT_REPLAYED]
    gap = tree.warnings[0]
    assert gap.length > 1 << 20
    assert image.read_bytes()[gap.offset : gap.offset + 4] == b"\xfe\xed\xba\xbe"


def test_xfs_times_can_be_derived_from_the_cited_inode(tmp_path: Path) -> None:
    image, _ = sample("dirty-xfs", tmp_path)
    tree = opened(image)
    volume = image.read_bytes()
    cited = 0
    for frame, _ in macb_batches(tree):
        for row in frame.iter_rows(named=True):
            if not row["length"]:
                continue  # an inode that lies in the log in two pieces cites the listing
            found = verify_inode("xfs", volume[row["offset"] : row["offset"] + row["length"]])
            cited += 1
            assert found[row["t_kind"]] == row["t_recorded"]
            assert (found["uid"], found["size"]) == (row["uid"], row["size"])
    assert cited > 20


def test_xfs_version_4_is_read(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"held" * 3000)
    prototype = tmp_path / "prototype"
    prototype.write_text(
        f"dummy\n0 0\nd--755 4000000 70000\ndata ---644 0 0 {tmp_path / 'data'}\n"
        f"link l--777 0 0 /etc/passwd\nsub d--755 0 0\ninner ---600 5 5 {tmp_path / 'data'}\n$\n$\n"
    )
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(300 << 20)
    run(tool("mkfs.xfs"), "-q", "-m", "crc=0", "-p", prototype, image)
    tree = opened(image)
    entries = {e.path: e for e in tree.entries() if e.allocated}
    assert set(entries) == {"/", "/data", "/link", "/sub", "/sub/inner"}
    assert (entries["/"].uid, entries["/"].gid) == (4000000, 70000)
    assert content(tree, entries["/sub/inner"]) == b"held" * 3000
    assert entries["/link"].target == "/etc/passwd"
    assert entries["/data"].created is None  # version 4 records no birth
    assert tree.warnings == ()
