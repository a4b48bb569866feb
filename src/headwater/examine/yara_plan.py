# SPDX-License-Identifier: Apache-2.0
"""What a sieve for YARA rules asks of a content: made of the rules' texts, beside the compiled rules.

For each rule that the engine compiled there is a tree of its condition and, for each of its patterns, fixed bytes without
which it cannot match (:mod:`headwater.formats.yara_literals`). A rule is *closed* where its condition cannot hold while
none of those bytes is there, whatever else the content is. The others are *open*; they are compiled a second time without
the closed ones. A file that this reader does not understand is open as a whole.

The texts are read beside the engine, not instead of it: a rule counts only if the engine has it under the same name with
patterns of the same names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yara_x

from headwater.formats.yara_conditions import parse
from headwater.formats.yara_judging import NEVER, Known, judge
from headwater.formats.yara_literals import Literal, runs, starts
from headwater.formats.yara_text import NotRead, Pattern, ReadFile, ReadRule, read

PATTERNS_LEAST = 150  # with fewer the engine is as fast as the sieve
WINDOW = 7  # bytes: of four neighbouring places one is a multiple of four, and four bytes from there lie within
LITERAL_MOST = 64
RULES_MOST = 50_000

Named = dict[str, dict[str, list[str]]]  # by namespace and rule: the names of the patterns that the engine shows


@dataclass(frozen=True, slots=True)
class Plan:
    """``sieve``: what a child needs, as JSON. ``open``: (name, text) of the files that hold the open rules."""

    sieve: bytes
    open: tuple[tuple[str, str], ...]
    open_rules: dict[str, set[str]]  # by namespace: what must come out of compiling them


@dataclass(slots=True)
class _Made:
    rules: list[dict[str, Any]] = field(default_factory=list)
    literals: dict[Literal, int] = field(default_factory=dict)


def plan(texts: Mapping[str, str], rules: yara_x.Rules) -> Plan | None:
    """The plan for these files as the engine compiled them; None where a sieve would gain nothing."""
    named: Named = {}
    for rule in rules:
        named.setdefault(rule.namespace, {})[rule.identifier] = [p.identifier for p in rule.patterns]
    total = sum(len(p) for space in named.values() for p in space.values())
    if total < PATTERNS_LEAST or sum(map(len, named.values())) > RULES_MOST:
        return None
    made = _Made()
    open_files: list[tuple[str, str]] = []
    open_rules: dict[str, set[str]] = {}
    for name, text in texts.items():
        if name not in named:
            continue
        found = _read(text, named[name])
        if found is None:
            made.rules.extend(_all_open(len(named[name])))
            opened, part = set(named[name]), text
        else:
            opened = _rules(made, found, named[name])
            part = _part(text, found, opened)
        if opened:
            open_rules[name] = opened
            open_files.append((name, part))
    left = sum(len(named[n][r]) for n, space in open_rules.items() for r in space if r in named[n])
    if 2 * left >= total:
        return None
    literals = [[lit.data.hex(), lit.nocase, _place(lit)] for lit in made.literals]
    sieve = json.dumps({"rules": made.rules, "literals": literals}, separators=(",", ":")).encode()
    return Plan(sieve, tuple(open_files), open_rules)


def _all_open(count: int) -> list[dict[str, Any]]:
    return [{"tree": ["any"], "patterns": [], "open": True, "private": False} for _ in range(count)]


def _read(text: str, named: Mapping[str, Sequence[str]]) -> ReadFile | None:
    """The file as read, if the engine has read it so too."""
    try:
        found = read(text)
    except (NotRead, RecursionError):
        return None
    rules = {r.name: r for r in found.rules}
    if len(rules) != len(found.rules) or not set(named) <= set(rules):
        return None
    for name, shown in named.items():
        if shown != [p.name for p in rules[name].patterns if "private" not in p.modifiers]:
            return None
    return found


def _rules(made: _Made, found: ReadFile, named: Mapping[str, Sequence[str]]) -> set[str]:
    """Add the rules of a file; returns the names of those that are open, and of what they lean on."""
    first = len(made.rules)
    numbers: dict[str, int] = {}
    rules = [r for r in found.rules if r.name in named]
    for n, rule in enumerate(rules):
        try:
            tree: list[Any] = parse(rule.condition, [p.name for p in rule.patterns], numbers)
        except (NotRead, RecursionError):
            tree = ["any"]
        tree = _numbered(tree, numbers)
        patterns = [_wanted(made, p) for p in rule.patterns]
        made.rules.append({"tree": tree, "patterns": patterns, "open": False, "private": rule.private})
        numbers[rule.name] = first + n
    judged: dict[int, int] = {}
    opened = set()
    for n, rule in enumerate(rules, first):
        if _empty(made.rules, n, judged) != NEVER:
            made.rules[n]["open"] = True
            if not rule.private:
                opened.add(rule.name)
    return _leaning(rules, opened)


def _numbered(tree: Any, numbers: Mapping[str, int]) -> Any:
    if not isinstance(tree, list):
        return tree
    if len(tree) == 2 and tree[0] == "rule":
        return ["rule", numbers[tree[1]]]
    return [_numbered(t, numbers) for t in tree]


def _empty(rules: Sequence[Mapping[str, Any]], n: int, judged: dict[int, int]) -> int:
    """What is certain of a rule while no fixed bytes are there and nothing else is known."""
    if n not in judged:
        wanted = rules[n]["patterns"]

        def of(other: int) -> int:
            return _empty(rules, other, judged)

        judged[n] = judge(rules[n]["tree"], Known(None, lambda which: not wanted[which]["any"], of))
    return judged[n]


def _wanted(made: _Made, pattern: Pattern) -> dict[str, Any]:
    """``any``: the literals one of which must be there for a pattern, ``at``: one of these stands where it does; none
    where it is not known."""

    def number(literal: Literal) -> int:
        return made.literals.setdefault(literal, len(made.literals))

    found: list[Literal] = []
    for form in runs(pattern):
        fit = [Literal(r.data[:LITERAL_MOST], r.nocase) for r in form]
        fit = [r for r in fit if _place(r) >= 0]
        if not fit:
            found = []
            break
        found.append(min(fit, key=lambda r: (_window(r.data)[0], -len(r.data))))
    return {
        "any": [number(r) for r in found],
        "at": [number(Literal(r.data[:LITERAL_MOST], r.nocase)) for r in starts(pattern)],
    }


def _place(literal: Literal) -> int:
    """Where the window of a literal begins; -1 where it has none that is of use."""
    common, at = _window(literal.data)
    return at if len(literal.data) >= WINDOW and common < _COMMON_MOST else -1


_COMMON_MOST = 1_000  # a window as common as this is of no use


def _window(data: bytes) -> tuple[int, int]:
    """The rarest seven bytes within: how common, and where. A guess by letters, which changes the cost and nothing else."""
    weights = [_weight(b) for b in data]
    best = (1 << 30, 0)
    for at in range(len(data) - WINDOW + 1):
        common = 0
        for gram in range(at, at + 4):
            four = data[gram : gram + 4]
            common += sum(weights[gram : gram + 4]) * (1, 8, 2, 1, 1)[len(set(four))]
            if len({b | 0x20 for b in four}) == 1:
                common += _COMMON_MOST
        best = min(best, (common, at))
    return best


def _weight(byte: int) -> int:
    if byte in (0x00, 0x20, 0xFF):
        return 12
    if chr(byte | 0x20) in "etaoinsrlcdu":
        return 8
    return 6 if chr(byte).isalnum() and byte < 128 else 3


def _leaning(rules: Sequence[ReadRule], opened: set[str]) -> set[str]:
    """The rules named, the global ones, and all that these refer to."""
    if not opened:
        return set()
    names = {r.name: r for r in rules}
    todo = [*opened, *(r.name for r in rules if r.whole)]
    found: set[str] = set()
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        tokens = names[name].condition
        for at, (kind, text, _) in enumerate(tokens):
            if kind == "word" and text in names:
                todo.append(text)
            if kind == "word" and tokens[at + 1 : at + 2] and tokens[at + 1][1] == "*":
                todo += [n for n in names if n.startswith(text)]
    return found


def _part(text: str, found: ReadFile, opened: set[str]) -> str:
    """The file with those rules alone, in their order."""
    parts = [f'import "{m}"' for m in found.imports]
    parts += [text[r.start : r.end] for r in found.rules if r.name in opened]
    return "\n".join(parts)


def compiled(plan: Plan, build: Callable[[Sequence[tuple[str, str]]], yara_x.Rules]) -> yara_x.Rules | None:
    """The open rules, compiled by ``build``; None where not all of them come out of it."""
    rules = build(plan.open)
    got: dict[str, set[str]] = {}
    for rule in rules:
        got.setdefault(rule.namespace, set()).add(rule.identifier)
    return rules if all(wanted <= got.get(name, set()) for name, wanted in plan.open_rules.items()) else None
