# SPDX-License-Identifier: Apache-2.0
"""Runs Sigma rules over the event store; what cannot run is listed by name with the reason.

Rules are compiled (:mod:`sigma_rules`), planned for each feed (:mod:`sigma_plan`) and matched slice by slice
(:mod:`sigma_scan`). The author of each rule stands with every match, as the Detection Rule License asks. A match says that
a record fits a rule, not that the rule is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl
import yaml

from headwater.detect.frames import ORDER, STAND, state
from headwater.detect.sigma_columns import Columns, fields, needed, spread
from headwater.detect.sigma_episodes import Sequel
from headwater.detect.sigma_explain import explain
from headwater.detect.sigma_kept import kept
from headwater.detect.sigma_plan import Plan
from headwater.detect.sigma_report import SigmaReport
from headwater.detect.sigma_route import requests
from headwater.detect.sigma_rules import Compiled, Pack, compile_rules
from headwater.detect.sigma_scan import Slice
from headwater.detect.sigma_tree import Leaf, Or, Tree, Unsupported, Values, leaves
from headwater.formats.canonical import identify
from headwater.model.errors import DetectError
from headwater.model.kinds import Confidence, Severity
from headwater.model.nouns import Finding, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import HEADER

SLICE = 131_072  # events looked at together
WIDEST = 192 << 20  # bytes of a slice; one of longer texts is cut
CITED = 200
_HEADER = frozenset(n for n, _ in HEADER) | {"ts"}
_WHO = ("kind", "host", "src_ip", "user", "outcome")
_PLACEHOLDERS = ("expand.yml", "expand.yaml")


@dataclass
class _Kept:
    """What is kept of a rule's matches on one item of evidence: how many, and the first and last of them."""

    count: int = 0
    answered: int = 0
    rows: pl.DataFrame | None = None
    who: dict[str, set[str]] = field(default_factory=dict)
    first: int | None = None
    last: int | None = None

    def take(self, rows: pl.DataFrame) -> None:
        """Add the matches of one slice."""
        self.count += rows.height
        self.answered += rows.filter(pl.col("outcome") != "failure").height
        for name in ("host", "src_ip", "user"):
            seen = self.who.setdefault(name, set())
            if len(seen) < 2:
                seen.update(rows[name].drop_nulls().unique().head(2).to_list())
        low, high = rows["ts"].min(), rows["ts"].max()
        if isinstance(low, int) and isinstance(high, int):
            self.first = low if self.first is None else min(self.first, low)
            self.last = high if self.last is None else max(self.last, high)
        if rows.height > CITED:
            order = rows.select(pl.arg_sort_by(ORDER, nulls_last=True)).to_series()
            rows = rows[pl.concat([order.head(CITED // 2), order.tail(CITED // 2)])]
        both = rows if self.rows is None else pl.concat([self.rows, rows])
        both = both.sort(ORDER, nulls_last=True)
        self.rows = both if both.height <= CITED else pl.concat([both.head(CITED // 2), both.tail(CITED // 2)])

    def one(self, name: str) -> str | None:
        """The value that all matches that state one agree on."""
        seen = self.who.get(name, set())
        return next(iter(seen)) if len(seen) == 1 else None


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
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".yml", ".yaml") and p.is_file()):
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
            if unnamed:
                rule = replace(rule, tree=spread(rule.tree, columns))
            (of_keywords if None in fields(rule.tree) else of_fields).append(rule)
        for keyword, mine in ((False, of_fields), (True, of_keywords)):
            if not mine:
                continue
            for rule, found in _run(events, feed, mine, columns, sequel, keyword):
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


def _run(
    events: Events, feed: str, rules: Sequence[Compiled], columns: Columns, sequel: Sequel, keyword: bool
) -> Iterator[tuple[Compiled, list[Finding] | str]]:
    """Match rules against one feed, slice by slice; keyword rules alone, since they read all text of an event."""
    plan = Plan(columns)
    ready: list[Compiled] = []
    for rule in rules:
        try:
            plan.add(rule.tree, rule.route.scope)
            ready.append(rule)
        except Unsupported as error:
            yield rule, str(error)
    plan.close()
    kept: list[dict[int, _Kept]] = [{} for _ in ready]
    claims: dict[int, list[str]] = {}  # of the rules that matched
    for frame in _slices(events, feed, ready, columns, sequel, keyword):
        for number, at in Slice(plan, frame).matches():
            if sequel.wants(ready[number]):
                sequel.take(ready[number], frame[at], columns)
            if number not in claims:
                claims[number] = _claims(ready[number], columns)
            wanted = list(dict.fromkeys([*STAND, *_WHO, *claims[number]]))
            for part in frame.select(wanted)[at].partition_by("source"):
                kept[number].setdefault(int(part["source"][0]), _Kept()).take(part)
    for number, (rule, held) in enumerate(zip(ready, kept, strict=True)):
        yield rule, [_finding(events, feed, rule, held[s], claims[number], columns) for s in sorted(held)]


def _slices(
    events: Events, feed: str, rules: Sequence[Compiled], columns: Columns, sequel: Sequel, keyword: bool
) -> Iterator[pl.DataFrame]:
    """The events of a feed with the columns that rules need, some at a time."""
    scopes = [r.route.scope for r in rules]
    trees = [*(r.tree for r in rules), *(s for s in scopes if s is not None)]
    own = dict.fromkeys([*needed(trees, columns), *sequel.columns(rules, columns)])
    scan = events.scan(feeds=[feed], columns=tuple(c for c in own if c not in _HEADER))
    if keyword and None not in scopes:
        scan = scan.filter(_where(Or(tuple(s for s in scopes if s is not None)), columns))
    frame = scan.select(list(dict.fromkeys([*STAND, *_WHO, *own])))
    for batch in frame.collect_batches(chunk_size=SLICE, maintain_order=False):
        pieces = batch.estimated_size() // WIDEST + 1
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


def _finding(events: Events, feed: str, rule: Compiled, kept: _Kept, claims: list[str], columns: Columns) -> Finding:
    """The finding of one rule on one item of evidence."""
    card, rows = rule.card, kept.rows
    if rows is None:
        raise DetectError("HW6002", card.id, what="no rows")
    severity = card.severity
    facts: dict[str, str | int] = {"matches": kept.count, "feed": feed}
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
