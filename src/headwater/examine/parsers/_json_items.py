# SPDX-License-Identifier: Apache-2.0
"""Objects of one JSON array that is a whole file, each with its own span: how cloud audit trails are delivered.

What stands around and between the objects is skipped by its reason; from the first object that cannot be read on the
rest is a gap. A file is read up to 128 MiB.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from headwater.examine.parsers._records import json_lines
from headwater.examine.parsers._text import Line
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import GapReason
from headwater.model.records import Event, File, Gap, Record, Skip

Make = Callable[[Line, dict[str, Any]], Event | None]
_MOST = 128 << 20
_DECODER = json.JSONDecoder(strict=False)
_BETWEEN = lazy_regex(r"[\s,]*")


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


def json_items(file: File, opening: re.Pattern[str], make: Make) -> Iterator[Record]:
    """The events of a file; one that does not begin with ``opening`` is read as JSON lines."""
    head = file.pread(0, min(file.size, 4096)).decode("utf-8", "surrogateescape") if file.size else ""
    start = opening.match(head)
    if start is None:
        yield from json_lines(file, make)
        return
    text = file.pread(0, min(file.size, _MOST)).decode("utf-8", "surrogateescape")
    at, place = start.end(), _size(start.group())
    yield Skip(0, place, "JSON around the records")
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
        yield found or Gap(place, size, GapReason.NOT_THIS_FORMAT, "no record of this format")
        at, place = end, place + size
    yield from _rest(file, text, at, place)


def _rest(file: File, text: str, at: int, place: int) -> Iterator[Record]:
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
