# SPDX-License-Identifier: Apache-2.0
"""Packages that pacman installed, upgraded and removed, and how it was called (linux.pacman).

Reads:  /var/log/pacman.log with rotations.
Time:   with offset and whole seconds since pacman 5.2; before, the wall clock to the minute without a zone.
Format: ``[time] [SOURCE] text`` (libalpm's log).
Limits: output of package scripts is logged line by line as the scripts printed it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._stamped import Stamped, moment, stamped
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.records import Event, File, Record, Value

FEED = "linux.pacman"
VERSION = 1
READS = ("/var/log/pacman.log*",)
_HEAD = lazy_regex(r"\[(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[+-]\d{4})?)\] (?:\[(?P<source>[A-Z-]+)\] )?")
_ACTION = lazy_regex(r"(installed|reinstalled|upgraded|downgraded|removed) (\S+) \((?:(\S+) -> )?(\S+)\)")
_RUNNING = lazy_regex(r"Running '(.*)'", re.DOTALL)
_KINDS = {
    "installed": EventKind.PACKAGE_INSTALL,
    "reinstalled": EventKind.PACKAGE_INSTALL,
    "upgraded": EventKind.PACKAGE_UPGRADE,
    "downgraded": EventKind.PACKAGE_UPGRADE,
    "removed": EventKind.PACKAGE_REMOVE,
}


def recognise(head: bytes) -> bool:
    return bool(re.match(rb"\[\d{4}-\d\d-\d\d[T ][0-9:+-]+\] \[(?:PACMAN|ALPM)\] ", head))


def parse(file: File) -> Iterator[Record]:
    for record in stamped(file, _HEAD):
        if not isinstance(record, Stamped):
            yield record
            continue
        time, basis = moment(record.head["time"])
        action, running = _ACTION.fullmatch(record.message), _RUNNING.fullmatch(record.message)
        fields: dict[str, Value] = {
            "message": record.message,
            "log_source": record.head["source"],
            "action": action[1] if action else None,
            "package": action[2] if action else None,
            "old_version": action[3] if action else None,
            "version": action[4] if action else None,
            "time_text": record.head["time"] if time is None else None,
        }
        yield Event(
            record.offset, record.length, _KINDS[action[1]] if action else EventKind.PACKAGE_STATUS, time, basis,
            process="pacman", command_line=running[1] if running else None,
            fields={k: v for k, v in fields.items() if v is not None},
        )  # fmt: skip
