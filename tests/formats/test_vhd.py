# SPDX-License-Identifier: Apache-2.0
"""VHD: block for block what qemu-img reads; a differencing disk reads through to the parent that it states."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from virtual_images import assert_honest, assert_same, disk, made, opened, whole

from headwater.formats.media import segments
from headwater.model.errors import AcquireError

SHARED = Path(__file__).parents[3] / "shared/data"
BLOCK = 2 << 20


@pytest.mark.parametrize("options", [[], ["-o", "subformat=fixed"], ["-o", "force_size=on"]])
def test_every_layout_reads_as_qemu_reads_it(tmp_path: Path, options: list[str]) -> None:
    medium = assert_same(made(tmp_path, "d.vhd", "vpc", *options), "vpc")
    assert (medium.kind, medium.warnings) == ("vhd", [])
    assert whole(medium)[: len(disk())] == disk()
    medium.close()


def summed(raw: bytes, place: int) -> bytes:
    clean = raw[:place] + bytes(4) + raw[place + 4 :]
    return raw[:place] + struct.pack(">I", ~sum(clean) & 0xFFFF_FFFF) + raw[place + 4 :]


def differencing(base: Path, child: Path, held: dict[int, bytes], bits: dict[int, list[bool]]) -> bytes:
    """A child of a dynamic VHD: blocks by number and which of their sectors they hold; gives back the identifier."""
    footer = base.read_bytes()[-512:]
    size = int.from_bytes(footer[48:56], "big")
    count = -(-size // BLOCK)
    name = base.name.encode("utf-16-be").ljust(512, b"\0")
    relative = f".\\{base.name}".encode("utf-16-le")
    table_at = 1536
    table_size = -(-count * 4 // 512) * 512
    name_at = table_at + table_size
    place = name_at + 512
    table, body = [0xFFFFFFFF] * (table_size // 4), b""
    for number, content in held.items():
        table[number] = (place + len(body)) // 512
        packed = bytearray(512)
        for index, bit in enumerate(bits[number]):
            packed[index // 8] |= bit << (7 - index % 8)
        body += bytes(packed) + content
    header = struct.pack(">8sQQIII", b"cxsparse", 0xFFFF_FFFF_FFFF_FFFF, table_at, 0x10000, count, BLOCK)
    header = header.ljust(40, b"\0") + footer[68:84] + bytes(8) + name
    header += struct.pack(">4sIIIQ", b"W2ru", 512, len(relative), 0, name_at)
    header = summed(header.ljust(1024, b"\0"), 36)
    own = footer[:16] + struct.pack(">Q", 512) + footer[24:60] + struct.pack(">I", 4) + footer[64:68]
    own = summed(own + b"child of a disk!" + bytes(428), 64)
    out = own + header + struct.pack(f">{len(table)}I", *table) + relative.ljust(512, b"\0") + body + own
    child.write_bytes(out)
    return own[68:84]


def test_differencing_reads_through_by_sector(tmp_path: Path) -> None:
    base = made(tmp_path, "base.vhd", "vpc", content=disk(3, 6 << 20))
    pick = random.Random(4)
    bits = {n: [pick.random() < 0.4 for _ in range(4096)] for n in (0, 2)}
    held = {n: pick.randbytes(BLOCK) for n in (0, 2)}
    child = tmp_path / "child.avhd"
    differencing(base, child, held, bits)
    beneath = opened(base)
    expected = bytearray(whole(beneath))
    for number, content in held.items():
        for index, bit in enumerate(bits[number]):
            at = number * BLOCK + index * 512
            if bit and at < len(expected):
                expected[at : at + 512] = content[index * 512 : (index + 1) * 512]
    assert segments(child) == [child, base]
    medium = opened(child)
    assert whole(medium) == bytes(expected[: medium.size])
    assert tuple(medium.bad) == ()
    for _ in range(100):
        at, length = pick.randrange(medium.size), pick.randrange(20_000)
        assert medium.pread(at, length) == bytes(expected[at : at + length])
    raw = bytearray(base.read_bytes())
    raw[-512:] = summed(bytes(raw[-512:-444]) + b"another identity" + bytes(raw[-428:]), 64)
    base.write_bytes(raw)
    with pytest.raises(AcquireError) as caught:
        opened(child)
    assert caught.value.code == "HW2041"
    base.unlink()
    with pytest.raises(AcquireError) as caught:
        opened(child)
    assert caught.value.code == "HW2040"
    medium = opened(child, allow_missing=True)
    assert 0 < assert_honest(medium, bytes(expected[: medium.size])) < medium.size


def test_broken_footer_gives_way_to_its_copy(tmp_path: Path) -> None:
    image = made(tmp_path, "d.vhd", "vpc")
    raw = bytearray(image.read_bytes())
    raw[-400] ^= 1
    image.write_bytes(raw)
    medium = opened(image)
    assert whole(medium)[: len(disk())] == disk()
    assert "its copy at the beginning is used" in medium.warnings[0].detail
    image.write_bytes(raw[:-512])
    assert "the footer at the end is missing" in opened(image).warnings[0].detail


def test_raw_disk_that_ends_like_a_vhd_is_raw(tmp_path: Path) -> None:
    """Its owner could hide the last sector by writing a footer there; only the name of a VHD makes it one."""
    image = made(tmp_path, "d.vhd", "vpc", "-o", "subformat=fixed")
    assert opened(image).kind == "vhd"
    image.rename(tmp_path / "d.img")
    medium = opened(tmp_path / "d.img")
    assert (medium.kind, medium.size) == ("raw", (tmp_path / "d.img").stat().st_size)


def test_image_cut_short_is_listed(tmp_path: Path) -> None:
    image = made(tmp_path, "d.vhd", "vpc")
    truth = whole(opened(image))
    image.write_bytes(image.read_bytes()[: -(3 << 20)])
    assert assert_honest(opened(image), truth) > 0


def test_real_chain_whose_checksums_nobody_updated() -> None:
    path = SHARED / "dfvfs/test_data/image-differential.vhd"
    if not path.exists():
        pytest.skip("no ../shared/data/dfvfs/test_data/image-differential.vhd")
    medium = opened(path)
    assert [p.name for p in segments(path)] == ["image-differential.vhd", "image.vhd"]
    assert medium.size == 104448
    assert sum("checksum" in w.detail for w in medium.warnings) == 3
