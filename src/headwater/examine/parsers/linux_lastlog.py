# SPDX-License-Identifier: Apache-2.0
"""The last login of every user number (linux.lastlog).

Reads:  /var/log/lastlog and its rotations.
Time:   ll_time, seconds, UTC, by the host's own clock.
Format: lastlog of glibc utmp.h: 292 bytes at the place of the user number, or 296 where time is 64-bit; mostly holes.
Limits: holds one login per number; the name of the user stands in passwd. Nothing beyond the first 256 MiB is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from headwater.examine.parsers._slots import address, slots, text
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.records import Event, File, Record

FEED = "linux.lastlog"
VERSION = 1
READS = ("/log/lastlog*",)
_NARROW = np.dtype([("time", "<u4"), ("line", "S32"), ("host", "S256")])
_WIDE = np.dtype([("time", "<i8"), ("line", "S32"), ("host", "S256")])
_SAMPLE = 1 << 20


def _event(number: int, offset: int, record: Any) -> Event | None:
    seconds = int(record["time"])
    line, host = text(bytes(record["line"])), text(bytes(record["host"]))
    if not 0 < seconds < 1 << 33 or (line is not None and any(ord(c) < 32 for c in line)):
        return None
    return Event(
        offset,
        record.dtype.itemsize,
        EventKind.STATE_LASTLOG,
        t_recorded=seconds * 1_000_000_000,
        t_basis=TimeBasis.UTC,
        src_ip=address(host),
        fields={"uid": number, "line": line, "host_text": host},
    )


def _fits(head: bytes, layout: np.dtype[Any]) -> float:
    """The share of used records that make sense in this layout."""
    records = np.frombuffer(head, dtype=layout, count=len(head) // layout.itemsize)
    used = [r for r in records[:4096] if any(r.tobytes())][:64]
    return sum(_event(0, 0, r) is not None for r in used) / len(used) if used else 0.0


def parse(file: File) -> Iterator[Record]:
    try:
        head = file.pread(0, min(file.size, _SAMPLE))
    except OSError:
        head = b""
    wide = _fits(head, _WIDE) > _fits(head, _NARROW)
    return slots(file, _WIDE if wide else _NARROW, _event)
