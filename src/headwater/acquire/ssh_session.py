# SPDX-License-Identifier: Apache-2.0
"""An SSH connection behind plain calls: a thread of its own runs the protocol, callers wait for bytes.

What holds for every connection made here:
1. The server's key is known before anything is said (see :mod:`headwater.acquire.ssh_login`).
2. One ``sh`` per command, under ``sudo -n`` where that is asked for; the script goes through its standard input, so no
   login shell ever parses a path and none appears in a process list. What a login shell prints on its own is cut off by
   a marker.
3. No terminal, no environment, no client configuration file, no forwarding but the way through a jump host, which sees
   only what is encrypted for the server: what is typed is what is done.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes, urlsplit

from headwater.acquire.ssh_login import CIPHERS, Access, Doorkeeper, client_of
from headwater.acquire.ssh_stream import ConnectionLost, Stream
from headwater.acquire.system_files import inert_text
from headwater.model.errors import AcquireError, UsageError

_T = TypeVar("_T")

_WINDOW = 8 << 20
_PACKET = 128 << 10
_ANSWER_MOST = 32 << 20
_ALIVE_SECONDS, _ALIVE_MISSED = 10, 3


@dataclass(frozen=True, slots=True)
class Target:
    """``ssh://USER@HOST[:PORT]/PATH``; ``path`` as the server has it, bytes that are no UTF-8 kept as surrogates."""

    user: str
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ssh://{self.user}@{host}:{self.port}{inert_text(self.path)}"


def target_of(url: str) -> Target:
    """The parts of an SSH address. What is no plain character in the path may be percent-encoded; ``%`` is ``%25``.

    Raises:
        UsageError: HW2063, it is none, holds a password, or names no path.
    """
    try:
        parts = urlsplit(url)
        port, host = parts.port or 22, parts.hostname or ""
    except ValueError as error:
        raise UsageError("HW2063", what=_without_password(url)) from error
    path = os.fsdecode(unquote_to_bytes(url.partition("://")[2].partition("/")[2].encode("utf-8", "surrogateescape")))
    user = os.fsdecode(unquote_to_bytes(parts.username or ""))
    fits = (
        parts.scheme == "ssh"
        and parts.password is None
        and re.fullmatch(r"[0-9A-Za-z._:%-]+", host)
        and not host.startswith("-")
        and re.fullmatch(r"[^\s\0-]\S*", user)
        and path
        and "\0" not in path
    )
    if not fits:
        raise UsageError("HW2063", what=_without_password(url))
    return Target(user, host, port, "/" + path)


def _without_password(url: str) -> str:
    return inert_text(re.sub(r"(//[^/@:]*):[^/@]*@", r"\1:…@", url))


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has ended. ``before`` and ``after``: our clock around it, ns since 1970."""

    status: int
    output: bytes
    errors: str
    before: int
    after: int


class Session:
    """One server. Open it with :meth:`connect`; safe to connect again after the line was lost."""

    def __init__(self, target: Target, access: Access) -> None:
        self.target = target
        self._access = access
        self._doorkeeper = Doorkeeper(access, f"{target.user}@{target.host}")
        self._jump = target_of(access.jump.rstrip("/") + "/.") if access.jump else None
        self._connection: Any = None
        self._tunnel: Any = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ssh", daemon=True)
        self._thread.start()

    def _wait(self, work: Coroutine[Any, Any, _T], seconds: float) -> _T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(seconds)
        except TimeoutError as error:
            future.cancel()
            raise ConnectionLost(f"no answer for {seconds:g} s") from error

    def connect(self) -> None:
        """Log in, at the jump host first where there is one.

        Raises:
            AcquireError: HW2064 no connection; HW2065 the server's key is not known; HW2066 the login was refused.
        """
        if self._jump is not None and (self._tunnel is None or self._tunnel.is_closed()):
            self._tunnel = None
            access = replace(self._access, host_key=None)
            self._tunnel = self._logged_in(
                self._jump, access, Doorkeeper(access, f"{self._jump.user}@{self._jump.host}")
            )
        self._doorkeeper.begin()
        self._connection = self._logged_in(self.target, self._access, self._doorkeeper)

    def _logged_in(self, target: Target, access: Access, doorkeeper: Doorkeeper) -> Any:
        import asyncssh

        where = f"{target.host}:{target.port}"
        try:
            return self._wait(self._connect(target, access, doorkeeper), access.connect_seconds + 600)
        except asyncssh.HostKeyNotVerifiable as error:
            seen = doorkeeper.fingerprint or inert_text(error.reason)
            raise AcquireError("HW2065", where, what=seen) from error
        except asyncssh.PermissionDenied as error:
            raise AcquireError("HW2066", where, user=inert_text(target.user)) from error
        except (asyncssh.Error, OSError, ValueError) as error:
            said = str(error) or type(error).__name__
            raise AcquireError("HW2064", where, what=inert_text(said)) from error

    async def _connect(self, target: Target, access: Access, doorkeeper: Doorkeeper) -> Any:
        import asyncssh

        keys: dict[str, Any] = {} if self._tunnel is None else {"tunnel": self._tunnel}
        if access.key_file is not None:
            keys |= {"client_keys": [str(access.key_file)], "agent_path": None}
        return await asyncssh.connect(
            target.host,
            target.port,
            username=target.user,
            config=None,
            client_factory=client_of(doorkeeper),
            known_hosts=doorkeeper.trusted(),
            passphrase=doorkeeper.passphrase if access.ask is not None else None,
            preferred_auth="publickey,keyboard-interactive,password",
            encryption_algs=list(CIPHERS),
            compression_algs=["none"],
            agent_forwarding=False,
            connect_timeout=access.connect_seconds,
            login_timeout=300,  # a person may have to type a password
            keepalive_interval=_ALIVE_SECONDS,
            keepalive_count_max=_ALIVE_MISSED,
            **keys,
        )

    @property
    def alive(self) -> bool:
        """Whether the connection stands, as far as is known."""
        return self._connection is not None and not self._connection.is_closed()

    def facts(self) -> dict[str, str]:
        """The connection as flat text, for the record."""
        ask = self._connection.get_extra_info
        key = self._connection.get_server_host_key()
        return {
            "ssh_server": inert_text(str(ask("server_version"))),
            "ssh_host_key": key.get_fingerprint("sha256") if key is not None else "not recorded: no key",
            "ssh_host_key_known_by": "stated fingerprint" if self._doorkeeper.stated else "known_hosts",
            "ssh_cipher": inert_text(str(ask("recv_cipher"))),
            "ssh_user": inert_text(self.target.user),
            "ssh_peer": inert_text(str((ask("peername") or ("?",))[0])),
            "ssh_from": inert_text(str((ask("sockname") or ("?",))[0])),
            **self._jump_facts(),
            **({"ssh_sudo": "every command runs under sudo -n"} if self._access.sudo else {}),
        }

    @property
    def by_sudo(self) -> bool:
        """Whether every command runs under ``sudo -n``."""
        return self._access.sudo

    def _jump_facts(self) -> dict[str, str]:
        if self._jump is None or self._tunnel is None:
            return {}
        key = self._tunnel.get_server_host_key()
        return {
            "ssh_jump": f"{inert_text(self._jump.user)}@{self._jump.host}:{self._jump.port}",
            "ssh_jump_host_key": key.get_fingerprint("sha256") if key is not None else "not recorded: no key",
        }

    def stream(self, script: bytes, *, more: bool = False) -> Stream:
        """Start a script; its output comes through the stream. ``more``: further lines will be said to it.

        Raises:
            ConnectionLost: there is no connection to start it on.
        """
        marker = secrets.token_hex(16)
        stream = Stream(self._loop, f"\n{marker}\n".encode())
        whole = f"printf '\\n%s\\n' {marker}\n".encode() + script
        import asyncssh

        try:
            self._wait(self._start(stream, whole, more), self._access.stall_seconds)
        except (asyncssh.Error, OSError) as error:
            stream.cancel()
            raise ConnectionLost(inert_text(str(error) or type(error).__name__)) from error
        return stream

    async def _start(self, stream: Stream, script: bytes, more: bool) -> None:
        if not self.alive:
            raise ConnectionLost("not connected")
        channel, _ = await self._connection.create_session(
            lambda: _channel(stream), "sudo -n sh" if self._access.sudo else "sh", encoding=None, window=_WINDOW, max_pktsize=_PACKET,
            request_pty=False, x11_forwarding=False,
        )  # fmt: skip
        channel.write(script)
        if not more:
            channel.write_eof()

    def run(self, script: bytes, seconds: float | None = None) -> Finished:
        """Run a short script to its end.

        Raises:
            ConnectionLost: the line was cut, nothing came for too long, or it answered more than 32 MiB.
        """
        wait = seconds or self._access.stall_seconds
        before = time.time_ns()
        stream = self.stream(script)
        found, piece = bytearray(), memoryview(bytearray(256 << 10))
        try:
            while count := stream.read_into(piece, wait):
                found += piece[:count]
                if len(found) > _ANSWER_MOST:
                    raise ConnectionLost("it answers without end")
        finally:
            stream.cancel()
        return Finished(stream.status or 0, bytes(found), stream.errors, before, time.time_ns())

    def rounds(self, line: bytes, count: int) -> list[Finished]:
        """Say one line to a running shell ``count`` times, each after the answer to the one before: short round trips.

        Raises:
            ConnectionLost: the line was cut, or no answer came.
        """
        stream = self.stream(b"LC_ALL=C; export LC_ALL\n", more=True)
        found, piece = [], memoryview(bytearray(4096))
        try:
            for _ in range(count):
                before = time.time_ns()
                stream.say(line + b"\n")
                said = bytearray()
                while not said.endswith(b"\n") and len(said) < len(piece):
                    got = stream.read_into(piece, self._access.stall_seconds)
                    if not got:
                        break
                    said += piece[:got]
                found.append(Finished(0, bytes(said), stream.errors, before, time.time_ns()))
        finally:
            stream.cancel()
        return found

    def drop(self) -> None:
        """Give the connection up without waiting for the other side."""
        for one in (self._connection, self._tunnel):
            if one is not None:
                self._loop.call_soon_threadsafe(one.abort)
        self._connection = self._tunnel = None

    def close(self) -> None:
        """Log out and end the thread."""
        left, self._connection, self._tunnel = (self._connection, self._tunnel), None, None
        for connection in left:
            if connection is None:
                continue
            try:
                self._wait(_leave(connection), 5)
            except ConnectionLost:
                pass  # it is gone, which is what was wanted
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        if not self._thread.is_alive():
            self._loop.close()


async def _leave(connection: Any) -> None:
    connection.close()
    await connection.wait_closed()


def _channel(stream: Stream) -> Any:
    """The asyncssh session that feeds a stream."""
    import asyncssh

    class Feed(asyncssh.SSHClientSession[bytes]):
        """Hands on what comes."""

        def connection_made(self, chan: Any) -> None:
            stream.channel = chan

        def data_received(self, data: bytes, datatype: Any) -> None:
            stream.take(data, datatype is not None)

        def exit_status_received(self, status: int) -> None:
            stream.status = status

        def eof_received(self) -> bool:
            return True

        def connection_lost(self, exc: Exception | None) -> None:
            stream.end()

    return Feed()
