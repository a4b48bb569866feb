# SPDX-License-Identifier: Apache-2.0
"""VDI: block for block what qemu-img reads; a differencing disk finds its parent by identifier."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from virtual_images import assert_honest, assert_same, disk, made, opened, whole

from headwater.formats.media import segments
from headwater.model.errors import AcquireError

MIB = 1 << 20


@pytest.mark.parametrize("options", [[], ["-o", "static=on"]])
def test_every_layout_reads_as_qemu_reads_it(tmp_path: Path, options: list[str]) -> None:
    medium = assert_same(made(tmp_path, "d.vdi", "vdi", *options), "vdi")
    assert (medium.kind, medium.warnings) == ("vdi", [])
    medium.close()


def child_of(base: Path, child: Path, blocks: dict[int, bytes | int]) -> None:
    """A differencing image with the base's header: blocks by number, or a mark of the block map."""
    head = bytearray(base.read_bytes()[:512])
    data_at, count = struct.unpack_from("<I", head, 0x158)[0], struct.unpack_from("<I", head, 0x180)[0]
    head[0x4C:0x50] = struct.pack("<I", 4)
    head[0x1A8:0x1B8] = head[0x188:0x198]
    head[0x188:0x198] = b"child of a disk!"
    table, body = [0xFFFFFFFF] * count, b""
    for number, what in blocks.items():
        table[number] = what if isinstance(what, int) else len(body) // MIB
        body += b"" if isinstance(what, int) else what
    start = bytes(head) + struct.pack(f"<{count}I", *table)
    child.write_bytes(start.ljust(data_at, b"\0") + body)


def test_differencing_reads_through_by_block(tmp_path: Path) -> None:
    content = disk(8, 5 * MIB)
    base = made(tmp_path, "base.vdi", "vdi", content=content)
    made(tmp_path, "another.vdi", "vdi", content=bytes(MIB))
    child = tmp_path / "child.vdi"
    child_of(base, child, {1: b"\7" * MIB, 3: 0xFFFFFFFE})
    assert segments(child) == [child, base]
    medium = opened(child)
    expected = content[:MIB] + b"\7" * MIB + content[2 * MIB : 3 * MIB] + bytes(MIB) + content[4 * MIB :]
    assert whole(medium) == expected
    base.unlink()
    with pytest.raises(AcquireError) as caught:
        opened(child)
    assert caught.value.code == "HW2040"
    assert assert_honest(opened(child, allow_missing=True), expected) == 3 * MIB


def test_entry_beyond_the_last_block_and_cut_image_are_listed(tmp_path: Path) -> None:
    image = made(tmp_path, "d.vdi", "vdi")
    raw = bytearray(image.read_bytes())
    map_at = struct.unpack_from("<I", raw, 0x154)[0]
    raw[map_at : map_at + 4] = struct.pack("<I", 999)
    image.write_bytes(raw)
    assert assert_honest(opened(image), disk()) == MIB
    image.write_bytes(raw[: -MIB - 512])
    assert assert_honest(opened(image), disk()) > MIB


def test_unknown_version_is_refused(tmp_path: Path) -> None:
    image = made(tmp_path, "d.vdi", "vdi")
    raw = bytearray(image.read_bytes())
    raw[0x46] = 2
    image.write_bytes(raw)
    with pytest.raises(AcquireError) as caught:
        opened(image)
    assert caught.value.code == "HW2007"
