# SPDX-License-Identifier: Apache-2.0
"""Runs the Sigma rules of a folder over the event store; what cannot run is listed by name with the reason.

Rules are parsed by pySigma, compiled to a small tree and evaluated feed by feed. The author of each rule stands with
every match, as the Detection Rule License asks. A match says that a record fits a rule, not that the rule is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from sigma.exceptions import SigmaError
from sigma.policy import SigmaPolicy
from sigma.policy.regex_engine import PythonRegexEngine
from sigma.rule import SigmaRule

from headwater.detect.frames import ORDER, STAND, state
from headwater.detect.sigma_match import Columns, mask, needed, prepared
from headwater.detect.sigma_route import Route, route
from headwater.detect.sigma_tree import Or, Tree, Unsupported, compiled, leaves
from headwater.formats.canonical import identify
from headwater.model.errors import DetectError
from headwater.model.kinds import Confidence, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import HEADER

MOST_BYTES = 1 << 20  # of one rule file
AT_ONCE = 40  # rules evaluated in one pass over a feed
_HEADER = frozenset(n for n, _ in HEADER) | {"ts"}
# pySigma checks expressions with RE2 by default, which refuses look-around that the specification allows.
_POLICY = SigmaPolicy(regex_engine=PythonRegexEngine())
_LEVELS = {
    "informational": Severity.INFO,
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
}
_TACTICS = {
    "initial-access": Stage.EXPLOIT,
    "execution": Stage.EXPLOIT,
    "persistence": Stage.PERSIST,
    "privilege-escalation": Stage.ESCALATE,
    "defense-evasion": Stage.COVER,
    "defense-impairment": Stage.COVER,
    "stealth": Stage.COVER,
    "credential-access": Stage.SPREAD,
    "discovery": Stage.SPREAD,
    "lateral-movement": Stage.SPREAD,
    "command-and-control": Stage.SPREAD,
    "reconnaissance": Stage.SPREAD,
    "collection": Stage.IMPACT,
    "exfiltration": Stage.IMPACT,
    "impact": Stage.IMPACT,
}


@dataclass(frozen=True, slots=True)
class SigmaReport:
    """What became of the rules: (id, title, author) of those that ran, and (name, reason) of those that could not."""

    ran: tuple[tuple[str, str, str], ...] = ()
    unsupported: tuple[tuple[str, str], ...] = ()
    matched: tuple[str, ...] = ()

    def joined(self, other: SigmaReport) -> SigmaReport:
        """Both reports as one, in order."""
        return SigmaReport(
            self.ran + other.ran, self.unsupported + other.unsupported, tuple(sorted({*self.matched, *other.matched}))
        )

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "ran": [{"id": i, "title": t, "author": a} for i, t, a in self.ran],
            "unsupported": [{"rule": n, "reason": r} for n, r in self.unsupported],
            "matched": list(self.matched),
        }


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rule ready to run."""

    card: Rule
    tree: Tree
    route: Route


@dataclass
class _Pack:
    rules: list[Compiled] = field(default_factory=list)
    unsupported: list[tuple[str, str]] = field(default_factory=list)


def run_rules(folder: Path, events: Events, settings: Settings) -> tuple[list[Finding], SigmaReport]:
    """The findings of all rules below a folder, in order of rule file and feed, and what became of each rule.

    Raises:
        DetectError: the folder does not exist (HW6001).
    """
    if not folder.is_dir():
        raise DetectError("HW6001", str(folder))
    pack = load(folder)
    findings: list[Finding] = []
    present = list(events.feeds())
    ran: dict[str, Compiled] = {}
    by_feed: dict[str, list[Compiled]] = {}
    for rule in pack.rules:
        feeds = rule.route.chosen(present)
        if not feeds:
            reason = f"no events of feed {', '.join(rule.route.feeds)}"
            pack.unsupported.append((f"{rule.card.title.en} ({rule.card.id})", reason))
        for feed in feeds:
            by_feed.setdefault(feed, []).append(rule)
    for feed, rules in sorted(by_feed.items()):
        columns = Columns(events.columns(feed))
        for start in range(0, len(rules), AT_ONCE):
            for rule, found in _evaluate(events, feed, rules[start : start + AT_ONCE], columns):
                if isinstance(found, str):
                    pack.unsupported.append((f"{rule.card.title.en} ({rule.card.id})", f"{feed}: {found}"))
                    continue
                ran[rule.card.id] = rule
                findings += found
    report = SigmaReport(
        tuple((r.card.id, r.card.title.en, r.card.author) for _, r in sorted(ran.items())),
        tuple(pack.unsupported),
        tuple(sorted({f.rule.id for f in findings})),
    )
    return findings, report


def load(folder: Path) -> _Pack:
    """Every rule below a folder, compiled, in order of path; what is no rule that can run, with its reason."""
    pack = _Pack()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".yml", ".yaml") and p.is_file()):
        name = str(path.relative_to(folder))
        try:
            data = path.read_bytes()
            if len(data) > MOST_BYTES:
                raise Unsupported("the file is larger than 1 MiB")
            documents = list(yaml.load_all(data, Loader=yaml.CSafeLoader))
        except (OSError, yaml.YAMLError, UnicodeError, Unsupported) as error:
            pack.unsupported.append((name, f"not readable: {_short(error)}"))
            continue
        for document in documents:
            _one(pack, name, document)
    return pack


def _one(pack: _Pack, name: str, document: Any) -> None:
    if not isinstance(document, Mapping):
        pack.unsupported.append((name, "not a rule"))
        return
    named = f"{document.get('title') or name} (sigma:{document.get('id') or name})"
    source = document.get("logsource")
    if "correlation" in document or "filter" in document or not isinstance(source, Mapping):
        pack.unsupported.append((named, "a correlation, filter or document without log source"))
        return
    way = route(source)
    if isinstance(way, str):
        pack.unsupported.append((named, way))
        return
    try:
        rule = SigmaRule.from_dict(dict(document), policy=_POLICY)
        trees = tuple(compiled(c.parsed) for c in rule.detection.parsed_condition)
        pack.rules.append(Compiled(_card(rule, name), trees[0] if len(trees) == 1 else Or(trees), way))
    except (SigmaError, Unsupported, RecursionError) as error:
        pack.unsupported.append((named, _short(error)))
    except Exception as error:  # pySigma raises plain errors on some malformed rules; the rule is named, the rest run
        pack.unsupported.append((named, f"{type(error).__name__}: {_short(error)}"))


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _card(rule: SigmaRule, name: str) -> Rule:
    tags = [t.name.lower() for t in rule.tags if t.namespace == "attack"]
    techniques = tuple(t.upper() for t in tags if re.fullmatch(r"t\d{4}(?:\.\d{3})?", t))
    stage = next((_TACTICS[t.replace("_", "-")] for t in tags if t.replace("_", "-") in _TACTICS), Stage.EXPLOIT)
    if any(t.startswith("T1110") for t in techniques):
        stage = Stage.LOGIN
    level = rule.level.name.lower() if rule.level else "informational"
    return Rule(
        id=f"sigma:{rule.id or name}",
        version=str(rule.modified or rule.date or "0"),
        author=rule.author or "not stated",
        title=Text(rule.title or name, rule.title or name),
        stage=stage,
        techniques=techniques,
        severity=_LEVELS.get(level, Severity.INFO),
    )


def _evaluate(
    events: Events, feed: str, rules: Sequence[Compiled], columns: Columns
) -> Iterator[tuple[Compiled, list[Finding] | str]]:
    """Count the matches of several rules in one pass, then take the rows of those that match."""
    ready: list[tuple[Compiled, pl.Expr]] = []
    for rule in rules:
        try:
            ready.append((rule, mask(rule.tree, columns) & _scope(rule.route)))
        except Unsupported as error:
            yield rule, str(error)
    trees = [r.tree for r, _ in ready]
    if not trees:
        return
    read = needed(trees, columns)
    scan = events.scan(feeds=[feed], columns=tuple(c for c in read if c not in _HEADER))
    frame = prepared(scan, trees, columns)
    counts = frame.select([m.sum().alias(str(i)) for i, (_, m) in enumerate(ready)]).collect().row(0)
    for (rule, expression), count in zip(ready, counts, strict=True):
        yield rule, [] if not count else _findings(events, feed, rule, frame.filter(expression), columns)


def _scope(way: Route) -> pl.Expr:
    scope = pl.lit(True)
    if way.kinds is not None:
        scope = scope & pl.col("kind").is_in(list(way.kinds)).fill_null(False)
    if way.processes is not None:
        scope = scope & pl.col("process").is_in(list(way.processes)).fill_null(False)
    return scope


def _findings(events: Events, feed: str, rule: Compiled, matches: Any, columns: Columns) -> list[Finding]:
    """One finding per item of evidence."""
    claims: list[str] = []
    for leaf, negated in leaves(rule.tree):
        for name in columns.spoken() if leaf.field is None else [columns.find(leaf.field)]:
            if name and not negated and name not in claims:
                claims.append(name)
    wanted = dict.fromkeys([*STAND, "kind", "host", "src_ip", "user", "outcome", *claims])
    rows = matches.select(list(wanted)).collect().sort(ORDER, nulls_last=True, maintain_order=True)
    found = []
    for part in rows.partition_by("source", maintain_order=True):
        card, count = rule.card, part.height
        severity = card.severity
        facts: dict[str, str | int] = {"matches": count, "feed": feed}
        text = Text(
            f"Sigma 规则“{card.title.zh}”（作者：{card.author}）命中 {count} 条 {feed} 记录。",
            f'The Sigma rule "{card.title.en}" (author: {card.author}) matches {count} records of {feed}.',
        )
        if feed.startswith("web.access"):
            # A request fits a rule whatever the server answered: refused, it is background; answered, no proof.
            answered = part.filter(pl.col("outcome") != "failure").height
            facts["reach"] = "answered" if answered else "requested"
            if not answered:
                severity = min(severity, Severity.LOW, key=list(Severity).index)
        found.append(
            identify(
                "F",
                state(
                    events, card, part, claims, text,
                    severity=severity, confidence=Confidence.MEDIUM, facts=facts,
                ),
            )
        )  # fmt: skip
    return found
