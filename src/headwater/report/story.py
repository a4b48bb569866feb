# SPDX-License-Identifier: Apache-2.0
"""What happened: the timeline, the steps by stage, the attack path, the hypotheses."""

from __future__ import annotations

from collections.abc import Sequence

from headwater.model.kinds import CONFIDENCE_TEXT, STAGE_TEXT, Stage, TimeBasis
from headwater.model.nouns import Step, Text
from headwater.report.blocks import (
    BREAK,
    Block,
    Cell,
    Column,
    Facts,
    Graph,
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
from headwater.report.data import ReportData
from headwater.report.graph import attack_graph_parts
from headwater.report.references import References
from headwater.report.runs import Run, runs
from headwater.report.shapes import briefly, capped, column, given, optional, table, through, unprinted
from headwater.report.words import BASIS, HYPOTHESIS, NONE, kind

STEP = Text("步骤", "Step")
IN_FULL = 20  # steps of one stage that are told in full; of the others each has a row of one table
PRINTED = 30  # rows of such a table in the printed form
_UNKNOWN = Text("未查明", "not found")


def timeline(report: ReportData, references: References, limit: int | None) -> list[Block]:
    """The events behind the steps, in the order given; ``limit`` rows of them."""
    blocks: list[Block] = [Heading(1, Text("时间线", "Timeline"), target="timeline")]
    if not report.timeline:
        return [*blocks, Note(Text("没有支持任何步骤的事件。", "No event stands behind a step."))]
    blocks.append(
        Note(
            Text(
                "未另注明的时间，原记录即为 UTC 或自带时区；由假定得出的另行注明。",
                "Times without a note were recorded in UTC or with their zone; those that rest on an assumption say so.",
            ),
            "small",
        )
    )
    held = [Run([row]) for row in report.timeline] if limit is None else runs(report.timeline)
    if len(held) < len(report.timeline):
        blocks.append(
            Note(
                Text(
                    "同一主机、来源与文件中的同类事件合为一行，注明条数与首末时间；逐条见本报告的网页版。",
                    "Like events of one host, source and file stand in one row with their number and the first and last "
                    "time; this report's HTML form has each of them.",
                ),
                "small",
            )
        )
    columns: tuple[Column, ...] = (
        column("编号", "No.", 6),
        column("时间", "Time", 22),
        column("事件", "Event", 13),
        column("主机、账户、来源地址", "Host, account, source", 13),
        column("记录内容", "What the record says", 24),
        column("出处与步骤", "Where it stands, step", 22),
    )
    rows = [_event(run, report.title.zone, references) for run in held]
    blocks.extend(capped(table(columns, rows, tuple(run.first.id for run in held)), limit))
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


def _event(run: Run, zone: str, references: References) -> tuple[Cell, ...]:
    row = run.first
    label = references.label(row.id)
    steps = references.cites(row.steps, row.id)
    many: Cell = ()
    if len(run.rows) > 1:
        text = Text(f"共 {len(run.rows):,} 条，此为首条", f"{len(run.rows):,} events, this is the first")
        many = (BREAK, Piece("small", text))
    users = list(run.users[:3]) + (["…"] if len(run.users) > 3 else [])
    return (
        (words(label, label),),
        _time(run, zone),
        (said(kind(row.kind)),),
        joined([(data(v),) for v in (row.host, ", ".join(users), row.src_ip) if v]) or (NONE,),
        (*((data(row.summary),) if row.summary else (NONE,)), *many),
        (
            references.evidence(row.evidence),
            mark(" ", " "),
            code(f"{row.path} @{row.offset}+{row.length}"),
            *((mark(" ", " "), *steps) if steps else ()),
        ),
    )


def _time(run: Run, zone: str) -> Cell:
    row = run.first
    shown = briefly(row.ts, run.last.ts, zone) if row.ts is not None else (Piece("none", BASIS[row.basis]),)
    assumed = row.basis in {TimeBasis.ZONE_ASSUMED, TimeBasis.YEAR_ASSUMED}
    basis: Cell = (BREAK, Piece("small", BASIS[row.basis])) if row.ts is not None and assumed else ()
    recorded: Cell = (
        (BREAK, Piece("small", Text("原文：", "as recorded: ")), code(row.recorded)) if row.recorded else ()
    )
    return (*shown, *basis, *recorded)


def steps(report: ReportData, references: References, limit: int | None = None) -> list[Block]:
    """The intruder's steps under the six stages; a stage without one says so. ``limit``: rows of further steps."""
    blocks: list[Block] = [Heading(1, Text("入侵步骤", "The intruder's steps"), target="steps")]
    for stage in Stage:
        held = [step for step in report.steps if step.stage is stage]
        if not held and stage is Stage.COVER:  # accompanies the six, is none of them
            continue
        blocks.append(Heading(2, Text(*STAGE_TEXT[stage])))
        if not held:
            blocks.append(Note(Text("未重建出本阶段的步骤。", "No step of this stage was reconstructed.")))
            continue
        for step in held[:IN_FULL]:
            blocks.extend(_step(step, report.title.zone, references))
        if len(held) > IN_FULL:
            blocks.extend(_in_rows(held[IN_FULL:], report.title.zone, references, limit))
    return blocks


def _in_rows(held: Sequence[Step], zone: str, references: References, limit: int | None) -> list[Block]:
    """Further steps of a stage, a row each."""
    limit = None if limit is None else min(limit, PRINTED)
    note = Text(
        f"本阶段其余 {len(held):,} 步各以一行列出，全文见案件目录中的 steps.jsonl 或 headwater steps。",
        f"The other {len(held):,} steps of this stage, one row each; their sentences stand in steps.jsonl of the case "
        "folder and in headwater steps.",
    )
    columns: tuple[Column, ...] = (
        column("步骤", "Step", 8),
        column("时间", "Time", 34),
        column("由何处至何处", "From and to", 30),
        column("技术、可信度", "Technique, confidence", 14),
        column("依据", "Rests on", 14),
    )
    rows = []
    for step in held[:limit]:
        label = references.label(step.id)
        sure = Piece("inline", Text(*CONFIDENCE_TEXT[step.confidence]))
        rows.append(
            (
                (words(label, label),),
                through(step.ts_first, step.ts_last, zone),
                _who(step),
                (*optional(step.technique), BREAK, sure),
                references.cites(step.findings, step.text.zh),
            )
        )
    whole = table(columns, rows, tuple(step.id for step in held[:limit]))
    return [Note(note, "small"), whole, *unprinted(len(held) - len(rows))]


def _who(step: Step) -> Cell:
    return (*given(step.actor, _UNKNOWN), mark(" → ", " → "), *given(step.asset, _UNKNOWN))


def _step(step: Step, zone: str, references: References) -> list[Block]:
    return [
        Heading(3, STEP, references.label(step.id), step.id, _who(step)),
        Facts(
            (
                (Text("时间", "Time"), through(step.ts_first, step.ts_last, zone)),
                (Text("技术", "Technique"), optional(step.technique)),
                (Text("可信度", "Confidence"), (Piece("inline", Text(*CONFIDENCE_TEXT[step.confidence])),)),
            )
        ),
        Paragraph(step.text, references.cites(step.findings, step.text.zh)),
    ]


def graph(report: ReportData, references: References) -> list[Block]:
    """The attack path as drawings."""
    blocks: list[Block] = [Heading(1, Text("攻击路径图", "Attack path"), target="graph")]
    if not report.steps:
        return [*blocks, Note(Text("没有步骤，无图可绘。", "There are no steps to draw."))]
    labels = {step.id: references.label(step.id) for step in report.steps}
    told: list[Step] = []
    for stage in Stage:
        told += [step for step in report.steps if step.stage is stage][:IN_FULL]
    chosen = {step.id for step in told}
    shown = tuple(step for step in report.steps if step.id in chosen)
    named = {name for step in shown for name in step.findings}
    behind = tuple(finding for finding in report.findings if finding.id in named)
    drawn = [tuple(attack_graph_parts(shown, behind, x, labels)) for x in ("zh", "en", "both")]
    alt = Text(
        "攻击路径图：由左至右为来源、账户、对象、痕迹", "Attack path: from left to right origin, account, asset, trace"
    )
    if len(shown) < len(report.steps):
        missing = len(report.steps) - len(shown)
        note = Text(
            f"每一阶段绘出前 {IN_FULL} 步，其余 {missing:,} 步见“入侵步骤”。",
            f"The first {IN_FULL} steps of each stage are drawn; the other {missing:,} stand under 'The intruder's steps'.",
        )
        blocks.append(Note(note, "small"))
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
