# SPDX-License-Identifier: Apache-2.0
"""The processes that ps told of (live.ps).

Reads:  /@command/ps-*.stdout of a live collection; ps_*.txt of UAC.
Time:   the start of the command, UTC, where its .json states it; the column of a process's own start stays text
        (``start_text``): ps shortens it to a minute, a day or a year of the system's zone.
Format: ps(1), procps and BusyBox: a header line names the columns, the last of which runs to the line's end.
Limits: what the server's own ps chose to show; names may be cut (``systemd+``), and a process can write its own title.
        ``itself`` marks the row of ps, by the number in its .json.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._live import CONTEXT as CONTEXT
from headwater.examine.parsers._live import captured, row, rows, said, value, whole
from headwater.examine.parsers._text import Line
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.records import Event, File, Record, Value

FEED = "live.ps"
VERSION = 2
READS = ("/@command/ps-*.stdout", "/live_response/process/ps_*.txt")
_HEAD = lazy_regex(r"[A-Z%][A-Za-z%+]*")
_WEEKDAY = lazy_regex(r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)$")
# the columns of ps(1) "STANDARD FORMAT SPECIFIERS" that mean the same
NAMES = {
    "UID": "user", "USER": "user", "EUSER": "user", "RUSER": "ruser", "PID": "pid", "TGID": "pid", "PPID": "ppid",
    "LWP": "tid", "SPID": "tid", "TID": "tid", "S": "state", "STAT": "state", "TTY": "tty", "TT": "tty",
    "STIME": "start_text", "START": "start_text", "STARTED": "start_text", "TIME": "cpu_time", "TIME+": "cpu_time",
    "C": "cpu", "%CPU": "cpu", "%MEM": "mem", "VSZ": "vsz", "VIRT": "vsz", "RSS": "rss", "RES": "rss", "SHR": "shared",
    "NI": "nice", "PR": "priority", "PRI": "priority", "NLWP": "threads", "COMM": "process", "UCMD": "process",
    "CMD": "command_line", "COMMAND": "command_line", "ARGS": "command_line",
}  # fmt: skip
_TEXT = frozenset({"user", "ruser", "command_line", "process", "state", "start_text", "cpu_time", "cpu", "mem"})


def columns_of(text: str) -> list[str] | None:
    """The columns that a header line names; None where the line is no header."""
    words = text.split()
    known = "PID" in words and words[-1] in ("CMD", "COMMAND", "ARGS", "COMM", "UCMD")
    return words if known and all(_HEAD.fullmatch(w) for w in words) else None


def cells(columns: list[str], text: str) -> dict[str, Value] | None:
    """The fields of a row by its header; None where it has too few."""
    words: list[str] = []
    rest = text.strip()
    for name in columns[:-1]:
        word, _, rest = rest.partition(" ")
        rest = rest.lstrip(" ")
        if name == "STARTED" and _WEEKDAY.match(word):  # lstart is five words
            more = rest.split(None, 4)
            word, rest = " ".join([word, *more[:4]]), more[4] if len(more) > 4 else ""
        words.append(word)
    if not rest:
        return None
    found: dict[str, Value] = {}
    for name, word in zip(columns, [*words, rest], strict=True):
        field = NAMES.get(name, name.lower().replace("%", "percent_"))
        if field == "user" and word.isdigit():
            found["uid"] = whole(word)
        else:
            found[field] = word if field in _TEXT else value(word)
    if not isinstance(found.get("pid"), int):
        return None
    if isinstance(found.get("tty"), int):
        found["tty"] = str(found["tty"])
    return found


def parse(file: File) -> Iterator[Record]:
    when, self_pid = captured(file), whole(str(said(file).get("pid") or ""))
    columns: list[str] | None = None

    def make(line: Line, text: str) -> Event | str | None:
        nonlocal columns
        if columns is None:
            columns = columns_of(text)
            return "header line" if columns else None
        found = cells(columns, text)
        if found and found["pid"] == self_pid:
            found["itself"] = True
        return row(line, when, EventKind.STATE_PROCESS, found) if found else None

    yield from rows(file, make)
