# SPDX-License-Identifier: Apache-2.0
"""The header's columns of audit records of one shape from the values of their keys, as :mod:`headwater.examine.audit_lines` makes them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from headwater.examine.audit_fields import ABOUT_ACCOUNT, ARGUMENTS, BY_ACCOUNT
from headwater.examine.audit_lines import ADDRESS
from headwater.examine.audit_values import Number, Pool, Text, equals, joined, views_from
from headwater.examine.line_views import Bytes, Flags, find_back
from headwater.examine.line_words import ipv4

GOOD, BAD = (b"success", b"yes", b"1"), (b"failed", b"no", b"0")
_MAPPED = re.compile(rb"::ffff:[0-9.]+\Z")
_ADDRESS = re.compile(ADDRESS[:-1].encode() + rb"\Z")
_OPERATION, _PUBKEY, _ADDS = 1, 2, 4

Given = Mapping[str, Text | Number]


def _of(given: Given, key: str) -> Text | None:
    found = given.get(key)
    return found if isinstance(found, Text) else None


def _first(first: Text | None, second: Text | None) -> Text | None:
    """The first text, and where there is none the second."""
    if first is None or second is None or first.there is None:
        return second if first is None else first
    views = np.where(first.there, first.views, second.views)
    return Text(views, None if second.there is None else first.there | second.there)


def outcome_of(given: Given, other: str | None, rows: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """1 where the record says that it was done, 2 where it failed; ``other``: what belongs to no key."""
    said = _of(given, "res") or _of(given, "success")
    denied = other is not None and "denied" in other
    if said is None:
        return np.full(rows, 2 if denied else 0, dtype=np.uint8)
    good = equals(said, *GOOD)
    found = np.where(good, 1, 2) if denied else good + equals(said, *BAD) * np.uint8(2)
    return np.broadcast_to(found.astype(np.uint8), (rows,))


def operation_of(given: Given, rows: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Flags of what was done."""
    op = _of(given, "op")
    if op is None:
        return np.zeros(rows, dtype=np.uint8)
    found = equals(op, b"pubkey") * np.uint8(_PUBKEY) + equals(op, b"add-user", b"adding user") * np.uint8(_ADDS)
    return np.broadcast_to(found.astype(np.uint8) | np.uint8(_OPERATION), (rows,))


def _peer(block: Bytes, address: Text) -> Text | None:
    """The address where it is one; of one of IPv4 in that of IPv6 only the former."""
    start, end = address.start, address.end
    assert start is not None
    assert end is not None
    there = ipv4(block, start, end)
    views = address.views
    odd = np.flatnonzero(~there if address.there is None else ~there & address.there)
    if len(odd):
        views = views.copy()
        for row in odd.tolist():
            text = block[start[row] : end[row]].tobytes()
            there[row] = _ADDRESS.match(text) is not None
            if there[row] and _MAPPED.match(text):
                views[row : row + 1] = views_from(block, start[row : row + 1] + 7, end[row : row + 1], 0)
    if address.there is not None:
        there &= address.there
    return Text(views, None if there.all() else there) if there.any() else None


def _base(block: Bytes, program: Text) -> Text | None:
    """The last part of a program's path."""
    start, end = program.start, program.end
    assert start is not None
    assert end is not None
    first = find_back(block, end, ord("/"), start)
    there: Flags = end > first
    if program.there is not None:
        there &= program.there
    return Text(views_from(block, first, end, 0), None if there.all() else there) if there.any() else None


def certain(given: Given) -> bool:
    """Whether the header can be told from these values."""
    exe, address = _of(given, "exe"), _of(given, "addr")
    return (exe is None or exe.coded is None or "comm" in given) and (address is None or address.coded is None)


def header_of(kind: str, given: Given, rows: int, block: Bytes, pool: Pool) -> dict[str, Text]:
    """User, target, peer, process, command line and file of records of one type."""
    login, user, account = (_of(given, key) for key in ("AUID", "UID", "acct"))
    if login is not None:
        unset = equals(login, b"unset")
        if unset.any():
            login = None if unset.all() else Text(login.views, ~unset)
    made: dict[str, Text | None] = {}
    if kind in BY_ACCOUNT:
        made["user"] = _first(account, user)
    elif kind in ABOUT_ACCOUNT:
        made["user"], made["target_user"] = _first(login, user), _first(account, _of(given, "ID"))
    else:
        made["user"] = _first(user, login)
    address, comm, exe = (_of(given, key) for key in ("addr", "comm", "exe"))
    if address is not None:
        made["src_ip"] = _peer(block, address)
    made["process"] = comm if comm is not None or exe is None else _base(block, exe)
    if kind == "EXECVE":
        arguments = [text for key in ARGUMENTS if (text := _of(given, key)) is not None]
        made["command_line"] = joined(arguments, rows, block, pool) if arguments else None
    else:
        made["command_line"] = _first(_of(given, "cmd"), _of(given, "proctitle"))
    if kind == "PATH":
        made["file_path"] = _of(given, "name")
    return {name: text for name, text in made.items() if text is not None}
