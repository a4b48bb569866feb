# SPDX-License-Identifier: Apache-2.0
"""A damage section that says nothing where the evidence speaks, or a figure where it is silent."""

from __future__ import annotations

from pathlib import Path

from headwater.procedure.corridor import open_case
from headwater.procedure.image_fields import fields, shown
from headwater.procedure.investigate import Outcome
from headwater.procedure.reporting import fill

Worked = tuple[Path, Path, Outcome]


def test_what_the_evidence_gives_is_said_and_what_it_cannot_give_as_well(worked: Worked) -> None:
    corridor = open_case(worked[1])
    with corridor.ledger:
        filled = fill(corridor)
    said = {figure.label.en: figure for figure in filled.damage}
    assert "web01" in said["Systems affected"].value.en  # type: ignore[union-attr]
    assert "root" in said["Accounts touched"].value.en  # type: ignore[union-attr]
    loss = said["Direct loss and necessary cost of recovery"]
    assert loss.value is not None
    assert "Cannot be known" in loss.value.en
    assert all(figure.cites for figure in filled.damage)
    assert "Files encrypted and renamed" not in said  # nothing of the kind in this case


def test_goal_and_scope_follow_the_authority_and_the_evidence(worked: Worked) -> None:
    corridor = open_case(worked[1])
    with corridor.ledger:
        plan = fill(corridor).plan
    assert worked[2].items[0].name in plan.goal[-1].text.zh
    assert "没有授权" in plan.scope[0].text.zh
    assert "时区：Asia/Shanghai" in plan.method[-1].text.zh


def test_fields_of_the_image_are_named_in_both_languages_and_dated() -> None:
    found = list(fields({"zz": "x", "acquired": "1795316451", "case_number": "7"}))
    assert [f.label.zh for f in found] == ["案件编号（镜像载）", "采集时间（镜像载）", "zz（镜像载）"]
    assert found[1].value == "2026-11-22 03:00:51 UTC (1795316451)"
    assert shown("acquired", "2026 11 22 3 0 51") == "2026 11 22 3 0 51"  # a form that names no zone stays as it stands


def test_baseline_that_was_entered_in_the_ledger_stands_in_the_head(copied: Path) -> None:
    corridor = open_case(copied)
    with corridor.ledger:
        assert fill(corridor).title.baseline is None
        corridor.record("baseline", note={"time": "2026-03-02T10:00:00+08:00", "source": "radio clock"})
        title = fill(corridor).title
    assert (title.baseline, title.baseline_source) == (1_772_416_800 * 10**9, "radio clock")
