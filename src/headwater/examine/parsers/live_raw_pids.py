# SPDX-License-Identifier: Apache-2.0
"""The processes that answered when every number was tried past the C library (live.raw_pids).

Reads:  /@raw/pids.txt of a live collection.
Time:   none; the file states no time.
Format: ``# probed 1..N of M``, then number, ``listed`` or ``unlisted`` in the kernel's listing of /proc, and the name,
        percent-encoded.
Limits: a process that began between the listing and its probe is ``unlisted`` without being hidden; its number is then
        above those listed, unless the numbers have begun anew. ``probed_to`` says how far the probe came.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._live import rows, whole
from headwater.examine.parsers._records import event
from headwater.examine.parsers._text import Line
from headwater.examine.parsers._when import NONE
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.paths import decode_name
from headwater.model.records import Event, File, Record, Value

FEED = "live.raw_pids"
VERSION = 2
READS = ("/@raw/pids.txt",)
_ROW = lazy_regex(r"(?P<pid>\d{1,10})\t(?P<listed>listed|unlisted)(?:\t(?P<process>[!-~]*))?")
_HEAD = lazy_regex(r"# probed 1\.\.(\d{1,10}) of (\d{1,10})")


def parse(file: File) -> Iterator[Record]:
    probed: int | None = None

    def make(line: Line, text: str) -> Event | str | None:
        nonlocal probed
        if head := _HEAD.fullmatch(text):
            probed = whole(head[1])
            return "how far the probe came"
        match = _ROW.fullmatch(text)
        if match is None:
            return None
        name = decode_name(match["process"] or "").decode("utf-8", "surrogateescape")
        fields: dict[str, Value] = {"pid": match["pid"], "process": name, "listed": match["listed"] == "listed"}
        return event(line, NONE, EventKind.STATE_PROCESS, None, fields | {"probed_to": probed})

    yield from rows(file, make, ended=True)
