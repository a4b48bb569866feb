# SPDX-License-Identifier: Apache-2.0
"""LiME: a cut image must say where it was cut, holes must not pass for zeros that were read, lies must not overlap."""

from __future__ import annotations

import random

from headwater.formats.lime import HEADER, LimeSource, header, ranges
from headwater.formats.sources import MemorySource
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource

ONE, TWO = b"a" * 4096, b"b" * 8192
IMAGE = header(0x1000, 4096) + ONE + header(0x10000, 8192) + TWO


def test_memory_is_read_at_its_physical_addresses() -> None:
    source = LimeSource(MemorySource(IMAGE))
    assert isinstance(source, ByteSource)
    assert source.size == 0x12000
    assert source.pread(0x1000, 4096) == ONE
    assert source.pread(0x10FFE, 4) == b"bbbb"
    assert list(source.bad) == []
    assert [(o, n) for _, o, n in source.parts(0x1FFE, 0xE004)] == [(32 + 0xFFE, 2), (64 + 4096, 2)]


def test_hole_between_ranges_is_said_to_be_none_of_the_machines_ram() -> None:
    source = LimeSource(MemorySource(IMAGE))
    assert source.pread(0x1FFE, 0xE004) == b"aa" + bytes(0xE000) + b"bb"
    assert [(o, n, r) for o, n, r, _ in source.bad] == [(0x2000, 0xE000, GapReason.UNREADABLE)]
    assert source.pread(0, 16) == bytes(16)


def test_image_cut_in_a_range_says_so_at_opening() -> None:
    source = LimeSource(MemorySource(IMAGE[:-5000]))
    assert source.size == 0x12000
    assert source.pread(0x10000, 8192) == TWO[:3192] + bytes(5000)
    assert (0x10000 + 3192, 5000, GapReason.TRUNCATED) in {(o, n, r) for o, n, r, _ in source.bad}


def test_image_cut_in_a_header_keeps_what_came_before() -> None:
    found, bad = ranges(MemorySource(IMAGE[: 32 + 4096 + 7]))
    assert [r.start for r in found] == [0x1000]
    assert [(o, n, r) for o, n, r, _ in bad] == [(32 + 4096, 7, GapReason.TRUNCATED)]


def test_range_over_another_is_left_out_and_said_to_be() -> None:
    lie = header(0x10800, 4096) + b"x" * 4096
    source = LimeSource(MemorySource(IMAGE + lie))
    assert source.pread(0x10800, 4) == b"bbbb"
    assert [d for _, _, _, d in source.faults] == ["the range lies over another one"]


def test_ranges_in_any_order_are_found_by_address() -> None:
    swapped = header(0x10000, 8192) + TWO + header(0x1000, 4096) + ONE
    source = LimeSource(MemorySource(swapped))
    assert source.pread(0x1000, 4) == b"aaaa"
    assert source.pread(0x11000, 4) == b"bbbb"


def test_noise_and_lying_headers_end_the_reading_and_never_the_program() -> None:
    rng = random.Random(7)
    lies = [
        HEADER.pack(0x4C694D45, 1, 5, 4), HEADER.pack(0x4C694D45, 1, 0, (1 << 64) - 1), HEADER.pack(0x4C694D45, 2, 0, 4),
        rng.randbytes(4096), b"",
    ]  # fmt: skip
    for lie in lies:
        found, bad = ranges(MemorySource(lie))
        assert found == []
        assert bool(bad) == bool(lie)
    for _ in range(300):
        cut = bytearray(IMAGE[: rng.randrange(len(IMAGE))])
        for _ in range(rng.randrange(4)):
            if cut:
                cut[rng.randrange(min(len(cut), 64))] = rng.randrange(256)
        source = LimeSource(MemorySource(bytes(cut)))
        assert len(source.pread(0, 4096)) <= 4096
        held = sum(HEADER.size + r.size for r in source.ranges) + sum(
            n for _, n, r, _ in source.faults if r != GapReason.TRUNCATED
        )
        assert held <= len(cut) + HEADER.size * 4
