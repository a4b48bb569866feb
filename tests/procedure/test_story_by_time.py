# SPDX-License-Identifier: Apache-2.0
"""A story told out of order, that hides a silence, or that trusts a clock which cannot be right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from headwater.model.custody import Evidence
from headwater.model.kinds import STAGE_TEXT, Confidence, Severity, Stage
from headwater.model.nouns import Citation, Finding, Rule, Span, Step, Text
from headwater.model.times import SECOND, from_rfc3339
from headwater.procedure import odd_times as module
from headwater.procedure.chronicle import moves, overview, span_of, story_lines
from headwater.procedure.corridor import open_case
from headwater.procedure.investigate import Outcome
from headwater.procedure.judgement import Judged

Worked = tuple[Path, Path, Outcome]
START = from_rfc3339("2026-03-02T03:00:00Z")
MINUTE = 60 * SECOND


def _case(*plan: tuple[Stage, int | None, int | None]) -> Judged:
    """Steps at minutes after the start, each with one finding."""
    findings, steps = [], []
    for at, (stage, first, last) in enumerate(plan):
        begin, end = (None if m is None else START + m * MINUTE for m in (first, last))
        rule = Rule("r", "1", "a", Text("题", "t"), stage, (), Severity.HIGH)
        cited = (Citation(Span(1, "p", at, 1), begin, {"user": "a"}),)
        text = Text(f"事{at}。", f"deed {at}.")
        findings.append(Finding(rule, text, cited, Confidence.HIGH, Severity.HIGH, begin, end, id=f"F-{at}"))
        steps.append(Step(stage, "T1", None, "h", begin, end, Confidence.HIGH, text, (f"F-{at}",), f"S-{at}"))
    return Judged(tuple(findings), tuple(steps), (), (), {})


def _item(**more: object) -> Evidence:
    made = Evidence(
        1, "x.E01", "e01", "/x", 1, "medium", {"sha256": "0"}, (), "m", "c", "p", "2026-03-05T00:00:00.000000000Z"
    )
    return replace(made, **more)  # type: ignore[arg-type]


def test_lines_go_by_time_across_stages_and_name_the_stage() -> None:
    judged = _case((Stage.PERSIST, 60, 61), (Stage.LOGIN, 0, 0), (Stage.ESCALATE, 90, 95), (Stage.PERSIST, 30, 31))
    lines = [s.text.en for s in overview(judged, [_item()])][2:]
    assert [line.split(":")[-1].strip() for line in lines] == ["deed 1.", "deed 3.", "deed 2."]  # deed 0 follows deed 3
    times = [line[:19] for line in lines]
    assert times == sorted(times)
    assert STAGE_TEXT[Stage.LOGIN][1] in lines[0]
    assert "2 steps" in lines[1]


def test_silence_and_length_are_said() -> None:
    judged = _case((Stage.LOGIN, 0, 5), (Stage.ESCALATE, 10, 10), (Stage.IMPACT, 600, 700))
    zh = [s.text.zh for s in overview(judged, [_item()])][2:]
    assert "历时 5 分" in zh[0]
    assert "前一行开始后 10 分" in zh[1]
    assert "此前 9 小时 50 分 内无步骤" in zh[2]


def test_step_without_a_time_comes_last_and_says_so() -> None:
    judged = _case((Stage.COVER, None, None), (Stage.LOGIN, 0, 0))
    assert "时间未记载" in [s.text.zh for s in overview(judged, [_item()])][-1]


def test_many_steps_stay_ten_lines_with_every_stage_and_none_forgotten() -> None:
    plan = [(list(Stage)[at % 7], at * 7, at * 7 + 1) for at in range(40)]
    judged = _case(*plan)
    assert len(story_lines(judged, [_item()], "zh")) <= 10
    said = list(overview(judged, [_item()]))
    assert {c for s in said for c in s.cites if c.startswith("S-")} == {s.id for s in judged.steps}
    told, untold = moves(judged.steps)
    assert {m.steps[0].stage for m in told} == set(Stage)
    assert sum(len(m.steps) for m in told) + len(untold) == 40


@pytest.mark.parametrize(
    ("ns", "zh"), [(0, "不足 1 秒"), (77 * SECOND, "1 分 17 秒"), (26 * 3600 * SECOND, "1 天 2 小时")]
)
def test_lengths_in_words(ns: int, zh: str) -> None:
    assert span_of(ns).zh == zh


class _Store:
    def __init__(self, times: list[int]) -> None:
        kinds = ["auth.failure"] * len(times)
        self._frame = pl.DataFrame(
            {"source": [1] * len(times), "feed": ["linux.auth"] * len(times), "kind": kinds, "ts": times}
        )

    def feeds(self) -> list[str]:
        return ["linux.auth"]

    def scan(self) -> pl.LazyFrame:
        return self._frame.lazy()


def _odd(monkeypatch: pytest.MonkeyPatch, item: Evidence, *times: str | int) -> list[str]:
    ns = [t if isinstance(t, int) else from_rfc3339(t) for t in times]
    monkeypatch.setattr(module, "store_of", lambda _: _Store(ns))
    monkeypatch.setattr(module, "evidence_of", lambda _: [item])

    class _Corridor:
        ledger = None

    return [s.text.zh for s in module.warnings(_Corridor())]  # type: ignore[arg-type]


def test_time_outside_1970_to_2100_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    said = _odd(monkeypatch, _item(), -1, "2026-03-01T00:00:00Z", "2101-01-01T00:00:00Z")
    assert len(said) == 1
    assert "2 个事件的时间在 1970 年至 2100 年之外" in said[0]


def test_time_after_the_acquisition_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    stated = _item(notes={"acquired": str(from_rfc3339("2026-03-03T00:00:00Z") // SECOND)})
    said = _odd(monkeypatch, stated, "2026-03-02T23:59:59Z", "2026-03-03T00:00:01Z", "2026-03-04T00:00:00Z")
    assert len(said) == 1
    assert "2 个事件" in said[0]
    assert "镜像自述的采集时间" in said[0]
    assert "登记时间" in _odd(monkeypatch, _item(), "2026-03-06T00:00:00Z")[0]


def test_times_that_can_be_right_are_not_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _odd(monkeypatch, _item(), 0, "2026-03-01T00:00:00Z", "2026-03-04T23:59:59Z") == []


def test_warning_stands_in_the_report_and_on_the_terminal(worked: Worked, monkeypatch: pytest.MonkeyPatch) -> None:
    from headwater.procedure import reporting

    monkeypatch.setattr(module, "LATEST", from_rfc3339("2026-03-01T00:00:00Z"))
    corridor = open_case(worked[1])
    with corridor.ledger:
        filled = reporting.fill(corridor)
        odd = tuple(module.warnings(corridor))
    assert odd
    assert any("之外" in s.text.zh for s in filled.overview)
    assert any("之外" in s.text.zh for s in filled.limits)
    assert any("之外" in line for line in story_lines(worked[2].judged, worked[2].items, "zh", odd))
