# SPDX-License-Identifier: Apache-2.0
"""Which events may fit rules of keywords, learnt without putting any event's whole text together.

A keyword is sought in all text of an event, so its rules would read every column of every event once more. Most of the
text stands in columns that other rules look through anyway: their automata are given the texts of which a rule of keywords
needs one (:func:`needed_texts`), and what they find names the events. The columns that nobody else reads are looked
through by themselves. Only the events named are then matched with the rules as they stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from headwater.detect.sigma_columns import Columns, fields
from headwater.detect.sigma_look import literals, telling
from headwater.detect.sigma_rules import Compiled
from headwater.detect.sigma_tree import And, Leaf, Not, Or, Tree, Wild

PLACE = ("source", "path", "offset", "ordinal")
MOST = 200_000  # events named; where there are more, all of the log source are looked at
_TOGETHER = 32  # columns read at once
_EVERYTHING = And(())


class Heard:
    """The rules of keywords of one feed, beside the other rules of that feed."""

    def __init__(self, rules: Sequence[Compiled], others: Sequence[str], columns: Columns) -> None:
        """``others``: the fields that the other rules of the feed look at."""
        self._columns, self._places, self._count = columns, list[pl.DataFrame](), 0
        self._texts: dict[str, None] = {}
        beside: dict[str, str] = {}
        for name in others:
            every = columns.every(name)
            if every:
                beside.setdefault(every[0], name)  # where a field has several columns, the first that is stated counts
        spoken = columns.spoken()
        self._read = [beside[c] for c in spoken if c in beside]
        self._left = [c for c in spoken if c not in beside]
        self.rules = [(self._loosened(rule.tree), rule.route.scope) for rule in rules]

    def _loosened(self, tree: Tree) -> Tree:
        """What must be true of an event for a tree to be, as far as the columns that are read anyway can say.

        An event that fits the tree fits this, or one of the texts gathered here stands in a column that is left.
        """
        if isinstance(tree, Leaf):
            return tree if tree.field is not None else self._within(needed_texts(tree))
        if None not in fields(tree):
            return tree
        if isinstance(tree, Not):
            return _EVERYTHING
        if isinstance(tree, Or):
            return Or(tuple(map(self._loosened, tree.args)))
        spoken = [a for a in tree.args if None in fields(a)]
        texts = needed_texts(And(tuple(spoken)))
        loose = map(self._loosened, spoken) if texts is None else (self._within(texts),)
        return And((*(a for a in tree.args if None not in fields(a)), *loose))

    def _within(self, texts: Sequence[str] | None) -> Tree:
        if texts is None:
            return _EVERYTHING
        self._texts.update(dict.fromkeys(texts))
        return Or(tuple(Leaf(name, "text", (Wild(True), text, Wild(True))) for name in self._read for text in texts))

    def take(self, frame: pl.DataFrame, at: Any) -> None:
        """These rows of a slice may match."""
        if self._count <= MOST:
            self._count += len(at)
            self._places.append(frame.select(PLACE)[at])

    def places(self, scan: Any, where: Any) -> pl.DataFrame | None:
        """The events that may match, as the columns :data:`PLACE`; None where they are too many to be named.

        ``scan`` gives a lazy frame with the columns it is asked for; ``where`` is what the scopes of the rules let through.
        """
        texts = list(self._texts)
        for first in range(0, len(self._left) if texts else 0, _TOGETHER):
            if self._count > MOST:
                return None
            some = self._left[first : first + _TOGETHER]
            told = [pl.col(c).cast(pl.String).str.to_lowercase().str.contains_any(texts).fill_null(False) for c in some]
            frame = scan(some).filter(where) if where is not None else scan(some)
            found = frame.filter(pl.any_horizontal(told)).select(PLACE).collect(engine="streaming")
            self._count += found.height
            self._places.append(found)
        if self._count > MOST:
            return None
        if not self._places:
            return pl.DataFrame(schema=dict.fromkeys(PLACE, pl.Null))
        return pl.concat(self._places).unique()


def needed_texts(tree: Tree) -> tuple[str, ...] | None:
    """Texts in lower case of which one stands in some column of each event that a rule matches; None: none is known."""
    if isinstance(tree, Leaf):
        if tree.field is not None:
            return None
        found = literals(tree)
        return None if found is None or any("\n" in t or not telling(t) for t in found) else found
    if isinstance(tree, Not):
        return None
    parts = [needed_texts(a) for a in tree.args]
    known = [p for p in parts if p is not None]
    if isinstance(tree, Or):
        return None if len(known) != len(parts) or not parts else tuple(dict.fromkeys(t for p in known for t in p))
    return max(known, key=lambda p: (min(map(len, p), default=0), -len(p)), default=None)
