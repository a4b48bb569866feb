# SPDX-License-Identifier: Apache-2.0
"""Joins to a domain or workgroup and changes of the computer's name (windows.netsetup).

Reads:  /Windows/debug/NetSetup.LOG.
Time:   milliseconds by the host's own clock and zone, the month first; logs of old systems name no year, then there is no time.
Format: https://learn.microsoft.com/troubleshoot/windows-server/active-directory/netsetup-log-file-information.
Limits: each line is an event of its own: the account and the domain of a join stand on lines beside that of its result.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._records import TextLog, rule, text_records
from headwater.examine.parsers._when import NONE, When, iso
from headwater.examine.parsers._wide import text_lines
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import Outcome
from headwater.model.records import File, Record

FEED = "windows.netsetup"
VERSION = 1
READS = ("/debug/NetSetup.LOG", "/debug/netsetup.log", "/NetSetup.LOG")
_PARTS = lazy_regex(r"(\d\d)/(\d\d)/(\d{4}) (.*)")


def _when(text: str) -> When:
    match = _PARTS.fullmatch(text)
    return iso(f"{match[3]}-{match[1]}-{match[2]} {match[4]}") if match else NONE


LOG = TextLog(
    lazy_regex(rb"\d\d/\d\d(?:/\d{4})? \d\d:\d\d:\d\d"),
    lazy_regex(r"(?s)(?P<time>\d\d/\d\d(?:/\d{4})? \d\d:\d\d:\d\d(?::\d{3})?) ?(?P<message>.*)"),
    _when,
    (
        rule(r"^NetpDoDomainJoin: status: (?P<result>0x0)\s*$", K.LOG_MESSAGE, Outcome.SUCCESS, action="join"),
        rule(r"^NetpDoDomainJoin: status: (?P<result>0x[0-9a-fA-F]+)", K.LOG_MESSAGE, Outcome.FAILURE, action="join"),
        rule(r"^\s+(?:Machine|MachineName): (?P<machine>\S+)", K.LOG_MESSAGE),
        rule(r"^\s+(?:Domain|DomainName|Name): (?P<domain>\S+)", K.LOG_MESSAGE),
        rule(r"^\s+(?:Account|MachineAccountName): (?P<user>\S+)", K.LOG_MESSAGE),
        rule(r"status(?: of[^:\n]*)?: (?P<result>0x(?!0\b)[0-9a-fA-F]+)", K.LOG_MESSAGE, Outcome.FAILURE),
    ),
    provider="netsetup",
    plain=lazy_regex(rb"-{5,}\s*$"),
    read=text_lines,
)


def parse(file: File) -> Iterator[Record]:
    return text_records(file, LOG)
