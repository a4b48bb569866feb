# SPDX-License-Identifier: Apache-2.0
"""Sectors lost beside a bad one, an image that forgets where it stood, one that is cut and taken for whole."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from failing_sources import FailingSource

from headwater.acquire import destinations, imaging, sidecar
from headwater.acquire.imaged import Imaged
from headwater.acquire.imaging import Desk, Imaging
from headwater.acquire.plans import Plan
from headwater.acquire.ports import BlockSource, MediumSource
from headwater.formats.media import open_medium, segments
from headwater.formats.opened import open_readonly
from headwater.formats.sources import MemorySource
from headwater.model.errors import AcquireError
from headwater.model.kinds import GapReason

LONG = bool(os.environ.get("HEADWATER_LONG"))
NOW = "2026-11-22T04:00:00.000000000Z"


def signed(_: bytes) -> Mapping[str, str]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    return {"algorithm": "Ed25519", "public_key": key.public_key().public_bytes_raw().hex(), "value": key.sign(_).hex()}


def desk() -> Desk:
    return Desk(lambda *_: None, signed, lambda: NOW, "headwater test", {})


def plan(folder: Path, **options: object) -> Plan:
    return Plan(folder, "web01", **({"block": 64 << 10, "table_chunks": 8, "checkpoint": 256 << 10} | options))  # type: ignore[arg-type]


def run(source: BlockSource, wanted: Plan, *, resume: bool = False) -> Imaged:
    return Imaging(source, wanted, desk(), resume=resume).run()


def content(size: int) -> bytes:
    pick = random.Random(3)
    return b"".join(
        (bytes(32768), pick.randbytes(32768), b"words " * 5461 + b"  ")[pick.randrange(3)]
        for _ in range(size // 32768 + 1)
    )[:size]


def held(path: Path) -> bytes:
    medium = open_medium([open_readonly(p) for p in segments(path)])
    try:
        return medium.pread(0, medium.size)
    finally:
        medium.close()


def first_file(folder: Path, form: str) -> Path:
    return folder / {"e01": "web01.E01", "split": "web01.001"}.get(form, "web01.dd")


# --- bad sectors


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("form", ["e01", "raw"])
def test_good_sectors_lost_beside_bad_ones(tmp_path: Path, form: str, sector: int) -> None:
    data = content(1_000_000 // sector * sector)
    count = len(data) // sector
    bad = frozenset({0, 3, 4, 5, 40, count // 2, count - 1})
    done = run(FailingSource(data, bad, sector=sector), plan(tmp_path, format=form))
    expected = bytearray(data)
    for number in bad:
        expected[number * sector : (number + 1) * sector] = bytes(sector)
    assert held(first_file(tmp_path, form)) == bytes(expected)
    lost = {n for at, length, _, _ in done.bad for n in range(at // sector, (at + length) // sector)}
    assert lost == bad
    assert done.digests["sha256"] == hashlib.sha256(expected).hexdigest()
    results = {v.what: (v.result, v.reason) for v in done.verdicts}
    assert results["stream-equals-image"][0] == "match"
    assert results["source-read-again"] == ("not-claimable", "the source has ranges that cannot be read")
    assert results["read-completely"][0] == "mismatch"
    assert [b[:2] for b in json.loads(done.sidecar.read_bytes())["bad"]] == [list(b[:2]) for b in done.bad]


@pytest.mark.skipif(shutil.which("ewfinfo") is None, reason="ewfinfo is not installed")
def test_bad_sectors_that_e01_does_not_state(tmp_path: Path) -> None:
    data = content(300 * 512)
    run(FailingSource(data, frozenset({7, 8, 9, 200})), plan(tmp_path))
    told = subprocess.run(["ewfinfo", str(tmp_path / "web01.E01")], capture_output=True, text=True, check=True).stdout
    assert "at sector(s): 7 - 9 number: 3" in told.replace("  ", " ")
    assert "at sector(s): 200 - 200 number: 1" in told.replace("  ", " ")
    medium = open_medium([open_readonly(tmp_path / "web01.E01")])
    assert [(at, length) for at, length, _, _ in medium.bad] == [(7 * 512, 3 * 512), (200 * 512, 512)]


def test_a_failing_disk_is_worn_out(tmp_path: Path) -> None:
    source = FailingSource(content(512 * 64), frozenset({10, 11}))
    run(source, plan(tmp_path, retries=3, format="raw"))
    assert set(source.tries.values()) == {4}


def test_sector_given_up_that_a_second_try_reads(tmp_path: Path) -> None:
    data = content(512 * 64)
    source = FailingSource(data, frozenset({10}))
    source.heals_after = 2
    done = run(source, plan(tmp_path, retries=2, format="raw"))
    assert not done.bad
    assert (tmp_path / "web01.dd").read_bytes() == data


def test_source_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    source = FailingSource(content(1 << 20))
    source.size = (1 << 20) + 5000
    done = run(source, plan(tmp_path, format="raw"))
    assert [(at, n, why) for at, n, why, _ in done.bad] == [(1 << 20, 5000, GapReason.TRUNCATED)]


def test_gap_of_a_container_read_as_zeros(tmp_path: Path) -> None:
    bad = ((4096, 1024, GapReason.UNREADABLE, "a lost cluster"),)
    done = run(MediumSource(MemorySource(content(100_000), bad), "qcow2"), plan(tmp_path, format="raw"))
    assert [(at, n, detail) for at, n, _, detail in done.bad] == [(4096, 1024, "a lost cluster")]


def test_source_that_changed_is_called_the_same(tmp_path: Path) -> None:
    data = content(400_000)
    source = FailingSource(data)
    reads = 0

    def change(offset: int) -> None:
        nonlocal reads
        reads += offset == 0
        if reads == 2:
            source.data = data[:200_000] + b"!" + data[200_001:]

    source.on_read = change
    done = run(source, plan(tmp_path))
    again = next(v for v in done.verdicts if v.what == "source-read-again")
    assert again.result == "mismatch"
    assert "from offset 196608" in again.reason
    assert held(tmp_path / "web01.E01")[:400_000] == data


# --- destinations


def test_image_that_differs_from_what_was_read_is_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = content(900_000)

    def corrupt(folder: Path, names: list[str], *rest: object) -> object:
        with (folder / (names[0] + ".part")).open("r+b") as file:
            file.seek(300_000)
            file.write(b"\xff\x00\xff")
        return original(folder, names, *rest)  # type: ignore[arg-type]

    original = imaging.read_back
    monkeypatch.setattr(imaging, "read_back", corrupt)
    with pytest.raises(AcquireError) as caught:
        run(FailingSource(data), plan(tmp_path, format="raw"))
    assert caught.value.code == "HW2024"
    assert "262144" in caught.value.names["what"]
    assert not (tmp_path / "web01.dd").exists()
    assert sidecar.read(tmp_path / "web01.json")["state"] == sidecar.FAILED


@pytest.mark.parametrize("form", ["e01", "split"])
def test_one_failing_destination_takes_the_other_with_it(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    data = content(2_000_000)
    written = 0
    original = destinations.Destination.write

    def write(self: destinations.Destination, block: bytes | memoryview) -> None:
        nonlocal written
        if self.folder == tmp_path:
            written += len(block)
            if written > 400_000:
                raise OSError(28, "No space left on device")
        original(self, block)

    monkeypatch.setattr(destinations.Destination, "write", write)
    done = run(FailingSource(data), plan(tmp_path, format=form, second=other, segment=256 << 10))
    assert done.failures == {str(tmp_path): "No space left on device"}
    assert done.folder == other
    assert held(first_file(other, form))[: len(data)] == data
    assert not first_file(tmp_path, form).exists()
    document = sidecar.read(other / "web01.json")
    assert document["destinations"][0]["failure"] == "No space left on device"
    assert sidecar.read(tmp_path / "web01.json")["state"] == sidecar.INCOMPLETE


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs needs root")
@pytest.mark.parametrize("form", ["e01", "raw", "split"])
def test_full_disk_loses_what_was_written(tmp_path: Path, form: str) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(small)], capture_output=True, check=False
    ).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        data = random.Random(1).randbytes(5 << 20)
        wanted = plan(small, format=form, segment=512 << 10)
        with pytest.raises(AcquireError) as caught:
            run(FailingSource(data), wanted)
        assert caught.value.code == "HW2022"
        document = sidecar.read(small / "web01.json")
        assert document["state"] == sidecar.INCOMPLETE
        assert document["checkpoint"]["done"] > 1 << 20
        subprocess.run(["mount", "-o", "remount,size=16m", str(small)], check=True)
        done = run(FailingSource(data), wanted, resume=True)
        assert done.resumed_at == (document["checkpoint"]["done"],)
        assert held(first_file(small, form))[: len(data)] == data
    finally:
        subprocess.run(["umount", str(small)], check=False)


# --- interruption


@pytest.mark.parametrize("form", ["e01", "raw", "split", "sparse"])
@pytest.mark.parametrize("gone", [0, 100_000, 777_777, 2_000_000])
def test_vanished_source_loses_what_was_read(tmp_path: Path, form: str, gone: int) -> None:
    data = content(2_100_123)
    wanted = plan(tmp_path, format=form, segment=256 << 10)
    with pytest.raises(AcquireError) as caught:
        run(FailingSource(data, gone_at=gone), wanted)
    assert caught.value.code == "HW2021"
    assert not first_file(tmp_path, form).exists()
    document = sidecar.read(tmp_path / "web01.json")
    assert document["state"] == sidecar.INCOMPLETE
    assert document["checkpoint"]["done"] == gone // 65536 * 65536  # every whole block that was read is kept
    done = run(FailingSource(data), wanted, resume=True)
    assert held(first_file(tmp_path, form))[: len(data)] == data
    assert done.digests["sha256"] == hashlib.sha256(data).hexdigest()
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    again = run(FailingSource(data), plan(fresh, format=form, segment=256 << 10))
    assert done.zeros == again.zeros
    if form in ("raw", "split", "sparse"):
        assert done.segments == again.segments


def test_bad_sectors_before_the_interruption_are_forgotten(tmp_path: Path) -> None:
    data = content(2_000_384)
    bad = frozenset({3, 900})
    with pytest.raises(AcquireError):
        run(FailingSource(data, bad, gone_at=1_000_000), plan(tmp_path))
    done = run(FailingSource(data, bad | {3500}), plan(tmp_path), resume=True)
    assert [at // 512 for at, _, _, _ in done.bad] == [3, 900, 3500]


@pytest.mark.parametrize(
    ("change", "words"),
    [({"format": "raw"}, "format"), ({"level": "best"}, "level"), ({"algorithms": ("sha256",)}, "algorithms")],
)
def test_resumed_with_other_options(tmp_path: Path, change: dict[str, object], words: str) -> None:
    with pytest.raises(AcquireError):
        run(FailingSource(content(900_000), gone_at=500_000), plan(tmp_path))
    with pytest.raises(AcquireError) as caught:
        run(FailingSource(content(900_000)), plan(tmp_path, **change), resume=True)
    assert caught.value.code == "HW2025"
    assert words in caught.value.names["what"]


def test_resumed_on_another_disk(tmp_path: Path) -> None:
    with pytest.raises(AcquireError):
        run(FailingSource(content(900_000), gone_at=500_000), plan(tmp_path))
    other = FailingSource(content(900_000))
    other.facts = {"serial": "S2"}
    with pytest.raises(AcquireError) as caught:
        run(other, plan(tmp_path), resume=True)
    assert "serial" in caught.value.names["what"]


def test_written_part_altered_before_resuming(tmp_path: Path) -> None:
    data = content(2_000_000)
    with pytest.raises(AcquireError):
        run(FailingSource(data, gone_at=1_500_000), plan(tmp_path))
    with (tmp_path / "web01.E01.part").open("r+b") as file:
        file.seek(200_000)
        file.write(b"\x00\xff" * 10)
    with pytest.raises(AcquireError) as caught:
        run(FailingSource(data), plan(tmp_path), resume=True)
    assert caught.value.code == "HW2025"


def test_sidecar_forged_before_resuming(tmp_path: Path) -> None:
    with pytest.raises(AcquireError):
        run(FailingSource(content(900_000), gone_at=500_000), plan(tmp_path))
    document = json.loads((tmp_path / "web01.json").read_bytes())
    document["bad"] = [[0, 512, "unreadable", "never happened"]]
    (tmp_path / "web01.json").write_text(json.dumps(document))
    with pytest.raises(AcquireError) as caught:
        run(FailingSource(content(900_000)), plan(tmp_path), resume=True)
    assert "signature" in caught.value.names["what"]


def test_second_destination_behind_after_a_resume(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    data = content(2_000_000)
    wanted = plan(tmp_path, second=other, segment=256 << 10)
    with pytest.raises(AcquireError):
        run(FailingSource(data, gone_at=1_500_000), wanted)
    for path in other.iterdir():
        path.unlink()
    done = run(FailingSource(data), wanted, resume=True)
    assert not done.failures
    assert held(other / "web01.E01")[: len(data)] == data
    for name, _, _ in done.segments:
        assert (tmp_path / name).read_bytes() == (other / name).read_bytes()


CHILD = textwrap.dedent(
    """
    import sys, time
    sys.path.insert(0, sys.argv[1])
    from pathlib import Path
    from failing_sources import FailingSource
    from test_imaging_failures import content, plan, run, SIZE
    source = FailingSource(content(SIZE))
    source.on_read = lambda offset: time.sleep(0.002)
    print("ready", flush=True)
    folder, form, resume = Path(sys.argv[2]), sys.argv[3], sys.argv[4] == "1"
    run(source, plan(folder, format=form, segment=512 << 10), resume=resume)
    """
)
SIZE = 4_000_123
KILLS = 200 if LONG else 12


def killed_after(folder: Path, form: str, seconds: float, resume: bool) -> int:
    """Run in a process of its own, killed so long after it began to read; its exit code."""
    here = str(Path(__file__).parent)
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, here, str(folder), form, "1" if resume else "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    code = process.wait()
    process.stdout.close()
    return code


@pytest.mark.parametrize("form", ["e01", "split"])
def test_killed_anywhere(tmp_path: Path, form: str) -> None:
    """Killed at random moments, again and again; in the end the image is the source, and never one before that."""
    pick = random.Random(11)
    data = content(SIZE)
    wanted = {"format": form, "segment": 512 << 10}
    kills = rounds = 0
    while kills < KILLS // 2:
        folder = tmp_path / str(rounds)
        folder.mkdir()
        rounds += 1
        state = ""
        while kills < KILLS // 2 and state != sidecar.COMPLETE:
            killed_after(folder, form, pick.uniform(0.0, 0.45), bool(state))
            kills += 1
            path = folder / "web01.json"
            state = str(sidecar.read(path)["state"]) if path.exists() else ""
            assert state in ("", sidecar.INCOMPLETE, sidecar.COMPLETE)
            if state == sidecar.INCOMPLETE:
                with pytest.raises(AcquireError):  # it is there, and nothing takes it for whole or writes over it
                    run(FailingSource(data), plan(folder, **wanted))
        if state != sidecar.COMPLETE:
            done = run(FailingSource(data), plan(folder, **wanted), resume=bool(state))
            assert done.digests["sha256"] == hashlib.sha256(data).hexdigest()
        assert held(first_file(folder, form))[:SIZE] == data
        shutil.rmtree(folder)


def test_interrupted_while_it_goes_on(tmp_path: Path) -> None:
    """An interruption during the reading again of what is held must not throw that away."""
    data = content(2_000_000)
    for form in ("e01", "raw"):
        folder = tmp_path / form
        folder.mkdir()
        with pytest.raises(AcquireError):
            run(FailingSource(data, gone_at=1_500_000), plan(folder, format=form, segment=300 << 10))
        before = sidecar.read(folder / "web01.json")["checkpoint"]["done"]
        source = FailingSource(data)
        begun = Imaging(source, plan(folder, format=form, segment=300 << 10), desk(), resume=True)

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        begun._read_held = interrupt  # type: ignore[method-assign,assignment]
        with pytest.raises(KeyboardInterrupt):
            begun.run()
        assert sidecar.read(folder / "web01.json")["checkpoint"]["done"] == before
        done = run(source, plan(folder, format=form, segment=300 << 10), resume=True)
        assert done.digests["sha256"] == hashlib.sha256(data).hexdigest()


def test_checkpoint_in_the_middle_of_a_block(tmp_path: Path) -> None:
    data = content(2_000_000)
    wanted = plan(tmp_path, segment=100 << 10, block=256 << 10)
    with pytest.raises(AcquireError):
        run(FailingSource(data, gone_at=1_500_000), wanted)
    document = sidecar.read(tmp_path / "web01.json")
    document["checkpoint"] = next(
        point for point in _checkpoints(tmp_path, data) if point["done"] % (256 << 10) and point["done"] < 1_300_000
    )
    sidecar.write(tmp_path / "web01.json", document, signed)
    done = run(FailingSource(data), wanted, resume=True)
    assert [v.result for v in done.verdicts] == ["match"] * 3
    assert held(tmp_path / "web01.E01")[: len(data)] == data


def _checkpoints(folder: Path, data: bytes) -> list[dict[str, int]]:
    """Every checkpoint that the same image passes, latest first."""
    found: list[dict[str, int]] = []
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    begun = Imaging(FailingSource(data), plan(elsewhere, segment=100 << 10, block=256 << 10), desk())
    keep = begun._keep

    def note(checkpoint: object) -> None:
        found.append({name: getattr(checkpoint, name) for name in ("done", "segment", "position")})
        keep(checkpoint)  # type: ignore[arg-type]

    begun._writer._told = note  # type: ignore[assignment]
    begun.run()
    return found[::-1]


def test_sectors_that_e01_cannot_count(tmp_path: Path) -> None:
    """Disks of storage systems have sectors of 520 bytes: an E01 of them would be cut at the wrong places."""
    data = bytes(range(256)) * 65 * 10
    with pytest.raises(AcquireError) as caught:
        run(FailingSource(data, sector=520), plan(tmp_path))
    assert caught.value.code == "HW2007"
    run(FailingSource(data, sector=520), plan(tmp_path, format="raw"))
    assert (tmp_path / "web01.dd").read_bytes() == data
