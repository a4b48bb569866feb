# SPDX-License-Identifier: Apache-2.0
"""Sources reached by name: a server's disk must bring its own record, and never be mistaken for one of ours."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "acquire"))

from loopback_sshd import Server, sshd_or_skip
from test_windows_device import DRIVE, Kernel32

from headwater.acquire import windows_device
from headwater.acquire.environment import lies_on
from headwater.acquire.write_protection import refuse_mounted, write_protection
from headwater.model.errors import AcquireError, UsageError
from headwater.procedure.reaching import Reach, clocks_of, reached


def test_file_here_is_static_and_described(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(4096))
    with reached(str(image), Reach()) as found:
        assert (found.source.size, found.source.live, found.environment.here) == (4096, False, True)
        assert found.way() == {}
        assert found.clocks == {"none": {"not_recorded": "no reference clock was named"}}


def test_servers_source_is_live_unless_stated_and_brings_its_record(tmp_path: Path) -> None:
    server = Server(tmp_path / "sshd", sshd_or_skip())
    server.make()
    server.start()
    image = tmp_path / "disk.img"
    image.write_bytes(bytes(4096))
    try:
        for static in (False, True):
            reach = Reach(static=static, known_hosts=server.known_hosts, key_file=server.key)
            with reached(server.url(image), reach) as found:
                assert found.source.live is not static
                assert not found.environment.here
                assert not lies_on(tmp_path, found.environment)
                assert found.clocks["server"]["method"] == "ssh"
                refuse_mounted(found.environment, live=False)
                assert write_protection(found.environment).kind == "none"
                assert found.source.read_into(0, memoryview(bytearray(4096))) == 4096
                text = json.dumps(found.way() | found.environment.plain())
                assert "login_traces" in text
    finally:
        server.stop()


def test_clock_of_a_person_is_recorded() -> None:
    found = clocks_of(Reach(reference_clock="2026-11-22T12:00:05+08:00@2026-11-22T04:00:07Z GPS"))
    assert found["person"]["ahead_ns"] == "2000000000"
    with pytest.raises(UsageError, match="HW2062"):
        clocks_of(Reach(reference_clock="noon"))


def test_windows_disk_is_live_and_unprotected_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel32(bytes(4096))
    kernel.protected = False
    monkeypatch.setattr(windows_device, "load_kernel32", lambda: (kernel, lambda: kernel.last))
    with reached(DRIVE, Reach()) as found:
        assert found.source.live
        assert found.environment.device is not None
        assert found.environment.device.serial == "S6PNNX0R000001"
        protection = write_protection(found.environment)
        assert (protection.kind, protection.needs_confirmation) == ("none", True)
        with pytest.raises(AcquireError, match="HW2061"):
            write_protection(found.environment, set_readonly=True)
        json.dumps(found.environment.plain() | found.environment.facts())
    kernel.protected = True
    with reached(DRIVE, Reach(static=True)) as found:
        assert not found.source.live
        assert write_protection(found.environment).kind == "software"


def test_windows_disk_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(AcquireError, match="HW2070"), reached(r"\\.\PhysicalDrive0", Reach()):
        pass
