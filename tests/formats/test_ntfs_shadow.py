# SPDX-License-Identifier: Apache-2.0
"""A shadow copy shows what is different now, and nothing twice: deleted, changed, renamed and replaced files."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from disk_images import SHARED, tool, unmounted
from ntfs_images import ntfs_image

from headwater.examine import shadow
from headwater.examine.opening import open_evidence
from headwater.formats.ntfs_shadow import ShadowTree
from headwater.formats.ntfs_tree import NtfsTree
from headwater.formats.opened import open_readonly
from headwater.formats.shadow_copies import StoreSource
from headwater.formats.sources import MemorySource

BLOCK = 16_384


class Copy(StoreSource):
    """A copy of the test's own making: the volume as it was, and which blocks changed since."""

    def __init__(self, before: bytes, after: bytes) -> None:
        super().__init__(MemorySource(before), None, None, len(before), 0, 1_700_000_000 * 10**9)
        self._blocks = [at for at in range(0, len(before), BLOCK) if before[at : at + BLOCK] != after[at : at + BLOCK]]

    def pread(self, offset: int, length: int) -> bytes:
        return self._source.pread(offset, length)

    def changed_blocks(self) -> list[int]:
        return self._blocks


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    before = ntfs_image()
    after = tmp_path_factory.mktemp("now") / "image"
    point = after.with_name("mount")
    point.mkdir()
    shutil.copy(before, after)
    done = subprocess.run([tool("ntfs-3g"), str(after), str(point)], capture_output=True)
    if done.returncode:
        pytest.skip("ntfs-3g cannot mount here")
    try:
        os.rename(point / "full" / "file number 0001.dat", point / "full" / "file number 0001.dat.locked")
        with (point / "packed" / "noise").open("r+b") as file:
            file.write(b"encrypted now")
        (point / "sparse").unlink()
        (point / "sparse").write_bytes(b"another file")
        (point / "dir" / "a.txt").unlink()
        (point / "dir" / "sub" / "hard.txt").unlink()
        os.utime(point / "full" / "file number 0002.dat", ns=(1, 1))
        with (point / "full" / "file number 0003.dat").open("r+b") as file:
            file.write(b"9")
    finally:
        unmounted(point)
    return before.read_bytes(), after.read_bytes()


def tree_of(both: tuple[bytes, bytes]) -> ShadowTree:
    before, after = both
    copy = Copy(before, after)
    return ShadowTree(NtfsTree(copy), NtfsTree(MemorySource(after)), copy)


def test_each_difference_is_told_for_what_it_is(both: tuple[bytes, bytes]) -> None:
    tree = tree_of(both)
    listed = {e.path for e in tree.entries()}
    told = {d.entry.path: (d.what, d.now) for d in tree.differences}
    assert told == {
        "/full/file number 0001.dat": ("renamed", "/full/file number 0001.dat.locked"),
        "/full/file number 0003.dat": ("changed", "/full/file number 0003.dat"),
        "/packed/noise": ("changed", "/packed/noise"),
        "/sparse": told["/sparse"],
        "/dir/a.txt": ("deleted", None),
        "/dir/sub/hard.txt": ("deleted", None),
        "/dir/a.txt:stream": ("deleted", None),
    }
    assert told["/sparse"][0] in ("replaced", "changed")
    assert "/full/file number 0002.dat" in listed  # its times differ
    assert "/full/file number 0002.dat" in tree.passed_over
    assert "/full/file number 0004.dat" not in listed
    assert "/full/file number 0001.dat" in tree.passed_over
    assert not tree.passed_over & {"/packed/noise", "/sparse", "/dir/a.txt"}
    assert tree.same > 20


def test_originals_are_read_from_the_copy(both: tuple[bytes, bytes]) -> None:
    tree = tree_of(both)
    keys = {e.path: e.key for e in tree.entries()}
    assert tree.open(keys["/dir/a.txt"]).pread(0, 5000) == b"hello" * 1000
    assert tree.open(keys["/dir/a.txt:stream"]).pread(0, 100) == b"hidden in a stream"


def test_file_written_in_place_behind_unchanged_records_is_found(both: tuple[bytes, bytes]) -> None:
    before = both[0]
    live = NtfsTree(MemorySource(before))
    entry = next(e for e in live.entries() if e.path == "/dir/a.txt")
    ((at, _),) = live.extents(entry.key)
    after = bytearray(before)
    after[at : at + 5] = b"HELLO"
    tree = tree_of((before, bytes(after)))
    assert [e.path for e in tree.entries()][:1] == ["/dir/a.txt"]
    assert {d.what for d in tree.differences if ":" not in d.entry.path} == {"changed"}


def test_rows_state_when_the_file_was_so(both: tuple[bytes, bytes]) -> None:
    tree = tree_of(both)
    list(tree.entries())
    rows = shadow.frame(tree.differences, "p1!vss1", tree.created)
    assert rows.select("offset", "ordinal").n_unique() == rows.height == 7
    assert set(rows["t_recorded"]) == {1_700_000_000 * 10**9}
    assert set(rows["kind"]) == {"state.shadow"}


def test_copies_of_a_real_volume_show_the_deleted_file_alone() -> None:
    path = SHARED / "plaso/test_data/vsstest.qcow2"
    if not path.exists():
        pytest.skip("plaso's test data are not here")
    views = {v.name: v for v in open_evidence([open_readonly(path)]).views}
    assert set(views) == {"", "carved", "deleted", "vss1", "vss2"}
    first, second = views["vss1"].tree, views["vss2"].tree
    assert isinstance(first, ShadowTree)
    assert isinstance(second, ShadowTree)
    keys = {e.path: e.key for e in first.entries()}
    list(second.entries())
    assert [(d.entry.path, d.what) for d in first.differences] == [("/syslog", "deleted")]
    assert second.differences == []
    assert first.open(keys["/syslog"]).pread(0, 20) == b"Jan 22 07:52:33 myho"
