# SPDX-License-Identifier: Apache-2.0
"""How much gave no event, by reason: bytes that the medium lacks are counted once, not again in the files that held them.

Each layer lists its own gaps, since a reader asks of a file as well as of a medium; only their sum has to know that a
file's bytes are the medium's. A gap of a file that stands for one of the medium names the same cause.
"""

from __future__ import annotations

import polars as pl

from headwater.store.events import EventStore

MEDIUM, CONTENT = "medium: ", "content: "  # how the details begin of gaps of the whole medium, and of a file's content


def counted(store: EventStore) -> tuple[tuple[str, int, int], ...]:
    """(reason, how many gaps, how many bytes), by reason."""
    gaps = store.gaps().select(
        "source", "reason", "length", of_medium=pl.col("detail").str.starts_with(MEDIUM).fill_null(False),
        cause=pl.col("detail").str.strip_prefix(MEDIUM).str.strip_prefix(CONTENT),
    )  # fmt: skip
    lacking = gaps.filter("of_medium")
    known = lacking.select("source", "cause").unique()
    others = gaps.filter(~pl.col("of_medium")).join(known, on=["source", "cause"], how="anti")
    rows = (
        pl.concat([lacking, others]).group_by("reason").agg(pl.len(), pl.col("length").sum()).sort("reason").collect()
    )
    return tuple((str(reason), int(count), int(size)) for reason, count, size in rows.iter_rows())
