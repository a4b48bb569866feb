# SPDX-License-Identifier: Apache-2.0
"""A small case, worked through once per session: a folder of logs with one guessed password, lines of our own making."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from headwater.case.authority import Claim
from headwater.procedure.investigate import Order, Outcome, investigate

SHARED = Path(__file__).parents[2] / "shared" / "data"
MTIME = 1_772_500_000  # 2026-03-03


def auth_lines() -> bytes:
    """Forty failures from one address, then a login; ordinary life around it. SOURCE: written here, sshd's wording."""
    lines = [
        f"Mar  2 03:{at // 6:02d}:{at % 6 * 10:02d} web01 sshd[{900 + at}]: Failed password for "
        f"{'invalid user ' if at % 3 else ''}{('root', 'admin', 'test')[at % 3]} from 203.0.113.66 port {40000 + at} ssh2"
        for at in range(40)
    ]
    lines.append("Mar  2 03:12:31 web01 sshd[990]: Accepted password for root from 203.0.113.66 port 41000 ssh2")
    lines.append(
        "Mar  2 03:12:31 web01 sshd[990]: pam_unix(sshd:session): session opened for user root(uid=0) by (uid=0)"
    )
    lines.append(
        "Mar  2 09:00:01 web01 CRON[1201]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)"
    )
    lines.append("this line is no syslog at all")
    return ("\n".join(lines) + "\n").encode()


def make_evidence(folder: Path) -> Path:
    """A collected folder with two logs."""
    log = folder / "var" / "log"
    log.mkdir(parents=True)
    (log / "auth.log").write_bytes(auth_lines())
    (log / "auth.log.1").write_bytes(
        b"Feb 27 10:00:00 web01 sshd[1]: Accepted publickey for alice from 192.0.2.9 port 5000 ssh2: "
        b"ED25519 SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
    )
    for path in log.iterdir():
        os.utime(path, (MTIME, MTIME))
    return folder


def order(source: Path, case: Path, *, workers: int = 2) -> Order:
    """An order with a recorded reason for having no authority."""
    return Order(
        (source,), case, Claim(waiver="a test"), ("Zhang San", "Li Si"), {"zone": "Asia/Shanghai"}, workers=workers,
        command=("headwater", "investigate"),
    )  # fmt: skip


@pytest.fixture(scope="session")
def worked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Outcome]:
    """(evidence, case, outcome) of the small case; read it, do not change it."""
    base = tmp_path_factory.mktemp("worked")
    source = make_evidence(base / "evidence")
    outcome = investigate(order(source, base / "case"))
    return source, base / "case", outcome


@pytest.fixture
def copied(worked: tuple[Path, Path, Outcome], tmp_path: Path) -> Path:
    """A copy of the small case that a test may spoil; its evidence stays where it was registered."""
    shutil.copytree(worked[1], tmp_path / "case")
    return tmp_path / "case"


@pytest.fixture
def shared_data() -> Path:
    """The reference data, or a skip."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared/data here")
    return SHARED
