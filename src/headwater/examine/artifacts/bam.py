# SPDX-License-Identifier: Apache-2.0
"""Last run of programs by account, as the activity moderators keep it (windows.bam).

Reads:  SYSTEM: bam and dam, State\\UserSettings\\SID (or UserSettings\\SID).
Time:   last run, FILETIME, UTC.
Format: https://github.com/libyal/winreg-kb/blob/main/docs/sources/system-keys/Background-activity-moderator.md
Limits: Windows 10 1709 and later, Server 2019; entries older than seven days are dropped at start-up.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.artifacts._telling import control_sets, filetime, tell, under
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import BINARY, Hive
from headwater.model.kinds import EventKind
from headwater.model.records import Event

FEED = "windows.bam"
VERSION = 1
HIVES = ("system",)


def read(hive: Hive, place: Place) -> Iterator[Event]:
    """One event per program and account."""
    for control, used in control_sets(hive):
        if not used:
            continue
        for service in ("bam", "dam"):
            for folder in ("State\\UserSettings", "UserSettings"):
                for key in under(control, f"Services\\{service}\\{folder}"):
                    for value in key.values():
                        if value.type != BINARY or len(value.data) < 8:
                            continue
                        yield tell(
                            place, value, key, EventKind.EXECUTION_TRACE, filetime(value.data), t_kind="run", file_path=value.name,
                            trace=service, sid=key.name,
                        )  # fmt: skip
