# SPDX-License-Identifier: Apache-2.0
"""Local accounts and groups, their times, flags and members (windows.account).

Reads:  SAM: Domains\\Account\\Users (F and V of each, Names), Aliases of Account and Builtin.
Time:   per account: last logon, password set, last wrong password, and the last write of its key; FILETIME, UTC.
Format: https://www.beginningtoseethelight.org/ntsecurity/, https://github.com/libyal/winreg-kb/blob/main/docs/sources/security-account-manager-keys
Limits: passwords are not decrypted: only whether a hash is there; domain accounts stand in the domain's database.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from headwater.examine.artifacts._telling import filetime, sid, tell, under
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive, Key, text_of
from headwater.model.kinds import EventKind, GapReason
from headwater.model.records import Event, Gap, Value

FEED = "windows.account"
VERSION = 1
HIVES = ("sam",)
_V_DATA = 0xCC
_V_NAMES = (("name", 0x0C), ("full_name", 0x18), ("comment", 0x24), ("home", 0x48), ("script", 0x60), ("profile", 0x6C))
_HASHES = (("lm_hash", 0x9C), ("nt_hash", 0xA8))
FLAGS = (
    (0x0001, "disabled"), (0x0004, "no-password-required"), (0x0010, "normal"), (0x0040, "trust"), (0x0080, "workstation"),
    (0x0100, "server"), (0x0200, "password-never-expires"), (0x0400, "locked"),
)  # fmt: skip
_MEMBERS_MOST = 10_000


def read(hive: Hive, place: Place) -> Iterator[Event | Gap]:
    """Of each account its state and its times; of each group its members."""
    named: dict[int, list[str]] = {}
    for key in under(hive.root, "SAM\\Domains\\Account\\Users\\Names"):
        value = key.value("")
        if value is not None:
            named.setdefault(value.type, []).append(key.name)
    for key in under(hive.root, "SAM\\Domains\\Account\\Users"):
        if key.name.lower() != "names":
            yield from _account(key, place, named)
    for domain in ("Account", "Builtin"):
        for key in under(hive.root, f"SAM\\Domains\\{domain}\\Aliases"):
            yield from _group(key, place, domain)


def _account(key: Key, place: Place, named: dict[int, list[str]]) -> Iterator[Event | Gap]:
    fixed, variable = key.value("F"), key.value("V")
    rid = _rid(key)
    if fixed is None or variable is None or len(fixed.data) < 68 or len(variable.data) < _V_DATA:
        yield Gap(key.offset, 0, GapReason.NOT_THIS_FORMAT, "an account without its two records, or with cut ones")
        return
    data = fixed.data
    own_rid, flags = struct.unpack_from("<I4xH", data, 48)
    wrong, logons = struct.unpack_from("<HH", data, 64)
    said = _variable(variable.data)
    names = named.get(rid, []) if rid is not None else []
    user = said.pop("name") or (names[0] if names else None)
    said |= {
        "rid": rid, "f_rid": own_rid, "flags": " ".join(word for bit, word in FLAGS if flags & bit), "logons": logons,
        "wrong_passwords": wrong, "listed_as": " ".join(names) or None, "disabled": bool(flags & 1),
    }  # fmt: skip
    kind = EventKind.STATE_ACCOUNT
    yield tell(place, variable, key, kind, key.written, user=user, **said)
    for at, what in ((8, "last-logon"), (24, "password-set"), (40, "last-wrong-password"), (32, "expires")):
        time = filetime(data, at)
        if time is not None:
            yield tell(
                place, fixed, key, kind, time, t_kind=what, user=user, rid=rid, logons=logons, wrong_passwords=wrong
            )


def _rid(key: Key) -> int | None:
    """The number of an account or group, which is the name of its key."""
    try:
        return int(key.name, 16)
    except ValueError:
        return None


def _variable(data: bytes) -> dict[str, Value]:
    """The texts of V, and whether there are password hashes (never their values)."""
    said: dict[str, Value] = {}
    for name, at in _V_NAMES:
        where, size = struct.unpack_from("<II", data, at)
        text = text_of(data[_V_DATA + where : _V_DATA + where + min(size, 2048)])
        said[name] = text or None
    for name, at in _HASHES:
        size = struct.unpack_from("<I", data, at + 4)[0]
        # 4 and 24 bytes are the headers of an RC4 and of an AES hash with nothing behind them
        said[name] = "there" if size > 4 and size != 24 else "none"
    return said


def _group(key: Key, place: Place, domain: str) -> Iterator[Event | Gap]:
    value = key.value("C")
    if value is None:
        return
    data = value.data
    if len(data) < 0x34:
        yield Gap(value.offset, 0, GapReason.TRUNCATED, "a group whose record is cut")
        return
    name_at, name_size = struct.unpack_from("<II", data, 0x10)
    note_at, note_size = struct.unpack_from("<II", data, 0x1C)
    at, _, count = struct.unpack_from("<III", data, 0x28)
    members, place_in = [], 0x34 + at
    for _ in range(min(count, _MEMBERS_MOST)):
        member = sid(data[place_in : place_in + 68])
        if member is None:
            break
        members.append(member)
        place_in += 8 + 4 * data[place_in + 1]
    yield tell(
        place, value, key, EventKind.STATE_GROUP, key.written, group=text_of(data[0x34 + name_at : 0x34 + name_at + name_size]),
        comment=text_of(data[0x34 + note_at : 0x34 + note_at + min(note_size, 2048)]) or None, rid=_rid(key), domain=domain,
        members=" ".join(members), member_count=count,
    )  # fmt: skip
