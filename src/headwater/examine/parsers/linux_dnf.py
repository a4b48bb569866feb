# SPDX-License-Identifier: Apache-2.0
"""What dnf was told to do, and the packages that rpm changed for it (linux.dnf).

Reads:  /var/log/dnf.log, dnf.rpm.log, dnf.librepo.log and hawkey.log with rotations.
Time:   ISO with offset, whole seconds; older releases write no offset.
Format: ``2026-03-02T11:22:33+0800 LEVEL text``, as dnf 4 writes it; the lines of a table, of an error's reasons or of a traceback
        belong to the record that they follow.
Limits: rpm used directly writes nothing here; who asked stands in dnf's history alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._records import TextLog, rule, text_records
from headwater.examine.parsers._when import iso
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.records import File, Record

FEED = "linux.dnf"
VERSION = 2
READS = ("/var/log/dnf.log*", "/var/log/dnf.rpm.log*", "/var/log/dnf.librepo.log*", "/var/log/hawkey.log*")
_TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[+-]\d\d:?\d\d|Z)?"
_PACKAGE = r"(?:\d+:)?(?P<package>[^\s:]+?)(?:-(?:(?P<epoch>\d+):)?(?P<version>[^-\s]+-[^-\s]+?)(?:\.(?P<arch>[^.\s-]+))?)?(?:\n|$)"
_LOG = TextLog(
    lazy_regex(_TIME.encode() + rb" "),
    lazy_regex(rf"(?s)(?P<time>{_TIME}) (?P<level>[A-Z]+)(?: (?P<message>.*))?\Z"),
    iso,
    (
        rule(rf"^(?P<action>(?:Dep-)?Install(?:ed)?|Reinstall(?:ed)?): {_PACKAGE}", K.PACKAGE_INSTALL),
        rule(rf"^(?P<action>Upgraded?|Updated?|Downgraded?): {_PACKAGE}", K.PACKAGE_UPGRADE),
        rule(rf"^(?P<action>Erased?|Removed?|Obsoleted): {_PACKAGE}", K.PACKAGE_REMOVE),
        rule(r"^Command: (?P<command_line>[^\n]*[^\s])", K.LOG_MESSAGE),
    ),
)


def parse(file: File) -> Iterator[Record]:
    return text_records(file, _LOG)
