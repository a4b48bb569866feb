# SPDX-License-Identifier: Apache-2.0
"""Entries of a journal by column: for every field name the row of its value in each entry, and the columns made of them.

An entry only points to values, which many entries share (:mod:`headwater.formats.journal_values`). So a field of a batch is
an array of numbers, filled by one scatter, and its column is made of the values' string views by one gather.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headwater.examine.line_blocks import Lines
from headwater.examine.line_templates import REACH
from headwater.examine.line_views import PADDING, Bytes, Ints, buffered, views_of
from headwater.formats.journal_values import ENTRY_CELLS, Rows, Values
from headwater.formats.journal_walk import Entries
from headwater.formats.patterns import lazy_regex

ENTRIES_MOST = 50_000  # of one batch
_CELLS_MOST = 64 << 20  # characters of one batch, so that long messages cannot pile up
_ITEMS_MOST = 4_000_000  # fields of one batch, of which even empty ones cost something
_GRID_MOST = 8_000_000  # names times entries
_NAMES_MOST = 400  # field names that become columns; those beyond stand together in other_fields
_NAME = lazy_regex(r"[A-Z_][A-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of the entries of a block, and the rows of all their items."""

    entries: Entries
    low: int
    high: int
    rows: Rows
    codes: NDArray[np.int32]

    def column(self, name: str) -> NDArray[Any]:
        """A column of the entries."""
        found: NDArray[Any] = getattr(self.entries, name)[self.low : self.high]
        return found


@dataclass(slots=True)
class Gathered:
    """The entries of one batch so far."""

    values: Values
    pieces: list[Piece] = field(default_factory=list)
    height: int = 0
    _cells: int = 0
    _items: int = 0

    @property
    def full(self) -> bool:
        return self.height >= ENTRIES_MOST or self._cells >= _CELLS_MOST or self._items >= _ITEMS_MOST

    def take(self, entries: Entries, low: int, high: int, rows: Rows, codes: NDArray[np.int32]) -> int:
        """Take in entries from number ``low`` on, as many as there is room for; the number of the first that is left.

        ``rows``: of the items of the entries up to ``high``; ``codes``: the names of their fields. At least one is taken.
        """
        counts = entries.counts[low:high]
        ends = np.cumsum(counts)
        each = self.values.cells.take(rows)
        cells = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(each, dtype=np.int64)))
        if int(each.max(initial=0)) * int(counts.max(initial=0)) > ENTRY_CELLS:
            # beyond the most characters of an entry it is one long field named again and again
            before = cells[:-1] - np.repeat(cells[ends - counts], counts)
            rows = np.where(before > ENTRY_CELLS, 0, rows)
            cells[1:] = np.cumsum(self.values.cells.take(rows), dtype=np.int64)
        # the batch is full with the first entry that reaches one of its bounds
        most = min(high - low, ENTRIES_MOST - self.height)
        most = min(most, int(np.searchsorted(cells[ends[:most]], _CELLS_MOST - self._cells)) + 1)
        most = min(most, int(np.searchsorted(ends[:most], _ITEMS_MOST - self._items)) + 1)
        items = int(ends[most - 1])
        self.pieces.append(Piece(entries, low, low + most, rows[:items], codes[:items]))
        self.height += most
        self._cells += int(cells[items])
        self._items += items
        return low + most

    def column(self, name: str) -> NDArray[Any]:
        """A column of all entries."""
        return np.concatenate([piece.column(name) for piece in self.pieces])


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a batch by name, in order of their names; ``missing``: items of each entry that cannot be read."""

    rows: dict[str, Rows]
    other: pl.Series | None
    missing: Ints | None


def fields_of(gathered: Gathered, names: dict[str, None]) -> Fields:
    """The fields of these entries; ``names`` are those that became columns in this file so far."""
    values, height = gathered.values, gathered.height
    rows = np.concatenate([piece.rows for piece in gathered.pieces])
    codes = np.concatenate([piece.codes for piece in gathered.pieces])
    place = np.repeat(np.arange(height), gathered.column("counts"))
    missing = None
    there = rows != 0
    if not there.all():
        missing = np.bincount(place[~there], minlength=height)
        rows, codes, place = rows[there], codes[there], place[there]
    spread = _spread(codes, rows, place, (len(values.names), height))
    if spread is not None and all(_fits(values.names[code], names) for code in spread):
        found = {values.names[code]: column for code, column in spread.items()}
        return Fields({name: found[name] for name in sorted(found)}, None, missing)
    # sorting 16 bits takes a fixed number of steps for each
    order = np.argsort(codes.astype(np.uint16) if len(values.names) < 1 << 16 else codes, kind="stable")
    codes, rows, place = codes[order], rows[order], place[order]
    edges = np.flatnonzero(np.diff(codes, prepend=-1, append=-1)) if len(codes) else np.zeros(1, dtype=np.int64)
    bounds = {values.names[codes[low]]: (low, high) for low, high in pairwise(edges.tolist())}
    columns: dict[str, Rows] = {}
    other: list[list[str]] = []
    for name in sorted(bounds):
        low, high = bounds[name]
        if _fits(name, names):
            columns[name] = _column(values, name, rows[low:high], place[low:high], height)
            continue
        other = other or [[] for _ in range(height)]
        for row, text in zip(place[low:high].tolist(), values.texts(rows[low:high])):
            other[row].append(f"{name}={text.decode()}")
    joined = pl.Series(["\n".join(o) if o else None for o in other], dtype=pl.String) if other else None
    return Fields(columns, joined, missing)


def _spread(codes: NDArray[np.int32], rows: Rows, place: Ints, shape: tuple[int, int]) -> dict[int, Rows] | None:
    """For each number of a name its column; None where an entry has a field twice, or there are too many names."""
    if shape[0] * shape[1] > _GRID_MOST:
        return None
    grid = np.zeros(shape, dtype=np.int64)
    where = codes.astype(np.int64)
    where *= shape[1]
    where += place
    grid.reshape(-1)[where] = rows
    counts = np.count_nonzero(grid, axis=1)
    if int(counts.sum()) < len(rows):
        return None
    return {code: grid[code] for code in np.flatnonzero(counts).tolist()}


def _fits(name: str, names: dict[str, None]) -> bool:
    """Whether a field becomes a column, which is noted."""
    if name not in names:
        if len(names) >= _NAMES_MOST or len(name) > 64 or _NAME.fullmatch(name) is None:
            return False
        names[name] = None
    return True


def _column(values: Values, name: str, rows: Rows, place: Ints, height: int) -> Rows:
    """A field of all entries; one that stands more than once in an entry is joined by line feeds."""
    again = place[1:] == place[:-1]
    if again.any():
        joined: dict[int, list[bytes]] = {}
        twice = np.isin(place, place[1:][again])
        for entry, text in zip(place[twice].tolist(), values.texts(rows[twice])):
            joined.setdefault(entry, []).append(text)
        texts = [(name, b"\n".join(parts).decode()) for parts in joined.values()]
        rows = np.concatenate((rows[~twice], values.add((), texts)))
        place = np.concatenate((place[~twice], np.array(list(joined), dtype=np.int64)))
    elif len(rows) == height:
        return rows
    column = np.zeros(height, dtype=np.int64)
    column[place] = rows
    return column


class Spelled:
    """The values of a batch as string views, once for all of its columns; made when the values are complete."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self._texts = [np.frombuffer(b, dtype=np.uint8) for b in values.buffers]
        self._views: NDArray[np.complex128] | None = None
        self._done = 0

    def _all(self) -> NDArray[np.complex128]:
        values = self.values
        if self._views is None or self._done < values.count:
            views = np.zeros((values.count, 2), dtype=np.uint64)
            self._texts = [np.frombuffer(b, dtype=np.uint8) for b in values.buffers]
            edges = np.flatnonzero(np.diff(values.buffer[: values.count], prepend=-1, append=-1)).tolist()
            for low, high in pairwise(edges):
                number = int(values.buffer[low])
                views[low:high] = views_of(self._texts[number], values.start[low:high], values.end[low:high], number)
            views[0] = 0
            self._views, self._done = views.view(np.complex128)[:, 0], values.count
        return self._views

    def column(self, rows: Rows) -> pl.Series:
        """The values of these rows, null where there is none."""
        views = self._all().take(rows)
        there = rows != 0
        validity = None if there.all() else np.packbits(there, bitorder="little")
        return buffered(views.view(np.uint64).reshape(-1, 2), self._texts, validity, 0, len(rows))


def lines_of(messages: pl.Series) -> Lines:
    """Messages side by side in one block, as the readers of message texts want them; sudo writes blanks first."""
    if messages.str.starts_with(" ").any():
        messages = messages.str.strip_chars_start(" ")
    ends = messages.str.len_bytes().fill_null(0).to_numpy().astype(np.int64).cumsum() + REACH
    starts = np.concatenate((np.array([REACH], dtype=np.int64), ends[:-1]))
    text = messages.str.join("").item() or ""
    block: Bytes = np.frombuffer(b"".join((bytes(REACH), text.encode(), bytes(PADDING))), dtype=np.uint8)
    return Lines(block, starts, ends)
