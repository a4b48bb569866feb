# SPDX-License-Identifier: Apache-2.0
"""Devices that were attached, USB storage above all, and the drive letters that they had (windows.device).

Reads:  SYSTEM: Enum\\USBSTOR, Enum\\USB, Enum\\SCSI, MountedDevices; NTUSER.DAT: MountPoints2.
Time:   first installation, last arrival and last removal (FILETIME in the device's properties), else the key's last write; UTC.
Format: https://learn.microsoft.com/windows-hardware/drivers/install/unified-device-property-model--windows-vista-and-later-
Limits: a serial number whose second character is & was made up by Windows; properties need Windows 8 for arrival and removal.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.artifacts._telling import current, filetime, tell, under
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive, Key, text_of
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.device"
VERSION = 1
HIVES = ("system", "user")
_PROPERTIES = "Properties\\{83da6326-97a6-4088-9453-a1923f573b29}"
_TIMES = (("0064", "installed"), ("0065", "first-installed"), ("0066", "arrived"), ("0067", "removed"))


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event per device, one more per time that its properties state; one per drive letter or mount point."""
    if place.kind == "user":
        for key in under(hive.root, "Software\\Microsoft\\Windows\\CurrentVersion\\Explorer\\MountPoints2"):
            yield tell(place, key, key, EventKind.STATE_DEVICE, key.written, device=key.name, bus="mount point")
        return
    for bus in ("USBSTOR", "USB", "SCSI"):
        for model in under(current(hive), f"Enum\\{bus}"):
            for key in model.subkeys():
                yield from _device(key, place, bus, model.name)
    mounted = hive.key("MountedDevices")
    for value in mounted.values() if mounted is not None else ():
        assert mounted is not None
        data = value.data
        target = text_of(data) if data[1:2] == b"\0" and len(data) > 24 else data.hex()
        yield tell(
            place, value, mounted, EventKind.STATE_DEVICE, None, device=target, bus="drive letter", mount=value.name
        )


def _device(key: Key, place: Place, bus: str, model: str) -> Iterator[Event]:
    name = key.text("FriendlyName") or key.text("DeviceDesc")
    made_up = key.name[1:2] == "&"
    said = {
        "device": model,
        "bus": bus,
        "serial": key.name,
        "serial_made_up": made_up,
        "name": name,
        "service": key.text("Service"),
    }
    yield tell(place, key, key, EventKind.STATE_DEVICE, key.written, **said)
    for number, kind in _TIMES:
        found = key.key(f"{_PROPERTIES}\\{number}") or key.key(f"{_PROPERTIES}\\0000{number}\\00000000")
        value = next(iter(found.values()), None) if found is not None else None
        time = filetime(value.data) if value is not None else None
        if found is not None and value is not None and time is not None:
            yield tell(place, value, found, EventKind.STATE_DEVICE, time, t_kind=kind, **said)
