# SPDX-License-Identifier: Apache-2.0
"""Reaches a source by the name that a person gave: a device or file here, a server's over SSH, a disk of Windows.

Whatever it is, what comes back is the same: a block source, its environment record, the clocks measured against a
reference, and after the work what the way to it had to tell (the journal of a connection).
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.acquire.clock_reference import by_person, by_sntp, plain
from headwater.acquire.device_answers import nothing
from headwater.acquire.device_use import DeviceUse
from headwater.acquire.environment import Environment, Medium, environment_of
from headwater.acquire.ports import BlockSource
from headwater.acquire.system_files import NotRecorded, inert_text, recorded
from headwater.acquire.windows_device import WindowsSource, is_windows_device
from headwater.confine.pool import Pool

if TYPE_CHECKING:
    from headwater.acquire.ssh_login import Ask


@dataclass(frozen=True, slots=True)
class Reach:
    """How a person wants a source reached. ``reference_clock``: see :func:`by_person`; ``ntp``: HOST[:PORT] to ask once.

    ``static``: the person states that nothing writes to the source of a server or of Windows; else it counts as live.
    ``size`` in bytes where a server cannot tell it; ``attempts`` at a lost line, None for the usual.
    The SSH fields are those of :class:`headwater.acquire.ssh_login.Access`.
    """

    static: bool = False
    known_hosts: Path | None = None
    host_key: str | None = None
    key_file: Path | None = None
    ask: Ask | None = None
    jump: str | None = None
    sudo: bool = False
    size: int | None = None
    attempts: int | None = None
    reference_clock: str | None = None
    ntp: str | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """``clocks``: readings, or why there is none, as JSON values. ``way``: how it was reached, before anything is read."""

    source: BlockSource
    environment: Environment
    clocks: dict[str, Any]

    def way(self) -> dict[str, Any]:
        """What the connection has to tell so far; call it again after the work. Empty for a source of this machine."""
        if not is_remote(self.source.name):
            return {}
        from headwater.acquire.ssh_source import SshSource  # heavy, and only for servers

        if not isinstance(self.source, SshSource):
            return {}
        record = self.source.record()
        return {"journal": record["journal"], "login_traces": record["login_traces"]}


def is_remote(address: str) -> bool:
    """Whether an address names a server's source."""
    return address.startswith("ssh://")


def is_local(address: str) -> bool:
    """Whether an address names a device or a file that this system opens by its path."""
    return not is_remote(address) and not is_windows_device(address)


@contextmanager
def reached(address: str, reach: Reach, *, live: bool = False, pool: Pool | None = None) -> Iterator[Reached]:
    """A source with its record, closed afterwards. ``live``: the person has decided to image it while it is in use.

    ``pool``: whose child reads the superblocks, see :func:`environment_of`.

    Raises:
        AcquireError: it cannot be reached or opened (HW2001 to HW2007, HW2064 to HW2070).
        UsageError: HW2062 or HW2063, an address or a clock that cannot be used as written.
    """
    clocks = clocks_of(reach)
    source: BlockSource
    if is_remote(address):
        from headwater.acquire.ssh_login import Access
        from headwater.acquire.ssh_source import ATTEMPTS, SshSource

        access = Access(reach.known_hosts, reach.host_key, reach.key_file, reach.ask, jump=reach.jump, sudo=reach.sudo)
        live, attempts = live or not reach.static, reach.attempts or ATTEMPTS
        server = SshSource(address, access, live=live, size=reach.size, attempts=attempts)
        source, known = server, server.environment
        clocks["server"] = plain(server.clock)
    elif is_windows_device(address):
        disk = WindowsSource(address, live=live or not reach.static)
        source, known = disk, _windows(disk)
    else:
        from headwater.acquire.file_source import FileBlockSource

        known = environment_of(address, pool=pool)
        source = FileBlockSource(address, live=live, facts=known.facts())
    try:
        yield Reached(source, known, clocks)
    finally:
        source.close()


def clocks_of(reach: Reach) -> dict[str, Any]:
    """This machine's clock against what the person named; "not recorded" with the reason where nothing was named."""
    found: dict[str, Any] = {}
    if reach.reference_clock:
        found["person"] = plain(by_person(reach.reference_clock))
    if reach.ntp:
        found["sntp"] = plain(by_sntp(reach.ntp))
    return found or {"none": recorded(NotRecorded("no reference clock was named"))}


def _windows(disk: WindowsSource) -> Environment:
    """The record of a Windows disk as far as it goes; its own facts stand in the source."""
    why, device = NotRecorded("not asked on Windows"), disk.device()
    return Environment(
        source=inert_text(disk.name),
        kind="block device",
        size=disk.size,
        device=device,
        devices={device.name: device},
        on_it=(device.name,),
        medium=Medium(why),
        answers=nothing(why.reason),
        use=DeviceUse((), (), ()),
        claimed=why,
        system={"platform": platform.platform(), "hostname": inert_text(platform.node())},
        here=False,
    )
