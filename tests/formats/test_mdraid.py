# SPDX-License-Identifier: Apache-2.0
"""md arrays: every level and layout reads as the kernel reads it, whole and with members gone; nothing stale is used.

SOURCE: fixtures/mdraid.tar.xz, made by lab/volumes/make.sh with Debian's mdadm 4.2 and Linux 6.1 in a QEMU guest;
Apache-2.0; sha256 in fixtures/SHA256SUMS. The digests in it are of what the guest's kernel read from each array.
"""

from __future__ import annotations

import itertools
import random
import struct
import time

import pytest
from volume_fixtures import conforms, digest, expected, files

from headwater.acquire.superblocks import superblocks
from headwater.formats.galois import inverse, power, times
from headwater.formats.mdraid import MdArray, arrays, member, open_array
from headwater.formats.mdraid_geometry import LEVELS, Unfit, geometry
from headwater.formats.sources import MemorySource, physical_ranges
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

ARRAYS = sorted(expected("mdraid"))
REDUNDANT = [n for n in ARRAYS if not n.startswith(("linear", "raid0")) and "stale" not in n]
TWICE = [n for n in ARRAYS if n.startswith(("raid6", "raid10-f3", "raid10-n3"))]


def members(name: str) -> list[bytes]:
    held = files("mdraid")
    return [held[path] for path in sorted(held) if path.startswith(f"{name}/") and path[-1].isdigit()]


def opened(name: str, gone: tuple[int, ...] = ()) -> MdArray:
    return open_array([MemorySource(data) for n, data in enumerate(members(name)) if n not in gone])


@pytest.mark.parametrize("name", ARRAYS)
def test_array_reads_as_the_kernel_read_it(name: str) -> None:
    array = opened(name)
    assert (digest(array.source), array.source.size) == expected("mdraid")[name]
    assert not array.source.bad


@pytest.mark.parametrize("name", ["linear", "raid0-zones-original", "raid5-ls", "raid6-ddf-N-continue", "raid10-o2-3"])
def test_array_reads_the_same_at_any_place(name: str) -> None:
    conforms(opened(name).source)


@pytest.mark.parametrize("name", REDUNDANT)
def test_missing_member_is_made_from_the_others(name: str) -> None:
    for gone in range(len(members(name))):
        array = opened(name, (gone,))
        assert digest(array.source) == expected("mdraid")[name][0], gone
        assert "spare" in name or len(array.missing) == 1


@pytest.mark.parametrize("name", TWICE)
def test_two_missing_members_are_made_from_the_others(name: str) -> None:
    count = len(members(name))
    for gone in list(itertools.combinations(range(count), 2))[:: 3 if "raid6" in name else 1]:
        assert digest(opened(name, gone).source) == expected("mdraid")[name][0], gone


@pytest.mark.parametrize("name", ["raid5-ls", "raid6-ls"])
def test_too_many_missing_members_leave_zeros_that_are_told(name: str) -> None:
    array = opened(name, (0, 1) if name == "raid5-ls" else (0, 1, 2))
    whole = digest(opened(name).source)
    data = array.source.pread(0, array.source.size)
    assert digest(array.source) != whole
    lost = sum(length for _, length, _, _ in array.source.bad)
    assert 0 < lost < array.source.size
    reference = opened(name).source.pread(0, array.source.size)
    bad = [(at, at + length) for at, length, _, _ in array.source.bad]
    for at in range(0, len(data), 4096):
        if not any(low <= at < high for low, high in bad):
            assert data[at : at + 4096] == reference[at : at + 4096]


def test_stripes_without_all_members_are_refused_with_a_reason() -> None:
    for name in ("linear", "raid0"):
        with pytest.raises(ValueError, match="no redundancy"):
            opened(name, (1,))


@pytest.mark.parametrize("name", ["raid1-stale", "raid5-stale"])
def test_stale_member_is_named_and_not_read(name: str) -> None:
    array = opened(name)
    assert [who for who, _ in array.left_out] == ["1"]
    assert "stale" in array.left_out[0][1]
    alone = opened(name, (0,)) if name == "raid1-stale" else None
    if alone is not None:  # without its fresher partner it is all there is, and is read as what it is
        assert digest(alone.source) != expected("mdraid")[name][0]


def test_array_in_the_middle_of_a_reshape_is_read_in_both_its_shapes() -> None:
    array = opened("raid5-reshape")
    reshape = array.members[0].reshape
    assert reshape is not None
    assert 0 < reshape.position < array.source.size
    assert digest(opened("raid5-reshape", (2,)).source) == expected("mdraid")["raid5-reshape"][0]


def test_spare_is_no_fault_and_no_data() -> None:
    array = opened("raid1-spare")
    assert array.left_out == (("2", "a spare"),)
    assert array.missing == ()


class Scratched:
    """A member with sectors that cannot be read."""

    def __init__(self, data: bytes, bad: tuple[tuple[int, int], ...]) -> None:
        self._data, self.size = data, len(data)
        self.bad = tuple((at, n, GapReason.UNREADABLE, "I/O error") for at, n in bad)

    def pread(self, offset: int, length: int) -> bytes:
        held = bytearray(self._data[offset : offset + length])
        for at, n, _, _ in self.bad:
            low, high = max(at, offset), min(at + n, offset + len(held))
            if low < high:
                held[low - offset : high - offset] = bytes(high - low)
        return bytes(held)

    def close(self) -> None:
        return None


@pytest.mark.parametrize("name", ["raid1-1.2", "raid5-ls", "raid6-ls", "raid10-n2-4"])
def test_unreadable_sectors_of_members_are_read_from_elsewhere(name: str) -> None:
    held = members(name)
    start = member("", 0, MemorySource(held[0])).data_offset  # type: ignore[union-attr]
    scratched: list[ByteSource] = [Scratched(d, ((start + 5120 + n * 1536, 1024),)) for n, d in enumerate(held)]
    array = open_array(scratched)
    assert digest(array.source) == expected("mdraid")[name][0]
    assert not array.source.bad


def test_same_bad_sector_on_every_copy_is_told_and_nothing_more() -> None:
    held = members("raid1-1.2")
    start = member("", 0, MemorySource(held[0])).data_offset  # type: ignore[union-attr]
    array = open_array([Scratched(d, ((start + 4096, 512),)) for d in held])
    array.source.pread(0, array.source.size)
    assert [(at, n) for at, n, _, _ in array.source.bad] == [(4096, 512)]


def test_bytes_of_an_array_are_cited_where_they_lie_on_the_members() -> None:
    disk = b"".join(m.ljust(4 << 20, b"\0") for m in members("raid5-ls"))
    medium = MemorySource(disk)
    from headwater.formats.sources import window

    array = open_array([window(medium, n << 22, 1536 << 10) for n in range(4)])
    for at, length in ((0, 100), (16_000, 1000), (200_000, 70_000)):
        ranges = physical_ranges(array.source, medium, at, length)
        assert b"".join(disk[o : o + n] for o, n in ranges) == array.source.pread(at, length)
        assert ranges


def test_members_of_several_arrays_are_kept_apart() -> None:
    held = [
        m
        for name in ("raid1-1.2", "raid5-ls")
        for n, data in enumerate(members(name))
        if (m := member(f"{name}-{n}", n << 30, MemorySource(data))) is not None
    ]
    random.Random(3).shuffle(held)
    warnings: list[Gap] = []
    found = {a.name: a for a in arrays(held, warnings)}
    assert set(found) == {"lab:raid1-1.2", "lab:raid5-ls"}
    assert all(digest(a.source) == expected("mdraid")[name[4:]][0] for name, a in found.items())
    assert warnings == []


def test_second_clone_of_a_member_is_left_out_by_name() -> None:
    held = [*members("raid5-ls"), members("raid5-ls")[2]]
    array = open_array([MemorySource(d) for d in held])
    assert array.left_out == (("4", "its place is taken by 2"),)
    assert digest(array.source) == expected("mdraid")["raid5-ls"][0]


def test_superblock_with_a_wrong_checksum_is_none() -> None:
    data = bytearray(members("raid1-1.2")[0])
    data[4096 + 73] ^= 1
    assert member("", 0, MemorySource(bytes(data))) is None


def test_raid_6_arithmetic_is_a_field() -> None:
    import numpy as np

    row = np.arange(256, dtype=np.uint8)
    assert power(8) == 0x1D
    for value in (1, 2, 3, 142, 255):
        assert int(times(value, times(inverse(value), row))[200]) == 200
        assert sorted(times(value, row).tolist()) == list(range(256))


def test_hostile_superblocks_neither_raise_nor_hang() -> None:
    chance = random.Random(20)
    names = ["raid0-zones-alternate", "raid5-ls", "raid6-ls", "raid10-o2-3", "raid5-reshape", "raid5-090", "linear"]
    started = time.process_time()
    for turn in range(140):
        held = [bytearray(d) for d in members(names[turn % len(names)])]
        for data in held:
            base = 4096 if names[turn % len(names)] != "raid5-090" else (len(data) & ~65535) - 65536
            for _ in range(chance.choice((1, 2, 6))):
                at = base + chance.randrange(64, 260)
                struct.pack_into("<I", data, at & ~3, chance.choice((0, 1, 2, 5, 255, 1 << 16, 1 << 31, (1 << 32) - 1)))
            if base == 4096:  # a hostile hand would make the checksum fit
                most = min(1920, struct.unpack_from("<I", data, base + 220)[0])
                words = struct.unpack_from(f"<{(256 + most * 2) // 4}I", data, base)
                total = sum(words) - words[54]
                struct.pack_into("<I", data, base + 216, ((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF)
        warnings: list[Gap] = []
        found = arrays([m for d in held if (m := member("x", 0, MemorySource(bytes(d))))], warnings)
        for array in found:
            array.source.pread(0, 100_000)
            array.source.pread(array.source.size - 5000, 10_000)
        assert all(gap.detail for gap in warnings)
    assert time.process_time() - started < 60  # a bound against hanging, not a measurement


def test_geometries_give_every_byte_one_place() -> None:
    chance = random.Random(4)
    tried = 0
    for _ in range(400):
        level, disks = chance.choice(LEVELS), chance.randrange(1, 9)
        layout = chance.choice((0, 1, 2, 3, 4, 5, 8, 9, 10, 16, 20, 0x102, 0x201, 0x10201, 0x40201, 0x103))
        try:
            shape = geometry(level, layout, disks, 40 * 4096, 4096, [40 * 4096] * disks)
        except Unfit:
            continue
        seen = [shape.place(at).copies for at in range(0, shape.size, 4096)]
        flat = [c for copies in seen for c in copies]
        assert len(flat) == len(set(flat)), (level, layout, disks)
        assert all(0 <= m < disks and 0 <= at < 40 * 4096 for m, at in flat)
        tried += 1
    assert tried > 100


def test_the_environment_record_knows_a_member_by_the_same_superblock() -> None:
    """One reader of superblocks serves the record before an imaging and the array itself."""
    told = {}
    for name, data in files("mdraid").items():
        held = member(name, 0, MemorySource(data))
        if held is not None:
            block = superblocks(MemorySource(data))[1][0]
            told[name] = block
            assert (block.kind, block.member_of.replace("-", "")) == ("mdraid", held.uuid)
            assert (block.details["version"], block.details["events"]) == (held.version, str(held.events))
    assert len(told) >= 4
