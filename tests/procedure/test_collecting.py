# SPDX-License-Identifier: Apache-2.0
"""headwater collect: over SSH, here, and from an image the same files with the same digests; no server harms the case."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "acquire"))

from collected_ground import NO_AUTHORITY
from collected_ground import entries as _entries
from collected_ground import files as _files
from collected_ground import ground as _ground
from collected_ground import manifest as _manifest
from collected_ground import order as _order
from collected_ground import url as _url
from loopback_sshd import Server, sshd_or_skip

from headwater.acquire import collect_receiving, collector
from headwater.acquire.collect_receiving import Limits, LocalLine, receive
from headwater.confine.pool import Message, Pool, Task
from headwater.examine.opening import View
from headwater.formats.folders import FolderTree
from headwater.formats.opened import open_readonly
from headwater.formats.partitions import Partition
from headwater.formats.sources import MemorySource
from headwater.model.errors import AcquireError, UsageError
from headwater.model.times import from_rfc3339
from headwater.procedure.collecting import BEGUN, STOPPED, Collected, CollectOrder, collect
from headwater.procedure.collecting_image import collect_image
from headwater.procedure.collecting_tree import Seen, place
from headwater.procedure.corridor import open_case
from headwater.procedure.intake import Held, call
from headwater.procedure.notamper_grounds import acts_of
from headwater.procedure.own_visits import visits_of
from headwater.procedure.scene_errand import Errand
from headwater.reconstruct.notamper_terms import Baseline
from headwater.vault.ledger import Ledger


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("sshd"), sshd_or_skip())
    made.make()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def ground(tmp_path: Path) -> Path:
    """A server's folders in little, with an artifact's definition for them."""
    return _ground(tmp_path)


@pytest.fixture(scope="module")
def over_ssh(server: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Collected]:
    """The ground, and what was collected from it over SSH."""
    ground = _ground(tmp_path_factory.mktemp("ground"))
    return ground, collect(_order(_url(server), ground, server))


def _seconds(rows: dict[str, Any]) -> dict[str, Any]:
    return {p: (*row[:3], row[3] // 10**9, row[4]) for p, row in rows.items()}


def _image_of(ground: Path) -> Path:
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 (e2fsprogs) is absent")
    root, image = ground.parent / "root", ground.parent / "web01.raw"
    inside = root / str(ground).lstrip("/")
    inside.parent.mkdir(parents=True)
    subprocess.run(["cp", "-a", "--sparse=always", str(ground), str(inside)], check=True)
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    with image.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", str(root), str(image)], check=True)
    return image


def test_over_ssh_here_and_from_an_image_the_same_files_with_the_same_digests(
    over_ssh: tuple[Path, Collected],
) -> None:
    ground, remote = over_ssh
    image = _image_of(ground)
    here = collect(_order("local:", ground, None, "here"))
    from_image = collect_image(_order(f"image:{image}", ground, None, "image"))
    files = _files(remote)
    assert files == _files(here)
    # mke2fs -d keeps whole seconds
    assert _seconds(files) == _seconds(_files(from_image))
    assert files[f"{ground}/log/auth.log"][2] == hashlib.sha256((ground / "log/auth.log").read_bytes()).hexdigest()
    assert files[f"{ground}/log/pipe"][0] == "fifo"
    assert files[f"{ground}/home"][4] == "log"
    assert len(files) == 11
    for done in (remote, here, from_image):
        assert done.clean
        assert {v.what: v.result for v in done.evidence.verdicts} == {
            "stated-in-container": "match",
            "read-completely": "match",
        }
        missing = [r["path"] for r in _manifest(done)[1:] if r["status"] == "missing"]
        assert missing == [f"{ground}/nothing/*"]


def test_collector_in_sh_gives_the_same_files_with_digests_of_the_servers_own(
    server: Server, over_ssh: tuple[Path, Collected]
) -> None:
    ground, remote = over_ssh
    by_python = _files(remote)
    done = collect(_order(_url(server), ground, server, "sh", shell_only=True))
    assert done.form == "sh"
    by_sh = {p: row for p, row in _files(done).items() if "!" not in p}  # a file that two patterns name comes twice

    def plain(rows: dict[str, Any]) -> dict[str, Any]:
        return {p: row[:3] + row[4:] for p, row in rows.items()}  # busybox's stat knows no fractions of a second

    assert plain(by_sh) == plain(by_python)
    assert done.evidence.verdicts[0].result == "match"
    row = next(r for r in _manifest(done)[1:] if r["path"].endswith("auth.log"))
    assert row["sha256"] == hashlib.sha256((ground / "log/auth.log").read_bytes()).hexdigest()


def test_ledger_and_manifest_hold_the_six_facts_and_the_traces_of_the_collector(
    over_ssh: tuple[Path, Collected],
) -> None:
    ground, done = over_ssh
    begun = _entries(ground.parent / "case", BEGUN)[0]
    assert begun["collector_sha256"] == collector.digest()
    assert begun["visit"]["authorised_traces"]
    assert begun["authorised_traces"]
    act = next(n for n in _entries(ground.parent / "case", "scene-act") if n["act"] == "collect")
    assert act["because"] == "a test"
    assert act["witness"] == {"not_recorded": "a test"}
    assert act["collection"]["counts"]["success"] >= 6
    head, *rows = _manifest(done)
    row = next(r for r in rows if r["path"].endswith("auth.log"))
    assert head["collector"] == ["甲", "乙"]
    assert head["tool"].startswith("headwater ")
    assert head["state"] == "live"
    assert head["sha256"] == done.evidence.digests["sha256"]
    assert row["time"].endswith("Z")
    assert len(row["sha256"]) == 64
    assert len(row["md5"]) == 32
    with Ledger(ground.parent / "case") as ledger:
        products = [dict(s.entry.products) for s in ledger.entries() if done.manifest.name in s.entry.products]
    assert products[0][done.manifest.name] == hashlib.sha256(done.manifest.read_bytes()).hexdigest()


def test_login_of_our_own_is_an_authorised_act_from_its_first_second_on(over_ssh: tuple[Path, Collected]) -> None:
    ground, _ = over_ssh
    corridor = open_case(ground.parent / "case")
    with corridor.ledger:
        sealed = [s for s in corridor.ledger.entries() if s.entry.action in {BEGUN, "scene-act"}]
        acts, _ = acts_of(corridor, Baseline(0, ""), 1 << 62)
        visits = visits_of(corridor)
    assert {v.origin.partition(" ")[0] for v in visits} == {"127.0.0.1"}
    assert len({v.origin for v in visits}) == 1
    (act,) = [a for a in acts if a.words == "scene-act collect"]
    begun, entered = (from_rfc3339(s.entry.time) for s in sealed)
    assert act.first < begun < entered <= act.last
    assert all(v.first < act.first < v.last for v in visits)


def test_collection_out_of_order_needs_a_reason(ground: Path) -> None:
    order = _order("local:", ground)
    bare = CollectOrder(
        Errand("local:", ground.parent / "case", NO_AUTHORITY, ("甲", "乙"), no_witness="x"), "Ground",
        definitions=order.definitions,
    )  # fmt: skip
    with pytest.raises(AcquireError, match="HW2150"):
        collect(bare)


def test_secrets_stay_on_the_server_without_an_authority_or_a_reason(ground: Path) -> None:
    done = collect(_order("local:", ground, name="a", profile="accounts,shadow"))
    assert done.withheld == ("shadow",)
    assert "/etc/shadow" not in _files(done)
    done = collect(
        _order("local:", ground, name="b", profile="accounts,shadow", secrets="needed to date the passwords")
    )
    assert done.withheld == ()
    rows = {r["path"]: r for r in _manifest(done)[1:]}
    assert "/etc/shadow" in rows


def test_nothing_is_written_over_and_an_unknown_profile_takes_nothing(ground: Path) -> None:
    out = ground.parent / "mine"
    collect(_order("local:", ground, name="a", out=out))
    with pytest.raises(AcquireError, match="HW2104"):
        collect(_order("local:", ground, name="b", out=out))
    with pytest.raises(UsageError, match="HW2100"):
        collect(_order("local:", ground, name="c", profile="nonsense"))


def test_run_that_was_killed_leaves_its_part_and_the_next_goes_beside_it(ground: Path) -> None:
    first = collect(_order("local:", ground))
    left = Path(first.evidence.source_path).with_name("left-0002.hwcol.part")
    left.write_bytes(b"what came before the power failed")
    part = left.rename(left.with_name(Path(first.evidence.source_path).name.replace("0001", "0002") + ".part"))
    second = collect(_order("local:", ground))
    assert second.evidence.name.endswith("-0002-2.hwcol")
    assert part.read_bytes() == b"what came before the power failed"


def test_windows_profile_takes_logs_hives_mft_tasks_and_prefetch_from_an_image(ground: Path) -> None:
    if shutil.which("mkfs.ntfs") is None or shutil.which("ntfscp") is None:
        pytest.skip("ntfs-3g is absent")
    image = ground.parent / "win.raw"
    with image.open("wb") as file:
        file.truncate(12 << 20)
    subprocess.run(["mkfs.ntfs", "-q", "-F", "-s", "512", str(image)], check=True, capture_output=True)
    made = _ntfs_tree(image, ground.parent)
    if not made:
        pytest.skip("no way to make folders on an NTFS image here")
    done = collect_image(_order(f"image:{image}", ground, None, "win", profile="triage"))
    files = _files(done)
    assert "/$MFT" in files
    for path, data in made.items():
        assert files[path][2] == hashlib.sha256(data).hexdigest(), path


def _ntfs_tree(image: Path, place: Path) -> dict[str, bytes]:
    """Folders and files of a Windows server in little, through ntfs-3g where it may mount; nothing where it may not."""
    mount = place / "mnt"
    mount.mkdir()
    if subprocess.run(["ntfs-3g", str(image), str(mount)], capture_output=True).returncode:
        return {}
    made = {
        "/Windows/System32/winevt/Logs/Security.evtx": b"ElfFile\0" + os.urandom(70_000),
        "/Windows/System32/config/SYSTEM": b"regf" + os.urandom(9000),
        "/Windows/System32/Tasks/Updater": b"<Task/>",
        "/Windows/Prefetch/CMD.EXE-1.pf": b"MAM\x04" + os.urandom(300),
    }
    try:
        for path, data in made.items():
            (mount / path[1:]).parent.mkdir(parents=True, exist_ok=True)
            (mount / path[1:]).write_bytes(data)
    finally:
        subprocess.run(["umount", str(mount)], check=True)
    return made


def test_volumes_of_an_image_stand_where_its_mount_table_puts_them() -> None:
    uuid = bytes(range(16))
    ext = bytearray(4096)
    ext[1080:1082], ext[1024 + 0x68 : 1024 + 0x78] = b"\x53\xef", uuid
    ext[1024 + 0x78 : 1024 + 0x7E] = b"BACKUP"
    xfs = b"XFSB" + bytes(28) + uuid[::-1] + bytes(60) + b"wwwdata".ljust(12, b"\0") + bytes(4000)
    fstab = (
        b"# made by hand\nUUID=00010203-0405-0607-0809-0a0b0c0d0e0f /var ext4 defaults 0 2\n"
        b"/dev/mapper/vg0-home--new /home xfs defaults 0 0\nLABEL=wwwdata /srv/my\\040site xfs defaults 0 0\n"
        b"/dev/sda1 none swap sw 0 0\nbroken\n"
    )

    def seen(name: str, head: bytes, texts: dict[bytes, bytes] | None = None) -> Seen:
        volume = MemorySource(head)
        return Seen(View(name, FolderTree(-1), 0, len(head), True, volume=volume), texts=texts or {})

    root = seen("p2", bytes(4096), {b"/etc/fstab": fstab, b"/etc/passwd": b""})
    parts = [seen("p1", bytes(ext)), seen("p3!lv.vg0.home-new", bytes(4096)), seen("p4", xfs), seen("p5", bytes(4096))]
    place([parts[0], root, *parts[1:]], windows=False)
    assert root.place == b""
    assert [p.place for p in parts] == [b"/var", b"/home", b"/srv/my site", b"/@volume/p5"]


def test_partitions_are_known_by_their_own_marks_and_by_the_device_that_the_root_lies_on() -> None:
    fstab = (
        b"/dev/vda2 / ext4 defaults 0 1\nPARTUUID=0A0B0C0D-03 /var ext4 defaults 0 2\nPARTLABEL=Data /srv xfs defaults 0 0\n"
        b"/dev/vda5 /opt ext4 defaults 0 2\n/dev/vdb6 /backup ext4 defaults 0 2\n"
    )

    def seen(name: str, texts: dict[bytes, bytes] | None = None) -> Seen:
        view = View(name, FolderTree(-1), 0, 4096, True, volume=MemorySource(bytes(4096)))
        return Seen(view, texts=texts or {})

    def parted(number: int, label: str = "") -> Partition:
        return Partition(f"p{number}", 0, 4096, "0x83", label, f"0a0b0c0d-{number:02x}")

    root = seen("p2", {b"/etc/fstab": fstab, b"/etc/passwd": b""})
    parts = [seen(f"p{n}") for n in (3, 4, 5, 6)]
    table = [parted(2), parted(3), parted(4, "Data"), parted(5), parted(6)]
    place([root, *parts], table, windows=False)
    assert [p.place for p in parts] == [b"/var", b"/srv", b"/opt", b"/@volume/p6"]  # vdb is another disk
    elsewhere = seen("p1", {b"/etc/fstab": fstab, b"/etc/passwd": b""})  # not under the number that the table says
    place([elsewhere, *parts], table, windows=False)
    assert [p.place for p in parts] == [b"/var", b"/srv", b"/@volume/p5", b"/@volume/p6"]


# ------------------------------------------------------------------ a server that means harm


def _received(tmp_path: Path, script: str, limits: Limits) -> collect_receiving.Received:
    line = LocalLine(script.encode())
    return receive(line, tmp_path / "x.hwcol", "python", limits, lambda done: None)


def test_server_that_sends_without_end_is_cut_off_at_the_limit(tmp_path: Path) -> None:
    came = _received(tmp_path, "exec cat /dev/zero\n", Limits(most=1 << 20))
    assert came.ended
    assert came.size < (1 << 20) + (70 << 20)
    assert came.path.stat().st_size == came.size


def test_server_that_falls_silent_is_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    came = _received(tmp_path, "echo hello; exec sleep 60\n", Limits(most=1 << 20, silence=0.5))
    assert "nothing came" in came.ended
    assert time.monotonic() - began < 30
    assert came.path.read_bytes() == b"hello\n"


def test_server_that_drips_is_ended_by_the_clock(tmp_path: Path) -> None:
    script = "while :; do echo x; sleep 0.05; done\n"
    came = _received(tmp_path, script, Limits(most=1 << 20, silence=5, seconds=0.5))
    assert "longer than" in came.ended


def test_server_that_says_nothing_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(AcquireError, match="HW2103"):
        _received(tmp_path, "exit 0\n", Limits(most=1 << 20))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "answer",
    [
        "printf 'R\\n'; head -c 200000 /dev/urandom",
        "printf 'R\\nHWCOL1 0123456789abcdef0123456789abcdef\\n'; printf '0123456789abcdef0123456789abcdef F 9 999999999999\\npath=/../x'",
        "printf 'R\\nHWCOL1 0123456789abcdef0123456789abcdef\\n0123456789abcdef0123456789abcdef F 51 3\\nkind=file\\nstatus=success\\npath=/../../../../../tmp/hw-esc\\nabc'",
    ],
)
def test_stream_of_lies_becomes_evidence_and_touches_nothing_else(
    ground: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr(collector, "FIND", answer + "; sleep 0.3; exit 0\n")
    before = {p for p in ground.parent.rglob("*") if not p.is_relative_to(ground.parent / "case")}
    done = collect(_order("local:", ground))
    assert not done.clean
    assert {p for p in ground.parent.rglob("*") if not p.is_relative_to(ground.parent / "case")} == before
    assert not Path("/tmp/hw-esc").exists()
    folder = {p.name for p in (ground.parent / "case/acquired").iterdir()}
    assert folder == {Path(done.evidence.source_path).name, done.manifest.name}


def test_server_whose_digests_lie_is_found_out(ground: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = collector.script()
    lying = real.replace(b'fields["sha256"] = hashlib.sha256(data).hexdigest()', b'fields["sha256"] = "0" * 64')
    assert lying != real
    monkeypatch.setattr(collector, "script", lambda: lying)
    done = collect(_order("local:", ground))
    assert done.evidence.verdicts[0].result == "mismatch"
    assert not done.clean
    assert f"{ground}/log/auth.log" in done.unlike


def test_server_without_a_shell_is_refused_and_the_refusal_entered(
    ground: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "FIND", "echo nonsense; exit 3\n")
    with pytest.raises(AcquireError, match="HW2102"):
        collect(_order("local:", ground))
    assert _entries(ground.parent / "case", STOPPED)


def test_line_that_is_cut_keeps_what_came(server: Server, ground: Path) -> None:
    (ground / "log/large").write_bytes(os.urandom(24 << 20))
    cuts: list[int] = []

    def progress(stage: str, done: int, total: int | None, unit: str) -> None:
        if stage == "collect" and not cuts and done > 1 << 20:
            cuts.append(server.cut())

    done = collect(_order(_url(server), ground, server), progress)
    assert cuts
    assert done.ended
    assert not done.clean
    assert done.evidence.verdicts[1].result == "mismatch"


def test_folder_of_many_names_is_walked_without_being_held(ground: Path) -> None:
    count = 1_000_000 if os.environ.get("HEADWATER_LONG") else 3_000
    many = ground / "log/many"
    many.mkdir()
    here = os.open(many, os.O_RDONLY)
    for number in range(count):
        os.close(os.open(f"session-{number:07d}", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    done = collect(_order("local:", ground))
    assert done.clean
    assert done.counts["empty"] == count + 1
    end = _entries(ground.parent / "case", "scene-act")[-1]["collection"]["end"]
    assert int(end["rss_kib"]) <= 50 << 10  # what the collector may take of a server's memory


def test_collection_is_listed_as_the_system_that_it_came_from(ground: Path) -> None:
    done = collect(_order("local:", ground, profile="Ground,uname-a,proc-net"))
    file = open_readonly(Path(done.evidence.source_path))
    with Pool(1) as pool:
        listed: list[str] = []

        def take(message: Message) -> None:
            listed.extend(c["path"] for c in message.header.get("candidates", ()))

        args = {"files": Held((), (file,)).args(), "number": 1, "bad": []}
        task = Task("list", "headwater.procedure.child:walk", args, (file.fd,))
        result = call(pool, task, take)
    file.close()
    assert result["entries"] >= 11
    assert f"{ground}/log/auth.log" in listed
    assert "/proc/net/tcp" in listed  # its parser has a row of its own for each socket


@pytest.mark.long
def test_collection_can_be_investigated(ground: Path) -> None:
    from headwater.cli.main import main

    done = collect(_order("local:", ground, profile="Ground,uname-a,id"))
    case = str(ground.parent / "looked")
    given = ["investigate", done.evidence.source_path, "--case", case, "--no-authority", "test", "--examiner", "甲"]
    assert main(given) in (0, 1)
    assert (Path(case) / "report/report.html").exists()
