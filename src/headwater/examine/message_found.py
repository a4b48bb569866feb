# SPDX-License-Identifier: Apache-2.0
"""What rules found in a column of messages, and the columns that come of it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from headwater.examine.line_views import Bytes, Flags, Ints, column, numbers
from headwater.examine.message_phrases import Phrased
from headwater.examine.message_rules import RULES


@dataclass(slots=True)
class Found:
    """What the rules found so far in a column of messages: for every row its rule, for every field its values.

    Values stand where a phrase found them in the block (``spans``; ``phrases``), are numbers that it read, follow from the rule
    alone (its constants), or were made by a regex (``made``); no row has one field from two of these.
    """

    rule: Ints
    spans: dict[str, tuple[Ints, Ints]] = field(default_factory=dict)
    counted: dict[str, tuple[Ints, Flags]] = field(default_factory=dict)
    made: dict[str, list[tuple[Ints, pl.Series]]] = field(default_factory=dict)
    phrases: Phrased | None = None  # what the compiled scanner found

    def put(self, name: str, rows: Ints, values: pl.Series) -> None:
        self.made.setdefault(name, []).append((rows, values))

    def put_number(self, name: str, rows: Ints, values: Ints) -> None:
        if name not in self.counted:
            height = len(self.rule)
            self.counted[name] = (np.zeros(height, dtype=np.int64), np.zeros(height, dtype=np.bool_))
        there, valid = self.counted[name]
        there[rows], valid[rows] = values, True

    def put_span(self, name: str, rows: Ints, low: Ints, high: Ints) -> None:
        if name not in self.spans:
            self.spans[name] = (np.zeros(len(self.rule), dtype=np.int64), np.full(len(self.rule), -1, dtype=np.int64))
        starts, ends = self.spans[name]
        starts[rows], ends[rows] = low, high

    def column(self, name: str, dtype: Any, data: Bytes, rules: pl.Series) -> pl.Series | None:
        """The field's values for every row, None where no row has one."""
        parts: list[tuple[Flags | None, pl.Series]] = []
        if self.phrases is not None and name in self.phrases.columns:
            parts.append(self.phrases.columns[name])
        if name in self.spans:
            starts, ends = self.spans[name]
            # an empty value is no value, but the name of a user may be empty
            there = ends >= (starts if name == "user" else starts + 1)
            parts.append((there, column(data, starts, ends, None if there.all() else there)))
        if name in self.counted:
            values, there = self.counted[name]
            parts.append((there, numbers(values, there)))
        constants = _constants().get(name)
        if constants is not None:
            series, by_rule = constants
            there = by_rule[self.rule]
            if there.any():
                parts.append((there, series.gather(rules)))
        if name in self.made:
            parts.append((None, self._gathered(name, dtype)))
        if not parts:
            return None
        whole = parts[-1][1]
        for mask, series in parts[:-1]:
            whole = series.zip_with(pl.Series(mask), whole)
        return whole

    def _gathered(self, name: str, dtype: Any) -> pl.Series:
        pieces = self.made[name]
        values = pl.concat([v.cast(dtype, strict=False).alias(name) for _, v in pieces])
        place = np.full(len(self.rule), len(values), dtype=np.uint32)
        place[np.concatenate([rows for rows, _ in pieces])] = np.arange(len(values), dtype=np.uint32)
        return pl.concat([values, pl.Series(name, [None], dtype=dtype)]).gather(pl.Series(place))


@functools.cache
def _constants() -> dict[str, tuple[pl.Series, Flags]]:
    """For each field that some rule states by itself: its value by number of rule, and whether there is one."""
    names = {name for rule in RULES for name in rule.constants}
    found = {}
    for name in names:
        values = [*(rule.constants.get(name) for rule in RULES), None]
        found[name] = (pl.Series(values), np.array([v is not None for v in values]))
    return found
