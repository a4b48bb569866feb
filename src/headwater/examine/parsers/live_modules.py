# SPDX-License-Identifier: Apache-2.0
"""The kernel modules that lsmod or /proc/modules told of (live.modules).

Reads:  /@command/lsmod.stdout and /proc/modules of a live collection.
Time:   the start of the command, UTC, where its .json states it; none for /proc/modules.
Format: lsmod(8): name, size, uses, users; proc(5): name, size, references, users, state, address, taint in brackets.
Limits: a module can take itself out of both lists; /sys/module may still have it. ``view`` says which list it was.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._live import CONTEXT as CONTEXT
from headwater.examine.parsers._live import captured, row, rows, value
from headwater.examine.parsers._text import Line
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Record, Value

FEED = "live.modules"
VERSION = 2
READS = ("/@command/lsmod*.stdout", "/proc/modules", "/live_response/system/lsmod.txt")
_PROC = lazy_regex(
    r"(?P<module>\S+) (?P<size>\d+) (?P<references>-?\d+|-) (?P<used_by>\S+) (?P<state>Live|Loading|Unloading)"
    r" (?P<address>0x[0-9a-f]+)(?: \((?P<taint>[^)]*)\))?\s*"
)
_LSMOD = lazy_regex(r"(?P<module>\S+)\s+(?P<size>\d+)\s+(?P<references>-?\d+)(?:\s+(?P<used_by>\S+))?\s*")


def parse(file: File) -> Iterator[Record]:
    when = captured(file)
    proc = file_layer(file.path).endswith("/proc/modules")

    def make(line: Line, text: str) -> Event | str | None:
        if text.split()[:2] == ["Module", "Size"]:
            return "header line"
        match = _PROC.fullmatch(text) if proc else _LSMOD.fullmatch(text)
        if match is None:
            return None
        fields: dict[str, Value] = {k: value(v) for k, v in match.groupdict().items()}
        fields["view"] = "/proc/modules" if proc else "lsmod"
        fields["module"] = match["module"]
        if isinstance(fields["used_by"], str):
            fields["used_by"] = fields["used_by"].strip(",-") or None
        elif fields["used_by"] is not None:
            fields["used_by"] = str(fields["used_by"])
        return row(line, when, EventKind.STATE_MODULE, fields)

    yield from rows(file, make)
