# SPDX-License-Identifier: Apache-2.0
"""What could not be read is told whole: in Chinese where the report is Chinese, and counted where it is not listed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import report_samples as samples

import headwater
from headwater.model.gap_phrases import gap_told
from headwater.model.nouns import Sentence, Text
from headwater.procedure import story
from headwater.procedure.report_gaps import MOST, gap_rows
from headwater.report import moments
from headwater.report.html import render_html
from headwater.store.parts import GAP_SCHEMA

# the words of a library, of a file or of another place of the program that is told by itself
_OTHERS = {"$LogFile: {}", "libbde: {}", "libvshadow: {}", "{}: {}", "event texts: {}: {}", "{} frames {}"}


def _stated() -> Iterator[str]:
    """Every detail that stands in the program as a literal beside a gap's reason, {} in places."""
    for path in sorted(Path(headwater.__file__).parent.rglob("*.py")):
        text = path.read_text("utf-8")
        if "GapReason." not in text:
            continue
        for call in (n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call)):
            named = [ast.unparse(a).startswith("GapReason.") for a in call.args]
            if any(named):
                yield from (s for a in call.args[named.index(True) + 1 :] for s in _literals(a))


def _literals(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from (*_literals(node.body), *_literals(node.orelse))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)


def test_no_reason_of_a_gap_is_english_in_a_chinese_report() -> None:
    stated = set(_stated())
    assert len(stated) > 200
    lacking = {s for s in stated - _OTHERS if gap_told(s.replace("{}", "2")).zh == s.replace("{}", "2")}
    assert not lacking


def test_parts_are_told_in_turn_and_foreign_words_stay() -> None:
    assert gap_told("content: shorter than its stated size").zh == "文件内容：短于所称大小"
    assert gap_told("deleted files: the journal: No such file or directory").zh.endswith("没有这个文件或目录")
    assert gap_told("a directory that cannot be read: Kaputt").zh == "目录无法读取：Kaputt"
    assert gap_told("zero bytes; Kaputt {0} {").zh == "全零字节；Kaputt {0} {"
    assert gap_told("more than {0} members").zh == "成员多于 {0} 个"


def test_a_crafted_detail_does_not_hold_the_report() -> None:
    for crafted in ("content: " * 200, "; " * 900, "content: ; " * 180, "x; " * 100_000):
        assert gap_told(crafted).en == crafted


def test_a_gaps_reason_is_told_in_the_language_of_the_report() -> None:
    base = samples.rich()
    told = replace(base, gaps=(replace(base.gaps[0], detail="content: shorter than its stated size"), base.gaps[1]))
    assert "文件内容：短于所称大小" in render_html(told, "zh").decode()
    assert "shorter than its stated size" not in render_html(told, "zh").decode()
    assert "content: shorter than its stated size" in render_html(told, "en").decode()


def test_files_that_could_not_be_read_beyond_the_listed_are_counted_not_dropped() -> None:
    rows = MOST + 7
    columns = {
        "source": [1] * rows, "path": [f"/f{n:04}" for n in range(rows)], "feed": ["f"] * rows, "offset": [0] * rows,
        "length": [10] * rows, "reason": ["truncated"] * rows, "detail": [""] * rows,
    }  # fmt: skip
    given, left = gap_rows(
        pl.LazyFrame(columns, schema_overrides={k: v for k, v in GAP_SCHEMA.items() if k in columns})
    )
    assert (len(given), left) == (MOST, (7, 7, 70))
    page = render_html(replace(samples.rich(), gaps_left_out=left), "both").decode()
    assert "另有 7 行（7 处，70 字节）未列入本报告" in page
    assert "7 further rows (7 gaps, 70 bytes) are not listed" in page
    assert "未列入本报告" not in render_html(samples.rich(), "zh").decode()


def test_a_long_command_in_the_timeline_does_not_look_like_a_whole_one() -> None:
    hidden = "echo " + "A" * 400 + "; rm -rf /var/log"
    assert story.summary({"command_line": hidden}) == hidden[:300] + f" […+{len(hidden) - 300}]"
    assert story.summary({"command_line": "rm -rf /var/log"}) == "rm -rf /var/log"


def test_the_label_of_a_citation_cannot_turn_the_words_around_it() -> None:
    """An id may hold the name of a file."""
    base = samples.rich()
    hostile = "1:/tmp/\u202egnp.exe:0:0"
    limits = (Sentence(Text("一句。", "One."), (hostile,)),)
    page = render_html(replace(base, extra_cites=(hostile,), limits=limits), "zh").decode()
    assert "\u202e" not in page
    assert "U+202E" in page


def test_a_zone_of_uneven_seconds_is_not_shown_beside_a_time_that_does_not_fit_it() -> None:
    shown = moments.local(0, "Africa/Monrovia")  # 44 minutes and 30 seconds behind until 1972
    assert shown == "1969-12-31 23:15:30 -00:44:30"
