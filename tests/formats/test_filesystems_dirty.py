# SPDX-License-Identifier: Apache-2.0
"""ext volumes copied while mounted: the journal is played back in memory as e2fsck would, or its absence is said."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from disk_images import ext, mounted, run, source, tool, unmounted
from test_filesystems_xfs import sample

from headwater.examine.macb import macb_batches, verify_inode
from headwater.formats.crc32c import crc32c, crc32c_blocks
from headwater.formats.ext import ExtTree
from headwater.formats.filesystems import open_filesystem
from headwater.model.kinds import GapReason


def opened(path: Path, play: bool = True) -> ExtTree:
    tree = open_filesystem(source(path), play)
    assert isinstance(tree, ExtTree)
    return tree


def seen(tree: ExtTree) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for entry in tree.entries():
        file = tree.open(entry.key)
        digest = hashlib.sha256(file.pread(0, file.size)).hexdigest() if entry.kind in ("file", "dir") else ""
        found[entry.path] = (*entry[1:13], entry.target, digest)
    return found


def replayed_by_e2fsck(image: Path) -> ExtTree:
    copy = image.with_suffix(".replayed")
    shutil.copy(image, copy)
    subprocess.run([tool("e2fsck"), "-y", "-E", "journal_only", str(copy)], check=False, capture_output=True)
    tree = opened(copy)
    assert tree.view == "clean"
    return tree


# SOURCE: sample/dirty-ext4.raw.xz, made by lab/dirty.sh, Apache-2.0, sha256 in sample/dirty-ext4.sha256
def test_ext4_fsynced_files_are_there_after_the_journal_is_played_back(tmp_path: Path) -> None:
    image, expected = sample("dirty-ext4", tmp_path)
    tree = opened(image)
    files = {e.path: e for e in tree.entries() if e.kind == "file"}
    assert set(files) == {path.removeprefix(".") for path in expected}
    for path, digest in expected.items():
        file = tree.open(files[path.removeprefix(".")].key)
        assert hashlib.sha256(file.pread(0, file.size)).hexdigest() == digest
    assert tree.view == "replayed"
    assert "7 transactions" in tree.notes[0]
    assert seen(tree) == seen(replayed_by_e2fsck(image))


def test_ext4_recorded_view_is_stale_and_says_so(tmp_path: Path) -> None:
    image, _ = sample("dirty-ext4", tmp_path)
    tree = opened(image, play=False)
    assert "/srv" not in {e.path for e in tree.entries()}
    assert tree.view == "recorded"
    gap = tree.warnings[0]
    assert gap.reason == GapReason.NOT_REPLAYED
    assert image.read_bytes()[gap.offset : gap.offset + 4] == bytes.fromhex("c03b3998")


def test_replayed_bytes_are_cited_where_they_really_stand(tmp_path: Path) -> None:
    image, _ = sample("dirty-ext4", tmp_path)
    tree = opened(image)
    volume = image.read_bytes()
    rows = 0
    for frame, _ in macb_batches(tree):
        for row in frame.iter_rows(named=True):
            found = verify_inode("ext4", volume[row["offset"] : row["offset"] + row["length"]])
            assert found[row["t_kind"]] == row["t_recorded"], row["file_path"]
            rows += 1
    assert rows > 40
    for entry in tree.entries():
        if entry.kind in ("file", "dir"):
            file = tree.open(entry.key)
            held = b"".join(volume[at : at + n] for at, n in tree.extents(entry.key))
            assert held == file.pread(0, file.size), entry.path


@pytest.mark.parametrize("options", [(), ("-O", "^metadata_csum"), ("-O", "^64bit,^metadata_csum", "-b", "1024")])
def test_image_copied_while_mounted_equals_what_e2fsck_makes_of_it(tmp_path: Path, options: tuple[str, ...]) -> None:
    image = ext(tmp_path / "image", *options, size="64M")
    point, copy = tmp_path / "mount", tmp_path / "copy"
    mounted(image, point)
    try:
        for n in range(300):
            (point / f"dir{n % 7}").mkdir(exist_ok=True)
            (point / f"dir{n % 7}" / f"file-{n}").write_bytes(b"%d" % n * 500)
        os.sync()
        shutil.rmtree(point / "dir3")  # its blocks are revoked, and soon hold data
        for n in range(120):
            path = point / f"late-{n}"
            path.write_bytes(bytes([n]) * 3000)
            with path.open("rb") as file:
                os.fsync(file.fileno())
        # a block of data that begins as a journal block does is escaped there
        (point / "link").symlink_to("x" * 200)
        folder = os.open(point, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        shutil.copy(image, copy)
    finally:
        unmounted(point)
    before = hashlib.sha256(copy.read_bytes()).hexdigest()
    tree = opened(copy)
    assert tree.view == "replayed"
    assert tree.warnings == ()
    mine = seen(tree)
    assert sum(path.startswith("/late-") for path in mine) == 120
    assert mine == seen(replayed_by_e2fsck(copy))
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == before


def test_damaged_journal_block_is_left_out_and_told(tmp_path: Path) -> None:
    image, _ = sample("dirty-ext4", tmp_path)
    tree = opened(image)
    volume = bytearray(image.read_bytes())
    offsets, _ = tree.record_spans(np.array([2]))
    volume[int(offsets[0]) + 300] ^= 1
    image.write_bytes(volume)
    damaged = opened(image)
    assert [gap.reason for gap in damaged.warnings] == [GapReason.UNREADABLE]
    assert "checksum" in damaged.warnings[0].detail


def test_journal_that_is_none_is_said(tmp_path: Path) -> None:
    image, _ = sample("dirty-ext4", tmp_path)
    at = opened(image, play=False).warnings[0].offset
    volume = bytearray(image.read_bytes())
    volume[at : at + 4096] = bytes(4096)
    image.write_bytes(volume)
    tree = opened(image)
    assert tree.view == "recorded"
    assert [gap.reason for gap in tree.warnings] == [GapReason.NOT_REPLAYED]
    assert "/var/log/settled.log" in {e.path for e in tree.entries()}


@pytest.mark.parametrize("checked", ["-c", ""])
def test_escaped_and_revoked_journal_blocks_are_what_e2fsck_makes_of_them(tmp_path: Path, checked: str) -> None:
    image = ext(tmp_path / "image", "-b", "1024", size="8M")
    held = (bytes.fromhex("c03b3998") + b"A" * 1020) * 2
    (tmp_path / "blocks").write_bytes(held)
    script = tmp_path / "script"
    script.write_text(f"jo {checked}\njw -b 1500,1501 {tmp_path / 'blocks'}\njw -r 1501\njc\n")
    run(tool("debugfs"), "-w", "-f", script, image)
    tree = opened(image)
    assert tree.view == "replayed"
    theirs = replayed_by_e2fsck(image)
    for number in (1500, 1501):
        assert tree._source.pread(number * 1024, 1024) == theirs._source.pread(number * 1024, 1024)
    assert tree._source.pread(1500 * 1024, 1024) == held[:1024]
    assert tree._source.pread(1501 * 1024, 1024) == bytes(1024)


def test_crc32c_is_castagnolis() -> None:
    assert crc32c(0xFFFFFFFF, b"123456789") ^ 0xFFFFFFFF == 0xE3069283  # RFC 3720, B.4
    rows = np.frombuffer(bytes(range(80)), np.uint8).reshape(5, 16)
    assert crc32c_blocks(7, rows).tolist() == [crc32c(7, row.tobytes()) for row in rows]
