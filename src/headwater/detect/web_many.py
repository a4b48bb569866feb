# SPDX-License-Identifier: Apache-2.0
"""Of thousands of clients that the host may confirm, those with the most behind them; the others together.

To look at one client costs milliseconds. What the host says is therefore asked of all their requests at once, in time that
grows with the requests and not with requests times clients, and only the strongest are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from headwater.detect.frames import MINUTE, SECOND
from headwater.detect.web_evidence import AFTER_UPLOAD, Host, Proof

MOST = 500  # clients that are looked at one by one
ERROR, COMMAND, SHELL = (
    1,
    2,
    3,
)  # what speaks for a request: an error line or a file that appeared; a trace; a planted script
_ASKED = 200  # requests of one client whose commands are held against the host
KEYS = ["source", "client"]


@dataclass(frozen=True, slots=True)
class Many:
    """The clients of one item that are not looked at one by one: how many by what speaks for them, and the requests."""

    source: int
    clients: dict[int, int]
    rows: pl.DataFrame
    proofs: list[Proof]


def strongest(
    rows: pl.DataFrame, clients: pl.DataFrame, host: Host, attempt: pl.Expr, sends: pl.Expr
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The clients that are looked at one by one, and the requests of the others that something speaks for."""
    if clients.height <= MOST:
        return clients, rows.head(0)
    mine = rows.join(clients, on=KEYS, how="semi", maintain_order="left")
    mine = mine.with_columns(_spoken(mine, host, attempt, sends))
    ranks = mine.group_by(KEYS).agg(pl.col("spoken").max().alias("rank"), pl.col("ts").min().alias("since"))
    ordered = clients.join(ranks, on=KEYS).sort("rank", "since", *KEYS, descending=[True, False, False, False])
    rest = ordered.tail(ordered.height - MOST).select(KEYS)
    spoken = mine.filter(pl.col("spoken") > 0).join(rest, on=KEYS, how="semi", maintain_order="left")
    return ordered.head(MOST), spoken


def together(rest: pl.DataFrame, host: Host) -> Iterator[Many]:
    """What speaks for the clients that are not looked at one by one, for each item of evidence."""
    for part in rest.partition_by("source", maintain_order=True):
        ranks = part.group_by("client").agg(pl.col("spoken").max()).get_column("spoken").to_list()
        proofs: list[Proof] = []
        asked = part.filter(pl.col("spoken") == COMMAND).head(10).select("ts", "command", "client", "src_ip")
        for when, command, address, peer in asked.iter_rows():
            proofs += host.proofs(int(when), command, address, peer)
        yield Many(int(part["source"][0]), {n: ranks.count(n) for n in (SHELL, COMMAND, ERROR)}, part, proofs[:20])


def beside(rows: pl.DataFrame) -> pl.Expr:
    """Of error lines those of the clients of these requests in the same minute or the next."""
    minutes = pl.concat([rows["ts"] // MINUTE, rows["ts"] // MINUTE + 1]).unique()
    return (pl.col("ts") // MINUTE).is_in(minutes.implode()) & pl.col("src_ip").is_in(rows["src_ip"].unique().implode())


def _spoken(rows: pl.DataFrame, host: Host, attempt: pl.Expr, sends: pl.Expr) -> pl.Series:
    """What the host says for each request, as a rank; 0 where it says nothing."""
    status = pl.col("sc-status").cast(pl.Int64, strict=False)
    flags = rows.select(
        attempt.fill_null(False).alias("attempt"), sends.fill_null(False).alias("sends"),
        (pl.col("shell") & status.is_between(200, 299).fill_null(False)).alias("used"),
    )  # fmt: skip
    found = np.zeros(rows.height, np.int8)
    found[(flags["attempt"] & _erring(rows, host)).to_numpy() | (flags["sends"] & _dropping(rows, host)).to_numpy()] = (
        ERROR
    )
    held = rows.select("ts", "command", *KEYS, "src_ip").with_row_index("at").drop_nulls("command")
    held = held.filter(pl.int_range(pl.len()).over(KEYS) < _ASKED)
    for at, when, command, _source, address, peer in held.iter_rows():
        if host.proofs(int(when), command, address, peer):
            found[at] = COMMAND
    found[flags["used"].to_numpy()] = SHELL
    return pl.Series("spoken", found)


def _erring(rows: pl.DataFrame, host: Host) -> pl.Series:
    """Which requests an error line of the same client stands beside."""
    lines = host.failures.select("src_ip", (pl.col("ts") // MINUTE).alias("minute")).drop_nulls()
    lines = pl.concat([lines, lines.with_columns(pl.col("minute") - 1)]).unique()
    asked = rows.select("src_ip", (pl.col("ts") // MINUTE).alias("minute"))
    known: Any = lines.with_columns(pl.lit(True).alias("known"))
    return asked.join(known, on=["src_ip", "minute"], how="left", maintain_order="left")["known"].fill_null(False)


def _dropping(rows: pl.DataFrame, host: Host) -> pl.Series:
    """Within minutes of which requests a script appeared on disk."""
    made = host.made["ts"].drop_nulls().sort().to_numpy()
    times = rows["ts"].to_numpy()
    low, high = made.searchsorted(times - 10 * SECOND), made.searchsorted(times + AFTER_UPLOAD, "right")
    return pl.Series(high > low, dtype=pl.Boolean)
