# SPDX-License-Identifier: Apache-2.0
"""Packages that zypper installed and removed, repositories that were changed, and who called it (linux.zypp).

Reads:  /var/log/zypp/history with rotations.
Time:   wall clock without a zone, whole seconds.
Format: ``time|action|…`` with bars between the fields, ``\\|`` for a bar in one (zypper-log, libzypp HistoryLog).
Limits: lines that begin with ``#`` (output of package scripts) are skipped as comments; who called is known by user and
        host names alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._stamped import moment
from headwater.examine.parsers._text import Line, lines
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "linux.zypp"
VERSION = 1
READS = ("/var/log/zypp/history*",)
_FIELD = lazy_regex(r"(?:[^|\\]|\\.)*")
_KINDS = {"install": EventKind.PACKAGE_INSTALL, "remove": EventKind.PACKAGE_REMOVE}
# The fields behind time and action, by action (libzypp zypp/HistoryLog.cc).
_NAMES = {
    "install": ("package", "version", "arch", "by", "repository", "checksum"),
    "remove": ("package", "version", "arch", "by"),
    "command": ("by", "command"),
    "radd": ("repository", "url"),
    "rremove": ("repository",),
    "ralias": ("repository", "new_repository"),
    "rurl": ("repository", "url"),
    "patch": ("package", "version", "arch", "repository", "severity", "category", "state"),
}


def parse(file: File) -> Iterator[Record]:
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
        elif not line.raw.strip():
            yield Skip(line.offset, line.length, "blank line")
        elif line.raw.startswith(b"#"):
            yield Skip(line.offset, line.length, "comment")
        else:
            yield _event(line)


def _event(line: Line) -> Event | Gap:
    parts = [re.sub(r"\\(.)", r"\1", p).strip() for p in _split(line.text)]
    if len(parts) < 3 or not re.match(r"\d{4}-", parts[0]):
        return Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT)
    time, basis = moment(parts[0])
    said = dict(zip(_NAMES.get(parts[1], ()), parts[2:]))
    user, _, host = said.pop("by", "").partition("@")
    command = said.pop("command", None)
    fields: dict[str, Value] = {
        "action": parts[1],
        **{k: v or None for k, v in said.items()},
        "message": None if parts[1] in _NAMES else line.text,
        "time_text": parts[0] if time is None else None,
    }
    return Event(
        line.offset, line.length, _KINDS.get(parts[1], EventKind.PACKAGE_STATUS), time, basis,
        user=user or None, host=host or None, process="zypper", command_line=command,
        fields={k: v for k, v in fields.items() if v is not None},
    )  # fmt: skip


def _split(text: str) -> list[str]:
    """The fields between bars, at most twenty."""
    found: list[str] = []
    at = 0
    while at <= len(text) and len(found) < 20:
        match = _FIELD.match(text, at)
        end = match.end() if match else at
        if end < len(text) and text[end] == "\\":  # a backslash at the end of the line
            end = len(text)
        found.append(text[at:end])
        at = end + 1
    return found
