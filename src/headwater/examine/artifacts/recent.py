# SPDX-License-Identifier: Apache-2.0
"""What a user opened, typed and searched for: the lists of recent things (windows.recent).

Reads:  NTUSER.DAT: RunMRU, TypedPaths, TypedURLs, WordWheelQuery, RecentDocs, ComDlg32 (OpenSave, LastVisited),
        Map Network Drive MRU, FileExts (OpenWithList).
Time:   the key's last write, UTC, for the newest entry of each list alone; the others have none (TypedURLsTime where it is there).
Format: https://github.com/libyal/winreg-kb/blob/main/docs/sources/explorer-keys/Most-recently-used.md
Limits: of a shell item list the long name of its last item is told, not the whole path.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from headwater.examine.artifacts._telling import filetime, tell, under
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import BINARY, Hive, Key, Value, text_of
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
_LONG_NAME = re.compile(rb"\x04\x00\xef\xbe")  # the extension block of a file entry shell item
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
    for value in key.values():
        if value.name.lower() in _ORDERS or not value.name:
            continue
        time = key.written if newest is not None and value.name.lower() == newest.lower() else None
        target = _target(value)
        if target is None:
            continue
        command = target if what == "run dialog" else None
        yield tell(
            place,
            value,
            key,
            EventKind.USER_ACTIVITY,
            time,
            t_kind="used",
            command_line=command,
            activity=what,
            target=target,
        )


def _target(value: Value) -> str | None:
    if value.type != BINARY:
        text = value.text
        return text.removesuffix("\\1") if text else None
    data = value.data
    end = data.find(b"\0\0")
    while end >= 0 and end % 2:
        end = data.find(b"\0\0", end + 1)
    text = text_of(data[: max(end, 0)])
    if text and text.isprintable():
        return text
    return _last_name(data)


def _last_name(data: bytes) -> str | None:
    """The long name in the last file entry of a shell item list."""
    name = None
    for match in _LONG_NAME.finditer(data):
        block = match.start() - 4
        if block < 0:
            continue
        size, version = struct.unpack_from("<HH", data, block)
        at = {3: 20, 7: 38, 8: 42, 9: 46}.get(version)
        if at is None or block + size > len(data):
            continue
        found = data[block + at : block + size]
        end = next((i for i in range(0, len(found) - 1, 2) if found[i : i + 2] == b"\0\0"), len(found))
        name = text_of(found[:end]) or name
    return name
