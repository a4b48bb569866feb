# SPDX-License-Identifier: Apache-2.0
"""What happened: the timeline, the steps by stage, the attack path, the hypotheses."""

from __future__ import annotations

from headwater.model.kinds import CONFIDENCE_TEXT, STAGE_TEXT, Stage
from headwater.model.nouns import Step, Text
from headwater.report.blocks import (
    BREAK,
    Block,
    Cell,
    Column,
    Graph,
    Heading,
    Note,
    Piece,
    code,
    data,
    joined,
    mark,
    said,
    words,
)
from headwater.report.data import ReportData, TimelineRow
from headwater.report.graph import attack_graph_parts
from headwater.report.references import References
from headwater.report.shapes import between, capped, column, given, optional, table, when
from headwater.report.words import BASIS, HYPOTHESIS, NONE, kind

_UNKNOWN = Text("未查明", "not found")


def timeline(report: ReportData, references: References, limit: int | None) -> list[Block]:
    """The events behind the steps, in the order given; ``limit`` rows of them."""
    blocks: list[Block] = [Heading(1, Text("时间线", "Timeline"), target="timeline")]
    if not report.timeline:
        return [*blocks, Note(Text("没有支持任何步骤的事件。", "No event stands behind a step."))]
    columns: tuple[Column, ...] = (
        column("编号", "No.", 6),
        column("时间", "Time", 20),
        column("事件", "Event", 13),
        column("主机、账户、来源地址", "Host, account, source address", 16),
        column("记录内容", "What the record says", 27),
        column("出处与步骤", "Where it stands, step", 18),
    )
    rows = []
    for row in report.timeline:
        steps = references.cites(row.steps, row.id)
        label = references.label(row.id)
        rows.append(
            (
                (words(label, label),),
                _time(row, report.title.zone),
                (said(kind(row.kind)),),
                joined([(data(v),) for v in (row.host, row.user, row.src_ip) if v]) or (NONE,),
                (data(row.summary),) if row.summary else (NONE,),
                (
                    references.evidence(row.evidence),
                    mark(" ", " "),
                    code(f"{row.path} @{row.offset}+{row.length}"),
                    *((BREAK, *steps) if steps else ()),
                ),
            )
        )
    blocks.extend(capped(table(columns, rows, tuple(row.id for row in report.timeline)), limit))
    if report.timeline_left_out:
        n = report.timeline_left_out
        blocks.append(
            Note(
                Text(
                    f"另有 {n:,} 个支持步骤的事件未在此列出，可用 headwater events 逐条查看。",
                    f"{n:,} further events behind the steps are not printed here; headwater events shows each of them.",
                )
            )
        )
    return blocks


def _time(row: TimelineRow, zone: str) -> Cell:
    shown = when(row.ts, zone) if row.ts is not None else (Piece("none", BASIS[row.basis]),)
    basis: Cell = (BREAK, Piece("small", BASIS[row.basis])) if row.ts is not None else ()
    recorded: Cell = (
        (BREAK, Piece("small", Text("原文：", "as recorded: ")), code(row.recorded)) if row.recorded else ()
    )
    return (*shown, *basis, *recorded)


def steps(report: ReportData, references: References) -> list[Block]:
    """The intruder's steps under the six stages; a stage without one says so."""
    blocks: list[Block] = [Heading(1, Text("入侵步骤", "The intruder's steps"), target="steps")]
    for stage in Stage:
        held = [step for step in report.steps if step.stage is stage]
        if not held and stage is Stage.COVER:  # accompanies the six, is none of them
            continue
        blocks.append(Heading(2, Text(*STAGE_TEXT[stage])))
        if not held:
            blocks.append(Note(Text("未重建出本阶段的步骤。", "No step of this stage was reconstructed.")))
            continue
        columns: tuple[Column, ...] = (
            column("编号", "No.", 6),
            column("时间", "Time", 20),
            column("行为人 → 对象", "Actor → asset", 17),
            column("技术", "Technique", 11),
            column("可信度", "Confidence", 11),
            column("说明与引证", "What was done, citations", 35),
        )
        rows = [_step(step, report.title.zone, references) for step in held]
        blocks.append(table(columns, rows, tuple(step.id for step in held)))
    return blocks


def _step(step: Step, zone: str, references: References) -> tuple[Cell, ...]:
    label = references.label(step.id)
    return (
        (words(label, label),),
        between(step.ts_first, step.ts_last, zone),
        (*given(step.actor, _UNKNOWN), mark(" → ", " → "), BREAK, *given(step.asset, _UNKNOWN)),
        optional(step.technique),
        (said(Text(*CONFIDENCE_TEXT[step.confidence])),),
        (said(step.text), *references.cites(step.findings, step.text.zh)),
    )


def graph(report: ReportData, references: References) -> list[Block]:
    """The attack path as drawings."""
    blocks: list[Block] = [Heading(1, Text("攻击路径图", "Attack path"), target="graph")]
    if not report.steps:
        return [*blocks, Note(Text("没有步骤，无图可绘。", "There are no steps to draw."))]
    labels = {step.id: references.label(step.id) for step in report.steps}
    drawn = [tuple(attack_graph_parts(report.steps, report.findings, x, labels)) for x in ("zh", "en", "both")]
    alt = Text(
        "攻击路径图：由左至右为来源、账户、对象、痕迹", "Attack path: from left to right origin, account, asset, trace"
    )
    return [*blocks, Graph(drawn[0], drawn[1], drawn[2], alt)]


def hypotheses(report: ReportData, references: References) -> list[Block]:
    """Each explanation, what speaks for and against it, and what was not yet looked for."""
    blocks: list[Block] = [Heading(1, Text("假设与验证", "Hypotheses"), target="hypotheses")]
    if not report.hypotheses:
        return [*blocks, Note(Text("没有提出假设。", "No hypothesis was put."))]
    columns: tuple[Column, ...] = (
        column("编号", "No.", 6),
        column("假设", "Hypothesis", 30),
        column("结论", "Verdict", 12),
        column("支持", "Supported by", 14),
        column("否定", "Refuted by", 14),
        column("尚未查找", "Not yet looked for", 24),
    )
    rows = []
    for held in report.hypotheses:
        label = references.label(held.id)
        tone, text = HYPOTHESIS.get(held.verdict, HYPOTHESIS["open"])
        rows.append(
            (
                (words(label, label),),
                (said(held.statement),),
                (Piece(tone, text),),
                references.cites(held.supports, held.statement.zh) or (NONE,),
                references.cites(held.refutes, held.statement.zh) or (NONE,),
                joined([(said(text),) for text in held.open]) or (NONE,),
            )
        )
    return [*blocks, table(columns, rows, tuple(held.id for held in report.hypotheses))]
