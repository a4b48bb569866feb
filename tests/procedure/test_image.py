# SPDX-License-Identifier: Apache-2.0
"""An image made without authority, without a trace in the ledger, or that the examination does not know again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.acquire import sidecar
from headwater.case.authority import Claim
from headwater.cli.main import main
from headwater.model.errors import AcquireError, AuthorityError, UsageError
from headwater.procedure import imaging
from headwater.procedure.corridor import evidence_of
from headwater.procedure.imaging import BEGUN, IMAGED, ImageOrder, image, verdict_words
from headwater.vault.ledger import Ledger

WAIVED = Claim(waiver="a test")


def disk(folder: Path) -> Path:
    """An ext4 file system of 8 MiB with one log, and zeros where a file was emptied by hand."""
    tree = folder / "tree"
    (tree / "var" / "log").mkdir(parents=True)
    (tree / "var" / "log" / "auth.log").write_text(
        "Mar  2 03:12:31 web01 sshd[990]: Accepted password for root from 203.0.113.66 port 41000 ssh2\n"
    )
    (tree / "wiped").write_bytes(b"\x01" * 300_000)
    path = folder / "disk.img"
    with path.open("wb") as out:
        out.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-b", "4096", "-d", str(tree), str(path)], check=True, capture_output=True)
    data = path.read_bytes()
    at = data.find(b"\x01" * 300_000)
    with path.open("r+b") as out:
        out.seek(at)
        out.write(bytes(300_000))
    return path


def order(folder: Path, source: Path, **more: object) -> ImageOrder:
    given = {"claim": WAIVED, "examiners": ("张三", "李四")} | more
    return ImageOrder(str(source), folder / "case", folder / "web01", **given)  # type: ignore[arg-type]


def entries(folder: Path) -> list[str]:
    with Ledger(folder / "case") as ledger:
        ledger.check()
        return [s.entry.action for s in ledger.entries()]


def test_image_without_authority(tmp_path: Path) -> None:
    source = tmp_path / "disk.bin"
    source.write_bytes(b"x" * 4096)
    with pytest.raises(AuthorityError):
        image(order(tmp_path, source, claim=Claim()))
    assert not (tmp_path / "case").exists()
    assert not (tmp_path / "web01.E01.part").exists()


def test_verdicts_and_decisions_that_the_ledger_lacks(tmp_path: Path) -> None:
    source = tmp_path / "disk.bin"
    source.write_bytes(b"x" * 100_000)
    done = image(order(tmp_path, source, state="static", state_by="王五"))
    assert entries(tmp_path) == ["open-case", BEGUN, IMAGED, "register"]
    with Ledger(tmp_path / "case") as ledger:
        begun, imaged, registered = list(ledger.entries())[1:]
        item = evidence_of(ledger)[0]
        public = next(ledger.entries()).entry.note["public_key"]
    assert begun.entry.note["state"] == "static"
    assert begun.entry.note["state_decided_by"] == "王五"
    assert begun.entry.note["write_protection"]["kind"] == "none"
    assert begun.entry.environment["kind"] == "file"
    assert [v["result"] for v in imaged.entry.note["verdicts"]] == ["match"] * 3
    assert imaged.entry.note["source_digests"] == dict(done.imaged.digests)
    assert imaged.entry.products["web01.json"] == done.imaged.sidecar_sha256
    assert item.digests == dict(done.imaged.medium)
    assert registered.entry.evidence == (1,)
    assert sidecar.signed_by(sidecar.read(tmp_path / "web01.json")) == public
    for verdict in done.verdicts:
        zh, en = verdict_words(verdict)
        assert "相符" in zh
        assert "yes" in en


def test_sidecar_altered_by_another(tmp_path: Path) -> None:
    source = tmp_path / "disk.bin"
    source.write_bytes(b"x" * 5000)
    image(order(tmp_path, source))
    document = json.loads((tmp_path / "web01.json").read_bytes())
    document["digests"]["sha256"] = "0" * 64
    assert sidecar.signed_by(document) is None


@pytest.mark.skipif(shutil.which("mkfs.ext4") is None, reason="mkfs.ext4 is not installed")
def test_image_that_investigation_takes_for_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = disk(tmp_path)
    done = image(order(tmp_path, source))
    zeros = sidecar.read(done.imaged.sidecar)["allocated_zeros"]["volumes"]
    assert zeros[0]["file_system"] == "ext4"
    assert 200_000 < zeros[0]["bytes"] < 6 << 20  # an empty journal is allocated zeros too
    case, path = str(tmp_path / "case"), str(tmp_path / "web01.E01")
    assert main(["investigate", path, "--case", case, "--lang", "en", "--no-reread"]) == 0
    with Ledger(tmp_path / "case") as ledger:
        assert [i.method for i in evidence_of(ledger)] == ["image"]
    assert main(["investigate", str(source), "--case", case]) == 2  # another source than the image


def test_live_source_claimed_as_static(tmp_path: Path) -> None:
    source = tmp_path / "disk.bin"
    source.write_bytes(b"x" * 5000)
    with pytest.raises(UsageError):
        image(order(tmp_path, source, live=True, state="static"))
    done = image(order(tmp_path, source, live=True))
    again = next(v for v in done.verdicts if v.what == "source-read-again")
    assert again.result == "not-claimable"
    assert "live" in again.reason


@pytest.mark.skipif(shutil.which("sfdisk") is None, reason="sfdisk is not installed")
def test_partition_and_not_the_disk(tmp_path: Path) -> None:
    source = tmp_path / "disk.bin"
    source.write_bytes(b"".join(bytes([n]) * (1 << 20) for n in range(6)))
    table = "label: dos\nstart=2048, size=2048, type=83\nstart=6144, size=4096, type=83\n"
    subprocess.run(["sfdisk", "-q", str(source)], input=table, text=True, check=True, capture_output=True)
    image(order(tmp_path, source, partition=2, plan={"format": "raw"}))
    assert (tmp_path / "web01.dd").read_bytes() == source.read_bytes()[3 << 20 : 5 << 20]
    with pytest.raises(AcquireError) as caught:
        image(order(tmp_path, source, partition=7))
    assert caught.value.code == "HW2030"


def test_command_line_says_less_than_was_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "disk.bin"
    source.write_bytes(b"x" * 5000)
    given = ["image", str(source), "--case", str(tmp_path / "case"), "--out", str(tmp_path / "web01"), "--format", "split",
             "--segment", "64K", "--no-authority", "a test", "--hash", "sm3"]  # fmt: skip
    assert main(given) == 0
    told = capsys.readouterr().out
    assert "再次读取检材与镜像一致：相符" in told
    assert "sm3" in told
    assert main(given) == 4
    assert "HW2020" in capsys.readouterr().err


def test_image_finished_but_never_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the last rename and the ledger: it is verified and entered, not made again and not lost."""
    source = tmp_path / "disk.bin"
    source.write_bytes(b"x" * 300_000)

    def killed(*_: object) -> object:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(imaging, "_end", killed)
        with pytest.raises(RuntimeError):
            image(order(tmp_path, source))
    assert entries(tmp_path) == ["open-case", BEGUN]
    before = (tmp_path / "web01.E01").stat().st_mtime_ns
    done = image(order(tmp_path, source, resume=True))
    assert entries(tmp_path) == ["open-case", BEGUN, IMAGED, "register"]
    assert (tmp_path / "web01.E01").stat().st_mtime_ns == before
    assert [v.result for v in done.verdicts] == ["match"] * 3
    with pytest.raises(AcquireError) as caught:
        image(order(tmp_path, source, resume=True))
    assert caught.value.code == "HW2020"


def test_image_altered_before_it_was_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "disk.bin"
    source.write_bytes(b"x" * 300_000)
    with monkeypatch.context() as patch:
        patch.setattr(imaging, "_end", lambda *_: None)
        image(order(tmp_path, source))
    with (tmp_path / "web01.E01").open("r+b") as file:
        file.seek(3000)
        file.write(b"!")
    with pytest.raises(AcquireError) as caught:
        image(order(tmp_path, source, resume=True))
    assert caught.value.code == "HW2024"


def test_sidecar_outside_its_schema(tmp_path: Path) -> None:
    from jsonschema import Draft202012Validator

    schema = json.loads((Path(__file__).parents[2] / "schemas" / "image-sidecar.json").read_text())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    source = tmp_path / os.fsdecode(b"disk\xff\xb2.bin")  # a name that is no UTF-8
    source.write_bytes(b"x" * 70_000)
    done = image(order(tmp_path, source, plan={"second": _folder(tmp_path / "other"), "segment": 64 << 10}))
    document = json.loads(done.imaged.sidecar.read_bytes())
    validator.validate(document)
    assert document["source"]["name"].endswith("disk%FF%B2.bin")
    for change in ({"state": "perhaps"}, {"digests": {}}, {"surprise": 1}):
        assert not validator.is_valid(document | change)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[str]:
    """A writable loop device over an ext4 file system."""
    if os.geteuid() != 0 or shutil.which("losetup") is None or shutil.which("mkfs.ext4") is None:
        pytest.skip("needs root, losetup and mkfs.ext4")
    made = subprocess.run(["losetup", "-f", "--show", str(disk(tmp_path))], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip("no loop device can be had here")
    writable = ["blockdev", "--setrw", made.stdout.strip()]  # the flag outlives the attachment
    subprocess.run(writable, check=True)
    try:
        yield made.stdout.strip()
    finally:
        subprocess.run(["umount", made.stdout.strip()], check=False, capture_output=True)
        subprocess.run(writable, check=False)
        subprocess.run(["losetup", "-d", made.stdout.strip()], check=False)


def test_device_that_nothing_protects(tmp_path: Path, loop: str) -> None:
    with pytest.raises(AcquireError) as caught:
        image(order(tmp_path, Path(loop)))
    assert caught.value.code == "HW2027"
    assert not (tmp_path / "web01.json").exists()
    with pytest.raises(UsageError):
        image(order(tmp_path, Path(loop), unprotected="  "))
    done = image(order(tmp_path, Path(loop), unprotected="无写保护设备可用"))
    assert [v.result for v in done.verdicts] == ["match"] * 3
    record = sidecar.read(done.imaged.sidecar)
    assert record["record"]["unprotected_reason"] == "无写保护设备可用"
    assert record["record"]["write_protection"]["kind"] == "none"
    assert record["source"]["facts"]["reading"] == "O_DIRECT"


def test_mounted_device_imaged_as_if_static(tmp_path: Path, loop: str) -> None:
    where = _folder(tmp_path / "mounted")
    subprocess.run(["mount", loop, str(where)], check=True)
    with pytest.raises(AcquireError) as caught:
        image(order(tmp_path, Path(loop), unprotected="x"))
    assert caught.value.code == "HW2060"
    with pytest.raises(AcquireError) as caught:  # not even live onto itself
        image(ImageOrder(loop, tmp_path / "case2", where / "web01", WAIVED, live=True, unprotected="x"))
    assert caught.value.code == "HW2026"
    done = image(order(tmp_path, Path(loop), live=True, unprotected="x"))
    assert {v.what: v.result for v in done.verdicts}["source-read-again"] == "not-claimable"
    assert sidecar.read(done.imaged.sidecar)["record"]["state"] == "live"


def test_read_only_flag_that_is_not_seen(tmp_path: Path, loop: str) -> None:
    done = image(order(tmp_path, Path(loop), set_readonly=True))
    protection = sidecar.read(done.imaged.sidecar)["record"]["write_protection"]
    assert protection["kind"] == "software"
    assert protection["set_by_us"]


def test_disk_outside_the_mandate(tmp_path: Path, loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The warrant names one disk by its serial number; another one is not imaged without a reason that is recorded."""
    from headwater.case.mandate import Mandate
    from headwater.procedure.casework import new_case

    new_case(tmp_path / "case", WAIVED, Mandate(targets=(("serial", "WD-1"),)), {}, ("张三",), ())
    monkeypatch.setattr(imaging, "_said", lambda *_: [("serial", "WD-2")])
    with pytest.raises(AuthorityError) as caught:
        image(order(tmp_path, Path(loop), claim=Claim(), set_readonly=True))
    assert caught.value.code == "HW1013"
    assert BEGUN not in entries(tmp_path)
    image(order(tmp_path, Path(loop), claim=Claim(), set_readonly=True, override="同案另一块盘，已口头批准"))
    with Ledger(tmp_path / "case") as ledger:
        begun = ledger.last(BEGUN)
    assert begun is not None
    assert begun.entry.note["override"] == "同案另一块盘，已口头批准"
    assert begun.entry.note["objections"][0]["result"] == "outside"


def test_image_before_memory_is_a_decision_where_the_scene_has_a_plan(tmp_path: Path) -> None:
    source = tmp_path / "disk.bin"
    source.write_bytes(b"x" * 4096)
    case = str(tmp_path / "case")
    assert main(["case", "new", case, "--no-authority", "a test", "--examiner", "张三", "--examiner", "李四"]) == 0
    assert main(["scene", "plan", case, "--type", "response", "--goal", "查明入侵"]) == 0
    with pytest.raises(AcquireError, match="HW2150"):
        image(order(tmp_path, source))
    image(order(tmp_path, source, because="服务器已由他人关机"))
    with Ledger(tmp_path / "case") as ledger:
        (begun,) = [s.entry.note for s in ledger.entries() if s.entry.action == "image-begin"]
    assert begun["scene"]["because"] == "服务器已由他人关机"
    assert begun["scene"]["inversions"]
