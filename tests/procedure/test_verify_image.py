# SPDX-License-Identifier: Apache-2.0
"""An altered, cut or exchanged image that verifies, and a sound one that does not."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from headwater.case.authority import Claim
from headwater.cli.main import main
from headwater.model.errors import AcquireError
from headwater.procedure.image_check import ImageChecked, check_image, stated_beside
from headwater.procedure.imaging import ImageOrder, image


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An E01 in three segments, a split and a raw image of the same disk of an odd size."""
    folder = tmp_path_factory.mktemp("images")
    source = folder / "disk.bin"
    source.write_bytes(bytes(200_000) + random.Random(5).randbytes(300_123))
    for form in ("e01", "split", "raw"):
        plan = {"format": form, "segment": 150 << 10}
        image(ImageOrder(str(source), folder / "case", folder / form, Claim(waiver="a test"), ("甲",), plan))
    return folder


def check(path: Path) -> ImageChecked:
    return check_image(path, None, lambda *_: None)


def copied(made: Path, folder: Path, stem: str) -> None:
    for path in made.glob(f"{stem}.*"):
        shutil.copy(path, folder / path.name)


def failed(found: ImageChecked) -> set[str]:
    return {c.what for c in found.checks if c.result == "failed"}


@pytest.mark.parametrize("name", ["e01.E01", "split.001", "raw.dd"])
def test_sound_image_called_bad(made: Path, name: str) -> None:
    found = check(made / name)
    assert found.sound, found.checks
    assert any(c.what == "sha256 (sidecar)" for c in found.checks)
    assert found.public_key


@pytest.mark.parametrize(
    ("name", "changed"), [("e01.E01", "e01.E02"), ("split.001", "split.003"), ("raw.dd", "raw.dd")]
)
def test_flipped_bit(made: Path, tmp_path: Path, name: str, changed: str) -> None:
    copied(made, tmp_path, name.partition(".")[0])
    data = bytearray((tmp_path / changed).read_bytes())
    data[70_000] ^= 1
    (tmp_path / changed).write_bytes(data)
    found = check(tmp_path / name)
    assert not found.sound
    assert {f"file {changed}", "sha256 (sidecar)"} <= failed(found)
    if changed.endswith("E02"):
        assert "structure" in failed(found)
    assert main(["verify-image", str(tmp_path / name)]) == 1


def test_bit_flipped_where_no_chunk_checksum_looks(made: Path, tmp_path: Path) -> None:
    copied(made, tmp_path, "e01")
    data = bytearray((tmp_path / "e01.E01").read_bytes())
    data[120] ^= 1  # in the case fields
    (tmp_path / "e01.E01").write_bytes(data)
    assert "file e01.E01" in failed(check(tmp_path / "e01.E01"))


def test_sidecar_of_another_image(made: Path, tmp_path: Path) -> None:
    copied(made, tmp_path, "raw")
    document = json.loads((tmp_path / "raw.json").read_bytes())
    document["digests"]["sha256"] = "ab" * 32
    (tmp_path / "raw.json").write_text(json.dumps(document))
    found = check(tmp_path / "raw.dd")
    assert {"sidecar signature", "sha256 (sidecar)"} <= failed(found)
    assert not found.public_key


def test_renamed_image_called_altered(made: Path, tmp_path: Path) -> None:
    for path in made.glob("e01.*"):
        shutil.copy(path, tmp_path / path.name.replace("e01.", "other."))
    assert check(tmp_path / "other.E01").sound


def test_missing_segment(made: Path, tmp_path: Path) -> None:
    copied(made, tmp_path, "e01")
    (tmp_path / "e01.E02").unlink()
    with pytest.raises(AcquireError):
        check(tmp_path / "e01.E01")
    copied(made, tmp_path, "split")
    (tmp_path / "split.004").unlink()  # the last part: nothing but the sidecar can tell
    assert not check(tmp_path / "split.001").sound


def test_image_without_anything_to_compare_with(made: Path, tmp_path: Path) -> None:
    shutil.copy(made / "raw.dd", tmp_path / "raw.dd")
    found = check(tmp_path / "raw.dd")
    assert not found.sound
    assert not failed(found)
    for path in made.glob("e01.E*"):
        shutil.copy(path, tmp_path / path.name)
    assert check(tmp_path / "e01.E01").sound  # its own digests are there


@pytest.mark.skipif(shutil.which("ewfacquire") is None, reason="ewfacquire is not installed")
def test_image_of_another_tool(made: Path, tmp_path: Path) -> None:
    source = tmp_path / "disk.raw"
    source.write_bytes(random.Random(6).randbytes(100 << 10))
    command = ["ewfacquire", "-u", "-q", "-d", "sha1", "-t", str(tmp_path / "other"), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    assert check(tmp_path / "other.E01").sound


def test_sidecar_that_intake_does_not_look_at(made: Path, tmp_path: Path) -> None:
    """The image is taken into another case: what its sidecar states is a claim to be checked, like the container's."""
    copied(made, tmp_path, "raw")
    found = {"sha256": check(tmp_path / "raw.dd").digests["sha256"]}
    assert [(v.what, v.result) for v in stated_beside(tmp_path / "raw.dd", found)] == [("stated-in-sidecar", "match")]
    other = list(stated_beside(tmp_path / "raw.dd", {"sha256": "0" * 64}))
    assert other[0].result == "mismatch"
    text = (tmp_path / "raw.json").read_text()
    (tmp_path / "raw.json").write_text(text.replace('"match"', '"mismatch"'))
    forged = list(stated_beside(tmp_path / "raw.dd", found))
    assert (forged[0].result, forged[0].reason) == ("mismatch", "the sidecar's signature does not verify")
    (tmp_path / "raw.json").write_text("{}")
    assert not list(stated_beside(tmp_path / "raw.dd", found))


def test_every_comparison_has_a_chinese_name(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify-image", str(made / "e01.E01")]) == 0
    said = capsys.readouterr().out
    for words in (
        "附件签名 sidecar signature",
        "结构与分块 structure",
        "md5（镜像自载） md5 (container)",
        "sha256（附件）",
        "镜像文件 files",
    ):
        assert words in said
