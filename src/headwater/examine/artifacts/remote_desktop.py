# SPDX-License-Identifier: Apache-2.0
"""Remote desktop: how the server is set, and which servers a user connected to (windows.remote_desktop).

Reads:  SYSTEM: Terminal Server and its WinStations; SOFTWARE: policies for it; NTUSER.DAT: Terminal Server Client.
Time:   last write of the key, UTC; in the client's list only the last one changed carries the key's time.
Format: https://learn.microsoft.com/windows/win32/termserv/terminal-services-configuration
Limits: a client's list says that a connection was tried, not that it succeeded.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.artifacts._telling import current, tell, under
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive, Key
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.remote_desktop"
VERSION = 1
HIVES = ("system", "software", "user")
_SETTINGS = (
    "fDenyTSConnections", "fSingleSessionPerUser", "AllowTSConnections", "PortNumber", "UserAuthentication", "SecurityLayer",
    "MinEncryptionLevel", "Shadow", "fAllowToGetHelp", "fDisableCdm", "fInheritInitialProgram", "InitialProgram", "MaxIdleTime",
)  # fmt: skip
_PLACES = ("Control\\Terminal Server", "Control\\Terminal Server\\WinStations\\RDP-Tcp")
_CLIENT = "Software\\Microsoft\\Terminal Server Client"


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """Settings one by one; a client's servers one by one."""
    if place.kind == "system":
        control = current(hive)
        for path in _PLACES:
            yield from _settings(control.key(path) if control is not None else None, place)
    elif place.kind == "software":
        yield from _settings(hive.key("Policies\\Microsoft\\Windows NT\\Terminal Services"), place)
    else:
        yield from _client(hive, place)


def _settings(key: Key | None, place: Place) -> Iterator[Event]:
    for name in _SETTINGS:
        value = key.value(name) if key is not None else None
        if key is not None and value is not None and value.shown:
            yield tell(place, value, key, EventKind.STATE_SETTING, key.written, setting=name, data=value.shown)


def _client(hive: Hive, place: Place) -> Iterator[Event]:
    recent = hive.key(f"{_CLIENT}\\Default")
    if recent is not None:
        for value in recent.values():
            if value.name.upper().startswith("MRU"):
                time = recent.written if value.name.upper() == "MRU0" else None
                address = value.text
                yield tell(
                    place,
                    value,
                    recent,
                    EventKind.USER_ACTIVITY,
                    time,
                    t_kind="connected",
                    activity="remote desktop",
                    target=address,
                )
    for key in under(hive.root, f"{_CLIENT}\\Servers"):
        yield tell(
            place, key, key, EventKind.USER_ACTIVITY, key.written, t_kind="connected", activity="remote desktop", target=key.name,
            remote_user=key.text("UsernameHint"),
        )  # fmt: skip
