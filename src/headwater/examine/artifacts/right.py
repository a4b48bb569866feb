# SPDX-License-Identifier: Apache-2.0
"""User rights: which account may log on how, and which privileges it has (windows.right).

Reads:  SECURITY: Policy\\Accounts\\SID, Privilgs and ActSysAc.
Time:   last write of the key, UTC.
Format: https://learn.microsoft.com/openspecs/windows_protocols/ms-lsad/, https://learn.microsoft.com/windows/win32/secauthz/privilege-constants
Limits: the local policy of this host; rights that a domain's policy gives are written here too, without saying so.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from headwater.examine.artifacts._telling import tell, under
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive, Key, Value
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.right"
VERSION = 2
HIVES = ("security",)
_NAMES = (
    "CreateToken", "AssignPrimaryToken", "LockMemory", "IncreaseQuota", "MachineAccount", "Tcb", "Security", "TakeOwnership", "LoadDriver",
    "SystemProfile", "Systemtime", "ProfileSingleProcess", "IncreaseBasePriority", "CreatePagefile", "CreatePermanent", "Backup", "Restore",
    "Shutdown", "Debug", "Audit", "SystemEnvironment", "ChangeNotify", "RemoteShutdown", "Undock", "SyncAgent", "EnableDelegation",
    "ManageVolume", "Impersonate", "CreateGlobal", "TrustedCredManAccess", "Relabel", "IncreaseWorkingSet", "TimeZone",
    "CreateSymbolicLink", "DelegateSessionUserImpersonate",
)  # fmt: skip
_PRIVILEGES = dict(enumerate(_NAMES, 2))
_LOGONS = (
    (0x1, "Interactive"), (0x2, "Network"), (0x4, "Batch"), (0x10, "Service"), (0x40, "DenyInteractive"), (0x80, "DenyNetwork"),
    (0x100, "DenyBatch"), (0x200, "DenyService"), (0x400, "RemoteInteractive"), (0x800, "DenyRemoteInteractive"),
)  # fmt: skip
_MOST = 64


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event for the privileges and one for the logon rights of each account that has some."""
    for account in under(hive.root, "Policy\\Accounts"):
        for name, names in (("Privilgs", _privileges), ("ActSysAc", _logons)):
            key = account.key(name)
            value = key.value("") if key is not None else None
            told = names(value.data) if value is not None else []
            if key is not None and value is not None and told:
                yield _told(place, value, key, account.name, told)


def _told(place: Place, value: Value, key: Key, sid: str, told: list[str]) -> Event:
    return tell(
        place, value, key, EventKind.STATE_RIGHT, key.written, setting="user rights", sid=sid, data=" ".join(told)
    )


def _privileges(data: bytes) -> list[str]:
    count = struct.unpack_from("<I", data)[0] if len(data) >= 8 else 0
    found = []
    for number in range(min(count, (len(data) - 8) // 12, _MOST)):
        luid = struct.unpack_from("<Q", data, 8 + 12 * number)[0]
        found.append(f"Se{_PRIVILEGES[luid]}Privilege" if luid in _PRIVILEGES else f"privilege {luid}")
    return found


def _logons(data: bytes) -> list[str]:
    bits = int.from_bytes(data[:4], "little")
    return [f"Se{name}LogonRight" for bit, name in _LOGONS if bits & bit]
