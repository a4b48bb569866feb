# SPDX-License-Identifier: Apache-2.0
"""Directives of services, timers and other units as they stand (linux.systemd_unit).

Reads:  unit files and drop-ins of the system, of packages and of users.
Time:   none; OnCalendar and its like are schedules, not times of running.
Format: systemd.syntax(7), https://www.freedesktop.org/software/systemd/man/latest/systemd.syntax.html.
Limits: enabling is a link in a .wants folder, seen in the file system; drop-ins are not merged into their units.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from headwater.examine.parsers._text import Line, lines, name_of, user_of
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "linux.systemd_unit"
VERSION = 1
_TYPES = ("service", "timer", "socket", "path", "mount", "automount", "swap", "target", "slice", "scope")
_PLACES = ("/systemd/system", "/systemd/user", "/systemd/system.attached", "/systemd/transient", "/systemd/generator*")
READS = tuple(f"{place}/**.{kind}" for place in _PLACES for kind in _TYPES) + tuple(
    f"{place}/**.d/*.conf" for place in _PLACES
)
_LIMIT = 1 << 16
_SECTION = lazy_regex(r"\[([^\]]+)\]")
_DIRECTIVE = lazy_regex(r"([A-Za-z][A-Za-z0-9_-]*)\s*=\s*(.*)", re.DOTALL)
_USER_LIMIT = 1 << 18  # bytes in which User= is looked for before the directives are told
_PREFIXES = "@-:+!|"  # of Exec= lines, systemd.service(5)


@dataclass(frozen=True, slots=True)
class _Unit:
    path: str
    unit: str
    drop_in: str | None
    user: str | None


def _unit(file: File) -> _Unit:
    path = file_layer(file.path)
    folder = re.search(r"/([^/]+)\.d/[^/]+\.conf$", path)
    user = user_of(file.path) if re.search(r"/(?:home/[^/]+|root)/\.(?:config|local)/", path) else None
    if user is None and "/systemd/user" not in path:
        try:
            head = file.pread(0, min(file.size, _USER_LIMIT))
        except OSError:
            head = b""
        named = re.findall(rb"(?m)^[ \t]*User[ \t]*=[ \t]*(\S+)", head)
        user = named[-1].decode("utf-8", "surrogateescape") if named else None
    if folder:
        return _Unit(path, folder.group(1), name_of(file.path), user)
    return _Unit(path, name_of(file.path), None, user)


def _directive(offset: int, length: int, text: str, section: str | None, unit: _Unit) -> Event | None:
    found = _DIRECTIVE.fullmatch(text)
    if not found:
        return None
    name, value = found.group(1), found.group(2).strip()
    fields: dict[str, Value] = {"unit": unit.unit, "section": section, "directive": name, "value": value}
    if unit.drop_in:
        fields["drop_in"] = unit.drop_in
    if section == "Timer" and (name.startswith("On") or name == "Unit"):
        fields[name] = value
    command: str | None = None
    if name.startswith("Exec") and section not in (None, "Unit", "Install", "Timer"):
        command = value.lstrip(_PREFIXES).strip() or None
    return Event(
        offset,
        length,
        EventKind.STATE_SERVICE,
        user=unit.user,
        command_line=command,
        file_path=unit.path,
        fields=fields,
    )


def _logical(file: File) -> Iterator[Line | Gap]:
    """Lines joined where one ends in a backslash; comments between them are left out, as systemd does."""
    held: Line | None = None
    for line in lines(file):
        if isinstance(line, Gap):
            if held:
                yield held
            held = None
            yield line
            continue
        if held:
            length = held.length + line.length
            if line.raw.lstrip()[:1] in (b"#", b";"):
                held = Line(held.offset, length, held.raw)
                continue
            line = Line(held.offset, length, held.raw[:-1] + b" " + line.raw.lstrip())
        comment = line.raw.lstrip()[:1] in (b"#", b";")
        if line.raw.endswith(b"\\") and not comment and len(line.raw) < _LIMIT:
            held = line
        else:
            held = None
            yield line
    if held:
        yield held


def parse(file: File) -> Iterator[Record]:
    unit = _unit(file)
    section: str | None = None
    for line in _logical(file):
        if isinstance(line, Gap):
            yield line
            continue
        text = line.text.strip()
        head = _SECTION.fullmatch(text)
        if not text:
            yield Skip(line.offset, line.length, "blank line")
        elif text[0] in "#;":
            yield Skip(line.offset, line.length, "comment")
        elif head:
            section = head.group(1)
            yield Skip(line.offset, line.length, "section header")
        else:
            made = _directive(line.offset, line.length, text, section, unit)
            yield made or Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "no directive of a unit")
