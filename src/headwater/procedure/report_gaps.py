# SPDX-License-Identifier: Apache-2.0
"""The gaps of a case as its report lists them: by file and reason, the first so many, and what is not listed counted."""

from __future__ import annotations

import polars as pl

from headwater.model.kinds import GapReason
from headwater.report import data as report

MOST = 300  # rows


def gap_rows(gaps: pl.LazyFrame) -> tuple[tuple[report.GapRow, ...], tuple[int, int, int]]:
    """The rows, and of those that are not given how many they are, their gaps and their bytes.

    ``gaps``: those of a case in order of source, path and offset.
    """
    rows = (
        gaps.group_by("source", "path", "feed", "reason")
        .agg(
            pl.len().alias("count"),
            pl.col("length").sum().alias("bytes"),
            pl.col("offset").first().alias("first"),
            pl.col("detail").first(),
        )
        .sort("source", "path", "feed", "reason")
        .collect()
    )
    rest = rows.slice(MOST)
    given = tuple(
        report.GapRow(
            row["source"], row["path"], row["feed"], GapReason(row["reason"]), row["count"], row["bytes"],
            row["first"], row["detail"] or "",
        )
        for row in rows.head(MOST).iter_rows(named=True)
    )  # fmt: skip
    return given, (rest.height, int(rest["count"].sum()), int(rest["bytes"].sum()))
