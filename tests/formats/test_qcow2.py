# SPDX-License-Identifier: Apache-2.0
"""qcow2: block for block what qemu-img reads; what cannot be decoded is listed, never silently zeros."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from virtual_images import assert_honest, assert_same, by_qemu, disk, made, opened, qemu, whole

from headwater.formats.media import segments
from headwater.formats.virtual_blocks import BlockMedium
from headwater.model.errors import AcquireError
from headwater.model.kinds import GapReason

SHARED = Path(__file__).parents[3] / "shared/data"


@pytest.mark.parametrize(
    "options",
    [
        ["-o", "compat=0.10"],
        ["-o", "cluster_size=512"],
        ["-o", "cluster_size=4k"],
        ["-o", "cluster_size=2M"],
        ["-o", "preallocation=metadata"],
        ["-o", "lazy_refcounts=on,refcount_bits=1"],
        ["-o", "extended_l2=on,cluster_size=64k"],
        ["-c"],
        ["-c", "-o", "cluster_size=512"],
        ["-c", "-o", "cluster_size=2M"],
        ["-c", "-o", "compression_type=zstd"],
        ["-c", "-o", "compression_type=zstd,cluster_size=4k"],
    ],
)
def test_every_layout_reads_as_qemu_reads_it(tmp_path: Path, options: list[str]) -> None:
    medium = assert_same(made(tmp_path, "d.qcow2", "qcow2", *options), "qcow2")
    assert whole(medium) == disk()
    assert (medium.kind, medium.warnings) == ("qcow2", [])
    medium.close()


@pytest.mark.parametrize("raw", ["off", "on"])
def test_data_in_another_file(tmp_path: Path, raw: str) -> None:
    image = made(tmp_path, "d.qcow2", "qcow2", "-o", f"data_file={tmp_path}/d.data,data_file_raw={raw}")
    assert [p.name for p in segments(image)] == ["d.qcow2", "d.data"]
    assert_same(image, "qcow2").close()
    (tmp_path / "d.data").rename(tmp_path / "elsewhere")
    with pytest.raises(AcquireError) as caught:
        opened(image)
    assert caught.value.code == "HW2040"
    medium = opened(image, allow_missing=True)
    assert assert_honest(medium, disk()) > 0


def chain(folder: Path) -> Path:
    """base.raw ← mid.qcow2 ← top.qcow2, with zeros written over both."""
    (folder / "base.raw").write_bytes(disk(2))
    qemu("qemu-img", "create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", folder / "mid.qcow2")
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 7 100k 300k", "-c", "write -z 1M 128k", folder / "mid.qcow2")
    top = folder / "top.qcow2"
    qemu("qemu-img", "create", "-q", "-f", "qcow2", "-o", "extended_l2=on", "-b", "mid.qcow2", "-F", "qcow2", top, "6M")
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 9 200k 6k", "-c", "write -z 2M 4k", "-c", "discard 3M 64k", top)
    return top


def test_chain_of_backing_files(tmp_path: Path) -> None:
    top = chain(tmp_path)
    assert [p.name for p in segments(top)] == ["top.qcow2", "mid.qcow2", "base.raw"]
    medium = assert_same(top, "qcow2")
    assert medium.size == 6 << 20  # larger than what lies beneath: zeros by the format
    assert medium.notes["backing_file"] == "mid.qcow2"
    medium.close()


def test_missing_backing_file_is_not_read_as_zeros(tmp_path: Path) -> None:
    top = chain(tmp_path)
    truth = by_qemu(top, "qcow2")
    (tmp_path / "base.raw").unlink()
    with pytest.raises(AcquireError) as caught:
        opened(top)
    assert (caught.value.code, caught.value.names["what"]) == ("HW2040", "base.raw")
    medium = opened(top, allow_missing=True)
    assert 0 < assert_honest(medium, truth) < len(truth)
    assert {detail for _, _, _, detail in medium.bad} == {"the file base.raw is missing"}


def test_header_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    secret, inside = tmp_path / "secret", tmp_path / "inside"
    for folder in (secret, inside):
        folder.mkdir()
    (secret / "shadow").write_bytes(disk(3))
    for name, path in (("a", "../secret/shadow"), ("b", str(secret / "shadow"))):
        image = inside / f"{name}.qcow2"
        qemu("qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", path, "-F", "raw", image, "4M")
        assert segments(image) == [image]
        with pytest.raises(AcquireError) as caught:
            opened(image)
        assert caught.value.code == "HW2040"
        assert segments(image, [secret]) == [image, secret / "shadow"]
    (inside / "shadow").symlink_to(secret / "shadow")
    assert segments(inside / "a.qcow2") == [inside / "a.qcow2"]


def test_backing_file_stated_as_raw_is_not_probed(tmp_path: Path) -> None:
    """A guest can write a qcow2 header into its raw disk; what the child says counts."""
    inner = made(tmp_path, "inner.img", "qcow2")
    qemu("qemu-img", "create", "-q", "-f", "qcow2", "-b", "inner.img", "-F", "raw", tmp_path / "top.qcow2")
    medium = assert_same(tmp_path / "top.qcow2", "qcow2")
    assert medium.pread(0, 4) == inner.read_bytes()[:4] == b"QFI\xfb"


def test_image_that_backs_itself_ends(tmp_path: Path) -> None:
    image = tmp_path / "loop.qcow2"
    qemu("qemu-img", "create", "-q", "-f", "qcow2", "-u", "-b", "loop.qcow2", "-F", "qcow2", image, "4M")
    assert segments(image) == [image]
    with pytest.raises(AcquireError) as caught:
        opened(image)
    assert caught.value.code == "HW2040"


def test_snapshots_are_listed_and_can_be_read(tmp_path: Path) -> None:
    image = made(tmp_path, "d.qcow2", "qcow2")
    qemu("qemu-img", "snapshot", "-c", "before", image)
    qemu("qemu-io", "-f", "qcow2", "-c", "write -P 5 0 1M", image)
    medium = opened(image)
    assert isinstance(medium, BlockMedium)
    assert medium.notes["snapshot 1"].startswith("before, 20")
    earlier = medium.at_snapshot("before")
    assert earlier is not None
    assert whole(earlier) == disk()
    assert whole(medium) == bytes([5]) * (1 << 20) + disk()[1 << 20 :]
    assert medium.at_snapshot("other") is None


def test_compressed_cluster_that_does_not_decode_is_listed(tmp_path: Path) -> None:
    """libqcow gave zeros for these without a word."""
    for kind in ("zlib", "zstd"):
        image = made(tmp_path, f"{kind}.qcow2", "qcow2", "-c", "-o", f"compression_type={kind}")
        raw = bytearray(image.read_bytes())
        l1 = int.from_bytes(raw[40:48], "big")
        l2 = int.from_bytes(raw[l1 : l1 + 8], "big") & 0x00FF_FFFF_FFFF_FE00
        entries = struct.unpack_from(">64Q", raw, l2)
        first = next(e for e in entries if e >> 62 & 1)
        place = first & ((1 << 54) - 1)
        raw[place : place + 40] = b"\xff" * 40
        image.write_bytes(raw)
        medium = opened(image)
        assert assert_honest(medium, disk()) == 65536
        assert medium.bad[0][3] == "a compressed cluster does not decode"


def test_image_cut_short_is_listed(tmp_path: Path) -> None:
    image = made(tmp_path, "d.qcow2", "qcow2", "-o", "cluster_size=4k")
    raw = image.read_bytes()
    for share in (0.9, 0.5, 0.1):
        image.write_bytes(raw[: int(len(raw) * share)])
        medium = opened(image)
        assert assert_honest(medium, disk()) > 0


def test_encrypted_image_says_so(tmp_path: Path) -> None:
    image = made(tmp_path, "d.qcow2", "qcow2")
    raw = bytearray(image.read_bytes())
    raw[32:36] = (2).to_bytes(4, "big")
    image.write_bytes(raw)
    medium = opened(image)
    assert [w.reason for w in medium.warnings] == [GapReason.ENCRYPTED]
    assert assert_honest(medium, disk()) > 0
    assert {reason for _, _, reason, _ in medium.bad} == {GapReason.ENCRYPTED}


@pytest.mark.parametrize(("bit", "words"), [(1, "marked dirty"), (2, "marked corrupt")])
def test_image_marked_dirty_or_corrupt_is_read_and_said(tmp_path: Path, bit: int, words: str) -> None:
    image = made(tmp_path, "d.qcow2", "qcow2")
    raw = bytearray(image.read_bytes())
    raw[79] |= bit
    image.write_bytes(raw)
    medium = opened(image)
    assert whole(medium) == disk()
    assert words in medium.warnings[0].detail


def test_unknown_features_and_versions_are_refused(tmp_path: Path) -> None:
    image = made(tmp_path, "d.qcow2", "qcow2")
    raw = image.read_bytes()
    for place, value in ((7, 1), (7, 4), (78, 1)):
        changed = bytearray(raw)
        changed[place] = value
        image.write_bytes(changed)
        with pytest.raises(AcquireError) as caught:
            opened(image)
        assert caught.value.code == "HW2007"


@pytest.mark.parametrize("name", ["dfvfs/test_data/ext2.qcow2"])
def test_real_image(name: str) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"no ../shared/data/{name}")
    import hashlib

    assert hashlib.md5(whole(opened(path))).hexdigest() == "196066add11fb71c4c49cf1bb50d6d24"
