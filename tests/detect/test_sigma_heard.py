# SPDX-License-Identifier: Apache-2.0
"""A rule of keywords reads only events in which others heard its words: what it matches must be what it matches alone."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from memory_events import MemoryEvents
from sigma_events import tree_of

from headwater.detect import sigma, sigma_heard
from headwater.detect.sigma_heard import needed_texts
from headwater.detect.sigma_matched import Matched, Taken
from headwater.detect.sigma_rules import Compiled, Pack, compile_rules
from headwater.detect.sigma_tree import Tree
from headwater.model.kinds import EventKind
from headwater.model.ports import Settings

_WORDS = ("mimikatz", "kerberos::", "first*last", "cmd.exe", "'12'", "Ж-Key", "no such", "x", "evil\\n")
_RULE = b"""
title: of a field
id: 00000000-0000-4000-8000-000000000001
logsource: {product: windows, service: security}
detection: {s: {A|contains: cmd, B: [whoami, net]}, condition: s}
"""
_CONDITIONS = (
    "k", "k and s", "k and not s", "s and not k", "k or s", "not k", "k and l", "k or (l and s)", "not (k and s)", "1 of them",
    "s and not (k or l)",
)  # fmt: skip


def _texts(pick: random.Random) -> dict[str, Any]:
    said = ("a MIMIKATZ b", "Kerberos::x", "first", "last", "C:\\cmd.exe", "ж-kEY", "whoami", "12", "x evil", "")
    names = ("A", "B", "C", "D", "Channel")
    made = {n: pick.choice(said) for n in names[:4] if pick.random() < 0.6}
    return made | {"Channel": pick.choice(("Security", "System")), "EventID": pick.choice((1, 12))}


def _keyword_rules(pick: random.Random, like: Compiled, count: int) -> list[Compiled]:
    made = []
    for number in range(count):
        first, second = ([pick.choice(_WORDS) for _ in range(pick.randint(1, 2))] for _ in range(2))
        quoted = [", ".join(f'"{w}"' for w in words) for words in (first, second)]
        tree = tree_of(
            f"{{k: [{quoted[0]}], l: [{quoted[1]}], s: {{B|contains: who}}, condition: {pick.choice(_CONDITIONS)}}}"
        )
        scope = like.route.scope if pick.random() < 0.7 else None
        card = replace(like.card, id=f"sigma:{number}")
        made.append(replace(like, card=card, held=tree, route=replace(like.route, scope=scope), names=()))
    return made


def _counts(rules: list[Compiled], events: MemoryEvents) -> dict[str, tuple[object, ...]]:
    findings, report = sigma.run_pack(Pack(rules, [], []), events, Settings())
    assert not report.unsupported
    return {f.rule.id: (f.facts["matches"], f.ts_first, f.ts_last, f.spans) for f in findings}


@pytest.mark.parametrize("most", [sigma_heard.MOST, 3])
def test_what_keywords_match_does_not_change_with_the_rules_beside_them(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sigma_heard, "MOST", most)
    monkeypatch.setattr(sigma_heard, "_TOGETHER", 1)
    monkeypatch.setattr(sigma, "SLICE", 32)
    pick = random.Random(20261122)
    (field,) = compile_rules([("a.yml", _RULE)], {}).rules
    rows = [(EventKind.LOG_MESSAGE, i + 1, {"fields": _texts(pick)}) for i in range(80)]
    events = MemoryEvents().say("windows.evtx", "/a.evtx", *rows)
    rules = _keyword_rules(pick, field, 40)
    alone = _counts(rules, events)
    beside = _counts([field, *rules], events)
    beside.pop(field.card.id, None)
    assert beside == alone
    assert 15 < len(alone) < 40


@pytest.mark.parametrize(
    ("rule", "texts"),
    [
        ("{k: [mimikatz], condition: k}", ("mimikatz",)),
        ("{k: [mimikatz, abc], s: {A: 1}, condition: k and s}", ("mimikatz", "abc")),
        ("{k: [mimikatz], s: {A: 1}, condition: k or s}", None),
        ("{k: [mimikatz], condition: not k}", None),
        ("{k: [abc], l: [longer], condition: k and l}", ("longer",)),
        ('{k: ["a\\nlonger"], condition: k}', None),  # it may stand across two columns
        ("{k: ['ab'], condition: k}", None),
    ],
)
def test_texts_that_a_match_cannot_do_without(rule: str, texts: tuple[str, ...] | None) -> None:
    tree: Tree = tree_of(rule)
    assert needed_texts(tree) == texts


def test_the_first_and_last_are_kept_though_a_thousand_share_a_time() -> None:
    rows = [(EventKind.LOG_MESSAGE, None if i % 3 == 0 else i // 400, {"user": "u"}) for i in range(3000)]
    events = MemoryEvents().say("windows.evtx", "/a.evtx", *rows)
    frame = events.scan(feeds=["windows.evtx"]).collect()
    names = ["ts", "source", "path", "offset", "ordinal", "user", "outcome"]
    kept, whole = Matched(), frame.select(names).sort(names[:5], nulls_last=True)
    order = list(range(3000))
    random.Random(3).shuffle(order)
    for first in range(0, 3000, 700):
        part = frame[order[first : first + 700]]
        taken = Taken(part)
        ((source, at),) = taken.sources(np.arange(part.height))
        kept.take(taken, at, names)
    assert (source, kept.count, kept.answered, kept.first, kept.last) == (1, 3000, 0, 0, 7)
    assert (kept.one("user"), kept.one("host")) == ("u", None)
    rows_kept = kept.rows()
    assert rows_kept.rows() == [*whole.head(100).rows(), *whole.tail(100).rows()]
