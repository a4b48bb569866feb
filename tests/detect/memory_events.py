# SPDX-License-Identifier: Apache-2.0
"""A small event store in memory, for tests of detectors: the port ``Events`` over Polars frames."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from headwater.examine.batch import frame_of
from headwater.model.kinds import EventKind, Outcome, TimeBasis
from headwater.model.nouns import Citation, Span, Tally
from headwater.model.records import HEADER, Event, own_column

HEAD = {"ts": pl.Int64()} | {n: pl.Int64() if t == "i64" else pl.String() for n, t in HEADER}
GAP_SCHEMA = {
    "source": pl.Int64,
    "path": pl.String,
    "feed": pl.String,
    "offset": pl.Int64,
    "length": pl.Int64,
    "reason": pl.String,
    "detail": pl.String,
}
ORDER = ["source", "path", "offset", "ordinal"]


def at(text: str) -> int:
    """Nanoseconds of a UTC wall-clock time such as ``2026-03-02 03:04:05``."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000


def event(kind: EventKind, when: str | int | None, offset: int, **named: Any) -> Event:
    """An event of 100 bytes; names that are no header column become own fields."""
    head = {f for f in Event.__dataclass_fields__ if f != "fields"}
    own = {k: v for k, v in named.items() if k not in head} | dict(named.get("fields", {}))
    own.pop("fields", None)
    given = {k: v for k, v in named.items() if k in head}
    if "outcome" in given:
        given["outcome"] = Outcome(given["outcome"])
    ns = at(when) if isinstance(when, str) else when
    basis = TimeBasis.NONE if ns is None else TimeBasis.UTC
    length = given.pop("length", 100)
    return Event(offset, length, kind, t_recorded=ns, t_basis=basis, fields=own, **given)


class MemoryEvents:
    """Feeds as frames; ``put`` adds the events of one file to a feed."""

    def __init__(self) -> None:
        self.frames: dict[str, pl.DataFrame] = {}
        self.gap_rows: list[dict[str, Any]] = []
        self.offset = 0

    def put(self, feed: str, path: str, happened: Sequence[Event], source: int = 1) -> MemoryEvents:
        frame = frame_of(list(happened)).with_columns(
            pl.col("t_recorded").alias("ts"),
            pl.lit(feed).alias("feed"),
            pl.lit(source, dtype=pl.Int64).alias("source"),
            pl.lit(path).alias("path"),
            pl.lit("host").alias("clock"),
        )
        return self.put_frame(feed, frame)

    def put_frame(self, feed: str, frame: pl.DataFrame) -> MemoryEvents:
        held = self.frames.get(feed)
        joined = frame if held is None else pl.concat([held, frame], how="diagonal_relaxed")
        self.frames[feed] = joined.sort(ORDER)
        return self

    def say(self, feed: str, path: str, *happened: tuple[EventKind, str | int | None, dict[str, Any]]) -> MemoryEvents:
        """Events that stand one after the other, 100 bytes each."""
        made = []
        for kind, when, named in happened:
            made.append(event(kind, when, self.offset, **named))
            self.offset += 100
        return self.put(feed, path, made)

    def gap(self, path: str, feed: str, offset: int, length: int, reason: str, detail: str = "") -> MemoryEvents:
        self.gap_rows.append(
            {
                "source": 1,
                "path": path,
                "feed": feed,
                "offset": offset,
                "length": length,
                "reason": reason,
                "detail": detail,
            }
        )
        return self

    def feeds(self) -> Sequence[str]:
        return sorted(f for f, frame in self.frames.items() if frame.height)

    def scan(
        self,
        *,
        kinds: Sequence[str] | None = None,
        feeds: Sequence[str] | None = None,
        columns: Sequence[str] = (),
    ) -> Any:
        wanted = [own_column(c) if c not in HEAD else c for c in columns]
        picked = []
        for feed in self.feeds():
            if feeds is not None and feed not in feeds:
                continue
            frame = self.frames[feed]
            have = [c for c in [*HEAD, *dict.fromkeys(w for w in wanted if w not in HEAD)] if c in frame.columns]
            picked.append(frame.select(have))
        frame = pl.concat(picked, how="diagonal_relaxed") if picked else pl.DataFrame(schema=HEAD)
        missing = [c for c in wanted if c not in frame.columns]
        frame = frame.with_columns([pl.lit(None, dtype=pl.String).alias(c) for c in missing])
        if kinds is not None:
            frame = frame.filter(pl.col("kind").is_in([str(k) for k in kinds]))
        return frame.lazy()

    def columns(self, feed: str) -> Sequence[str]:
        return self.frames[feed].columns if feed in self.frames else []

    def cite(self, rows: Any, claims: Sequence[str], limit: int = 200) -> tuple[Citation, ...]:
        frame = rows.collect() if isinstance(rows, pl.LazyFrame) else rows
        frame = frame.sort(["ts", *ORDER], nulls_last=True)
        if frame.height > limit:
            frame = pl.concat([frame.head(limit // 2), frame.tail(limit // 2)])
        return tuple(
            Citation(
                Span(r["source"], r["path"], r["offset"], r["length"]),
                r["ts"],
                {c: r[c] for c in claims if r[c] is not None},
                r["ordinal"],
            )
            for r in frame.iter_rows(named=True)
        )

    def tally(self, where: Mapping[str, str]) -> Tally:
        frame = self.scan(columns=tuple(where)).collect()
        for column, value in where.items():
            frame = frame.filter(pl.col(column).cast(pl.String) == value)
        lines = [f"{s}:{p}:{o}:{n}\n" for s, p, o, n in frame.sort(ORDER).select(ORDER).iter_rows()]
        return Tally(dict(where), frame.height, hashlib.sha256("".join(lines).encode()).hexdigest())

    def gaps(self) -> Any:
        return pl.DataFrame(self.gap_rows, schema=GAP_SCHEMA).lazy()
