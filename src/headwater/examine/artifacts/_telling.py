# SPDX-License-Identifier: Apache-2.0
"""What the artifacts of a hive share: the control set in use, an event that stands on a value or key, times and SIDs."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive, Key, Value
from headwater.formats.registry_layout import nanoseconds
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.records import Event

SECOND = 1_000_000_000
SYSTEMTIME_EPOCH = 719_163  # the ordinal of 1970-01-01
_HEADER = frozenset(
    {
        "outcome",
        "host",
        "user",
        "src_ip",
        "dst_ip",
        "pid",
        "process",
        "command_line",
        "file_path",
        "hash",
        "event_code",
        "provider",
    }
)
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def control_sets(hive: Hive) -> Iterator[tuple[Key, bool]]:
    """The control sets of a SYSTEM hive and whether each is the one in use; the one in use first."""
    select = hive.key("Select")
    number = select.number("Current") if select is not None else None
    wanted = f"controlset{number:03d}" if number is not None else ""
    root = hive.root
    sets = [k for k in root.subkeys() if k.name.lower().startswith("controlset")] if root is not None else []
    for key in sorted(sets, key=lambda k: (k.name.lower() != wanted, k.name)):
        yield key, key.name.lower() == wanted or (not wanted and len(sets) == 1)


def current(hive: Hive) -> Key | None:
    """The control set in use; the first where the hive does not say."""
    return next((key for key, _ in control_sets(hive)), None)


def under(key: Key | None, path: str) -> Iterator[Key]:
    """The subkeys of the key at a path; none where it is not there."""
    found = key.key(path) if key is not None else None
    if found is not None:
        yield from found.subkeys()


def filetime(data: bytes, at: int = 0) -> int | None:
    """The FILETIME at ``at`` as nanoseconds since 1970; None where it is not set or not there."""
    if len(data) < at + 8:
        return None
    number = int.from_bytes(data[at : at + 8], "little")
    return None if number == 0x7FFF_FFFF_FFFF_FFFF else nanoseconds(number)


def systemtime(data: bytes) -> int | None:
    """A SYSTEMTIME (a wall clock) counted as if UTC; None where it is none."""
    if len(data) < 16:
        return None
    year, month, _, day, hour, minute, second, milli = struct.unpack_from("<8H", data)
    if not (1601 <= year <= 9999 and 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1]):
        return None
    if month == 2 and day == 29 and (year % 4 or (year % 100 == 0 and year % 400)):
        return None
    if hour > 23 or minute > 59 or second > 59 or milli > 999:
        return None
    past = year - 1
    days = past * 365 + past // 4 - past // 100 + past // 400 + day
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days += sum(_DAYS[: month - 1]) - (1 if month > 2 and not leap else 0)
    seconds = (days - SYSTEMTIME_EPOCH) * 86_400 + hour * 3600 + minute * 60 + second
    return int(seconds * SECOND + milli * 1_000_000)


def sid(data: bytes) -> str | None:
    """A SID as text; None where the bytes are none."""
    if len(data) < 8 or data[0] != 1 or len(data) < 8 + 4 * data[1] or data[1] > 15:
        return None
    authority = int.from_bytes(data[2:8], "big")
    parts = struct.unpack_from(f"<{data[1]}I", data, 8)
    return "-".join(("S-1", str(authority), *map(str, parts)))


def tell(place: Place, stand: Key | Value, key: Key, kind: EventKind, t: int | None = None, **more: Any) -> Event:
    """An event on a key or on a value's data.

    ``t``: nanoseconds, UTC unless ``t_basis`` is given. Header fields by their names, all others are the event's own; those
    that are None are left out.
    """
    offset, length = stand.span if isinstance(stand, Value) else (stand.offset, stand.length)
    span = more.pop("span", None)
    if span is not None:
        offset, length = span
    basis = more.pop("t_basis", TimeBasis.UTC if t is not None else TimeBasis.NONE)
    t_kind = more.pop("t_kind", "modified" if t is not None else "recorded")
    header = {name: more.pop(name) for name in list(more) if name in _HEADER}
    fields: dict[str, Any] = {"key": place.path(key.path)}
    if isinstance(stand, Value):
        fields["value"] = stand.name
    fields |= {name.rstrip("_"): value for name, value in more.items() if value is not None}
    if place.user is not None:
        header.setdefault("user", place.user)
    return Event(offset, length, kind, t, basis if t is not None else TimeBasis.NONE, t_kind, fields=fields, **header)
