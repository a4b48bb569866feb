# SPDX-License-Identifier: Apache-2.0
"""Updates that Windows looked for, fetched and installed (windows.update).

Reads:  /Windows/WindowsUpdate.log (text, before Windows 10), /Windows/SoftwareDistribution/ReportingEvents.log.
Time:   WindowsUpdate.log: milliseconds by the host's own clock and zone; ReportingEvents.log: with its offset.
Format: https://learn.microsoft.com/troubleshoot/windows-client/installing-updates-features-roles/windows-update-log-file, fields by tabs.
Limits: of newer systems WindowsUpdate.log holds a note alone, the trace (ETL) is not read; the texts are in the language of the host.
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

FEED = "windows.update"
VERSION = 1
READS = ("/WindowsUpdate.log", "/SoftwareDistribution/ReportingEvents.log", "/ReportingEvents.log")
_DATE = r"\d{4}-\d\d-\d\d[\t ]\d\d:\d\d:\d\d:\d{3}"
_GUID = r"\{[0-9A-Fa-f-]{36}\}"
LOG = TextLog(
    lazy_regex(rf"(?:\xef\xbb\xbf)?(?:{_GUID}\t)?{_DATE}".encode()),
    lazy_regex(
        rf"(?s)\ufeff?(?:(?P<event_id>{_GUID})\t)?(?P<time>{_DATE}(?:[+-]\d{{4}})?)(?:\t ?(?P<pid>\d+)\t(?P<thread>[0-9a-f]+)\t"
        rf"(?P<component>\S+))?\t"
        r"(?P<message>.*)"
    ),
    lambda text: iso(text.replace("\t", " ")),
    (
        rule(r"\[AGENT_INSTALLING_SUCCEEDED\]\t(?:[^\t\n]*\t){4,6}(?P<client>[^\t\n]*)\t(?P<status>[^\t\n]*)\t[^\t\n]*\t"
             r"(?P<package>[^\n]*)",
             K.PACKAGE_INSTALL, Outcome.SUCCESS),
        rule(r"\[AGENT_INSTALLING_FAILED\]\t(?:[^\t\n]*\t){4,6}(?P<client>[^\t\n]*)\t(?P<status>[^\t\n]*)\t[^\t\n]*\t(?P<package>[^\n]*)",
             K.PACKAGE_INSTALL, Outcome.FAILURE),
        rule(r"^\d+\t\d+ \[(?P<event_code>[A-Z_]+)\]\t(?:[^\t\n]*\t){4,6}(?P<client>[^\t\n]*)\t(?P<status>[^\t\n]*)", K.LOG_MESSAGE),
        rule(r"^REPORT EVENT:.*?\t18[34]\t.*?Content Install\tInstallation Successful: "
             r"(?P<package>[^\n]*)", K.PACKAGE_INSTALL, Outcome.SUCCESS),
        rule(r"^REPORT EVENT:.*?\t182\t.*?Content Install\t(?P<package>[^\n]*)", K.PACKAGE_INSTALL, Outcome.FAILURE),
    ),
    provider="windows-update",
    read=text_lines,
)  # fmt: skip


def parse(file: File) -> Iterator[Record]:
    return text_records(file, LOG)
