# SPDX-License-Identifier: Apache-2.0
"""Fixed records that stand at the place of a user number, as lastlog and its like have them; mostly holes."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from headwater.model.kinds import GapReason
from headwater.model.records import Event, File, Gap, Record, Skip

_BLOCK_RECORDS = 8192
LIMIT = 1 << 28  # bytes; a user number of a directory service makes a sparse file of hundreds of gigabytes


def text(raw: bytes) -> str | None:
    """A NUL-terminated field; None where it is empty."""
    found = raw.partition(b"\0")[0]
    return found.decode("utf-8", "surrogateescape") if found else None


@functools.lru_cache(maxsize=4096)
def address(host: str | None) -> str | None:
    """The host where it is itself an address."""
    try:
        return str(ipaddress.ip_address((host or "").partition("%")[0]))
    except ValueError:
        return None


def _block(
    at: int, data: bytes, layout: np.dtype[Any], make: Callable[[int, int, Any], Event | None]
) -> Iterator[Record]:
    size = layout.itemsize
    records = np.frombuffer(data, dtype=layout, count=len(data) // size)
    used = records.view("u1").reshape(len(records), -1).any(axis=1) if len(records) else np.zeros(0, dtype=bool)
    last = 0
    for place in np.flatnonzero(used).tolist():
        if place > last:
            yield Skip(at + last * size, (place - last) * size, "no record for these user numbers")
        here = at + place * size
        made = make(here // size, here, records[place])
        yield made or Gap(here, size, GapReason.NOT_THIS_FORMAT, "no record of this file")
        last = place + 1
    if last < len(records):
        yield Skip(at + last * size, (len(records) - last) * size, "no record for these user numbers")


def slots(file: File, layout: np.dtype[Any], make: Callable[[int, int, Any], Event | None]) -> Iterator[Record]:
    """Every record that is not all zeros, by ``make(number, offset, record)``; None from it is a gap."""
    size = layout.itemsize
    end = min(file.size, LIMIT // size * size)
    step = size * _BLOCK_RECORDS
    for at in range(0, end, step):
        want = min(step, end - at)
        try:
            data = file.pread(at, want)
        except OSError as error:
            yield Gap(at, want, GapReason.UNREADABLE, f"input/output error {error.errno}")
            continue
        whole = len(data) // size * size
        yield from _block(at, data[:whole], layout, make)
        if whole < want:
            yield Gap(at + whole, want - whole, GapReason.TRUNCATED, "part of a record")
    if end < file.size:
        yield Gap(end, file.size - end, GapReason.LIMIT, f"beyond the first {LIMIT} bytes")
