# SPDX-License-Identifier: Apache-2.0
"""What bounds the report and how to test it: searches, gaps, damage, limits, verification, digests, signatures."""

from __future__ import annotations

from headwater.model.nouns import Text
from headwater.report.blocks import (
    BREAK,
    Block,
    Cell,
    Column,
    Heading,
    Note,
    Piece,
    Sign,
    code,
    data,
    joined,
    mark,
    said,
    words,
)
from headwater.report.data import ReportData
from headwater.report.findings import gap_reason
from headwater.report.references import References
from headwater.report.shapes import capped, column, detail, fixed, given, size, table
from headwater.report.words import NONE, NOT_ASSESSED


def searches(report: ReportData, references: References) -> list[Block]:
    """What "not found" rests on: the question, the query, what it covered, what it could not."""
    blocks: list[Block] = [Heading(1, Text("查找及其结果", "Searches and what they found"), target="searches")]
    if not report.searches:
        return [*blocks, Note(Text("没有登记的查找。", "No search is registered."))]
    columns: tuple[Column, ...] = (
        column("编号", "No.", 6),
        column("所问", "Question", 27),
        column("查询", "Query", 27),
        column("覆盖范围", "Covered", 20),
        column("缺口（字节）", "Gaps (bytes)", 10, True),
        column("命中", "Hits", 10, True),
    )
    rows = []
    for held in report.searches:
        label = references.label(held.id)
        covered = Text(
            f"{held.covered_files:,} 个文件，{held.covered_bytes:,} 字节，{held.covered_records:,} 条记录",
            f"{held.covered_files:,} files, {held.covered_bytes:,} bytes, {held.covered_records:,} records",
        )
        feeds = joined([(code(feed),) for feed in held.feeds], mark("、", ", "))
        found = Piece("words", Text("未见", "not found")) if held.hits == 0 else code(f"{held.hits:,}")
        rows.append(
            (
                (words(label, label),),
                (said(held.question),),
                (code(held.query),),
                (said(covered), *((BREAK, *feeds) if feeds else ())),
                size(held.gap_bytes),
                (found,),
            )
        )
    return [*blocks, table(columns, rows, tuple(held.id for held in report.searches))]


def gaps(report: ReportData, references: References, limit: int | None) -> list[Block]:
    """Bytes that yielded nothing, by file and reason, and the files whose reading was stopped."""
    blocks: list[Block] = [Heading(1, Text("未能读取的数据", "What could not be read"), target="gaps")]
    if not report.gaps and not report.incomplete:
        blocks.append(Note(Text("没有登记的缺口。", "No gap is registered.")))
    if report.gaps:
        columns: tuple[Column, ...] = (
            column("检材", "Evid.", 7),
            column("文件", "File", 29),
            column("解析器", "Parser", 13),
            column("原因", "Reason", 20),
            column("处数", "Count", 7, True),
            column("字节", "Bytes", 13, True),
            column("首处偏移", "First at", 12, True),
        )
        rows = [
            (
                (references.evidence(g.evidence),),
                (code(g.path),),
                (code(g.feed),) if g.feed else (NONE,),
                (gap_reason(g.reason), *((BREAK, *detail(g.detail)) if g.detail else ())),
                size(g.count),
                size(g.bytes),
                size(g.first_offset),
            )
            for g in report.gaps
        ]
        blocks.extend(capped(table(columns, rows), limit))
    if report.gaps_left_out[0]:
        files, count, size_of = report.gaps_left_out
        left = Text(
            f"另有 {files:,} 行（{count:,} 处，{size_of:,} 字节）未列入本报告，逐条见案件目录 gaps 中的 Parquet 文件。",
            f"{files:,} further rows ({count:,} gaps, {size_of:,} bytes) are not listed in this report; each gap stands in the "
            "Parquet files under gaps in the case folder.",
        )
        blocks.append(Note(left, "warning"))
    if report.incomplete:
        blocks.append(Heading(2, Text("未处理完的文件", "Incomplete files")))
        columns = (column("检材", "Evid.", 2), column("文件", "File", 10), column("原因", "Reason", 6))
        stopped: list[tuple[Cell, ...]] = [
            ((references.evidence(i.evidence),), (code(i.path),), detail(i.reason)) for i in report.incomplete
        ]
        blocks.extend(capped(table(columns, stopped), limit))
    return blocks


def damage(report: ReportData, references: References) -> list[Block]:
    """The figures of the damage; what was not assessed says so."""
    blocks: list[Block] = [Heading(1, Text("损失评估", "Damage"), target="damage")]
    if not report.damage:
        return [*blocks, Note(Text("未评估。", "Not assessed."))]
    judged = any(figure.threshold is not None for figure in report.damage)
    columns: tuple[Column, ...] = (
        column("项目", "Figure", 20),
        column("数值", "Value", 58),
        *((column("认定标准", "Threshold", 20),) if judged else ()),
        column("引证", "Citations", 16),
    )
    rows: list[tuple[Cell, ...]] = []
    for figure in report.damage:
        value: Cell = (said(figure.value),) if figure.value is not None else (Piece("none", NOT_ASSESSED),)
        cites = references.cites(figure.cites, figure.label.zh)
        own: Cell = (Piece("small", Text("检验人陈述", "examiner's own")),) if figure.own else (NONE,)
        threshold: Cell = (said(figure.threshold),) if figure.threshold is not None else (NONE,)
        rows.append(((said(figure.label),), value, *((threshold,) if judged else ()), cites or own))
    return [*blocks, table(columns, rows)]


def limits(report: ReportData, references: References) -> list[Block]:
    """What the report does not and cannot say."""
    blocks: list[Block] = [Heading(1, Text("局限", "Limits"), target="limits"), *references.sentences(report.limits)]
    return blocks if report.limits else [*blocks, Note(Text("未记载。", "Not recorded."), "warning")]


def verification(report: ReportData, references: References, limit: int | None = None) -> list[Block]:
    """The commands by which anyone who holds the evidence and the case folder can test the report.

    ``limit``: rows of the table of labels and ids.
    """
    commands = (
        ("headwater verify CASE", "核对台账、检材与案件数据的校验值，并由所引字节重新得出每项发现所述的值。",
         "Checks the ledger and the digests of evidence and case data, and derives again the values that each finding "
         "states from the bytes it cites."),
        ("headwater verify CASE --rebuild", "由检材重新解析并逐行比较事件。",
         "Reads the evidence anew and compares the events row by row."),
        ("headwater trace CASE ID", "由本报告中的任一编号追到所依据的字节并显示出来。",
         "Follows any id in this report to the bytes that it rests on and prints them."),
        ("sha256sum FILE", "用其他工具独立核对附录中的校验值。",
         "Checks the digests of the annex with an independent tool."),
    )  # fmt: skip
    columns: tuple[Column, ...] = (column("命令", "Command", 6), column("作用", "What it does", 10))
    note = Text(
        "持有检材与案件目录者均可核验。CASE 为案件目录，ID 为编号；同样的检材、规则、版本与设置得出逐字节相同的报告。",
        "Whoever holds the evidence and the case folder can verify. CASE is the case folder, ID an id; the same "
        "evidence, rules, versions and settings give the same report, byte for byte.",
    )
    names = [n.id for n in report.searches] + [n.id for n in report.hypotheses] + [n.id for n in report.steps]
    ids = [(name, references.label(name)) for name in names]
    blocks: list[Block] = [
        Heading(1, Text("如何核验", "How to verify"), target="verification"),
        Note(note),
        table(columns, [((code(command),), (words(zh, en),)) for command, zh, en in commands]),
    ]
    if ids:
        blocks.append(Heading(2, Text("编号对照", "Labels and ids")))
        blocks.append(Note(Text("发现的编号与其正文同列。", "A finding's id stands with its text."), "small"))
        pairs = (column("简号", "Label", 2), column("编号", "Id", 7)) * 3
        cells: list[tuple[Cell, Cell]] = [((Piece("cite", label, name),), (code(name),)) for name, label in ids]
        cells += [((), ())] * (-len(cells) % 3)
        down = len(cells) // 3
        rows = [(*cells[at], *cells[at + down], *cells[at + 2 * down]) for at in range(down)]
        blocks.extend(capped(table(pairs, rows), limit))
    return blocks


def hashes(report: ReportData, references: References, limit: int | None) -> list[Block]:
    """The annex of digests."""
    blocks: list[Block] = [Heading(1, Text("附录：校验值", "Annex: digests"), target="hashes")]
    if not report.hashes:
        return [*blocks, Note(Text("没有登记的校验值。", "No digest is registered."), "warning")]
    columns: tuple[Column, ...] = (
        column("类别", "Kind", 14),
        column("名称", "Name", 32),
        column("字节", "Bytes", 9, True),
        column("SHA-256", "SHA-256", 45),
    )
    rows = [((Piece("inline", h.kind),), (code(h.name),), size(h.size), fixed(h.sha256)) for h in report.hashes]
    return [*blocks, *capped(table(columns, rows), limit)]


def signatures(report: ReportData, references: References) -> list[Block]:
    """Where the examiners sign, or why nobody does; the law asks for two, so two places there are at least."""
    slots: list[tuple[Text, Cell]] = []
    for slot in report.signatures:
        name: Cell = (data(slot.name),) if slot.name else ()
        absent: Cell = (Piece("none", slot.absent),) if slot.absent is not None else ()
        slots.append((slot.role, (*name, *((BREAK,) if name and absent else ()), *absent)))
    while len(slots) < 2:
        slots.append((Text("检验人员", "Examiner"), given(None)))
    return [Heading(1, Text("签名", "Signatures"), target="signatures"), Sign(tuple(slots))]
