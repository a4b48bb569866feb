# SPDX-License-Identifier: Apache-2.0
"""Setup, servicing and DISM at work: features, packages and command lines (windows.servicing).

Reads:  /Windows/Logs/CBS/*.log and the older ones put away in CbsPersist_*.cab (MSZIP or stored), /Windows/Logs/DISM/dism.log,
        setupact.log and setuperr.log of setup, sysprep and Panther.
Time:   whole seconds by the host's own clock and zone; early setup runs by the clock of the setup system.
Format: ``date time, level component text``, https://learn.microsoft.com/windows-hardware/manufacture/desktop/windows-setup-log-files-and-event-logs.
Limits: texts change with the version; a cabinet packed by LZX is a stated gap.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._records import TextLog, rule, text_records
from headwater.examine.parsers._when import iso
from headwater.examine.parsers._wide import text_lines
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome
from headwater.model.records import File, Record

FEED = "windows.servicing"
VERSION = 1
READS = (
    "/Logs/CBS/*.log", "/Logs/CBS/*.log.old", "/CBS.log", "/CbsPersist_*.log", "/Logs/CBS/CbsPersist_*",
    "/Logs/DISM/*.log", "/dism.log", "/setupact.log", "/setuperr.log",
    "/setupact.log.old",
)  # fmt: skip
_DONE = r"^Exec: Processing complete\.\s+Session: [^,]+, Package: (?P<package>[^,\s]+).*?\[HRESULT = (?P<result>0x0{8}\b[^\]]*)"
_FAILED = r"^Exec: Processing (?:complete|failed)\.\s+Session: [^,]+, Package: (?P<package>[^,\s]+).*?\[HRESULT = (?P<result>[^\]]*)"
LOG = TextLog(
    lazy_regex(rb"(?:\xef\xbb\xbf)?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d, "),
    lazy_regex(
        r"(?s)\ufeff?(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d), (?P<level>\w+)[ \t]+(?:\[(?P<source_code>0x[0-9a-fA-F]{4,8})\][ \t]*)?"
        r"(?:(?P<component>[A-Z][A-Za-z]{1,9})(?:[ \t]+|$))?(?P<message>.*)"
    ),
    iso,
    (
        rule(r"Executing command line: (?P<command_line>[^\n]+)", K.PROCESS_CREATE),
        rule(_DONE, K.PACKAGE_INSTALL, Outcome.SUCCESS),
        rule(_FAILED, K.PACKAGE_INSTALL, Outcome.FAILURE),
        rule(r"^Session: (?P<session>\S+) initialized by client (?P<client>[^.\n]+)", K.LOG_MESSAGE),
        rule(r"^PID=(?P<pid>\d+)(?: TID=(?P<thread>\d+))?", K.LOG_MESSAGE),
    ),
    provider="windows-servicing",
    read=text_lines,
)


def parse(file: File) -> Iterator[Record]:
    return text_records(file, LOG)
