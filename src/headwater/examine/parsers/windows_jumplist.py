# SPDX-License-Identifier: Apache-2.0
"""Jump lists: what a user opened with a program, how often, what is pinned or may be started with it (windows.jumplist).

Reads:  …/Recent/AutomaticDestinations/*.automaticDestinations-ms (kept by Windows), …/CustomDestinations/*.customDestinations-ms.
Time:   last use of an entry (t_kind used), and of each link the times of its target when it was written; FILETIME, UTC, 100 ns.
        A custom list does not record when the user chose something.
Format: https://github.com/libyal/dtformats/blob/main/documentation/Jump%20lists%20format.asciidoc; links are [MS-SHLLINK].
        Automatic lists are compound files [MS-CFB].
Limits: links are found by their header wherever they stand, in an automatic list also outside its streams (said in ``state``);
        names of categories are passed over; the counts of Windows 7 are in ``score`` alone; application is the list's identifier.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._automatic_list import records
from headwater.examine.parsers._shortcuts import events
from headwater.examine.parsers._text import name_of, user_of
from headwater.examine.parsers._whole import whole
from headwater.formats import compound_file, shell_link
from headwater.model.kinds import EventKind, GapReason
from headwater.model.records import File, Gap, Record, Skip, Value

FEED = "windows.jumplist"
VERSION = 2
READS = ("/*.customDestinations-ms", "/*.automaticDestinations-ms")
_MOST = 1 << 24
_LINKS_MOST = 10_000
_BETWEEN = 4096  # bytes; headers, names of categories and class identifiers are shorter


def parse(file: File) -> Iterator[Record]:
    read = whole(file, _MOST)
    data, at = read.data, 0
    more: dict[str, Value] = {"activity": "jump list", "application": name_of(file.path).partition(".")[0]}
    if data.startswith(compound_file.MAGIC):
        yield from records(data, user_of(file.path), more)
        yield from read.gaps
        return
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
