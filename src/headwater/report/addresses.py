# SPDX-License-Identifier: Apache-2.0
"""Addresses: every one that matters with its part, sources, first and last time, success and failure, and findings."""

from __future__ import annotations

from headwater.model.nouns import Text
from headwater.report.blocks import BREAK, Block, Cell, Column, Heading, Note, Piece, code, joined, mark, said
from headwater.report.data import ReportData
from headwater.report.references import References
from headwater.report.shapes import column, table
from headwater.report.words import NONE, UNRECORDED

PRINTED = 5
_COMMA = mark("、", ", ")


def addresses(report: ReportData, references: References, limit: int | None) -> list[Block]:
    """The table; nothing where no event names an address. ``limit``: the printed form, whose table is short."""
    if report.addresses is None or not report.addresses.rows:
        return []
    columns: tuple[Column, ...] = (
        column("地址", "Address", 20),
        column("位置、角色", "Where, parts", 18),
        column("记载来源", "Told by", 20),
        column("首见 – 末见（UTC）", "First – last, UTC", 22),
        column("事件（成功/失败）", "Events (success/failure)", 12),
        column("相关发现", "Findings", 8),
    )
    rows: list[tuple[Cell, ...]] = []
    for one in report.addresses.rows[: limit and PRINTED]:
        where = said(Text("内网", "inside") if one.inside else Text("外网", "outside"))
        parts = joined([(said(r),) for r in one.roles], _COMMA)
        feeds = joined([(code(f),) for f in one.feeds[:3]], _COMMA)
        more = (mark(f" 等 {len(one.feeds)} 类", f" of {len(one.feeds)}"),) if len(one.feeds) > 3 else ()
        ends = [code(t) for t in dict.fromkeys(t[:19] for t in (one.first, one.last) if t)]
        times: Cell = (ends[0], BREAK, code("– "), ends[1]) if len(ends) > 1 else tuple(ends) or (UNRECORDED,)
        count = Piece("code", f"{one.events:,} ({one.success:,}/{one.failure:,})")
        cites = references.cites(one.findings, one.address) if one.findings else (NONE,)
        rows.append(((code(one.address),), (where, BREAK, *parts), (*feeds, *more), times, (count,), cites))
    blocks: list[Block] = [Heading(1, Text("地址", "Addresses"), target="addresses")]
    blocks.append(
        Note(
            Text(
                "由全部事件统计而得：先列被发现提及的地址，再按事件数。内网地址只是直接来源，真实来源须另查；地址不等于人。",
                "Counted over all events: first those that findings name, then the busiest. An inside address is the immediate "
                "source only, its origin is to be found elsewhere; an address is not a person.",
            ),
            "small",
        )
    )
    blocks.append(table(columns, rows))
    missing = report.addresses.total - len(rows)
    if missing > 0:
        note = Text(
            f"另有 {missing:,} 个地址未列，可用 headwater summary --addresses 查看。",
            f"{missing:,} other addresses are not listed: headwater summary --addresses shows them.",
        )
        blocks.append(Note(note, "small"))
    return blocks
