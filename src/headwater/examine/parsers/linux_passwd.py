# SPDX-License-Identifier: Apache-2.0
"""Accounts as they stand (linux.passwd).

Reads:  /etc/passwd and its backup /etc/passwd-.
Time:   none; the file states no time.
Format: passwd(5), https://man7.org/linux/man-pages/man5/passwd.5.html; lines of NIS (+ and -) are kept and marked.
Limits: accounts of LDAP, SSSD and other directories are not in it.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._accounts import colon_records, number, password
from headwater.model.kinds import EventKind
from headwater.model.records import Event, File, Record, Value

FEED = "linux.passwd"
VERSION = 1
READS = ("/etc/passwd", "/etc/passwd-")


def _event(offset: int, length: int, parts: list[str], backup: bool) -> Event | None:
    name, field, uid, gid, gecos, home, shell = parts
    nis = name[:1] in ("+", "-")
    if not nis and (not name or number(uid) is None or number(gid) is None):
        return None
    state, scheme = ("shadowed", None) if field == "x" else password(field)
    fields: dict[str, Value] = {
        "uid": number(uid),
        "gid": number(gid),
        "gecos": gecos or None,
        "home": home or None,
        "shell": shell or None,
        "password_state": state,
        "hash_scheme": scheme,
        "nis": nis,
        "backup": backup,
    }
    return Event(offset, length, EventKind.STATE_ACCOUNT, user=name, fields=fields)


def parse(file: File) -> Iterator[Record]:
    return colon_records(file, (7,), _event)
