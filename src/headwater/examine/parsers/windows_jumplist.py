# SPDX-License-Identifier: Apache-2.0
"""Jump lists that programs keep themselves: what a user opened, pinned or may start with them (windows.jumplist).

Reads:  …/Recent/CustomDestinations/*.customDestinations-ms.
Time:   FILETIME of each target when its link was written, UTC, 100 ns; when the user chose it is not recorded.
Format: https://github.com/libyal/dtformats/blob/main/documentation/Jump%20lists%20format.asciidoc; links are [MS-SHLLINK].
Limits: links are found by their header wherever they stand; names of categories are passed over; jump lists that Windows
        keeps (automaticDestinations-ms, compound files) are not read.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._shortcuts import events
from headwater.examine.parsers._text import name_of, user_of
from headwater.examine.parsers._whole import whole
from headwater.formats import shell_link
from headwater.model.kinds import EventKind, GapReason
from headwater.model.records import File, Gap, Record, Skip

FEED = "windows.jumplist"
VERSION = 1
READS = ("/*.customDestinations-ms",)
_MOST = 1 << 24
_LINKS_MOST = 10_000
_BETWEEN = 4096  # bytes; headers, names of categories and class identifiers are shorter


def parse(file: File) -> Iterator[Record]:
    read = whole(file, _MOST)
    data, at = read.data, 0
    more = {"activity": "jump list", "application": name_of(file.path).partition(".")[0]}
    for index in range(_LINKS_MOST):
        start = data.find(shell_link.MAGIC, at)
        link = shell_link.read(data, start) if start >= 0 else None
        if link is None:
            break
        yield from _between(at, start, data)
        yield from events(
            link, start, link.end - start, EventKind.USER_ACTIVITY, user_of(file.path), {**more, "index": index}
        )
        at = link.end
    yield from _between(at, len(data), data)
    yield from read.gaps


def _between(at: int, end: int, data: bytes) -> Iterator[Skip | Gap]:
    """What stands between the links: a short stretch is the list's own headers, a long or cut one is not."""
    if at >= end:
        return
    sound = at > 0 or data[:4] == b"\2\0\0\0"
    if sound and end - at <= _BETWEEN:
        yield Skip(at, end - at, "headers of the list and its categories")
    else:
        yield Gap(at, end - at, GapReason.NOT_THIS_FORMAT, "no header of a jump list, and no link")
