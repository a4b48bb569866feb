# SPDX-License-Identifier: Apache-2.0
"""User profiles on the host: which account has which folder, and when it was last loaded (windows.profile).

Reads:  SOFTWARE: ProfileList\\SID.
Time:   load and unload of the profile (FILETIME in two halves), else the last write of its key; UTC.
Format: https://learn.microsoft.com/troubleshoot/windows-server/user-profiles-and-logon/renaming-user-account-not-change-profile-path
Limits: an account that never logged on interactively has no profile.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.artifacts._telling import tell, under
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive, Key
from headwater.formats.registry_layout import nanoseconds
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.profile"
VERSION = 1
HIVES = ("software",)


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event per profile, and one per time that it states."""
    for key in under(hive.root, "Microsoft\\Windows NT\\CurrentVersion\\ProfileList"):
        path = key.text("ProfileImagePath")
        user = path.replace("/", "\\").rpartition("\\")[2] if path else None
        said = {"user": user, "file_path": path, "sid": key.name, "profile_state": key.number("State")}
        yield tell(place, key, key, EventKind.STATE_ACCOUNT, key.written, **said)
        for name, kind in (("LocalProfileLoadTime", "profile-loaded"), ("LocalProfileUnloadTime", "profile-unloaded")):
            time = _halves(key, name)
            if time is not None:
                value = key.value(f"{name}Low")
                assert value is not None
                yield tell(place, value, key, EventKind.STATE_ACCOUNT, time, t_kind=kind, **said)


def _halves(key: Key, name: str) -> int | None:
    low, high = key.number(f"{name}Low"), key.number(f"{name}High")
    return nanoseconds(high << 32 | low) if low is not None and high else None
