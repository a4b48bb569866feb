# SPDX-License-Identifier: Apache-2.0
"""Logs of applications: records of one or more lines, read by a head's regex and a table of what messages mean.

A record begins at a line that fits ``starts`` and holds the lines behind it up to the next one; it is one span. Lines
before the first record, and heads that cannot be read, are gaps.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from headwater.examine.batch import printable
from headwater.examine.parsers._slots import address
from headwater.examine.parsers._text import Line, lines
from headwater.examine.parsers._when import NONE, When
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason, Outcome
from headwater.model.records import Event, File, Gap, Record, Skip, Value

MOST_RECORD = 1 << 20  # bytes; what a record has beyond is a gap
MOST_RULED = 8192  # characters of a message that rules are tried on
_ADDRESSES = {"src_ip": "rhost", "dst_ip": "dst_host"}  # where a name that is no address goes
TAKEN = frozenset(
    (*_ADDRESSES, "pid", "host", "user", "process", "command_line", "file_path", "hash", "event_code", "provider")
)
JUDGED = frozenset((*_ADDRESSES, "pid"))  # header fields whose value may be no such thing


@dataclass(frozen=True, slots=True)
class Chunk:
    """One record's bytes: where they are, and their text without the last line end."""

    offset: int
    length: int
    text: str


def chunks(
    file: File,
    starts: re.Pattern[bytes],
    plain: re.Pattern[bytes] | None = None,
    read: Callable[[File], Iterator[Line | Gap]] = lines,
) -> Iterator[Chunk | Gap | Skip]:
    """The records of a file; lines that fit ``plain`` end a record and are skipped (banners, headers)."""
    held: list[Line] = []
    size = 0

    def done() -> Iterator[Chunk]:
        if len(held) == 1:  # most
            yield Chunk(held[0].offset, held[0].length, held[0].text)
            held.clear()
        elif held:
            text = "\n".join(line.text for line in held)
            yield Chunk(held[0].offset, sum(line.length for line in held), text)
            held.clear()

    for line in read(file):
        if isinstance(line, Gap):
            yield from done()
            yield line
        elif starts.match(line.raw):
            if held:
                yield from done()
            held.append(line)
            size = line.length
        elif plain is not None and plain.match(line.raw):
            yield from done()
            yield Skip(line.offset, line.length, "a header or banner")
        elif held and size + line.length <= MOST_RECORD:
            held.append(line)
            size += line.length
        elif held:
            yield from done()
            yield Gap(line.offset, line.length, GapReason.TOO_LONG, f"a record of more than {MOST_RECORD} bytes")
        elif not line.raw.strip():
            yield Skip(line.offset, line.length, "blank line")
        else:
            yield Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "no record begins before this line")
    yield from done()


@dataclass(frozen=True, slots=True)
class Rule:
    """What a message means: found anywhere in it; named groups become header or own fields."""

    pattern: re.Pattern[str]
    kind: EventKind
    outcome: Outcome | None = None
    constants: Mapping[str, Value] = field(default_factory=dict)


def rule(pattern: str, kind: EventKind, outcome: Outcome | None = None, **constants: Value) -> Rule:
    return Rule(lazy_regex(pattern), kind, outcome, constants)


@dataclass(frozen=True, slots=True)
class TextLog:
    """One format: ``head`` fits a whole record, its group ``time`` is read by ``when``, its ``message`` by the rules."""

    starts: re.Pattern[bytes]
    head: re.Pattern[str]
    when: Callable[[str], When]
    rules: tuple[Rule, ...] = ()
    kind: EventKind = EventKind.LOG_MESSAGE
    provider: str | None = None
    plain: re.Pattern[bytes] | None = None
    read: Callable[[File], Iterator[Line | Gap]] = lines


def event(
    place: Chunk | Line, when: When, kind: EventKind, outcome: Outcome | None, fields: Mapping[str, Value], **more: Any
) -> Event:
    """An event of loosely named fields: header fields go to the header, an address that is none becomes ``rhost``."""
    own: dict[str, Value] = {}
    header: dict[str, Any] = more
    for name, value in fields.items():
        if value is None or value == "":
            continue
        if name not in TAKEN:
            own[name if name.isascii() else printable(name)] = value
        elif name not in JUDGED:
            header[name] = value if value.__class__ is str else str(value)
        elif name == "pid":
            digits = str(value)
            if digits.isascii() and digits.isdigit() and len(digits) < 19:
                header["pid"] = int(digits)
            else:
                own["pid_text"] = value
        else:
            found = address(str(value).removeprefix("::ffff:"))
            if found is not None:
                header[name] = found
            else:
                own[_ADDRESSES[name]] = value
    return Event(
        place.offset, place.length, kind, t_recorded=when[0], t_basis=when[1], outcome=outcome, fields=own, **header
    )


def meaning(
    rules: tuple[Rule, ...], message: str, kind: EventKind
) -> tuple[EventKind, Outcome | None, dict[str, Value]]:
    """Kind, outcome and fields by the first rule that a message fits."""
    for one in rules:
        match = one.pattern.search(message[:MOST_RULED])
        if match:
            return one.kind, one.outcome, {**one.constants, **match.groupdict()}
    return kind, None, {}


def text_records(file: File, log: TextLog) -> Iterator[Record]:
    """The events of a file of one format."""
    for chunk in chunks(file, log.starts, log.plain, log.read):
        yield made(chunk, log) if isinstance(chunk, Chunk) else chunk


def made(chunk: Chunk, log: TextLog) -> Event | Gap:
    """The event of one record; a gap where its head cannot be read."""
    match = log.head.match(chunk.text)
    if match is None:
        return Gap(chunk.offset, chunk.length, GapReason.NOT_THIS_FORMAT, "the head of the record cannot be read")
    fields: dict[str, Value] = {"provider": log.provider}
    fields |= match.groupdict()
    time = fields.pop("time", None)
    message = str(fields.get("message") or "").rstrip("\n")
    if "message" in fields:
        fields["message"] = message
    kind, outcome, found = meaning(log.rules, message, log.kind)
    when = log.when(str(time)) if time else NONE
    if time and when[0] is None:
        fields["time_text"] = time
    for name, value in found.items():
        if value is not None:
            fields[name] = value
    return event(chunk, when, kind, outcome, fields)


DEEP = 6
MOST_FIELDS = 200
MOST_NAME = 200  # characters


as_json = json.JSONEncoder(ensure_ascii=False).encode


def flatten(entry: Mapping[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Value]:
    """Nested objects as dotted names; lists, and what is deeper than six steps, as JSON. At most 200 fields."""
    flat: dict[str, Value] = {}
    for key, value in entry.items():
        name = printable((prefix + str(key))[:MOST_NAME])
        if isinstance(value, dict) and value and depth < DEEP:
            flat |= flatten(value, name + ".", depth + 1)
        elif isinstance(value, dict | list):
            if value:
                flat[name] = as_json(value)[:65_536]
        elif isinstance(value, bool):
            flat[name] = str(value).lower()
        elif value is not None:
            flat[name] = value if isinstance(value, str) else str(value) if isinstance(value, float) else value
        if len(flat) >= MOST_FIELDS:
            break
    return flat


def object_of(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is, None where it is none."""
    try:
        found = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def json_lines(file: File, make: Callable[[Line, dict[str, Any]], Event | None]) -> Iterator[Record]:
    """The events of a file of one JSON object per line; what ``make`` refuses, and what is no object, is a gap."""
    return json_records(lines(file), make)


def json_records(
    parts: Iterable[Line | Gap], make: Callable[[Line, dict[str, Any]], Event | None]
) -> Iterator[Event | Gap | Skip]:
    """The same of lines that were cut before."""
    for line in parts:
        if isinstance(line, Gap):
            yield line
            continue
        if not line.raw.strip():
            yield Skip(line.offset, line.length, "blank line")
            continue
        entry = object_of(line.text)
        found = make(line, entry) if entry is not None else None
        yield found or Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "no JSON object of this format")


def said(entry: Mapping[str, Any], *names: str) -> Any:
    """The first of some dotted names that an object states."""
    for name in names:
        here: Any = entry
        if "." not in name:
            here = here.get(name)
        else:
            for step in name.split("."):
                here = here.get(step) if isinstance(here, dict) else None
        if here is not None and here != "":
            return here
    return None
