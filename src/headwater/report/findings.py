# SPDX-License-Identifier: Apache-2.0
"""The findings: each with its rule, what it says, and every place in the evidence that it rests on."""

from __future__ import annotations

from headwater.model.kinds import CONFIDENCE_TEXT, GAP_TEXT, SEVERITY_TEXT, STAGE_TEXT, GapReason, Severity
from headwater.model.nouns import Citation, Finding, GapCitation, Span, Tally, Text
from headwater.report.blocks import (
    BREAK,
    Block,
    Cell,
    Column,
    Fields,
    Heading,
    Note,
    Paragraph,
    Piece,
    code,
    data,
    joined,
    mark,
    said,
)
from headwater.report.data import ReportData
from headwater.report.references import References
from headwater.report.shapes import between, column, given, size, table, when
from headwater.report.words import NONE

_TONE = {
    Severity.INFO: "doubt",
    Severity.LOW: "doubt",
    Severity.MEDIUM: "doubt",
    Severity.HIGH: "bad",
    Severity.CRITICAL: "bad",
}


def findings(report: ReportData, references: References, places: int) -> list[Block]:
    """All findings in the order given, at most ``places`` cited records of each."""
    blocks: list[Block] = [Heading(1, Text("检验发现", "Findings"), target="findings")]
    if not report.findings:
        blocks.append(
            Note(
                Text(
                    "各检测规则均无发现。这只说明所用规则在所读数据中没有命中，见“查找未见”“未能读取的数据”与“局限”。",
                    "No rule made a finding. That says only that the rules used hit nothing in the data that was read; "
                    "see 'Searched for and not found', 'What could not be read' and 'Limits'.",
                )
            )
        )
    for finding in report.findings:
        blocks.extend(_finding(finding, report.title.zone, references, places))
    if report.unsupported_rules:
        names = joined([(data(name),) for name in report.unsupported_rules])
        blocks.append(Heading(2, Text("未能执行的规则", "Rules that could not be run")))
        blocks.append(Fields(((Text("规则", "Rules"), names),)))
    return blocks


def _finding(finding: Finding, zone: str, references: References, places: int) -> list[Block]:
    rule, number = finding.rule, references.label(finding.id)
    tail: Cell = (Piece(_TONE[finding.severity], Text(*SEVERITY_TEXT[finding.severity])),)
    facts = joined([(code(f"{name} = {_value(value)}"),) for name, value in sorted(finding.facts.items())])
    rows: list[tuple[Text, Cell]] = [
        (Text("编号", "Id"), (code(finding.id),)),
        (
            Text("规则与作者", "Rule and author"),
            (code(rule.id), mark(" ", " "), data(rule.version), mark("，", ", "), data(rule.author)),
        ),
        (Text("阶段", "Stage"), (said(Text(*STAGE_TEXT[rule.stage])),)),
        (Text("技术", "Techniques"), joined([(code(t),) for t in rule.techniques], mark("、", ", ")) or (NONE,)),
        (Text("严重程度", "Severity"), (said(Text(*SEVERITY_TEXT[finding.severity])),)),
        (Text("可信度", "Confidence"), (said(Text(*CONFIDENCE_TEXT[finding.confidence])),)),
        (Text("时间", "Time"), between(finding.ts_first, finding.ts_last, zone)),
    ]
    named = (
        (Text("主机", "Host"), finding.host),
        (Text("来源地址", "Source address"), finding.src_ip),
        (Text("账户", "Account"), finding.user),
    )
    rows += [(label, (data(value),)) for label, value in named if value]
    if facts:
        rows.append((Text("其他数值", "Further values"), facts))
    if finding.tally is not None:
        rows.append((Text("计数", "Count"), _tally(finding.tally)))
    blocks: list[Block] = [
        Heading(2, rule.title, number, finding.id, tail),
        Paragraph(finding.text),
        Fields(tuple(rows)),
    ]
    if finding.spans:
        blocks.extend(_spans(finding, zone, references, places))
    if finding.gaps:
        blocks.extend(_gaps(finding.gaps, references, places))
    return blocks


def _value(value: object) -> str:
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _tally(tally: Tally) -> Cell:
    where = " AND ".join(f"{name} = {value}" for name, value in sorted(tally.where.items()))
    return (code(f"{tally.count:,}"), BREAK, code(where), BREAK, code(f"SHA-256 {tally.digest}"))


def _physical(span: Span) -> Cell:
    shown = [(code(f"{offset}+{length}"),) for offset, length in span.physical[:8]]
    if len(span.physical) > len(shown):
        more = len(span.physical) - len(shown)
        shown.append((Piece("code", f"+{more}"),))
    return joined(shown) or (Piece("none", Text("未知", "unknown")),)


def _chosen(citations: tuple[Citation, ...], places: int) -> list[Citation]:
    """All of them, or the first two thirds and the last third of what may be shown."""
    if len(citations) <= places:
        return list(citations)
    tail = places // 3
    return [*citations[: places - tail], *citations[len(citations) - tail :]]


def _spans(finding: Finding, zone: str, references: References, places: int) -> list[Block]:
    shown = _chosen(finding.spans, places)
    columns: tuple[Column, ...] = (
        column("检材", "Evid.", 6),
        column("路径", "Path", 21),
        column("偏移:序号", "Offset:ordinal", 12, True),
        column("长度", "Length", 7, True),
        column("介质上的位置", "On the medium", 14, True),
        column("时间", "Time", 21),
        column("所述的值", "Values stated", 20),
    )
    rows = [
        (
            (references.evidence(c.span.evidence),),
            (code(c.span.path),),
            (code(f"{c.span.offset}:{c.ordinal}"),),
            (code(str(c.span.length)),),
            _physical(c.span),
            when(c.ts, zone),
            joined([(code(f"{name} = {_value(value)}"),) for name, value in sorted(c.claims.items())]) or (NONE,),
        )
        for c in shown
    ]
    note = Text(
        "所依据的记录。事件编号由“检材号:路径:偏移:序号”组成。",
        "The records that it rests on. An event's id is 'evidence number:path:offset:ordinal'.",
    )
    blocks: list[Block] = [Note(note, "small"), table(columns, rows)]
    if len(shown) < len(finding.spans):
        total, missing = len(finding.spans), len(finding.spans) - len(shown)
        blocks.append(
            Note(
                Text(
                    f"共引证 {total:,} 条记录，此处印出首尾 {len(shown):,} 条，其余 {missing:,} 条由下列命令列出：",
                    f"{total:,} records are cited; the first and last {len(shown):,} are printed, this command lists "
                    f"the other {missing:,}: ",
                ),
                "small",
                f"headwater trace CASE {finding.id}",
            )
        )
    return blocks


def _gaps(gaps: tuple[GapCitation, ...], references: References, places: int) -> list[Block]:
    columns: tuple[Column, ...] = (
        column("检材", "Evid.", 7),
        column("路径", "Path", 38),
        column("偏移", "Offset", 14, True),
        column("长度", "Length", 14, True),
        column("未能读取的原因", "Why it could not be read", 30),
    )
    rows = [
        (
            (references.evidence(g.span.evidence),),
            (code(g.span.path),),
            (code(str(g.span.offset)),),
            size(g.span.length),
            (gap_reason(g.reason), *((BREAK, *given(g.detail)) if g.detail else ())),
        )
        for g in gaps[:places]
    ]
    blocks: list[Block] = [
        Note(Text("所依据或受其限制的缺口。", "Gaps that it rests on or is limited by."), "small"),
        table(columns, rows),
    ]
    if len(gaps) > places:
        more = len(gaps) - places
        blocks.append(Note(Text(f"另有 {more:,} 处缺口。", f"{more:,} further gaps."), "small"))
    return blocks


def gap_reason(reason: str) -> Piece:
    """A gap's reason in words; one that the closed table has not is shown as it stands."""
    try:
        return said(Text(*GAP_TEXT[GapReason(reason)]))
    except ValueError:
        return data(reason)
