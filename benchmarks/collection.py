# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E402
"""What does a live collection over SSH cost beside ``ssh tar c | sha256sum`` and beside tar with a sha256sum per file?

    python benchmarks/collection.py [--files 20000] [--mib 400] [--rounds 3] [--only headwater|tar|uac|sh]

A tree of small files and some large ones, a real sshd on loopback with keys of its own, the system's ssh as the peer's client.
In turn and in the same run: the tree as a tar through ssh into sha256sum; the same beside a ``find -exec sha256sum`` on the
server, as shell collectors do; and headwater's collector with SHA-256 and MD5 per file, its stream digested and written. CPU
seconds are those of all processes of this user that the round started (client, server, tools), by the accounting of waited
children and, for sshd, by /proc.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "acquire"))

from loopback_sshd import Server, sshd_or_skip

from headwater.acquire import collector
from headwater.acquire.collect_receiving import Limits, greeting, line_of, receive
from headwater.acquire.ssh_login import Access
from headwater.acquire.ssh_session import Session, target_of
from headwater.formats.collection import CollectionTree
from headwater.formats.opened import open_readonly
from headwater.formats.sources import FileSource


def make(folder: Path, files: int, mib: int) -> int:
    """The tree: most bytes in files of some kilobytes, a tenth of them in files of 8 MiB. Returns bytes."""
    rng = random.Random(4)
    total, large = 0, max(1, mib // 80)
    small = max(1, (mib - 8 * large) << 20) // files
    for number in range(files):
        place = folder / f"d{number % 211:03d}" / f"e{number % 7}"
        place.mkdir(parents=True, exist_ok=True)
        size = int(small * rng.choice((0.1, 0.5, 1, 1, 2.4)))
        (place / f"file-{number:06d}.log").write_bytes(rng.randbytes(size))
        total += size
    for number in range(large):
        (folder / f"large-{number}").write_bytes(rng.randbytes(8 << 20))
        total += 8 << 20
    return total


def cpu() -> float:
    """CPU seconds of this process and of its waited children."""
    used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def served(server: Server) -> float:
    """CPU seconds of the sshd and of everything that it has waited for."""
    assert server.process is not None
    ticks = os.sysconf("SC_CLK_TCK")
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(fields[i]) for i in (11, 12, 13, 14)) / ticks


def by_ssh(server: Server, command: str) -> None:
    """The system's own client, as a person would use it."""
    base = (
        f"ssh -q -p {server.port} -i {server.key} -o UserKnownHostsFile={server.known_hosts} -o BatchMode=yes 127.0.0.1"
    )
    subprocess.run(["sh", "-c", f"{base} {command!r} | sha256sum >/dev/null"], check=True)


def by_headwater(server: Server, tree: Path, out: Path, *, shell: bool = False) -> dict[str, str]:
    """The collector's stream, digested and written; its own account of itself."""
    session = Session(target_of(server.url("/.")), Access(server.known_hosts, None, server.key))
    session.connect()
    artifact = {"name": "tree", "collect": [{"files": [f"{tree}/**"]}]}
    marker = secrets.token_hex(16)
    line = line_of(session, shell_only=shell)
    form = greeting(line)
    if form == "python":
        order = collector.order_of(marker, [artifact], tool="benchmark", facts={})
        line.say(collector.said(collector.script()) + collector.said(order))
    else:
        from headwater.acquire import collector_shell

        line.say(collector_shell.program(marker, [artifact], tool="benchmark", facts={}))
    came = receive(line, out, form, Limits(1 << 40), lambda done: None)
    session.close()
    assert not came.ended, came.ended
    return came.digests


def measured(name: str, server: Server, total: int, work: Callable[[], object]) -> float:
    """One round, printed; the seconds."""
    before, there, began = cpu(), served(server), time.monotonic()
    work()
    seconds = time.monotonic() - began
    time.sleep(0.3)  # sshd waits for its child a moment later
    spent = cpu() - before + served(server) - there
    print(f"{name:<34} {seconds:7.2f} s  {total / seconds / 1e6:7.1f} MB/s  {spent:7.2f} CPU s", flush=True)
    return seconds


def check(out: Path, tree: Path) -> None:
    """The collected files against the tree's own, and what the collector took of the server's memory."""
    file = open_readonly(out)
    held = CollectionTree(FileSource(file))
    found = {os.fsdecode(m.path): m.said.get("sha256") for m in held.members() if m.kind == "file"}
    wrong = sum(
        found.get(str(p)) != hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(tree.rglob("*")) if p.is_file()
    )
    end = held.ended()
    file.close()
    print(f"files {len(found)}, unlike {wrong}; server memory {int(end.get('rss_kib', 0)) / 1024:.1f} MiB,"
          f" collector {int(end.get('cpu_ms', 0)) / 1000:.2f} CPU s", flush=True)  # fmt: skip


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--mib", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="collection-"))
    server = Server(place / "sshd", sshd_or_skip())
    server.make()
    server.start()
    try:
        tree = place / "tree"
        tree.mkdir()
        total = make(tree, options.files, options.mib)
        print(f"{options.files} files, {total / 1e6:.0f} MB", flush=True)
        ratios = []
        digests = "; ".join(f"find {tree} -type f -exec {tool} {{}} +" for tool in ("sha256sum", "md5sum"))
        for number in range(options.rounds):
            out = place / f"{number}.hwcol"
            seconds = {}
            for name, work in (
                ("tar", lambda: by_ssh(server, f"tar c -C {tree} .")),
                ("uac", lambda: by_ssh(server, f"tar c -C {tree} .; {digests}")),
                ("headwater", lambda out=out: by_headwater(server, tree, out)),
            ):  # fmt: skip
                if options.only in ("", name):
                    seconds[name] = measured(name, server, total, work)
            if out.exists():
                check(out, tree)
                out.unlink()
            if {"tar", "uac", "headwater"} <= set(seconds):
                ratios.append((seconds["tar"] / seconds["headwater"], seconds["uac"] / seconds["headwater"]))
                print(f"  rate against tar {ratios[-1][0]:.2f}, against tar and digests per file {ratios[-1][1]:.2f}")
        if options.only == "sh":
            measured(
                "collector in sh", server, total, lambda: by_headwater(server, tree, place / "sh.hwcol", shell=True)
            )
    finally:
        server.stop()
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
