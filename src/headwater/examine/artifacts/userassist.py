# SPDX-License-Identifier: Apache-2.0
"""Programs that a user started from the desktop (windows.userassist).

Reads:  NTUSER.DAT: Explorer\\UserAssist\\GUID\\Count; names are ROT13.
Time:   last start, FILETIME, UTC; none where it was never set.
Format: https://github.com/libyal/winreg-kb/blob/main/docs/sources/explorer-keys/User-assist.md
Limits: starts from a command line or by another program are not counted; counts of version 3 begin at five, which is taken off.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from headwater.examine.artifacts._telling import filetime, tell, under
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.userassist"
VERSION = 1
HIVES = ("user",)
_KEY = "Software\\Microsoft\\Windows\\CurrentVersion\\Explorer\\UserAssist"


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event per value; session records (UEME_CTL…) are left to the hive's own rows."""
    for guid in under(hive.root, _KEY):
        count = guid.key("Count")
        for value in count.values() if count is not None else ():
            assert count is not None
            name = codecs.decode(value.name, "rot13")
            data = value.data
            if name.startswith("UEME_CTL") or len(data) not in (16, 72):
                continue
            path = name.partition(":")[2] if name.startswith("UEME_RUN") else name
            runs = int.from_bytes(data[4:8], "little")
            more: dict[str, int] = {}
            if len(data) == 72:
                more = {
                    "focus_count": int.from_bytes(data[8:12], "little"),
                    "focus_ms": int.from_bytes(data[12:16], "little"),
                }
            else:
                runs = max(runs - 5, 0)
            yield tell(
                place, value, count, EventKind.EXECUTION_TRACE, filetime(data, 60 if len(data) == 72 else 8), t_kind="run",
                file_path=path, trace="userassist", runs=runs, guid=guid.name, **more,
            )  # fmt: skip
