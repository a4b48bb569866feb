# SPDX-License-Identifier: Apache-2.0
"""What was held and by whom: evidence register, digests and verdicts, custody chain, tools, clocks."""

from __future__ import annotations

from headwater.model.nouns import Text
from headwater.model.times import SECOND
from headwater.report.blocks import (
    BREAK,
    Block,
    Cell,
    Column,
    Fields,
    Heading,
    Note,
    Piece,
    Row,
    Table,
    code,
    data,
    inline,
    joined,
    mark,
    said,
)
from headwater.report.data import CustodyRow, Digest, EvidenceItem, ReportData
from headwater.report.references import References
from headwater.report.shapes import between, column, fixed, given, optional, size, table, when
from headwater.report.words import ACTIONS, BASIS, NONE, NOT_STATED, UNRECORDED, VERDICT


def evidence(report: ReportData, references: References) -> list[Block]:
    """The register with its seven columns first, then each item's further fields, digests and segments."""
    blocks: list[Block] = [Heading(1, Text("检材登记表", "Evidence register"), target="evidence")]
    if not report.evidence:
        return [*blocks, Note(Text("没有登记的检材。", "No evidence is registered."), "warning")]
    zone = report.title.zone
    columns: tuple[Column, ...] = (
        column("文件名", "File name", 17),
        column("时间", "Time", 19),
        column("来源", "Source", 15),
        column("哈希（SHA-256）", "Hash (SHA-256)", 25),
        column("采集方式", "Acquired by", 11),
        column("保管人", "Custodian", 10),
        column("用途", "Purpose", 11),
    )
    rows = [
        (
            (Piece("words", Text(f"E{i.number}", f"E{i.number}")), BREAK, code(i.name)),
            between(i.acquired_from, i.acquired_until, zone),
            given(i.source),
            fixed(i.sha256),
            given(i.method),
            given(i.custodian),
            given(i.purpose),
        )
        for i in report.evidence
    ]
    blocks.append(table(columns, rows))
    for item in report.evidence:
        blocks.extend(_item(item))
    return blocks


def _item(item: EvidenceItem) -> list[Block]:
    fields: list[tuple[Text, Cell]] = [
        (Text("形式", "Form"), given(item.kind)),
        (Text("大小（字节）", "Size (bytes)"), size(item.size)),
    ]
    fields += [(f.label, given(f.value, f.absent)) for f in item.fields]
    blocks: list[Block] = [
        Heading(2, Text(f"检材 E{item.number}", f"Evidence E{item.number}"), target=item.id, tail=(code(item.name),)),
        Fields(tuple(fields)),
        Heading(3, Text("校验值与结论", "Digests and verdicts")),
    ]
    if item.digests:
        columns: tuple[Column, ...] = (
            column("算法", "Algorithm", 9),
            column("来源的值", "Of the source", 23),
            column("容器声明的值", "Stated by the container", 23),
            column("重新读取的值", "Read again", 23),
            column("结论", "Verdict", 22),
        )
        rows = [((code(d.algorithm),), fixed(d.source), _stated(d), fixed(d.reread), _verdict(d)) for d in item.digests]
        blocks.append(table(columns, rows))
    else:
        blocks.append(
            Note(Text("没有校验值，完整性不可主张。", "There are no digests; integrity cannot be claimed."), "warning")
        )
    if item.segments:
        blocks.append(Heading(3, Text("分段文件", "Segments")))
        columns = (
            column("文件名", "File name", 6),
            column("大小（字节）", "Size (bytes)", 3, True),
            column("SHA-256", "SHA-256", 8),
        )
        blocks.append(table(columns, [((code(s.name),), size(s.size), fixed(s.sha256)) for s in item.segments]))
    return blocks


def _stated(digest: Digest) -> Cell:
    return (code(digest.stated),) if digest.stated else (Piece("none", NOT_STATED),)


def _verdict(digest: Digest) -> Cell:
    kind, text = VERDICT[digest.verdict]
    reason: Cell = (BREAK, said(digest.reason)) if digest.reason is not None else ()
    return (Piece(kind, text), *reason)


def custody(report: ReportData, references: References) -> list[Block]:
    """The ledger's entries in order, and its head."""
    ledger, zone = report.ledger, report.title.zone
    blocks: list[Block] = [Heading(1, Text("保管链", "Chain of custody"), target="ledger")]
    head: list[tuple[Text, Cell]] = [
        (Text("链头序号", "Head of the chain, entry"), size(ledger.head_seq)),
        (Text("链头哈希", "Head of the chain, hash"), fixed(ledger.head_hash)),
        (Text("签名公钥指纹", "Fingerprint of the signing key"), fixed(ledger.key_fingerprint)),
        (Text("外部存证", "Anchored with"), joined([(data(a),) for a in ledger.anchored]) or (UNRECORDED,)),
    ]
    blocks.append(Fields(tuple(head)))
    if not ledger.rows:
        return [*blocks, Note(Text("台账中没有条目。", "The ledger has no entries."), "warning")]
    columns: tuple[Column, ...] = (
        column("序号", "Seq.", 5, True),
        column("时间与人员", "When and who", 21),
        column("动作、检材与工具", "Action, evidence, tool", 18),
        column("输入与输出", "In and out", 34),
        column("条目哈希", "Entry hash", 22),
    )
    rows = [
        (
            (code(str(entry.seq)),),
            (*when(entry.at, zone), BREAK, *given(entry.who)),
            _act(entry, references),
            _passed(entry),
            (
                code(entry.entry_hash),
                *((BREAK, inline("签名：", "signed: "), code(entry.signed_by)) if entry.signed_by else ()),
            ),
        )
        for entry in ledger.rows
    ]
    blocks.append(table(columns, rows, tuple(entry.id for entry in ledger.rows)))
    return blocks


def _act(entry: CustodyRow, references: References) -> Cell:
    held = joined([(references.evidence(n),) for n in entry.evidence], mark("、", ", "))
    action = Text(ACTIONS[entry.action], entry.action) if entry.action in ACTIONS else Text(entry.action, entry.action)
    purpose: Cell = (BREAK, *given(entry.purpose)) if entry.purpose else ()
    return (Piece("inline", action), *((mark(" ", " "), *held) if held else ()), BREAK, *given(entry.tool), *purpose)


def _passed(entry: CustodyRow) -> Cell:
    """What went in and what came out; of many products the first two, and how many more the ledger holds."""
    lines: list[Cell] = [(inline("入 ", "in "), code(name)) for name in entry.went_in]
    lines += [(inline("出 ", "out "), code(name)) for name in entry.came_out]
    if entry.left_out:
        more = Text(
            f"另有 {entry.left_out:,} 项，见 headwater trace CASE {entry.id}",
            f"{entry.left_out:,} more: headwater trace CASE {entry.id}",
        )
        lines.append((Piece("small", more),))
    return joined(lines) or (NONE,)


def tools(report: ReportData, references: References) -> list[Block]:
    """Programs and versions, and how far the reading was confined."""
    blocks: list[Block] = [
        Heading(1, Text("工具与隔离", "Tools and confinement"), target="tools"),
        Fields(((Text("隔离等级", "Level of confinement"), (said(report.confinement),)),)),
    ]
    if report.tools:
        known = any(t.sha256 for t in report.tools)
        columns: tuple[Column, ...] = (
            column("工具", "Tool", 4),
            column("版本", "Version", 5),
            column("用途", "Purpose", 4),
            *((column("SHA-256", "SHA-256", 6),) if known else ()),
        )
        rows: list[tuple[Cell, ...]] = []
        for t in report.tools:
            digest: Cell = (code(t.sha256),) if t.sha256 else (NONE,)
            rows.append(
                ((data(t.name),), (code(t.version),), (Piece("inline", t.purpose),), *((digest,) if known else ()))
            )
        blocks.append(table(columns, rows))
    return blocks


def _offset(ns: int) -> str:
    sign = "-" if ns < 0 else "+"
    whole, part = divmod(abs(ns), SECOND)
    return f"{sign}{whole}.{part:09d}".rstrip("0").rstrip(".") + " s"


def clocks(report: ReportData, references: References) -> list[Block]:
    """How each source's times are read, and on whose word."""
    blocks: list[Block] = [
        Heading(1, Text("时钟假定", "Clock assumptions"), target="clocks"),
        Note(
            Text(
                "下列假定只影响时间的读法，不改变记录本身；记录的时间照原样保存。",
                "These assumptions change how times are read, never what was recorded; recorded times are kept as they "
                "stand.",
            )
        ),
    ]
    if not report.clocks:
        return [*blocks, Note(Text("没有时钟假定。", "There are no clock assumptions."))]
    columns: tuple[Column, ...] = (
        column("编号", "No.", 6),
        column("检材与来源", "Evidence and source", 27),
        column("依据", "Basis", 16),
        column("时区", "Zone", 14),
        column("年份", "Year", 8),
        column("校正", "Correction", 12),
        column("假定的出处", "Where it comes from", 27),
    )
    rows = [
        (
            (Piece("words", Text(references.label(c.id), references.label(c.id))),),
            (references.evidence(c.evidence), mark(" ", " "), code(c.source)),
            (said(BASIS[c.basis]),),
            optional(c.zone),
            (code(str(c.year)),) if c.year is not None else (NONE,),
            (code(_offset(c.offset_ns)),)
            if c.offset_ns is not None
            else (Piece("none", Text("未测定", "not measured")),),
            (said(c.origin),),
        )
        for c in report.clocks
    ]
    return [*blocks, Table(columns, tuple(Row(cells, c.id) for cells, c in zip(rows, report.clocks, strict=True)))]
