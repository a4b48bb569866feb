# SPDX-License-Identifier: Apache-2.0
"""A real OpenSSH server on loopback with keys and configuration of its own, for tests; needs no account but ours."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest


def sshd_or_skip() -> str:
    """Where sshd is, or a skip that names what is absent."""
    path = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None or shutil.which("ssh-keygen") is None:
        pytest.skip("sshd (openssh-server) is absent")
    return path


@dataclass
class Server:
    """One sshd. ``key``: the client's private key; ``known_hosts`` names the server's key."""

    folder: Path
    sshd: str
    port: int = 0
    extra: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    @property
    def key(self) -> Path:
        return self.folder / "client"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def user(self) -> str:
        return getpass.getuser()

    @property
    def fingerprint(self) -> str:
        """SHA256:… of the server's key, as ssh-keygen tells it."""
        told = subprocess.run(
            ["ssh-keygen", "-lf", str(self.folder / "host.pub")], capture_output=True, text=True, check=True
        )
        return told.stdout.split()[1]

    def url(self, path: str | Path) -> str:
        from urllib.parse import quote_from_bytes

        return f"ssh://{self.user}@127.0.0.1:{self.port}{quote_from_bytes(os.fsencode(path))}"

    def make(self) -> None:
        """Keys and configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        for name in ("host", "client", "other"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)], check=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        kind, key, _ = (self.folder / "host.pub").read_text().split(" ", 2)
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")
        (self.folder / "authorized_keys").write_text((self.folder / "client.pub").read_text())
        lines = [
            f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {self.folder}/host",
            f"AuthorizedKeysFile {self.folder}/authorized_keys", f"PidFile {self.folder}/pid", "UsePAM no",
            "StrictModes no", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin yes",
            "PrintMotd no", "LogLevel ERROR", *self.extra,
        ]  # fmt: skip
        (self.folder / "config").write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        """Start it and wait until it listens."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd's own folder for privilege separation
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [self.sshd, "-D", "-e", "-f", str(self.folder / "config")], stdout=log, stderr=log, start_new_session=True
        )
        log.close()
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None:
                pytest.skip(f"sshd does not run here: {(self.folder / 'log').read_text()[-300:]}")
            time.sleep(0.05)
        raise AssertionError("sshd does not listen")

    def sessions(self) -> list[int]:
        """The processes that serve connections: children of the listening one."""
        assert self.process is not None
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def cut(self) -> int:
        """Kill every connection, as a cable would; the listening server stays. Returns how many."""
        pids = self.sessions()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        return len(pids)

    def stop(self) -> None:
        """End the server and its connections."""
        if self.process is not None:
            for pid in self.sessions() if self.process.poll() is None else []:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.kill()
            self.process.wait()
            self.process = None
