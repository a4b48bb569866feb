# SPDX-License-Identifier: Apache-2.0
"""A server in a network namespace of its own, this machine and a stranger beside it, for tests of isolation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "acquire"))

from loopback_sshd import Server, sshd_or_skip

_TAG = f"{os.getpid() % 100_000}"
HERE, THERE, OUTSIDE, STRANGER = "10.231.77.1", "10.231.77.2", "10.232.77.1", "10.232.77.2"
CONNECT = "import socket, sys; s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 1); s.recv(1)"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class NetnsServer(Server):
    """sshd inside the server's namespace."""

    namespace = ""

    def url_of_server(self) -> str:
        return f"ssh://{self.user}@{THERE}:{self.port}"

    def settle(self) -> None:
        """Listen on the namespace's address instead of loopback."""
        config = self.folder / "config"
        config.write_text(config.read_text().replace("ListenAddress 127.0.0.1", "ListenAddress 0.0.0.0"))
        self.known_hosts.write_text(self.known_hosts.read_text().replace("[127.0.0.1]", f"[{THERE}]"))

    def start(self) -> None:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, self.sshd, "-D", "-e", "-f", str(self.folder / "config")],
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        log.close()
        for _ in range(100):
            if reaches(None, THERE, self.port):
                return
            time.sleep(0.05)
        pytest.skip(f"sshd does not run in a namespace: {(self.folder / 'log').read_text()[-300:]}")


@dataclass
class Net:
    """The server's namespace and the stranger's, by name, and the server."""

    server_ns: str
    stranger_ns: str
    server: NetnsServer

    def inside(self, *words: str) -> str:
        """A command's output, run on the server."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.server_ns, *words], capture_output=True, text=True, check=False
        )
        return done.stdout

    def stranger_reaches(self, port: int) -> bool:
        return reaches(self.stranger_ns, OUTSIDE, port)

    def server_reaches_stranger(self, port: int) -> bool:
        return reaches(self.server_ns, STRANGER, port)


def reaches(namespace: str | None, address: str, port: int) -> bool:
    """Whether a TCP service there says something within a second."""
    words = ["ip", "netns", "exec", namespace] if namespace else []
    done = subprocess.run(
        [*words, sys.executable, "-IS", "-c", CONNECT, address, str(port)], capture_output=True, check=False
    )
    return done.returncode == 0


@contextmanager
def net(folder: Path) -> Iterator[Net]:
    """Made, and taken away again."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if shutil.which("ip") is None:
        pytest.skip("ip (iproute2) is absent")
    sshd = sshd_or_skip()
    server_ns, stranger_ns = f"hw-server-{_TAG}", f"hw-stranger-{_TAG}"
    a, b, c, d = (f"hw{end}{_TAG}" for end in "abcd")
    made = subprocess.run(["ip", "netns", "add", server_ns], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
    server = NetnsServer(folder, sshd)
    server.namespace = server_ns
    try:
        _ip("netns", "add", stranger_ns)
        _ip("link", "add", a, "type", "veth", "peer", "name", b, "netns", server_ns)
        _ip("link", "add", c, "netns", stranger_ns, "type", "veth", "peer", "name", d, "netns", server_ns)
        _ip("addr", "add", f"{HERE}/30", "dev", a)
        _ip("link", "set", a, "up")
        for word in ("lo", b, d):
            _ip("-n", server_ns, "link", "set", word, "up")
        _ip("-n", server_ns, "addr", "add", f"{THERE}/30", "dev", b)
        _ip("-n", server_ns, "addr", "add", f"{OUTSIDE}/30", "dev", d)
        _ip("-n", server_ns, "route", "add", "default", "via", HERE)
        _ip("-n", stranger_ns, "addr", "add", f"{STRANGER}/30", "dev", c)
        for word in ("lo", c):
            _ip("-n", stranger_ns, "link", "set", word, "up")
        server.make()
        server.settle()
        server.start()
        yield Net(server_ns, stranger_ns, server)
    finally:
        server.stop()
        for name in (server_ns, stranger_ns):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", a], capture_output=True, check=False)
