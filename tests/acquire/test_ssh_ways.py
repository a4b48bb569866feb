# SPDX-License-Identifier: Apache-2.0
"""Servers that are reached through another, or whose account reads through sudo; sshd and sudo are real, on loopback."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loopback_sshd import Server, sshd_or_skip

from headwater.acquire.ssh_login import Access
from headwater.acquire.ssh_source import SshSource
from headwater.model.errors import AcquireError, UsageError

Made = Callable[..., Server]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    servers: list[Server] = []

    def make(name: str, *extra: str) -> Server:
        server = Server(tmp_path / name, sshd_or_skip(), extra=list(extra))
        server.make()
        server.start()
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(random.Random(8).randbytes(300_000))
    return path


def both(tmp_path: Path, *servers: Server) -> Path:
    """One known_hosts for all, and one client key that all of them take."""
    known = tmp_path / "known_hosts"
    known.write_text("".join(s.known_hosts.read_text() for s in servers))
    for server in servers[1:]:
        shutil.copy(servers[0].folder / "authorized_keys", server.folder / "authorized_keys")
    return known


def whole(source: SshSource) -> bytes:
    buffer = bytearray(source.size)
    assert source.read_into(0, memoryview(buffer)) == source.size
    return bytes(buffer)


def test_disk_behind_a_jump_host_is_read_and_both_servers_are_told(made: Made, disk: Path, tmp_path: Path) -> None:
    jump, server = made("jump"), made("server")
    access = Access(
        known_hosts=both(tmp_path, jump, server), key_file=jump.key, jump=f"ssh://{jump.user}@127.0.0.1:{jump.port}"
    )
    source = SshSource(server.url(disk), access, sleep=lambda seconds: None)
    try:
        assert whole(source) == disk.read_bytes()
        assert source.facts["ssh_host_key"] == server.fingerprint
        assert source.facts["ssh_jump_host_key"] == jump.fingerprint
        assert source.facts["ssh_jump"].endswith(f"@127.0.0.1:{jump.port}")
        jump.cut()  # the way is lost, not the server: both logins are made anew
        again = bytearray(1000)
        assert source.read_into(5, memoryview(again)) == 1000
        assert bytes(again) == disk.read_bytes()[5:1005]
        assert "reconnected" in str(source.journal.plain())
    finally:
        source.close()


def test_unknown_jump_host_and_one_that_forwards_nothing_are_refused(made: Made, disk: Path, tmp_path: Path) -> None:
    jump, server = made("jump"), made("server")
    both(tmp_path, jump, server)
    where = f"ssh://{jump.user}@127.0.0.1:{jump.port}"
    access = Access(known_hosts=server.known_hosts, key_file=jump.key, jump=where)
    with pytest.raises(AcquireError) as caught:
        SshSource(server.url(disk), access)
    assert (caught.value.code, caught.value.where) == ("HW2065", f"127.0.0.1:{jump.port}")
    # a stated fingerprint is the server's: it opens no jump host
    with pytest.raises(AcquireError) as caught:
        SshSource(
            server.url(disk),
            Access(host_key=jump.fingerprint, key_file=jump.key, jump=where, known_hosts=server.known_hosts),
        )
    assert caught.value.code == "HW2065"
    closed = made("closed", "AllowTcpForwarding no")
    known = both(tmp_path, jump, server, closed)
    access = Access(known_hosts=known, key_file=jump.key, jump=f"ssh://{jump.user}@127.0.0.1:{closed.port}")
    with pytest.raises(AcquireError) as caught:
        SshSource(server.url(disk), access)
    assert caught.value.code == "HW2064"
    with pytest.raises(UsageError):
        SshSource(server.url(disk), Access(jump="jump.example.org"))


def test_account_that_may_sudo_reads_what_it_could_not(made: Made, disk: Path) -> None:
    if shutil.which("sudo") is None:
        pytest.skip("sudo is absent")
    server = made("server")
    source = SshSource(server.url(disk), Access(known_hosts=server.known_hosts, key_file=server.key, sudo=True))
    try:
        assert whole(source) == disk.read_bytes()
        assert source.facts["ssh_sudo"] == "every command runs under sudo -n"
    finally:
        source.close()


def test_sudo_that_asks_for_a_password_is_told_and_waits_for_nobody(made: Made, disk: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    sudo = folder / "sudo"
    sudo.write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    sudo.chmod(0o755)
    server = made("server", f"SetEnv PATH={folder}:{os.defpath}")
    with pytest.raises(AcquireError) as caught:
        SshSource(server.url(disk), Access(known_hosts=server.known_hosts, key_file=server.key, sudo=True))
    assert caught.value.code == "HW2067"
    assert "a password is required" in caught.value.text("en")
