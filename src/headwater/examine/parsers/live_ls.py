# SPDX-License-Identifier: Apache-2.0
"""The files that ls listed (live.ls).

Reads:  /@command/ls-*.stdout of a live collection.
Time:   the file's modification where ls printed it with its offset (``--full-time``); other forms stay text. When ls was run is
        ``listed_ns``.
Format: ls(1) -l, with inode (-i) or without; ``folder:`` before each listing where there are several.
Limits: what the server's own ls was let see. The folder is that of the command's line; a name with a line feed in it
        takes two lines, of which the second is a gap or, where somebody forged it, a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._live import CONTEXT as CONTEXT
from headwater.examine.parsers._live import captured, rows, said, whole
from headwater.examine.parsers._records import event
from headwater.examine.parsers._text import Line
from headwater.examine.parsers._when import NONE, iso
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.paths import encode_name
from headwater.model.records import Event, File, Record, Value

FEED = "live.ls"
VERSION = 2
READS = ("/@command/ls-*.stdout",)
_ROW = lazy_regex(
    r"\s*(?:(?P<inode>\d+|\?) +)?(?P<permissions>[bcdlpsDM?-][rwxsStT?-]{9})[.+@]? +(?P<links>\d+|\?) +(?P<owner>\S+) +"
    r"(?P<group>\S+) +(?P<size>\d+(?:, *\d+)?|\?) +"
    r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d(?:\.\d+)?(?: [+-]\d{4})?)?|[A-Z][a-z]{2} +\d{1,2} +(?:\d\d:\d\d|\d{4})|\?) "
    r"(?P<name>.+)",
    re.DOTALL,
)


def folder_of(file: File) -> str | None:
    """The one folder that the command's line names."""
    line = said(file).get("line")
    words = [str(w) for w in line] if isinstance(line, list) else str(line or "").split()
    places = [w for w in words[1:] if w.startswith("/")]
    return places[0] if len(places) == 1 else None


def parse(file: File) -> Iterator[Record]:
    folder = folder_of(file)
    at, _ = captured(file)

    def make(line: Line, text: str) -> Event | str | None:
        nonlocal folder
        if re.fullmatch(r"total \d+", text):
            return "total"
        match = _ROW.fullmatch(text)
        if match is None:
            if text.startswith("/") and text.endswith(":"):
                folder = text[:-1]
                return "folder"
            return None
        return _event(line, match, folder, at)

    yield from rows(file, make)


def _event(line: Line, match: re.Match[str], folder: str | None, at: int | None) -> Event:
    name = match["name"]
    target: str | None = None
    if match["permissions"][0] == "l":
        name, arrow, after = name.partition(" -> ")
        target = after if arrow else None
    fields: dict[str, Value] = {"folder": folder, "name": name, "target": target, "permissions": match["permissions"]}
    fields |= {n: whole(match[n]) for n in ("inode", "links", "size")}
    owner = match["owner"]
    if owner.isdigit():
        fields |= {"uid": whole(owner), "gid": whole(match["group"])}
    else:
        fields |= {"user": owner, "group": match["group"]}
    if at is not None:
        fields["listed_ns"] = at
    if folder is not None:
        path = name if name.startswith("/") else f"{folder.rstrip('/')}/{name}"
        fields["file_path"] = (
            folder if name == "." else None if name == ".." else encode_name(path.encode("utf-8", "surrogateescape"))
        )
    when = iso(match["time"]) if match["time"].count(" ") == 2 else NONE
    if when[0] is None:
        fields["time_text"] = match["time"]
    return event(line, when, EventKind.STATE_LISTED, None, fields, t_kind="logged" if when[0] is None else "modified")
