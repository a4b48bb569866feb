# SPDX-License-Identifier: Apache-2.0
"""Files that a user put into the trash: where they lay and when (linux.trash).

Reads:  .local/share/Trash/info/*.trashinfo, .Trash-UID/info and .Trash/UID/info of other volumes.
Time:   DeletionDate, local wall clock.
Format: FreeDesktop.org Trash specification 1.0: [Trash Info], Path (percent-encoded), DeletionDate.
Limits: what was taken out of the trash again, or emptied, leaves nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

from headwater.examine.parsers._text import user_of
from headwater.examine.parsers._whole import whole
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason, TimeBasis
from headwater.model.paths import encode_name
from headwater.model.records import Event, File, Gap, Record, Value

FEED = "linux.trash"
VERSION = 1
READS = ("/Trash/info/*.trashinfo", "/.Trash-*/info/*.trashinfo", "/.Trash/*/info/*.trashinfo")

_MOST = 1 << 16
_LINE = lazy_regex(rb"^(Path|DeletionDate)=(.*?)\r?$", re.MULTILINE)


def recognise(head: bytes) -> bool:
    """Its first line is the name of its one group."""
    return head.startswith(b"[Trash Info]\n")


def parse(file: File) -> Iterator[Record]:
    """One event for the file that such a note stands for."""
    held = whole(file, _MOST)
    said = dict(reversed(_LINE.findall(held.data)))  # the first of each holds
    if not held.data.startswith(b"[Trash Info]") or b"Path" not in said:
        if held.data:
            yield Gap(0, len(held.data), GapReason.NOT_THIS_FORMAT, "no note of the trash")
    else:
        own: dict[str, Value] = {}
        when = _when(said.get(b"DeletionDate", b""))
        if when is None and b"DeletionDate" in said:
            own["time_text"] = said[b"DeletionDate"].decode("utf-8", "surrogateescape")
        path = "/".join(encode_name(part) for part in unquote_to_bytes(said[b"Path"]).split(b"/"))
        yield Event(
            0, len(held.data), EventKind.FILE_DELETED, when, TimeBasis.NONE if when is None else TimeBasis.ZONE_ASSUMED,
            t_kind="deleted", user=user_of(file.path), file_path=path, fields=own,
        )  # fmt: skip
    yield from held.gaps


def _when(text: bytes) -> int | None:
    try:
        moment = datetime.strptime(text.decode("ascii"), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) * 1_000_000_000
