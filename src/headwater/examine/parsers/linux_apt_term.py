# SPDX-License-Identifier: Apache-2.0
"""What dpkg and package scripts printed while apt or unattended-upgrades ran them (linux.apt_term).

Reads:  /var/log/apt/term.log, /var/log/unattended-upgrades/unattended-upgrades-dpkg.log with rotations.
Time:   ``Log started``, wall clock without a zone, whole seconds.
Format: blocks between ``Log started: …`` and ``Log ended: …``; each block is one record.
Limits: the printed lines bear no time; a block without an end was not finished or is cut; of a long block the event carries
        the first 65,536 characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._stamped import Stamped, moment, stamped
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind
from headwater.model.records import Event, File, Record, Value

FEED = "linux.apt_term"
VERSION = 1
READS = ("/var/log/apt/term.log*", "/var/log/unattended-upgrades/unattended-upgrades-dpkg.log*")
_HEAD = lazy_regex(r"Log started: (?P<time>[0-9: -]*)")
_END = lazy_regex(r"^Log ended: ([0-9: -]*)$", re.MULTILINE)
_PROGRESS = lazy_regex(r"(?:\(Reading database \.\.\. (?:\d+%)?\r?)+")
_SET_UP = lazy_regex(r"^Setting up (\S+) ", re.MULTILINE)


def parse(file: File) -> Iterator[Record]:
    for record in stamped(file, _HEAD):
        if not isinstance(record, Stamped):
            yield record
            continue
        text = record.message
        end = _END.search(text)
        time, basis = moment(record.head["time"])
        packages = list(dict.fromkeys(_SET_UP.findall(text)))
        fields: dict[str, Value] = {
            "message": _PROGRESS.sub("(Reading database ... ", text[: end.start()] if end else text).strip("\r\n"),
            "set_up": " ".join(packages[:200]) or None,
            "end_text": " ".join(end[1].split()) if end else None,
            "time_text": record.head["time"] if time is None else None,
            "cut": record.cut,
        }
        yield Event(
            record.offset, record.length, EventKind.PACKAGE_STATUS, time, basis,
            fields={k: v for k, v in fields.items() if v is not None},
        )  # fmt: skip
