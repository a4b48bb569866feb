# SPDX-License-Identifier: Apache-2.0
"""What was mounted where, as mount, /proc/mounts or mountinfo told of it (live.mounts).

Reads:  /@command/mount*.stdout, /proc/mounts, /proc/*/mounts and /proc/*/mountinfo of a live collection.
Time:   the start of the command, UTC, where its .json states it; none for /proc.
Format: mount(8) ``device on place type kind (options)``; fstab(5); proc(5) for mountinfo. Octal escapes are undone.
Limits: of one mount namespace; what is mounted over hides what lies below, and no list says it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._live import CONTEXT as CONTEXT
from headwater.examine.parsers._live import captured, pid_of, row, rows
from headwater.examine.parsers._text import Line
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Record, Value

FEED = "live.mounts"
VERSION = 1
READS = ("/@command/mount*.stdout", "/proc/mounts", "/proc/*/mounts", "/proc/*/mountinfo")
_MOUNT = lazy_regex(
    r"(?P<device>.+?) on (?P<file_path>/.*?) type (?P<file_system>\S+) \((?P<options>[^)]*)\)(?: \[(?P<label>.*)\])?"
)
_TABLE = lazy_regex(r"(?P<device>\S+) (?P<file_path>\S+) (?P<file_system>\S+) (?P<options>\S+) \d+ \d+")
_INFO = lazy_regex(
    r"(?P<mount_id>\d+) (?P<parent_id>\d+) (?P<numbers>\d+:\d+) (?P<root>\S+) (?P<file_path>\S+) (?P<options>\S+)"
    r"(?: [a-z_]+(?::\d+)?)* - (?P<file_system>\S+) (?P<device>\S+)(?: (?P<super_options>\S+))?"
)


def _plain(text: str) -> str:
    """``\\040`` and its like as the bytes that they stand for."""
    raw = text.encode("utf-8", "surrogateescape")
    undone = re.sub(rb"\\([0-3][0-7]{2})", lambda m: bytes([int(m[1], 8)]), raw)
    return undone.decode("utf-8", "surrogateescape")


def parse(file: File) -> Iterator[Record]:
    when = captured(file)
    path, pid = file_layer(file.path), pid_of(file)
    form = _INFO if path.endswith("/mountinfo") else _TABLE if path.endswith("/mounts") else _MOUNT

    def make(line: Line, text: str) -> Event | str | None:
        match = form.fullmatch(text)
        if match is None:
            return None
        fields: dict[str, Value] = dict(match.groupdict())
        if form is not _MOUNT:
            for name in ("device", "file_path", "root"):
                if name in fields:
                    fields[name] = _plain(str(fields[name]))
        return row(line, when, EventKind.STATE_MOUNT, fields | {"pid": pid})

    yield from rows(file, make)
