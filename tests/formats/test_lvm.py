# SPDX-License-Identifier: Apache-2.0
"""LVM2 of every kind reads as the kernel reads it: stripes, copies, parity, thin volumes, snapshots, over several disks.

SOURCE: fixtures/lvm.tar.xz and stack.tar.xz, made by lab/volumes/make.sh with Debian's lvm2 2.03.16, mdadm and Linux 6.1
in a QEMU guest; Apache-2.0; sha256 in fixtures/SHA256SUMS. The digests are of what the guest's kernel read.
"""

from __future__ import annotations

import random
import time

import pytest
from volume_fixtures import conforms, digest, expected, files, memory

from headwater.formats.filesystems import open_filesystem
from headwater.formats.sources import MemorySource, physical_ranges
from headwater.formats.stacking import Stack, Volume, stacked
from headwater.formats.volumes import volumes
from headwater.model.kinds import GapReason

GROUPS = ("copies", "plain", "thin")


def group(name: str, gone: int = -1) -> Stack:
    held = sorted(path for path in files("lvm") if path.startswith(f"{name}-pv"))
    parts = [
        Volume(f"pv{n}", -1, len(files("lvm")[path]), "", "", memory("lvm", path))
        for n, path in enumerate(held)
        if n != gone
    ]
    return stacked(parts)


@pytest.mark.parametrize("name", GROUPS)
def test_every_logical_volume_reads_as_the_kernel_read_it(name: str) -> None:
    stack = group(name)
    found = {f"{name}/{v.label}": v for v in stack.volumes}
    want = {path: said for path, said in expected("lvm").items() if path.startswith(name)}
    assert want.items() <= {p: (digest(v.source), v.length) for p, v in found.items() if v.length < 1 << 30}.items()
    assert stack.warnings == []
    assert all(not v.source.bad for v in found.values())


@pytest.mark.parametrize("label", ["striped2", "raid6", "a", "cow"])
def test_logical_volume_reads_the_same_at_any_place(label: str) -> None:
    conforms(next(v.source for name in GROUPS for v in group(name).volumes if v.label == label))


def test_thin_volume_larger_than_everything_costs_nothing_where_it_is_empty() -> None:
    big = next(v for v in group("thin").volumes if v.label == "big")
    assert dict(big.facts) == {"thin": "yes"}  # what reads as zeros there may never have been written
    assert not any(v.facts for v in group("plain").volumes)
    assert big.length == 1 << 40
    assert big.source.pread(1_000_000 * 65_536, 14) == b"block 00000000"
    assert big.source.pread(500 << 30, 1 << 20) == bytes(1 << 20)


@pytest.mark.parametrize("gone", range(5))
def test_copies_and_parity_make_up_for_a_missing_disk(gone: int) -> None:
    stack = group("copies", gone)
    for volume in stack.volumes:
        same = digest(volume.source) == expected("lvm")[f"copies/{volume.label}"][0]
        assert same or volume.label == "raid0"
        if not same:
            assert volume.source.bad
    assert stack.warnings


def test_volume_over_a_missing_disk_has_zeros_there_and_says_so() -> None:
    stack = group("plain", 2)
    for volume in stack.volumes:
        whole = next(v for v in group("plain").volumes if v.label == volume.label).source
        data, reference = volume.source.pread(0, volume.length), whole.pread(0, volume.length)
        bad = [(at, at + n) for at, n, _, _ in volume.source.bad]
        for at in range(0, volume.length, 4096):
            if any(low <= at < high for low, high in bad):
                assert data[at : at + 4096] == bytes(4096)
            else:
                assert data[at : at + 4096] == reference[at : at + 4096]
    assert {gap.reason for gap in stack.warnings} == {GapReason.UNREADABLE}


def test_full_disk_of_partitions_array_group_and_file_system_opens_layer_by_layer() -> None:
    medium = memory("stack", "disk")
    table = volumes(medium)
    names = [v.name for v in table.volumes]
    array = "p1!md.lab:data"
    assert names[:3] == ["p1", "p2", "p3"]
    assert [v.held_by for v in table.volumes[:4]] == [array] * 3 + [f"{array}!lv.web.root"]
    root = next(v for v in table.volumes if v.name == f"{array}!lv.web.root")
    tree = open_filesystem(root.source)
    assert tree is not None
    files_there = {e.path: e for e in tree.entries()}
    log = tree.open(files_there["/var/log/app.log"].key)
    text = log.pread(0, log.size)
    assert text.startswith(b"2026-11-22T04:00:00+08:00 web03 app[1]: line 1\n")
    assert text.count(b"\n") == 200
    where = [
        r
        for at, n in tree.extents(files_there["/var/log/app.log"].key)
        for r in physical_ranges(root.source, medium, at, n)
    ]
    disk = files("stack")["disk"]
    assert b"".join(disk[at : at + n] for at, n in where) == text
    assert table.warnings == ()


def test_one_partition_of_an_array_gone_changes_nothing_but_what_is_said() -> None:
    disk = bytearray(files("stack")["disk"])
    disk[5 << 20 : 9 << 20] = bytes(4 << 20)
    table = volumes(MemorySource(bytes(disk)))
    root = next(v for v in table.volumes if v.name.endswith("lv.web.root"))
    whole = next(v for v in volumes(memory("stack", "disk")).volumes if v.name.endswith("lv.web.root"))
    assert digest(root.source) == digest(whole.source)
    assert any("lacks member 1" in gap.detail for gap in table.warnings)


def test_hostile_metadata_neither_raise_nor_hang() -> None:
    chance = random.Random(8)
    started = time.process_time()
    for turn in range(45):
        name = GROUPS[turn % 3]
        parts = []
        for n, path in enumerate(sorted(p for p in files("lvm") if p.startswith(f"{name}-pv"))):
            data = bytearray(files("lvm")[path])
            for _ in range(chance.choice((1, 4, 40))):
                data[chance.randrange(8192, 400_000)] = chance.randrange(256)
            parts.append(Volume(f"pv{n}", -1, len(data), "", "", MemorySource(bytes(data))))
        for volume in stacked(parts).volumes:
            volume.source.pread(0, 65536)
            volume.source.pread(volume.length - 100, 200)
    assert time.process_time() - started < 60  # a bound against hanging, not a measurement
