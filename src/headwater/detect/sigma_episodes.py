# SPDX-License-Identifier: Apache-2.0
"""Correlations over what the rules of one run matched: gathers their events, and makes findings of the episodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from headwater.detect.frames import ORDER, STAND, names, state
from headwater.detect.sigma_columns import Columns
from headwater.detect.sigma_correlation import Correlation, Episode, Match, episodes
from headwater.detect.sigma_rules import Compiled, Correlated, Pack
from headwater.formats.canonical import identify
from headwater.model.kinds import Confidence
from headwater.model.nouns import Finding, Text
from headwater.model.ports import Events

MOST = 1_000_000  # events that correlations hold; beyond it those of one rule are named as too many
MOST_EPISODES = 1_000
_ROW = "\x00row"
_Held = list[tuple[int | None, int, dict[str, str | None]]]


class Sequel:
    """The correlations of a pack, and the events of the rules that they speak of."""

    def __init__(self, pack: Pack) -> None:
        self._correlations = pack.correlations
        self._by_name: dict[str, Compiled | Correlated] = {}
        every: list[Compiled | Correlated] = [*pack.rules, *pack.correlations]
        for rule in every:
            for name in rule.names:
                self._by_name.setdefault(name, rule)
        self._fields: dict[str, dict[str, None]] = {}
        self._quiet: set[str] = set()
        self._frames: list[pl.DataFrame] = []
        self._held: dict[str, _Held] = {}
        self._count = 0
        self._full: set[str] = set()
        for made in pack.correlations:
            for name in made.what.rules:
                target = self._by_name.get(name)
                if target is None:
                    continue
                wanted = self._fields.setdefault(target.card.id, {})
                wanted.update(dict.fromkeys(made.what.field_of(name, target.names, f) for f in _asked(made.what)))
                if not made.what.generate and all(n in self._by_name for n in made.what.rules):
                    self._quiet.add(target.card.id)

    def silent(self, rule: Compiled) -> bool:
        """Whether a rule serves only correlations."""
        return rule.card.id in self._quiet

    def columns(self, rules: Sequence[Compiled], columns: Columns) -> list[str]:
        """The columns that correlations need of the events of these rules."""
        wanted = {c for r in rules for f in self._fields.get(r.card.id, ()) for c in columns.every(f)}
        return sorted(wanted)

    def wants(self, rule: Compiled) -> bool:
        """Whether a correlation speaks of a rule."""
        return rule.card.id in self._fields

    def take(self, rule: Compiled, rows: pl.DataFrame, columns: Columns) -> None:
        """Keep matches of a rule where a correlation speaks of it."""
        wanted = self._fields.get(rule.card.id)
        if wanted is None or rule.card.id in self._full:
            return
        if self._count + rows.height > MOST:
            self._full.add(rule.card.id)
            return
        first = self._count
        self._count += rows.height
        texts = [columns.text(f) for f in wanted]
        values = rows.select(
            [(pl.lit(None, pl.String) if t is None else t).alias(f) for f, t in zip(wanted, texts, strict=True)]
        )
        held = self._held.setdefault(rule.card.id, [])
        for at, (ts, row) in enumerate(zip(rows["ts"].to_list(), _each(values, rows.height), strict=True)):
            held.append((ts, first + at, row))
        who = [c for c in ("kind", "host", "src_ip", "user") if c in rows.columns]
        self._frames.append(rows.select(*STAND, *who, pl.int_range(first, self._count).alias(_ROW)))

    def findings(self, events: Events) -> Iterator[tuple[Correlated, list[Finding] | str]]:
        """The findings of each correlation, or why it cannot run; those that speak of others after these."""
        if not self._correlations:
            return
        rows = pl.concat(self._frames) if self._frames else None
        done: dict[str, list[Episode]] = {}
        left = list(self._correlations)
        while left:
            ready = [c for c in left if not any(self._waits(n, left) for n in c.what.rules)]
            if not ready:
                yield from ((c, "correlations that refer to each other in a circle") for c in left)
                return
            for made in ready:
                why = self._missing(made, done)
                if why:
                    yield made, why
                    continue
                done[made.card.id] = list(episodes(made.what, self._matches(made.what, done)))
                silent = made.card.id in self._quiet
                yield made, [] if silent or rows is None else list(_findings(events, made, done[made.card.id], rows))
            left = [c for c in left if c not in ready]

    def _waits(self, name: str, left: Sequence[Correlated]) -> bool:
        target = self._by_name.get(name)
        return isinstance(target, Correlated) and target in left

    def _missing(self, made: Correlated, done: Mapping[str, Any]) -> str | None:
        for name in made.what.rules:
            target = self._by_name.get(name)
            if target is None:
                return f"refers to the rule {name}, which is not here or cannot run"
            if isinstance(target, Correlated) and target.card.id not in done:
                return f"refers to the correlation {name}, which cannot run"
            if target.card.id in self._full:
                return f"the rule {name} matches more than {MOST} events"
        return None

    def _matches(self, what: Correlation, done: Mapping[str, Sequence[Episode]]) -> Iterator[Match]:
        for name in what.rules:
            target = self._by_name[name]
            group = [what.field_of(name, target.names, f) for f in what.group_by]
            value = [what.field_of(name, target.names, f) for f in what.fields]
            if isinstance(target, Correlated):
                for one in done[target.card.id]:
                    stated = dict(zip(target.what.group_by, one.group, strict=True))
                    yield Match(
                        one.last,
                        name,
                        tuple(stated.get(g) for g in group),
                        tuple(stated.get(v) for v in value),
                        one.rows,
                    )
                continue
            for ts, row, stated_row in self._held.get(target.card.id, ()):
                if ts is not None:
                    yield Match(
                        ts, name, tuple(stated_row[g] for g in group), tuple(stated_row[v] for v in value), (row,)
                    )


def _asked(what: Correlation) -> tuple[str, ...]:
    return (*what.group_by, *what.fields)


def _each(values: pl.DataFrame, height: int) -> Iterator[dict[str, str | None]]:
    if not values.width:
        yield from ({} for _ in range(height))
        return
    yield from values.iter_rows(named=True)


def _findings(events: Events, made: Correlated, found: Sequence[Episode], rows: pl.DataFrame) -> Iterator[Finding]:
    """One finding for each episode, the largest first where there are very many; in order of time."""
    card, what = made.card, made.what
    told = sorted(
        sorted(found, key=lambda e: (-e.count, e.first, e.group))[:MOST_EPISODES], key=lambda e: (e.first, e.group)
    )
    claims = ["kind", "host", "src_ip", "user"]
    for one in told:
        ends = one.rows if len(one.rows) <= 200 else (*one.rows[:100], *one.rows[-100:])
        part = rows.filter(pl.col(_ROW).is_in(list(ends))).drop(_ROW).sort(ORDER, nulls_last=True)
        group = [f"{f}={g}" for f, g in zip(what.group_by, one.group, strict=True)]
        zh = f"Sigma 关联规则“{card.title.zh}”（作者：{card.author}）成立一次：{what.span} 秒的时间窗内共 {one.count} 条记录"
        en = f'The Sigma correlation "{card.title.en}" (author: {card.author}) holds: {one.count} records in windows of {what.span} s'
        if group:
            zh += f"（{names(group, len(group), 'zh')}）"
            en += f" ({names(group, len(group), 'en')})"
        facts: dict[str, str | int] = {"records": one.count, "measure": f"{one.measure:g}", "group": ",".join(group)}
        if len(found) > len(told):
            facts["episodes"] = len(found)
        yield identify(
            "F",
            state(
                events, card, part, claims, Text(zh + "。", en + "."), severity=card.severity,
                confidence=Confidence.MEDIUM, facts=facts, moments=[one.first, one.last],
            ),
        )  # fmt: skip
