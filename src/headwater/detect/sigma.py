# SPDX-License-Identifier: Apache-2.0
"""Runs Sigma rules over the event store; what cannot run is listed by name with the reason.

Rules are compiled (:mod:`sigma_rules`), planned for each feed (:mod:`sigma_plan`) and matched slice by slice
(:mod:`sigma_scan`). The author of each rule stands with every match, as the Detection Rule License asks. A match says that
a record fits a rule, not that the rule is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import polars as pl
import yaml

from headwater.detect.frames import STAND, state
from headwater.detect.sigma_columns import Columns, needed, spread
from headwater.detect.sigma_episodes import Sequel
from headwater.detect.sigma_explain import explain
from headwater.detect.sigma_heard import PLACE, Heard
from headwater.detect.sigma_kept import kept
from headwater.detect.sigma_matched import CITED, MOST_HOSTS, ByHost, Matched, Taken
from headwater.detect.sigma_plan import Plan
from headwater.detect.sigma_ready import Brief
from headwater.detect.sigma_report import SigmaReport
from headwater.detect.sigma_route import requests
from headwater.detect.sigma_rules import Compiled, Pack, compile_rules
from headwater.detect.sigma_scan import Slice
from headwater.detect.sigma_tree import Leaf, Or, Tree, Unsupported, Values, leaves
from headwater.detect.uncollected import uncollected
from headwater.formats.canonical import identify
from headwater.model.errors import DetectError
from headwater.model.kinds import Confidence, Severity
from headwater.model.nouns import Finding, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import HEADER

SLICE = 262_144  # events looked at together
WIDEST = 320 << 20  # bytes of a slice; one of longer texts is cut
_HEADER = frozenset(n for n, _ in HEADER) | {"ts"}
_WHO = ("kind", "host", "src_ip", "user", "outcome")
_PLACEHOLDERS = ("expand.yml", "expand.yaml")


def run_rules(folder: Path, events: Events, settings: Settings) -> tuple[list[Finding], SigmaReport]:
    """The findings of all rules below a folder, in order of feed and rule file, and what became of each rule.

    Raises:
        DetectError: the folder does not exist (HW6001).
    """
    return run_pack(load(folder), events, settings)


def load(folder: Path) -> Pack:
    """Every rule below a folder, compiled, in order of path; what is no rule that can run, with its reason.

    A file ``expand.yml`` at its top gives the values of placeholders: a mapping of names to lists of texts.

    Raises:
        DetectError: the folder does not exist (HW6001).
    """
    if not folder.is_dir():
        raise DetectError("HW6001", str(folder))
    sources: list[tuple[str, bytes]] = []
    unread: list[tuple[str, str]] = []
    values: dict[str, Sequence[str]] = {}
    found = (p for p in folder.rglob("*") if p.suffix in (".yml", ".yaml") and p.is_file())
    for path in sorted(found, key=lambda p: p.parts):
        name = str(path.relative_to(folder))
        try:
            data = path.read_bytes()
            if name in _PLACEHOLDERS:
                values.update(_values(data))
                continue
            sources.append((name, data))
        except (OSError, ValueError, yaml.YAMLError) as error:
            unread.append((name, f"not readable: {' '.join(str(error).split())[:200]}"))
    pack = kept(sources, values, compile_rules)
    pack.unsupported[:0] = unread
    return pack


def _values(data: bytes) -> Values:
    held = yaml.load(data, Loader=yaml.CSafeLoader)
    if not isinstance(held, dict):
        raise ValueError("not a mapping of placeholders to lists")
    return {str(k): [str(x) for x in (v if isinstance(v, list) else [v])] for k, v in held.items()}


def run_pack(pack: Pack, events: Events, settings: Settings) -> tuple[list[Finding], SigmaReport]:
    """The findings of compiled rules, in order of feed and rule, then of the correlations; and what became of each."""
    findings: list[Finding] = []
    unsupported = list(pack.unsupported)
    present = list(events.feeds())
    ran: dict[str, tuple[str, str, str]] = {}
    by_feed: dict[str, list[Compiled]] = {}
    for rule in pack.rules:
        feeds = rule.route.chosen(present)
        if not feeds:
            unsupported.append((rule.named, f"no events of feed {', '.join(rule.route.feeds)}"))
        for feed in feeds:
            by_feed.setdefault(feed, []).append(rule)
    sequel = Sequel(pack)
    for feed, rules in sorted(by_feed.items()):
        columns = Columns(events.columns(feed))
        of_fields: list[Compiled] = []
        of_keywords: list[Compiled] = []
        unnamed = columns.unnamed()
        for rule in rules:
            if unnamed and any((f or "").lower() == "data" for f in rule.fields):
                rule = replace(rule, held=spread(rule.tree, columns))
            (of_keywords if None in rule.fields else of_fields).append(rule)
        for rule, found in _Feed(events, feed, columns, sequel).run(of_fields, of_keywords):
            if isinstance(found, str):
                unsupported.append((rule.named, f"{feed}: {found}"))
                continue
            ran[rule.card.id] = (rule.card.id, rule.card.title.en, rule.card.author)
            if not sequel.silent(rule):
                findings += found
    for correlated, made in sequel.findings(events):
        if isinstance(made, str):
            unsupported.append((correlated.named, made))
            continue
        ran[correlated.card.id] = (correlated.card.id, correlated.card.title.en, correlated.card.author)
        findings += made
    matched = tuple(sorted({f.rule.id for f in findings}))
    return findings, SigmaReport(tuple(r for _, r in sorted(ran.items())), tuple(unsupported), matched)


_Result = tuple[Compiled, list[Finding] | str]


@dataclass(frozen=True)
class _Feed:
    """The events of one feed, and what rules are run over them with."""

    events: Events
    name: str
    columns: Columns
    sequel: Sequel

    def run(self, of_fields: Sequence[Compiled], of_keywords: Sequence[Compiled]) -> Iterator[_Result]:
        """What becomes of each rule; rules of keywords come second, since they read all text of an event.

        Where both are run, the first are given what the second listen for (:mod:`sigma_heard`), so that only events in
        which something was heard are read whole.
        """
        places = None
        if of_fields:
            plan, ready, refused = self._planned(of_fields)
            yield from refused
            heard = Heard(of_keywords, plan.fields(), self.columns) if of_keywords else None
            for tree, scope in heard.rules if heard else ():
                plan.add(tree, scope)
            needs = self._needs(ready, [tree for tree, _ in heard.rules] if heard else (), of_keywords)
            yield from self._matched(plan.close(), ready, self._slices(self._scan(needs)), heard)
            if heard is not None:
                places = heard.places(
                    lambda some: self._scan(some + self._scoped(of_keywords)), self._filter(of_keywords)
                )
        if of_keywords:
            plan, ready, refused = self._planned(of_keywords)
            yield from refused
            slices = self._spoken(ready, places) if ready else iter(())
            yield from self._matched(plan.close(), ready, slices, None)

    def _planned(self, rules: Sequence[Compiled]) -> tuple[Plan, list[Compiled], list[_Result]]:
        pool = next((r.held.pool for r in rules if isinstance(r.held, Brief)), None)
        plan, ready, refused = Plan(self.columns, pool), list[Compiled](), list[_Result]()
        with uncollected():
            for rule in rules:
                try:
                    plan.add(rule.held, rule.route.scope)
                    ready.append(rule)
                except Unsupported as error:
                    refused.append((rule, str(error)))
        return plan, ready, refused

    def _matched(
        self, plan: Plan, rules: Sequence[Compiled], slices: Iterable[pl.DataFrame], heard: Heard | None
    ) -> Iterator[_Result]:
        """Match rules slice by slice; the plan's rules after these are what ``heard`` listens with."""
        held: list[dict[int, ByHost]] = [{} for _ in rules]
        claims: dict[int, list[str]] = {}  # of the rules that matched
        for frame in slices:
            taken = Taken(frame)
            for number, at in Slice(plan, frame).matches():
                if number >= len(rules):
                    if heard is not None:
                        heard.take(frame, at)
                    continue
                if self.sequel.wants(rules[number]):
                    self.sequel.take(rules[number], frame[at], self.columns)
                if number not in claims:
                    claims[number] = _claims(rules[number], self.columns)
                wanted = list(dict.fromkeys([*STAND, *_WHO, *claims[number]]))
                for source, mine in taken.sources(at):
                    held[number].setdefault(source, ByHost()).take(taken, mine, wanted)
        for number, (rule, of) in enumerate(zip(rules, held, strict=True)):
            yield (
                rule,
                [
                    _finding(self.events, self.name, rule, kept, claims[number], self.columns, of[s].many)
                    for s in sorted(of)
                    for kept in of[s].each()
                ],
            )

    def _needs(
        self, rules: Sequence[Compiled], trees: Iterable[Tree] = (), beside: Sequence[Compiled] = ()
    ) -> list[str]:
        """The columns that rules, their scopes and correlations read, and these trees and the scopes of those beside."""
        scopes = {id(scope): scope for r in (*rules, *beside) if (scope := r.route.scope) is not None}
        found = set(needed([*trees, *scopes.values()], self.columns))
        for name in {name for rule in rules for name in rule.fields}:
            found.update(self.columns.spoken() if name is None else self.columns.every(name))
        return list(dict.fromkeys([*sorted(found), *self.sequel.columns(rules, self.columns)]))

    def _scoped(self, rules: Sequence[Compiled]) -> list[str]:
        return needed([s for r in rules if (s := r.route.scope) is not None], self.columns)

    def _scan(self, columns: Sequence[str]) -> pl.LazyFrame:
        own = dict.fromkeys(columns)
        scan = self.events.scan(feeds=[self.name], columns=tuple(c for c in own if c not in _HEADER))
        return cast(pl.LazyFrame, scan.select(list(dict.fromkeys([*STAND, *_WHO, *own]))))

    def _filter(self, rules: Sequence[Compiled]) -> pl.Expr | None:
        """The scopes of rules as one filter; None where one of them has none."""
        scopes = [r.route.scope for r in rules]
        return None if None in scopes else _where(Or(tuple(s for s in scopes if s is not None)), self.columns)

    def _spoken(self, rules: Sequence[Compiled], places: pl.DataFrame | None) -> Iterator[pl.DataFrame]:
        """The events in which keywords may stand, with all text."""
        if places is not None and places.is_empty():
            return
        scan = self._scan(self._needs(rules))
        where = self._filter(rules)
        scan = scan if where is None else scan.filter(where)
        if places is not None:
            scan = scan.join(places.lazy(), on=PLACE, how="semi", nulls_equal=True)
        yield from self._slices(scan)

    def _slices(self, scan: pl.LazyFrame) -> Iterator[pl.DataFrame]:
        """Events some at a time."""
        for batch in scan.collect_batches(chunk_size=SLICE, maintain_order=False):
            pieces = int(batch.estimated_size()) // WIDEST + 1
            yield from (p for p in batch.iter_slices(batch.height // pieces + 1) if p.height)


def _where(tree: Tree, columns: Columns) -> pl.Expr:
    """A log source's scope as an expression that reads few columns: it may let more through than the scope does."""
    if isinstance(tree, Leaf):
        text = columns.text(tree.field or "")
        if text is None or tree.op != "text" or len(tree.value) != 1:
            return pl.lit(text is not None)
        return (text.str.to_lowercase() == str(tree.value[0]).lower()).fill_null(False)
    parts = [_where(a, columns) for a in getattr(tree, "args", ())]
    if not parts:
        return pl.lit(True)
    return pl.any_horizontal(parts) if isinstance(tree, Or) else pl.all_horizontal(parts)


def _claims(rule: Compiled, columns: Columns) -> list[str]:
    claims: dict[str, None] = {}
    for leaf, negated in leaves(rule.tree):
        for name in columns.spoken() if leaf.field is None else columns.every(leaf.field):
            if not negated:
                claims[name] = None
    return list(claims)


def _finding(
    events: Events, feed: str, rule: Compiled, kept: Matched, claims: list[str], columns: Columns, many: bool
) -> Finding:
    """The finding of one rule on one item of evidence, and one host of it where it holds events of several."""
    card, rows = rule.card, kept.rows()
    severity = card.severity
    facts: dict[str, str | int] = {"matches": kept.count, "feed": feed}
    if many:
        facts["many_hosts"] = f"> {MOST_HOSTS}"
    why = explain(rule.tree, rows.row(0, named=True), columns)
    if why:
        facts["why"] = "; ".join(r.text() for r in why if not r.absent)[:1000]
    text = Text(
        f"Sigma 规则“{card.title.zh}”（作者：{card.author}）命中 {kept.count} 条 {feed} 记录。",
        f'The Sigma rule "{card.title.en}" (author: {card.author}) matches {kept.count} records of {feed}.',
    )
    if requests(feed):
        # A request fits a rule whatever the server answered: refused, it is background; answered, no proof.
        facts["reach"] = "answered" if kept.answered else "requested"
        if not kept.answered:
            severity = min(severity, Severity.LOW, key=list(Severity).index)
    moments = [] if kept.first is None or kept.last is None else [kept.first, kept.last]
    made: Finding = state(
        events, card, rows, claims, text, severity=severity, confidence=Confidence.MEDIUM, facts=facts, limit=CITED,
        moments=moments, host=kept.one("host"), src_ip=kept.one("src_ip"), user=kept.one("user"),
    )  # fmt: skip
    named: Finding = identify("F", made)
    return named
