# SPDX-License-Identifier: Apache-2.0
"""Scheduled tasks as the scheduler's cache has them, hidden ones too (windows.task).

Reads:  SOFTWARE: Schedule\\TaskCache, Tree and Tasks\\GUID (Actions, DynamicInfo, Path, Author).
Time:   registration, last run, last good run (FILETIME in DynamicInfo), and the last write of the key; UTC.
Format: https://github.com/libyal/winreg-kb/blob/main/docs/sources/windows-nt-keys (TaskCache), actions of version 1 to 3
Limits: triggers are not decoded; a task without a security descriptor (SD) or without a place in Tree is hidden, and told so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from headwater.examine.artifacts._telling import filetime, tell
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive, Key, text_of
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.task"
VERSION = 1
HIVES = ("software",)
_CACHE = "Microsoft\\Windows NT\\CurrentVersion\\Schedule\\TaskCache"
_EXEC, _COM, _MAIL, _BOX = 0x6666, 0x7777, 0x8888, 0x9999
_ACTIONS_MOST = 32
_TREE_MOST = 50_000


@dataclass(frozen=True, slots=True)
class Action:
    sort: str
    command: str
    arguments: str = ""
    folder: str = ""


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """Of each task its actions, and the times that it states."""
    tasks, tree = hive.key(f"{_CACHE}\\Tasks"), hive.key(f"{_CACHE}\\Tree")
    shown: dict[str, bool] = {}
    waiting = list(tree.subkeys()) if tree is not None else []
    while waiting and len(shown) < _TREE_MOST:
        key = waiting.pop()
        waiting.extend(key.subkeys())
        guid = key.text("Id")
        if guid:
            shown[guid.lower()] = key.value("SD") is not None
    for key in tasks.subkeys() if tasks is not None else ():
        yield from _task(key, place, shown.get(key.name.lower()))


def _task(key: Key, place: Place, described: bool | None) -> Iterator[Event]:
    path = key.text("Path") or key.text("URI")
    hidden = "no entry in Tree" if described is None else None if described else "no security descriptor"
    said = {
        "unit": path or key.name,
        "guid": key.name,
        "author": key.text("Author"),
        "hidden": hidden,
        "description": key.text("Description"),
    }
    value = key.value("Actions")
    actions, context = actions_of(value.data) if value is not None else ([], None)
    for action in actions or [Action("unknown", "")]:
        yield tell(
            place, value or key, key, EventKind.STATE_SCHEDULE, key.written,
            command_line=f"{action.command} {action.arguments}".strip() or None, action=action.sort,
            arguments=action.arguments or None, folder=action.folder or None,
            context=context, **said,
        )  # fmt: skip
    dynamic = key.value("DynamicInfo")
    if dynamic is None:
        return
    data = dynamic.data
    for at, kind in ((4, "registered"), (12, "last-run"), (28, "last-good-run")):
        time = filetime(data, at)
        if time is not None:
            result = int.from_bytes(data[24:28], "little") if len(data) >= 28 else None
            yield tell(place, dynamic, key, EventKind.STATE_SCHEDULE, time, t_kind=kind, result=result, **said)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self, size: int) -> int:
        found = int.from_bytes(self.data[self.at : self.at + size], "little")
        self.at += size
        return found

    def text(self) -> str:
        size = self.number(4)
        found = text_of(self.data[self.at : self.at + size])
        self.at += size
        return found


def actions_of(data: bytes) -> tuple[list[Action], str | None]:
    """The actions of a task and whose context they run in; what cannot be read ends the list."""
    reader = _Reader(data)
    version = reader.number(2)
    if not 1 <= version <= 3:
        return [], None
    context = reader.text() if version >= 2 else None
    found: list[Action] = []
    while reader.at + 6 <= len(data) and len(found) < _ACTIONS_MOST:
        magic = reader.number(2)
        if magic not in (_EXEC, _COM, _MAIL, _BOX):
            break
        reader.text()  # the action's name
        if magic == _EXEC:
            found.append(Action("program", reader.text(), reader.text(), reader.text()))
            if version == 3:
                reader.number(2)
        elif magic == _COM:
            raw = data[reader.at : reader.at + 16]
            reader.at += 16
            found.append(Action("COM handler", _guid(raw), reader.text()))
        elif magic == _BOX:
            found.append(Action("message", reader.text(), reader.text()))
        else:
            found.append(Action("mail", ""))
            break
    return found, context


def _guid(raw: bytes) -> str:
    if len(raw) < 16:
        return ""
    parts = (raw[3::-1], raw[5:3:-1], raw[7:5:-1], raw[8:10], raw[10:16])
    return "{" + "-".join(part.hex() for part in parts).upper() + "}"
