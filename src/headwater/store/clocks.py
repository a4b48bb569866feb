# SPDX-License-Identifier: Apache-2.0
"""Recorded time → UTC: the case's clock assumptions as an expression, in Polars and in SQL from one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from headwater.model.kinds import TimeBasis
from headwater.model.times import Offset, zone_offsets

WALL = (TimeBasis.ZONE_ASSUMED.value, TimeBasis.YEAR_ASSUMED.value)


@dataclass(frozen=True, slots=True)
class Clock:
    """One clock of the case: its zone, and how many nanoseconds it was ahead of the reference."""

    zone: str = "UTC"
    skew_ns: int = 0

    def offsets(self) -> Sequence[Offset]:
        """The zone's offsets by wall clock."""
        return zone_offsets(self.zone)


def _ahead(clock: Clock) -> Any:
    recorded = pl.col("t_recorded")
    offsets = clock.offsets()
    ahead: Any = pl.lit(offsets[0].ahead, dtype=pl.Int64)
    for offset in offsets[1:]:
        ahead = pl.when(recorded >= offset.wall_from).then(pl.lit(offset.ahead, dtype=pl.Int64)).otherwise(ahead)
    return ahead


def ts_expression(clocks: Mapping[str, Clock]) -> Any:
    """``ts`` in UTC nanoseconds as a Polars expression over t_recorded, t_basis and clock."""
    correction: Any = pl.lit(0, dtype=pl.Int64)
    wall = pl.col("t_basis").is_in(WALL)
    for name, clock in clocks.items():
        amount = pl.when(wall).then(_ahead(clock)).otherwise(pl.lit(0, dtype=pl.Int64)) + clock.skew_ns
        correction = pl.when(pl.col("clock") == name).then(amount).otherwise(correction)
    return (pl.col("t_recorded") - correction).alias("ts")


def ts_sql(clocks: Mapping[str, Clock]) -> str:
    """The same as one SQL expression; clock names are closed words of ours, never evidence."""
    cases = []
    for name, clock in clocks.items():
        if not name.replace("-", "").replace(".", "").isalnum():
            raise ValueError(f"clock name {name!r}")
        offsets = clock.offsets()
        ahead = str(offsets[0].ahead)
        for offset in offsets[1:]:
            ahead = f"CASE WHEN t_recorded >= {offset.wall_from} THEN {offset.ahead} ELSE {ahead} END"
        wall = ", ".join(f"'{w}'" for w in WALL)
        cases.append(
            f"WHEN clock = '{name}' THEN CASE WHEN t_basis IN ({wall}) THEN ({ahead}) ELSE 0 END + {clock.skew_ns}"
        )
    correction = f"CASE {' '.join(cases)} ELSE 0 END" if cases else "0"
    return f"(t_recorded - ({correction}))"
