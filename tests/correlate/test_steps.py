# SPDX-License-Identifier: Apache-2.0
"""The internet's background makes no step; what belongs together is one step, what does not is two."""

from __future__ import annotations

from typing import Any

from headwater.correlate.graph import attack_graph
from headwater.correlate.steps import APART, correlate
from headwater.formats.canonical import identify
from headwater.model.kinds import Confidence, Severity, Stage
from headwater.model.nouns import Citation, Finding, Rule, Span, Text

HOUR = 3_600_000_000_000


def finding(
    stage: Stage, severity: Severity = Severity.HIGH, ts: int | None = HOUR, rule: str = "r", **more: Any
) -> Finding:
    card = Rule(rule, "1", "x", Text("题", "title"), stage, ("T1000",), severity)
    cite = Citation(Span(more.pop("evidence", 1), more.pop("path", "/a"), more.pop("offset", 0), 10), ts, {})
    made = Finding(
        card, Text("文。", "Text."), (cite,), more.pop("confidence", Confidence.MEDIUM), severity,
        ts_first=ts, ts_last=ts, **more,
    )  # fmt: skip
    return identify("F", made)


def test_low_findings_and_unconfirmed_requests_make_no_step() -> None:
    low = finding(Stage.LOGIN, Severity.LOW)
    answered = finding(Stage.EXPLOIT, Severity.MEDIUM, facts={"reach": "answered"})
    sigma = finding(Stage.PERSIST, Severity.MEDIUM, rule="sigma:abc")
    assert correlate([low, answered, sigma]) == []


def test_one_actor_one_stage_is_one_step_and_a_long_pause_makes_two() -> None:
    near = [finding(Stage.LOGIN, ts=HOUR * n, src_ip="203.0.113.7", offset=n) for n in (1, 2, 3)]
    far = finding(Stage.LOGIN, ts=HOUR * 3 + APART + 1, src_ip="203.0.113.7")
    steps = correlate([*near, far])
    assert [len(s.findings) for s in steps] == [3, 1]
    assert steps[0].actor == "203.0.113.7"
    assert steps[0].ts_first == HOUR


def test_two_addresses_are_two_steps_and_the_host_comes_from_the_evidence() -> None:
    a = finding(Stage.EXPLOIT, src_ip="203.0.113.7", facts={"reach": "confirmed"})
    b = finding(Stage.EXPLOIT, src_ip="203.0.113.8", facts={"reach": "confirmed"}, host="web01")
    steps = correlate([a, b])
    assert {s.actor for s in steps} == {"203.0.113.7", "203.0.113.8"}
    assert {s.asset for s in steps} == {"web01"}


def test_sigma_joins_a_step_and_state_without_time_too() -> None:
    own = finding(Stage.PERSIST, ts=HOUR)
    sigma = finding(Stage.PERSIST, Severity.MEDIUM, ts=HOUR + 1, rule="sigma:abc")
    state = finding(Stage.PERSIST, ts=None, offset=9)
    (step,) = correlate([sigma, state, own])
    assert set(step.findings) == {own.id, sigma.id, state.id}


def test_the_order_of_findings_does_not_matter() -> None:
    made = [finding(s, ts=HOUR * n, offset=n) for n, s in enumerate(Stage)]
    assert correlate(made) == correlate(reversed(made))
    assert [s.stage for s in correlate(made)] == list(Stage)


def test_the_graph_draws_actor_asset_and_targets() -> None:
    spread = finding(Stage.SPREAD, src_ip="203.0.113.7", host="web01", facts={"targets": "10.20.0.8"})
    steps = correlate([spread])
    graph = attack_graph(steps, [spread])
    assert [n.label for n in graph.nodes] == ["203.0.113.7", "web01", "10.20.0.8"]
    assert [(e.source, e.target) for e in graph.edges] == [
        ("actor:203.0.113.7", "asset:web01"),
        ("asset:web01", "target:10.20.0.8"),
    ]


def test_an_unnamed_actor_is_inferred_only_from_a_single_earlier_entry() -> None:
    entry = finding(Stage.LOGIN, src_ip="203.0.113.7", host="web01")
    persist = finding(Stage.PERSIST, ts=HOUR * 2, user="root", confidence=Confidence.HIGH)
    _, step = correlate([entry, persist])
    assert step.actor == "203.0.113.7"
    assert "推断" in step.text.zh
    assert step.confidence == Confidence.MEDIUM
    web = finding(Stage.EXPLOIT, src_ip="203.0.113.8", host="web01", facts={"reach": "confirmed"})
    assert {s.actor for s in correlate([entry, web, persist]) if s.stage == Stage.PERSIST} == {"203.0.113.7"}
    other = finding(Stage.LOGIN, src_ip="203.0.113.9", host="web01", offset=5)
    assert {s.actor for s in correlate([entry, other, persist]) if s.stage == Stage.PERSIST} == {"root"}


def test_two_findings_about_one_file_do_not_tell_of_two_intruders() -> None:
    shell = "p1!/var/www/html/up.php"
    came = finding(Stage.LOGIN, src_ip="203.0.113.7")
    used = finding(Stage.PERSIST, src_ip="198.51.100.9", path=shell, facts={"path": shell})
    content = finding(Stage.PERSIST, rule="yara", path=shell)
    unit = finding(Stage.PERSIST, rule="unit", path="p1!/etc/systemd/system/x.service")
    typed = finding(Stage.PERSIST, rule="history", path=shell, user="root")
    steps = correlate([came, used, content, unit, typed])
    assert {s.actor: set(s.findings) for s in steps if s.stage == Stage.PERSIST} == {
        "198.51.100.9": {used.id, content.id},
        "203.0.113.7": {unit.id, typed.id},
    }


def test_a_file_that_two_addresses_used_is_nobodys_by_its_content() -> None:
    shell = "p1!/var/www/html/up.php"
    used = [
        finding(Stage.PERSIST, src_ip=who, path=shell, facts={"path": shell})
        for who in ("198.51.100.9", "198.51.100.8")
    ]
    steps = correlate([*used, finding(Stage.PERSIST, rule="yara", path=shell)])
    assert sorted(str(s.actor) for s in steps) == ["198.51.100.8", "198.51.100.9", "None"]


def test_a_finding_without_a_host_is_not_laid_on_one_of_two_that_are_named_as_often() -> None:
    named = [finding(Stage.LOGIN, host=h, src_ip="192.0.2.1", offset=n) for n, h in enumerate(("db01", "web01"))]
    silent = finding(Stage.PERSIST, src_ip="192.0.2.1", offset=9)
    (step,) = [s for s in correlate([*named, silent]) if s.stage == Stage.PERSIST]
    assert step.asset is None
    more = finding(Stage.LOGIN, host="web01", src_ip="192.0.2.1", offset=5)
    (step,) = [s for s in correlate([*named, more, silent]) if s.stage == Stage.PERSIST]
    assert step.asset == "web01"
