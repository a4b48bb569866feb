# SPDX-License-Identifier: Apache-2.0
"""Programs that crashed, by Ubuntu's crash reports (linux.apport).

Reads:  /var/crash/*.crash.
Time:   Date, local wall clock (ctime).
Format: fields ``Name: value``, a value goes on in lines that begin with a space; ``base64`` values are packed (apport's
        problem_report.py, https://wiki.ubuntu.com/Apport).
Limits: one event for a report; fields behind the first MiB and packed ones (CoreDump) are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from headwater.examine.parsers._whole import whole
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason, Outcome, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "linux.apport"
VERSION = 1
READS = ("/var/crash/*.crash",)

_MOST = 1 << 20
_FIELD = lazy_regex(r"([A-Za-z][\w.+-]*): ?(.*)")
_KEPT = (
    "ProblemType",
    "ExecutablePath",
    "Signal",
    "SignalName",
    "Package",
    "Uname",
    "ProcCwd",
    "InterpreterPath",
    "Uid",
)


def recognise(head: bytes) -> bool:
    """A report begins with the kind of its problem."""
    return head.startswith((b"ProblemType: Crash\n", b"ProblemType: KernelCrash\n", b"ProblemType: KernelOops\n"))


def parse(file: File) -> Iterator[Record]:
    """One event over the fields that are text, what is packed behind them as a skip."""
    held = whole(file, _MOST)
    packed = re.search(rb"^\w[\w.+-]*: base64[ \t]*$", held.data, re.MULTILINE)
    text = held.data[: packed.start()] if packed else held.data
    found = _fields(text.decode("utf-8", "surrogateescape"))
    if "ProblemType" not in found:
        yield Gap(0, file.size, GapReason.NOT_THIS_FORMAT, "no report of a crash")
        return
    yield _event(len(text), found)
    if packed:
        yield Skip(len(text), file.size - len(text), "packed fields of a report")
    else:
        yield from held.gaps


def _fields(text: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    held: list[str] | None = None
    for line in text.splitlines():
        if line.startswith(" ") and held is not None:
            held.append(line[1:])
        elif match := _FIELD.fullmatch(line):
            held = found[match[1]] = [match[2]] if match[2] else []
    return {name: "\n".join(lines) for name, lines in found.items()}


def _event(length: int, found: dict[str, str]) -> Event:
    own: dict[str, Value] = {name: found[name] for name in _KEPT if found.get(name)}
    when = None
    if date := found.get("Date"):
        try:
            when = int(datetime.strptime(date, "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC).timestamp()) * 1_000_000_000
        except (ValueError, OverflowError):
            own["time_text"] = date
    program = found.get("ExecutablePath", "")
    pid = re.search(r"^Pid:\s+(\d{1,10})$", found.get("ProcStatus", ""), re.MULTILINE)
    return Event(
        0, length, EventKind.PROCESS_EXIT, when, TimeBasis.NONE if when is None else TimeBasis.ZONE_ASSUMED,
        outcome=Outcome.FAILURE, process=program.rpartition("/")[2] or None, pid=int(pid[1]) if pid else None,
        command_line=found.get("ProcCmdline") or None, file_path=program or None, fields=own,
    )  # fmt: skip
