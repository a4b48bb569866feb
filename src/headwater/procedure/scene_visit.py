# SPDX-License-Identifier: Apache-2.0
"""A visit to a running server, over SSH or on this machine: a shell that reads scripts from its standard input.

What is learnt on arrival stands in the record of whatever is done there: who the server says it is, as whom we came, from
which address, by which clock, and which traces the login itself leaves. Those are authorised acts, not the intruder's.
"""

from __future__ import annotations

import getpass
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from headwater.acquire.clock_reference import ClockReading, from_round_trip, plain
from headwater.acquire.memory_reading import Flow
from headwater.acquire.ssh_login import LOGIN_TRACES, SUDO_TRACES, Access
from headwater.acquire.ssh_session import Finished, Session, target_of
from headwater.acquire.ssh_stream import ConnectionLost
from headwater.acquire.system_files import NotRecorded, inert_text
from headwater.model.errors import AcquireError, UsageError
from headwater.procedure.reaching import Reach
from headwater.procedure.scene import with_path
from headwater.procedure.scene_ran import Noting, Shell

__all__ = ["LOCAL", "Flow", "LocalShell", "Shell", "Visit", "visited"]

LOCAL = "local:"
_TOOLS = "nft iptables ip6tables iptables-save iptables-restore tcpdump python3 dd ss ps setsid ping bash"
_PYTHONS = ("python3", "/usr/libexec/platform-python")
_ANSWER_MOST = 32 << 20
_CLOCK_ASKED = 4


class LocalFlow:
    """The output of a script on this machine."""

    def __init__(self, script: bytes) -> None:
        self._process = subprocess.Popen(
            ["sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._errors = bytearray()
        self._teller = threading.Thread(target=self._listen, daemon=True)
        self._teller.start()
        self._process.stdin.write(script)
        self._process.stdin.close()
        os.set_blocking(self._process.stdout.fileno(), False)
        self.status: int | None = None

    def _listen(self) -> None:
        assert self._process.stderr
        while part := self._process.stderr.read(512):
            self._errors += part
            del self._errors[:-512]

    @property
    def errors(self) -> str:
        """The end of what the script printed on its error output, inert."""
        return inert_text(bytes(self._errors))

    def read_into(self, buffer: memoryview, seconds: float) -> int:
        """At least one byte; 0 at the end.

        Raises:
            ConnectionLost: nothing came for ``seconds``.
        """
        import select

        assert self._process.stdout
        ready, _, _ = select.select([self._process.stdout], [], [], seconds)
        if not ready:
            raise ConnectionLost(f"nothing came for {seconds:g} s")
        got = os.readv(self._process.stdout.fileno(), [buffer])
        if not got:
            self.status = self._process.wait()
            self._teller.join(5)
        return got

    def cancel(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


class LocalShell:
    """Scripts on this machine."""

    def run(self, script: bytes, seconds: float | None = None) -> Finished:
        """Run a script to its end; see :meth:`Session.run`."""
        before = time.time_ns()
        flow = LocalFlow(script)
        found, piece = bytearray(), memoryview(bytearray(256 << 10))
        try:
            while count := flow.read_into(piece, seconds or 300.0):
                found += piece[:count]
                if len(found) > _ANSWER_MOST:
                    raise ConnectionLost("it answers without end")
        finally:
            flow.cancel()
        return Finished(flow.status or 0, bytes(found), flow.errors, before, time.time_ns())

    def stream(self, script: bytes) -> LocalFlow:
        """Start a script."""
        return LocalFlow(script)


@dataclass(frozen=True, slots=True)
class Visit:
    """``name``: the address without path and password; ``said``: what the server said of itself on arrival; ``facts``: flat
    text for the record; ``clock``: its clock against ours, as JSON.
    """

    name: str
    host: str
    shell: Shell
    said: Mapping[str, str]
    facts: Mapping[str, str]
    clock: Any
    traces: tuple[dict[str, str], ...] = ()
    session: Session | None = None

    @property
    def root(self) -> bool:
        """Whether we are root there."""
        return self.said.get("uid") == "0"

    @property
    def python(self) -> str:
        """An interpreter of Python 3.6 or newer there; '' where none is found."""
        told = self.said.get("python", "")
        return told if told in _PYTHONS else ""

    def has(self, tool: str) -> bool:
        """Whether a tool is there."""
        return bool(self.said.get(f"tool_{tool.replace('-', '_')}"))

    def targets(self) -> list[tuple[str, str]]:
        """What the server says of itself, to be held against the mandate."""
        found = [("address", self.host)] if self.session is not None else []
        return found + [
            (k, self.said[n]) for k, n in (("host", "hostname"), ("machine-id", "machine_id")) if self.said.get(n)
        ]

    def plain(self) -> dict[str, Any]:
        """For the ledger: who answered, by which clock, and the traces of our own login there."""
        return {
            "server": self.name,
            "said": dict(self.said),
            "connection": dict(self.facts),
            "clock": self.clock,
            "authorised_traces": list(self.traces),
            **({"ran": self.shell.told()} if isinstance(self.shell, Noting) else {}),
        }


# /etc is read by nobody here but the login itself: an access time of the evidence stays what it was
_ARRIVAL = rb"""LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin
g() { v=; { IFS= read -r v < "$2"; } 2>/dev/null; printf '%s=%s\n' "$1" "$v"; }
# sudo keeps the connection's variable from what it runs, and has it in its own environment
[ -n "$SSH_CONNECTION" ] ||
  SSH_CONNECTION=$(tr '\0' '\n' < /proc/$PPID/environ 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p')
printf 'uid=%s\nssh=%s\npid=%s\n' "$(id -u)" "$SSH_CONNECTION" "$$"
printf 'system=%s\n' "$(uname -srm)"
g hostname /proc/sys/kernel/hostname; g boot_id /proc/sys/kernel/random/boot_id; g uptime /proc/uptime
for t in @TOOLS@; do printf 'tool_%s=%s\n' "$t" "$(command -v "$t" 2>/dev/null)"; done
for p in python3 /usr/libexec/platform-python; do
  if "$p" -BIS -c 'import sys; sys.exit(sys.version_info < (3, 6))' >/dev/null 2>&1; then printf 'python=%s\n' "$p"; break; fi
done
for f in @TRACES@; do [ -e "$f" ] && printf 'trace=%s\n' "$f"; done
printf 'end=yes\n'
"""


def _arrival() -> bytes:
    traces = " ".join(dict.fromkeys(path for path, _ in (*LOGIN_TRACES, *SUDO_TRACES)))
    return _ARRIVAL.replace(b"@TOOLS@", _TOOLS.encode()).replace(b"@TRACES@", traces.encode())


@contextmanager
def visited(address: str, reach: Reach, *, clock: bool = True) -> Iterator[Visit]:
    """Come to a server, and leave it at the end; ``local:`` is this machine. ``clock``: whether its clock is measured.

    Raises:
        UsageError: HW2063, HW0001 a way to a server that leads to this machine.
        AcquireError: HW2064 to HW2066 no login, HW2190 its shell does not answer.
    """
    if address in {LOCAL, "local"}:
        if reach.jump or reach.sudo:
            raise UsageError("HW0001", what=f"{address}: --jump, --sudo: ssh://")
        yield _visit(LOCAL, "localhost", LocalShell(), None)
        return
    target = target_of(with_path(address))
    host = f"[{target.host}]" if ":" in target.host else target.host
    access = Access(reach.known_hosts, reach.host_key, reach.key_file, reach.ask, jump=reach.jump, sudo=reach.sudo)
    session = Session(target, access)
    try:
        session.connect()
        yield _visit(f"ssh://{target.user}@{host}:{target.port}", target.host, session, session, clock)
    except ConnectionLost as error:
        raise AcquireError("HW2064", target.host, what=error) from error
    finally:
        session.close()


def _visit(name: str, host: str, plainly: Shell, session: Session | None, clock: bool = False) -> Visit:
    shell = Noting(plainly)
    done = shell.run(_arrival(), 60)
    said: dict[str, str] = {}
    traces: list[str] = []
    for line in done.output[: 64 << 10].split(b"\n"):
        key, equals, value = line.partition(b"=")
        word = inert_text(key)
        if equals and word == "trace":
            traces.append(os.fsdecode(value))
        elif equals and re.fullmatch(r"[a-z_0-9-]{1,40}", word) and value.strip():
            said.setdefault(word.replace("-", "_"), inert_text(value.strip()))
    if said.pop("end", "") != "yes":
        raise AcquireError("HW2190", name, what=done.errors or "no POSIX sh")
    if session is None:
        return Visit(name, host, shell, said, {"user": getpass.getuser()}, {"not_recorded": "the same machine"})
    read = plain(_clock(session, host) if clock else NotRecorded("not measured again"))
    left = (*LOGIN_TRACES, *(SUDO_TRACES if session.by_sudo else ()))
    listed = tuple({"path": p, "zh": t.zh, "en": t.en} for p, t in left if p in traces)
    return Visit(name, host, shell, said, session.facts(), read, listed, session)


def _clock(session: Session, host: str) -> ClockReading | NotRecorded:
    """The server's clock against ours: of several askings the one with the shortest round trip."""
    best: ClockReading | NotRecorded = NotRecorded("nothing was asked")
    for done in session.rounds(b"date +%s.%N 2>/dev/null || echo", _CLOCK_ASKED):
        found = from_round_trip(done.output, host, done.before, done.after)
        if isinstance(best, NotRecorded) or (
            isinstance(found, ClockReading) and found.uncertainty_ns < best.uncertainty_ns
        ):
            best = found
    return best
