# SPDX-License-Identifier: Apache-2.0
"""Files that dpkg was told to put elsewhere (linux.dpkg_diversions).

Reads:  /var/lib/dpkg/diversions.
Time:   none.
Format: three lines each: the path, where it is diverted to, the package that asked (":" for the administrator);
        dpkg-divert(1).
Limits: says where a package's file went, not what stands in its place.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._text import Line, lines
from headwater.model.kinds import EventKind, GapReason
from headwater.model.records import Event, File, Gap, Record

FEED = "linux.dpkg_diversions"
VERSION = 1
READS = ("/var/lib/dpkg/diversions",)


def parse(file: File) -> Iterator[Record]:
    three: list[Line] = []
    for item in lines(file):
        if isinstance(item, Gap):
            yield from _cut(three)
            three = []
            yield item
            continue
        three.append(item)
        if len(three) == 3:
            path, target, package = (line.text for line in three)
            length = sum(line.length for line in three)
            if path.startswith("/") and target.startswith("/") and package:
                own = {"target": target, "package": None if package == ":" else package}
                yield Event(
                    three[0].offset, length, EventKind.STATE_PACKAGE_FILE, t_kind="state", file_path=path, fields=own
                )
            else:
                yield Gap(three[0].offset, length, GapReason.NOT_THIS_FORMAT, "three lines that are no diversion")
            three = []
    yield from _cut(three)


def _cut(rest: list[Line]) -> Iterator[Gap]:
    if rest:
        length = sum(line.length for line in rest)
        yield Gap(rest[0].offset, length, GapReason.TRUNCATED, "a diversion of less than three lines")
