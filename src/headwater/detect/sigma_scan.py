# SPDX-License-Identifier: Apache-2.0
"""One slice of events against a plan: dictionaries of unique values, one automaton pass each, then exact sets of rows.

A leaf is looked up over the unique values of its column, never over the rows; sets of rows are made only for rules whose
gate opened. A missing value makes a leaf false and its NOT true.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import polars as pl

from headwater.detect.sigma_coded import SAMPLE, Coded, Found, Joined, Marks, Rows, Spoken, sought
from headwater.detect.sigma_columns import KEYWORDS
from headwater.detect.sigma_look import CONTAINS, ENDS, EVERY, STARTS, VERIFY
from headwater.detect.sigma_plan import FOUND, Dictionary, Node, Plan

_ALL = 1 << 62
_KEPT = 1 << 22  # row numbers kept for one slice because other rules may ask for the same values
_FEW = 1024  # values whose rows are kept
_NONE: Rows = np.empty(0, np.int64)
COMMON = 0.04  # a text in more of the values tried first than this share is laid aside


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
        self._scopes: dict[int, tuple[Rows, Marks]] = {}
        self._all = np.arange(self.height)
        self._sizes: dict[int, int] = {}  # of a node, by its identity
        self._kept: dict[tuple[str, bytes], Rows] = {}  # of values of a column, the rows
        self._room = _KEPT
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
        if not dictionary.tried:
            dictionary.tried = True
            self._try(name, dictionary, column.sample())
        if dictionary.automaton is None:
            return
        text = Joined(column.lower)
        found, loose = sought(dictionary, text), None
        if not text.text.isascii():
            which, folded = column.folded()
            if len(which):
                pattern, value, first, last = sought(dictionary, Joined(folded))
                loose = pattern, which[value], first, last
        del text
        if len(found[0]) or loose is not None:
            self._share(dictionary, found, loose)

    def _try(self, name: str, dictionary: Dictionary, sample: pl.Series) -> None:
        """Lay texts aside that stand in many of these values."""
        if not len(sample):
            dictionary.tried = False
            return
        seen, value, _, _ = sought(dictionary, Joined(sample))
        pairs = np.unique(seen * SAMPLE + value)
        often = np.bincount(pairs // SAMPLE, minlength=len(dictionary.patterns))

        def rarest(choices: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
            shares = [float(cast(float, sample.str.contains_any(list(texts)).mean())) for texts in choices]
            least = min(range(len(choices)), key=shares.__getitem__)
            return choices[least] if shares[least] <= COMMON else ()

        self._plan.lay_aside(name, np.flatnonzero(often > len(sample) * COMMON).tolist(), rarest)

    def _look_up_keywords(self, frame: pl.DataFrame, dictionary: Dictionary) -> None:
        """Keywords are texts without line feed, so that one in the text of an event stands in one of its columns."""
        gathered: dict[int, list[Rows]] = {}
        for name in self._plan.columns.spoken() if dictionary.patterns else ():
            column = Coded(frame[name])
            pattern, value, _, _ = sought(dictionary, Joined(column.lower))
            for number in np.unique(pattern).tolist():
                rows = column.rows(np.unique(value[pattern == number]))
                for leaf in dictionary.texts[dictionary.patterns[number]]:
                    gathered.setdefault(leaf, []).append(rows)
        for leaf, parts in gathered.items():
            self._found[leaf] = np.unique(np.concatenate(parts))

    def _share(self, dictionary: Dictionary, found: Found, loose: Found | None) -> None:
        """Give the values in which each text was found to the leaves that ask for it; ``loose`` to those to be checked."""
        gathered: dict[int, list[Rows]] = {}
        self._gather(dictionary, found, (CONTAINS, VERIFY, STARTS, ENDS), gathered)
        if loose is not None and len(loose[0]):
            self._gather(dictionary, loose, (VERIFY,), gathered)
        for leaf, parts in gathered.items():
            self._found[leaf] = np.unique(np.concatenate(parts))

    def _gather(
        self, dictionary: Dictionary, found_: Found, hows: Sequence[str], gathered: dict[int, list[Rows]]
    ) -> None:
        pattern, value, first, last = found_
        if not len(pattern):
            return
        order = np.argsort(pattern, kind="stable")
        pattern, value, first, last = pattern[order], value[order], first[order], last[order]
        bounds = np.flatnonzero(np.r_[True, pattern[1:] != pattern[:-1], True])
        for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            text = dictionary.patterns[int(pattern[start])]
            here = value[start:end]
            kinds = {CONTAINS: here, VERIFY: here, STARTS: here[first[start:end]], ENDS: here[last[start:end]]}
            for leaf in dictionary.texts[text]:
                how = self._plan.need(leaf).how
                if how in hows and len(kinds[how]):
                    gathered.setdefault(leaf, []).append(kinds[how])

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
        scope = self._plan.scopes[number]
        rows, left = self._likely(self._plan.tree(number))
        if rows is None:
            rows = self._all if scope < 0 else self._scope(scope)[0]
        elif scope >= 0 and len(rows):
            rows = rows[self._scope(scope)[1][rows]]
        return self._exact(left, rows)

    def _scope(self, number: int) -> tuple[Rows, Marks]:
        """The rows of a scope, and for every row whether it is one of them."""
        known = self._scopes.get(number)
        if known is None:
            rows, left = self._likely(self._plan.scope_trees[number])
            exact = self._exact(left, self._all if rows is None else rows)
            marks = np.zeros(self.height, bool)
            marks[exact] = True
            known = self._scopes[number] = exact, marks
        return known

    def _size(self, node: Node) -> int:
        """At most so many rows match."""
        known = self._sizes.get(id(node))
        if known is None:
            known = self._sizes[id(node)] = self._sized(node)
        return known

    def _sized(self, node: Node) -> int:
        if node.op == "leaf":
            need = self._plan.need(node.leaf)
            if need.how == EVERY:
                return _ALL
            found = self._found.get(node.leaf)
            return 0 if found is None else int(self._columns[need.column].counts[found].sum())
        if node.op == "and":
            return min(map(self._size, node.args))
        if node.op == "or":
            return min(_ALL, sum(map(self._size, node.args)))
        return 0 if node.op == "never" else _ALL

    def _likely(self, node: Node) -> tuple[Rows | None, tuple[Node, ...]]:
        """Rows among which all matches are (None for all rows), and what of the node is still to be asked of them."""
        if node.op == "leaf":
            need = self._plan.need(node.leaf)
            if need.how == EVERY:
                return None, (node,)
            found = self._found.get(node.leaf)
            mine = _NONE if found is None else self._rows(need.column, found)
            return mine, () if need.how in FOUND else (node,)
        if node.op == "and":
            best = min(range(len(node.args)), key=lambda at: self._size(node.args[at]))
            rows, left = self._likely(node.args[best])
            return rows, (*left, *node.args[:best], *node.args[best + 1 :])
        if node.op == "or":
            return self._likely_either(node)
        return (_NONE, ()) if node.op == "never" else (None, () if node.op == "always" else (node,))

    def _likely_either(self, node: Node) -> tuple[Rows | None, tuple[Node, ...]]:
        """As :meth:`_likely` of alternatives: the values found of one column are looked up together."""
        parts: list[Rows] = []
        values: dict[str, list[Rows]] = {}
        sure = True
        for arg in node.args:
            if not self._size(arg):
                continue
            found = self._found.get(arg.leaf) if arg.op == "leaf" else None
            if found is not None:
                need = self._plan.need(arg.leaf)
                values.setdefault(need.column, []).append(found)
                sure = sure and need.how in FOUND
                continue
            some, left = self._likely(arg)
            if some is None:
                return None, (node,)
            sure = sure and not left
            parts.append(some)
        for column, each in values.items():
            parts.append(self._rows(column, each[0] if len(each) == 1 else np.unique(np.concatenate(each))))
        return self._together(parts), () if sure else (node,)

    def _rows(self, column: str, which: Rows) -> Rows:
        """The rows that have one of these values of a column; those of few values are kept, for many rules ask for them."""
        if len(which) > _FEW:
            return self._columns[column].rows(which)
        key = column, which.tobytes()
        known = self._kept.get(key)
        if known is None:
            known = self._columns[column].rows(which)
            if len(known) <= self._room:
                self._room -= len(known)
                self._kept[key] = known
        return known

    def _together(self, parts: Sequence[Rows]) -> Rows:
        if len(parts) < 2:
            return parts[0] if parts else _NONE
        if sum(map(len, parts)) < self.height // 32:
            return np.unique(np.concatenate(parts))
        marks = np.zeros(self.height, bool)
        for part in parts:
            marks[part] = True
        return np.flatnonzero(marks)

    def _exact(self, nodes: Sequence[Node], rows: Rows) -> Rows:
        """Those of the rows that match all nodes, in order; what is cheap and rare is looked at first."""
        if len(nodes) > 1 and len(rows):
            nodes = sorted(nodes, key=self._worth_first)
        for node in nodes:
            if not len(rows):
                break
            rows = rows[self._marks(node, rows)]
        return rows

    def _marks(self, node: Node, rows: Rows) -> Marks:
        """Of each of the rows, of which there is one, whether it matches; an array of its own."""
        if node.op == "leaf":
            return self._leaf(node.leaf, rows)
        if node.op == "not":
            return ~self._marks(node.args[0], rows)
        if node.op == "and":
            first, *rest = sorted(node.args, key=self._worth_first)
            found = self._marks(first, rows)
            left = np.flatnonzero(found)
            for arg in rest:
                if not len(left):
                    break
                mine = self._marks(arg, rows[left])
                found[left] = mine
                left = left[mine]
            return found
        return self._either(node.args, rows) if node.op == "or" else np.full(len(rows), node.op == "always")

    def _either(self, args: Sequence[Node], rows: Rows) -> Marks:
        """Of each row whether one of these matches: first what the automata answered, a column at a time."""
        marks: dict[str, Marks] = {}  # of a column, its values
        dear: list[Node] = []
        for arg in args:
            need = self._plan.need(arg.leaf) if arg.op == "leaf" else None
            if need is None or need.how not in FOUND:
                if self._size(arg):
                    dear.append(arg)
            elif (values := self._found.get(arg.leaf)) is not None:
                if need.column not in marks:
                    marks[need.column] = np.zeros(self._columns[need.column].count + 1, bool)
                marks[need.column][values] = True
        found = np.zeros(len(rows), bool)
        for name, mine in marks.items():
            found |= mine[self._columns[name].codes[rows]]
        left = np.flatnonzero(~found)
        for arg in sorted(dear, key=self._worth_last):
            if not len(left):
                break
            mine = self._marks(arg, rows[left])
            found[left] = mine
            left = left[~mine]
        return found

    def _worth_first(self, node: Node) -> tuple[int, int]:
        return self._size(node), self._plan.cost(node)

    def _worth_last(self, node: Node) -> tuple[int, int]:
        return -self._size(node), self._plan.cost(node)

    def _leaf(self, number: int, rows: Rows) -> Marks:
        need = self._plan.need(number)
        column = self._columns[need.column]
        if need.leaf.op in ("null", "exists"):
            missing = column.codes[rows] == column.count
            return cast(Marks, missing if need.leaf.op == "null" or not need.leaf.value else ~missing)
        if need.leaf.op == "field":
            return self._reference(need.leaf.value, column, rows)
        found = self._found.get(number, _NONE)
        codes = column.codes[rows]
        if need.how != EVERY and not len(found):
            return np.zeros(len(rows), bool)
        if need.how in FOUND:
            if len(found) == 1:
                return cast(Marks, codes == found[0])
            fits = np.zeros(column.count + 1, bool)
            fits[found] = True
            return fits[codes]
        known = self._known.get(number)
        if known is None:
            known = np.zeros(column.count + 1, np.int8) if need.how == EVERY else np.ones(column.count + 1, np.int8)
            known[found] = 0
            known[column.count] = 1
            self._known[number] = known
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
        if not starts and not ends and len(rows) > column.count + other.count:
            mine, theirs = column.numbered(other, rows)
            return cast(Marks, (mine == theirs) & (mine >= 0))
        pair = pl.DataFrame({"a": column.texts(rows), "b": other.texts(rows)}, schema={"a": pl.String, "b": pl.String})
        left, right = pl.col("a"), pl.col("b")
        if starts and ends:
            test = left.str.contains(right, literal=True)
        else:
            test = left.str.starts_with(right) if starts else left.str.ends_with(right) if ends else left == right
        return cast(Marks, pair.select(test.fill_null(False)).to_series().to_numpy().astype(bool))
