# SPDX-License-Identifier: Apache-2.0
"""Failed logins as PAM keeps count of them (linux.faillock).

Reads:  /run/faillock/USER, /var/lib/faillock/USER, /var/log/faillog, /var/log/tallylog.
Time:   seconds, UTC, by the host's own clock.
Format: faillock(8) 64 bytes per failure; faillog(5) 32 and pam_tally2(8) 64 bytes at the place of the user number.
Limits: faillog and tallylog hold only the last failure and a number; a successful login resets them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from headwater.examine.parsers._slots import address, slots, text
from headwater.examine.parsers._text import name_of
from headwater.model.kinds import EventKind, Outcome, TimeBasis
from headwater.model.paths import decode_name, file_layer
from headwater.model.records import Event, File, Record, Value

FEED = "linux.faillock"
VERSION = 1
READS = ("/run/faillock/*", "/var/lib/faillock/*", "/var/log/faillog*", "/var/log/tallylog*")
_FAILLOCK = np.dtype([("source", "S52"), ("reserved", "<u2"), ("status", "<u2"), ("time", "<u8")])
_TALLYLOG = np.dtype([("line", "S52"), ("reserved", "<u2"), ("count", "<u2"), ("time", "<u8")])
_FAILLOG = np.dtype([("count", "<i2"), ("most", "<i2"), ("line", "S12"), ("time", "<i8"), ("lock", "<i8")])
_VALID, _RHOST, _TTY = 1, 2, 4  # bits of faillock's status, faillock.h of Linux-PAM


def _failure(offset: int, record: Any, user: str | None, source: str | None, fields: dict[str, Value]) -> Event | None:
    seconds = int(record["time"])
    if not 0 < seconds < 1 << 33:
        return None
    return Event(
        offset,
        record.dtype.itemsize,
        EventKind.AUTH_FAILURE,
        t_recorded=seconds * 1_000_000_000,
        t_basis=TimeBasis.UTC,
        outcome=Outcome.FAILURE,
        user=user,
        src_ip=source,
        fields=fields,
    )


def _numbered(number: int, offset: int, record: Any) -> Event | None:
    host = text(bytes(record["line"]))
    fields: dict[str, Value] = {"uid": number, "failures": int(record["count"]), "host_text": host}
    return _failure(offset, record, None, address(host), fields)


def parse(file: File) -> Iterator[Record]:
    name = name_of(file.path)
    if re.search(r"/faillock/[^/]+$", file_layer(file.path)):
        user = decode_name(name).decode("utf-8", "surrogateescape")

        def named(_number: int, offset: int, record: Any) -> Event | None:
            status, source = int(record["status"]), text(bytes(record["source"]))
            kind = "host" if status & _RHOST else "tty" if status & _TTY else "service"
            fields: dict[str, Value] = {"valid": bool(status & _VALID), "source_kind": kind, "host_text": source}
            return _failure(offset, record, user, address(source) if status & _RHOST else None, fields)

        return slots(file, _FAILLOCK, named)
    return slots(file, _TALLYLOG if name.startswith("tallylog") else _FAILLOG, _numbered)
