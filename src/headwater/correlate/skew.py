# SPDX-License-Identifier: Apache-2.0
"""Skew between two clocks, estimated from events that both sides recorded: a login, a request, a forwarded message.

An event counts where what identifies it stands exactly once on either side; the estimate is the median of the
differences, its uncertainty the middle half of them. Two sides that recorded the same event do not do so at the same
moment: a delay on the way cannot be told from a clock that is wrong, which is why it is an estimate with its ground.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import quantiles

import polars as pl

from headwater.model.kinds import EventKind
from headwater.model.ports import Events

MATCHES_LEAST = 5
SPREAD_MOST = 120 * 10**9  # ns; differences that scatter further say nothing of a clock
_DAY = 86_400 * 10**9
# what identifies an event on both sides: its name, the kinds, the columns
_KEYS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("login", (EventKind.AUTH_SUCCESS, EventKind.AUTH_FAILURE), ("src_ip", "port", "user")),
    ("request", (EventKind.WEB_REQUEST,), ("src_ip", "cs-method", "cs-uri", "cs-user-agent")),
    ("connection", (EventKind.NETWORK_CONNECTION, EventKind.FIREWALL_BLOCK), ("src_ip", "port", "dst_ip")),
    ("message", (), ("host", "process", "pid", "message")),
)


@dataclass(frozen=True, slots=True)
class Skew:
    """How far the clock of item ``first`` is ahead of that of ``second``, in ns, under the clock assumptions as they are.

    ``low`` and ``high`` bound the middle half of the differences; ``matched``: how many events, by ``ground``.
    """

    first: int
    second: int
    ahead: int
    low: int
    high: int
    matched: int
    ground: str


def estimates(events: Events, items: Sequence[int]) -> Iterator[Skew]:
    """For each two items the estimate by each ground on which enough events match, in order of items and ground."""
    if len(items) < 2:
        return
    for ground, kinds, names in _KEYS:
        own = tuple(n for n in names if n not in ("src_ip", "dst_ip", "user", "host", "process", "pid"))
        scan = events.scan(kinds=[str(k) for k in kinds] or None, columns=own).select("source", "ts", *names)
        held = scan.filter(pl.all_horizontal(pl.col("ts", *names).is_not_null()))
        single = (
            held.group_by("source", *names)
            .agg(pl.len().alias("n"), pl.col("ts").first())
            .filter(pl.col("n") == 1)
            .select("source", "ts", *names)
            .collect()
        )
        for first, second in combinations(sorted(items), 2):
            one, other = (single.filter(pl.col("source") == n).drop("source") for n in (first, second))
            both = one.join(other, on=list(names), suffix="_other")
            apart = sorted((both["ts"] - both["ts_other"]).to_list())
            apart = [d for d in apart if abs(d) < _DAY]
            if len(apart) < MATCHES_LEAST:
                continue
            low, middle, high = (round(q) for q in quantiles(apart, n=4))
            if high - low <= SPREAD_MOST:
                yield Skew(first, second, middle, low, high, len(apart), ground)
