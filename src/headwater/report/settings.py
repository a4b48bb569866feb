# SPDX-License-Identifier: Apache-2.0
"""Settings and rights: accounts, groups, keys, services, tasks, autoruns, shares, firewall — one table each, with remarks."""

from __future__ import annotations

from headwater.model.nouns import Text
from headwater.report.blocks import Block, Cell, Column, Heading, Note, Piece, code, data, joined, mark
from headwater.report.data import ReportData
from headwater.report.references import References
from headwater.report.shapes import column, table
from headwater.report.words import NONE

PRINTED = 12  # rows of one table in the printed form
_DOT = mark(" · ", " · ")
_UNREMARKED = Piece("none", Text("未见异常", "nothing remarked"))


def settings(report: ReportData, references: References, limit: int | None) -> list[Block]:
    """The tables; nothing where no source keeps any. ``limit``: the printed form, whose tables are short."""
    if not report.settings:
        return []
    blocks: list[Block] = [
        Heading(1, Text("设置与权限", "Settings and rights"), target="settings"),
        Note(
            Text(
                "各项为检材所存的现状。“异常及依据”列出引证该条的发现，缘由见其正文；无此标注只表示各检测规则未就该条得出发现。",
                "Entries as the evidence keeps them. 'Remarks' names the findings that cite an entry, which say why; without one "
                "no detector made a finding of it, and no more is said.",
            ),
            "small",
        ),
    ]
    columns: tuple[Column, ...] = (
        column("主机、名称", "Host, name", 16),
        column("内容", "What it says", 40),
        column("出处", "Where it stands", 30),
        column("异常及依据", "Remarks", 14),
    )
    for held in report.settings:
        rows: list[tuple[Cell, ...]] = []
        for row in held.rows[: limit and PRINTED]:
            named = joined([(data(v),) for v in (row.host, row.who) if v])
            says = joined([(code(f"{name} = {value}"),) for name, value in row.says], _DOT)
            place = (references.evidence(row.evidence), mark(" ", " "), code(f"{row.path} @{row.offset}+{row.length}"))
            rows.append(
                (named or (NONE,), says or (NONE,), place, references.cites(row.findings, row.path) or (_UNREMARKED,))
            )
        blocks.append(Heading(2, Text(f"{held.title.zh}（{held.total:,} 项）", f"{held.title.en} ({held.total:,})")))
        blocks.append(table(columns, rows))
        missing = held.total - len(rows)
        if missing > 0:
            note = Text(
                f"列出有异常的各项及其余的前若干项，另有 {missing:,} 项未列；全部可用 headwater timeline --where 查看。",
                f"Entries that are remarked on come first; {missing:,} others are not listed here: headwater timeline --where "
                "shows all.",
            )
            blocks.append(Note(note, "small"))
    return blocks
