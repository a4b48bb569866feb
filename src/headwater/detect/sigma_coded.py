# SPDX-License-Identifier: Apache-2.0
"""The columns of a slice of events as unique values and numbers, and texts sought in all values of a column in one pass.

A pass looks at so many bytes at once that values which hold the sought texts over and over cannot fill the memory.
"""

from __future__ import annotations

from itertools import chain
from typing import cast

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.detect.sigma_columns import Columns
from headwater.detect.sigma_leaf import in_lower, matching
from headwater.detect.sigma_plan import Dictionary
from headwater.detect.sigma_tree import Leaf
from headwater.detect.uncollected import uncollected
from headwater.formats.distinct import distinct

Rows = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]
_SEPARATOR = "\x00"
SAMPLE = 2048  # values of a column that are tried first, or fewer of long ones
_FEWEST, _SAMPLE_BYTES = 64, 256 << 10
WINDOW = 512 << 10  # bytes looked at in one pass
_OFTEN = 16  # so often asked for rows, a column is worth putting in order
# What PCRE2, Rust and Python take for an ASCII letter when case is ignored, in lower case (U+212A is k there already); the
# last two only Python does: https://docs.python.org/3/library/re.html#re.IGNORECASE
_ALIKE = {"\u017f": "s", "\u0131": "i", "i\u0307": "i"}
_MANY = 1 << 16  # finds of one pass that are put together at once


class Coded:
    """One column of a slice: its unique values, in lower case as well, and for each row which of them it has."""

    def __init__(self, column: pl.Series) -> None:
        found = distinct(column if column.dtype == pl.Int64 else column.cast(pl.String))
        self.values, self.codes = found.values.cast(pl.String), found.codes
        self.count = len(self.values)
        self.lower = self.values.str.to_lowercase()
        self.counts = np.bincount(self.codes, minlength=self.count + 1)
        self._order: Rows | None = None
        self._starts: Rows = np.empty(0, np.int64)
        self._asked = 0

    def matching(self, leaf: Leaf, which: Rows) -> Marks:
        """Whether each of these values, by number, fits a leaf."""
        values = self.lower if in_lower(leaf) else self.values
        return matching(leaf, values if len(which) == self.count else values.gather(pl.Series(which)))

    def rows(self, which: Rows) -> Rows:
        """The rows that have one of these values, in order."""
        self._asked += 1
        if self._order is None and (self._asked <= _OFTEN or len(which) > 4096):
            if len(which) == 1:
                return np.flatnonzero(self.codes == which[0])
            marks = np.zeros(self.count + 1, bool)
            marks[which] = True
            return np.flatnonzero(marks[self.codes])
        if self._order is None:
            few = self.count < 1 << 16  # numpy sorts numbers of two bytes five times as fast
            self._order = np.argsort(self.codes.astype(np.uint16) if few else self.codes, kind="stable")
            self._starts = np.concatenate(([0], np.cumsum(self.counts)))
        parts = [self._order[self._starts[w] : self._starts[w + 1]] for w in which]
        return np.sort(np.concatenate(parts)) if len(parts) != 1 else parts[0]

    def sample(self) -> pl.Series:
        """Some values, in lower case, of a column with many; else none."""
        some = self.lower.head(SAMPLE)
        long = np.searchsorted(np.cumsum(some.str.len_bytes().to_numpy()), _SAMPLE_BYTES)
        some = some.head(max(int(long), _FEWEST))
        return some if self.count > 2 * len(some) else some.clear()

    def folded(self) -> tuple[Rows, pl.Series]:
        """By number and in lower case the values with letters beyond ASCII that expressions without case may take for its own.

        These letters are written as the ASCII letter here. They are rare, so asking costs little where all is ASCII.
        """
        which = np.flatnonzero(self.lower.str.contains_any(list(_ALIKE)).to_numpy())
        values = self.lower.gather(pl.Series(which))
        return which, values.str.replace_many(list(_ALIKE), list(_ALIKE.values()))

    def numbered(self, other: Coded, rows: Rows) -> tuple[Rows, Rows]:
        """For rows the numbers of this column's and of another column's text, one number for one text; -1 for none."""
        both = distinct(pl.concat([self.lower, other.lower]))
        mine = np.append(both.codes[: self.count], -1)
        theirs = np.append(both.codes[self.count :], -1)
        return mine[self.codes[rows]], theirs[other.codes[rows]]

    def texts(self, rows: Rows) -> pl.Series:
        """The values of rows, in lower case."""
        codes = self.codes[rows]
        at = pl.Series(codes, dtype=pl.Int64).set(pl.Series(codes == self.count), None)
        return self.lower.gather(at.cast(pl.UInt32))


class Spoken(Coded):
    """All text of each event, for keywords: every row is a value of its own, and is put together only when asked for."""

    def __init__(self, columns: Columns, frame: pl.DataFrame) -> None:
        self._text, self._frame = columns.keywords(), frame
        self.count = frame.height
        self.codes = np.arange(frame.height)
        self.counts = np.ones(frame.height + 1, np.int64)

    def matching(self, leaf: Leaf, which: Rows) -> Marks:
        """Whether a leaf fits the text of each of these rows."""
        values = self._frame[which].select(self._text.alias("t")).to_series()
        return matching(leaf, values.str.to_lowercase() if in_lower(leaf) else values)

    def rows(self, which: Rows) -> Rows:
        """The rows themselves."""
        return which


Found = tuple[Rows, Rows, Marks, Marks]


class Joined:
    """Values one after the other, to be looked through in one pass: their bytes, and where each of them ends."""

    def __init__(self, values: pl.Series) -> None:
        self.ends: Rows = np.cumsum(values.str.len_bytes().to_numpy().astype(np.int64) + 1) - 1
        self.text: bytes = values.str.join(_SEPARATOR).cast(pl.Binary).item() if len(values) else b""


def sought(dictionary: Dictionary, values: Joined) -> Found:
    """Every text of a dictionary in every value: text, value, and whether it stands at its begin and at its end.

    A text that stands in a value several times may be told several times.
    """
    empty = np.empty(0, np.int64)
    if dictionary.automaton is None or not len(values.ends):
        return empty, empty, empty.astype(bool), empty.astype(bool)
    ends, haystack = values.ends, memoryview(values.text)
    parts = []
    for begin in range(0, max(1, len(haystack)), WINDOW):  # one empty value is a haystack too
        piece = haystack[begin : begin + WINDOW + dictionary.longest - 1]
        with uncollected():
            hits = dictionary.automaton.find_matches_as_indexes(piece, overlapping=True)
            table = np.fromiter(chain.from_iterable(hits), np.int64, count=3 * len(hits)).reshape(-1, 3)
            del hits
        if begin + WINDOW < len(haystack):
            table = table[table[:, 1] < WINDOW]  # what begins later is told by the next pass
        table[:, 1:] += begin
        parts.append(_placed(table, ends))
    return parts[0] if len(parts) == 1 else cast(Found, tuple(map(np.concatenate, zip(*parts, strict=True))))


def _placed(table: Rows, ends: Rows) -> Found:
    """In which value each text stands that was found at such bytes; what crosses two values is none."""
    value = np.searchsorted(ends, table[:, 1])
    inside = table[:, 2] <= ends[np.minimum(value, len(ends) - 1)]
    table, value = table[inside], value[inside]
    starts = np.concatenate(([0], ends[:-1] + 1))
    pattern, first, last = table[:, 0], table[:, 1] == starts[value], table[:, 2] == ends[value]
    if len(pattern) <= _MANY:
        return pattern, value, first, last
    order = np.lexsort((value, pattern))
    pattern, value = pattern[order], value[order]
    at = np.flatnonzero(np.r_[True, (pattern[1:] != pattern[:-1]) | (value[1:] != value[:-1])])
    first, last = (np.logical_or.reduceat(marks[order], at) for marks in (first, last))
    return pattern[at], value[at], first, last
