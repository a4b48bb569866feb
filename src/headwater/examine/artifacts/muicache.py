# SPDX-License-Identifier: Apache-2.0
"""Programs that the shell showed or started, by their descriptions and compatibility marks (windows.muicache).

Reads:  UsrClass.dat: Shell\\MuiCache; NTUSER.DAT: ShellNoRoam\\MUICache, AppCompatFlags\\Compatibility Assistant\\Store, Layers.
Time:   none of their own; the key's last write is not told as one, since it is of the newest entry only.
Format: https://github.com/libyal/winreg-kb/blob/main/docs/sources/explorer-keys
Limits: an entry means that the shell read the program's description, mostly because it was started.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.artifacts._telling import tell
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.muicache"
VERSION = 1
HIVES = ("classes", "user")
_PLACES = (
    ("Local Settings\\Software\\Microsoft\\Windows\\Shell\\MuiCache", "muicache"),
    ("Software\\Microsoft\\Windows\\ShellNoRoam\\MUICache", "muicache"),
    (
        "Software\\Microsoft\\Windows NT\\CurrentVersion\\AppCompatFlags\\Compatibility Assistant\\Store",
        "compatibility assistant",
    ),
    (
        "Software\\Microsoft\\Windows NT\\CurrentVersion\\AppCompatFlags\\Compatibility Assistant\\Persisted",
        "compatibility assistant",
    ),
    ("Software\\Microsoft\\Windows NT\\CurrentVersion\\AppCompatFlags\\Layers", "compatibility layer"),
)


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event per program."""
    for path, trace in _PLACES:
        key = hive.key(path)
        for value in key.values() if key is not None else ():
            assert key is not None
            name = value.name.removesuffix(".FriendlyAppName")
            if ":\\" not in name or name.startswith("@") or name.endswith((".ApplicationCompany", ".ApplicationName")):
                continue
            yield tell(
                place,
                value,
                key,
                EventKind.EXECUTION_TRACE,
                None,
                file_path=name,
                trace=trace,
                description=value.text or None,
            )
