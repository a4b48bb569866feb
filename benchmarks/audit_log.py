# SPDX-License-Identifier: Apache-2.0
"""How many lines of an audit trail become Parquet events, joined to processes, per CPU second? Target 320,000 (issue 6).

Half of the records are commands run (SYSCALL, EXECVE, CWD, PATH, PROCTITLE), the rest PAM and services.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from inputs import SEED
from side_by_side import Question, ask

_PROGRAMS = (("ls", "/usr/bin/ls"), ("bash", "/usr/bin/bash"), ("curl", "/usr/bin/curl"), ("cron", "/usr/sbin/cron"))
_SAME = "auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=3"
_FILE = "dev=08:01 mode=0100755 ouid=0 ogid=0 rdev=00:00 nametype=NORMAL cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0"
_UNSET = "uid=0 auid=4294967295 ses=4294967295"


def _records(pick: random.Random, stamp: str) -> Iterator[str]:
    """The lines of one happening."""
    pid, (comm, exe) = pick.randrange(300, 65_000), pick.choice(_PROGRAMS)
    which = pick.random()
    if which < 0.5:
        argument = pick.choice(("-la", "/etc/passwd", "http://198.51.100.7/x", "-c"))
        yield (
            f"type=SYSCALL {stamp} arch=c000003e syscall=59 success=yes exit=0 a0=55d0c8b2f1a0 a1=55d0c8b2f1e0 "
            f'a2=55d0c8b30000 a3=8 items=2 ppid={pid - 1} pid={pid} {_SAME} comm="{comm}" exe="{exe}" '
            'subj=unconfined key="exec"'
        )
        yield f'type=EXECVE {stamp} argc=2 a0="{comm}" a1="{argument}"'
        yield f'type=CWD {stamp} cwd="/root"'
        yield f'type=PATH {stamp} item=0 name="{exe}" inode={pick.randrange(1_000_000)} {_FILE}'
        yield f"type=PROCTITLE {stamp} proctitle={comm.encode().hex().upper()}00{argument.encode().hex().upper()}"
    elif which < 0.8:
        kind = pick.choice(("USER_AUTH", "USER_ACCT", "CRED_ACQ", "USER_START", "USER_END"))
        address = f"198.51.100.{pick.randrange(255)}"
        yield (
            f"type={kind} {stamp} pid={pid} {_UNSET} msg='op=PAM:authentication grantors=pam_unix "
            f'acct="user{pick.randrange(50)}" exe="/usr/sbin/sshd" hostname={address} addr={address} terminal=ssh '
            f"res={pick.choice(('success', 'failed'))}'"
        )
    else:
        yield (
            f'type=SERVICE_START {stamp} pid=1 {_UNSET} msg=\'unit=u{pick.randrange(40)} comm="systemd" '
            'exe="/usr/lib/systemd/systemd" hostname=? addr=? terminal=? res=success\''
        )


def audit_log(path: Path, lines: int) -> Path:
    """An audit.log of so many lines from 1 January 2026 on."""
    pick = random.Random(SEED)
    now, serial, count = 1_767_225_600_000, 1_000, 0
    with open(path, "w", encoding="ascii", newline="\n") as out:
        while count < lines:
            now += pick.randrange(2_000)
            serial += 1
            for line in _records(pick, f"msg=audit({now // 1000}.{now % 1000:03d}:{serial}):"):
                if count < lines:
                    out.write(line + "\n")
                count += 1
    return path


if __name__ == "__main__":
    ask(
        Question(
            name="audit.log",
            path="/var/log/audit/audit.log",
            make=audit_log,
            count=2_500_000,
            unit="lines",
            target=320_000,
            plaso="text/selinux",
            dissect="audit",
            regex=r"^type=(\S+) msg=audit\((\d+)\.(\d+):(\d+)\): (.*)$",
        )
    )
