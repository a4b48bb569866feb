# SPDX-License-Identifier: Apache-2.0
"""An image that is not the source, that other tools cannot read, or that claims more than was read."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from headwater.acquire import sidecar
from headwater.acquire.file_source import FileBlockSource
from headwater.acquire.imaged import Imaged
from headwater.acquire.imaging import Desk, Imaging
from headwater.acquire.plans import Plan
from headwater.formats.media import open_medium, segments
from headwater.formats.opened import open_readonly
from headwater.model.errors import AcquireError, UsageError
from headwater.model.ports import ByteSource

NOW = "2026-11-22T04:00:00.000000000Z"
FIELDS = {"case_number": "案-2026-001", "examiner_name": "张三\t李四", "notes": "检材一", "evidence_number": "1"}


def unsigned(_: bytes) -> Mapping[str, str]:
    return {"algorithm": "none", "public_key": "", "value": ""}


def desk() -> Desk:
    return Desk(lambda *_: None, unsigned, lambda: NOW, "headwater test", {"state": "static"})


def content(size: int, seed: int = 7) -> bytes:
    """Zeros, text and noise in turn, so that chunks of every kind occur."""
    pick = random.Random(seed)
    parts: list[bytes] = []
    done = 0
    while done < size:
        length = pick.choice((4096, 20_000, 70_000, 140_000))
        kind = pick.randrange(3)
        parts.append(
            (bytes(length), b"the same words again " * (length // 21 + 1), pick.randbytes(length))[kind][:length]
        )
        done += len(parts[-1])
    return b"".join(parts)[:size]


def image(folder: Path, data: bytes, **options: object) -> Imaged:
    path = folder / "source.bin"
    path.write_bytes(data)
    source = FileBlockSource(path)
    try:
        return Imaging(source, Plan(folder, "web01", **options), desk()).run()  # type: ignore[arg-type]
    finally:
        source.close()


def medium(path: Path) -> ByteSource:
    return open_medium([open_readonly(p) for p in segments(path)])


def needs(tool: str) -> Callable[..., object]:
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")


def verified(path: Path) -> str:
    done = subprocess.run(["ewfverify", "-q", "-d", "sha1", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("form", ["e01", "raw", "split", "sparse"])
@pytest.mark.parametrize("size", [1, 512, 32768, 32769, 1 << 20, (1 << 20) + 1, 3_000_123])
def test_image_differs_from_the_source(tmp_path: Path, form: str, size: int) -> None:
    data = content(size)
    done = image(tmp_path, data, format=form, segment=256 << 10, block=64 << 10)
    assert done.digests == {name: hashlib.new(name, data).hexdigest() for name in ("sha256", "md5", "sha1")}
    held = medium(done.folder / done.segments[0][0])
    assert held.pread(0, held.size)[:size] == data
    assert not held.pread(size, 512).strip(b"\0")
    assert held.size - size < 512
    assert not held.bad
    assert [v.result for v in done.verdicts] == ["match", "match", "match"]
    for name, length, sha256 in done.segments:
        file = (tmp_path / name).read_bytes()
        assert (length, sha256) == (len(file), hashlib.sha256(file).hexdigest())
    assert hashlib.sha256(held.pread(0, held.size)).hexdigest() == done.medium["sha256"]
    assert not list(tmp_path.glob("*.part"))


@needs("ewfverify")
@pytest.mark.parametrize("level", ["none", "fast", "best"])
@pytest.mark.parametrize("size", [0, 1, 512, 32768 * 5, 32768 * 5 + 512, 1_234_567])
def test_e01_that_libewf_refuses(tmp_path: Path, level: str, size: int) -> None:
    data = content(size)
    image(tmp_path, data, level=level, fields=FIELDS)
    whole = data + bytes(-size % 512)
    assert hashlib.md5(whole).hexdigest() in verified(tmp_path / "web01.E01") or not size


@needs("ewfverify")
@pytest.mark.parametrize("wanted", [1, 65, 100, 149])
def test_e01_segments_beyond_what_two_digits_number(tmp_path: Path, wanted: int) -> None:
    noise = random.Random(wanted).randbytes(32768)
    data = b"".join(noise + bytes(32768 * 3) for _ in range(wanted))
    done = image(tmp_path, data, segment=64 << 10)
    assert len(done.segments) == wanted
    names = [name for name, _, _ in done.segments]
    assert names[-1] == {1: "web01.E01", 65: "web01.E65", 100: "web01.EAA", 149: "web01.EBX"}[wanted]
    assert hashlib.md5(data).hexdigest() in verified(tmp_path / "web01.E01")
    held = medium(tmp_path / "web01.E01")
    assert held.pread(0, held.size) == data


@needs("ewfinfo")
def test_case_fields_in_chinese_are_lost(tmp_path: Path) -> None:
    image(tmp_path, content(5000), fields=FIELDS)
    told = subprocess.run(["ewfinfo", str(tmp_path / "web01.E01")], capture_output=True, text=True, check=True).stdout
    assert "案-2026-001" in told
    assert "张三 李四" in told  # a tab parts fields in the header, so it cannot stand in one
    assert "检材一" in told


@needs("img_stat")
def test_sleuthkit_sees_another_size(tmp_path: Path) -> None:
    image(tmp_path, content(100 * 512))
    told = subprocess.run(["img_stat", str(tmp_path / "web01.E01")], capture_output=True, text=True, check=True).stdout
    assert "Size in bytes:\t51200" in told.replace("Size of data in bytes:", "Size in bytes:")


@needs("fls")
@needs("mke2fs")
@pytest.mark.parametrize("level", ["fast", "none"])
def test_sleuthkit_lists_other_files_in_our_image_than_in_the_disk(tmp_path: Path, level: str) -> None:
    tree = tmp_path / "tree"
    for at in range(40):
        (tree / f"folder {at % 7}").mkdir(parents=True, exist_ok=True)
        (tree / f"folder {at % 7}" / f"文件{at}.txt").write_bytes(content(at * 700))
    disk = tmp_path / "disk.raw"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(disk), "8M"], check=True, capture_output=True)
    image(tmp_path, disk.read_bytes(), level=level, segment=64 << 10)
    told = [
        subprocess.run(["fls", "-r", "-p", "-l", str(path)], capture_output=True, check=True).stdout
        for path in (disk, tmp_path / "web01.E01")
    ]
    assert told[0] == told[1]
    assert told[1].count(b".txt") == 40


def test_sidecar_says_less_than_was_done(tmp_path: Path) -> None:
    data = bytes(65536) + content(40_000) + bytes(65536 * 4)
    done = image(tmp_path, data, algorithms=("sha256", "sm3"))
    document = json.loads(done.sidecar.read_bytes())
    assert document["state"] == sidecar.COMPLETE
    assert document["digests"] == {
        "sha256": hashlib.sha256(data).hexdigest(),
        "sm3": hashlib.new("sm3", data).hexdigest(),
    }
    ranges = document["zeros"]["ranges"]
    assert ranges[0][0] == 0
    assert ranges[0][1] >= 65536
    assert sum(length for _, length in ranges) == document["zeros"]["bytes"]
    for at, length in ranges:
        assert not data[at : at + length].strip(b"\0")
    assert document["segments"][0]["sha256"] == hashlib.sha256((tmp_path / "web01.E01").read_bytes()).hexdigest()
    assert hashlib.sha256(done.sidecar.read_bytes()).hexdigest() == done.sidecar_sha256


def test_something_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "web01.E01").write_bytes(b"somebody's image")
    with pytest.raises(AcquireError) as caught:
        image(tmp_path, b"x" * 512)
    assert caught.value.code == "HW2020"
    assert (tmp_path / "web01.E01").read_bytes() == b"somebody's image"


def test_second_destination_differs(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    done = image(tmp_path, content(900_000), second=other, segment=128 << 10)
    for name in [*(n for n, _, _ in done.segments), "web01.json"]:
        assert (tmp_path / name).read_bytes() == (other / name).read_bytes()
    assert len(done.verdicts) == 4


@needs("ewfverify")
def test_sectors_of_4096_bytes(tmp_path: Path) -> None:
    path = tmp_path / "source.bin"
    data = content(4096 * 77)
    path.write_bytes(data)
    source = FileBlockSource(path)
    source.sector_size = 4096
    Imaging(source, Plan(tmp_path, "web01"), desk()).run()
    told = subprocess.run(["ewfinfo", str(tmp_path / "web01.E01")], capture_output=True, text=True, check=True).stdout
    assert "4096" in told
    assert hashlib.md5(data).hexdigest() in verified(tmp_path / "web01.E01")
    held = medium(tmp_path / "web01.E01")
    assert held.pread(0, held.size) == data


@pytest.mark.parametrize(
    "options", [{"format": "aff"}, {"algorithms": ("crc32",)}, {"block": 1000}, {"segment": 10}, {"stem": "a/b"}]
)
def test_unusable_plan(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Plan(tmp_path, **({"stem": "web01"} | options))  # type: ignore[arg-type]
