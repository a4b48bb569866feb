# SPDX-License-Identifier: Apache-2.0
"""What do memory and packets cost that come over SSH, beside OpenSSH's client with dd, and beside tcpdump?

Usage: PYTHONPATH=tests/acquire python benchmarks/scene.py [--mebibytes 256] [--rounds 3]   (root; loopback only)
Memory: a synthetic core file over sshd on loopback; three digests and the read-back are ours alone, ssh does SHA-256.
Packets: a sender floods the loopback interface for some seconds; how many came, how many the kernel dropped. The sender
takes what CPU it gets, so the two lines of a round are to be held against each other, not against other machines.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from loopback_sshd import Server, sshd_or_skip
from synthetic_kcore import MIB, Kcore, make

from headwater.case.authority import Claim
from headwater.procedure.capturing import CaptureOrder, capture
from headwater.procedure.memory import MemoryOrder, take
from headwater.procedure.reaching import Reach
from headwater.procedure.scene_errand import Errand


def errand(address: str, case: Path, server: Server | None = None) -> Errand:
    """An errand that nothing stands against."""
    remote = {"server_location": "here", "remote_method": "ssh", "screen_recording": "none: a benchmark"}
    reach = Reach(known_hosts=server.known_hosts, key_file=server.key) if server else Reach()
    claim = Claim(None, None, None, None, None, None, "a benchmark")
    return Errand(address, case, claim, ("甲",), "a benchmark", None, remote, reach=reach)


def memory_ours(server: Server, kcore: Kcore, folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds of this process, the whole procedure with its case."""
    address = f"ssh://{server.user}@127.0.0.1:{server.port}"
    wall, cpu = time.perf_counter(), time.process_time()
    done = take(MemoryOrder(errand(address, folder / "case", server), folder / "mem", kcore.places))
    assert done.whole
    return time.perf_counter() - wall, time.process_time() - cpu


def memory_peer(server: Server, kcore: Kcore, folder: Path) -> tuple[float, float]:
    """The same bytes by OpenSSH's client into a file, digested once."""
    start, data = kcore.ram[1]
    command = ["ssh", "-F", "none", "-o", f"UserKnownHostsFile={server.known_hosts}", "-i", str(server.key),
               "-p", str(server.port), "-c", "aes128-gcm@openssh.com", f"{server.user}@127.0.0.1",
               f"dd if={kcore.path} bs=1M iflag=skip_bytes,count_bytes skip={0x400000 + start} count={len(data)} 2>/dev/null"]  # fmt: skip
    buffer, digest = memoryview(bytearray(MIB)), hashlib.sha256()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall, cpu = time.perf_counter(), time.process_time()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child, open(folder / "peer", "wb") as out:
        assert child.stdout is not None
        while count := child.stdout.readinto(buffer):
            digest.update(buffer[:count])
            out.write(buffer[:count])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert digest.digest() == hashlib.sha256(data).digest()
    return time.perf_counter() - wall, time.process_time() - cpu + spent


class Flood:
    """Datagrams as fast as they go, in another process."""

    def __enter__(self) -> Flood:
        program = "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nd = bytes(200)\n" \
                  "while True:\n    s.sendto(d, ('127.0.0.1', 4799))\n"  # fmt: skip
        self.sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sink.bind(("127.0.0.1", 4799))
        self.child = subprocess.Popen(["python3", "-c", program])
        return self

    def __exit__(self, *_: object) -> None:
        self.child.kill()
        self.child.wait()
        self.sink.close()


def packets(folder: Path, tool: str, seconds: int) -> str:
    """Packets that came and that were dropped."""
    with Flood():
        if tool == "tcpdump":
            words = ["timeout", "-s", "INT", str(seconds), "tcpdump", "-n", "-p", "-i", "lo", "-w", str(folder / "t.pcap"),
                     "udp dst port 4799"]  # fmt: skip
            said = subprocess.run(words, capture_output=True, text=True, check=False).stderr
            return " ".join(line for line in said.splitlines() if "packets" in line)
        order = CaptureOrder(
            errand("local:", folder / "case"), folder / "net", "lo", seconds, 4 << 30, "udp dst port 4799"
        )
        done = capture(order)
        return f"{done.packets} packets captured {done.received} received by filter {done.dropped} dropped by kernel"


def main() -> None:
    """In turn, so that all meet the same load."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mebibytes", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        server = Server(Path(name) / "sshd", sshd_or_skip())
        server.make()
        server.start()
        kcore = make(Path(name) / "proc", big=options.mebibytes * MIB)
        try:
            for number in range(options.rounds):
                for who, act in (("headwater", memory_ours), ("ssh+sha256", memory_peer)):
                    folder = Path(name) / f"{number}-{who}"
                    folder.mkdir()
                    wall, cpu = act(server, kcore, folder)
                    shutil.rmtree(folder)
                    print(
                        f"memory {who:<11} {wall:6.2f} s wall {cpu:6.2f} s CPU {options.mebibytes / cpu:7.0f} MiB/CPU s"
                    )
                for tool in ("headwater", "tcpdump"):
                    folder = Path(name) / f"{number}-{tool}"
                    folder.mkdir(exist_ok=True)
                    print(f"packets {tool:<10} {packets(folder, tool, options.seconds)}")
                    shutil.rmtree(folder)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
