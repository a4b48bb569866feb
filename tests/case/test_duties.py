# SPDX-License-Identifier: Apache-2.0
"""Deadlines that pass unseen, prompts nobody asked, articles cited that nobody read, defects found too late."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from headwater.case import duties
from headwater.case.defects import Held, Whole, defects
from headwater.cli.main import main
from headwater.model.errors import UsageError
from headwater.model.nouns import Text
from headwater.model.times import from_rfc3339

KNOWN = "2026-03-02T00:00:00.000000000Z"


def test_every_clock_runs_to_its_hour() -> None:
    now = from_rfc3339("2026-03-02T03:00:00Z")
    for operator, hours in (("cii", [1, 24]), ("state", [2, 24]), ("other", [4, 24])):
        found = duties.clocks(KNOWN, operator, {}, now)
        assert [c.left_ns // 3_600_000_000_000 for c in found] == [h - 3 for h in hours]
    assert duties.clocks(KNOWN, "cii", {"cii-1h": "已报，电话"}, now)[0].done == "已报，电话"


def test_every_law_says_when_it_was_checked_and_cites_articles_only_where_read() -> None:
    for law in duties.laws().values():
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", law.checked_on)
        assert law.mark in {"V", "S", "K"}
        if law.mark != "V":
            assert not re.search(r"第\d+条|Art\. ?\d", law.name.zh + law.name.en), law.id
    assert "不是法律意见" in duties.notice().zh


def test_every_clock_and_prompt_names_a_law_of_the_map() -> None:
    for matter in duties.MATTERS:
        assert duties.prompts([matter], {})
    for prompt in duties.prompts(duties.MATTERS, {}):
        assert prompt.law.id in duties.laws()
    with pytest.raises(UsageError):
        duties.known("nothing", duties.MATTERS)


def test_overdue_report_is_told_until_it_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = str(tmp_path / "case")
    assert main(["case", "new", case, "--no-authority", "演练", "--examiner", "张三", "--examiner", "李四"]) == 0
    assert main(["case", "duties", case, "--known", "2020-01-01T00:00:00Z", "--operator", "cii"]) == 1
    assert "已逾期 OVERDUE" in capsys.readouterr().out
    done = ["--done", "cii-1h=网信办 2026-12", "--done", "police-24h=受案字1号"]
    assert main(["case", "duties", case, *done, "--matter", "criminal"]) == 0
    said = capsys.readouterr().out
    assert "受案字1号" in said
    assert "criminal-two" in said
    assert main(["case", "duties", case, "--matter", "other"]) == 2
    assert main(["case", "duties", case, "--known", "yesterday"]) == 2


FULL = {
    "operators": "张三、李四", "holder": "某公司", "witness": "王五", "category": "log", "file_format": "text/plain",
    "original_or_copy": "原件", "clock_offset": "+0.01 s ± 0.001 s",
}  # fmt: skip


def _held(**more: object) -> Held:
    base: dict[str, object] = {
        "number": "I1", "fields": FULL, "absent": {}, "judged": True, "sealed": True, "handed_over_unsealed": False,
    }  # fmt: skip
    return Held(**(base | more))  # type: ignore[arg-type]


def test_sound_case_has_no_defect() -> None:
    assert defects(Whole(2, True, (), True, (), (_held(),))) == []


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (_held(handed_over_unsealed=True), "handed over unsealed"),
        (_held(fields=FULL | {"operators": "张三"}), "fewer than two persons collected it"),
        (_held(fields={k: v for k, v in FULL.items() if k != "witness"}), "no witness"),
        (_held(fields={k: v for k, v in FULL.items() if k != "holder"}), "no holder"),
        (_held(fields=FULL | {"category": "other"}), "category or file format unclear"),
        (_held(fields=FULL | {"original_or_copy": "复制件"}), "why the original was not seized"),
        (_held(fields={k: v for k, v in FULL.items() if k != "clock_offset"}), "clock was not measured"),
        (_held(judged=False), "not yet judged"),
        (_held(unlike=["stated-in-container md5"]), "digests differ"),
    ],
)
def test_defect_of_an_item_is_named_with_its_cure(held: Held, words: str) -> None:
    found = defects(Whole(2, True, (), True, (), (held,)))
    assert len(found) == 1
    assert words in found[0].what.en
    assert found[0].cure.zh


def test_defects_of_the_case_are_named() -> None:
    found = [d.what.en for d in defects(Whole(1, False, ("legal_basis",), False, (Text("第3条", "entry 3"),)))]
    assert len(found) == 5


def test_defects_of_a_bare_case_are_listed_by_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = str(tmp_path / "case")
    assert main(["case", "new", case, "--no-authority", "演练", "--examiner", "张三"]) == 0
    capsys.readouterr()
    assert main(["defects", case, "--json"]) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert any("anchored" in row["what"]["en"] for row in rows)
