# SPDX-License-Identifier: Apache-2.0
"""The chosen login records of a block and their fields as columns, where it was built by the compiled scanner."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from headwater.examine.line_views import PADDING, Bytes, Ints, Texts, column, find
from headwater.formats import compiled

_HIGH_BITS = np.uint64(0x8080808080808080)
_TEXTS = ("line", "user", "host")
_NUMBERS = ("type", "pid", "termination", "exit", "session")
_PLACES = ("type", "pid", *_TEXTS, "termination", "exit", "session", "sec", "usec", "addr")  # the order of logins.c


@dataclass(frozen=True, slots=True)
class Fields:
    """What the records say, one entry each: times in nanoseconds (where ``stated``), and whether a time goes back."""

    ns: Any
    stated: Any
    backward: pl.Series
    address: pl.Series
    whole: dict[str, Any]
    texts: dict[str, pl.Series]


def six_text(raw: bytes) -> str:
    """An address of sixteen bytes as text."""
    return str(ipaddress.IPv6Address(raw))


class Rows(NamedTuple):
    """The chosen records of a block: ``rows`` are their numbers, ``data`` is the block with zeros behind it."""

    data: Bytes
    records: Any
    rows: Ints

    def field(self, name: str) -> Any:
        """A field of the chosen records."""
        values = self.records[name]
        return values if len(self.rows) == len(values) else values[self.rows]

    def text(self, name: str) -> pl.Series:
        """A NUL-terminated field as text, without a copy; empty is null; what is no UTF-8 stands as ``\\xNN``."""
        width = self.records.dtype[name].itemsize
        start = self.rows * self.records.dtype.itemsize + self.records.dtype.fields[name][1]
        end = find(self.data, start, 0, start + width)
        if not len(start) or not self._high(name, int((end - start).max())):
            return column(self.data, start, end, end > start)
        texts = [self.data[a:b].tobytes().decode("utf-8", "backslashreplace") for a, b in zip(start, end)]
        return pl.Series([text or None for text in texts], dtype=pl.String)

    def _high(self, name: str, longest: int) -> bool:
        """Whether a byte that is no ASCII stands anywhere in the first ``longest`` bytes of this field."""
        size, at = self.records.dtype.itemsize, self.records.dtype.fields[name][1]
        shape = (len(self.records), (longest + 7) // 8)
        wide = np.ndarray(shape, dtype=np.uint64, buffer=self.data, offset=at, strides=(size, 8))
        return bool(np.bitwise_or.reduce(wide, axis=None) & _HIGH_BITS)


def quick_fields(chosen: Rows, before: int | None) -> Fields | None:
    """The fields by the compiled scanner; ``before`` is the time of what precedes them. None where it was not built."""
    library = compiled.library()
    count = len(chosen.rows)
    if library is None or not count:
        return None
    at, dtype = compiled.at, chosen.records.dtype
    wide, big = dtype["session"].itemsize == 8, dtype["type"].byteorder == ">"
    layout = np.array([dtype.itemsize, *(dtype.fields[n][1] for n in _PLACES), wide, big], dtype=np.int32)
    numbers = np.empty((len(_NUMBERS) + 1, count), dtype=np.int64)
    flags = np.empty((3, count), dtype=np.bool_)
    pool = np.zeros(16 * count + PADDING, dtype=np.uint8)
    texts = Texts(chosen.data, count, (*_TEXTS, "address"), pool)
    high = np.zeros(len(_TEXTS), dtype=np.int64)
    rows = compiled.whole(chosen.rows)
    places = [np.array([at(row) for row in rows_of], dtype=np.uint64) for rows_of in (numbers, flags)]
    sixes = compiled.checked(
        library.hw_logins(
            at(chosen.data), len(chosen.data), at(rows), count, at(layout), before or 0, before is not None,
            at(places[0]), at(places[1]), at(pool), *texts.places(), at(high),
        )
    )  # fmt: skip
    address = texts.column(len(_TEXTS), count)
    if sixes:
        raw = np.ascontiguousarray(chosen.field("addr")).view("u1").reshape(-1, 16)
        where = np.flatnonzero(flags[2])
        address = address.scatter(where, [six_text(raw[k].tobytes()) for k in where.tolist()])
    made = {n: chosen.text(n) if high[k] else texts.column(k, count) for k, n in enumerate(_TEXTS)}
    whole = dict(zip(_NUMBERS, numbers))
    return Fields(numbers[-1], flags[0], pl.Series(flags[1]), address, whole, made)
