# SPDX-License-Identifier: Apache-2.0
"""Objects of one JSON array that is a whole file, each with its own span: how cloud audit trails are delivered.

What stands around and between the objects is skipped by its reason; from the first object that cannot be read on the
rest is a gap. A file is read up to 128 MiB.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import replace

from headwater.examine.batch import Batch, Skipped, frame_of
from headwater.examine.parsers._json_columns import Form, Make, json_batches, object_batch, quick_objects
from headwater.examine.parsers._record_windows import record_batches
from headwater.examine.parsers._records import json_lines, object_of
from headwater.examine.parsers._text import Line
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import GapReason
from headwater.model.records import Event, File, Gap, Record, Skip

_MOST = 128 << 20
_DECODER = json.JSONDecoder(strict=False)
_REFUSED = "no record of this format"
_TOGETHER = 20_000  # records of a batch
_FIRST = lazy_regex(rb'[ \t\r\n,]*(\{\s*("[^"\\]{1,200}"))')
_BETWEEN = lazy_regex(r"[\s,]*")


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


def json_items(file: File, opening: re.Pattern[str], make: Make) -> Iterator[Record]:
    """The events of a file; one that does not begin with ``opening`` is read as JSON lines."""
    start = _opened(file, opening)
    if start is None:
        yield from json_lines(file, make)
        return
    yield Skip(0, start, "JSON around the records")
    yield from _items(file, file.pread(0, min(file.size, _MOST)), start, make)


def item_batches(file: File, opening: re.Pattern[str], form: Form) -> Iterator[Batch]:
    """The same in columns."""
    start = _opened(file, opening)
    if start is None:
        yield from json_batches(file, form)
        return
    data = file.pread(0, min(file.size, _MOST))
    form = replace(form, refused=_REFUSED, one=functools.partial(_one, form.make))
    yield Batch(0, start, frame_of([]), (), (Skipped("JSON around the records", 1, start),))
    done, places = start, _places(data, start)
    while some := list(itertools.islice(places, _TOGETHER)):
        pieces = [data[low:high] for low, high in some]
        entries = quick_objects(pieces)
        ill = (n for n, entry in enumerate(entries) if entry is None and object_of(_text(pieces[n])) is None)
        good = next(ill, len(some))
        if good:
            joints = [low - end for (low, _), end in zip(some[:good], (done, *(high for _, high in some)))]
            skipped = Skipped("JSON between the records", len(joints) - joints.count(0), sum(joints))
            lows, sizes = [low for low, _ in some[:good]], [high - low for low, high in some[:good]]
            batch = object_batch(done, some[good - 1][1], list(zip(lows, sizes, pieces)), entries, form)
            yield replace(batch, skipped=(*batch.skipped, skipped) if skipped.records else batch.skipped)
            done = some[good - 1][1]
        if good < len(some):
            break
    yield from record_batches(_items(file, data, done, form.make))


def _places(data: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Where records begin and end, by the name that the first one begins with; the last one is left out."""
    first = _FIRST.match(data, start)
    if first is None:
        return
    low = first.start(1)
    joint = re.compile(rb"\}[ \t\r\n,]*(?=\{\s*" + re.escape(first.group(2)) + rb"\s*:)")
    for found in joint.finditer(data, low):
        yield low, found.start() + 1
        low = found.end()


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _one(make: Make, line: Line) -> Iterator[Event | Gap]:
    entry = object_of(line.text)
    found = make(line, entry) if entry is not None else None
    yield found or Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, _REFUSED)


def _opened(file: File, opening: re.Pattern[str]) -> int | None:
    """How many bytes of a file are what stands before its first record; None where it is no array."""
    head = file.pread(0, min(file.size, 4096)).decode("utf-8", "surrogateescape") if file.size else ""
    start = opening.match(head)
    return None if start is None else _size(start.group())


def _items(file: File, data: bytes, since: int, make: Make) -> Iterator[Event | Gap | Skip]:
    """The records from a place on that stands at the first of them or before."""
    text, at, place = data[since:].decode("utf-8", "surrogateescape"), 0, since
    while True:
        between = _BETWEEN.match(text, at)
        gap = _size(between.group()) if between else 0
        if gap:
            yield Skip(place, gap, "JSON between the records")
            at, place = at + len(between.group()) if between else at, place + gap
        if at >= len(text) or text[at] != "{":
            break
        try:
            entry, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        size = _size(text[at:end])
        found = make(Line(place, size, b""), entry) if isinstance(entry, dict) else None
        yield found or Gap(place, size, GapReason.NOT_THIS_FORMAT, _REFUSED)
        at, place = end, place + size
    yield from _rest(file, text, at, place)


def _rest(file: File, text: str, at: int, place: int) -> Iterator[Gap | Skip]:
    if place >= file.size:
        return
    if (
        at < len(text)
        and text[at] == "]"
        and len(text) - at < 4096
        and file.size <= _MOST
        and not text[at:].strip("]} \t\r\n")
    ):
        yield Skip(place, file.size - place, "JSON around the records")
    elif file.size > _MOST:
        yield Gap(place, file.size - place, GapReason.LIMIT, f"a JSON array of more than {_MOST} bytes")
    else:
        yield Gap(place, file.size - place, GapReason.TRUNCATED, "the array ends within a record")
