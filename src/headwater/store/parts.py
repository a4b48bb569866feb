# SPDX-License-Identifier: Apache-2.0
"""Parts: Parquet files of one feed, written once under a deterministic name.

``events/feed=<closed name>/<source>-<task>-<part>.parquet`` and ``gaps/<source>-<task>-<part>.parquet``. Rows are
sorted by (t_recorded, source, path, offset, ordinal), nulls first, so that the same events give the same rows however
many workers made them. Nothing from evidence becomes a file name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from headwater.formats.atomic import write_atomic
from headwater.formats.patterns import lazy_regex
from headwater.model.records import HEADER, Gap
from headwater.store.parquet import parquet_bytes

_FEED = lazy_regex(r"^[a-z0-9]+(?:[.][a-z0-9_]+)+$")
_TYPES: dict[str, Any] = {"i64": pl.Int64, "str": pl.String}
HEADER_SCHEMA: dict[str, Any] = {name: _TYPES[kind] for name, kind in HEADER}
GAP_SCHEMA: dict[str, Any] = {
    "source": pl.Int64, "path": pl.String, "feed": pl.String, "offset": pl.Int64, "length": pl.Int64,
    "reason": pl.String, "detail": pl.String,
}  # fmt: skip
SORT = ("t_recorded", "source", "path", "offset", "ordinal")


def encode_events(frame: pl.DataFrame, *, clock: str | None, feed: str, source: int, path: str | None) -> bytes:
    """Events of one batch as Parquet bytes: header first, own columns by name; ``path`` or ``clock`` None: the frame's own."""
    columns = {series.name: series for series in frame.iter_columns()}
    given = {"feed": feed, "source": source, "clock": clock, "path": path}
    for name, value in given.items():
        if value is not None:
            one = pl.Series(name, [value], dtype=HEADER_SCHEMA[name])
            columns[name] = one.new_from_index(
                0, frame.height
            )  # the engine, asked for it, costs as much as a small part
    head = [columns[n] if columns[n].dtype == t else columns[n].cast(t) for n, t in HEADER_SCHEMA.items()]
    frame = pl.DataFrame([*head, *(columns[n] for n in sorted(columns) if n not in HEADER_SCHEMA)])
    return parquet_bytes(_sorted(frame))


def _sorted(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows in their order; logs mostly are in it already, and then nothing is moved."""
    if frame.height < 2:
        return frame
    keys = [k for k in SORT if k in ("t_recorded", "offset", "ordinal") or not _single(frame[k])]
    if "path" not in keys and "source" not in keys and frame["t_recorded"].null_count() == 0:
        time, offset, ordinal = (frame[k].to_numpy() for k in keys)
        place = (offset[1:] > offset[:-1]) | (offset[1:] == offset[:-1]) & (ordinal[1:] >= ordinal[:-1])
        later = time[1:] > time[:-1]
        if (later | (time[1:] == time[:-1]) & place).all():
            return frame
        if place.all():
            keys = ["t_recorded"]
    return frame.sort(keys, nulls_last=False, maintain_order=True)


def _single(series: pl.Series) -> bool:
    return series[0] == series[-1] and bool((series == series[0]).all())


def encode_gaps(gaps: Sequence[tuple[str, Gap]], *, feed: str, source: int) -> bytes:
    """Gaps (path, gap) as Parquet bytes, in order of path and offset."""
    rows = sorted((path, g.offset, g.length, g.reason.value, g.detail) for path, g in gaps)
    frame = pl.DataFrame(
        {
            "source": [source] * len(rows),
            "path": [r[0] for r in rows],
            "feed": [feed] * len(rows),
            "offset": [r[1] for r in rows],
            "length": [r[2] for r in rows],
            "reason": [r[3] for r in rows],
            "detail": [r[4] for r in rows],
        },
        schema=GAP_SCHEMA,
    )
    return parquet_bytes(frame)


def part_path(case: Path, family: str, feed: str, source: int, task: int, part: int) -> Path:
    """Where a part stands; ``family`` is ``events`` or ``gaps``.

    Raises:
        ValueError: the feed is not one of the closed form.
    """
    if not _FEED.match(feed):
        raise ValueError(f"feed name {feed!r}")
    name = f"{source:04d}-{task:06d}-{part:05d}.parquet"
    return case / family / f"feed={feed}" / name


def write_part(path: Path, data: bytes) -> str:
    """Write one part whole or not at all; returns its SHA-256."""
    return write_atomic(path, data)
