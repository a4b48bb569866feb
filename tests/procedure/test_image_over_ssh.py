# SPDX-License-Identifier: Apache-2.0
"""headwater image over SSH: a cut line must cost neither bytes nor the record of it, a vanished server not the image."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "acquire"))

from loopback_sshd import Server, sshd_or_skip

from headwater.acquire.ssh_source import SshSource
from headwater.case.authority import Claim
from headwater.model.errors import AcquireError, UsageError
from headwater.procedure.imaging import IMAGED, ImageOrder, image
from headwater.procedure.reaching import Reach
from headwater.vault.ledger import Ledger

MIB = 1 << 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "sshd", sshd_or_skip())
    made.make()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(random.Random(9).randbytes(48 * MIB))
    return path


def _order(server: Server, disk: Path, tmp_path: Path, **more: object) -> ImageOrder:
    said = {
        "claim": Claim(None, None, None, None, None, None, "a test"),
        "examiners": ("甲", "乙"),
        "plan": {"format": "raw", "read_again": False},
        "live": True,
        "reach": Reach(known_hosts=server.known_hosts, key_file=server.key, attempts=2),
        "remote": {"server_location": "本机", "remote_method": "SSH", "screen_recording": "无，测试"},
    } | more
    return ImageOrder(server.url(disk), tmp_path / "case", tmp_path / "web01", **said)  # type: ignore[arg-type]


def _notes(case: Path) -> list[dict[str, object]]:
    with Ledger(case) as ledger:
        return [dict(s.entry.note) for s in ledger.entries() if s.entry.action == IMAGED]


def _halfway(patch: pytest.MonkeyPatch, act: Callable[[], object]) -> list[object]:
    """Let something happen once, before the reading goes past 8 MiB; words of progress may come when all is read."""
    did: list[object] = []
    plain = SshSource.read_into

    def read_into(self: SshSource, offset: int, buffer: memoryview) -> int:
        if offset >= 8 * MIB and not did:
            did.append(act())
        return plain(self, offset, buffer)

    patch.setattr(SshSource, "read_into", read_into)
    return did


def test_line_cut_during_imaging_leaves_the_same_image_and_a_journal(
    server: Server, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts = _halfway(monkeypatch, server.cut)
    done = image(_order(server, disk, tmp_path)).imaged
    assert cuts
    assert cuts[0]
    assert done.digests["sha256"] == hashlib.sha256(disk.read_bytes()).hexdigest()
    way = _notes(tmp_path / "case")[0]["way"]
    said = [e["what"] for e in way["journal"]["entries"]]  # type: ignore[index]
    assert "connected" in said
    assert {"lost", "reconnected"} <= set(said)
    assert way["login_traces"]  # type: ignore[index]


def test_server_that_vanished_is_resumed_later(
    server: Server, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _halfway(monkeypatch, server.stop)
    with pytest.raises(AcquireError):
        image(_order(server, disk, tmp_path))
    server.start()
    done = image(_order(server, disk, tmp_path, resume=True)).imaged
    assert done.digests["sha256"] == hashlib.sha256(disk.read_bytes()).hexdigest()


def test_partition_number_over_ssh_is_refused(server: Server, disk: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--partition 2"):
        image(_order(server, disk, tmp_path, partition=2))
