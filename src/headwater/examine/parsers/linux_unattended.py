# SPDX-License-Identifier: Apache-2.0
"""What unattended-upgrades decided, and the packages that it took (linux.unattended).

Reads:  /var/log/unattended-upgrades/unattended-upgrades.log and unattended-upgrades-shutdown.log with rotations.
Time:   wall clock without a zone, milliseconds.
Format: ``time LEVEL text`` of Python's logging.
Limits: what was then done stands in dpkg's and apt's logs.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._stamped import Stamped, moment, stamped
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.records import Event, File, Record, Value

FEED = "linux.unattended"
VERSION = 1
READS = (
    "/var/log/unattended-upgrades/unattended-upgrades.log*",
    "/var/log/unattended-upgrades/unattended-upgrades-shutdown.log*",
)
_HEAD = lazy_regex(r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (?P<level>[A-Z]+) ")
_UPGRADED = lazy_regex(r"Packages that will be upgraded: (.*)")


def parse(file: File) -> Iterator[Record]:
    for record in stamped(file, _HEAD):
        if not isinstance(record, Stamped):
            yield record
            continue
        time, basis = moment(record.head["time"])
        packages = _UPGRADED.match(record.message)
        fields: dict[str, Value] = {
            "message": record.message,
            "level": record.head["level"].lower(),
            "packages": packages[1] if packages else None,
            "time_text": record.head["time"] if time is None else None,
            "cut": record.cut,
        }
        kind = EventKind.PACKAGE_STATUS if packages else EventKind.LOG_MESSAGE
        own = {k: v for k, v in fields.items() if v is not None}
        yield Event(record.offset, record.length, kind, time, basis, process="unattended-upgrade", fields=own)
