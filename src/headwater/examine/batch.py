# SPDX-License-Identifier: Apache-2.0
"""A batch: what one stretch of one file yielded, as columns, and proof that it tiles that stretch.

The events frame has the columns of :data:`headwater.model.records.HEADER` without ``clock``, ``feed``, ``source`` and
``path`` (the harness knows those), then the source's own fields under ``own_column``. Rows are in input order; rows on
the same bytes follow each other with ``ordinal`` 0, 1, 2 ….
"""

from __future__ import annotations

import operator
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from headwater.examine.filled import filled
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import GapReason, TimeBasis
from headwater.model.records import HEADER, Count, Event, Gap, Record, Skip, own_column

_GIVEN_BY_HARNESS = frozenset({"clock", "feed", "source", "path"})
_TYPES: dict[str, Any] = {"i64": pl.Int64, "str": pl.String}
HEAD_SCHEMA: dict[str, Any] = {name: _TYPES[kind] for name, kind in HEADER if name not in _GIVEN_BY_HARNESS}
_NAMES = tuple(name for name in HEAD_SCHEMA if name != "ordinal")
_stated = operator.attrgetter(*_NAMES)
_NOTHING, _TEXTS = {type(None)}, {str, type(None)}
_HALVES = lazy_regex("[\\ud800-\\udc7f\\udd00-\\udfff]")


@dataclass(frozen=True, slots=True)
class Skipped:
    """How many records and bytes were passed over for one stated reason."""

    reason: str
    records: int
    size: int


@dataclass(frozen=True, slots=True)
class Batch:
    """``start`` and ``end`` bound the input that this batch accounts for, in bytes of the last layer.

    ``feed``: where its events are not of the parser's own feed (what the keys of a hive mean beside the keys themselves).
    """

    start: int
    end: int
    events: pl.DataFrame
    gaps: tuple[Gap, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    count: Count | None = field(default=None)
    feed: str | None = None


def parsed_bytes(events: pl.DataFrame) -> int:
    """Bytes that carry events: each record once, however many events stand on it."""
    if events.is_empty():
        return 0
    return int(events["length"].filter(events["ordinal"] == 0).sum())


def merge_gaps(gaps: Iterable[Gap]) -> tuple[Gap, ...]:
    """Adjacent gaps of one reason and detail become one; order by offset."""
    merged: list[Gap] = []
    for gap in sorted(gaps, key=lambda g: g.offset):
        last = merged[-1] if merged else None
        if last and last.offset + last.length == gap.offset and (last.reason, last.detail) == (gap.reason, gap.detail):
            merged[-1] = Gap(last.offset, last.length + gap.length, gap.reason, gap.detail)
        else:
            merged.append(gap)
    return tuple(merged)


def typed_column(values: list[Any]) -> pl.Series:
    """A column of the narrowest common type: whole numbers, else true/false, else text; nulls stay null."""
    kinds = set(map(type, values)) - _NOTHING
    if kinds <= {int}:
        try:
            return pl.Series(values, dtype=pl.Int64)
        except (OverflowError, pl.exceptions.PolarsError, TypeError):
            return pl.Series([None if v is None else str(v) for v in values], dtype=pl.String)
    if kinds == {bool}:
        return pl.Series(values, dtype=pl.Boolean)
    return text_column(values)


def text_column(values: Sequence[Any]) -> pl.Series:
    """A column of texts that every engine takes; what is no text is written as one."""
    kinds = set(map(type, values))
    if kinds <= _NOTHING:
        return filled(None, len(values))
    if kinds <= _TEXTS:
        try:
            return pl.Series(values, dtype=pl.String)
        except UnicodeEncodeError:  # a lone surrogate, which only the slow way can write
            pass
    return pl.Series([None if v is None else printable(str(v)) for v in values], dtype=pl.String)


_TOP = 1 << 63


def printable(text: str) -> str:
    """Text that every engine takes: lone surrogates (bytes that were no UTF-8) become ``\\xNN`` escapes.

    Halves of surrogate pairs that never were bytes (``"\\ud800"`` in JSON) become ``\\uNNNN``.
    """
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = _HALVES.sub(lambda half: f"\\u{ord(half.group()):04x}", text)
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return text


def _numbers(values: Sequence[Any], dtype: Any) -> pl.Series:
    """A column of numbers; what 64 bits cannot hold, as a time of the year 4026, is null: one line must not cost its file."""
    try:
        return pl.Series(values, dtype=dtype)
    except (TypeError, OverflowError):
        return pl.Series([v if v is None or -_TOP <= v < _TOP else None for v in values], dtype=dtype)


def frame_of(events: list[Event]) -> pl.DataFrame:
    """Events of a record parser as columns; ordinals count events on the same bytes."""
    columns: dict[str, pl.Series] = {}
    ordinals: list[int] = []
    last: tuple[int, int] | None = None
    for event in events:
        here = (event.offset, event.length)
        ordinals.append(ordinals[-1] + 1 if here == last else 0)
        last = here
    stated = dict(zip(_NAMES, zip(*map(_stated, events)))) if events else dict.fromkeys(_NAMES, ())
    for name, dtype in HEAD_SCHEMA.items():
        if name == "ordinal":
            columns[name] = pl.Series(ordinals, dtype=pl.Int64)
        else:
            columns[name] = text_column(stated[name]) if dtype == pl.String else _numbers(stated[name], dtype)
    if columns["t_recorded"].null_count() > sum(time is None for time in stated["t_recorded"]):
        bases = zip(stated["t_recorded"], columns["t_recorded"], stated["t_basis"], strict=True)
        told = [TimeBasis.NONE if held is None and time is not None else basis for time, held, basis in bases]
        columns["t_basis"] = text_column(told)
    own: dict[str, object] = {}
    for event in events:
        own.update(event.fields)
    for key in own:
        columns[own_column(key)] = typed_column([e.fields.get(key) for e in events])
    return pl.DataFrame(columns)


def skips_of(records: Iterable[Skip]) -> tuple[Skipped, ...]:
    """Skips by their reasons."""
    totals: dict[str, tuple[int, int]] = {}
    for skip in records:
        n, size = totals.get(skip.reason, (0, 0))
        totals[skip.reason] = (n + 1, size + skip.length)
    return tuple(Skipped(reason, n, size) for reason, (n, size) in sorted(totals.items()))


def batches_of(records: Iterable[Record], size: int, most: int = 50_000) -> Iterator[Batch]:
    """Batches of at most ``most`` records from a record parser, checking that they tile the file in order.

    Bytes that the parser passed over in silence become a Gap "unclaimed by the parser", so that nothing is lost even
    where a parser errs (the law tests fail on it). A parser that counts (a container) is not held to tiling.
    """
    events: list[Event] = []
    gaps: list[Gap] = []
    skips: list[Skip] = []
    count: Count | None = None
    at = start = 0
    tiled: list[tuple[int, int]] = []
    last: tuple[int, int] | None = None

    def flush(end: int) -> Batch:
        return Batch(start, end, frame_of(events), merge_gaps(gaps), skips_of(skips), count)

    def position() -> int:
        return at

    for record in _faultless(records, size, position):
        if isinstance(record, Count):
            count = record
            continue
        here = (record.offset, record.length)
        if here != last and len(events) + len(gaps) + len(skips) >= most:
            yield flush(at)
            events, gaps, skips, start = [], [], [], at
        if here != last or not isinstance(record, Event):
            _extend(tiled, record.offset, record.length)
            at = max(at, record.offset + record.length)
        last = here
        if isinstance(record, Event):
            events.append(record)
        elif isinstance(record, Gap):
            gaps.append(record)
        else:
            skips.append(record)
    if count is None:
        gaps.extend(_unclaimed(tiled, size))
    yield flush(size)


def _extend(tiled: list[tuple[int, int]], offset: int, length: int) -> None:
    """Note a range; one that follows the last joins it, so that a file read in order stays one range."""
    if tiled and sum(tiled[-1]) == offset:
        tiled[-1] = (tiled[-1][0], tiled[-1][1] + length)
    else:
        tiled.append((offset, length))


FAULTS = (
    ValueError, KeyError, IndexError, ArithmeticError, TypeError, AttributeError, OSError, RecursionError, EOFError,
    struct.error, zlib.error,
)  # fmt: skip


def _faultless(records: Iterable[Record], size: int, position: Callable[[], int]) -> Iterator[Record]:
    """The records; where the parser raises on evidence, a gap over the rest that names the error instead."""
    try:
        yield from records
    except FAULTS as error:
        at = position()
        if at < size:
            detail = f"the parser failed here: {type(error).__name__}"
            yield Gap(at, size - at, GapReason.NOT_THIS_FORMAT, detail)


def _unclaimed(tiled: list[tuple[int, int]], size: int) -> Iterator[Gap]:
    at = 0
    for offset, length in sorted(tiled):
        if offset > at:
            yield Gap(at, offset - at, GapReason.NOT_THIS_FORMAT, "unclaimed by the parser")
        at = max(at, offset + length)
    if at < size:
        yield Gap(at, size - at, GapReason.NOT_THIS_FORMAT, "unclaimed by the parser")
