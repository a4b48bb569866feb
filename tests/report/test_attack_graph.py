# SPDX-License-Identifier: Apache-2.0
"""An attack path that cannot be read, overlaps itself, or lets evidence into the drawing's markup."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace

import pytest
import report_samples as samples

from headwater.model.kinds import STAGE_TEXT, Stage
from headwater.model.nouns import Step
from headwater.report.graph import ROWS, WIDTH, attack_graph_parts, attack_graph_svg

SVG = "{http://www.w3.org/2000/svg}"


def many(count: int) -> list[Step]:
    base = samples.rich().steps
    return [
        replace(
            base[n % len(base)],
            id=f"step-{n}",
            stage=list(Stage)[n * 6 // count],
            ts_first=1_772_424_000_000_000_000 + n * 60_000_000_000,
            actor=("203.0.113.77", "deploy", "2001:db8:1234:5678:9abc:def0:1234:5678", None)[n % 4],
            asset=("web01", "a-very-long-host-name.internal.example.com", "备份服务器与数据库服务器")[n // 2 % 3],
        )
        for n in range(count)
    ]


def boxes(root: ET.Element) -> list[tuple[float, float, float, float]]:
    found = []
    for rect in root.iter(f"{SVG}rect"):
        if rect.get("rx"):
            x, y, width, height = (float(rect.get(name, "0")) for name in ("x", "y", "width", "height"))
            found.append((x, y, x + width, y + height))
    return found


def overlapping(found: Sequence[tuple[float, float, float, float]]) -> int:
    return sum(
        a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
        for at, a in enumerate(found)
        for b in found[at + 1 :]
    )


@pytest.mark.parametrize("count", [1, 2, 7, 19, 30])
def test_nothing_overlaps_or_leaves_the_drawing(count: int) -> None:
    root = ET.fromstring(attack_graph_svg(many(count), samples.rich().findings, "both"))
    height = float(root.get("height", "0"))
    assert root.get("viewBox") == f"0 0 {WIDTH} {height:g}"
    found = boxes(root)
    assert found
    assert overlapping(found) == 0
    assert all(x >= 0 and right <= WIDTH and bottom <= height for x, _, right, bottom in found)
    assert all(0 <= float(text.get("y", "-1")) <= height for text in root.iter(f"{SVG}text"))


def test_every_step_is_labelled_with_its_time() -> None:
    steps = many(30)
    root = ET.fromstring(attack_graph_svg(steps, samples.rich().findings, "zh"))
    said = {text.text for text in root.iter(f"{SVG}text")}
    assert {f"S{n}" for n in range(1, 31)} <= said
    assert "03-02 04:00:00" in said
    assert {STAGE_TEXT[stage][0] for stage in list(Stage)[:6]} <= said


def test_lanes_stand_in_the_order_of_the_stages() -> None:
    root = ET.fromstring(attack_graph_svg(list(reversed(many(12))), samples.rich().findings, "en"))
    at = {text.text: float(text.get("y", "0")) for text in root.iter(f"{SVG}text")}
    heights = [at[STAGE_TEXT[stage][1]] for stage in list(Stage)[:6]]
    assert heights == sorted(heights)


def test_long_path_is_split_over_pages() -> None:
    steps = many(45)
    parts = attack_graph_parts(steps, samples.rich().findings, "zh", {step.id: "S" for step in steps})
    assert len(parts) == -(-45 // ROWS)
    for part in parts:
        root = ET.fromstring(part)
        assert float(root.get("height", "0")) / WIDTH < 240 / 176  # fits a page of A4 beside its heading


def test_hostile_names_stay_text() -> None:
    report = samples.hostile()
    drawn = attack_graph_svg(report.steps, report.findings, "zh")
    root = ET.fromstring(drawn)
    assert {element.tag for element in root.iter()} == {
        SVG + tag for tag in ("svg", "text", "rect", "path", "circle", "title")
    }
    assert not any(name.startswith("on") or name in ("style", "href", "id") for e in root.iter() for name in e.attrib)
    assert "‹U+202E›" in drawn
    assert overlapping(boxes(root)) == 0


def test_same_steps_give_the_same_drawing() -> None:
    report = samples.rich()
    assert attack_graph_svg(report.steps, report.findings, "zh") == attack_graph_svg(
        report.steps, report.findings, "zh"
    )
    ET.fromstring(attack_graph_svg((), (), "en"))
