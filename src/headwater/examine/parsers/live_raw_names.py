# SPDX-License-Identifier: Apache-2.0
"""The names in a folder as the kernel gave them past the C library (live.raw_names).

Reads:  /@raw/ls-*.txt of a live collection.
Time:   none; the listing was taken right after ls of the same name.
Format: ``# folder``, then for each name inode, type and name, parted by tabs, names percent-encoded; ``# cut`` where the
        limit on names was reached.
Limits: by the kernel's own getdents64: a kernel that is itself changed may leave names out here as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._live import rows, whole
from headwater.examine.parsers._records import event
from headwater.examine.parsers._text import Line
from headwater.examine.parsers._when import NONE
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.paths import decode_name, encode_name
from headwater.model.records import Event, File, Record, Value

FEED = "live.raw_names"
VERSION = 2
READS = ("/@raw/ls-*.txt",)
_ROW = lazy_regex(r"(?P<inode>\d{1,20})\t(?P<type>[a-z]+)\t(?P<name>[!-~]+)")
_HEAD = lazy_regex(r"# ([!-~]+)")


def parse(file: File) -> Iterator[Record]:
    folder: str | None = None

    def make(line: Line, text: str) -> Event | str | None:
        nonlocal folder
        if text == "# cut":
            return "the listing was cut here"
        if head := _HEAD.fullmatch(text):
            folder = encode_name(decode_name(head[1]))
            return "the folder"
        match = _ROW.fullmatch(text)
        if match is None:
            return None
        name = encode_name(decode_name(match["name"]))
        fields: dict[str, Value] = {
            "folder": folder,
            "name": name,
            "type": match["type"],
            "inode": whole(match["inode"]),
        }
        if folder is not None:
            fields["file_path"] = folder if name == "." else None if name == ".." else f"{folder.rstrip('/')}/{name}"
        return event(line, NONE, EventKind.STATE_LISTED, None, fields)

    yield from rows(file, make, ended=True)
