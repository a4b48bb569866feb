# SPDX-License-Identifier: Apache-2.0
"""Servicing logs that Windows put away in cabinets are read whole; a cut or spoilt cabinet keeps what was good and says the rest."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from headwater.examine.reading import prepare
from headwater.formats import cabinet
from headwater.formats.compressed import decompress, layer_of
from headwater.formats.sources import MemorySource
from headwater.model.kinds import GapReason
from headwater.model.records import Facts

NAME = "/Windows/Logs/CBS/CbsPersist_20260302030000.cab"
LOG = b"".join(
    b"2026-03-02 03:%02d:%02d, Info                  CBS    Session: 30%06d initialized by client WindowsUpdateAgent.\r\n"
    % (n // 60 % 60, n % 60, n * 977 % 999_983)
    for n in range(1500)
)


def made(
    data: bytes, method: int = 1, flags: int = 0, files: int = 1, size: int | None = None, checked: bool = True
) -> bytes:
    """A cabinet of one folder, written after the format's description."""
    blocks, before = b"", b""
    pieces = [data[at : at + 32768] for at in range(0, len(data), 32768)]
    for piece in pieces:
        packer = (
            zlib.compressobj(6, zlib.DEFLATED, -15, zdict=before) if before else zlib.compressobj(6, zlib.DEFLATED, -15)
        )
        packed = piece if method == 0 else b"CK" + packer.compress(piece) + packer.flush()
        sizes = struct.pack("<HH", len(packed), len(piece))
        total = cabinet._checksum(sizes, cabinet._checksum(packed, 0)) if checked else 0
        blocks += struct.pack("<I", total) + sizes + packed
        before = piece
    file = struct.pack("<IIHHHH", len(data) if size is None else size, 0, 0, 0x5862, 0x1800, 0x20) + b"CbsPersist.log\0"
    at = 36 + 8 + len(file)
    head = struct.pack("<4sIIIIIBBHHHHH", b"MSCF", 0, at + len(blocks), 0, 36 + 8, 0, 3, 1, 1, files, flags, 1, 0)
    return head + struct.pack("<IHH", at, len(pieces), method) + file + blocks


def read(data: bytes) -> tuple[bytes, object]:
    stream = decompress(MemorySource(data), "cab")
    return b"".join(stream), stream.gap


@pytest.mark.parametrize("method", [0, 1])
def test_a_log_in_a_cabinet_is_read_whole(method: int) -> None:
    assert layer_of(NAME, made(LOG, method)[:64]) == "cab"
    assert read(made(LOG, method)) == (LOG, None)


def test_its_lines_go_to_the_parser_of_servicing_logs() -> None:
    reading = prepare(MemorySource(made(LOG)), NAME, None, Facts(), False)
    assert reading.path == f"{NAME}!cab"
    assert [p.name for p in reading.parsers] == ["windows.servicing"]
    assert reading.size == len(LOG)


@pytest.mark.parametrize("how", [["-z"], []])
def test_a_cabinet_of_another_program_is_read_whole(tmp_path: Path, how: list[str]) -> None:
    if shutil.which("gcab") is None:
        pytest.skip("gcab is not installed")
    (tmp_path / "CbsPersist.log").write_bytes(LOG)
    subprocess.run(["gcab", "-c", *how, "x.cab", "CbsPersist.log"], cwd=tmp_path, check=True)
    assert read((tmp_path / "x.cab").read_bytes()) == (LOG, None)


def test_the_cabinets_of_these_tests_are_what_another_program_reads(tmp_path: Path) -> None:
    if shutil.which("cabextract") is None:
        pytest.skip("cabextract is not installed")
    (tmp_path / "x.cab").write_bytes(made(LOG))
    subprocess.run(["cabextract", "-q", "x.cab"], cwd=tmp_path, check=True)
    assert (tmp_path / "CbsPersist.log").read_bytes() == LOG


def test_a_cut_cabinet_keeps_its_whole_blocks() -> None:
    whole = made(LOG)
    text, gap = read(whole[: len(whole) - 500])
    assert text == LOG[: len(text)]
    assert len(text) % 32768 == 0
    assert text
    assert gap is not None
    assert gap.reason is GapReason.TRUNCATED  # type: ignore[attr-defined]


def test_a_spoilt_block_is_told_by_its_checksum_or_ends_the_log() -> None:
    stored = bytearray(made(LOG, 0))
    stored[300] ^= 1
    text, gap = read(bytes(stored))
    assert len(text) == len(LOG)
    assert "checksum" in gap.detail  # type: ignore[attr-defined]
    packed = bytearray(made(LOG))
    packed[len(packed) // 2] ^= 0x55
    text, gap = read(bytes(packed))
    assert gap is not None
    assert text[:32768] == LOG[:32768]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (made(LOG, 0x1503), GapReason.UNSUPPORTED),  # LZX
        (made(LOG, flags=2), GapReason.UNSUPPORTED),  # goes on in another one
        (made(LOG, size=1 << 31), GapReason.TRUNCATED),
        (made(LOG)[:40], GapReason.TRUNCATED),
        (b"MSCF", GapReason.NOT_THIS_FORMAT),
    ],
)
def test_what_cannot_be_read_is_a_gap(data: bytes, reason: GapReason) -> None:
    _, gap = read(data)
    assert gap is not None
    assert gap.reason is reason  # type: ignore[attr-defined]


def test_other_cabinets_stay_what_they_are() -> None:
    assert layer_of("/Windows/INF/driver.cab", made(LOG)[:64]) is None
    assert layer_of(NAME, made(LOG, files=2)[:64]) is None
    assert layer_of(NAME, b"MSCF") is None


def test_hostile_cabinets_end() -> None:
    whole, pick = made(LOG[:70_000]), random.Random(5)
    for _ in range(300):
        bent = bytearray(whole)
        for _ in range(pick.randrange(1, 6)):
            bent[pick.randrange(len(bent) if pick.random() < 0.5 else 80)] = pick.randrange(256)
        text, _ = read(bytes(bent[: pick.randrange(len(bent)) if pick.random() < 0.3 else len(bent)]))
        assert len(text) <= 1 << 22
