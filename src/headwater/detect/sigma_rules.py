# SPDX-License-Identifier: Apache-2.0
"""Sigma rules as they stand in files → their compiled form; what is no rule that can run is named with its reason.

pySigma parses; what comes out is plain data (:func:`packed`, :func:`unpacked`), so that a caller may keep it by
:func:`digest`, which changes with the files, the values of placeholders and this version of the form.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import yaml
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.policy import SigmaPolicy
from sigma.policy.regex_engine import PythonRegexEngine
from sigma.rule import SigmaRule

from headwater.detect.sigma_columns import AnyColumns, fields
from headwater.detect.sigma_correlation import Correlation, correlation
from headwater.detect.sigma_look import checked, look
from headwater.detect.sigma_plan import Plan
from headwater.detect.sigma_ready import Brief, Pool
from headwater.detect.sigma_route import Route, route
from headwater.detect.sigma_tree import (
    Leaf,
    Or,
    Tree,
    Unsupported,
    Values,
    compiled,
    form_of,
    leaves,
    plain,
    restored,
)
from headwater.detect.uncollected import uncollected
from headwater.formats.canonical import canonical
from headwater.model.kinds import Severity, Stage
from headwater.model.nouns import Rule, Text

FORM = 3  # raised whenever the compiled form or its meaning changes
MOST_BYTES = 1 << 20  # of one rule file
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
class Compiled:
    """A rule ready to run; ``names`` are those by which a correlation may refer to it (id, name)."""

    card: Rule
    held: Tree | Brief
    route: Route
    names: tuple[str, ...] = ()

    @property
    def tree(self) -> Tree:
        """What it asks for."""
        return self.held.tree() if isinstance(self.held, Brief) else self.held

    @property
    def fields(self) -> Iterable[str | None]:
        """The fields that it looks at, None for keywords, each once."""
        return self.held.fields if isinstance(self.held, Brief) else fields(self.held)

    @property
    def named(self) -> str:
        """How a list of rules names it."""
        return f"{self.card.title.en} ({self.card.id})"


@dataclass(frozen=True, slots=True)
class Correlated:
    """A correlation ready to run, over rules or other correlations by their names."""

    card: Rule
    what: Correlation
    names: tuple[str, ...] = ()

    @property
    def named(self) -> str:
        """How a list of rules names it."""
        return f"{self.card.title.en} ({self.card.id})"


@dataclass
class Pack:
    """What became of rule files: rules and correlations in order, and (name, reason) of what cannot run."""

    rules: list[Compiled] = field(default_factory=list)
    correlations: list[Correlated] = field(default_factory=list)
    unsupported: list[tuple[str, str]] = field(default_factory=list)


def digest(sources: Iterable[tuple[str, bytes]], values: Values | None = None) -> str:
    """The SHA-256 by which a compiled form may be kept: of the files by name, the values and the form's version."""
    made = hashlib.sha256(canonical({"form": FORM, "values": {k: list(v) for k, v in (values or {}).items()}}))
    for name, data in sources:
        made.update(f"\n{name} {len(data)} {hashlib.sha256(data).hexdigest()}".encode())
    return made.hexdigest()


def compile_rules(sources: Iterable[tuple[str, bytes]], values: Values | None = None) -> Pack:
    """Every rule of these files (name, content), compiled, in order; what is no rule that can run, with its reason."""
    pack = Pack()
    for name, data in sources:
        try:
            if len(data) > MOST_BYTES:
                raise Unsupported("the file is larger than 1 MiB")
            documents = list(yaml.load_all(data, Loader=yaml.CSafeLoader))
        except (yaml.YAMLError, UnicodeError, Unsupported, RecursionError) as error:
            pack.unsupported.append((name, f"not readable: {_short(error)}"))
            continue
        for document in documents:
            _one(pack, name, document, values)
    return pack


def _one(pack: Pack, name: str, document: Any, values: Values | None) -> None:
    if not isinstance(document, Mapping):
        pack.unsupported.append((name, "not a rule"))
        return
    named = f"{document.get('title') or name} (sigma:{document.get('id') or name})"
    try:
        if "correlation" in document:
            pack.correlations.append(_correlated(dict(document), name))
            return
        source = document.get("logsource")
        if "filter" in document or not isinstance(source, Mapping):
            pack.unsupported.append((named, "a filter or document without log source"))
            return
        way = route(source)
        if isinstance(way, str):
            pack.unsupported.append((named, way))
            return
        rule = SigmaRule.from_dict(dict(document), policy=_POLICY)
        trees = tuple(compiled(c.parsed, values) for c in rule.detection.parsed_condition)
        tree = trees[0] if len(trees) == 1 else Or(trees)
        pack.rules.append(Compiled(_card(rule, name), tree, way, _names(rule)))
    except (SigmaError, Unsupported, RecursionError) as error:
        pack.unsupported.append((named, _short(error)))
    except Exception as error:  # pySigma raises plain errors on some malformed rules; the rule is named, the rest run
        pack.unsupported.append((named, f"{type(error).__name__}: {_short(error)}"))


def _correlated(document: dict[str, Any], name: str) -> Correlated:
    rule = SigmaCorrelationRule.from_dict(document, policy=_POLICY)
    return Correlated(_card(rule, name), correlation(rule), _names(rule))


def _names(rule: Any) -> tuple[str, ...]:
    return tuple(str(n) for n in (rule.id, rule.name) if n)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _card(rule: Any, name: str) -> Rule:
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


def _card_form(card: Rule) -> list[Any]:
    return [
        card.id, card.version, card.author, card.title.zh, card.title.en, card.stage.value, list(card.techniques),
        card.severity.value,
    ]  # fmt: skip


def _card_of(form: Sequence[Any]) -> Rule:
    name, version, author, zh, en, stage, techniques, severity = form
    return Rule(name, version, author, Text(zh, en), Stage(stage), tuple(techniques), Severity(severity))


def packed(pack: Pack) -> bytes:
    """The compiled form as JSON text, the same for the same files; every leaf and log source that rules share stands once."""
    numbers: dict[Leaf, int] = {}
    routes: dict[Route, int] = {}

    def number(leaf: Leaf) -> int:
        return numbers.setdefault(leaf, len(numbers))

    rules = [
        [_card_form(r.card), plain(r.tree, number), routes.setdefault(r.route, len(routes)), list(r.names)]
        for r in pack.rules
    ]
    ways = [[list(r.feeds), None if r.scope is None else plain(r.scope, number)] for r in routes]
    looked = [_looked(leaf) for leaf in numbers]
    briefs, columns = _briefly([r[1] for r in rules], [way[1] for way in ways], looked)
    form = {
        "form": FORM,
        "rules": [[*rule, brief] for rule, brief in zip(rules, briefs, strict=True)],
        "routes": ways,
        "leaves": [form_of(leaf) for leaf in looked],
        "columns": columns,
        "correlations": [[_card_form(c.card), c.what.plain(), list(c.names)] for c in pack.correlations],
        "unsupported": [list(u) for u in pack.unsupported],
    }
    return json.dumps(form, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _briefly(forms: Sequence[Any], scopes: Sequence[Any], looked: Sequence[Leaf]) -> tuple[list[Any], dict[str, Any]]:
    """Of each rule what :class:`Brief` holds, None where it must be made whole; and what :class:`Pool` holds of columns."""
    plan, numbers = Plan(AnyColumns()), {id(leaf): n for n, leaf in enumerate(looked)}
    briefs: list[Any] = []
    for form in forms:
        tree = restored(form, looked)
        named = fields(tree)
        mine = list(dict.fromkeys(numbers[id(leaf)] for leaf, _ in leaves(tree)))
        if None in named or any(looked[n].look is None for n in mine):
            briefs.append(None)
            for n in mine:  # what is made whole may still share leaves with others
                if looked[n].look is not None and looked[n].field is not None:
                    plan.add(looked[n])
            continue
        gate = plan.gate(plan.add(tree))
        there = None if gate is None else [numbers[id(plan.need(n).leaf)] for n in gate]
        briefs.append([mine, list(named), there])
    for scope in scopes:
        if scope is not None:
            plan.add(restored(scope, looked))

    def numbered(texts: dict[str, list[int]]) -> dict[str, list[int]]:
        return {text: [numbers[id(plan.need(n).leaf)] for n in each] for text, each in texts.items()}

    return briefs, {n: [numbered(d.equal), numbered(d.texts)] for n, d in plan.dictionaries.items()}


def _looked(leaf: Leaf) -> Leaf:
    """The leaf with how it is looked up, where it can be evaluated; else it is refused when it is to be run."""
    try:
        checked(leaf)
    except Unsupported:
        return leaf
    return replace(leaf, look=look(leaf))


def unpacked(data: bytes) -> Pack:
    """What :func:`packed` wrote.

    Raises:
        ValueError: the bytes are no compiled form of this version.
    """
    with uncollected():
        return _unpacked(data)


def _unpacked(data: bytes) -> Pack:
    try:
        form = orjson.loads(data)
    except orjson.JSONDecodeError:  # a rule with half a surrogate pair
        form = json.loads(data.decode("utf-8", "surrogatepass"))
    if not isinstance(form, dict) or form.get("form") != FORM:
        raise ValueError("not a compiled form of this version")
    pool = Pool(form["leaves"], form["columns"])
    routes = [Route(tuple(feeds), None if s is None else restored(s, pool)) for feeds, s in form["routes"]]
    return Pack(
        [
            Compiled(_card_of(c), restored(t, pool) if b is None else Brief(t, pool, *b), routes[r], tuple(n))
            for c, t, r, n, b in form["rules"]
        ],
        [Correlated(_card_of(c), Correlation.of(w), tuple(n)) for c, w, n in form["correlations"]],
        [(n, r) for n, r in form["unsupported"]],
    )
