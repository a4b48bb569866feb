# SPDX-License-Identifier: Apache-2.0
"""The line engine: a grammar and a file in, batches of typed columns out.

A grammar is an ordered list of shapes. A shape is a function over the lines of a block that says which of them it fits
and gives columns for those; lines go to the first shape that fits them, and what fits none is a Gap. Everything is
done to whole columns: a shape cuts by position (:mod:`headwater.examine.line_views`) or by one regex over a string column.

    GRAMMAR = LineGrammar(shapes=(my_shape,), own={"message": pl.String})

    def my_shape(lines: Lines, context: Context) -> Cut: ...

:func:`line_batches` is what the harness calls, :func:`one_record` reads a single record again, as ``verify`` does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from headwater.examine.batch import HEAD_SCHEMA, Batch, Skipped, merge_gaps
from headwater.examine.line_blocks import LINE_LIMIT, LineBlock, Lines, line_blocks
from headwater.examine.line_near import Kept, Near, kept, with_neighbours
from headwater.examine.line_time import YearlessTimes
from headwater.examine.line_views import Flags, Ints, same
from headwater.examine.line_years import Years, years_of
from headwater.model.kinds import GapReason
from headwater.model.records import Facts, File, Gap

BLOCK = 8 << 20  # of 4, 8 and 16 MiB the cheapest that leaves two workers within 1 GiB together


@dataclass(frozen=True, slots=True)
class Context:
    """What a shape may know beside the lines: facts about the file, and its years where lines have none.

    ``near``: for grammars that ask for it, the lines among their neighbours. ``memory``: of this file and this shape alone, from
    block to block.
    """

    file: File
    years: Years | None = None
    near: Near | None = None
    memory: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cut:
    """Which of the lines a shape fits, and columns (header or own names) with one value for each line that fits.

    ``line``: where a line gives several events, for each event which of the lines it stands on, in order; ``ordinal`` is then theirs.
    """

    fits: Flags
    columns: Mapping[str, pl.Series]
    line: Ints | None = None
    ordinal: Ints | None = None

    @staticmethod
    def none(lines: Lines) -> Cut:
        return Cut(np.zeros(len(lines), dtype=np.bool_), {})


def groups(lines: Lines, at: Ints, may: Flags, pattern: str) -> tuple[Flags, pl.DataFrame]:
    """Which of the lines that ``may`` fit a regex from ``at`` on, and its named groups for those that do.

    Every match must give at least one group.
    """
    rows = np.flatnonzero(may & (at <= lines.end))
    some = lines.take(rows)
    found = some.column(at[rows], some.end).str.extract_groups(pattern).struct.unnest()
    there = found.select(pl.any_horizontal(pl.all().is_not_null())).to_series().to_numpy()
    fits = np.zeros(len(lines), dtype=np.bool_)
    fits[rows[there]] = True
    return fits, found.filter(there)


Shape = Callable[[Lines, Context], Cut]


@dataclass(frozen=True, slots=True)
class LineGrammar:
    """How the lines of one format become events.

    ``own``: the source's own fields, already under :func:`headwater.model.records.own_column`, and their types; a batch
    has those that any of its lines has. ``skips``: what a line begins with that says nothing by its format, and the reason. ``yearless``:
    finds times without a year, for formats that have such; its file is then read twice. ``near``: its one shape is to be given the
    lines among their neighbours.
    """

    shapes: tuple[Shape, ...]
    own: Mapping[str, Any] = field(default_factory=dict)
    skips: tuple[tuple[bytes, str], ...] = ()
    yearless: Callable[[Lines], YearlessTimes] | None = None
    limit: int = LINE_LIMIT
    near: bool = False


def _blank(lines: Lines) -> Flags:
    blank = lines.end <= lines.start
    first = lines.data[lines.start]
    maybe = np.flatnonzero(~blank & ((first == 32) | ((first >= 9) & (first <= 13))))
    if len(maybe):
        blank[maybe] = (lines.take(maybe).text().str.strip_chars(" \t\r\v\f") == "").to_numpy()
    return blank


def _skip(block: LineBlock, grammar: LineGrammar) -> tuple[Flags, list[Skipped]]:
    """The lines that say nothing by their format, and how many there are for each reason."""
    lines = block.lines
    skip = _blank(lines)
    found = [("blank line", skip.copy())]
    for prefix, reason in grammar.skips:
        here = ~skip & (lines.end - lines.start >= len(prefix))
        for k, byte in enumerate(prefix):
            rows = np.flatnonzero(here)
            here[rows] = lines.data[lines.start[rows] + k] == byte
        skip |= here
        found.append((reason, here))
    totals = [Skipped(reason, int(rows.sum()), int(block.length[rows].sum())) for reason, rows in found]
    return skip, [t for t in totals if t.records]


def _events(block: LineBlock, rows: Ints, grammar: LineGrammar, context: Context) -> tuple[pl.DataFrame, Ints]:
    """The events of the lines ``rows``, in input order, and the rows that fit no shape."""
    frames: list[pl.DataFrame] = []
    lines = block.lines if len(rows) == len(block.lines) else block.lines.take(rows)
    for shape in grammar.shapes:
        if not len(rows):
            break
        cut = shape(lines, context)
        mine = rows[cut.fits] if cut.line is None else rows[cut.line]
        if len(mine):
            frames.append(_frame(cut, block.offset[mine], block.length[mine], grammar))
        if cut.fits.any():
            rows, lines = rows[~cut.fits], lines.take(~cut.fits).gathered()
    if not frames:
        return _frame(Cut.none(lines), np.zeros(0, np.int64), np.zeros(0, np.int64), grammar), rows
    if len(frames) == 1:
        return frames[0], rows
    return pl.concat(frames, how="diagonal").sort("offset"), rows


def _frame(cut: Cut, offset: Ints, length: Ints, grammar: LineGrammar) -> pl.DataFrame:
    height = len(offset)
    made: list[pl.Series] = []
    for name, dtype in {**HEAD_SCHEMA, **grammar.own}.items():
        series = cut.columns.get(name)
        if name == "offset":
            series = pl.Series(name, offset)
        elif name == "length":
            series = pl.Series(name, length)
        elif name == "ordinal":
            series = same(0, pl.Int64, height) if cut.ordinal is None else pl.Series(cut.ordinal)
        elif series is None or (name in grammar.own and series.null_count() == height):
            if name in grammar.own:
                continue  # a field that no line of the batch has costs nothing
            value = "logged" if name == "t_kind" else None
            series = same(value, dtype, height)
        series = series if series.dtype == dtype else series.cast(dtype)
        made.append(series if series.name == name else series.alias(name))
    return pl.DataFrame(made)


def _unfit(block: LineBlock, rows: Ints) -> Iterator[Gap]:
    """Lines that fit no shape; those that touch each other are one gap."""
    if not len(rows):
        return
    offset, end = block.offset[rows], block.offset[rows] + block.length[rows]
    first = np.flatnonzero(np.concatenate([[True], offset[1:] != end[:-1]]))
    last = np.concatenate([first[1:], [len(rows)]]) - 1
    for low, high in zip(offset[first].tolist(), end[last].tolist()):
        yield Gap(low, high - low, GapReason.NOT_THIS_FORMAT)


def _batch(block: LineBlock, grammar: LineGrammar, context: Context) -> Batch:
    skip, skipped = _skip(block, grammar)
    return _made(block, np.flatnonzero(~skip), skipped, grammar, context)


def _near_batches(blocks: Iterable[LineBlock], grammar: LineGrammar, context: Context) -> Iterator[Batch]:
    """A batch for each block, made when the lines behind it are known."""
    skips: deque[list[Skipped]] = deque()

    def told() -> Iterator[Kept]:
        for block in blocks:
            skip, skipped = _skip(block, grammar)
            skips.append(skipped)
            yield kept(block, skip)

    for own, found in with_neighbours(told()):
        yield _made(own.block, own.rows, skips.popleft(), grammar, replace(context, near=found))


def _made(block: LineBlock, rows: Ints, skipped: list[Skipped], grammar: LineGrammar, context: Context) -> Batch:
    events, unfit = _events(block, rows, grammar, context)
    gaps = merge_gaps([*block.gaps, *_unfit(block, unfit)])
    return Batch(block.start, block.end, events, gaps, tuple(skipped))


def _held_back(batches: Iterator[Batch]) -> Iterator[Batch]:
    """A gap at the end of a batch waits for the next one, so that one gap is one whatever the size of the blocks."""
    open_gap: Gap | None = None
    end = 0
    for batch in batches:
        end = batch.end
        gaps = list(merge_gaps([open_gap, *batch.gaps])) if open_gap else list(batch.gaps)
        start = open_gap.offset if open_gap else batch.start
        open_gap = gaps.pop() if gaps and gaps[-1].offset + gaps[-1].length == batch.end else None
        until = open_gap.offset if open_gap else batch.end
        if until > start:
            yield Batch(start, until, batch.events, tuple(gaps), batch.skipped)
    if open_gap:
        yield Batch(open_gap.offset, end, pl.DataFrame(schema=HEAD_SCHEMA), (open_gap,))


def line_batches(grammar: LineGrammar, file: File, block: int = BLOCK) -> Iterator[Batch]:
    """The events of a file in batches that tile it, in input order; memory holds one block, whatever the file's size.

    What is yielded, joined together, does not depend on ``block``. Raises nothing for bad evidence.
    """
    years = None
    if grammar.yearless is not None:
        find = grammar.yearless
        blocks = line_blocks(file, block, grammar.limit)
        years = years_of(file, (find(part.lines) for part in blocks))
    context = Context(file, years)
    parts = line_blocks(file, block, grammar.limit)
    if grammar.near:
        yield from _held_back(_near_batches(parts, grammar, context))
    else:
        yield from _held_back(_batch(part, grammar, context) for part in parts)


def one_record(grammar: LineGrammar, raw: bytes, facts: Facts | None = None) -> pl.DataFrame:
    """The event of one record's bytes alone; ``facts.year`` is then the year of that very line."""
    frames = [batch.events for batch in line_batches(grammar, File.of(raw, facts=facts))]
    return pl.concat(frames, how="diagonal") if frames else pl.DataFrame(schema=HEAD_SCHEMA)
