# SPDX-License-Identifier: Apache-2.0
"""The processes that top told of, and its figures of the machine (live.top).

Reads:  /@command/top*.stdout of a live collection (``top -b``).
Time:   the start of the command, UTC, where its .json states it.
Format: top(1) batch mode: lines of figures, then a header of columns and one row for each process; repeated per round.
Limits: what the server's own top chose to show; the command's name without arguments unless ``-c`` was given.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._live import CONTEXT as CONTEXT
from headwater.examine.parsers._live import captured, row, rows, said, whole
from headwater.examine.parsers._text import Line
from headwater.examine.parsers.live_ps import cells, columns_of
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.records import Event, File, Record

FEED = "live.top"
VERSION = 2
READS = ("/@command/top*.stdout", "/live_response/process/top_*.txt")
_FIGURES = lazy_regex(
    r"(top -|Tasks:|Threads:|%Cpu\S*|Cpu\(s\):|[KMGTPE]iB (?:Mem|Swap) ?:|Mem:|Swap:|CPU:|Load average:)"
)


def parse(file: File) -> Iterator[Record]:
    when, self_pid = captured(file), whole(str(said(file).get("pid") or ""))
    columns: list[str] | None = None

    def make(line: Line, text: str) -> Event | str | None:
        nonlocal columns
        if head := columns_of(text):
            columns = head
            return "header line"
        if match := _FIGURES.match(text):
            fields = {"setting": match[1].strip(" -:"), "value": text.strip()}
            return row(line, when, EventKind.STATE_HOST, fields)
        found = cells(columns, text) if columns else None
        if found and found["pid"] == self_pid:
            found["itself"] = True
        return row(line, when, EventKind.STATE_PROCESS, found) if found else None

    yield from rows(file, make)
