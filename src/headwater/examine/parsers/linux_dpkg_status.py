# SPDX-License-Identifier: Apache-2.0
"""The packages that dpkg says are installed, and the configuration files that it keeps digests of (linux.dpkg_status).

Reads:  /var/lib/dpkg/status.
Time:   none; the database says how things stand.
Format: paragraphs of "Field: value", parted by blank lines; deb822(5), dpkg-query(1).
Limits: the database lies on the same disk as the files; a package whose paragraph was cut out leaves no trace here.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._text import Line, lines
from headwater.model.kinds import EventKind, GapReason
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "linux.dpkg_status"
VERSION = 1
READS = ("/var/lib/dpkg/status",)
_FIELDS = {
    "Package": "package",
    "Version": "version",
    "Architecture": "arch",
    "Status": "state",
    "Maintainer": "maintainer",
}
_LINES_MOST = 20_000  # of one paragraph


def _paragraph(gathered: list[Line]) -> Iterator[Record]:
    offset, length = gathered[0].offset, sum(line.length for line in gathered)
    found: dict[str, Value] = {}
    files: list[tuple[str, str, bool]] = []
    inside = False
    for line in gathered:
        text = line.text
        if not text.startswith((" ", "\t")):
            name, colon, value = text.partition(":")
            if not colon:
                yield Gap(offset, length, GapReason.NOT_THIS_FORMAT, "a line without a field name")
                return
            inside = name == "Conffiles"
            if name in _FIELDS:
                found[_FIELDS[name]] = value.strip()
        elif inside:
            parts = text.split()
            if len(parts) >= 2 and parts[0].startswith("/"):
                files.append((parts[0], parts[1], "obsolete" in parts[2:]))
    if "package" not in found:
        yield Gap(offset, length, GapReason.NOT_THIS_FORMAT, "a paragraph without a package")
        return
    yield Event(offset, length, EventKind.STATE_PACKAGE, t_kind="state", fields=found)
    for path, md5, obsolete in files:
        own: dict[str, Value] = {"package": found["package"], "md5": md5, "conffile": True, "obsolete": obsolete}
        yield Event(offset, length, EventKind.STATE_PACKAGE_FILE, t_kind="state", file_path=path, fields=own)


def parse(file: File) -> Iterator[Record]:
    gathered: list[Line] = []
    for item in lines(file):
        if isinstance(item, Line) and item.raw.strip() and len(gathered) < _LINES_MOST:
            gathered.append(item)
            continue
        if gathered:
            yield from _paragraph(gathered)
            gathered = []
        if isinstance(item, Gap):
            yield item
        elif item.raw.strip():
            gathered = [item]
        else:
            yield Skip(item.offset, item.length, "blank line")
    if gathered:
        yield from _paragraph(gathered)
