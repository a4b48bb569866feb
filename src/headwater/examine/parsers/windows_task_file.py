# SPDX-License-Identifier: Apache-2.0
"""Scheduled tasks as their own files define them, one row per action (windows.task_file).

Reads:  /Windows/System32/Tasks/** (and SysWOW64, Windows/Tasks with XML): UTF-16 with a byte order mark, or UTF-8.
Time:   Date of the registration, by the author's clock: with its offset if one stands there, else a wall clock.
Format: task definition schema, https://learn.microsoft.com/openspecs/windows_protocols/ms-tsch/ (2.5).
Limits: the date and the author are free text that whoever made the task chose; when it ran is told by the registry's cache
        and the event log; files of more than 1 MiB, and such with a document type, are no tasks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from headwater.examine.parsers._when import NONE, iso
from headwater.examine.parsers._whole import whole
from headwater.model.kinds import EventKind, GapReason
from headwater.model.paths import decode_name, file_layer
from headwater.model.records import Event, File, Gap, Record, Value

FEED = "windows.task_file"
VERSION = 1
READS = ("/System32/Tasks/**", "/SysWOW64/Tasks/**")
_MOST = 1 << 20
_ACTIONS_MOST = 32
_TRIGGERS_MOST = 50
_TEXT = 4096  # characters of one text
_SPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"
_ACTIONS = {"Exec": "program", "ComHandler": "COM handler", "SendEmail": "mail", "ShowMessage": "message"}


def recognise(head: bytes) -> bool:
    return _SPACE.encode("utf-16-le") in head or (
        head.lstrip(b"\xef\xbb\xbf").startswith(b"<") and _SPACE.encode() in head
    )


def parse(file: File) -> Iterator[Record]:
    read = whole(file, _MOST)
    data = read.data
    if data and not data.strip(b"\0"):
        yield Gap(0, len(data), GapReason.OVERWRITTEN, "overwritten with zeros")
    elif data:
        task = _task(data)
        if isinstance(task, str):
            yield Gap(0, len(data), GapReason.NOT_THIS_FORMAT, task)
        else:
            yield from _events(task, len(data), file.path)
    yield from read.gaps


def _task(data: bytes) -> ElementTree.Element | str:
    """The task's root, or why it is none. No document type is read: entities of its own can grow without bound."""
    coding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-16-le" if data[1:2] == b"\0" else "utf-8-sig"
    try:
        text = data.decode(coding).rstrip("\0")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            return "a document type in a task definition"
        root = ElementTree.fromstring(text)  # noqa: S314 - a text with a document type was refused above
    except (UnicodeDecodeError, ElementTree.ParseError, ValueError) as error:
        return f"no task definition: {type(error).__name__}"
    return root if _name(root) == "Task" else "no task definition"


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(root: ElementTree.Element, path: str) -> str | None:
    """The text at a path of local names below an element."""
    found = root.find("/".join("{*}" + step for step in path.split("/")))
    return ((found.text or "").strip()[:_TEXT] or None) if found is not None else None


def _events(task: ElementTree.Element, length: int, path: str) -> Iterator[Event]:
    date = _text(task, "RegistrationInfo/Date")
    when = iso(date) if date else NONE
    said: dict[str, Value] = {
        "unit": _text(task, "RegistrationInfo/URI") or _place(path),
        "author": _text(task, "RegistrationInfo/Author"),
        "description": _text(task, "RegistrationInfo/Description"),
        "time_text": date if when[0] is None else None,
        "run_level": _text(task, "Principals/Principal/RunLevel"),
        "logon_type": _text(task, "Principals/Principal/LogonType"),
        "enabled": _text(task, "Settings/Enabled"),
        "not_shown": _text(task, "Settings/Hidden"),
        "triggers": _triggers(task),
    }
    user = _text(task, "Principals/Principal/UserId") or _text(task, "Principals/Principal/GroupId")
    actions = task.find("{*}Actions")
    listed = [] if actions is None else [a for a in actions if isinstance(a.tag, str)][:_ACTIONS_MOST]
    for action in listed or (None,):
        command, more = _action(action)
        fields = {name: value for name, value in (said | more).items() if value is not None}
        yield Event(
            0, length, EventKind.STATE_SCHEDULE, when[0], when[1], "registered", user=user, command_line=command, fields=fields
        )  # fmt: skip


def _action(action: ElementTree.Element | None) -> tuple[str | None, dict[str, Value]]:
    if action is None:
        return None, {"action": "none"}
    name = _name(action)
    command, arguments = _text(action, "Command"), _text(action, "Arguments")
    if name == "ComHandler":
        command, arguments = _text(action, "ClassId"), _text(action, "Data")
    line = " ".join(t for t in (command, arguments) if t) or None
    return line, {
        "action": _ACTIONS.get(name, name),
        "program": command,
        "arguments": arguments,
        "folder": _text(action, "WorkingDirectory"),
    }


def _triggers(task: ElementTree.Element) -> str | None:
    """Each trigger on a line: its kind, and its settings by name."""
    triggers = task.find("{*}Triggers")
    lines = []
    for trigger in [] if triggers is None else list(triggers)[:_TRIGGERS_MOST]:
        said = [
            f"{_name(part)}={text}"
            for part in trigger.iter()
            if part is not trigger and (text := (part.text or "").strip())
        ]
        empty = [_name(part) for part in trigger.iter() if part is not trigger and not len(part) and not part.text]
        lines.append(" ".join((_name(trigger), *said, *empty))[:_TEXT])
    return "\n".join(lines) or None


def _place(path: str) -> str | None:
    """The task's path as the scheduler names it, by where its file lies."""
    match = re.search(r"/Tasks(/.*)", file_layer(path))
    if match is None:
        return None
    return decode_name(match.group(1)).decode("utf-8", "surrogateescape").replace("/", "\\")
