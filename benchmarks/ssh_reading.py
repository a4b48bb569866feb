# SPDX-License-Identifier: Apache-2.0
"""How fast is a server's disk read over SSH, beside OpenSSH's own client with dd, over the same sshd on loopback?

Usage: PYTHONPATH=tests/acquire python benchmarks/ssh_reading.py [--mebibytes 512] [--rounds 3]
CPU seconds are those of the reading side alone: this process for us, the ssh child for the peer; sshd is the same for both.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from loopback_sshd import Server, sshd_or_skip

from headwater.acquire.ssh_login import Access
from headwater.acquire.ssh_source import SshSource

BLOCK = 1 << 20


def ours(server: Server, path: Path) -> tuple[float, float, str]:
    """Wall and CPU seconds of reading to the end, and the digest (outside the clock's reach it would cost the same)."""
    source = SshSource(server.url(path), Access(known_hosts=server.known_hosts, key_file=server.key))
    buffer, offset, digest = memoryview(bytearray(BLOCK)), 0, hashlib.sha256()
    wall, cpu = time.perf_counter(), time.process_time()
    while offset < source.size:
        count = source.read_into(offset, buffer)
        digest.update(buffer[:count])
        offset += count
    spent = time.perf_counter() - wall, time.process_time() - cpu
    source.close()
    return *spent, digest.hexdigest()


def peer(server: Server, path: Path) -> tuple[float, float, str]:
    """The same with OpenSSH's client, its output read and digested here."""
    command = [
        "ssh", "-F", "none", "-o", f"UserKnownHostsFile={server.known_hosts}", "-i", str(server.key), "-p", str(server.port),
        "-c", "aes128-gcm@openssh.com", f"{server.user}@127.0.0.1", f"dd if={path} bs=1M 2>/dev/null",
    ]  # fmt: skip
    buffer, digest = memoryview(bytearray(BLOCK)), hashlib.sha256()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall, cpu = time.perf_counter(), time.process_time()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        while count := child.stdout.readinto(buffer):
            digest.update(buffer[:count])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, digest.hexdigest()


def main() -> None:
    """In turn, so that both meet the same load."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mebibytes", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        server = Server(Path(name) / "sshd", sshd_or_skip())
        server.make()
        server.start()
        path = Path(name) / "disk.img"
        block = os.urandom(BLOCK)
        path.write_bytes(b"".join(block for _ in range(options.mebibytes)))
        rows: dict[str, list[tuple[float, float]]] = {"headwater": [], "ssh": []}
        try:
            for _ in range(options.rounds):
                for who, act in (("headwater", ours), ("ssh", peer)):
                    wall, cpu, digest = act(server, path)
                    rows[who].append((wall, cpu))
                    print(
                        f"{who:<10} {wall:7.2f} s  {cpu:6.2f} CPU s  {options.mebibytes / cpu:7.0f} MiB/CPU s  {digest[:16]}"
                    )
        finally:
            server.stop()
        wall = statistics.median(w for w, _ in rows["headwater"]) / statistics.median(w for w, _ in rows["ssh"])
        cpu = statistics.median(c for _, c in rows["headwater"]) / statistics.median(c for _, c in rows["ssh"])
        print(f"headwater / ssh: wall {wall:.2f}, CPU of the reading side {cpu:.2f}")


if __name__ == "__main__":
    main()
