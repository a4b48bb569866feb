# SPDX-License-Identifier: Apache-2.0
"""One slice of events against a plan: dictionaries of unique values, one automaton pass each, then exact sets of rows.

A leaf is looked up over the unique values of its column, never over the rows; sets of rows are made only for rules whose
gate opened. A missing value makes a leaf false and its NOT true.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import cast

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.detect.sigma_columns import KEYWORDS, Columns
from headwater.detect.sigma_leaf import matching
from headwater.detect.sigma_plan import CONTAINS, ENDS, EVERY, STARTS, VERIFY, Dictionary, Node, Plan
from headwater.detect.sigma_tree import Leaf
from headwater.formats.distinct import distinct

Rows = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]
_SEPARATOR = "\x00"
_ALL = 1 << 62
SAMPLE, COMMON = 2048, 0.04  # values tried first; a text in more of them than this share is laid aside


class Coded:
    """One column of a slice: its unique values, in lower case as well, and for each row which of them it has."""

    def __init__(self, column: pl.Series) -> None:
        found = distinct(column if column.dtype == pl.Int64 else column.cast(pl.String))
        self.values, self.codes = found.values.cast(pl.String), found.codes
        self.count = len(self.values)
        self.lower = self.values.str.to_lowercase()
        self.counts = np.bincount(self.codes, minlength=self.count + 1)
        self._order: Rows | None = None
        self._starts: Rows | None = None

    def null(self) -> Marks:
        """Which rows have no value."""
        return cast(Marks, self.codes == self.count)

    def matching(self, leaf: Leaf, which: Rows) -> Marks:
        """Whether each of these values, by number, fits a leaf."""
        values, lower = self.values, self.lower
        if len(which) < self.count:
            at = pl.Series(which)
            values, lower = values.gather(at), lower.gather(at)
        return matching(leaf, values, lower)

    def rows(self, which: Rows) -> Rows:
        """The rows that have one of these values, in order."""
        if not len(which):
            return np.empty(0, np.int64)
        if self._order is None or self._starts is None:
            self._order = np.argsort(self.codes)
            self._starts = np.concatenate(([0], np.cumsum(self.counts)))
        if len(which) > 4096:
            marks = np.zeros(self.count + 1, bool)
            marks[which] = True
            return np.flatnonzero(marks[self.codes])
        parts = [self._order[self._starts[w] : self._starts[w + 1]] for w in which]
        return np.sort(np.concatenate(parts))


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
        return matching(leaf, values, values.str.to_lowercase())

    def rows(self, which: Rows) -> Rows:
        """The rows themselves."""
        return which


class Slice:
    """A slice of events, ready for the rules of a plan."""

    def __init__(self, plan: Plan, frame: pl.DataFrame) -> None:
        self._plan = plan
        self.height = frame.height
        self._columns: dict[str, Coded] = {}
        for name in plan.fields():
            if name == KEYWORDS:
                self._columns[name] = Spoken(plan.columns, frame)
            elif len(every := plan.columns.every(name)) == 1:
                self._columns[name] = Coded(frame.get_column(every[0]))
            elif (text := plan.columns.text(name)) is not None:
                self._columns[name] = Coded(frame.select(text.alias("t")).to_series())
        self._found: dict[int, Rows] = {}  # of a leaf, the unique values that match or may match
        self._known: dict[int, npt.NDArray[np.int8]] = {}  # of a leaf, for each unique value: unknown, no, yes
        self._scopes: dict[int, Marks] = {}
        self._sizes: dict[int, int] = {}  # of a node, by its identity
        for name, dictionary in plan.dictionaries.items():
            if name == KEYWORDS:
                self._look_up_keywords(frame, dictionary)
            elif name in self._columns:
                self._look_up(name, self._columns[name], dictionary)

    def _look_up(self, name: str, column: Coded, dictionary: Dictionary) -> None:
        if not column.count:
            return
        if dictionary.equal:
            wanted = pl.DataFrame({"t": list(dictionary.equal)})
            values = pl.DataFrame({"t": column.lower}).with_row_index("v")
            by_text: dict[str, list[int]] = {}
            for value, text in values.join(wanted, on="t", how="inner").iter_rows():
                by_text.setdefault(text, []).append(value)
            for text, at in by_text.items():
                for leaf in dictionary.equal[text]:
                    self._found[leaf] = np.sort(np.asarray(at, np.int64))
        if column.count > 2 * SAMPLE and not dictionary.tried:
            dictionary.tried = True
            seen, value, _, _ = _sought(dictionary, column.lower.head(SAMPLE))
            pairs = np.unique(seen * SAMPLE + value)
            often = np.bincount(pairs // SAMPLE, minlength=len(dictionary.patterns))
            self._plan.lay_aside(name, np.flatnonzero(often > SAMPLE * COMMON).tolist())
        pattern, value, first, last = _sought(dictionary, column.lower)
        if len(pattern):
            self._share(dictionary, pattern, value, first, last)

    def _look_up_keywords(self, frame: pl.DataFrame, dictionary: Dictionary) -> None:
        """Keywords are texts without line feed, so that one in the text of an event stands in one of its columns."""
        gathered: dict[int, list[Rows]] = {}
        for name in self._plan.columns.spoken() if dictionary.patterns else ():
            column = Coded(frame[name])
            pattern, value, _, _ = _sought(dictionary, column.lower)
            for number in np.unique(pattern).tolist():
                rows = column.rows(np.unique(value[pattern == number]))
                for leaf in dictionary.texts[dictionary.patterns[number]]:
                    gathered.setdefault(leaf, []).append(rows)
        for leaf, parts in gathered.items():
            self._found[leaf] = np.unique(np.concatenate(parts))

    def _share(self, dictionary: Dictionary, pattern: Rows, value: Rows, first: Marks, last: Marks) -> None:
        """Give the values in which each text was found to the leaves that ask for it."""
        order = np.argsort(pattern, kind="stable")
        pattern, value, first, last = pattern[order], value[order], first[order], last[order]
        bounds = np.flatnonzero(np.r_[True, pattern[1:] != pattern[:-1], True])
        gathered: dict[int, list[Rows]] = {}
        for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            text = dictionary.patterns[int(pattern[start])]
            here = value[start:end]
            kinds = {CONTAINS: here, VERIFY: here, STARTS: here[first[start:end]], ENDS: here[last[start:end]]}
            for leaf in dictionary.texts[text]:
                found = kinds[self._plan.needs[leaf].how]
                if len(found):
                    gathered.setdefault(leaf, []).append(found)
        for leaf, parts in gathered.items():
            self._found[leaf] = np.unique(np.concatenate(parts))

    def matches(self) -> Iterator[tuple[int, Rows]]:
        """The number of each rule that matches, and the rows that it matches, in order of number."""
        awake = set(self._plan.ungated)
        for leaf in self._found:
            awake.update(self._plan.gated.get(leaf, ()))
        for number in sorted(awake):
            rows = self._rule(number)
            if len(rows):
                yield number, rows

    def _rule(self, number: int) -> Rows:
        tree, scope = self._plan.trees[number], self._plan.scopes[number]
        if tree.op == "never":
            return np.empty(0, np.int64)
        rows = self._likely(tree)
        if scope >= 0:
            marks = self._scope(scope)
            rows = np.flatnonzero(marks) if rows is None else rows[marks[rows]]
        elif rows is None:
            rows = np.arange(self.height)
        return self._exact(tree, rows) if len(rows) else rows

    def _scope(self, number: int) -> Marks:
        if number not in self._scopes:
            tree = self._plan.scope_trees[number]
            rows = self._likely(tree)
            exact = self._exact(tree, np.arange(self.height) if rows is None else rows)
            marks = np.zeros(self.height, bool)
            marks[exact] = True
            self._scopes[number] = marks
        return self._scopes[number]

    def _size(self, node: Node) -> int:
        """At most so many rows match."""
        known = self._sizes.get(id(node))
        if known is None:
            known = self._sizes[id(node)] = self._sized(node)
        return known

    def _sized(self, node: Node) -> int:
        if node.op == "leaf":
            need = self._plan.needs[node.leaf]
            if need.how == EVERY:
                return _ALL
            found = self._found.get(node.leaf)
            return 0 if found is None else int(self._columns[need.column].counts[found].sum())
        if node.op == "and":
            return min(map(self._size, node.args))
        if node.op == "or":
            return min(_ALL, sum(map(self._size, node.args)))
        return 0 if node.op == "never" else _ALL

    def _likely(self, node: Node) -> Rows | None:
        """Rows among which all matches are; None for all rows."""
        if node.op == "leaf":
            need = self._plan.needs[node.leaf]
            if need.how == EVERY:
                return None
            found = self._found.get(node.leaf)
            return np.empty(0, np.int64) if found is None else self._columns[need.column].rows(found)
        if node.op == "and":
            return self._likely(min(node.args, key=self._size))
        if node.op == "or":
            parts = list(map(self._likely, node.args))
            known = [p for p in parts if p is not None]
            if len(known) != len(parts):
                return None
            marks = np.zeros(self.height, bool)
            for part in known:
                marks[part] = True
            return np.flatnonzero(marks)
        return np.empty(0, np.int64) if node.op == "never" else None

    def _exact(self, node: Node, rows: Rows) -> Rows:
        """Those of the rows that match, in order."""
        return rows[self._marks(node, rows)]

    def _marks(self, node: Node, rows: Rows) -> Marks:
        """Of each of the rows whether it matches; what is cheap and rare is looked at first."""
        if node.op == "leaf" and len(rows):
            return self._leaf(node.leaf, rows)
        if node.op == "not":
            return ~self._marks(node.args[0], rows)
        if node.op in ("and", "or"):
            every = node.op == "and"
            found = np.full(len(rows), every)
            left = np.arange(len(rows))
            for arg in sorted(node.args, key=self._worth_first if every else self._worth_last):
                if not len(left):
                    break
                mine = self._marks(arg, rows[left])
                found[left] = mine
                left = left[mine if every else ~mine]
            return found
        return np.full(len(rows), node.op == "always")

    def _worth_first(self, node: Node) -> tuple[int, int]:
        return self._size(node), self._plan.cost(node)

    def _worth_last(self, node: Node) -> tuple[int, int]:
        return -self._size(node), self._plan.cost(node)

    def _leaf(self, number: int, rows: Rows) -> Marks:
        need = self._plan.needs[number]
        column = self._columns[need.column]
        if need.leaf.op in ("null", "exists"):
            missing = column.codes[rows] == column.count
            return cast(Marks, missing if need.leaf.op == "null" or not need.leaf.value else ~missing)
        if need.leaf.op == "field":
            return self._reference(need.leaf.value, column, rows)
        known = self._known.get(number)
        if known is None:
            known = np.zeros(column.count + 1, np.int8) if need.how == EVERY else np.ones(column.count + 1, np.int8)
            if need.how != EVERY and number in self._found:
                known[self._found[number]] = 0 if need.how == VERIFY else 2
            known[column.count] = 1
            self._known[number] = known
        codes = column.codes[rows]
        state = known[codes]
        if not state.all():
            marks = np.zeros(len(known), bool)
            marks[codes[state == 0]] = True
            open_ = np.flatnonzero(marks)
            known[open_] = np.where(column.matching(need.leaf, open_), 2, 1)
            state = known[codes]
        return cast(Marks, state == 2)

    def _reference(self, value: tuple[str, bool, bool], column: Coded, rows: Rows) -> Marks:
        """A field compared with another field of the same event."""
        name, starts, ends = value
        other = self._columns.get(name.lower())
        if other is None:
            return np.zeros(len(rows), bool)
        pair = pl.DataFrame(
            {"a": _gathered(column, rows), "b": _gathered(other, rows)}, schema={"a": pl.String, "b": pl.String}
        )
        left, right = pl.col("a"), pl.col("b")
        if starts and ends:
            test = left.str.contains(right, literal=True)
        else:
            test = left.str.starts_with(right) if starts else left.str.ends_with(right) if ends else left == right
        return cast(Marks, pair.select(test.fill_null(False)).to_series().to_numpy().astype(bool))


def _sought(dictionary: Dictionary, values: pl.Series) -> tuple[Rows, Rows, Marks, Marks]:
    """Every text of a dictionary in every value: text, value, and whether it stands at its begin and at its end."""
    empty = np.empty(0, np.int64)
    if dictionary.automaton is None or not len(values):
        return empty, empty, empty.astype(bool), empty.astype(bool)
    ends = np.cumsum(values.str.len_bytes().to_numpy().astype(np.int64) + 1) - 1
    haystack = cast(str, values.str.join(_SEPARATOR).item()).encode("utf-8", "surrogatepass")
    hits = dictionary.automaton.find_matches_as_indexes(haystack, overlapping=True)
    table = np.fromiter(chain.from_iterable(hits), np.int64, count=3 * len(hits)).reshape(-1, 3)
    value = np.searchsorted(ends, table[:, 1])
    inside = table[:, 2] <= ends[np.minimum(value, len(ends) - 1)]
    table, value = table[inside], value[inside]
    starts = np.concatenate(([0], ends[:-1] + 1))
    return table[:, 0], value, table[:, 1] == starts[value], table[:, 2] == ends[value]


def _gathered(column: Coded, rows: Rows) -> pl.Series:
    codes = column.codes[rows]
    at = pl.Series(codes, dtype=pl.Int64).set(pl.Series(codes == column.count), None)
    return column.lower.gather(at.cast(pl.UInt32))
