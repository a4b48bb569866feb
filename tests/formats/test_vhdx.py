# SPDX-License-Identifier: Apache-2.0
"""VHDX: block for block what qemu-img reads; a log left behind is played back; differencing reads through by sector."""

from __future__ import annotations

import random
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest
from vhdx_writing import MIB, crc32c, log_entry, summed, write_vhdx
from virtual_images import assert_honest, assert_same, by_qemu, disk, made, opened, qemu, whole

from headwater.formats import vhdx_log
from headwater.formats.media import segments
from headwater.model.errors import AcquireError

A, B = uuid.UUID(int=0xA), uuid.UUID(int=0xB)
NOISE = random.Random(4).randbytes(2 * MIB)


@pytest.mark.parametrize(
    "options", [[], ["-o", "subformat=fixed"], ["-o", "block_size=1M"], ["-o", "block_state_zero=off"]]
)
def test_every_layout_reads_as_qemu_reads_it(tmp_path: Path, options: list[str]) -> None:
    medium = assert_same(made(tmp_path, "d.vhdx", "vhdx", *options), "vhdx")
    assert (medium.kind, medium.warnings, medium.sector_size) == ("vhdx", [], 512)
    medium.close()


def test_log_of_a_writer_that_was_killed(tmp_path: Path) -> None:
    """QEMU's own log, with the block table put back to what it was before: only the log knows of the last writes."""
    image = made(tmp_path, "d.vhdx", "vhdx", "-o", "block_size=1M", content=bytes(8 * MIB))
    qemu("qemu-io", "-f", "vhdx", "-c", "write -P 5 1M 1M", image)
    before = image.read_bytes()
    qemu("qemu-io", "-f", "vhdx", "-c", "write -P 6 4M 64k", image)
    after = bytearray(image.read_bytes())
    assert after[MIB : MIB + 4] == b"loge"
    for at in (65536, 131072):  # as the headers are while an entry of the log is carried out
        after[at + 48 : at + 64] = after[MIB + 32 : MIB + 48]
        after[at : at + 4096] = summed(bytes(after[at : at + 4096]))
    bat = next(at for at in range(2 * MIB, len(before), 4096) if before[at : at + 4096] != after[at : at + 4096])
    after[bat : bat + 4096] = before[bat : bat + 4096]
    image.write_bytes(after)
    held = image.read_bytes()
    medium = opened(image)
    assert "played back in memory" in medium.warnings[0].detail
    found = whole(medium)
    assert image.read_bytes() == held
    repaired = tmp_path / "repaired.vhdx"
    shutil.copyfile(image, repaired)
    subprocess.run(["qemu-img", "check", "-r", "all", str(repaired)], capture_output=True)
    assert found == by_qemu(repaired, "vhdx")
    assert found[4 * MIB : 4 * MIB + 65536] == b"\6" * 65536


def test_active_sequence_is_the_newest_whole_one(tmp_path: Path) -> None:
    """Old entries, a torn one and another log's are there; writes of the newest whole sequence count."""
    bat = [int(n).to_bytes(8, "little") for n in (6 | 4 << 20, 6 | 5 << 20)]
    page = b"".join(bat).ljust(4096, b"\0")
    old = log_entry(A, 3, 0, [(3 * MIB, bytes(4096))], 0)
    first = log_entry(A, 9, len(old), [(3 * MIB, 4096), (3 * MIB, bat[0].ljust(4096, b"\0"))], 0)
    second = log_entry(A, 10, len(old), [(3 * MIB, page)], 0)
    torn = bytearray(log_entry(A, 11, len(old), [(3 * MIB, bytes(4096))], 0))
    torn[5000] ^= 1
    other = log_entry(B, 99, 0, [(3 * MIB, bytes(4096))], 0)
    blocks = {0: (0, NOISE[:MIB]), 1: (0, NOISE[MIB:])}
    image = write_vhdx(tmp_path / "d.vhdx", 3 * MIB, blocks, log=(A, old + first + second + bytes(torn) + other))
    medium = opened(image)
    assert whole(medium) == NOISE + bytes(MIB)
    assert "3 writes" in medium.warnings[0].detail


def test_log_that_wraps_round_its_end(tmp_path: Path) -> None:
    entry = log_entry(A, 5, MIB - 4096, [(3 * MIB, (6 | 4 << 20).to_bytes(8, "little").ljust(4096, b"\0"))], 0)
    log = entry[4096:] + bytes(MIB - len(entry)) + entry[:4096]
    image = write_vhdx(tmp_path / "d.vhdx", MIB, {0: (0, NOISE[:MIB])}, log=(A, log))
    assert whole(opened(image)) == NOISE[:MIB]


def test_checksum_is_the_standard_one() -> None:
    data = random.Random(1).randbytes(3 * 4096)
    assert crc32c(b"123456789") == 0xE3069283
    assert vhdx_log.checksum(data) == crc32c(data[:4] + bytes(4) + data[8:])


@pytest.mark.parametrize("sector", [512, 4096])
def test_differencing_reads_through_by_sector(tmp_path: Path, sector: int) -> None:
    base = write_vhdx(
        tmp_path / "base.vhdx", 3 * MIB, {0: (6, NOISE[:MIB]), 2: (6, NOISE[MIB:])}, sector=sector, identity=A
    )
    count = MIB // sector
    pick = random.Random(6)
    bits = [pick.random() < 0.3 for _ in range(count)]
    packed = bytearray(count // 8)
    for index, bit in enumerate(bits):
        packed[index // 8] |= bit << index % 8
    own = pick.randbytes(MIB)
    child = write_vhdx(
        tmp_path / "child.avhdx", 3 * MIB, {0: (7, own), 1: (6, own), 2: (2, b"")}, sector=sector, identity=B,
        parent=("base.vhdx", A), bitmap=bytes(packed),
    )  # fmt: skip
    assert segments(child) == [child, base]
    medium = opened(child)
    mixed = b"".join(
        (own if bit else NOISE)[n * sector : (n + 1) * sector] for n, bit in enumerate(bits)
    )  # fmt: skip
    assert medium.sector_size == sector
    assert whole(medium) == mixed + own + bytes(MIB)
    for _ in range(100):
        at, length = pick.randrange(2 * MIB), pick.randrange(20_000)
        assert medium.pread(at, length) == (mixed + own + bytes(MIB))[at : at + length]
    write_vhdx(base, 3 * MIB, {}, sector=sector, identity=uuid.UUID(int=0xC))
    with pytest.raises(AcquireError) as caught:
        opened(child)
    assert caught.value.code == "HW2041"
    base.unlink()
    with pytest.raises(AcquireError) as caught:
        opened(child)
    assert caught.value.code == "HW2040"


def test_undefined_blocks_are_listed_and_unmapped_ones_are_zeros(tmp_path: Path) -> None:
    blocks = {0: (6, NOISE[:MIB]), 1: (1, NOISE[MIB:]), 2: (3, NOISE[MIB:]), 3: (4, b"")}
    medium = opened(write_vhdx(tmp_path / "d.vhdx", 4 * MIB, blocks))
    assert assert_honest(medium, NOISE[:MIB] + bytes(3 * MIB)) == 2 * MIB


def test_one_broken_header_and_region_table_are_survived(tmp_path: Path) -> None:
    image = made(tmp_path, "d.vhdx", "vhdx")
    raw = bytearray(image.read_bytes())
    raw[65536 + 20] ^= 1
    raw[192 * 1024 + 20] ^= 1
    image.write_bytes(raw)
    medium = opened(image)
    assert whole(medium) == disk()
    raw[2 * 65536 + 20] ^= 1
    image.write_bytes(raw)
    with pytest.raises(AcquireError) as caught:
        opened(image)
    assert caught.value.code == "HW2042"


def test_image_cut_short_is_listed(tmp_path: Path) -> None:
    image = made(tmp_path, "d.vhdx", "vhdx", "-o", "block_size=1M")
    raw = image.read_bytes()
    image.write_bytes(raw[: len(raw) - 3 * MIB // 2])
    assert assert_honest(opened(image), disk()) > 0
