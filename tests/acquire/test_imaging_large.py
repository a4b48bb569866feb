# SPDX-License-Identifier: Apache-2.0
"""Offsets and counts that do not fit into 31 or 32 bits."""

from __future__ import annotations

import shutil
import subprocess
import zlib
from array import array
from datetime import UTC, datetime
from pathlib import Path

import pytest

from headwater.acquire import e01_sections as ewf
from headwater.acquire.destinations import Destinations
from headwater.acquire.e01_writer import E01Layout, E01Writer
from headwater.acquire.image_files import rename_whole
from headwater.acquire.packing import CHUNK, Packed
from headwater.formats.media import open_medium, segments
from headwater.formats.opened import open_readonly

TIB = 1 << 40


def written(folder: Path, size: int, segment: int, stored: int = 0) -> Path:
    """An image of ``size`` bytes of zeros whose last chunk is of ones, ``stored`` chunks before it uncompressed."""
    layout = E01Layout("big", size, 512, segment, "fast", bytes(range(16)), {}, datetime(2026, 11, 22, tzinfo=UTC))
    out = Destinations([folder])
    writer = E01Writer(layout, out, lambda _: None)
    writer.begin()
    zero = zlib.compress(bytes(CHUNK), 9)
    chunks = size // CHUNK - 1 - stored
    block = Packed(zero * 2048, (len(zero),) * 2048, (True,) * 2048, ())
    for _ in range(chunks // 2048):
        writer.add(block)
    rest = chunks % 2048
    writer.add(Packed(zero * rest, (len(zero),) * rest, (True,) * rest, ()))
    plain = bytes(CHUNK) + ewf.checksum(bytes(CHUNK))
    for _ in range(stored):
        writer.add(Packed(plain, (len(plain),), (False,), ()))
    last = zlib.compress(b"\x01" * CHUNK)
    writer.add(Packed(last, (len(last),), (True,), ()))
    beyond = [(size - 512, 512)] if size // 512 > 1 << 32 else []
    writer.finish({"md5": "00" * 15 + "01"}, [(512, 512), *beyond])
    rename_whole(folder, writer.names)
    return folder / writer.names[0]


def looked_at(path: Path, size: int) -> None:
    medium = open_medium([open_readonly(p) for p in segments(path)])
    assert medium.size == size
    assert medium.pread(size - CHUNK - 10, CHUNK + 10) == bytes(10) + b"\x01" * CHUNK
    assert medium.pread(size // 2 - 5, 10) == bytes(10)
    # what does not fit into error2 is left out of it, never cut down to another sector
    assert [b[:2] for b in medium.bad] == [(512, 512)]
    medium.close()


def test_more_than_one_table_in_one_segment(tmp_path: Path) -> None:
    looked_at(written(tmp_path, 16_375 * 3 * CHUNK + 5 * CHUNK, 1 << 40), 16_375 * 3 * CHUNK + 5 * CHUNK)


def test_error_beyond_32_bits_is_left_to_the_sidecar() -> None:
    assert ewf.fits_errors([(1, 1), (0xFFFF_FFF0, 15), (0xFFFF_FFF0, 16), (1 << 33, 1)]) == [(1, 1), (0xFFFF_FFF0, 15)]


def test_table_offsets_count_from_a_base() -> None:
    body = ewf.table(array("I", [76, 76 | ewf.COMPRESSED]), 3 << 31)
    assert int.from_bytes(body[8:16], "little") == 3 << 31


@pytest.mark.long
def test_segment_beyond_two_gibibytes(tmp_path: Path) -> None:
    """2.2 GiB of stored chunks in one file: a table's offsets are 31 bits, so they must count from a base."""
    size = 70_001 * CHUNK
    path = written(tmp_path, size, TIB, stored=70_000)
    assert path.stat().st_size > 2 << 30
    looked_at(path, size)
    if shutil.which("ewfexport"):
        command = [
            "ewfexport",
            "-u",
            "-q",
            "-f",
            "raw",
            "-o",
            str(size - CHUNK),
            "-B",
            str(CHUNK),
            "-t",
            str(tmp_path / "end"),
            str(path),
        ]
        subprocess.run(command, check=True, capture_output=True)
        assert (tmp_path / "end.raw").read_bytes() == b"\x01" * CHUNK


@pytest.mark.long
def test_source_beyond_two_tebibytes(tmp_path: Path) -> None:
    """More than 2³² sectors of 512 bytes. Needs 5 GB of disk."""
    size = 2 * TIB + 3 * CHUNK
    path = written(tmp_path, size, 2 << 30)
    looked_at(path, size)
    if shutil.which("ewfinfo"):
        told = subprocess.run(["ewfinfo", str(path)], capture_output=True, text=True, check=True).stdout
        assert f"({size} bytes)" in told
        assert f"{size // 512}" in told
