# SPDX-License-Identifier: Apache-2.0
"""Shortcuts: what a user opened, or what starts with a logon, with the target as it was then (windows.lnk).

Reads:  *.lnk in Recent, Startup, on desktops and anywhere else.
Time:   FILETIME of the target when the link was last written (modified, created, accessed), UTC, 100 ns, one row for each.
Format: [MS-SHLLINK], https://learn.microsoft.com/openspecs/windows_protocols/ms-shllink/
Limits: first and last use of the target are the link file's own times, told by the file system's feeds; text without a Unicode
        form is shown with escapes; property stores are not read.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._shortcuts import events
from headwater.examine.parsers._text import user_of
from headwater.examine.parsers._whole import whole
from headwater.formats import shell_link
from headwater.model.kinds import EventKind, GapReason
from headwater.model.paths import file_layer
from headwater.model.records import File, Gap, Record

FEED = "windows.lnk"
VERSION = 1
READS = ("/*.lnk", "/*.LNK")
_MOST = 1 << 22


def recognise(head: bytes) -> bool:
    return head.startswith(shell_link.MAGIC)


def parse(file: File) -> Iterator[Record]:
    read = whole(file, _MOST)
    link = shell_link.read(read.data)
    if link is None and read.data:
        yield Gap(0, len(read.data), GapReason.NOT_THIS_FORMAT, "no shortcut")
    elif link is not None:
        where = file_layer(file.path)
        starts = "/startup/" in where.lower()
        more = {"spot": "Startup folder"} if starts else {"activity": "shortcut"}
        kind = EventKind.STATE_AUTORUN if starts else EventKind.USER_ACTIVITY
        yield from events(link, 0, link.end, kind, user_of(file.path), more)
        if link.end < len(read.data):
            why = "bytes behind the shortcut" if link.whole else "a part of the shortcut that is broken or cut"
            reason = GapReason.NOT_THIS_FORMAT if link.whole else GapReason.TRUNCATED
            yield Gap(link.end, len(read.data) - link.end, reason, why)
    yield from read.gaps
