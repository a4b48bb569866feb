# SPDX-License-Identifier: Apache-2.0
"""The system at the time of imaging: release, kernel, name, identity, uptime, machine, arrays, services that run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from headwater.acquire.device_use import service_of
from headwater.acquire.system_files import NotRecorded, SystemFiles, inert_text, word

_ONE_WORD = {
    "kernel": "/proc/sys/kernel/osrelease",
    "kernel_build": "/proc/version",
    "hostname": "/proc/sys/kernel/hostname",
    "machine_id": "/etc/machine-id",
    "boot_id": "/proc/sys/kernel/random/boot_id",
    "machine_vendor": "/sys/class/dmi/id/sys_vendor",
    "machine_model": "/sys/class/dmi/id/product_name",
    "machine_serial": "/sys/class/dmi/id/product_serial",
    "firmware": "/sys/class/dmi/id/bios_version",
}
_SERVICES_MOST = 2_000


def system_facts(files: SystemFiles) -> dict[str, Any]:
    """What the system says of itself. ``services``: how many processes each has; ``arrays``: lines of /proc/mdstat."""
    found: dict[str, Any] = {}
    for name, path in _ONE_WORD.items():
        found[name] = word(files, path) or NotRecorded(f"{path} is absent, empty or refused")
    found["release"] = _release(files)
    uptime = (word(files, "/proc/uptime") or "").split(" ")[0]
    found["uptime_seconds"] = uptime or NotRecorded("/proc/uptime is absent")
    zone = files.link("/etc/localtime")
    found["zone"] = inert_text(zone.partition("zoneinfo/")[2]) or NotRecorded("/etc/localtime is no link to a zone")
    found["arrays"] = _arrays(files.read("/proc/mdstat") or b"")
    found["services"] = _services(files)
    return found


def _arrays(mdstat: bytes) -> list[str]:
    """The lines of /proc/mdstat that name an array and its members."""
    lines = (line for line in mdstat.split(b"\n") if line.startswith(b"md") and b" : " in line)
    return [inert_text(line) for line in lines]


def _release(files: SystemFiles) -> str | NotRecorded:
    for line in (files.read("/etc/os-release") or b"").split(b"\n"):
        if line.startswith(b"PRETTY_NAME="):
            return inert_text(line.partition(b"=")[2].strip(b"\"'"))
    return NotRecorded("/etc/os-release names no release")


def _services(files: SystemFiles) -> Mapping[str, int]:
    """Units and containers that have processes, and how many."""
    counted: Counter[str] = Counter()
    for pid in files.names("/proc"):
        if pid.isascii() and pid.isdigit():
            name = service_of(files.read(f"/proc/{pid}/cgroup", 16_384) or b"")
            if name:
                counted[name] += 1
    return dict(sorted(counted.most_common(_SERVICES_MOST)))
