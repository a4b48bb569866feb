# SPDX-License-Identifier: Apache-2.0
"""Statements typed into clickhouse-client and clickhouse-local (linux.clickhouse_history).

Reads:  ~/.clickhouse-client-history, ~/.clickhouse-local-history, and such files by other programs that use replxx.
Time:   the user's wall clock, milliseconds, when the statement was entered; none in files that readline wrote.
Format: replxx history: a line ``### YYYY-MM-DD HH:MM:SS.mmm``, then the statement; a line feed within it may stand as 0x17.
Limits: a statement that was entered again stands there once, with its last time; the owner can edit it.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._records import MOST_RECORD, Chunk, chunks
from headwater.examine.parsers._text import Line, line_records, name_of, user_of
from headwater.examine.parsers._when import NONE, When, iso
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Record, Value

FEED = "linux.clickhouse_history"
VERSION = 1
READS = ("/.clickhouse-*history", "/.clickhouse_history", "/clickhouse-client-history")
_HEAD = lazy_regex(rb"### \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\Z")


def recognise(head: bytes) -> bool:
    """Two records of replxx."""
    first, _, rest = head.partition(b"\n")
    return _HEAD.match(first) is not None and any(_HEAD.match(line) for line in rest.split(b"\n"))


def parse(file: File) -> Iterator[Record]:
    user, path, name = user_of(file.path), file_layer(file.path), name_of(file.path).lstrip(".")
    shell = name.removesuffix("history").strip("-_") or "replxx"
    index = 0

    def event(place: Chunk | Line, when: When, statement: str, stated: str = "") -> Event:
        nonlocal index
        fields: dict[str, Value] = {"shell": shell, "index": index}
        if not statement:
            fields["no_command"] = True
        if stated and when == NONE:
            fields["time_text"] = stated
        index += 1
        return Event(
            place.offset, place.length, EventKind.COMMAND_HISTORY, t_recorded=when[0], t_basis=when[1], user=user,
            command_line=statement or None, file_path=path, fields=fields,
        )  # fmt: skip

    if not _HEAD.match(file.pread(0, 27) if file.size >= 27 else b""):
        yield from line_records(file, lambda line: event(line, NONE, line.text.replace("\x17", "\n")))
        return
    for chunk in chunks(file, _HEAD):
        if isinstance(chunk, Chunk):
            head, _, statement = chunk.text.partition("\n")
            yield event(chunk, iso(head[4:]), statement.replace("\x17", "\n").strip("\n")[:MOST_RECORD], head[4:])
        else:
            yield chunk
