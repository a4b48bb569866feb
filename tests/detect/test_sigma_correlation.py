# SPDX-License-Identifier: Apache-2.0
"""Correlations: every type counts what its window holds, overlapping windows are one episode, chains and circles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from memory_events import MemoryEvents

from headwater.detect import sigma
from headwater.detect.sigma_correlation import Correlation, Match, episodes
from headwater.model.kinds import EventKind
from headwater.model.nouns import Finding
from headwater.model.ports import Settings

SECOND = 1_000_000_000
BASE = """
title: {title}
id: 00000000-0000-0000-0000-00000000000{digit}
name: {title}
level: low
logsource: {{product: linux, category: process_creation}}
detection:
  s: {{CommandLine|startswith: '{title} '}}
  condition: s
"""
CORRELATION = """
title: correlated
id: 00000000-0000-0000-0000-0000000000{digits}
name: correlated{digits}
author: A. Uthor
level: high
correlation:
{body}
"""


def made(
    kind: str, condition: tuple[Any, ...], *, span: int = 60, rules: tuple[str, ...] = ("a",), **more: Any
) -> Correlation:
    values = {"group_by": ("user",), "aliases": ()} | more
    return Correlation(kind, rules, span, condition=condition, **values)


def at(
    seconds: float, rule: str = "a", value: str | None = None, user: str | None = "u", row: int | None = None
) -> Match:
    ns = int(seconds * SECOND)
    return Match(ns, rule, (user,), (value,), (ns if row is None else row,))


def told(what: Correlation, *matches: Match) -> list[tuple[float, float, int]]:
    return [(e.first / SECOND, e.last / SECOND, e.count) for e in episodes(what, matches)]


def test_counts_reach_the_condition_within_the_span_only() -> None:
    what = made("event_count", ("gte", 3))
    assert told(what, at(0), at(30), at(60)) == [(0, 60, 3)]
    assert told(what, at(0), at(30), at(61)) == []
    assert told(what, at(0), at(1, user="v"), at(2)) == []
    assert told(what, at(0), at(1, user=None), at(2)) == []


def test_overlapping_windows_are_one_episode_and_separate_ones_are_not() -> None:
    what = made("event_count", ("gte", 3))
    assert told(what, *(at(20 * i) for i in range(10))) == [(0, 180, 10)]
    assert told(what, *(at(i) for i in range(3)), *(at(1000 + i) for i in range(4))) == [(0, 2, 3), (1000, 1003, 4)]


@pytest.mark.parametrize(
    ("kind", "condition", "more", "hit", "miss"),
    [
        ("value_count", ("gte", 3), {}, ["x", "y", "x", "z"], ["x", "y", "x", None]),
        ("value_sum", ("gt", 10), {}, ["4", "7"], ["4", "6", "word"]),
        ("value_avg", ("gte", 5), {}, ["4", "6", "word"], ["4", "5.5"]),
        ("value_median", ("eq", 5), {}, ["1", "5", "90"], ["1", "4", "90"]),
        ("value_median", ("eq", 5), {}, ["4", "6"], ["4", "4"]),
        ("value_percentile", ("gte", 90), {"percentile": 95}, ["1"] * 18 + ["90", "99"], ["1"] * 19 + ["99"]),
    ],
)
def test_measures_of_a_window(kind: str, condition: Any, more: Any, hit: list[Any], miss: list[Any]) -> None:
    what = made(kind, condition, fields=("f",), **more)
    assert told(what, *(at(i, value=v) for i, v in enumerate(hit)))
    assert not told(made(kind, condition, fields=("f",), span=1000, **more), *(at(0, value=v) for v in miss))


def test_what_left_the_window_counts_no_more() -> None:
    what = made("value_sum", ("gte", 10), fields=("f",))
    assert told(what, at(0, value="9"), at(61, value="9"), at(62, value="0.5")) == []


def test_temporal_order_and_extended_conditions() -> None:
    both = {"rules": ("a", "b")}
    assert told(made("temporal", ("gte", 2), **both), at(0, "b"), at(5, "a")) == [(0, 5, 2)]
    assert told(made("temporal_ordered", ("gte", 2), **both), at(0, "b"), at(5, "a")) == []
    assert told(made("temporal_ordered", ("gte", 2), **both), at(0, "b"), at(5, "a"), at(9, "b")) == [(0, 9, 3)]
    without = ("and", ("rule", "a"), ("not", ("rule", "b")))
    assert told(made("temporal", without, **both), at(0, "a")) == [(0, 0, 1)]
    assert told(made("temporal", without, **both), at(0, "a"), at(3, "b")) == []
    either = ("or", ("rule", "a"), ("rule", "b"))
    assert told(made("temporal", either, **both), at(0, "b")) == [(0, 0, 1)]


def run(folder: Path, rows: list[tuple[int, dict[str, Any]]], *bodies: str) -> tuple[list[Finding], sigma.SigmaReport]:
    for number, title in enumerate(("alpha", "beta"), 1):
        (folder / f"{title}.yml").write_text(BASE.format(title=title, digit=number))
    for number, body in enumerate(bodies):
        indented = "\n".join("  " + line for line in body.strip().splitlines())
        (folder / f"c{number}.yml").write_text(CORRELATION.format(digits=50 + number, body=indented))
    happened = [(EventKind.PROCESS_CREATE, s * SECOND, {"fields": own}) for s, own in rows]
    return sigma.run_rules(folder, MemoryEvents().say("linux.audit", "/a", *happened), Settings())


ROWS = [(i, {"CommandLine": f"alpha {i}", "who": "bob"}) for i in range(5)]
COUNT = "type: event_count\nrules: [alpha]\ngroup-by: [who]\ntimespan: 1m\ncondition: {gte: 5}"


def test_a_correlation_makes_one_finding_and_silences_its_rule(tmp_path: Path) -> None:
    (found,), report = run(tmp_path, ROWS, COUNT)
    assert found.rule.id.startswith("sigma:00000000-0000-0000-0000-000000000050")
    assert found.facts["records"] == 5
    assert found.facts["group"] == "who=bob"
    assert len(found.spans) == 5
    assert not [r for r, _ in report.unsupported if "correlated" in r]
    findings, _ = run(tmp_path, ROWS, COUNT + "\ngenerate: true")
    assert len(findings) == 2


def test_aliases_join_fields_of_different_names(tmp_path: Path) -> None:
    rows = [(0, {"CommandLine": "alpha x", "who": "bob"}), (9, {"CommandLine": "beta x", "whom": "bob"})]
    body = "type: temporal_ordered\nrules: [alpha, beta]\ngroup-by: [person]\ntimespan: 1m\n"
    aliases = "aliases:\n  person:\n    alpha: who\n    beta: whom"
    (found,), _ = run(tmp_path, rows, body + aliases)
    assert found.facts["group"] == "person=bob"
    assert run(tmp_path, rows, body)[0] == []


def test_a_correlation_of_correlations(tmp_path: Path) -> None:
    rows = [*ROWS, (30, {"CommandLine": "beta x", "who": "bob"})]
    chain = "type: temporal\nrules: [correlated50, beta]\ngroup-by: [who]\ntimespan: 1m"
    (found,), report = run(tmp_path, rows, COUNT, chain)
    assert found.rule.id.endswith("51")
    assert len(found.spans) == 6
    assert len(report.ran) == 4


def test_circles_and_missing_rules_are_named(tmp_path: Path) -> None:
    circle = "type: temporal\nrules: [{}]\ntimespan: 1m\ncondition: {{gte: 1}}"
    findings, report = run(
        tmp_path, ROWS, circle.format("correlated51"), circle.format("correlated50"), circle.format("nowhere")
    )
    reasons = [why for name, why in report.unsupported if "correlated" in name]
    assert len(reasons) == 3
    assert sum("circle" in why for why in reasons) == 2
    assert sum("nowhere" in why for why in reasons) == 1
    assert {f.rule.title.en for f in findings} == {"alpha"}
