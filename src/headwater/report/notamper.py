# SPDX-License-Identifier: Apache-2.0
"""The no-tamper examination on paper: a document of its own for each item, and a section of the report.

Both say the same: the verdict, what carries it, every sign by layer with what it rests on, and what the methods cannot
see. The record behind them is JSON in the case folder, entered in the ledger with its digest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headwater.model.nouns import Text
from headwater.report.blocks import (
    BREAK,
    Block,
    Cell,
    Document,
    Fields,
    Heading,
    Note,
    Paragraph,
    Piece,
    Sign,
    code,
    data,
    said,
)
from headwater.report.notamper_data import NoTamper
from headwater.report.shapes import column, given, table
from headwater.report.words import NONE

if TYPE_CHECKING:
    from headwater.report.data import ReportData
    from headwater.report.references import References

_TONES = {"unexplained": "bad", "undecided": "doubt", "authorised": "good", "autonomous": "good"}
_VERDICT_TONES = {"A": "good", "B": "good", "C": "doubt", "D": "bad", "E": "doubt"}
_IN_REPORT = 5  # examples of a sign in the report's section; the document of its own has them all
_NAME = Text("检材的无污损检验", "Whether evidence was touched after control was taken")


def _head(item: NoTamper) -> list[Block]:
    return [
        Fields(
            (
                (Text("检材", "Item"), (code(f"E{item.number}"),)),
                (Text("结论", "Verdict"), (Piece(_VERDICT_TONES.get(item.verdict, "doubt"), item.conclusion),)),
                (Text("基准时间 T0", "Baseline T0"), (code(item.t0), BREAK, *given(item.source))),
                (Text("不确定度", "Uncertainty"), given(item.uncertainty)),
                (Text("提取完成", "Acquired by"), (code(item.acquired),)),
                (Text("基准时间后的运行", "Operation after it"), (said(item.operation),)),
            )
        )
    ]


def _signs(item: NoTamper, examples: int) -> Block:
    columns = (
        column("层次", "Layer", 14),
        column("性质", "Standing", 13),
        column("所见", "What was seen", 40),
        column("所据（路径、变化、时间）", "It rests on (path, change, time)", 33),
    )
    rows: list[tuple[Cell, ...]] = []
    for row in item.rows:
        tone = _TONES.get(row.standing, "inline")
        told: list[Piece] = []
        for example in row.examples[:examples]:
            told += [BREAK] if told else []
            told += [code(example.path), data(f" {example.what}"), code(f" {example.at}" if example.at else "")]
            told += [code(f" [{example.place}]")]
        left = row.count - min(examples, len(row.examples))
        if row.examples and left > 0:
            told += [BREAK, Piece("small", Text(f"另有 {left:,} 处", f"and {left:,} more"))]
        rows.append(((said(row.layer),), (Piece(tone, row.standing_text),), (said(row.text),), tuple(told) or (NONE,)))
    return table(columns, rows)


def document(item: NoTamper, case_no: str, issued: int | None) -> Document:
    """The examination of one item as a document of its own; ``issued`` in ns since 1970."""
    reasons: list[Block] = [Paragraph(text) for text in item.reasons]
    body: list[Block] = [
        Heading(1, Text("结论所据", "What the verdict rests on"), "1"),
        *(reasons or [Note(Text("没有指向改动的迹象。", "No sign speaks of a change."))]),
        Heading(1, Text("各层所见", "What each layer shows"), "2"),
        _signs(item, 50),
        Heading(1, Text("不能发现什么", "What cannot be seen"), "3"),
        *(Paragraph(text) for text in item.limits),
        Heading(1, Text("签名", "Signatures"), "4"),
        Sign(((Text("检验人员", "Examiner"), given(None)), (Text("复核人员", "Reviewer"), given(None)))),
    ]
    return Document(
        Text("检材无污损检验记录", "Record of the no-tamper examination"), (code(f"E{item.number}"),), tuple(_head(item)),
        tuple(body), Text("检验/分析记录，不是鉴定意见", "Examination record, not a judicial expert opinion"), case_no, None, issued,
    )  # fmt: skip


def section(report: ReportData, references: References) -> list[Block]:
    """The section of the report; nothing where no item was examined so."""
    if not report.notamper:
        return []
    blocks: list[Block] = [Heading(1, _NAME, target="notamper")]
    for item in report.notamper:
        cites = references.cites(item.cites, item.conclusion.zh)
        blocks.append(Heading(2, Text(f"检材 E{item.number}", f"Item E{item.number}")))
        blocks.append(Paragraph(item.conclusion, cites))
        blocks += _head(item)
        blocks.append(_signs(item, _IN_REPORT))
        blocks.append(Note(Text("这些方法不能发现：", "What these methods cannot see:")))
        blocks += [Paragraph(text, cites) for text in item.limits]
    return blocks
