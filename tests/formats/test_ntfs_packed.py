# SPDX-License-Identifier: Apache-2.0
"""System-compressed (WOF) files give their plain bytes; what is kept elsewhere or cut is a gap and never zeros.

SOURCE of fixtures/wof: the bytes of :func:`plain`, compressed by wimlib-imagex 1.13.5 (Debian wimtools) as resources of
a WIM file, which have the form of a WofCompressedData stream; made for this test, no rights reserved.
sha256 stand in fixtures/wof/SHA256SUMS.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import pytest
from ntfs_images import ntfs_image

from headwater.formats import lznt1, lzx, xpress_huffman
from headwater.formats.filesystems import open_filesystem
from headwater.formats.ntfs_content import open_reparsed, wof_source
from headwater.formats.ntfs_file import Attribute
from headwater.formats.ntfs_listing import link_target
from headwater.formats.ntfs_tree import NtfsTree
from headwater.formats.sources import MemorySource
from headwater.model.kinds import GapReason

FIXTURES = Path(__file__).with_name("fixtures") / "wof"
CHUNKS = {"xpress4k": 4096, "xpress8k": 8192, "xpress16k": 16384, "lzx": 32768}
ALGORITHMS = {"xpress4k": 0, "lzx": 1, "xpress8k": 2, "xpress16k": 3}


def plain() -> bytes:
    """40,000 bytes: text, calls of x86 code, long runs, and bytes that do not repeat."""
    parts = []
    for n in range(700):
        parts.append(b"%d evidence of line %d\n" % (n * 7919 % 1000, n))
        parts.append(b"\xe8" + (n * 977 % 65536).to_bytes(4, "little") + bytes([n % 251]) * (n % 23))
        parts.append(hashlib.md5(b"%d" % n).digest()[: n % 9])
    return b"".join(parts)[:40_000].ljust(40_000, b"=")


@pytest.mark.parametrize("name", sorted(CHUNKS))
def test_system_compressed_content_is_the_same_at_any_place(name: str) -> None:
    packed = MemorySource((FIXTURES / f"{name}.bin").read_bytes())
    held = plain()
    source = wof_source(packed, len(held), CHUNKS[name])
    assert source.pread(0, len(held)) == held
    assert source.pread(39_990, 100) == held[39_990:]
    assert source.pread(4_090, 12_000) == held[4_090:16_090]
    assert source.bad == ()


@pytest.mark.parametrize("name", sorted(CHUNKS))
def test_damaged_chunk_is_a_gap_and_the_others_are_whole(name: str) -> None:
    data = bytearray((FIXTURES / f"{name}.bin").read_bytes())
    data = data[:-40]
    source = wof_source(MemorySource(bytes(data)), 40_000, CHUNKS[name])
    got = source.pread(0, 40_000)
    last = 39_999 // CHUNKS[name] * CHUNKS[name]
    assert got[:last] == plain()[:last]
    assert [(o, n) for o, n, _, _ in source.bad] == [(last, 40_000 - last)]


@pytest.mark.parametrize("name", sorted(CHUNKS))
def test_any_changed_byte_neither_raises_nor_gives_another_length(name: str) -> None:
    data = (FIXTURES / f"{name}.bin").read_bytes()
    for at in range(3, len(data), 997):
        bent = bytearray(data)
        bent[at] ^= 0x55
        source = wof_source(MemorySource(bytes(bent)), 40_000, CHUNKS[name])
        assert len(source.pread(0, 40_000)) == 40_000


def test_streams_of_noise_raise_nothing_but_a_value_error() -> None:
    for seed in range(60):
        noise = b"".join(hashlib.sha256(b"%d-%d" % (seed, n)).digest() for n in range(40))
        for unpack in (xpress_huffman.decompress, lzx.decompress, lznt1.decompress):
            try:
                assert len(unpack(noise, 4096)) <= 4096
            except ValueError:
                pass


def reparse(tag: int, data: bytes) -> bytes:
    return struct.pack("<IHH", tag, len(data), 0) + data


def test_file_kept_elsewhere_is_a_gap_of_its_whole_size() -> None:
    tree = open_filesystem(MemorySource(ntfs_image().read_bytes()))
    assert isinstance(tree, NtfsTree)
    cases = {
        "deduplication": reparse(0x80000013, bytes(40)),
        "cloud": reparse(0x9000101A, bytes(40)),
        "WIM": reparse(0x80000017, struct.pack("<III", 1, 1, 1) + bytes(40)),
        "no reader here": reparse(0x80000017, struct.pack("<IIII", 1, 2, 1, 9)),
    }
    for word, held in cases.items():
        source = open_reparsed(tree.source, tree.mft, [], held, 5000)
        assert source is not None
        assert source.pread(0, 5000) == bytes(5000)
        ((offset, length, reason, detail),) = source.bad
        assert (offset, length, reason) == (0, 5000, GapReason.UNSUPPORTED)
        assert word in detail


def test_file_with_a_wof_stream_is_opened_through_it() -> None:
    tree = open_filesystem(MemorySource(ntfs_image().read_bytes()))
    assert isinstance(tree, NtfsTree)
    for name, number in ALGORITHMS.items():
        packed = (FIXTURES / f"{name}.bin").read_bytes()
        stream = Attribute(0x80, "WofCompressedData", 0, 64, packed, 0, 0, len(packed), len(packed), 0, b"")
        held = reparse(0x80000017, struct.pack("<IIII", 1, 2, 1, number))
        source = open_reparsed(tree.source, tree.mft, [stream], held, 40_000)
        assert source is not None
        assert source.pread(0, 40_000) == plain()


def test_links_lead_where_their_substitute_name_says() -> None:
    target = "\\??\\C:\\Users\\证据".encode("utf-16-le")
    head = struct.pack("<HHHH", 0, len(target), len(target) + 2, 0)
    assert link_target(reparse(0xA0000003, head + target)) == "\\??\\C:\\Users\\证据"
    assert link_target(reparse(0xA000000C, head + bytes(4) + target)) == "\\??\\C:\\Users\\证据"
    assert link_target(reparse(0xA000000C, head + bytes(4) + target[:4])) is None
    assert link_target(reparse(0x80000017, head + target)) is None
