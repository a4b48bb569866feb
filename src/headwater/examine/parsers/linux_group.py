# SPDX-License-Identifier: Apache-2.0
"""Groups and their members as they stand (linux.group).

Reads:  /etc/group, /etc/gshadow and their backups.
Time:   none; the files state no time.
Format: group(5) and gshadow(5), https://man7.org/linux/man-pages/man5/group.5.html.
Limits: a user's primary group stands in passwd, not here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from headwater.examine.parsers._accounts import colon_records, number, password
from headwater.examine.parsers._text import name_of
from headwater.model.kinds import EventKind
from headwater.model.records import Event, File, Record, Value

FEED = "linux.group"
VERSION = 1
READS = ("/etc/group", "/etc/group-", "/etc/gshadow", "/etc/gshadow-")


def _group(offset: int, length: int, parts: list[str], backup: bool) -> Event | None:
    name, field, gid, members = parts
    nis = name[:1] in ("+", "-")
    if not nis and (not name or number(gid) is None):
        return None
    state, scheme = ("shadowed", None) if field == "x" else password(field)
    fields: dict[str, Value] = {"group": name, "gid": number(gid), "members": members or None}
    fields |= {"password_state": state, "hash_scheme": scheme, "nis": nis, "backup": backup}
    return Event(offset, length, EventKind.STATE_GROUP, fields=fields)


def _gshadow(offset: int, length: int, parts: list[str], backup: bool) -> Event | None:
    name, field, administrators, members = parts
    if not name:
        return None
    state, scheme = password(field)
    fields: dict[str, Value] = {"group": name, "administrators": administrators or None, "members": members or None}
    fields |= {"password_state": state, "hash_scheme": scheme, "backup": backup}
    return Event(offset, length, EventKind.STATE_GROUP, fields=fields)


def parse(file: File) -> Iterator[Record]:
    form: Callable[[int, int, list[str], bool], Event | None]
    form = _gshadow if name_of(file.path).startswith("gshadow") else _group
    return colon_records(file, (4,), form)
