# SPDX-License-Identifier: Apache-2.0
"""VMDK: block for block what qemu-img reads; extents and parents are found, checked, or missed by name."""

from __future__ import annotations

import hashlib
import random
import re
import struct
from pathlib import Path

import pytest
from virtual_images import assert_honest, assert_same, by_qemu, disk, made, opened, qemu, whole

from headwater.formats.media import segments
from headwater.model.errors import AcquireError

SHARED = Path(__file__).parents[3] / "shared/data"


@pytest.mark.parametrize(
    ("subformat", "names"),
    [
        ("monolithicSparse", ["d.vmdk"]),
        ("streamOptimized", ["d.vmdk"]),
        ("monolithicFlat", ["d.vmdk", "d-flat.vmdk"]),
        ("twoGbMaxExtentSparse", ["d.vmdk", "d-s001.vmdk"]),
        ("twoGbMaxExtentFlat", ["d.vmdk", "d-f001.vmdk"]),
    ],
)
def test_every_layout_reads_as_qemu_reads_it(tmp_path: Path, subformat: str, names: list[str]) -> None:
    image = made(tmp_path, "d.vmdk", "vmdk", "-o", f"subformat={subformat}")
    for name in names:
        if not name.endswith("flat.vmdk") and "-f0" not in name:  # a flat extent is a raw disk, and says nothing else
            assert [p.name for p in segments(tmp_path / name)] == names
    medium = assert_same(image, "vmdk")
    assert medium.kind == "vmdk"
    assert medium.notes["createType"] == subformat
    medium.close()


@pytest.mark.parametrize("subformat", ["twoGbMaxExtentSparse", "twoGbMaxExtentFlat"])
def test_disk_over_several_extents(tmp_path: Path, subformat: str) -> None:
    size = (4 << 30) + (300 << 20)
    image = tmp_path / "d.vmdk"
    qemu("qemu-img", "create", "-q", "-f", "vmdk", "-o", f"subformat={subformat}", image, str(size))
    edges = [(2 << 30) - 65536, (4 << 30) - 512, size - 4096]
    for number, at in enumerate(edges, 1):
        qemu("qemu-io", "-f", "vmdk", "-c", f"write -P {number} {at} {min(131072, size - at)}", image)
    medium = opened(image)
    assert (medium.size, len(segments(image))) == (size, 4)
    for number, at in enumerate(edges, 1):
        length = min(131072, size - at)
        expected = bytes(100) + bytes([number]) * length + bytes(100)
        assert medium.pread(at - 100, length + 200) == expected[: size - at + 100]
    assert tuple(medium.bad) == ()
    (tmp_path / f"d-{'s' if 'Sparse' in subformat else 'f'}002.vmdk").unlink()
    with pytest.raises(AcquireError) as caught:
        opened(image)
    assert caught.value.code == "HW2040"
    medium = opened(image, allow_missing=True)
    assert medium.pread(2 << 30, 4096) == bytes(4096)
    assert medium.bad[0][:2] == (2 << 30, 4096)


def delta(folder: Path) -> Path:
    made(folder, "base.vmdk", "vmdk")
    for child, parent in (("one.vmdk", "base.vmdk"), ("two.vmdk", "one.vmdk")):
        qemu("qemu-img", "create", "-q", "-f", "vmdk", "-b", parent, "-F", "vmdk", folder / child)
        qemu(
            "qemu-io", "-f", "vmdk", "-c", f"write -P {len(child)} 512k 300k", "-c", "write -P 3 3M 1k", folder / child
        )
    return folder / "two.vmdk"


def test_chain_of_deltas(tmp_path: Path) -> None:
    image = delta(tmp_path)
    assert [p.name for p in segments(image)] == ["two.vmdk", "one.vmdk", "base.vmdk"]
    assert_same(image, "vmdk").close()


def test_parent_that_was_changed_is_not_read_through(tmp_path: Path) -> None:
    image = delta(tmp_path)
    base = tmp_path / "base.vmdk"
    raw = base.read_bytes()
    written = re.search(rb"\nCID=([0-9a-fA-F]{1,8})\r?\n", raw)  # qemu writes it as %x: one to eight digits
    assert written is not None
    other = b"2" if written[1].endswith(b"1") else b"1"
    base.write_bytes(raw[: written.end(1) - 1] + other + raw[written.end(1) :])
    with pytest.raises(AcquireError) as caught:
        opened(image)
    assert caught.value.code == "HW2041"
    medium = opened(image, allow_missing=True)
    assert any("another CID" in w.detail for w in medium.warnings)
    base.unlink()
    with pytest.raises(AcquireError) as caught:
        opened(image)
    assert (caught.value.code, caught.value.names["what"]) == ("HW2040", "base.vmdk")


def cowd(folder: Path, content: bytes) -> Path:
    """An ESX sparse disk (technical note 5.0, "ESX Server Sparse Extents"): grains of one sector's tables of 4,096."""
    grain, sectors = 8, len(content) // 512
    tables = -(-sectors // (grain * 4096))
    directory_at, place = 4, 4 + -(-tables * 4 // 512)
    table_at = [place + 32 * n for n in range(tables)]
    place += 32 * tables
    entries, grains = [0] * (4096 * tables), b""
    for index in range(-(-sectors // grain)):
        piece = content[index * grain * 512 : (index + 1) * grain * 512]
        if piece.strip(b"\0"):
            entries[index] = place + len(grains) // 512
            grains += piece.ljust(grain * 512, b"\0")
    head = struct.pack("<4sIIIIIII", b"COWD", 1, 3, sectors, grain, directory_at, tables, place).ljust(2048, b"\0")
    body = struct.pack(f"<{tables}I", *table_at).ljust(-(-tables * 4 // 512) * 512, b"\0")
    body += struct.pack(f"<{len(entries)}I", *entries)
    (folder / "esx-cow.vmdk").write_bytes(head + body + grains)
    text = f'# Disk DescriptorFile\nversion=1\nCID=01020304\nparentCID=ffffffff\ncreateType="vmfsSparse"\n\nRW {sectors} VMFSSPARSE "esx-cow.vmdk"\n'
    (folder / "esx.vmdk").write_text(text)
    return folder / "esx.vmdk"


def test_esx_sparse_disk_reads_as_qemu_reads_it(tmp_path: Path) -> None:
    content = disk()[: 4 << 20] + bytes(16 << 20) + disk(5)[: 1 << 20]
    image = cowd(tmp_path, content)
    # QEMU 7.2 counts the one extent of such a descriptor twice: its first half is the disk
    assert by_qemu(image, "vmdk")[: len(content)] == content
    assert whole(opened(image)) == content
    assert [p.name for p in segments(tmp_path / "esx-cow.vmdk")] == ["esx.vmdk", "esx-cow.vmdk"]


def test_extent_alone_does_not_hide_what_a_parent_may_hold(tmp_path: Path) -> None:
    cowd(tmp_path, disk()[: 4 << 20])
    (tmp_path / "esx.vmdk").unlink()
    medium = opened(tmp_path / "esx-cow.vmdk")
    assert assert_honest(medium, disk()[: 4 << 20]) > 0
    assert "without the descriptor" in medium.warnings[0].detail


def test_grain_that_does_not_decode_or_stands_elsewhere_is_listed(tmp_path: Path) -> None:
    image = made(tmp_path, "d.vmdk", "vmdk", "-o", "subformat=streamOptimized")
    raw = image.read_bytes()
    directory = int.from_bytes(raw[56:64], "little") * 512
    table = int.from_bytes(raw[directory : directory + 4], "little") * 512
    grain = next(e for e in struct.unpack_from("<64I", raw, table) if e) * 512
    for at, what in ((grain + 30, "a compressed grain does not decode"), (grain, "names another place")):
        broken = bytearray(raw)
        broken[at] ^= 0x40
        image.write_bytes(broken)
        medium = opened(image)
        assert assert_honest(medium, disk()) == 65536
        assert what in medium.bad[0][3]


def test_stream_with_its_directory_behind_the_grains(tmp_path: Path) -> None:
    """As VMware exports it: the first header says only that a footer at the end knows; cut off, it is refused."""
    image = made(tmp_path, "d.vmdk", "vmdk", "-o", "subformat=streamOptimized")
    raw = image.read_bytes()
    first = raw[:56] + b"\xff" * 8 + raw[64:]
    footer = struct.pack("<QII", 1, 0, 3).ljust(512, b"\0") + raw[:512] + bytes(512)
    image.write_bytes(first + footer)
    medium = assert_same(image, "vmdk")
    assert whole(medium) == disk()
    assert medium.notes["createType"] == "streamOptimized"


def test_stream_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """Each grain stands behind a marker with its place: what was written before the cut is there, the rest is listed."""
    content = disk()[: 1 << 20] + bytes(1 << 20) + disk()[: 1 << 20]
    image = made(tmp_path, "d.vmdk", "vmdk", "-o", "subformat=streamOptimized", content=content)
    raw = image.read_bytes()
    first = raw[:56] + b"\xff" * 8 + raw[64:]
    kept = []
    for share in (1.0, 0.8, 0.6):
        image.write_bytes(first[: int(len(first) * share)])
        medium = opened(image)
        assert "found by their markers" in medium.warnings[0].detail
        kept.append(assert_honest(medium, content))
    assert 0 < kept[0] <= kept[1] < kept[2] < len(content)
    grains = [n for n in range(0, len(content), 65536) if content[n : n + 65536].strip(b"\0")]
    assert kept[0] == len(content) - sum(min(65536, len(content) - n) for n in grains), "every written grain is found"
    # where the directory is there behind the grains, nothing need be searched
    place = int.from_bytes(raw[56:64], "little") * 512
    marker = struct.pack("<QII", 1, 0, 2).ljust(512, b"\0")
    body = first.rstrip(b"\0")
    image.write_bytes(body + bytes(-len(body) % 512) + marker + raw[place : place + 512])
    assert assert_honest(opened(image), content) == 0


def test_redundant_directory_is_used_where_the_first_is_cut_off(tmp_path: Path) -> None:
    image = made(tmp_path, "d.vmdk", "vmdk")
    raw = bytearray(image.read_bytes())
    assert raw[8] & 2
    raw[56:64] = (1 << 40).to_bytes(8, "little")
    image.write_bytes(raw)
    medium = opened(image)
    assert whole(medium)[: len(disk())] == disk()
    assert tuple(medium.bad) == ()


def test_descriptor_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").write_bytes(random.Random(1).randbytes(1 << 20))
    image = tmp_path / "in/d.vmdk"
    for name in ("../secret", str(tmp_path / "secret"), "..\\secret", "..", "/etc/passwd"):
        image.write_text(f'# Disk DescriptorFile\nCID=1\nparentCID=ffffffff\nRW 2048 FLAT "{name}" 0\n')
        assert segments(image) == [image]
        with pytest.raises(AcquireError) as caught:
            opened(image)
        assert caught.value.code == "HW2040"


def test_flat_extent_cut_short_and_gaps_between_extents(tmp_path: Path) -> None:
    text = "# Disk DescriptorFile\nCID=1\nparentCID=ffffffff\n"
    text += 'RW 100 FLAT "x.bin" 0\nRW 50 ZERO\nRW 100 FLAT "x.bin" 200\nNOACCESS 10 FLAT "y.bin" 0\n'
    content = random.Random(2).randbytes(512 * 250)
    (tmp_path / "x.bin").write_bytes(content)
    (tmp_path / "d.vmdk").write_text(text)
    medium = opened(tmp_path / "d.vmdk")
    expected = content[:51200] + bytes(25600) + content[102400:] + bytes(25600 + 5120)
    assert assert_honest(medium, expected) == 25600 + 5120


@pytest.mark.parametrize("name", ["dfvfs/test_data/ext2.vmdk"])
def test_real_image(name: str) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"no ../shared/data/{name}")
    assert hashlib.md5(whole(opened(path))).hexdigest() == "196066add11fb71c4c49cf1bb50d6d24"
