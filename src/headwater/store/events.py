# SPDX-License-Identifier: Apache-2.0
"""The event store as detectors see it: lazy frames over the parts of the feeds that they ask for.

Parts of one feed may differ in their own columns (two hosts, two log formats): a column that differs in type between
parts is read as text, one that a part lacks is null there.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from headwater.model.errors import StoreError
from headwater.model.nouns import Citation, Span, Tally
from headwater.store.clocks import Clock, ts_expression
from headwater.store.groups import Group, Room, scanned
from headwater.store.parts import GAP_SCHEMA, HEADER_SCHEMA

PLACE = ("source", "path", "offset", "ordinal")
TALLIED = 1_000_000  # events whose places one pass of tallies holds in memory


class EventStore:
    """Reads the events and gaps below a case folder; implements the port ``Events``."""

    def __init__(self, case: Path, clocks: Mapping[str, Clock]) -> None:
        self._root = case
        self._clocks = dict(clocks)
        self._ts = ts_expression(self._clocks)
        self._room = Room()
        self._stood = _standing(case)
        self._grouped: dict[str, tuple[Group, ...]] = {}
        self._typed: dict[str, dict[str, Any]] = {}

    def stands(self, clocks: Mapping[str, Clock]) -> bool:
        """Whether the store still answers for what lies in the case, under these clocks."""
        return self._clocks == dict(clocks) and self._stood == _standing(self._root)

    def feeds(self) -> Sequence[str]:
        """The feeds that hold at least one event, in order of name."""
        return self._feeds

    @functools.cached_property  # not functools.cache, which would keep every store and its frames for good
    def _feeds(self) -> tuple[str, ...]:
        folder = self._root / "events"
        named = sorted(p.name.removeprefix("feed=") for p in folder.glob("feed=*") if p.is_dir())
        return tuple(feed for feed in named if self._groups(feed))

    def parts(self, feed: str) -> list[Path]:
        """The part files of a feed, in order."""
        return sorted((self._root / "events" / f"feed={feed}").glob("*.parquet"))

    def _groups(self, feed: str) -> tuple[Group, ...]:
        """Parts grouped by identical schema."""
        if feed in self._grouped:
            return self._grouped[feed]
        groups: dict[tuple[tuple[str, Any], ...], list[Path]] = {}
        for part in self.parts(feed):
            try:
                schema = tuple(scanned([part]).collect_schema().items())
            except (OSError, pl.exceptions.PolarsError) as error:
                raise StoreError("HW5001", str(part), what=error) from error
            groups.setdefault(schema, []).append(part)
        found = tuple(Group(dict(schema), parts, self._room) for schema, parts in groups.items())
        return self._grouped.setdefault(feed, found)

    def _types(self, feed: str) -> dict[str, Any]:
        if feed in self._typed:
            return self._typed[feed]
        types: dict[str, Any] = {}
        for group in self._groups(feed):
            for name, dtype in group.schema.items():
                if name in types and types[name] != dtype:
                    dtype = pl.String
                types[name] = dtype
        return self._typed.setdefault(feed, types)

    def columns(self, feed: str) -> Sequence[str]:
        """All columns that a feed has."""
        return tuple(self._types(feed))

    def scan(
        self,
        *,
        kinds: Sequence[str] | None = None,
        feeds: Sequence[str] | None = None,
        columns: Sequence[str] = (),
    ) -> pl.LazyFrame:
        """Events of these kinds and feeds with the header, ``ts`` and the named own columns; see the port."""
        chosen = [f for f in self.feeds() if feeds is None or f in feeds]
        wanted = dict.fromkeys(c for c in columns if c not in HEADER_SCHEMA and c != "ts")
        types: dict[str, Any] = {}
        for feed in chosen if wanted else ():
            held = self._types(feed)
            for name in wanted:
                if name in held:
                    dtype = held[name]
                    types[name] = dtype if types.get(name, dtype) == dtype else pl.String
        asked = None if kinds is None else frozenset(str(k) for k in kinds)
        frames = []
        for feed in chosen:
            for group in self._groups(feed):
                frame = group.lazy(asked, self._ts)
                if frame is not None:
                    frames.append(frame.select(*HEADER_SCHEMA, "ts", *_own(wanted, types, group.schema)))
        if not frames:
            return pl.LazyFrame(schema=HEADER_SCHEMA | {"ts": pl.Int64} | {n: types.get(n, pl.String) for n in wanted})
        return pl.concat(frames, how="vertical")

    def cite(self, rows: Any, claims: Sequence[str], limit: int = 200) -> tuple[Citation, ...]:
        """Citations of the rows of a frame, the first and last ``limit`` // 2 by time and place."""
        frame = rows.collect() if isinstance(rows, pl.LazyFrame) else rows
        frame = frame.sort("ts", *PLACE, nulls_last=True)
        if frame.height > limit:
            half = limit // 2
            frame = pl.concat([frame.head(half), frame.tail(limit - half)])
        names = [c for c in claims if c in frame.columns]
        return tuple(
            Citation(
                Span(row["source"], row["path"], row["offset"], row["length"]),
                row["ts"],
                {n: row[n] for n in names if row[n] is not None},
                row["ordinal"],
            )
            for row in frame.iter_rows(named=True)
        )

    def tally(self, where: Mapping[str, str]) -> Tally:
        """Count the events equal to ``where`` in every named column, with a digest over their places."""
        kinds = [where["kind"]] if "kind" in where else None
        feeds = [where["feed"]] if "feed" in where else None
        frame = self.scan(kinds=kinds, feeds=feeds, columns=tuple(where))
        for name, value in where.items():
            frame = frame.filter(pl.col(name).cast(pl.String) == value)
        return Tally.over(where, frame.select(PLACE).collect().iter_rows())

    def tallies(self, stated: Sequence[Tally]) -> list[Tally]:
        """Each of these counted again, in order; those of one form share their passes over the events.

        A pass holds the places of at most ``TALLIED`` events as stated, or of one tally.
        """
        found: dict[int, Tally] = {}
        forms: dict[tuple[tuple[str, ...], str | None, str | None], list[int]] = {}
        for at, tally in enumerate(stated):
            form = tuple(sorted(tally.where)), tally.where.get("kind"), tally.where.get("feed")
            forms.setdefault(form, []).append(at)
        for (names, kind, feed), members in forms.items():
            if not names:
                found.update((at, self.tally({})) for at in members)
                continue
            for some in _passes(members, stated):
                groups = pl.LazyFrame(
                    {n: [str(stated[at].where[n]) for at in some] for n in names} | {"tally": some},
                    schema=dict.fromkeys(names, pl.String) | {"tally": pl.Int64},
                )
                rows = self.scan(kinds=kind and [kind], feeds=feed and [feed], columns=names)
                keys = [pl.col(n).cast(pl.String).alias(f"key {n}") for n in names]
                rows = rows.select(*PLACE, *keys).join(groups, left_on=[f"key {n}" for n in names], right_on=names)
                parts = rows.select("tally", *PLACE).collect().partition_by("tally", as_dict=True)
                for at in some:
                    held = parts.get((at,))
                    places = held.select(PLACE).iter_rows() if held is not None else iter(())
                    found[at] = Tally.over(stated[at].where, places)
        return [found[at] for at in range(len(stated))]

    def gaps(self) -> pl.LazyFrame:
        """All gaps of the case, in order of source, path and offset."""
        parts = sorted((self._root / "gaps").glob("feed=*/*.parquet"))
        if not parts:
            return pl.LazyFrame(schema=GAP_SCHEMA)
        return scanned(parts).sort("source", "path", "offset", maintain_order=True)

    def event(self, source: int, path: str, offset: int, ordinal: int) -> dict[str, Any] | None:
        """One event by its identity, with every column it has; None where there is none."""
        for feed in self.feeds():
            frame = self.scan(feeds=[feed], columns=self.columns(feed)).filter(
                (pl.col("source") == source)
                & (pl.col("path") == path)
                & (pl.col("offset") == offset)
                & (pl.col("ordinal") == ordinal)
            )
            rows = frame.collect().to_dicts()
            if rows:
                return dict(rows[0])
        return None


def _standing(case: Path) -> tuple[tuple[str, str, int, int], ...]:
    """Feed, name, size and time of every part; parts are written whole under their names, and a new one is another file."""
    found = []
    for part in (case / "events").glob("feed=*/*.parquet"):
        said = part.stat()
        found.append((part.parent.name, part.name, said.st_size, said.st_mtime_ns))
    return tuple(sorted(found))


def _own(wanted: Iterable[str], types: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[pl.Expr]:
    """The named own columns of a group in the types that all groups of a question share; null where it lacks one."""
    for name in wanted:
        if name not in schema:
            yield pl.lit(None, dtype=types.get(name, pl.String)).alias(name)
        else:
            yield pl.col(name) if schema[name] == types[name] else pl.col(name).cast(types[name])


def _passes(members: Sequence[int], stated: Sequence[Tally]) -> Iterator[list[int]]:
    """The tallies of one form in shares that a pass can hold."""
    share: list[int] = []
    size = 0
    for at in members:
        if share and size + stated[at].count > TALLIED:
            yield share
            share, size = [], 0
        share.append(at)
        size += stated[at].count
    if share:
        yield share
