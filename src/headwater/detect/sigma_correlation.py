# SPDX-License-Identifier: Apache-2.0
"""Sigma correlation rules: windows over the events that other rules matched, merged into episodes.

Specification: https://github.com/SigmaHQ/sigma-specification/blob/main/specification/sigma-correlation-rules-specification.md
A window begins at an event and lasts the time span, both ends included; one that adds no event to the window before it
is none of its own. Windows that meet the condition and share an event are one episode. An event that lacks a field of
``group-by`` or has no time is in no window.
"""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sigma.correlations import (
    CorrelationConditionAND,
    CorrelationConditionNOT,
    SigmaCorrelationCondition,
    SigmaCorrelationRule,
    SigmaExtendedCorrelationCondition,
    SigmaRuleReference,
)

from headwater.detect.sigma_leaf import number_of
from headwater.detect.sigma_tree import Unsupported

SECOND = 1_000_000_000
COUNTING = ("event_count", "value_count", "value_sum", "value_avg", "value_percentile", "value_median")
Condition = tuple[Any, ...]  # ("gte", 5) | ("rule", name) | ("and", …) | ("or", …) | ("not", …)
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "neq": lambda a, b: a != b,
}


@dataclass(frozen=True, slots=True)
class Correlation:
    """The compiled form of a correlation; ``span`` in seconds, ``fields`` the condition's own fields."""

    kind: str
    rules: tuple[str, ...]
    span: int
    group_by: tuple[str, ...]
    aliases: tuple[tuple[str, str, str], ...]  # (alias, rule, field)
    condition: Condition
    fields: tuple[str, ...] = ()
    percentile: int = 50
    generate: bool = False

    def plain(self) -> list[Any]:
        """As JSON values."""
        return [
            self.kind, list(self.rules), self.span, list(self.group_by), [list(a) for a in self.aliases],
            _listed(self.condition), list(self.fields), self.percentile, self.generate,
        ]  # fmt: skip

    @staticmethod
    def of(form: Sequence[Any]) -> Correlation:
        """What :meth:`plain` gave."""
        kind, rules, span, group, aliases, condition, fields, percentile, generate = form
        named = tuple((str(a), str(r), str(f)) for a, r, f in aliases)
        return Correlation(
            kind, tuple(rules), span, tuple(group), named, _tupled(condition), tuple(fields), percentile, generate
        )

    def field_of(self, rule: str, names: Iterable[str], field: str) -> str:
        """The field of a rule's events (``names`` are all its names) that a group-by or condition field means."""
        every = {rule, *names}
        return next((f for alias, r, f in self.aliases if alias == field and r in every), field)


@dataclass(frozen=True, slots=True)
class Match:
    """One event that a referenced rule matched: when (UTC ns), which rule, its values, and what it stands for.

    ``group`` and ``values`` follow the correlation's group-by and condition fields; None is a missing value.
    ``rows`` are the numbers of the events behind it (several where it is an episode itself).
    """

    ts: int
    rule: str
    group: tuple[str | None, ...]
    values: tuple[str | None, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Episode:
    """Overlapping windows that met the condition: the group, the time from first to last event, and its events."""

    group: tuple[str, ...]
    first: int
    last: int
    rows: tuple[int, ...]
    count: int
    measure: float  # the highest value of the condition's measure over the windows (matching rules for temporal)


def correlation(rule: SigmaCorrelationRule) -> Correlation:
    """The compiled form of a parsed correlation.

    Raises:
        Unsupported: a part that is not evaluated here.
    """
    kind = rule.type.name.lower()
    held = rule.condition
    fields: tuple[str, ...] = ()
    percentile = 50
    if isinstance(held, SigmaExtendedCorrelationCondition):
        condition = _parsed(held.parsed)
        names = tuple(held.get_referenced_rules())
    elif isinstance(held, SigmaCorrelationCondition):
        condition = (held.op.name.lower(), held.count)
        names = tuple(r.reference for r in rule.rules or ())
        stated = held.fieldref
        fields = () if stated is None else (stated,) if isinstance(stated, str) else tuple(stated)
        percentile = 50 if held.percentile is None else held.percentile
    else:
        raise Unsupported("correlation condition")
    if not names or len(fields) > 8 or not 0 <= percentile <= 100:
        raise Unsupported("a correlation without rules, or with a condition that is out of range")
    aliases = tuple((a.alias, ref.reference, f) for a in rule.aliases for ref, f in a.mapping.items())
    return Correlation(
        kind, names, rule.timespan.seconds, tuple(rule.group_by or ()), aliases, condition, fields, percentile,
        bool(rule.generate),
    )  # fmt: skip


def _parsed(node: Any) -> Condition:
    if isinstance(node, SigmaRuleReference):
        return ("rule", node.reference)
    if isinstance(node, CorrelationConditionNOT):
        return ("not", _parsed(node.args[0]))
    word = "and" if isinstance(node, CorrelationConditionAND) else "or"
    return (word, *(_parsed(a) for a in node.args))


def _listed(condition: Condition) -> list[Any]:
    return [_listed(c) if isinstance(c, tuple) else c for c in condition]


def _tupled(form: Sequence[Any]) -> Condition:
    return tuple(_tupled(c) if isinstance(c, list) else c for c in form)


def episodes(what: Correlation, matches: Iterable[Match]) -> Iterator[Episode]:
    """The episodes of a correlation over the matches of its rules, by group, then by time."""
    groups: dict[tuple[str, ...], list[Match]] = {}
    for match in matches:
        key = tuple(g for g in match.group if g is not None)
        if len(key) == len(what.group_by):
            groups.setdefault(key, []).append(match)
    for group, held in sorted(groups.items()):
        held.sort(key=lambda m: (m.ts, m.rows))
        yield from _merged(group, held, _windows(what, held))


def _merged(
    group: tuple[str, ...], held: Sequence[Match], windows: Iterable[tuple[int, int, float]]
) -> Iterator[Episode]:
    """Windows as (first, end, measure) over the matches, in order of first; those that overlap are one."""
    open_: tuple[int, int, float] | None = None
    for first, end, measure in windows:
        if open_ is not None and first < open_[1]:
            open_ = (open_[0], max(open_[1], end), max(open_[2], measure))
            continue
        if open_ is not None:
            yield _episode(group, held, *open_)
        open_ = (first, end, measure)
    if open_ is not None:
        yield _episode(group, held, *open_)


def _episode(group: tuple[str, ...], held: Sequence[Match], first: int, end: int, measure: float) -> Episode:
    mine = held[first:end]
    rows = tuple(dict.fromkeys(r for m in mine for r in m.rows))
    return Episode(group, mine[0].ts, mine[-1].ts, rows, len(mine), measure)


def _windows(what: Correlation, held: Sequence[Match]) -> Iterator[tuple[int, int, float]]:
    """The windows that meet the condition."""
    span, end = what.span * SECOND, 0
    times = _times(held)
    measure = _Distinct() if what.kind == "value_count" else _Numbers(what.kind, what.percentile)
    for first, match in enumerate(held):
        before = end
        while end < len(held) and held[end].ts <= match.ts + span:
            if what.fields:
                measure.add(held[end].values)
            end += 1
        if end == before:
            if what.fields:
                measure.drop(match.values)
            continue
        if what.kind not in COUNTING:
            found = _temporal(what, times, match.ts, match.ts + span)
        elif what.kind == "event_count":
            found = _met(what.condition, float(end - first))
        else:
            found = _met(what.condition, measure.value())
        if what.fields:
            measure.drop(match.values)
        if found is not None:
            yield first, end, found


def _times(held: Sequence[Match]) -> dict[str, list[int]]:
    times: dict[str, list[int]] = {}
    for match in held:
        times.setdefault(match.rule, []).append(match.ts)
    return times


def _met(condition: Condition, value: float | None) -> float | None:
    return value if value is not None and _OPERATORS[condition[0]](value, float(condition[1])) else None


def _temporal(what: Correlation, times: Mapping[str, Sequence[int]], since: int, until: int) -> float | None:
    """How many of the rules matched in a window, where that meets the condition; ordered: one after the other."""
    order = []
    for rule in what.rules:
        held = times.get(rule, ())
        at = bisect.bisect_left(held, since)
        if at < len(held) and held[at] <= until:
            order.append(rule)
    if what.condition[0] in _OPERATORS:
        if _met(what.condition, float(len(order))) is None:
            return None
    elif not _holds(what.condition, order):
        return None
    if what.kind == "temporal_ordered" and not _in_order([times[r] for r in order], since, until):
        return None
    return float(len(order))


def _holds(condition: Condition, seen: Sequence[str]) -> bool:
    word, *args = condition
    if word == "rule":
        return args[0] in seen
    if word == "not":
        return not _holds(args[0], seen)
    results = (_holds(a, seen) for a in args)
    return all(results) if word == "and" else any(results)


def _in_order(times: Sequence[Sequence[int]], since: int, until: int) -> bool:
    """Whether one time of each can be picked within a window so that none is before the one that goes before it."""
    at = since
    for each in times:
        later = bisect.bisect_left(each, at)
        if later == len(each) or each[later] > until:
            return False
        at = each[later]
    return True


class _Distinct:
    """How many different values (of one field, or combinations of several) a window holds."""

    def __init__(self) -> None:
        self._held: Counter[tuple[str | None, ...]] = Counter()

    def add(self, values: tuple[str | None, ...]) -> None:
        if None not in values:
            self._held[values] += 1

    def drop(self, values: tuple[str | None, ...]) -> None:
        if None not in values:
            self._held[values] -= 1
            if not self._held[values]:
                del self._held[values]

    def value(self) -> float | None:
        return float(len(self._held))


class _Numbers:
    """Sum, mean, percentile (nearest rank) or median of the numbers in a window; None where it holds none.

    The sum is kept exactly, so that what a window holds does not hang on the windows before it.
    """

    def __init__(self, kind: str, percentile: int) -> None:
        self._kind, self._percentile = kind, percentile
        self._held: list[float] = []
        self._sum = Fraction(0)

    def add(self, values: tuple[str | None, ...]) -> None:
        number = self._number(values)
        if number is not None:
            bisect.insort(self._held, number)
            self._sum += Fraction(number)

    def drop(self, values: tuple[str | None, ...]) -> None:
        number = self._number(values)
        if number is not None:
            del self._held[bisect.bisect_left(self._held, number)]
            self._sum -= Fraction(number)

    @staticmethod
    def _number(values: tuple[str | None, ...]) -> float | None:
        number = None if not values or values[0] is None else number_of(values[0])
        return number if number is not None and math.isfinite(number) else None

    def value(self) -> float | None:
        held = self._held
        if not held:
            return None
        if self._kind == "value_sum":
            return float(self._sum)
        if self._kind == "value_avg":
            return float(self._sum / len(held))
        if self._kind == "value_median":
            middle = len(held) // 2
            return held[middle] if len(held) % 2 else (held[middle - 1] + held[middle]) / 2
        return held[max(0, math.ceil(self._percentile / 100 * len(held)) - 1)]
