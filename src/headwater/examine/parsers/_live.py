# SPDX-License-Identifier: Apache-2.0
"""Outputs of a system's own commands as a collection keeps them: when each was run, and its rows as events.

An output stands at ``/@command/<artifact>.stdout``; the ``.json`` beside it states the line that was run and its start,
which is the time of every row. Without it the rows have no time: a file's own times are those of the copy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from headwater.examine.parsers._records import event
from headwater.examine.parsers._text import Line, lines
from headwater.examine.parsers._when import NONE, When, epoch, iso
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason, TimeBasis
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Skip, Value

CONTEXT = ("/@command/*.json",)
_ENDED = frozenset({"timeout", "cut", "failed"})
TAKEN = "captured"  # t_kind of a row whose time is that of the capture
_PID = lazy_regex(r"/proc/(\d{1,10})/")
_MOST_WHOLE = 1 << 20  # bytes of a fact of /proc that is read whole


def said(file: File) -> Mapping[str, Any]:
    """What the ``.json`` beside an output states; nothing where there is none, or where it is no object."""
    stem = file_layer(file.path).removesuffix(".stdout")
    try:
        found = json.loads(file.facts.context.get(stem + ".json", ""))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def captured(file: File) -> When:
    """When the command was started, in UTC."""
    start = said(file).get("start")
    if isinstance(start, int | float) and not isinstance(start, bool):
        return epoch(f"{start:.6f}" if isinstance(start, float) else start)
    return iso(start, TimeBasis.UTC) if isinstance(start, str) else NONE


def incomplete(file: File) -> bool:
    """Whether a command was ended before it had said all: by its time, a lost line, a limit or a signal."""
    found = said(file)
    code = found.get("exit")
    killed = isinstance(code, int) and (code < 0 or 128 < code <= 192)
    return killed or found.get("status") in _ENDED


def marked(file: File, records: Iterator[Record]) -> Iterator[Record]:
    """The records of an output; where that is incomplete, each event says so: what it lacks proves nothing."""
    if not incomplete(file):
        yield from records
        return
    for record in records:
        yield replace(record, fields={**record.fields, "incomplete": True}) if isinstance(record, Event) else record


def artifact(file: File) -> str:
    """The name of what was collected: ``ss-antp`` of ``/@command/ss-antp.stdout``."""
    return file_layer(file.path).rpartition("/")[2].removesuffix(".stdout").removesuffix(".txt")


def pid_of(file: File) -> int | None:
    """The process that a file below /proc tells of."""
    match = _PID.search(file_layer(file.path))
    return int(match[1]) if match else None


def whole(text: str | None) -> int | None:
    """A whole number that fits 64 bits, or None."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def value(text: str | None) -> Value:
    """A field of a table: a number where it is one, nothing where the program writes a dash."""
    if text is None or text in ("", "-", "?"):
        return None
    number = whole(text)
    return text if number is None else number


def row(line: Line, when: When, kind: EventKind, fields: Mapping[str, Value], **more: Any) -> Event:
    """One row of an output as an event of the capture's time."""
    return event(line, when, kind, None, fields, t_kind=TAKEN if when[0] is not None else "logged", **more)


def rows(file: File, make: Callable[[Line, str], Event | str | None], *, ended: bool = False) -> Iterator[Record]:
    """Every line by ``make``: an event, the reason to pass it over, or None, which is a gap.

    ``ended``: every line has its end, so that one without is what a lost line left of it.
    """
    yield from marked(file, _rows(file, make, ended))


def _rows(file: File, make: Callable[[Line, str], Event | str | None], ended: bool) -> Iterator[Record]:
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
        elif ended and line.length == len(line.raw):
            yield Gap(line.offset, line.length, GapReason.TRUNCATED, "the line is cut off")
        elif not line.raw.strip():
            yield Skip(line.offset, line.length, "blank line")
        else:
            made = make(line, line.text)
            if isinstance(made, str):
                yield Skip(line.offset, line.length, made)
            else:
                yield made or Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "no row of this output")


def all_of(file: File) -> tuple[bytes, Gap | None]:
    """A small file whole, and a gap for what it has beyond the limit or what cannot be read."""
    want = min(file.size, _MOST_WHOLE)
    try:
        data = file.pread(0, want)
    except OSError as error:
        return b"", Gap(0, file.size, GapReason.UNREADABLE, f"input/output error {error.errno}")
    if len(data) < file.size:
        reason = GapReason.TOO_LONG if len(data) == _MOST_WHOLE else GapReason.TRUNCATED
        return data, Gap(len(data), file.size - len(data), reason, f"beyond {len(data)} bytes")
    return data, None


def endpoint(text: str) -> tuple[str, str | None, str | None]:
    """Address, port and interface of ``[::1]:22``, ``0.0.0.0:*``, ``10.0.0.1%eth0:68``; a port ``*`` is none."""
    host, _, port = text.rpartition(":")
    host, _, interface = host.strip("[]").partition("%")
    return host.strip("[]") or "*", None if port in ("*", "") else port, interface.rstrip("]") or None


def ends(local: str, remote: str) -> dict[str, Value]:
    """Both ends of a socket as fields: addresses, ports as numbers or, where resolved, as names of services."""
    found: dict[str, Value] = {}
    for side, text in (("local", local), ("remote", remote)):
        address, port, interface = endpoint(text)
        found[f"{side}_address"] = address
        found[f"{side}_port"] = whole(port)
        if port is not None and whole(port) is None:
            found[f"{side}_service"] = port
        if interface:
            found[f"{side}_interface"] = interface
    return found
