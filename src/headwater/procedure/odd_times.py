# SPDX-License-Identifier: Apache-2.0
"""Times to be wary of: before 1970, after 2100, or after the item was acquired, which no clock that was right can say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from headwater.model.custody import Evidence
from headwater.model.kinds import EventKind
from headwater.model.nouns import Sentence, Text
from headwater.model.times import SECOND, from_rfc3339
from headwater.procedure.chronicle import moment
from headwater.procedure.corridor import Corridor, evidence_of, store_of

EARLIEST = 0
LATEST = int(datetime(2101, 1, 1, tzinfo=UTC).timestamp()) * SECOND
_NAMED = 6  # kinds of log named in the sentence


@dataclass(frozen=True, slots=True)
class OddTimes:
    """Events of one item whose time cannot be right; ``bound``: when it was acquired, None for times out of range."""

    evidence: int
    count: int
    first: int
    last: int
    feeds: tuple[str, ...]
    bound: int | None


def acquired(item: Evidence) -> tuple[int, bool]:
    """The latest moment that the item can speak of, UTC ns, and whether the image itself states it.

    The time of acquisition where an EWF image states one (seconds since 1970), else that of the registration.
    """
    stated = item.notes.get("acquired", "")
    if stated.isdigit() and int(stated) * SECOND < LATEST:
        return int(stated) * SECOND, True
    return from_rfc3339(item.registered_at), False


def odd_times(corridor: Corridor) -> list[OddTimes]:
    """What there is of such times, per item: out of range first, then after the acquisition."""
    store = store_of(corridor)
    if not store.feeds():
        return []
    found = []
    for item in evidence_of(corridor.ledger):
        bound, _ = acquired(item)
        rows = store.scan().filter(pl.col("source") == item.number)
        outside = (pl.col("ts") < EARLIEST) | (pl.col("ts") >= LATEST)
        due = pl.col("kind") == EventKind.STATE_SCHEDULE.value  # a job of at(1) states when it is to run
        for wanted, limit in ((outside, None), ((pl.col("ts") > bound) & ~outside & ~due, bound)):
            held = rows.filter(wanted).group_by("feed").agg(
                pl.len().alias("count"), pl.col("ts").min().alias("first"), pl.col("ts").max().alias("last")
            ).collect().sort("feed")  # fmt: skip
            if held.height:
                found.append(
                    OddTimes(
                        item.number, int(held["count"].sum()), int(held["first"].min()), int(held["last"].max()),  # type: ignore[arg-type]
                        tuple(held["feed"].to_list()), limit,
                    )
                )  # fmt: skip
    return found


def warnings(corridor: Corridor) -> Iterator[Sentence]:
    """A sentence for each."""
    stated = {item.number: acquired(item)[1] for item in evidence_of(corridor.ledger)}
    for odd in odd_times(corridor):
        names = ", ".join(odd.feeds[:_NAMED]) + (" …" if len(odd.feeds) > _NAMED else "")
        first, last = moment(odd.first), moment(odd.last)
        if odd.bound is None:
            text = Text(
                f"注意：检材 {odd.evidence} 中有 {odd.count:,} 个事件的时间在 1970 年至 2100 年之外（{names}），不可径作时间依据。",
                f"Beware: {odd.count:,} events of item {odd.evidence} have times outside 1970 to 2100 ({names}); "
                "they cannot be taken as they stand.",
            )
        else:
            bound = moment(odd.bound)
            by = ("镜像自述的采集时间", "the acquisition that the image states") if stated[odd.evidence] else (
                "登记时间", "its registration")  # fmt: skip
            text = Text(
                f"注意：检材 {odd.evidence} 中有 {odd.count:,} 个事件的时间（{first.zh} 至 {last.zh}）晚于{by[0]}（{bound.zh}），"
                f"时钟、时区或年份的假定可能有误（{names}）。",
                f"Beware: {odd.count:,} events of item {odd.evidence} ({first.en} to {last.en}) lie after {by[1]} "
                f"({bound.en}); a clock, or the zone or year assumed, may be wrong ({names}).",
            )
        yield Sentence(text, (f"evidence-{odd.evidence}",))
