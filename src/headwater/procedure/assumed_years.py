# SPDX-License-Identifier: Apache-2.0
"""Events whose record names no year: how many, of which logs, and into which years they were put."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from headwater.model.kinds import TimeBasis
from headwater.model.nouns import Sentence, Text
from headwater.model.times import rfc3339
from headwater.procedure.corridor import Corridor, store_of

_NAMED = 6  # kinds of log named in the sentence


@dataclass(frozen=True, slots=True)
class Yearless:
    """What there is of them on one item; ``first`` and ``last`` are years."""

    evidence: int
    count: int
    first: str
    last: str
    feeds: tuple[str, ...]


def yearless(corridor: Corridor) -> list[Yearless]:
    """Items with such events, in order of number."""
    store = store_of(corridor)
    if not store.feeds():
        return []
    held = (
        store.scan()
        .filter(pl.col("t_basis") == TimeBasis.YEAR_ASSUMED.value)
        .group_by("source", "feed")
        .agg(
            pl.len().alias("count"), pl.col("t_recorded").min().alias("first"), pl.col("t_recorded").max().alias("last")
        )
        .collect()
        .sort("source", "feed")
    )
    found = []
    for (number,), rows in held.group_by("source", maintain_order=True):
        first, last = (rfc3339(ns) or "" for ns in (rows["first"].min(), rows["last"].max()))  # type: ignore[arg-type]
        found.append(
            Yearless(int(str(number)), int(rows["count"].sum()), first[:4], last[:4], tuple(rows["feed"].to_list()))
        )
    return found


def warnings(corridor: Corridor) -> Iterator[Sentence]:
    """A sentence for each item."""
    for each in yearless(corridor):
        yield said(each, corridor.settings.years)


def said(held: Yearless, stated: Mapping[str, int]) -> Sentence:
    """One item's; ``stated``: the years that a person gave, by path."""
    names = ", ".join(held.feeds[:_NAMED]) + (" …" if len(held.feeds) > _NAMED else "")
    alone = held.first == held.last
    years = Text(f"{held.first} 年" if alone else f"{held.first} 至 {held.last} 年",
                 held.first if alone else f"{held.first} to {held.last}")  # fmt: skip
    given_zh, given_en = ("（检验人给定年份者除外）", ", unless the examiner gave it") if stated else ("", "")
    return Sentence(
        Text(
            f"注意：检材 {held.evidence} 中有 {held.count:,} 个事件的原始记录不含年份（{names}），所列 {years.zh}"
            f"系按文件时间与月份次序推断{given_zh}。",
            f"Note: {held.count:,} events of item {held.evidence} are of records that name no year ({names}); "
            f"{years.en} is inferred from the file's time and the order of months{given_en}.",
        ),
        (f"evidence-{held.evidence}",),
    )
