# SPDX-License-Identifier: Apache-2.0
"""Rows by group without holding the rows: count first, place them narrowly, then take only what a finding cites.

A log of a busy server holds millions of failures from thousands of addresses. Each function here is one streaming pass
over the columns that it names: what stays in memory is a number, a time and a place for each row, never its texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import polars as pl

from headwater.detect.frames import ORDER, STAND, main_feeds
from headwater.model.nouns import Tally

PLACE = ("source", "path", "offset", "ordinal")
# More groups than this are not told one by one: the rest is one finding, with exact counts.
TOLD = 200
# Ways in are worth more words each: more logins or confirmed commands than this are not told one by one.
LOGINS = 2_000
_SLICE = 100_000


def collected(frame: Any) -> pl.DataFrame:
    """A lazy frame read by the streaming engine, whose memory does not grow with the input; in no given order."""
    return cast(pl.DataFrame, frame.collect(engine="streaming"))


def counted(rows: Any, *keys: str, repeat: bool = False) -> pl.DataFrame:
    """The groups by key and feed: ``rows``, ``acts`` (a line "message repeated N times" stands for N) and ``host``.

    ``host`` is null unless all rows of the group that state a host state the same one.
    """
    acts = pl.col("repeat").cast(pl.Int64, strict=False).fill_null(1).sum() if repeat else pl.len().cast(pl.Int64)
    low, high = pl.col("host").min().alias("host"), pl.col("host").max().alias("host_last")
    frame = collected(rows.group_by(*keys, "feed").agg(pl.len().alias("rows"), acts.alias("acts"), low, high))
    agreed = pl.when(pl.col("host") == pl.col("host_last")).then(pl.col("host"))
    return frame.with_columns(agreed.alias("host")).drop("host_last")


def chosen(groups: pl.DataFrame, *keys: str) -> pl.DataFrame:
    """Of each key the feed that tells its acts best, numbered ``g`` in order of key."""
    best = groups.join(main_feeds(groups, *keys), on=[*keys, "feed"], how="semi")
    return best.sort(*keys, "feed", nulls_last=True).with_row_index("g")


def placed(rows: Any, groups: pl.DataFrame, *keys: str) -> pl.DataFrame:
    """``g``, time, place and user of every row of these groups, in order of group, time and place."""
    named = groups.lazy().select("g", *keys, "feed")
    frame = rows.join(named, on=[*keys, "feed"], how="inner").select("g", *ORDER, "user")
    return collected(frame).sort("g", *ORDER, nulls_last=True)


def fetched(rows: Any, picks: pl.DataFrame, wanted: Sequence[str]) -> dict[int, pl.DataFrame]:
    """The rows at these places by the number ``k`` that each pick states, in order of time and place."""
    if picks.is_empty():
        return {}
    places = picks.lazy().select(PLACE).unique()
    columns = list(dict.fromkeys([*STAND, "kind", *wanted]))
    wide = collected(rows.join(places, on=list(PLACE), how="semi").select(columns))
    joined = picks.select("k", *PLACE).join(wide, on=list(PLACE), how="inner").sort("k", *ORDER, nulls_last=True)
    parts = joined.partition_by("k", as_dict=True, maintain_order=True)
    return {int(key[0]): part.select(columns) for key, part in parts.items()}


def edges(rows: pl.DataFrame, limit: int) -> pl.DataFrame:
    """The first and last rows of each group, ``limit`` in all, as picks: what a citation of the whole group holds."""
    at = pl.int_range(pl.len()).over("g")
    near = (at < limit // 2) | (at >= pl.len().over("g") - (limit - limit // 2))
    return rows.filter(near).with_columns(pl.col("g").alias("k"))


def spread(rows: pl.DataFrame) -> dict[int, tuple[int, int]]:
    """Where the rows of each group begin and end in a frame sorted by group."""
    if rows.is_empty():
        return {}
    groups = rows.get_column("g").to_numpy()
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    ends = np.r_[starts[1:], len(groups)]
    return {int(groups[s]): (int(s), int(e)) for s, e in zip(starts, ends, strict=True)}


def users(rows: pl.DataFrame, most: int = 5) -> dict[int, tuple[list[str], int]]:
    """Of each group the accounts tried most (ties by name), and how many different ones there are."""
    counts = rows.drop_nulls("user").group_by("g", "user").agg(pl.len().alias("n"))
    ordered = counts.sort("g", "n", "user", descending=[False, True, False])
    found = ordered.group_by("g", maintain_order=True).agg(
        pl.col("user").head(most).alias("shown"), pl.len().alias("total")
    )
    return {int(g): (shown, int(total)) for g, shown, total in found.iter_rows()}


def tally(where: Mapping[str, str], part: pl.DataFrame) -> Tally:
    """The tally of these rows, as the store counts it again: the digest over their places in order."""
    ordered = part.select(PLACE).sort(PLACE)
    digest = hashlib.sha256()
    for piece in ordered.iter_slices(_SLICE):
        line = pl.concat_str([pl.col(c).cast(pl.String) for c in PLACE], separator=":")
        digest.update("".join(f"{text}\n" for text in piece.select(line).to_series()).encode())
    return Tally(dict(where), ordered.height, digest.hexdigest())
