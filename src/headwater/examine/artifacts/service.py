# SPDX-License-Identifier: Apache-2.0
"""Services and drivers as they are registered (windows.service).

Reads:  SYSTEM: Services of every control set; of those not in use only what the one in use has not.
Time:   last write of the service's key, UTC.
Format: https://learn.microsoft.com/windows-hardware/drivers/install/hklm-system-currentcontrolset-services-registry-tree
Limits: the key's last write is the last change of any of its values, not the installation.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.artifacts._telling import control_sets, tell, under
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive, Key
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.service"
VERSION = 1
HIVES = ("system",)
_START = {0: "boot", 1: "system", 2: "automatic", 3: "manual", 4: "disabled"}
_DRIVER = 0x0F
_MOST_TEXT = 4096


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event per service that names a program or a library."""
    seen: set[tuple[str, str | None]] = set()
    for control, used in control_sets(hive):
        for key in under(control, "Services"):
            parameters = key.key("Parameters")
            library = parameters.text("ServiceDll") if parameters is not None else None
            path = key.text("ImagePath")
            mark = (key.name.lower(), path)
            if (path is None and library is None) or mark in seen:
                continue
            seen.add(mark)
            yield _service(key, place, path, library or key.text("ServiceDll"), used)


def _service(key: Key, place: Place, path: str | None, library: str | None, used: bool) -> Event:
    kind, start = key.number("Type"), key.number("Start")
    failure = key.text("FailureCommand")
    return tell(
        place, key, key, EventKind.STATE_SERVICE, key.written, command_line=path, unit=key.name, display=key.text("DisplayName"),
        description=(key.text("Description") or "")[:_MOST_TEXT] or None,
        start=_START.get(start, str(start)) if start is not None else None,
        sort=None if kind is None else "driver" if kind & _DRIVER and not kind & 0x30 else "service",
        service_type=kind, account=key.text("ObjectName"), library=library, failure_command=failure or None,
        delayed=key.number("DelayedAutoStart"), in_use=used,
    )  # fmt: skip
