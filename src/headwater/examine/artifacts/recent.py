# SPDX-License-Identifier: Apache-2.0
"""What a user opened, typed and searched for: the lists of recent things (windows.recent).

Reads:  NTUSER.DAT: RunMRU, TypedPaths, TypedURLs, WordWheelQuery, RecentDocs, ComDlg32 (OpenSave, LastVisited),
        Map Network Drive MRU, FileExts (OpenWithList).
Time:   the key's last write, UTC, for the newest entry of each list alone; the others have none (TypedURLsTime where it is there).
Format: https://github.com/libyal/winreg-kb/blob/main/docs/sources/explorer-keys/Most-recently-used.md
Limits: items of a shell item list that are not known are told as <item 0x…>; entries of extensions repeat those of *.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from headwater.examine.artifacts._telling import filetime, tell, under
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import BINARY, Hive, Key, Value, text_of
from headwater.formats.shell_items import items, path_of
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.recent"
VERSION = 1
HIVES = ("user",)
_EXPLORER = "Software\\Microsoft\\Windows\\CurrentVersion\\Explorer"
_LISTS = (
    ("RunMRU", "run dialog"), ("TypedPaths", "typed path"), ("WordWheelQuery", "search"), ("Map Network Drive MRU", "network drive"),
    ("ComDlg32\\LastVisitedMRU", "program of a file dialog"), ("ComDlg32\\LastVisitedPidlMRU", "program of a file dialog"),
    ("ComDlg32\\CIDSizeMRU", "program of a file dialog"),
)  # fmt: skip
_TREES = (
    ("RecentDocs", "recent document"),
    ("ComDlg32\\OpenSaveMRU", "file dialog"),
    ("ComDlg32\\OpenSavePidlMRU", "file dialog"),
)
_ORDERS = frozenset({"mrulist", "mrulistex"})
_KEYS_MOST = 2_000


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event per entry, in the order of the list."""
    base = hive.key(_EXPLORER)
    for name, what in _LISTS:
        key = base.key(name) if base is not None else None
        if key is not None:
            yield from _list(key, place, what)
    for name, what in _TREES:
        key = base.key(name) if base is not None else None
        for number, inner in enumerate([key, *key.subkeys()] if key is not None else []):
            if number < _KEYS_MOST:
                yield from _list(inner, place, what)
    for number, extension in enumerate(under(base, "FileExts")):
        programs = extension.key("OpenWithList")
        if programs is not None and number < _KEYS_MOST:
            yield from _list(programs, place, f"program for {extension.name}")
    typed = hive.key("Software\\Microsoft\\Internet Explorer\\TypedURLs")
    times = hive.key("Software\\Microsoft\\Internet Explorer\\TypedURLsTime")
    for value in typed.values() if typed is not None else ():
        assert typed is not None
        stated = times.value(value.name) if times is not None else None
        time = filetime(stated.data) if stated is not None else typed.written if value.name.lower() == "url1" else None
        yield tell(
            place,
            value,
            typed,
            EventKind.USER_ACTIVITY,
            time,
            t_kind="typed",
            activity="typed address",
            target=value.text,
        )


def _newest(key: Key) -> str | None:
    """The name of the entry that was used last, as the list's order says."""
    order = key.value("MRUListEx")
    if order is not None and len(order.data) >= 4:
        return str(struct.unpack_from("<I", order.data)[0])
    text = key.text("MRUList")
    return text[:1] if text else "url1" if key.name == "TypedPaths" else None


def _list(key: Key, place: Place, what: str) -> Iterator[Event]:
    newest = _newest(key)
    pidl = "\\opensavepidlmru" in key.path.lower()
    for value in key.values():
        if value.name.lower() in _ORDERS or not value.name:
            continue
        time = key.written if newest is not None and value.name.lower() == newest.lower() else None
        target, folder = _target(value, pidl)
        if target is None:
            continue
        command = target if what == "run dialog" else None
        yield tell(
            place, value, key, EventKind.USER_ACTIVITY, time, t_kind="used", command_line=command, activity=what, target=target,
            folder=folder if what.startswith("program of") else None,
        )  # fmt: skip


def _target(value: Value, pidl: bool) -> tuple[str | None, str | None]:
    """What an entry names, and the folder that is kept behind a program's name."""
    if value.type != BINARY:
        text = value.text
        return (text.removesuffix("\\1") if text else None), None
    data = value.data
    if pidl:
        return path_of(list(items(data))) or None, None
    end = data.find(b"\0\0")
    while end >= 0 and end % 2:
        end = data.find(b"\0\0", end + 1)
    text = text_of(data[: max(end, 0)])
    if not text or not text.isprintable():
        return path_of(list(items(data))) or None, None
    return text, path_of(list(items(data[end + 2 :]))) or None
