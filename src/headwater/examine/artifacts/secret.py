# SPDX-License-Identifier: Apache-2.0
"""Secrets and cached logons that the LSA keeps, by name and time, never by content (windows.secret).

Reads:  SECURITY: Policy\\Secrets (service passwords _SC_…, DefaultPassword, the machine's own), Cache (NL$n); SAM: the password policy.
Time:   secrets: last change and the one before (FILETIME in CupdTime, OupdTime); cached logons: last use; policy: last write; UTC.
Format: https://github.com/libyal/winreg-kb/blob/main/docs/sources/security-keys, https://learn.microsoft.com/openspecs/windows_protocols/ms-samr/
Limits: names of cached accounts are encrypted with their hashes and are not told; a secret's content is never read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from headwater.examine.artifacts._telling import filetime, tell, under
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.secret"
VERSION = 1
HIVES = ("security", "sam")
_TIMES = (("CupdTime", "set"), ("OupdTime", "set-before"))
_DAY = 864_000_000_000  # units of 100 ns
_NEVER = -(1 << 63)


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event per secret and time, per cached logon, and one for the password policy."""
    if place.kind == "sam":
        yield from _policy(hive, place)
        return
    for secret in under(hive.root, "Policy\\Secrets"):
        told = False
        for name, kind in _TIMES:
            key = secret.key(name)
            value = key.value("") if key is not None else None
            time = filetime(value.data) if value is not None else None
            if key is not None and value is not None and time is not None:
                told = True
                yield tell(
                    place,
                    value,
                    key,
                    EventKind.STATE_SETTING,
                    time,
                    t_kind=kind,
                    setting="LSA secret",
                    data=secret.name,
                )
        if not told:
            yield tell(
                place, secret, secret, EventKind.STATE_SETTING, secret.written, setting="LSA secret", data=secret.name
            )
    cache = hive.key("Cache")
    for value in cache.values() if cache is not None else ():
        assert cache is not None
        data = value.data
        if value.name.upper().startswith("NL$") and len(data) >= 96 and data[:2] != b"\0\0":
            rid = struct.unpack_from("<I", data, 16)[0]
            yield tell(
                place, value, cache, EventKind.STATE_SETTING, filetime(data, 32), t_kind="used", setting="cached domain logon",
                data=value.name, rid=rid,
            )  # fmt: skip


def _policy(hive: Hive, place: Place) -> Iterator[Event]:
    """The fixed part of the account domain: ages in 100 ns below zero, lengths and counts."""
    key = hive.key("SAM\\Domains\\Account")
    value = key.value("F") if key is not None else None
    if key is None or value is None or len(value.data) < 0x58:
        return
    oldest, youngest = struct.unpack_from("<qq", value.data, 0x18)
    properties, length, history, wrong = struct.unpack_from("<IHHH", value.data, 0x4C)
    said = {
        "longest_days": -oldest // _DAY if oldest not in (0, _NEVER) else None,
        "shortest_days": -youngest // _DAY if youngest != _NEVER else None,
        "least_length": length, "history": history, "lockout_after": wrong, "complex": bool(properties & 1),
    }  # fmt: skip
    shown = ", ".join(f"{name} {v}" for name, v in said.items() if v is not None)
    yield tell(place, value, key, EventKind.STATE_SETTING, key.written, setting="password policy", data=shown, **said)
