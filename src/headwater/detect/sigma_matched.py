# SPDX-License-Identifier: Apache-2.0
"""What is kept of the events that a Sigma rule matches: how many, when, who, and the first and last of them.

A rule may match most of a log, so rows are taken by number from columns of the slice, and only those that may be cited are
put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.detect.frames import ORDER
from headwater.formats.distinct import Distinct, distinct

CITED = 200
MOST_HOSTS = 32  # of one item that are told one by one
_PARTS = 16  # pieces of rows held before they are cut to the first and last again
_WHO = ("host", "src_ip", "user")
Rows = npt.NDArray[np.int64]


class Taken:
    """A slice of events, as far as matches are counted: each of its columns is looked at once, when first asked for."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame = frame
        self._source: Rows | None = None
        self._times: tuple[Rows, npt.NDArray[np.bool_]] | None = None
        self._answered: npt.NDArray[np.bool_] | None = None
        self._who: dict[str, Distinct] = {}

    def sources(self, at: Rows) -> list[tuple[int, Rows]]:
        """The rows of each item of evidence."""
        if self._source is None:
            self._source = self.frame["source"].to_numpy().astype(np.int64)
        of = self._source[at]
        if (of == of[0]).all():
            return [(int(of[0]), at)]
        return [(int(number), at[of == number]) for number in np.unique(of)]

    def times(self, at: Rows) -> tuple[Rows, npt.NDArray[np.bool_]]:
        """The times of rows, and which of them state none; these stand after all others."""
        if self._times is None:
            times = self.frame["ts"].cast(pl.Int64)
            missing = times.is_null().to_numpy()
            self._times = times.fill_null(np.iinfo(np.int64).max).to_numpy(), missing
        return self._times[0][at], self._times[1][at]

    def answered(self, at: Rows) -> int:
        """How many of the rows say an outcome other than failure."""
        if self._answered is None:
            said = self.frame["outcome"].cast(pl.String)
            self._answered = (said != "failure").fill_null(False).to_numpy()
        return int(self._answered[at].sum())

    def values(self, name: str, at: Rows) -> list[str]:
        """Two of the values that rows have in a column, or fewer where there are no two."""
        found = self._distinct(name)
        if not len(found.values):
            return []
        numbers = np.unique(found.codes[at])
        numbers = numbers[numbers < len(found.values)][:2]
        return cast(list[str], found.values.gather(pl.Series(numbers, dtype=pl.UInt32)).to_list())

    def hosts(self, at: Rows) -> list[tuple[str | None, Rows]]:
        """The rows of each host that they state, and of none."""
        found = self._distinct("host")
        if not len(found.values):
            return [(None, at)]
        codes = found.codes[at]
        names = [*found.values.to_list(), None]
        return [(names[code], at[codes == code]) for code in np.unique(codes).tolist()]

    def _distinct(self, name: str) -> Distinct:
        if name not in self._who:
            self._who[name] = distinct(self.frame[name].cast(pl.String))
        return self._who[name]

    def outermost(self, at: Rows) -> Rows:
        """Rows among which the first and the last half of :data:`CITED` are, in the order in which rows are told."""
        half = CITED // 2
        if len(at) <= CITED:
            return at
        times, _ = self.times(at)
        parted = np.partition(times, (half - 1, len(times) - half))
        return cast(Rows, at[(times <= parted[half - 1]) | (times >= parted[len(times) - half])])


@dataclass
class Matched:
    """What is kept of a rule's matches on one item of evidence."""

    count: int = 0
    answered: int = 0
    first: int | None = None
    last: int | None = None
    _who: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in _WHO})
    _parts: list[pl.DataFrame] = field(default_factory=list)

    def take(self, slice_: Taken, at: Rows, columns: Sequence[str]) -> None:
        """Add the matches of one slice: rows by number, of which these columns are kept."""
        self.count += len(at)
        self.answered += slice_.answered(at)
        for name, seen in self._who.items():
            if len(seen) < 2:
                seen.update(slice_.values(name, at))
        times, missing = slice_.times(at)
        known = times[~missing]
        if len(known):
            low, high = int(known.min()), int(known.max())
            self.first = low if self.first is None else min(self.first, low)
            self.last = high if self.last is None else max(self.last, high)
        self._parts.append(_ends(slice_.frame[slice_.outermost(at), list(columns)]))
        if len(self._parts) >= _PARTS:
            self._parts = [self.rows()]

    def rows(self) -> pl.DataFrame:
        """The first and last matches, in the order in which rows are told."""
        return _ends(pl.concat(self._parts), always=True)

    def one(self, name: str) -> str | None:
        """The value that all matches that state one agree on."""
        seen = self._who.get(name, set())
        return next(iter(seen)) if len(seen) == 1 else None

    def join(self, other: Matched) -> None:
        """Add what another kept."""
        self.count += other.count
        self.answered += other.answered
        self.first = min((t for t in (self.first, other.first) if t is not None), default=None)
        self.last = max((t for t in (self.last, other.last) if t is not None), default=None)
        for name, seen in self._who.items():
            seen.update(other._who[name])
        self._parts = [self.rows(), other.rows()] if self._parts and other._parts else self._parts + other._parts


class ByHost:
    """A rule's matches on one item of evidence, by host; together where one host at most is stated, or very many are."""

    def __init__(self) -> None:
        self._kept: dict[str | None, Matched] = {}
        self.many = False  # more than :data:`MOST_HOSTS`

    def take(self, slice_: Taken, at: Rows, columns: Sequence[str]) -> None:
        """Add the matches of one slice, as :meth:`Matched.take`."""
        for host, mine in [(None, at)] if self.many else slice_.hosts(at):
            self._kept.setdefault(host, Matched()).take(slice_, mine, columns)
        if len(self._kept) - (None in self._kept) > MOST_HOSTS:
            self._kept, self.many = {None: self._together()}, True

    def each(self) -> list[Matched]:
        """What is told one by one, in order of the hosts' names; what states none comes last."""
        named = sorted(host for host in self._kept if host is not None)
        if len(named) < 2:
            return [self._together()]
        return [self._kept[host] for host in (*named, None) if host in self._kept]

    def _together(self) -> Matched:
        whole = Matched()
        for one in self._kept.values():
            whole.join(one)
        return whole


def _ends(rows: pl.DataFrame, *, always: bool = False) -> pl.DataFrame:
    """Cut to the first and last that may be cited; in order where anything is cut, or always."""
    if rows.height <= CITED and not always:
        return rows
    rows = rows.sort(ORDER, nulls_last=True)
    return rows if rows.height <= CITED else pl.concat([rows.head(CITED // 2), rows.tail(CITED // 2)])
