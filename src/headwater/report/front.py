# SPDX-License-Identifier: Apache-2.0
"""The front of the report: title block with its stamps, overview, authority, plan."""

from __future__ import annotations

from headwater.model.nouns import Text
from headwater.report.blocks import BREAK, Block, Cell, Fields, Heading, Note, Piece, data, mark, said
from headwater.report.data import Person, ReportData, Title
from headwater.report.references import References
from headwater.report.shapes import column, fixed, given, table, when
from headwater.report.words import AUTHORITY_FIELDS, DISCLAIMERS, LEGEND


def stamps(report: ReportData) -> list[Note]:
    """What must be seen first: a missing authority with its reason, fields that were not recorded, other stamps."""
    found: list[Note] = []
    authority = report.authority
    if authority.waiver is not None:
        found.append(Note(Text("未取得授权：理由——", "NO AUTHORITY. Reason: "), "stamp", authority.waiver))
    else:
        missing = [AUTHORITY_FIELDS[name] for name in authority.missing()]
        if missing:
            zh, en = "、".join(t.zh for t in missing), ", ".join(t.en for t in missing)
            found.append(Note(Text(f"授权要素未记载：{zh}", f"Authority, not recorded: {en}"), "stamp"))
    found.extend(Note(text, "stamp") for text in report.title.stamps)
    return found


def head(report: ReportData) -> list[Block]:
    """The title block."""
    title = report.title
    blocks: list[Block] = [*stamps(report)]
    examiners: Cell = tuple(_people(report.plan.people))
    blocks.append(
        Fields(
            (
                (Text("案件编号", "Case no."), given(title.case_no)),
                (Text("案件名称", "Case"), given(title.name)),
                (Text("案由", "Cause"), given(title.cause)),
                (Text("委托单位", "Client"), given(title.client)),
                (Text("检验要求", "Requirement"), given(title.requirement)),
                (Text("受理日期", "Received"), given(title.received)),
                (Text("检验地点", "Place"), given(title.place)),
                (Text("方法标准", "Method standard"), given(title.method_standard)),
                (Text("检验人员", "Examiners"), examiners or given(None)),
                (Text("基准时间", "Baseline time"), _baseline(title)),
                (Text("案件时区", "Zone of the case"), given(title.zone)),
                (Text("出具时间", "Issued"), when(title.issued, title.zone)),
                (Text("生成程序", "Made by"), given(title.program)),
            )
        )
    )
    blocks.extend(Note(text) for text in DISCLAIMERS)
    return blocks


def _baseline(title: Title) -> Cell:
    source: Cell = (BREAK, data(title.baseline_source)) if title.baseline_source else ()
    return (*when(title.baseline, title.zone), *source)


def _people(people: tuple[Person, ...]) -> list[Piece]:
    found: list[Piece] = []
    for at, person in enumerate(people):
        if at:
            found.append(BREAK)
        found += [data(person.name), mark("（", " ("), Piece("inline", person.role), mark("）", ")")]
    return found


def overview(report: ReportData, references: References) -> list[Block]:
    """The story in about ten lines."""
    blocks: list[Block] = [
        Heading(1, Text("概述", "Overview"), target="overview"),
        *references.sentences(report.overview),
    ]
    if not report.overview:
        blocks.append(Note(Text("未作概述。", "No overview was written.")))
    return [*blocks, Note(LEGEND, "small")]


def authority(report: ReportData, references: References) -> list[Block]:
    """Who permitted what; what is not known says so."""
    held = report.authority
    rows: list[tuple[Text, Cell]] = []
    for name, label in AUTHORITY_FIELDS.items():
        value: str | None = getattr(held, name)
        absent = Text("未取得授权", "no authority") if held.waiver is not None else None
        rows.append((label, fixed(value) if value and name.startswith("document") else given(value, absent)))
    if held.waiver is not None:
        rows.append((Text("未取得授权的理由", "Reason for having none"), given(held.waiver)))
    return [
        Heading(1, Text("授权", "Authority"), target="authority"),
        Fields(tuple(rows)),
        *references.sentences(report.authority_notes),
    ]


def plan(report: ReportData, references: References) -> list[Block]:
    """Goal, scope, method, steps, people, schedule."""
    held = report.plan
    blocks: list[Block] = [Heading(1, Text("检验计划", "Plan of the examination"), target="plan")]
    parts = (
        (Text("目标", "Goal"), held.goal),
        (Text("范围", "Scope"), held.scope),
        (Text("方法", "Method"), held.method),
        (Text("步骤", "Steps"), held.steps),
    )
    for label, sentences in parts:
        blocks.append(Heading(2, label))
        blocks.extend(references.sentences(sentences) or [Note(Text("未记载。", "Not recorded."))])
    blocks.append(Heading(2, Text("人员与分工", "People and roles")))
    blocks.append(
        table(
            (
                column("姓名", "Name", 3),
                column("职责", "Role", 4),
                column("单位", "Organisation", 4),
                column("资质", "Qualification", 3),
            ),
            [((data(p.name),), (said(p.role),), given(p.organisation), given(p.qualification)) for p in held.people],
        )
        if held.people
        else Note(Text("未记载。", "Not recorded."))
    )
    blocks.append(Heading(2, Text("进度安排", "Schedule")))
    zone = report.title.zone
    blocks.append(
        table(
            (
                column("事项", "What", 5),
                column("计划", "Planned", 3),
                column("开始", "Began", 4),
                column("结束", "Ended", 4),
            ),
            [((said(r.what),), given(r.planned), when(r.began, zone), when(r.ended, zone)) for r in held.schedule],
        )
        if held.schedule
        else Note(Text("未记载。", "Not recorded."))
    )
    return blocks
