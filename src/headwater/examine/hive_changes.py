# SPDX-License-Identifier: Apache-2.0
"""What a hive's transaction logs change: keys and values that are new, changed or gone once they are applied.

Each stands where its bytes stand: in the log that brought them. So the hive's own rows tell the hive as recorded, the log's
rows tell what differs in the hive as replayed, and no byte is cited that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from headwater.examine.batch import printable
from headwater.examine.hive_artifacts import Artifact, all_artifacts, events_of
from headwater.examine.hive_place import Place
from headwater.examine.registry_rows import keys_frame, values_frame
from headwater.formats.registry_hive import Hive, Key, type_name
from headwater.formats.registry_log import SECTOR, Entry, Replayed
from headwater.formats.registry_tree import INLINE
from headwater.model.kinds import EventKind
from headwater.model.records import Event, Value

REPLAYED, GONE = "replayed", "gone-once-replayed"
BEFORE = "before"  # the column of what the hive as recorded has in its place
_MOST = 200_000  # rows of each sort that one log tells


@dataclass(slots=True)
class Where:
    """Which bytes of the replayed hive come from which place of which log, by sector."""

    log: Any
    at: Any

    @staticmethod
    def of(replayed: Replayed) -> Where:
        sectors = len(replayed.data) // SECTOR + 1
        found = Where(np.full(sectors, -1, dtype=np.int16), np.zeros(sectors, dtype=np.int64))
        for number, page in replayed.pages:
            first, count = page.place // SECTOR, page.size // SECTOR
            found.log[first : first + count] = number
            found.at[first : first + count] = page.at + SECTOR * np.arange(count)
        return found

    def touched(self, starts: Any, sizes: Any) -> Any:
        """Which of these ranges have a byte that a log brought."""
        running = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(self.log >= 0)))
        last = np.minimum((starts + np.maximum(sizes, 1) - 1) // SECTOR, len(self.log) - 1)
        return running[last + 1] > running[np.minimum(starts // SECTOR, len(self.log) - 1)]

    def span(self, number: int, start: int, size: int) -> tuple[int, int] | None:
        """Where these bytes stand in this log, as far as they follow each other there; None where they begin elsewhere."""
        sector = start // SECTOR
        if sector >= len(self.log) or self.log[sector] != number:
            return None
        place = int(self.at[sector]) + start % SECTOR
        there = SECTOR - start % SECTOR
        while there < size and sector + 1 < len(self.log) and self.log[sector + 1] == number:
            if self.at[sector + 1] != self.at[sector] + SECTOR:
                break
            sector += 1
            there += SECTOR
        return place, min(size, there)


@dataclass(slots=True)
class Changes:
    """The two states of one hive, and the log (its number) whose rows are wanted; ``last``: the last entry applied, if here."""

    old: Hive
    new: Hive
    place: Place
    where: Where
    number: int
    last: Entry | None

    def rows(self) -> pl.DataFrame:
        """Keys and values that are new, changed or gone, those that this log brought; ordinals are not yet set."""
        parts = [self._keys(), self._values()]
        if self.last is not None:
            parts.append(self._gone(self.last))
        return pl.concat(parts, how="diagonal")

    def _moved(
        self, frame: pl.DataFrame, before: list[str], spans: list[tuple[int, int]], rows: list[int]
    ) -> pl.DataFrame:
        return frame[rows].with_columns(
            pl.Series("offset", [at for at, _ in spans], dtype=pl.Int64),
            pl.Series("length", [size for _, size in spans], dtype=pl.Int64),
            pl.Series("data_offset", [None] * len(rows), dtype=pl.Int64),
            pl.lit(REPLAYED).alias("state"),
            pl.Series(BEFORE, before, dtype=pl.String),
        )

    def _keys(self) -> pl.DataFrame:
        tree, cells = self.new.tree, self.new.cells
        starts, sizes = cells.starts[tree.key_cell], cells.sizes[tree.key_cell]
        touched = np.flatnonzero(self.where.touched(starts, sizes))[:_MOST]
        known = {path.lower(): int(time) for path, time in zip(self.old.paths, self.old.written.tolist(), strict=True)}
        frame = keys_frame(self.new, self.place, touched)
        spans, before, rows = [], [], []
        for row, number in enumerate(touched.tolist()):
            had = known.get(self.new.paths[number].lower())
            span = self.where.span(self.number, int(starts[number]), int(sizes[number]))
            if span is None or had == int(self.new.written[number]):
                continue
            spans.append(span)
            before.append("not there" if had is None else f"written at {had} (FILETIME)")
            rows.append(row)
        return self._moved(frame, before, spans, rows)

    def _values(self) -> pl.DataFrame:
        new, tree, cells = self.new, self.new.tree, self.new.cells
        starts, sizes = cells.starts[tree.value_cell], cells.sizes[tree.value_cell]
        outside = (new.sizes & INLINE == 0) & (tree.data_cell >= 0)
        data = np.where(outside, tree.data_cell, tree.value_cell)
        data_starts, data_sizes = cells.starts[data], cells.sizes[data]
        touched = self.where.touched(starts, sizes) | self.where.touched(data_starts, data_sizes)
        chosen = np.flatnonzero(touched)[:_MOST]
        frame = values_frame(new, self.place, chosen)
        known = self._known({new.paths[key].lower() for key in tree.value_key[chosen].tolist()})
        spans, before, rows = [], [], []
        for row, number in enumerate(chosen.tolist()):
            name = (new.paths[int(tree.value_key[number])].lower(), new.value_names[number].lower())
            had = known.get(name)
            if had is not None and self._same(had, number):
                continue
            span = self.where.span(self.number, int(data_starts[number]), int(data_sizes[number]))
            span = span or self.where.span(self.number, int(starts[number]), int(sizes[number]))
            if span is None:
                continue
            spans.append(span)
            before.append("not there" if had is None else self._told(had))
            rows.append(row)
        return self._moved(frame, before, spans, rows)

    def _known(self, wanted: set[str]) -> dict[tuple[str, str], int]:
        """The values of the hive as recorded in these keys, by path and name."""
        old, known = self.old, dict[tuple[str, str], int]()
        for row, path in enumerate(old.paths):
            if path.lower() in wanted:
                for value in Key(old, row).values():
                    known[(path.lower(), value.name.lower())] = value.row
        return known

    def _same(self, had: int, number: int) -> bool:
        old, new = self.old, self.new
        return old.value_type(had) == new.value_type(number) and old.value_data(had) == new.value_data(number)

    def _told(self, had: int) -> str:
        frame = values_frame(self.old, self.place, np.array([had]))
        return f"{type_name(self.old.value_type(had))}: {frame['data'][0] or ''}"

    def _gone(self, last: Entry) -> pl.DataFrame:
        """What the hive as recorded has and the replayed one has not; it stands on the last entry that was applied."""
        old, new = self.old, self.new
        there = {path.lower() for path in new.paths}
        keys = [row for row, path in enumerate(old.paths) if path.lower() not in there][:_MOST]
        lost = set(keys)
        now = self._names(new)
        values = [
            row
            for row, key in enumerate(old.tree.value_key.tolist())
            if key not in lost and (old.paths[key].lower(), old.value_names[row].lower()) not in now
        ][:_MOST]
        frame = pl.concat(
            [
                keys_frame(old, self.place, np.array(keys, dtype=np.int64)),
                values_frame(old, self.place, np.array(values, dtype=np.int64)),
            ]
        )
        return frame.with_columns(
            pl.lit(last.offset, dtype=pl.Int64).alias("offset"),
            pl.lit(last.size, dtype=pl.Int64).alias("length"),
            pl.lit(None, dtype=pl.Int64).alias("data_offset"),
            pl.lit(GONE).alias("state"),
            pl.lit("there").alias(BEFORE),
        )

    def _names(self, hive: Hive) -> set[tuple[str, str]]:
        low = [path.lower() for path in hive.paths]
        keys = hive.tree.value_key.tolist()
        return {(low[key], name.lower()) for key, name in zip(keys, hive.value_names, strict=True)}

    def artifacts(self) -> Iterator[tuple[Artifact, list[Event]]]:
        """What the replayed hive means that the recorded one does not, by artifact, at its place in this log."""
        for artifact in all_artifacts():
            if self.place.kind not in artifact.hives:
                continue
            had = {_said(event) for event in events_of(artifact, self.old, self.place)[0]}
            found = []
            for event in events_of(artifact, self.new, self.place)[0]:
                span = self.where.span(self.number, event.offset, event.length)
                if span is None and self.last is not None and event.offset // SECTOR < len(self.where.log):
                    elsewhere = self.where.log[event.offset // SECTOR] >= 0
                    span = None if elsewhere else (self.last.offset, self.last.size)
                if span is not None and _said(event) not in had:
                    fields: dict[str, Value] = {**event.fields, "state": REPLAYED}
                    found.append(replace(event, offset=span[0], length=span[1], fields=fields))
            if found:
                yield artifact, found


def _said(event: Event) -> tuple[Any, ...]:
    """All that an event says but where it stands."""
    own = tuple(sorted((k, v) for k, v in event.fields.items() if k != "data_offset"))
    header = (event.kind, event.t_recorded, event.user, event.command_line, event.file_path, event.process, event.hash)
    return (*header, event.src_ip, event.dst_ip, event.event_code, repr(own))


def entry_event(entry: Entry, form: str, what: str) -> Event:
    """One write that a log keeps; ``what`` became of it."""
    fields: dict[str, Value] = {
        "sequence": entry.sequence,
        "bins_size": entry.bins_size,
        "pages": len(entry.pages),
        "form": form,
        "sound": entry.sound,
        "applied": printable(what),
    }
    return Event(entry.offset, entry.size, EventKind.REGISTRY_LOG, t_kind="recorded", fields=fields)
