# SPDX-License-Identifier: Apache-2.0
"""The hands of the outside world: a person at an ssh terminal, a browser, and the record of what each did."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pexpect

SERVER = "10.20.0.15"
OUT = Path("/lab/out/actions.jsonl")
PROMPT = re.compile(r"[$#] (\x1b\[\?2004h)?$")
_lock = threading.Lock()


def now() -> str:
    """The guest's own clock, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def record(**fields: Any) -> None:
    """Append one action to the lab's own record, and make it durable before going on."""
    line = json.dumps({"t": now(), **fields}, ensure_ascii=False)
    with _lock, OUT.open("a", encoding="utf-8") as f:
        f.write(line + "\n")
        f.flush()
        os.fsync(f.fileno())


class Terminal:
    """One interactive ssh session from `source`, typed at the pace of a person; passwords are tried in order."""

    def __init__(
        self, source: str, user: str, passwords: list[str] | None = None, key: str = "", who: str = ""
    ) -> None:
        """Log in; raises RuntimeError if no shell came."""
        self.who, self.user, self.source = who or user, user, source
        self.started = now()
        words = ["ssh", "-tt", "-b", source, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        words += ["-o", "LogLevel=ERROR", "-o", "ConnectTimeout=60"]
        words += ["-i", f"/lab/keys/{key}"] if key else ["-o", "PubkeyAuthentication=no"]
        self.secret = passwords[-1] if passwords else ""
        env = {"TERM": "vt100", "PATH": os.environ["PATH"], "HOME": "/root"}
        self.child = pexpect.spawn(
            words[0], [*words[1:], f"{user}@{SERVER}"], env=env, encoding="utf-8", codec_errors="replace", timeout=180
        )
        self.child.setwinsize(40, 160)
        for password in [*(passwords or []), None]:
            got = self.child.expect([PROMPT, r"assword: ", pexpect.EOF])
            if got == 0:
                break
            if got == 2 or password is None:
                raise RuntimeError(f"no shell for {user}: {self.child.before}")
            time.sleep(2.5)
            self.child.sendline(password)
        else:
            raise RuntimeError(f"no shell for {user}")
        record(act="login", who=self.who, user=user, source=source, failed_first=max(0, len(passwords or []) - 1))

    def type(self, line: str, pause: float = 4.0, answers: list[str] | None = None) -> str:
        """Type one line, answer password prompts (default: the login password), return what was printed."""
        queue = list(answers or [])
        started = now()
        self.child.sendline(line)
        while True:
            got = self.child.expect([r"(?i)password[^\n]*: ", r"\(yes/no[^\n]*\? ", PROMPT, pexpect.EOF], timeout=900)
            if got == 0:
                time.sleep(2)
                self.child.sendline(queue.pop(0) if queue else self.secret)
            elif got == 1:
                time.sleep(1)
                self.child.sendline("yes")
            else:
                break
        record(act="type", who=self.who, user=self.user, source=self.source, line=line, began=started)
        time.sleep(pause)
        return str(self.child.before)

    def leave(self, levels: int = 1) -> None:
        """Exit as many nested shells as asked; the last ends the session."""
        for _ in range(levels - 1):
            self.type("exit", 1.0)
        self.child.sendline("exit")
        self.child.expect(pexpect.EOF, timeout=120)
        self.child.close()
        record(act="logout", who=self.who, user=self.user, source=self.source, began=self.started)


def guess(source: str, user: str, passwords: list[str]) -> int:
    """Try wrong passwords over one ssh connection; returns how many the server refused."""
    words = ["-b", source, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    words += [
        "-o",
        "LogLevel=ERROR",
        "-o",
        "PubkeyAuthentication=no",
        "-o",
        f"NumberOfPasswordPrompts={len(passwords)}",
    ]
    words.append(f"{user}@{SERVER}")
    child = pexpect.spawn("ssh", words, encoding="utf-8", codec_errors="replace", timeout=180)
    sent = 0
    for password in passwords:
        if child.expect([r"assword: ", pexpect.EOF, pexpect.TIMEOUT]) != 0:
            break
        child.sendline(password)
        sent += 1
    child.expect([pexpect.EOF, r"assword: ", PROMPT])
    child.close()
    record(act="guess", source=source, user=user, refused=sent)
    return sent


def fetch(source: str, path: str, agent: str, method: str = "GET", body: str | None = None, referer: str = "") -> int:
    """Make one HTTP request to the server from a given address; returns the status."""
    link = http.client.HTTPConnection(SERVER, 80, timeout=120, source_address=(source, 0))
    headers = {"User-Agent": agent, "Accept": "*/*"}
    if referer:
        headers["Referer"] = referer
    if body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    link.request(method, path, body, headers)
    answer = link.getresponse()
    answer.read()
    link.close()
    return answer.status


def probe(source: str, data: bytes) -> None:
    """Send raw bytes to port 80, as scanners that expect TLS do."""
    with socket.create_connection((SERVER, 80), 60, (source, 0)) as s:
        s.sendall(data)
        s.settimeout(30)
        s.recv(512)
