# SPDX-License-Identifier: Apache-2.0
"""Which system on an item a row is of: the host, or one of the containers within it.

The host's listing (``fs.macb``) has a container's files under the paths of its layers; ``fs.container`` has the same files
under the paths that the container sees. Two rows are of one file where item, system and path agree.
"""

from __future__ import annotations

import polars as pl

from headwater.model.paths import CONTAINER

LISTED, IN_CONTAINER = "fs.macb", "fs.container"
KEYS = ("source", "within", "file_path")


def within(column: str = "path") -> pl.Expr:
    """The layer that names the container of a row, by the row's path; empty for what is the host's own."""
    layer = rf"(?:^|!)({CONTAINER.replace('.', '[.]')}[^!]*)"
    return pl.col(column).str.extract(layer, 1).fill_null("").alias("within")


def of_same_files(times: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Those of ``times`` that are of the files of ``rows``: on the same item, in the same system, at the same path."""
    wanted = rows.select("source", within(), "file_path").unique()
    return times.with_columns(within()).join(wanted, on=list(KEYS), how="semi", maintain_order="left").drop("within")


def counted_once(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of listings without the host's own of a record that a container's listing has: one file, told once."""
    inside = rows.filter(pl.col("feed") == IN_CONTAINER)
    if inside.is_empty():
        return rows
    volume = (
        pl.col("path").str.replace(rf"!?{CONTAINER.replace('.', '[.]')}.*$", "").str.strip_suffix("/").alias("volume")
    )
    told = inside.select("source", volume, "offset").unique()
    rows = rows.with_columns(volume)
    host = rows.filter(pl.col("feed") == LISTED).join(told, on=["source", "volume", "offset"], how="anti")
    return pl.concat([host, rows.filter(pl.col("feed") != LISTED)]).drop("volume")
