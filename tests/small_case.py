# SPDX-License-Identifier: Apache-2.0
"""The small case of many tests: a folder of two logs with one guessed password, lines of our own making."""

from __future__ import annotations

import os
from pathlib import Path

from headwater.case.authority import Claim
from headwater.procedure.investigate import Order

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
