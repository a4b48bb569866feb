# SPDX-License-Identifier: Apache-2.0
"""Lines of values with one space between them, cut a megabyte at a time into columns.

For formats whose columns a line of the file itself names. A reader has the format's own way from one line to one record;
regular lines go around it by whole columns, all others through it, and both say the same: batches are bounded as
:func:`headwater.examine.batch.batches_of` bounds them, so that no row, type or order of columns depends on the way.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import polars as pl

from headwater.examine.batch import HEAD_SCHEMA, Batch, Skipped, frame_of, merge_gaps
from headwater.examine.filled import filled
from headwater.examine.line_views import MASK8, PADDING, Bytes, Flags, Ints, column, numbers
from headwater.examine.line_words import decimal, word
from headwater.examine.parsers._slots import address
from headwater.examine.parsers._text import LINE_LIMIT, Line, Stretch, lines_in, stretches
from headwater.model.records import Count, Event, File, Gap, Record, own_column

MOST = 50_000  # records of a batch, as in batches_of
_FEW = 64  # so few lines are read one by one: setting up columns costs as much
_DASH, _SPACE = 45, 32


@dataclass(frozen=True, slots=True)
class Values:
    """The values of regular lines: ``start[k]``, ``end[k]`` are the places of column ``k`` in the padded block."""

    data: Bytes
    start: list[Ints]
    end: list[Ints]

    def take(self, rows: Flags) -> Values:
        if rows.all():
            return self
        return Values(self.data, [s[rows] for s in self.start], [e[rows] for e in self.end])

    def there(self, k: int) -> Flags:
        """Where a column is more than the dash that stands for no value."""
        some: Flags = (self.end[k] - self.start[k] != 1) | (self.data[self.start[k]] != _DASH)
        return some

    def text(self, k: int) -> pl.Series:
        return column(self.data, self.start[k], self.end[k], self.there(k))

    def whole(self, k: int) -> tuple[Flags, Ints]:
        """Where a column is a decimal number of at most 18 digits, and its value."""
        start, size = self.start[k], self.end[k] - self.start[k]
        count, value = decimal(word(self.data, start) & MASK8[np.minimum(size, 8)])
        ok = count == size
        for done in (8, 16):
            rows = np.flatnonzero((size > done) & (size <= 18) & (count == done))
            if len(rows):
                rest = size[rows] - done
                more, low = decimal(word(self.data, start[rows] + done) & MASK8[np.minimum(rest, 8)])
                value[rows] = value[rows] * 10**more + low
                count[rows] += more
                ok[rows] = more == rest
        return ok, value

    def number(self, k: int) -> pl.Series:
        """Whole numbers; where any value is none, all as text."""
        ok, value = self.whole(k)
        there = self.there(k)
        if (ok | ~there).all():
            return numbers(value, there)
        return pl.Series(value).cast(pl.String).zip_with(pl.Series(ok), self.text(k))


@functools.lru_cache(maxsize=65_536)
def _address(text: str) -> str | None:
    return address(text.removeprefix("::ffff:"))


def addresses(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """The texts that are addresses, as those, and the texts that are none."""
    distinct = texts.drop_nulls().unique()
    made = [_address(text) for text in distinct.to_list()]
    if made == distinct.to_list():
        return texts, filled(None, len(texts))
    found = texts.replace_strict(distinct, pl.Series(made, dtype=pl.String), return_dtype=pl.String)
    return found, texts.set(found.is_not_null(), None)


@dataclass(frozen=True, slots=True)
class Judged:
    """What a reader says of values: which lines are regular, their times in ns, and which say nothing by the format."""

    fits: Flags
    time: Ints
    silent: Flags | None = None
    reason: str = ""


class Reader(Protocol):
    """One format's way from lines to records, with what it remembers of the lines before."""

    def record(self, line: Line) -> Record: ...

    def steers(self, cut: Cut) -> Flags:
        """Lines that may change how those behind them are read; they are read one by one, in order."""
        ...

    def width(self) -> int:
        """How many values a regular line has now; 0 where lines are to be read one by one."""
        ...

    def judge(self, values: Values) -> Judged: ...

    def columns(self, values: Values, time: Ints) -> dict[str, pl.Series]:
        """Header columns and own fields, the latter in the order in which an event would have them."""
        ...


class Cut:
    """One stretch, with the places of its lines, of its spaces and of what is not regular whatever the format."""

    def __init__(self, stretch: Stretch) -> None:
        self.stretch = stretch
        raw = stretch.raw
        view = np.frombuffer(raw, dtype=np.uint8)
        self.stop = np.flatnonzero(view == 10) + 1
        self.start = np.concatenate([np.zeros(1, dtype=np.int64), self.stop[:-1]])
        end = self.stop - 1
        self.end = end - ((end > self.start) & (view[np.maximum(end - 1, 0)] == 13))
        self.data = np.concatenate([view, np.zeros(PADDING, dtype=np.uint8)])
        self.space = np.flatnonzero(view == _SPACE)
        first, last = view[self.start], view[np.maximum(self.end - 1, 0)]
        edge = (first <= _SPACE) | (first >= 127) | (last <= _SPACE) | (last >= 127)
        self.odd: Flags = edge | (self.end <= self.start) | (self.stop - self.start > LINE_LIMIT)
        if not _is_utf8(raw):
            self._mask()

    def _mask(self) -> None:
        """Lines that are no UTF-8 are odd, and columns must not be made over their bytes."""
        high = np.flatnonzero(self.data >= 128)
        for row in np.unique(np.searchsorted(self.stop, high, side="right")).tolist():
            low, stop = int(self.start[row]), int(self.stop[row])
            if not _is_utf8(self.stretch.raw[low:stop]):
                self.odd[row] = True
                part = self.data[low:stop]
                part[part >= 128] = 63

    def rows_with(self, what: bytes) -> Ints:
        """The lines in which some bytes stand."""
        raw, found = self.stretch.raw, []
        at = raw.find(what)
        while at >= 0:
            found.append(at)
            at = raw.find(what, at + len(what))
        return np.unique(np.searchsorted(self.stop, np.array(found, dtype=np.int64), side="right"))

    def line(self, row: int) -> Stretch:
        low, stop = int(self.start[row]), int(self.stop[row])
        return Stretch(self.stretch.offset + low, self.stretch.raw[low:stop])

    def values(self, low: int, high: int, width: int) -> tuple[Ints, Values]:
        """Of the lines ``low`` … ``high`` those with so many values, none of them empty, and the values."""
        start, end = self.start[low:high], self.end[low:high]
        first = np.searchsorted(self.space, start)
        count = np.searchsorted(self.space, end) - first
        rows = np.flatnonzero((count == width - 1) & ~self.odd[low:high])
        first, here = first[rows], start[rows]
        starts, ends = [], []
        full = np.ones(len(rows), dtype=np.bool_)
        for k in range(width):
            stop = self.space[first + k] if k < width - 1 else end[rows]
            full &= stop > here
            starts.append(here)
            ends.append(stop)
            here = stop + 1
        return rows[full] + low, Values(self.data, starts, ends).take(full)


def _is_utf8(raw: bytes) -> bool:
    if raw.isascii():
        return True
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


@dataclass(slots=True)
class _Held:
    """What one batch has so far."""

    start: int
    at: int
    records: int = 0
    frames: list[pl.DataFrame] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    skips: dict[str, tuple[int, int]] = field(default_factory=dict)

    def skip(self, reason: str, records: int, size: int) -> None:
        n, before = self.skips.get(reason, (0, 0))
        self.skips[reason] = (n + records, before + size)

    def add(self, record: Record) -> None:
        """One record as a reader made it; ``records`` is counted by the caller."""
        if isinstance(record, Event):
            self.events.append(record)
        elif isinstance(record, Gap):
            self.gaps.append(record)
        elif not isinstance(record, Count):
            self.skip(record.reason, 1, record.length)

    def batch(self, end: int) -> Batch:
        skipped = tuple(Skipped(reason, *self.skips[reason]) for reason in sorted(self.skips))
        frames = [*self.frames, frame_of(self.events)] if self.events or not self.frames else self.frames
        return Batch(self.start, end, _joined(frames), merge_gaps(self.gaps), skipped)


def _joined(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Frames as the one that their events would have made: rows by offset, own columns by their first row."""
    if len(frames) == 1:
        return frames[0]
    first: dict[str, tuple[int, int]] = {}
    types: dict[str, set[pl.DataType]] = {}
    for frame in frames:
        for place, series in enumerate(frame.iter_columns()):
            if series.name in HEAD_SCHEMA:
                continue
            at = int(frame["offset"][int(series.is_not_null().arg_true()[0])])
            first[series.name] = min(first.get(series.name, (at, place)), (at, place))
            types.setdefault(series.name, set()).add(series.dtype)
    mixed = {name for name, found in types.items() if len(found) > 1}
    same = [frame.with_columns(pl.col(n).cast(pl.String) for n in mixed & set(frame.columns)) for frame in frames]
    joined = pl.concat(same, how="diagonal").select([*HEAD_SCHEMA, *sorted(first, key=lambda name: first[name])])
    return joined if joined["offset"].is_sorted() else joined.sort("offset")


def _frame(columns: dict[str, pl.Series], offset: Ints, length: Ints) -> pl.DataFrame:
    height = len(offset)
    given = {**columns, "offset": pl.Series(offset), "length": pl.Series(length)}
    made: dict[str, pl.Series] = {}
    for name, dtype in HEAD_SCHEMA.items():
        series = given.pop(name, None)
        if name == "ordinal":
            series = filled(0, height, pl.Int64)
        elif series is None:
            series = filled(None, height, dtype)
        made[name] = series.cast(dtype).alias(name)
    for name, series in given.items():
        if series.null_count() < height:
            made[own_column(name)] = series.alias(own_column(name))
    return pl.DataFrame(made)


def _regular(held: _Held, cut: Cut, reader: Reader, low: int, high: int) -> None:
    """The lines ``low`` … ``high``, between which nothing changes how they are read."""
    rows, values = cut.values(low, high, reader.width())
    done = np.zeros(high - low, dtype=np.bool_)
    if len(rows):
        judged = reader.judge(values)
        size = cut.stop[rows] - cut.start[rows]
        if judged.silent is not None and judged.silent.any():
            silent = rows[judged.silent]
            held.skip(judged.reason, len(silent), int(size[judged.silent].sum()))
            done[silent - low] = True
        fits = judged.fits if judged.silent is None else judged.fits & ~judged.silent
        mine = rows[fits]
        if len(mine):
            columns = reader.columns(values.take(fits), judged.time[fits])
            held.frames.append(_frame(columns, cut.start[mine] + cut.stretch.offset, size[fits]))
            done[mine - low] = True
    for row in np.flatnonzero(~done).tolist():
        _one(held, reader, cut.line(row + low))
    held.records += high - low
    held.at = cut.stretch.offset + int(cut.stop[high - 1])


def _one(held: _Held, reader: Reader, line: Stretch) -> None:
    for part in lines_in(line):
        held.add(reader.record(part) if isinstance(part, Line) else part)


def spaced_batches(file: File, reader: Reader) -> Iterator[Batch]:
    """The batches of a file, tiling it; what they hold is what ``reader.record`` says of each line by itself."""
    held = _Held(0, 0)
    for part in stretches(file):
        for low, high, cut, piece in _pieces(part, reader):
            while low < high:
                if held.records >= MOST:
                    yield held.batch(held.at)
                    held = _Held(held.at, held.at)
                upto = min(high, low + MOST - held.records)
                if cut is not None and high - low >= _FEW and reader.width() > 1:
                    _regular(held, cut, reader, low, upto)
                else:
                    upto = low + 1
                    found = piece if piece is not None else next(lines_in(cut.line(low))) if cut is not None else None
                    if found is not None:
                        held.add(reader.record(found) if isinstance(found, Line) else found)
                        held.records += 1
                        held.at = found.offset + found.length
                low = upto
    yield held.batch(file.size)


def _pieces(part: Stretch | Line | Gap, reader: Reader) -> Iterator[tuple[int, int, Cut | None, Line | Gap | None]]:
    """A stretch as runs of its lines between those that steer; what cannot be cut as one line or gap after the other."""
    if not isinstance(part, Stretch):
        yield 0, 1, None, part
    elif b"\0" in part.raw:  # a line then gives more than one record
        for line in lines_in(part):
            yield 0, 1, None, line
    else:
        cut = Cut(part)
        low = 0
        for row in np.flatnonzero(reader.steers(cut)).tolist():
            yield low, row, cut, None
            yield row, row + 1, cut, None
            low = row + 1
        yield low, len(cut.start), cut, None
