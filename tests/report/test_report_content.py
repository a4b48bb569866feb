# SPDX-License-Identifier: Apache-2.0
"""A report that says what nothing supports, loses a language, or leaves out a section."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
import report_samples as samples

from headwater.model.errors import ReportError
from headwater.model.kinds import EventKind
from headwater.model.nouns import Citation, Sentence, Text
from headwater.report import inert, words
from headwater.report.address_data import AddressRow, AddressTable
from headwater.report.blocks import Fields, Heading, Piece, Table
from headwater.report.data import DamageFigure, Digest, ReportData, Verdict
from headwater.report.document import compose
from headwater.report.findings import chosen
from headwater.report.html import render_html
from headwater.report.pdf import render_pdf
from headwater.report.runs import runs
from headwater.report.settings_data import SettingRow, SettingTable

# Names that stand in Latin letters in Chinese text too.
NAMES = {"SHA", "UTC", "GB"}


def texts(value: Any) -> Iterator[Text]:
    if isinstance(value, Text):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from texts(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from texts(item)


def refused(report: ReportData) -> ReportError:
    with pytest.raises(ReportError) as caught:
        render_html(report, "zh")
    with pytest.raises(ReportError):
        render_pdf(report, "zh")
    assert caught.value.code == "HW7002"
    return caught.value


def test_sentence_without_citation_is_refused() -> None:
    uncited = object.__new__(Sentence)
    for name, value in (("text", Text("无据之言", "said on no ground")), ("cites", ()), ("own", False)):
        object.__setattr__(uncited, name, value)
    for place in ("overview", "limits", "authority_notes"):
        assert "无据之言" in refused(replace(samples.rich(), **{place: (uncited,)})).text("zh")
    plan = replace(samples.rich().plan, goal=(uncited,))
    refused(replace(samples.rich(), plan=plan))


def test_plain_text_is_no_sentence() -> None:
    refused(replace(samples.rich(), overview=("just text",)))  # type: ignore[arg-type]


def test_citation_of_what_is_not_in_the_report_is_refused() -> None:
    dangling = Sentence(Text("引证不存在。", "Cites nothing that is there."), ("finding-of-another-case",))
    assert "finding-of-another-case" in refused(replace(samples.rich(), overview=(dangling,))).text("en")
    base = samples.rich()
    refused(replace(base, steps=(replace(base.steps[0], findings=("finding-gone",)), *base.steps[1:])))
    refused(replace(base, hypotheses=(replace(base.hypotheses[0], supports=("finding-gone",)),)))


def test_two_records_with_one_id_are_refused() -> None:
    base = samples.rich()
    with pytest.raises(ReportError) as caught:
        render_html(replace(base, findings=(*base.findings, base.findings[0])), "zh")
    assert caught.value.code == "HW7001"


def test_unknown_language_is_refused() -> None:
    for render in (render_html, render_pdf):
        with pytest.raises(ReportError):
            render(samples.empty(), "fr")


def test_event_of_a_finding_may_be_cited_though_it_has_no_row() -> None:
    base = samples.rich()
    span = base.findings[0].spans[33].span
    said = Sentence(Text("第 34 次失败。", "The 34th failure."), (f"{span.evidence}:{span.path}:{span.offset}:0",))
    assert b"#i-finding-3f1c5a9e0b7d2468" in render_html(replace(base, overview=(said,)), "zh")


def test_verdict_other_than_a_match_needs_its_reason() -> None:
    with pytest.raises(ValueError):
        Digest("MD5", None, None, None, Verdict.CANNOT)


def test_damage_figure_needs_a_ground() -> None:
    with pytest.raises(ValueError):
        DamageFigure(Text("损失", "loss"), Text("100", "100"))


def test_headings_and_labels_are_complete_in_both_languages() -> None:
    for report in (samples.rich(), samples.empty()):
        document = compose(report, 12)
        said: list[Text] = [document.title, document.running]
        for block in (*document.head, *document.body):
            if isinstance(block, Heading) and not block.number.startswith("F"):
                said.append(block.text)
            elif isinstance(block, Table):
                said += [column.label for column in block.columns]
            elif isinstance(block, Fields):
                said += [label for label, _ in block.rows]
        assert len(said) > 40
        for text in said:
            foreign = set(re.findall("[A-Za-z]{2,}", text.zh)) - NAMES
            assert not foreign, text
            assert not re.search("[\u4e00-\u9fff]", text.en), text


def test_every_text_of_the_document_has_both_languages() -> None:
    for text in texts(compose(samples.rich(), 12)):
        assert text.zh.strip() or text.zh == " "
        assert text.en.strip() or text.en == " "


def test_every_kind_of_event_has_chinese_words() -> None:
    assert words.named_kinds() == {str(kind) for kind in EventKind}


def test_embedded_fonts_cover_the_reports_own_words_and_rare_names() -> None:
    own = "".join(t.zh + t.en for t in texts(compose(samples.rich(), 12))) + "喆堃镕玥祎□→…"
    assert not {c for c in own if not inert.covers(c)}
    assert not {c for c in "电子数据检验报告保管链校验值" if not inert.covers(c, "bold")}


def test_sections_stand_in_order() -> None:
    page = render_html(samples.rich(), "zh").decode()
    order = [
        "授权要素未记载：生效", "不是司法鉴定意见", "概述", "授权", "检验计划", "检材登记表", "保管链", "工具与隔离", "时钟假定", "时间线",
        "入侵步骤", "攻击路径图", "检验发现", "假设与验证", "查找及其结果", "未能读取的数据", "损失评估", "局限", "如何核验", "附录：引证记录",
        "附录：校验值", "签名",
    ]  # fmt: skip
    body = page[page.index("<main>") :]
    at = [page.index(order[0]), page.index(order[1])]
    assert at == sorted(at)
    headings = re.findall(r'<h2 id="[^"]*"><span class="n">(\d+)</span>([^<]*)</h2>', body)
    assert [name for _, name in headings] == order[2:]
    assert [int(number) for number, _ in headings] == list(range(1, 21))


def test_register_shows_the_seven_columns_first() -> None:
    document = compose(samples.rich(), 12)
    register = next(b for b in document.body if isinstance(b, Table) and len(b.columns) == 7)
    names = [column.label.zh for column in register.columns]
    assert names == ["文件名", "时间", "来源", "哈希（SHA-256）", "采集方式", "保管人", "用途"]


def test_missing_values_say_so() -> None:
    page = render_html(samples.empty(), "both").decode()
    assert page.count("未记载") > 15
    assert "应急处置，来不及报批" in page
    assert "未取得授权：理由——" in page
    assert "NO AUTHORITY" in page
    for said in (
        "没有登记的检材",
        "各检测规则均无发现",
        "没有步骤，无图可绘",
        "未评估",
        "没有提出假设",
        "没有登记的查找",
    ):
        assert said in page


def test_times_stand_in_utc_and_in_the_zone_of_the_case() -> None:
    page = render_html(samples.rich(), "zh").decode()
    assert "2026-03-02 04:02:31.412 UTC" in page
    assert "2026-03-02 12:02:31.412 +08:00" in page


def test_hash_verdicts_are_printed_with_their_reasons() -> None:
    page = render_html(samples.rich(), "both").decode()
    for said in (
        "匹配",
        "不匹配",
        "不可主张",
        "没有采集时的校验值可资比对",
        "one chunk of segment 2 fails its checksum",
    ):
        assert said in page


def test_long_list_of_records_says_how_many_it_leaves_out() -> None:
    base = samples.rich()
    many = replace(base.findings[0], spans=base.findings[0].spans * 5)
    page = render_html(replace(base, findings=(many, *base.findings[1:])), "en").decode()
    assert "records 1–60 of 200" in page
    assert "at most 60; the other 140 stand in findings.jsonl" in page
    assert page.count('id="i-cited-') == 60 + sum(len(f.spans) + len(f.gaps) for f in base.findings[1:])


def test_first_and_last_record_and_every_file_are_cited_before_others() -> None:
    def at(path: str, offset: int) -> Citation:
        return samples.citation(path, offset, 9, "2026-03-02T03:00:00Z", user="a")

    spans = (at("a", 1), at("a", 2), at("b", 3), at("a", 4), at("c", 5), at("a", 6))
    assert [c.span.offset for c in chosen(spans, 4)] == [1, 3, 5, 6]
    assert [c.span.offset for c in chosen(spans, 2)] == [1, 6]
    assert [c.span.offset for c in chosen(spans, 5)] == [1, 2, 3, 5, 6]
    assert chosen(spans, 9) == list(spans)


def test_run_of_like_events_is_one_printed_row_that_says_how_many() -> None:
    base = samples.rich()
    row = base.timeline[0]
    many = tuple(
        replace(row, id=f"1:x:{n}:0", ts=(row.ts or 0) + n * 10**9, user=f"u{n % 5}", offset=n) for n in range(30)
    )
    other = replace(row, id="1:y:0:0", ts=(row.ts or 0) + 15 * 10**9, kind="auth.success", path="y")
    late = replace(row, id="1:x:99:0", ts=(row.ts or 0) + 9 * 3600 * 10**9, offset=99)
    rows = [*many[:15], other, *many[15:], late]
    found = runs(rows)
    assert [len(run.rows) for run in found] == [30, 1, 1]
    assert sorted(r.id for run in found for r in run.rows) == sorted(r.id for r in rows)
    document = compose(replace(base, timeline=tuple(rows)), 12, 300)
    assert "共 30 条，此为首条" in {text.zh for text in texts(document)}


def test_every_link_has_its_anchor() -> None:
    for report in (samples.rich(), samples.hostile(), samples.empty()):
        page = render_html(report, "both").decode()
        names = re.findall(r' id="([^"]*)"', page)
        assert len(names) == len(set(names))
        assert set(re.findall(r'href="#([^"]*)"', page)) <= set(names)


def test_pieces_know_no_other_kind() -> None:
    known = {"words", "inline", "mark", "small", "data", "code", "cite", "none", "good", "bad", "doubt", "break"}
    seen: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, Piece):
            seen.add(value.kind)
        elif is_dataclass(value) and not isinstance(value, type):
            for field in fields(value):
                walk(getattr(value, field.name))
        elif isinstance(value, tuple):
            for item in value:
                walk(item)

    walk(compose(samples.rich(), 12))
    assert seen <= known


def test_of_a_thousand_like_findings_and_steps_none_is_left_out_or_uncited() -> None:
    base = samples.rich()
    finding, step = base.findings[0], base.steps[0]
    alike = tuple(replace(finding, id=f"F-{n:04}", src_ip=f"198.51.100.{n % 250}") for n in range(90))
    follow = tuple(replace(step, id=f"S-{n:04}", findings=(f"F-{n:04}",)) for n in range(90))
    many = replace(base, findings=(*base.findings, *alike), steps=(*base.steps, *follow))
    page = render_html(many, "zh").decode()
    for n in range(90):  # each stands where it is linked to, and rests on a record or on a finding
        assert f'id="i-F-{n:04}"' in page
        row = page[page.index(f'id="i-S-{n:04}"') :].split("</p>\n<h3", 1)[0]
        assert f'href="#i-F-{n:04}"' in row
    body = compose(many, 2, 300).body  # the printed form
    tables = [b for b in body if isinstance(b, Table) and any(r.target.startswith("F-") for r in b.rows)]
    assert [len(t.rows) for t in tables] == [30]
    assert all(any(p.kind == "cite" for p in r.cells[-1]) for t in tables for r in t.rows)


def test_quick_look_at_a_text_says_what_the_look_at_each_character_says() -> None:
    for code in (*range(0x3100), *range(0x4DFF, 0xA000), *range(0xFE00, 0x10000), 0x1F600, 0xE0101):
        char = chr(code)
        alone = inert.pieces(char + "\x00")[:-1]  # the zero byte takes the slow way
        assert inert.pieces(char) == alone
        assert inert.thin(char) == [(not inert.covers(char, "bold"), char)]


def test_settings_show_what_is_remarked_on_first_and_say_what_they_leave_out() -> None:
    base = samples.rich()
    plain = SettingRow("web01", "root", (("uid", "0"),), 1, "p1!/etc/passwd", 0, 30)
    odd = replace(plain, who="sysd0", offset=900, findings=(base.findings[0].id,))
    held = replace(base, settings=(SettingTable(Text("账户", "Accounts"), 90, (odd, *[plain] * 49)),))
    printed = [b for b in compose(held, 2, 300).body if isinstance(b, Table) and len(b.rows) == 12]
    (accounts,) = [t for t in printed if t.columns[-1].label.en == "Remarks"]
    assert any(p.kind == "cite" for p in accounts.rows[0].cells[-1])
    assert all(p.kind == "none" for row in accounts.rows[1:] for p in row.cells[-1])
    page = render_html(held, "en").decode()
    assert "40 others are not listed here" in page
    assert "Settings and rights" not in render_html(base, "en").decode()


def test_addresses_say_what_they_did_and_how_many_are_left_out() -> None:
    base = samples.rich()
    roles = (Text("登录来源", "login source"),)
    row = AddressRow(
        "203.0.113.66", False, roles, ("linux.auth",), "2026-03-01T19:00:00Z", "2026-03-01T19:01:00Z", 41, 1, 40
    )
    named = replace(row, findings=(base.findings[0].id,))
    quiet = replace(row, address="10.0.0.9", inside=True, first=None, last=None)
    held = replace(base, addresses=AddressTable(31, (named, quiet, *[row] * 20)))
    (shown,) = [b for b in compose(held, 2, 300).body if isinstance(b, Table) and b.columns[0].label.en == "Address"]
    assert any(p.kind == "cite" for p in shown.rows[0].cells[-1])
    assert all(p.kind == "none" for p in shown.rows[1].cells[3])
    page = render_html(held, "en").decode()
    assert "41 (1/40)" in page
    assert "9 other addresses are not listed" in page
    assert "Addresses" not in render_html(base, "en").decode()
