# SPDX-License-Identifier: Apache-2.0
"""Wall clocks where they were changed: hours that came twice, and hours that never were, in logs that name no zone.

A wall clock within an hour that came twice (autumn) is counted as its first pass, one within an hour that never came
(spring) by the offset before the change (``fold=0`` of PEP 495). Neither can be told from the record alone, so how many
there are, and by how much they may be off, is said.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from headwater.model.nouns import Sentence, Text
from headwater.model.times import SECOND, Offset
from headwater.procedure.corridor import Corridor, clocks_of, store_of
from headwater.store.clocks import WALL

_MINUTE = 60 * SECOND


@dataclass(frozen=True, slots=True)
class Changed:
    """Events of one clock in such an hour: how many, and by how much they may be off (ns)."""

    clock: str
    zone: str
    twice: bool
    count: int
    off: int


def doubled(offsets: Sequence[Offset], low: int, high: int) -> list[tuple[int, int, int]]:
    """The stretches of wall clock between ``low`` and ``high`` that came twice or never: (from, to, change in ns).

    The change is negative where the clock was put back, and the stretch came twice.
    """
    found = []
    for before, after in itertools.pairwise(offsets):
        assert after.wall_from is not None, "the first alone has no beginning"
        change = after.ahead - before.ahead
        start = after.wall_from - abs(change)
        if change and after.wall_from > low and start <= high:
            found.append((start, after.wall_from, change))
    return found


def changed_hours(corridor: Corridor) -> list[Changed]:
    """What there is of such events, by clock: hours that came twice first."""
    store = store_of(corridor)
    if not store.feeds():
        return []
    wall = store.scan().filter(pl.col("t_basis").is_in(WALL) & pl.col("t_recorded").is_not_null())
    spans = wall.group_by("clock").agg(
        pl.col("t_recorded").min().alias("low"), pl.col("t_recorded").max().alias("high")
    ).collect().sort("clock")  # fmt: skip
    held = clocks_of(corridor)
    found = []
    for name, low, high in spans.select("clock", "low", "high").iter_rows():
        if name not in held:
            continue
        stretches = doubled(held[name].offsets(), low, high)
        for twice in (True, False):
            wanted = [s for s in stretches if (s[2] < 0) == twice]
            if not wanted:
                continue
            within = pl.any_horizontal(
                [pl.col("t_recorded").is_between(a, b, closed="left") for a, b, _ in wanted]
            )  # fmt: skip
            count = wall.filter((pl.col("clock") == name) & within).select(pl.len()).collect().item()
            if count:
                most = max(abs(change) for _, _, change in wanted)
                found.append(Changed(name, held[name].zone, twice, int(count), most))
    return found


def warnings(corridor: Corridor) -> Iterator[Sentence]:
    """A sentence for each."""
    for each in changed_hours(corridor):
        item, minutes, count = each.clock.partition(".")[0], each.off // _MINUTE, f"{each.count:,}"
        if each.twice:
            text = Text(
                f"注意：检材 {item} 中有 {count} 个未记时区的事件落在 {each.zone} 时钟回拨而重复出现的时段，均按第一次计，"
                f"实际可能晚 {minutes} 分钟；先后以其在日志中的位置为准。",
                f"Beware: {count} events of item {item} name no zone and stand in hours that came twice when the clocks of {each.zone} "
                f"were put back; they are counted as the first, and may be {minutes} minutes later: "
                "their order is that of their places in the log.",
            )
        else:
            text = Text(
                f"注意：检材 {item} 中有 {count} 个未记时区的事件落在 {each.zone} 时钟拨快而并不存在的时段，按拨快前的时差计；"
                "所假定的时区或该机时钟可能有误。",
                f"Beware: {count} events of item {item} name no zone and stand in hours that never were, as the clocks of {each.zone} were "
                "put forward; they are counted by the offset before: the zone assumed, or that clock, may be wrong.",
            )
        yield Sentence(text, (f"evidence-{item}",))
