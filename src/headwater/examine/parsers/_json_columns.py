# SPDX-License-Identifier: Apache-2.0
"""Objects of JSON logs in columns: the same events as a parser's ``make`` gives one by one, many at once.

Objects are read by orjson where that reads them as the standard library's ``json`` does; those with the same keys are taken
apart together. What might come out differently (numbers of eighteen digits, names that meet, very many fields) goes one by one.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
import polars as pl

from headwater.examine.batch import (
    HEAD_SCHEMA,
    Batch,
    batches_of,
    frame_of,
    merge_gaps,
    printable,
    skips_of,
    text_column,
    typed_column,
)
from headwater.examine.filled import filled
from headwater.examine.parsers._record_windows import record_batches
from headwater.examine.parsers._records import (
    DEEP,
    MOST_FIELDS,
    MOST_NAME,
    TAKEN,
    as_json,
    json_lines,
    json_records,
)  # fmt: skip
from headwater.examine.parsers._text import LINE_LIMIT, Line, Stretch, lines_in, stretches
from headwater.examine.parsers._text_columns import addresses, times
from headwater.examine.parsers._when import When
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason, Outcome
from headwater.model.records import Event, File, Gap, Skip, own_column

_SMALL = 1 << 16  # bytes; a smaller file is read sooner one by one
_WINDOW = 4 << 20
_LONG = lazy_regex(rb"[-+.:,\[\seE][0-9]{18}")  # where a number that orjson would round may begin
_DIGITS, _RUN = bytes(48 if 48 <= n <= 57 else 32 for n in range(256)), b"0" * 18
_LEAST_FIELD = 5  # bytes that a field takes at least
Make = Callable[[Line, dict[str, Any]], Event | None]
Lists = dict[str, list[Any]]
Place = tuple[int, int, bytes]  # offset, length with what ends it, and the bytes without that


class Head(NamedTuple):
    """What a parser takes from one object for the header. ``stated``: its time as it says it."""

    stated: str | None
    kind: EventKind
    outcome: Outcome | None
    user: Any = None
    src_ip: Any = None
    provider: str | None = None
    event_code: str | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """How objects of one format become events.

    ``head``: None for what is not of the format. ``inside``: the object whose fields count, if not the whole. ``fields``: changes the
    flattened columns to what the events carry, by the objects. ``judged``: whether fields go through :func:`_records.event`.
    """

    head: Callable[[dict[str, Any]], Head | None]
    when: Callable[[str], When]
    make: Make
    refused: str = "no JSON object of this format"
    inside: Callable[[dict[str, Any]], dict[str, Any]] = lambda entry: entry
    fields: Callable[[Lists, Sequence[dict[str, Any]]], Lists | None] = lambda columns, objects: columns
    judged: bool = True
    t_kind: str = "logged"
    one: Callable[[Line], Iterable[Event | Gap | Skip]] | None = None
    flat: Callable[[dict[str, Any]], dict[str, Any]] = lambda entry: entry
    prefix: str = ""


class _Unlike(Exception):
    """Objects that only the way one by one takes apart rightly."""


def json_batches(file: File, form: Form) -> Iterator[Batch]:
    """The batches of a file of one object a line."""
    if file.size < _SMALL:
        yield from batches_of(json_lines(file, form.make), file.size)
        return
    held: list[Stretch] = []
    for part in itertools.chain(stretches(file), (None,)):
        if isinstance(part, Stretch):
            held.append(part)
            if sum(len(one.raw) for one in held) < _WINDOW:
                continue
        if held:
            yield from _stretch(Stretch(held[0].offset, b"".join(one.raw for one in held)), form)
            held = []
        if part is not None and not isinstance(part, Stretch):
            yield from _slowly([part], form)


def _slowly(parts: Iterable[Line | Gap], form: Form) -> Iterator[Batch]:
    return record_batches(json_records(parts, form.make))


def _stretch(here: Stretch, form: Form) -> Iterator[Batch]:
    pieces = here.raw.split(b"\n")
    pieces.pop()
    if b"\0" in here.raw or b"\r" in here.raw or max(map(len, pieces)) >= LINE_LIMIT:
        yield from _slowly(lines_in(here), form)
        return
    sizes = [len(piece) + 1 for piece in pieces]
    places = list(itertools.accumulate(sizes, initial=here.offset))
    entries = quick_objects(pieces)
    yield object_batch(here.offset, places[-1], list(zip(places, sizes, pieces)), entries, form)


def quick_objects(pieces: Sequence[bytes]) -> list[dict[str, Any] | None]:
    """The objects that these texts are, None where there is any doubt about one."""
    found = list(map(_quickly, pieces))
    marked = b"\n".join(pieces).translate(_DIGITS)
    at = marked.find(_RUN)
    if at < 0:
        return found
    ends = list(itertools.accumulate(len(piece) + 1 for piece in pieces))
    while at >= 0:
        number = bisect.bisect_right(ends, at)
        if _LONG.search(pieces[number]):
            found[number] = None
        at = marked.find(_RUN, ends[number])
    return found


def _quickly(raw: bytes) -> dict[str, Any] | None:
    if len(raw) >= MOST_FIELDS * _LEAST_FIELD and (
        raw.count(b",") >= MOST_FIELDS - 1 or raw.count(b"{") + raw.count(b"[") > MOST_FIELDS
    ):
        return None
    try:
        said = orjson.loads(raw)
    except ValueError:
        return None
    return said if type(said) is dict else None


def object_batch(
    start: int, end: int, places: Sequence[Place], entries: Sequence[dict[str, Any] | None], form: Form
) -> Batch:
    """The batch of objects that stand at these places of the file; those that are None are read by the way one by one."""
    one_by_one = form.one or (lambda line: json_records([line], form.make))
    rows, objects, heads = [], [], []
    others: list[Event | Gap | Skip] = []
    for (offset, size, raw), entry in zip(places, entries):
        if entry is None:
            others += one_by_one(Line(offset, size, raw))
            continue
        entry = form.inside(entry)
        head = form.head(entry)
        if head is None:
            others.append(Gap(offset, size, GapReason.NOT_THIS_FORMAT, form.refused))
            continue
        rows.append((offset, size, raw))
        objects.append(entry)
        heads.append(head)
    frame = None
    try:
        if rows:
            frame = _frame(rows, heads, objects, form)
    except _Unlike:
        for offset, size, raw in rows:
            others += one_by_one(Line(offset, size, raw))
    events = sorted((one for one in others if isinstance(one, Event)), key=lambda one: one.offset)
    if frame is None:
        frame = frame_of(events)
    elif events:
        frame = pl.concat([frame, frame_of(events)], how="diagonal_relaxed").sort("offset")
    gaps = merge_gaps(one for one in others if isinstance(one, Gap))
    return Batch(start, end, frame, gaps, skips_of(one for one in others if isinstance(one, Skip)))


def _frame(rows: list[Place], heads: list[Head], objects: list[dict[str, Any]], form: Form) -> pl.DataFrame:
    count = len(rows)
    lists: Lists = {}
    flattened([form.flat(entry) for entry in objects], range(count), count, form.prefix, 0, lists)
    changed = form.fields(lists, objects)
    if changed is None:
        raise _Unlike
    lists = changed
    stated, kinds, outcomes, *loose = zip(*heads)
    ns, basis = times(text_column([text or "" for text in stated]), form.when)
    if "time_text" in lists:
        raise _Unlike
    if ns.null_count():
        lists["time_text"] = [text or None if none else None for none, text in zip(ns.is_null().to_list(), stated)]
    offsets, sizes, _ = zip(*rows)
    head: dict[str, pl.Series] = {
        "offset": pl.Series(offsets, dtype=pl.Int64), "length": pl.Series(sizes, dtype=pl.Int64), "t_recorded": ns, "t_basis": basis,
        "kind": pl.Series(list(map(str, kinds)), dtype=pl.String),
        "outcome": text_column([None if one is None else str(one) for one in outcomes]),
    }  # fmt: skip
    for name, column in zip(("user", "src_ip", "provider", "event_code"), loose):
        head[name] = text_column([None if v is None or (v == "" and form.judged) else str(v) for v in column])
    if form.judged:
        _judged(lists, head)
    else:
        head["src_ip"] = addresses(head["src_ip"], "")[0]
    fixed: dict[str, Any] = {"ordinal": 0, "t_kind": form.t_kind}
    out = {
        name: head[name] if name in head else filled(fixed.get(name), count, dtype)
        for name, dtype in HEAD_SCHEMA.items()
    }
    for name, values in lists.items():
        if values.count(None) < count:
            out[own_column(name)] = typed_column(values)
    return pl.DataFrame(out)


def _judged(lists: Lists, head: dict[str, pl.Series]) -> None:
    """As :func:`_records.event` does for one: fields of the header into it, an address that is none beside it, no empty texts."""
    for name, values in lists.items():
        if "" in values:
            lists[name] = [None if v == "" else v for v in values]
    if TAKEN & lists.keys() or {"rhost", "dst_host"} & lists.keys():
        raise _Unlike  # none of these formats has such fields; what has goes one by one
    head["src_ip"], rest = addresses(head["src_ip"])
    if rest.null_count() < len(rest):
        lists["rhost"] = rest.to_list()


def _converted(value: Any) -> Any:
    """One value as :func:`_records.flatten` keeps it."""
    kind = type(value)
    if kind is str or kind is int or value is None:
        return value
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        return str(value)
    return as_json(value)[:65_536] if value else None


def _put(lists: Lists, name: str, rows: Sequence[int], values: Sequence[Any], count: int) -> None:
    whole = lists.get(name)
    if whole is None:
        if len(rows) == count:
            lists[name] = list(values)
            return
        whole = lists[name] = [None] * count
    for row, value in zip(rows, values):
        whole[row] = value


def flattened(
    objects: Sequence[dict[str, Any]], rows: Sequence[int], count: int, prefix: str, depth: int, lists: Lists
) -> None:
    """What :func:`_records.flatten` gives for each object, as lists by name, objects of the same keys together."""
    shapes: dict[tuple[str, ...], tuple[list[int], list[Any]]] = {}
    for row, entry in zip(rows, objects):
        keys = tuple(entry)
        group = shapes.get(keys)
        if group is None:
            group = shapes[keys] = [], []
        group[0].append(row)
        group[1].append(entry.values())
    for keys, (its, values) in shapes.items():
        nested = False
        for key, column in zip(keys, zip(*values)):
            kinds = set(map(type, column))
            if dict in kinds and depth < DEEP:
                nested = True
            if len(prefix) + len(key) > MOST_NAME:
                raise _Unlike
            _laid_out(printable(prefix + key), column, kinds, its, count, depth, lists)
        if nested and any("." in key for key in keys):
            raise _Unlike


def _laid_out(
    name: str, column: tuple[Any, ...], kinds: set[type], rows: list[int], count: int, depth: int, lists: Lists
) -> None:
    if kinds <= {str, int}:
        _put(lists, name, rows, column, count)
    elif kinds == {bool}:
        _put(lists, name, rows, ["true" if value else "false" for value in column], count)
    elif kinds == {float}:
        _put(lists, name, rows, list(map(str, column)), count)
    elif dict not in kinds or depth >= DEEP:
        _put(lists, name, rows, [_converted(value) for value in column], count)
    elif kinds == {dict} and all(column):
        flattened(column, rows, count, name + ".", depth + 1, lists)
    else:
        inner = [(row, value) for row, value in zip(rows, column) if type(value) is dict and value]
        if inner:
            flattened([value for _, value in inner], [row for row, _ in inner], count, name + ".", depth + 1, lists)
        rest = [(row, value) for row, value in zip(rows, column) if type(value) is not dict or not value]
        _put(lists, name, [row for row, _ in rest], [_converted(value) for _, value in rest], count)
