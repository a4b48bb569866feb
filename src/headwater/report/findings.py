# SPDX-License-Identifier: Apache-2.0
"""The findings: each with its rule, what it says, and the records that it rests on, numbered in one annex."""

from __future__ import annotations

from dataclasses import dataclass, field

from headwater.model.kinds import CONFIDENCE_TEXT, GAP_TEXT, SEVERITY_TEXT, STAGE_TEXT, GapReason, Severity
from headwater.model.nouns import Citation, Finding, GapCitation, Span, Tally, Text
from headwater.report.blocks import (
    BREAK,
    Block,
    Cell,
    Column,
    Facts,
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
    words,
)
from headwater.report.data import ReportData, SetAside
from headwater.report.references import References
from headwater.report.shapes import column, detail, exactly, table, through, unprinted
from headwater.report.words import NONE

_TONE = {
    Severity.INFO: "doubt",
    Severity.LOW: "doubt",
    Severity.MEDIUM: "doubt",
    Severity.HIGH: "bad",
    Severity.CRITICAL: "bad",
}
_DOT = mark(" · ", " · ")
_ASIDE = Piece("doubt", Text("已排除", "set aside"))
IN_FULL = 20  # findings of one rule that are told in full; of the others each has a row of one table
PRINTED = 30  # rows of such a table in the printed form


@dataclass(slots=True)
class Annex:
    """The cited records as they are numbered, in the order in which the text first needs them."""

    places: int  # records of one finding
    rows: list[tuple[str, Finding, Citation | GapCitation]] = field(default_factory=list)
    left_out: int = 0

    def add(self, finding: Finding, most: int | None = None) -> Cell:
        """Number the records of a finding, at most ``most``; gives the footnotes that stand in the text."""
        places = self.places if most is None else min(most, self.places)
        kept: list[Citation | GapCitation] = [*chosen(finding.spans, places), *finding.gaps[:places]]
        whole = len(finding.spans) + len(finding.gaps)
        self.left_out += whole - len(kept)
        first = len(self.rows) + 1
        for cited in kept:
            self.rows.append((f"cited-{len(self.rows) + 1}", finding, cited))
        last = len(self.rows)
        label = f"{first}" if first == last else f"{first}–{last}"
        if whole > len(kept):
            text = Text(f"记录 {label}，共 {whole:,} 条", f"records {label} of {whole:,}")
        else:
            text = Text(f"记录 {label}", f"records {label}")
        return (Piece("cite", text, f"cited-{first}"),)


def findings(report: ReportData, references: References, annex: Annex, limit: int | None = None) -> list[Block]:
    """All findings in the order given; the records that they rest on are numbered into the annex.

    A rule that found the same of many addresses or accounts is told in full for the first ``IN_FULL`` of them; each
    of the others has its number, values and records in a row. ``limit``: rows of such a table.
    """
    blocks: list[Block] = [Heading(1, Text("检验发现", "Findings"), target="findings")]
    if not report.findings:
        blocks.append(
            Note(
                Text(
                    "各检测规则均无发现。这只说明所用规则在所读数据中没有命中，见“查找及其结果”“未能读取的数据”与“局限”。",
                    "No rule made a finding. That says only that the rules used hit nothing in the data that was read; "
                    "see 'Searches and what they found', 'What could not be read' and 'Limits'.",
                )
            )
        )
    told: dict[str, int] = {}
    rest: dict[str, list[Finding]] = {}
    aside = {one.finding: one for one in report.aside}
    for finding in report.findings:
        told[finding.rule.id] = told.get(finding.rule.id, 0) + 1
        if told[finding.rule.id] <= IN_FULL:
            blocks.extend(_finding(finding, report.title.zone, references, annex, aside.get(finding.id)))
        else:
            rest.setdefault(finding.rule.id, []).append(finding)
    for alike in rest.values():
        blocks.extend(_in_rows(alike, report.title.zone, references, annex, limit, frozenset(aside)))
    if report.unsupported_rules:
        names = joined([(data(name),) for name in report.unsupported_rules])
        blocks.append(Heading(2, Text("未能执行的规则", "Rules that could not be run")))
        blocks.append(Fields(((Text("规则", "Rules"), names),)))
    return blocks


def _finding(finding: Finding, zone: str, references: References, annex: Annex, aside: SetAside | None) -> list[Block]:
    rule, number = finding.rule, references.label(finding.id)
    tail: Cell = (Piece(_TONE[finding.severity], Text(*SEVERITY_TEXT[finding.severity])),)
    facts = joined([(code(f"{name} = {_value(value)}"),) for name, value in sorted(finding.facts.items())], _DOT)
    rows: list[tuple[Text, Cell]] = [
        (Text("编号", "Id"), (code(finding.id),)),
        (Text("规则", "Rule"), (code(f"{rule.id} {rule.version}"), mark("，", ", "), data(rule.author))),
        (Text("阶段", "Stage"), (Piece("inline", Text(*STAGE_TEXT[rule.stage])),)),
        (Text("技术", "Techniques"), joined([(code(t),) for t in rule.techniques], mark("、", ", ")) or (NONE,)),
        (Text("可信度", "Confidence"), (Piece("inline", Text(*CONFIDENCE_TEXT[finding.confidence])),)),
        (Text("时间", "Time"), through(finding.ts_first, finding.ts_last, zone)),
    ]
    named = (
        (Text("主机", "Host"), finding.host),
        (Text("来源地址", "Source address"), finding.src_ip),
        (Text("账户", "Account"), finding.user),
    )
    rows += [(label, (data(value),)) for label, value in named if value]
    if aside is not None:
        set_aside: Cell = (
            Piece("doubt", aside.text),
            _DOT,
            *exactly(aside.at),
            *references.cites((aside.cite,), finding.id),
        )
        rows.insert(0, (Text("排除标注", "Set aside"), set_aside))
    if facts:
        rows.append((Text("其他数值", "Further values"), facts))
    if finding.tally is not None:
        rows.append((Text("计数", "Count"), _tally(finding.tally)))
    return [
        Heading(2, rule.title, number, finding.id, tail),
        Paragraph(finding.text, annex.add(finding)),
        Facts(tuple(rows)),
    ]


def _in_rows(
    alike: list[Finding], zone: str, references: References, annex: Annex, limit: int | None, aside: frozenset[str]
) -> list[Block]:
    """The further findings of one rule: each its number, severity, time, whom it names, its values and records."""
    limit = None if limit is None else min(limit, PRINTED)
    title = alike[0].rule.title
    heading = Text(f"{title.zh}：其余 {len(alike):,} 项", f"{title.en}: the other {len(alike):,}")
    note = Text(
        f"与前列 {IN_FULL} 项出自同一规则，各以一行列出；全文见案件目录中的 findings.jsonl 或 headwater findings。",
        f"Made by the same rule as the {IN_FULL} above, one row each; their sentences stand in findings.jsonl of the "
        "case folder and in headwater findings.",
    )
    columns: tuple[Column, ...] = (
        column("编号", "No.", 7),
        column("时间", "Time", 24),
        column("主机、账户、来源地址", "Host, account, source", 21),
        column("数值", "Values", 30),
        column("依据", "Rests on", 18),
    )
    rows = []
    for finding in alike[:limit]:
        label = references.label(finding.id)
        severity = Piece(_TONE[finding.severity], Text(*SEVERITY_TEXT[finding.severity]))
        facts = joined([(code(f"{name} = {_value(value)}"),) for name, value in sorted(finding.facts.items())], _DOT)
        named = joined([(data(v),) for v in (finding.host, finding.user, finding.src_ip) if v])
        rows.append(
            (
                (words(label, label), BREAK, severity, *((BREAK, _ASIDE) if finding.id in aside else ())),
                through(finding.ts_first, finding.ts_last, zone),
                named or (NONE,),
                facts or (NONE,),
                annex.add(finding, 1),
            )
        )
    whole = table(columns, rows, tuple(f.id for f in alike[:limit]))
    return [Heading(2, heading), Note(note, "small"), whole, *unprinted(len(alike) - len(rows))]


def _value(value: object) -> str:
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _tally(tally: Tally) -> Cell:
    where = " AND ".join(f"{name} = {value}" for name, value in sorted(tally.where.items()))
    return (code(f"{tally.count:,}"), _DOT, code(where), _DOT, code(f"SHA-256 {tally.digest}"))


def chosen(citations: tuple[Citation, ...], places: int) -> list[Citation]:
    """All of them, or the first, the last, the first of each further file, then the next from the beginning."""
    if len(citations) <= places:
        return list(citations)
    wanted = [0, len(citations) - 1]
    seen = {citations[at].span.path for at in wanted}
    for at, cited in enumerate(citations):
        if cited.span.path not in seen:
            seen.add(cited.span.path)
            wanted.append(at)
    wanted += range(len(citations))
    return [citations[at] for at in sorted(list(dict.fromkeys(wanted))[:places])]


def _place(span: Span, ordinal: int | None, references: References) -> Cell:
    at = f"{span.offset}" if ordinal is None else f"{span.offset}:{ordinal}"
    place: Cell = (references.evidence(span.evidence), mark(" ", " "), code(f"{span.path} @{at}+{span.length}"))
    if not span.physical:
        return place
    shown = ", ".join(f"{offset}+{length}" for offset, length in span.physical[:4])
    more = f" +{len(span.physical) - 4}" if len(span.physical) > 4 else ""
    return (*place, BREAK, Piece("small", Text("介质上", "on the medium")), mark(" ", " "), code(shown + more))


def citations(report: ReportData, references: References, annex: Annex) -> list[Block]:
    """The annex of cited records: where each stands, when it happened, what the finding states of it."""
    blocks: list[Block] = [Heading(1, Text("附录：引证记录", "Annex: records cited"), target="cited")]
    if not annex.rows:
        return [*blocks, Note(Text("没有引证的记录。", "No record is cited."))]
    blocks.append(
        Note(
            Text(
                "出处写作“路径 @偏移:序号+长度”（字节，在该路径的最后一层内）；"
                "事件编号为“检材号:路径:偏移:序号”，可用 headwater trace 显示其字节。",
                "A place is 'path @offset:ordinal+length', in bytes within the path's last layer; an event's id is "
                "'evidence number:path:offset:ordinal', and headwater trace prints its bytes.",
            ),
            "small",
        )
    )
    if annex.left_out:
        blocks.append(
            Note(
                Text(
                    f"每项发现印出首条、末条与各文件的首条，至多 {annex.places} 条；"
                    f"其余 {annex.left_out:,} 条见案件目录中的 findings.jsonl。",
                    f"Of each finding the first record, the last and the first of every file are printed, at most "
                    f"{annex.places}; the other {annex.left_out:,} stand in findings.jsonl of the case folder.",
                ),
                "small",
            )
        )
    columns: tuple[Column, ...] = (
        column("记录", "Record", 8),
        column("出处", "Place", 38),
        column("时间（UTC）", "Time (UTC)", 21),
        column("所述的值，或未能读取的原因", "Values stated, or why it could not be read", 33),
    )
    rows = [_cited_row(name, finding, cited, references) for name, finding, cited in annex.rows]
    return [*blocks, table(columns, rows, tuple(name for name, _, _ in annex.rows))]


def _cited_row(name: str, finding: Finding, cited: Citation | GapCitation, references: References) -> tuple[Cell, ...]:
    number = name.removeprefix("cited-")
    head: Cell = (words(number, number), *references.cites([finding.id], name))
    if isinstance(cited, GapCitation):
        why: Cell = (gap_reason(cited.reason), *((BREAK, *detail(cited.detail)) if cited.detail else ()))
        return head, _place(cited.span, None, references), (NONE,), why
    claims = joined([(code(f"{k} = {_value(v)}"),) for k, v in sorted(cited.claims.items())], _DOT)
    return head, _place(cited.span, cited.ordinal, references), exactly(cited.ts), claims or (NONE,)


def gap_reason(reason: str) -> Piece:
    """A gap's reason in words; one that the closed table has not is shown as it stands."""
    try:
        return said(Text(*GAP_TEXT[GapReason(reason)]))
    except ValueError:
        return data(reason)
