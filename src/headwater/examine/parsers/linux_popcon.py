# SPDX-License-Identifier: Apache-2.0
"""When a program of each package was last run, as Debian's popularity-contest saw it (linux.popcon).

Reads:  /var/log/popularity-contest and its rotations.
Time:   UTC seconds: the access time of the package's most recently used program, and its inode's change time.
Format: popularity-contest(8) and its FAQ: a head, then ``atime ctime package program <tag>``, an end.
Limits: access times as the mount options let them be; ``<NOFILES>`` names no program; the packages of one day.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._text import Line, lines
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "linux.popcon"
VERSION = 1
READS = ("/var/log/popularity-contest*", "/popularity-contest")

_FRAME = lazy_regex(r"(?:END-)?POPULARITY-CONTEST-\d+ TIME:(\d{1,10})(?: .*)?")
_ROW = lazy_regex(r"(\d{1,10}) (\d{1,10}) (\S+)(?: ([^<]\S*))?(?: <([A-Z_-]+)>)?")


def recognise(head: bytes) -> bool:
    """A survey begins with its head."""
    return head.startswith(b"POPULARITY-CONTEST-")


def parse(file: File) -> Iterator[Record]:
    """One event for each of the two times of a program; a head or an end is one."""
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
        elif not line.raw.strip():
            yield Skip(line.offset, line.length, "blank line")
        elif frame := _FRAME.fullmatch(line.text.strip()):
            yield Event(
                line.offset, line.length, EventKind.LOG_MESSAGE, int(frame[1]) * 1_000_000_000, TimeBasis.UTC,
                provider="popularity-contest", fields={"message": line.text.strip()},
            )  # fmt: skip
        else:
            yield from _program(line)


def _program(line: Line) -> Iterator[Record]:
    row = _ROW.fullmatch(line.text.strip())
    if row is None:
        yield Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT)
        return
    own: dict[str, Value] = {"package": row[3]} | ({"tag": row[5]} if row[5] else {})
    if not int(row[1]) and not int(row[2]):
        yield Event(
            line.offset,
            line.length,
            EventKind.PACKAGE_STATUS,
            file_path=row[4],
            provider="popularity-contest",
            fields=own,
        )
    for text, kind, word in (
        (row[1], EventKind.FILE_ACCESSED, "accessed"),
        (row[2], EventKind.FILE_CHANGED, "changed"),
    ):
        if int(text):
            yield Event(
                line.offset, line.length, kind, int(text) * 1_000_000_000, TimeBasis.UTC, t_kind=word, file_path=row[4],
                provider="popularity-contest", fields=own,
            )  # fmt: skip
