# SPDX-License-Identifier: Apache-2.0
"""XFS volumes copied while mounted: the log is played back in memory as the kernel would, or its absence is said.

The kernel's own recovery is the reference: a copy of the volume is mounted, which writes the log back, and what is then
read of it must be what was read of the untouched copy. SOURCE of the sample: sample/dirty-xfs.raw.xz, lab/dirty.sh.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from disk_images import mounted, run, source, tool, unmounted
from test_filesystems_xfs import sample
from volume_fixtures import files, memory

from headwater.formats.crc32c import crc32c
from headwater.formats.filesystems import open_filesystem
from headwater.formats.xfs import XfsTree
from headwater.formats.xfs_layout import read_super
from headwater.formats.xfs_log import Log, records
from headwater.formats.xfs_log_items import chunks_of, core_to_disk
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource


def opened(path: Path, play: bool = True) -> XfsTree:
    tree = open_filesystem(source(path), play)
    assert isinstance(tree, XfsTree)
    return tree


class Bent:
    """A source with some stretches replaced."""

    def __init__(self, below: ByteSource, bent: dict[int, bytes]) -> None:
        self._below, self._bent = below, bent
        self.size, self.bad = below.size, ()

    def pread(self, offset: int, length: int) -> bytes:
        held = bytearray(self._below.pread(offset, length))
        for at, data in self._bent.items():
            low, high = max(at, offset), min(at + len(data), offset + len(held))
            if low < high:
                held[low - offset : high - offset] = data[low - at : high - at]
        return bytes(held)

    def close(self) -> None:
        return None


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The sample, unpacked once and never written to."""
    return sample("dirty-xfs", tmp_path_factory.mktemp("dirty"))


def seen(tree: XfsTree) -> dict[str, tuple[object, ...]]:
    """Everything that is told of every name in use; what no name leads to is the kernel's to free when it mounts."""
    found: dict[str, tuple[object, ...]] = {}
    for entry in tree.entries():
        if entry.allocated and not entry.path.startswith("/$"):
            file = tree.open(entry.key)
            digest = hashlib.sha256(file.pread(0, file.size)).hexdigest() if entry.kind == "file" else ""
            found[entry.path] = (*entry[1:13], entry.target, digest)
    return found


def as_the_kernel_recovers(image: Path, point: Path) -> XfsTree:
    copy = point.parent / "recovered"
    run("cp", "--sparse=always", image, copy)
    mounted(copy, point, "noatime", "nouuid")
    unmounted(point)
    tree = opened(copy)
    assert tree.view == "clean"
    return tree


def test_fsynced_files_are_there_after_the_log_is_played_back(dirty: tuple[Path, dict[str, str]]) -> None:
    image, expected = dirty
    tree = opened(image)
    files = {e.path: e for e in tree.entries() if e.kind == "file"}
    assert set(files) == {path.removeprefix(".") for path in expected}
    for path, digest in expected.items():
        file = tree.open(files[path.removeprefix(".")].key)
        assert hashlib.sha256(file.pread(0, file.size)).hexdigest() == digest
    assert tree.view == "replayed"
    assert tree.warnings == ()
    assert "7 transactions" in tree.notes[0]


def test_sample_is_what_the_kernel_makes_of_it(dirty: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    assert seen(opened(dirty[0])) == seen(as_the_kernel_recovers(dirty[0], tmp_path / "mount"))


def many_files(point: Path, chance: random.Random) -> None:
    """Directories that grow, shrink and go; links long and short; attributes; holes; files in many pieces."""
    for n in range(260):
        folder = point / f"dir{n % 5}"
        folder.mkdir(exist_ok=True)
        (folder / f"file-{n}-{'x' * (n % 90)}").write_bytes(chance.randbytes(n * 37))
    os.sync()
    shutil.rmtree(point / "dir3")
    for n in range(140):
        path = point / f"late-{n}"
        path.write_bytes(bytes([n]) * (n * 50))
        if n % 7 == 0:
            os.symlink("t" * (n * 7 + 1), point / f"link-{n}")
        if n % 9 == 0:
            os.setxattr(path, "user.note", b"v" * (n * 3 + 1))
        if n % 3 == 0:
            os.rename(path, point / "dir1" / f"moved-{n}")
    with (point / "pieces").open("wb") as file:
        for n in range(120):
            file.seek(n * 12_288)
            file.write(b"piece %d" % n)
            if n % 4 == 0:
                os.fsync(file.fileno())
    os.mknod(point / "null", 0o20666, os.makedev(1, 3))
    os.truncate(point / "dir1" / "moved-3", 17)


def end(point: Path) -> None:
    for name in ("pieces", "dir1", "."):
        handle = os.open(point / name, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def unlinking(point: Path, chance: random.Random) -> None:
    """Whole chunks of inodes are freed, and their blocks used again."""
    for n in range(600):
        (point / f"n{n}").write_bytes(b"n%d" % n)
    os.sync()
    for n in range(600):
        if n % 10:
            (point / f"n{n}").unlink()
    os.sync()
    for n in range(60):
        (point / f"again{n}").mkdir()
        (point / f"again{n}" / "inside").write_bytes(chance.randbytes(9000))
    (point / "dir1").mkdir()
    (point / "pieces").write_bytes(b"whole")


@pytest.mark.parametrize(
    ("options", "life"),
    [
        (("-m", "bigtime=1,reflink=1,rmapbt=1"), many_files),
        (("-m", "bigtime=0,reflink=0,finobt=0", "-i", "size=2048"), many_files),
        (("-m", "crc=0", "-n", "size=8192"), many_files),
        (("-m", "reflink=1", "-b", "size=1024", "-n", "size=4096"), unlinking),
    ],
)
def test_volume_copied_while_mounted_equals_what_the_kernel_makes_of_it(
    tmp_path: Path, options: tuple[str, ...], life: Callable[[Path, random.Random], None]
) -> None:
    image, point, copy = tmp_path / "image", tmp_path / "mount", tmp_path / "copy"
    with image.open("wb") as file:
        file.truncate(320 << 20)
    run(tool("mkfs.xfs"), "-q", *options, image)
    mounted(image, point)
    try:
        life(point, random.Random(11))
        end(point)
        run("cp", "--sparse=always", image, copy)
    finally:
        unmounted(point)
    tree = opened(copy)
    assert tree.view == "replayed"
    assert tree.warnings == ()
    theirs = as_the_kernel_recovers(copy, point)
    mine, reference = seen(tree), seen(theirs)
    assert mine.keys() == reference.keys()
    assert {p: (mine[p], reference[p]) for p in mine if mine[p] != reference[p]} == {}
    assert len(mine) > 100
    assert seen(opened(copy, play=False)) != mine


def test_recovered_bytes_are_cited_where_they_stand(dirty: tuple[Path, dict[str, str]]) -> None:
    tree, volume = opened(dirty[0]), source(dirty[0])
    for entry in tree.entries():
        if entry.kind == "file" and tree.extents(entry.key):
            file = tree.open(entry.key)
            assert b"".join(volume.pread(at, n) for at, n in tree.extents(entry.key)) == file.pread(0, file.size)
    inodes = np.array([e.inode for e in tree.entries()], np.int64)
    offsets, lengths = tree.record_spans(inodes)
    in_log = [(at, n) for at, n in zip(offsets.tolist(), lengths.tolist()) if n == 176 and at >= 0]
    assert in_log
    assert all(volume.pread(at, 2) == b"NI" for at, _ in in_log)


def flipped(volume: ByteSource, places: list[int]) -> XfsTree:
    tree = open_filesystem(Bent(volume, {at: bytes([volume.pread(at, 1)[0] ^ 0xFF]) for at in places}))
    assert isinstance(tree, XfsTree)
    return tree


def test_torn_last_record_is_left_aside_and_told(dirty: tuple[Path, dict[str, str]]) -> None:
    volume = source(dirty[0])
    log = Log(volume, read_super(volume))
    last = records(log)[0][-1]
    tree = flipped(volume, [log.place(last.block + last.headers) + 100])
    assert tree.view == "replayed"
    assert [gap.reason for gap in tree.warnings] == [GapReason.UNREADABLE]
    assert "torn" in tree.warnings[0].detail


def test_log_without_one_whole_record_is_said(dirty: tuple[Path, dict[str, str]]) -> None:
    volume = source(dirty[0])
    log = Log(volume, read_super(volume))
    tree = flipped(volume, [log.place(block) + 40 for block in log.candidates()])
    assert tree.view == "recorded"
    assert [gap.reason for gap in tree.warnings] == [GapReason.NOT_REPLAYED]
    assert "/var/log/settled.log" in {e.path for e in tree.entries()}


def test_core_of_an_inode_turns_into_what_the_disk_has(dirty: tuple[Path, dict[str, str]]) -> None:
    tree, volume = opened(dirty[0]), source(dirty[0])
    number = next(n for n, at in tree._source.inodes.items() if at >= 0 and n > 130)  # type: ignore[union-attr]
    at = tree._source.inodes[number]  # type: ignore[union-attr]
    made = core_to_disk(volume.pread(at, 176), 7)
    assert made[:2] == b"IN"
    assert int.from_bytes(made[152:160], "big") == number
    assert int.from_bytes(made[112:120], "big") == 7


@pytest.mark.parametrize("options", [(), ("-m", "crc=0")])
def test_volume_that_was_never_mounted_is_clean(tmp_path: Path, options: tuple[str, ...]) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(320 << 20)
    run(tool("mkfs.xfs"), "-q", *options, image)
    tree = opened(image)
    assert (tree.view, tree.warnings, tree.notes) == ("clean", (), ())


def record(block: int, buffer: int, length: int) -> bytes:
    """A record as a log with buffers of that size has it: the headers of the buffer, of which the checksum takes those of the length."""
    headers, extended = buffer // 32768, -(-length // 32768)
    head = bytearray(512)
    struct.pack_into(">IIIIQQ", head, 0, 0xFEEDBABE, 1, 2, length, 1 << 32 | block, 1 << 32 | block)
    struct.pack_into(">II", head, 36, 0, 1)
    struct.pack_into(">I", head, 300, 1)
    struct.pack_into(">I", head, 320, buffer)
    more = [struct.pack(">I", 1) + bytes([n]) * 508 for n in range(1, headers)]
    body = b"".join(struct.pack(">I", 1) + bytes([n % 251]) * 508 for n in range(length // 512))
    held = crc32c(0xFFFFFFFF, bytes(head[:328]))
    for one in more[: extended - 1]:
        held = crc32c(held, one[:260])
    struct.pack_into("<I", head, 32, crc32c(held, body) ^ 0xFFFFFFFF)
    return bytes(head) + b"".join(more) + body


@pytest.mark.parametrize(
    ("buffer", "length"), [(32768, 1024), (65536, 1024), (262144, 1024), (262144, 65536), (262144, 262144)]
)
def test_a_log_with_larger_buffers_is_read(dirty: tuple[Path, dict[str, str]], buffer: int, length: int) -> None:
    volume = source(dirty[0])
    head = read_super(volume)
    found = Log(Bent(volume, {Log(volume, head).start: record(0, buffer, length)}), head).record(0)
    assert found is not None
    assert (found.headers, found.sectors) == (buffer // 32768, length // 512)


def test_what_stands_behind_an_unmount_and_cannot_be_read_is_told(tmp_path: Path) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(320 << 20)
    run(tool("mkfs.xfs"), "-q", image)
    volume = source(image)
    log = Log(volume, read_super(volume))
    broken = bytearray(record(2, 32768, 1024))
    broken[600] ^= 1
    tree = open_filesystem(Bent(volume, {log.place(2): bytes(broken)}))
    assert isinstance(tree, XfsTree)
    assert (tree.view, [gap.reason for gap in tree.warnings]) == ("clean", [GapReason.NOT_REPLAYED])
    assert opened(image).warnings == ()


def test_runs_of_a_bitmap() -> None:
    assert list(chunks_of(bytes.fromhex("0000000000000080ff000000"))) == [(63, 9)]
    assert list(chunks_of(b"\x05")) == [(0, 1), (2, 1)]
    assert list(chunks_of(bytes(8))) == []


def test_hostile_logs_neither_raise_nor_hang(dirty: tuple[Path, dict[str, str]]) -> None:
    """Mutated items behind checksums made to fit: what a hostile hand would write."""
    from headwater.formats.crc32c import crc32c

    volume = source(dirty[0])
    log = Log(volume, read_super(volume))
    chain = records(log)[0]
    chance = random.Random(31)
    for _ in range(25):
        bent = dict[int, bytes]()
        for record in chain:
            at = log.place(record.block)
            size = (record.headers + record.sectors) * 512
            data = bytearray(volume.pread(at, size))
            for _ in range(chance.choice((0, 1, 3, 12))):
                place = record.headers * 512 + chance.randrange(record.sectors * 512)
                data[place] = chance.choice((0, 1, 2, 4, 0x20, 0x7F, 0x80, 0xFF))
            data[32:36] = bytes(4)
            held = crc32c(0xFFFFFFFF, bytes(data[:328]))
            for index in range(1, record.headers):
                held = crc32c(held, bytes(data[index * 512 : index * 512 + 260]))
            length = int.from_bytes(data[12:16], "big")
            held = crc32c(held, bytes(data[record.headers * 512 : record.headers * 512 + length])) ^ 0xFFFFFFFF
            data[32:36] = held.to_bytes(4, "little")
            bent[at] = bytes(data)
        tree = open_filesystem(Bent(volume, bent))
        assert tree is not None
        assert sum(1 for _ in tree.entries()) < 10_000
        assert all(gap.detail for gap in tree.warnings)


# SOURCE: fixtures/xfs4.tar.xz, made by lab/volumes/make.sh OUT xfs4 with Linux 6.1 in a QEMU guest; Apache-2.0
def test_version_4_is_what_the_kernel_that_knew_it_made_of_it() -> None:
    held = files("xfs4")
    tree = open_filesystem(memory("xfs4", "image"))
    assert isinstance(tree, XfsTree)
    assert tree.view == "replayed"
    assert tree.warnings == ()
    mine = {}
    for entry in tree.entries():
        if entry.kind == "file" and entry.allocated and not entry.path.startswith("/$"):
            file = tree.open(entry.key)
            mine[entry.path] = hashlib.sha256(file.pread(0, file.size)).hexdigest()
        if entry.path == "/srv/link":
            assert entry.target == held["LINK"].decode().strip()
    theirs = dict(reversed(line.split()) for line in held["SHA256SUMS"].decode().splitlines())  # type: ignore[misc]
    assert mine == {path.removeprefix("."): digest for path, digest in theirs.items()}
    assert len(mine) == 70 - 1
    stale = open_filesystem(memory("xfs4", "image"), play=False)
    assert stale is not None
    assert "/srv/late/late-1" not in {e.path for e in stale.entries()}
