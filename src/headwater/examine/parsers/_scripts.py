# SPDX-License-Identifier: Apache-2.0
"""A script as one event, for the places where being there means being run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headwater.model.kinds import EventKind, GapReason
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Skip, Value

_SHOWN = 16_384  # bytes of a script that the event itself carries; the rest is read at the cited place


def whole_script(file: File, kind: EventKind, fields: Mapping[str, Value]) -> Iterator[Record]:
    """One event over the whole file, with its first line's interpreter and the beginning of its text."""
    if not file.size:
        return
    try:
        head = file.pread(0, min(file.size, _SHOWN))
    except OSError as error:
        yield Gap(0, file.size, GapReason.UNREADABLE, f"input/output error {error.errno}")
        return
    if not head.strip(b"\0"):
        yield Gap(0, file.size, GapReason.OVERWRITTEN, "overwritten with zeros")
        return
    if file_layer(file.path).endswith("/.placeholder"):
        yield Skip(0, file.size, "placeholder")
        return
    own: dict[str, Value] = dict(fields)
    first = head.split(b"\n", 1)[0]
    if first.startswith(b"#!"):
        own["interpreter"] = first[2:].strip().decode("utf-8", "surrogateescape")
    own |= {"script": _text(head), "script_cut": file.size > len(head)}
    path = file_layer(file.path)
    yield Event(0, file.size, kind, user="root", command_line=path, file_path=path, fields=own)


def _text(head: bytes) -> str | None:
    """The script's text; None for a program that is no text."""
    if b"\0" in head:
        return None
    return head.decode("utf-8", "surrogateescape")
