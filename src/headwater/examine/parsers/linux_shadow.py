# SPDX-License-Identifier: Apache-2.0
"""Password states and ages as they stand, never the hashes themselves (linux.shadow).

Reads:  /etc/shadow and its backup /etc/shadow-.
Time:   none; the day of the last change stands as a day number since 1970-01-01 in last_change_day.
Format: shadow(5), https://man7.org/linux/man-pages/man5/shadow.5.html; schemes by crypt(5).
Limits: the hash is not copied out; it is read at the cited bytes by those who need it.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._accounts import colon_records, number, password
from headwater.model.kinds import EventKind
from headwater.model.records import Event, File, Record, Value

FEED = "linux.shadow"
VERSION = 1
READS = ("/etc/shadow", "/etc/shadow-")
_AGES = ("last_change_day", "min_days", "max_days", "warn_days", "inactive_days", "expire_day")


def _event(offset: int, length: int, parts: list[str], backup: bool) -> Event | None:
    name, field, *ages = parts
    if not name or any(age and number(age) is None for age in ages[:6]):
        return None
    state, scheme = password(field)
    fields: dict[str, Value] = {"password_state": state, "hash_scheme": scheme, "backup": backup}
    fields |= {key: number(age) for key, age in zip(_AGES, ages)}
    return Event(offset, length, EventKind.STATE_ACCOUNT, user=name, fields=fields)


def parse(file: File) -> Iterator[Record]:
    return colon_records(file, (9,), _event)
