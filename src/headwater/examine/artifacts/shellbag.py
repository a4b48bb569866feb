# SPDX-License-Identifier: Apache-2.0
"""Folders that a user looked at in Explorer, those of drives and hosts that are gone too (windows.shellbag).

Reads:  UsrClass.dat and NTUSER.DAT: Shell\\BagMRU, ShellNoRoam\\BagMRU.
Time:   last write of the parent's key for the folder seen last in it, else none; the folder's own times as its item keeps them, FAT, UTC.
Format: https://github.com/libyal/winreg-kb/blob/main/docs/sources/explorer-keys/Most-recently-used.md (BagMRU), libfwsi for the items
Limits: items that are not known are told as <item 0x…>; a folder may be recorded because its parent was seen.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from headwater.examine.artifacts._telling import tell
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import BINARY, Hive, Key
from headwater.formats.shell_items import Item, items, path_of
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.shellbag"
VERSION = 1
HIVES = ("classes", "user")
_PLACES = (
    "Local Settings\\Software\\Microsoft\\Windows\\Shell\\BagMRU", "Software\\Microsoft\\Windows\\Shell\\BagMRU",
    "Software\\Microsoft\\Windows\\ShellNoRoam\\BagMRU",
)  # fmt: skip
_MOST, _DEPTH = 100_000, 128


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event per folder, parents before what is in them."""
    told = 0
    for path in _PLACES:
        key = hive.key(path)
        waiting: list[tuple[Key, tuple[Item, ...]]] = [(key, ())] if key is not None else []
        while waiting and told < _MOST:
            here, above = waiting.pop()
            order = here.value("MRUListEx")
            newest = struct.unpack_from("<I", order.data)[0] if order is not None and len(order.data) >= 4 else None
            for value in here.values():
                if not value.name.isdecimal() or value.type != BINARY:
                    continue
                found = next(items(value.data), None)
                if found is None:
                    continue
                told += 1
                chain = (*above, found)
                time = here.written if newest is not None and value.name == str(newest) else None
                yield tell(
                    place, value, here, EventKind.USER_ACTIVITY, time, t_kind="seen", activity="folder in Explorer",
                    target=path_of(list(chain)), sort=found.sort,
                    item_modified=found.modified, item_created=found.created, item_accessed=found.accessed,
                )  # fmt: skip
                inner = here.key(value.name)
                if inner is not None and len(chain) < _DEPTH:
                    waiting.append((inner, chain))
