# SPDX-License-Identifier: Apache-2.0
"""Which program update-alternatives put behind a common name, and how it was called (linux.alternatives).

Reads:  /var/log/alternatives.log with rotations.
Time:   wall clock without a zone, whole seconds.
Format: ``update-alternatives time: text`` (update-alternatives(1), --log).
Limits: a link that was changed by hand is not recorded here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._stamped import Stamped, moment, stamped
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.records import Event, File, Record, Value

FEED = "linux.alternatives"
VERSION = 1
READS = ("/var/log/alternatives.log*",)
_HEAD = lazy_regex(r"update-alternatives (?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d): ")
_POINTS = lazy_regex(r"link group (\S+) updated to point to (\S+)")
_RUN = lazy_regex(r"run with (.*)", re.DOTALL)


def parse(file: File) -> Iterator[Record]:
    for record in stamped(file, _HEAD):
        if not isinstance(record, Stamped):
            yield record
            continue
        time, basis = moment(record.head["time"])
        points, run = _POINTS.fullmatch(record.message), _RUN.fullmatch(record.message)
        fields: dict[str, Value] = {
            "message": record.message,
            "link_group": points[1] if points else None,
            "time_text": record.head["time"] if time is None else None,
        }
        yield Event(
            record.offset, record.length, EventKind.PACKAGE_STATUS, time, basis,
            process="update-alternatives", file_path=points[2] if points else None,
            command_line=f"update-alternatives {run[1]}" if run else None,
            fields={k: v for k, v in fields.items() if v is not None},
        )  # fmt: skip
