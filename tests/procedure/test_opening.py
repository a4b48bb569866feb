# SPDX-License-Identifier: Apache-2.0
"""open: what a path leads to, byte for byte; what is not there is named; a reading with a case is in its ledger."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "formats"))

from disk_images import ext
from virtual_images import qemu

from headwater.cli.main import main
from headwater.procedure import child_open
from headwater.procedure.opening import Look, image_files, look, task_args

LOG = b"".join(b"Nov 22 04:00:%02d web01 sshd[7]: Failed password for root\n" % (n % 60) for n in range(9000))
NOISE = random.Random(7).randbytes(300_000)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A qcow2 of an MBR disk whose first partition is ext4 with a compressed log, an archive, a link and odd names."""
    folder = tmp_path_factory.mktemp("open")
    (folder / "log.gz").write_bytes(gzip.compress(LOG, 9, mtime=0))
    (folder / "noise").write_bytes(NOISE)
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as out:
        member = tarfile.TarInfo("etc/passwd")
        member.size = 5
        out.addfile(member, io.BytesIO(b"root\n"))
    (folder / "kit.tgz").write_bytes(held.getvalue())
    commands = f"mkdir var\nmkdir var/log\nwrite {folder}/log.gz var/log/auth.log.2.gz\nwrite {folder}/noise noise\n"
    commands += f"write {folder}/kit.tgz kit.tgz\nsymlink link /etc/shadow\nwrite {folder}/noise a!b%\n"
    volume = ext(folder / "p1", size="8M", commands=commands).read_bytes()
    table = bytearray(512)
    table[446:462] = (
        bytes([0x80, 0, 0, 0, 0x83, 0, 0, 0]) + (2048).to_bytes(4, "little") + (16384).to_bytes(4, "little")
    )
    table[510:] = b"\x55\xaa"
    (folder / "raw").write_bytes(bytes(table) + bytes(2047 * 512) + volume)
    qemu("qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", folder / "raw", folder / "disk.qcow2")
    return folder / "disk.qcow2"


Asked = Callable[..., tuple[list[Any], bytes, Mapping[str, Any]]]


@pytest.fixture
def ask(disk: Path) -> Iterator[Asked]:
    """Ask a child's function here, without a child: rows, bytes, result."""
    with image_files(disk) as files:

        def asked(act: str, path: str = "", **more: Any) -> tuple[list[Any], bytes, Mapping[str, Any]]:
            args = task_args(files, "", False) | {"path": path, "recursive": False, "offset": 0, "length": None}
            rows: list[Any] = []
            data, last = b"", {}
            for header, blob in getattr(child_open, act)(args | more, files.fds):
                rows += header.get("entries", []) + header.get("volumes", [])
                data += blob
                last = header
            return rows, data, last.get("result") or last["error"]

        yield asked


def test_volumes_and_everything_between_are_listed(ask: Asked) -> None:
    rows, _, result = ask("ls")
    rows = [r for r in rows if not r["derived"]]
    assert [(r["volume"], r["kind"]) for r in rows if r["volume"]] == [("p1", "ext4")]
    assert sum(r["size"] for r in rows) == 2048 * 512 + (8 << 20)
    assert result["kind"] == "qcow2"


def test_directory_lists_its_own_and_recursion_all(ask: Asked) -> None:
    here = {r["path"] for r in ask("ls", "p1!/")[0]}
    assert {"/var", "/noise", "/link", "/a%21b%25"} <= here
    assert "/var/log" not in here
    below = {r["path"]: r for r in ask("ls", "p1!/var", recursive=True)[0]}
    assert set(below) == {"/var/log", "/var/log/auth.log.2.gz"}
    assert below["/var/log/auth.log.2.gz"]["kind"] == "file"
    assert [r["path"] for r in ask("ls", "p1!/noise")[0]] == ["/noise"]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("p1!/noise", NOISE),
        ("p1!/a%21b%25", NOISE),
        ("p1!/var/log/auth.log.2.gz", gzip.compress(LOG, 9, mtime=0)),
        ("p1!/var/log/auth.log.2.gz!gz", LOG),
        ("p1!/kit.tgz!tar.gz!/etc/passwd", b"root\n"),
        ("p1!/kit.tgz!gz!/etc/passwd", b"root\n"),
    ],
)
def test_path_leads_to_its_bytes(ask: Asked, path: str, content: bytes) -> None:
    _, data, result = ask("read", path)
    assert data == content
    assert (result["size"], result["bad"]) == (len(content), [])
    assert ask("read", path, offset=3, length=5)[1] == content[3:8]
    digests = ask("digest", path, algorithms=["sha256", "md5"])[2]["digests"]
    assert digests == {"sha256": hashlib.sha256(content).hexdigest(), "md5": hashlib.md5(content).hexdigest()}


def test_volume_and_disk_are_bytes_too(ask: Asked, disk: Path) -> None:
    raw = (disk.parent / "raw").read_bytes()
    assert ask("read", "p1")[1] == raw[2048 * 512 :]
    assert ask("read", "")[1] == raw


def test_stat_says_where_the_content_lies_on_the_medium(ask: Asked, disk: Path) -> None:
    result = ask("stat", "p1!/noise")[2]
    raw = (disk.parent / "raw").read_bytes()
    assert b"".join(raw[o : o + n] for o, n in result["extents"])[: len(NOISE)] == NOISE
    assert (result["size"], result["allocated"], result["file_system"]) == (len(NOISE), True, "ext4")
    assert isinstance(result["modified"], int)
    assert ask("stat", "p1!/link")[2]["target"] == "/etc/shadow"


@pytest.mark.parametrize(
    "path", ["p9!/x", "p1!/nothing", "p1!/noise!gz", "p1!/kit.tgz!tar.gz!/no", "p1!/var/log/auth.log.2.gz!xz"]
)
def test_what_is_not_there_is_named(ask: Asked, path: str) -> None:
    for act in ("ls", "stat", "read"):
        if act == "ls" and path == "p1!/noise!gz":
            continue
        assert ask(act, path, algorithms=[])[2]["code"] == "HW2044"


def test_directory_has_no_bytes(ask: Asked) -> None:
    assert ask("read", "p1!/var")[2]["code"] == "HW2044"


def test_reading_with_a_case_is_in_its_ledger(worked: Any, copied: Path, disk: Path) -> None:
    from headwater.vault.ledger import Ledger

    out: list[bytes] = []
    wanted = Look(
        disk, "cat", "p1!/var/log/auth.log.2.gz!gz", case=copied, examiners=("甲",), command=("headwater", "open")
    )
    look(wanted, on_bytes=out.append)
    assert b"".join(out) == LOG
    with Ledger(copied) as ledger:
        ledger.check()
        entry = list(ledger.entries())[-1].entry
    assert (entry.action, entry.actors, entry.note["sha256"]) == ("read", ("甲",), hashlib.sha256(LOG).hexdigest())
    assert entry.evidence == ()


def test_command_says_that_nothing_was_recorded(disk: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["open", str(disk), "cat", "p1!/noise"]) == 0
    out, err = capfdbinary.readouterr()
    assert out == NOISE
    assert "nothing was recorded" in err.decode()
    assert main(["open", str(disk), "cat", "p1!/noise", "--json"]) == 2
    assert main(["open", str(disk), "ls", "--case", str(disk.parent)]) == 2


def test_virtual_disk_is_registered_as_a_medium_with_every_file_digested(tmp_path: Path) -> None:
    """The chain of an overlay and its base is one item: the digest is the medium's, and no file goes undigested."""
    from headwater.procedure import child

    (tmp_path / "base.raw").write_bytes(NOISE[: 512 * 500])
    top = tmp_path / "top.qcow2"
    qemu("qemu-img", "create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", top)
    with image_files(top) as files:
        args = {"files": files.args(), "algorithms": ["sha256"]}
        *_, (last, _) = child.measure(args, files.fds)
    result = last["result"]
    assert (result["kind"], result["digest_of"], result["size"]) == ("qcow2", "medium", 512 * 500)
    assert result["medium"]["sha256"] == hashlib.sha256(NOISE[: 512 * 500]).hexdigest()
    assert [d["sha256"] for d in result["held"]] == [hashlib.sha256(p.read_bytes()).hexdigest() for p in files.paths]
