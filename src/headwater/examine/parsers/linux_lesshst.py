# SPDX-License-Identifier: Apache-2.0
"""What somebody searched for, which shell commands they ran and which places they marked in less (linux.lesshst).

Reads:  .lesshst and .local/state/lesshst of every account.
Time:   none; the file states no time.
Format: ``.less-history-file:``, sections ``.search``, ``.shell`` and ``.mark``, entries behind ``"`` or ``m`` (less(1)).
Limits: written when less ends; entries of one section are in the order in which they were typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._text import Line, lines, user_of
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "linux.lesshst"
VERSION = 1
READS = ("/.lesshst", "/.local/state/lesshst")
_MARK = lazy_regex(r"m (\S) (\d+) (\d+) (.*)", re.DOTALL)


def recognise(head: bytes) -> bool:
    return head.startswith(b".less-history-file:")


def parse(file: File) -> Iterator[Record]:
    user, section = user_of(file.path), ""
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
        elif not line.raw.strip():
            yield Skip(line.offset, line.length, "blank line")
        elif line.raw.startswith(b"."):
            section = line.text[1:].strip()
            yield Skip(line.offset, line.length, "header")
        else:
            yield _entry(line, section, user)


def _entry(line: Line, section: str, user: str | None) -> Event | Gap:
    text, fields = line.text, dict[str, Value](entry=section or None, program="less")
    if mark := _MARK.fullmatch(text):
        fields["entry"] = "mark"
        return Event(line.offset, line.length, EventKind.FILE_ACCESSED, user=user, file_path=mark[4], fields=fields)
    if not text.startswith('"'):
        return Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT)
    if section == "shell":
        fields["shell"] = "less"
        return Event(
            line.offset, line.length, EventKind.COMMAND_HISTORY, user=user, command_line=text[1:], fields=fields
        )
    fields["message"] = text[1:]
    own = {k: v for k, v in fields.items() if v is not None}
    return Event(line.offset, line.length, EventKind.LOG_MESSAGE, user=user, fields=own)
