# SPDX-License-Identifier: Apache-2.0
"""Servers that no verb but imaging could reach: those behind another, and those whose accounts are root by sudo alone."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "acquire"))

from loopback_sshd import Server, sshd_or_skip

from headwater.cli.main import main
from headwater.model.errors import UsageError
from headwater.procedure.reaching import Reach
from headwater.procedure.scene_visit import visited


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    made = [Server(tmp_path / name, sshd_or_skip()) for name in ("jump", "server")]
    for server in made:
        server.make()
        server.start()
    shutil.copy(made[0].folder / "authorized_keys", made[1].folder / "authorized_keys")
    (tmp_path / "known_hosts").write_text("".join(s.known_hosts.read_text() for s in made))
    yield made[0], made[1]
    for server in made:
        server.stop()


def _reach(tmp_path: Path, jump: Server, *, sudo: bool = False) -> Reach:
    where = f"ssh://{jump.user}@127.0.0.1:{jump.port}"
    return Reach(known_hosts=tmp_path / "known_hosts", key_file=jump.key, jump=where, sudo=sudo)


def test_visit_behind_a_jump_host_under_sudo_knows_both_and_its_own_login(
    servers: tuple[Server, Server], tmp_path: Path
) -> None:
    if shutil.which("sudo") is None:
        pytest.skip("sudo is absent")
    jump, server = servers
    with visited(server.url("/"), _reach(tmp_path, jump, sudo=True), clock=False) as visit:
        assert visit.root
        # sudo takes the variable away by which our own login is known again in the logs
        assert visit.said["ssh"].split()[3] == str(server.port)
        assert visit.facts["ssh_jump_host_key"] == jump.fingerprint
        assert visit.facts["ssh_sudo"] == "every command runs under sudo -n"
        assert {t["path"] for t in visit.traces} >= {"/bin/sh"}


def test_scene_first_goes_by_a_jump_host(servers: tuple[Server, Server], tmp_path: Path) -> None:
    jump, server = servers
    words = ["scene", "first", server.url("").rstrip("/"), "--case", str(tmp_path / "case"), "--no-authority", "a test",
             "--examiner", "甲", "--examiner", "乙", "--no-witness", "a test", "--ssh-key", str(jump.key),
             "--known-hosts", str(tmp_path / "known_hosts"), "--jump", f"ssh://{jump.user}@127.0.0.1:{jump.port}",
             "--remote", "server_location=本机", "--remote", "remote_method=SSH", "--remote", "screen_recording=无"]  # fmt: skip
    assert main(words) == 0


def test_a_way_to_a_server_that_leads_to_this_machine_is_refused() -> None:
    with pytest.raises(UsageError), visited("local:", Reach(sudo=True)):
        pass
