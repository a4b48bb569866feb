# SPDX-License-Identifier: Apache-2.0
"""What Windows Defender wrote down of its own work: detections, actions, scanned programs, command lines (windows.mplog).

Reads:  /ProgramData/Microsoft/Windows Defender/Support/MPLog-*.log, MPDetection-*.log, MPScanSkip-*.log.
Time:   UTC with milliseconds where a line has its own; the blocks of a scan and of threat actions state the host's wall clock.
Format: undocumented by its maker but for the impact lines (https://learn.microsoft.com/defender-endpoint/troubleshoot-performance-issues);
        the others as https://artefacts.help/windows_defender_support_logs.html describes them.
Limits: a program is named because Defender spent time on its files, so that a quiet one is missing; a path names the device,
        not the drive letter; blocks of behaviour telemetry have no time of their own; texts change with the version.
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

FEED = "windows.mplog"
VERSION = 1
READS = ("/MPLog-*.log", "/MPDetection-*.log", "/MPScanSkip-*.log", "/MpLog-*.log")
_RESOURCE = r"(?P<resource>(?:(?:container|web)?file:_?(?P<file_path>[^;\n]+?)(?=;|$| PropBag \[|\n))?[^\n]*?)(?: PropBag \[[^\n]*)?$"
_AMERICAN = lazy_regex(r"(\d\d)-(\d\d)-(\d{4}) (\d\d:\d\d:\d\d)")


def _when(text: str) -> When:
    """A line's own time, or a block's, whose month stands first."""
    match = _AMERICAN.match(text)
    return iso(f"{match[3]}-{match[1]}-{match[2]} {match[4]}") if match else iso(text) if "T" in text else NONE


LOG = TextLog(
    lazy_regex(rb"\d{4}-\d\d-\d\dT|Begin Resource Scan|BEGIN BM telemetry|Beginning threat actions|\*{5,}RTP Perf Log"),
    lazy_regex(
        r"(?s)(?=(?:Begin[^\n]*\n(?:[^\n]{0,2000}\n){0,12}?Start [Tt]ime:)?"
        r"(?P<time>\d{4}-\d\d-\d\dT[\d:.]{8,24}Z?|\d\d-\d\d-\d{4} [\d:]{8})|)(?:\d{4}-\d\d-\d\dT[\d:.]{8,24}Z?\s+)?(?P<message>.*)"
    ),
    _when,
    (
        rule(
            rf"(?m)^DETECTION_CLEANEVENT (?P<scan_source>\S+) (?P<action>\S+) (?P<result>\S+) (?P<threat>\S+) {_RESOURCE}",
            K.MALWARE_DETECTED,
        ),
        rule(
            rf"(?m)^DETECTION(?:EVENT (?P<scan_source>\S+)|_ADD(?:#\d+)?)? (?P<threat>\S+:\S+) {_RESOURCE}",
            K.MALWARE_DETECTED,
        ),
        rule(
            r"(?s)^Begin Resource Scan\n.*?\nThreat Name:(?P<threat>[^\n]+)(?:\nID:(?P<threat_id>\d+))?.*?"
            r"\nResource Schema:(?P<resource_kind>\w+)\nResource Path:(?P<file_path>[^\n]+)",
            K.MALWARE_DETECTED,
        ),
        rule(
            r"(?s)^Beginning threat actions\n.*?Threat Name:(?P<threat>[^\n]+)(?:\nThreat ID:(?P<threat_id>\d+))?(?:\nAction:"
            r"(?P<action>\w+))?"
            r"(?:.*?\nPath:(?:\\\\\?\\)?(?P<file_path>[^\n]+))?(?:.*?\nFile to act on SHA1:(?P<hash>[0-9A-Fa-f]{40}))?"
            r"(?:.*?\nFile owner:(?P<owner>[^\n]+))?",
            K.MALWARE_DETECTED,
        ),
        rule(
            r"(?s)^BEGIN BM telemetry\n(?:.*?\nTelemetryName:(?P<threat>[^\n]+))?(?:.*?\nProcessID:(?P<pid>\d+))?(?:.*?\nImagePath:"
            r"(?P<process>[^\n]+))?"
            r"(?:.*?\nTargetFileName:(?P<file_path>[^\n]+))?",
            K.EXECUTION_TRACE, trace="mplog",
        ),
        rule(
            r"^\[RTP\] \[Mini-filter\] Blocked file\([^)]*\): (?P<file_path>.+?)\. Process: (?P<process>[^,]+), Status: (?P<result>\w+)",
            K.MALWARE_DETECTED, action="blocked",
        ),
        rule(
            r"^ProcessImageName: (?P<process>[^\n]+?), Pid: (?P<pid>\d+), TotalTime: (?P<total_ms>\d+), Count: (?P<files>\d+), "
            r"MaxTime: (?P<longest_ms>\d+), MaxTimeFile: (?P<file_path>[^\n]+?), EstimatedImpact: (?P<impact>\d+)%",
            K.EXECUTION_TRACE, trace="mplog",
        ),
        rule(
            r"^Engine:command line reported as (?P<level>\w+): (?P<process>[A-Za-z]:\\[^(\n]+?)\((?P<command_line>.*)\)\s*$",
            K.PROCESS_CREATE,
        ),
        rule(
            r"^SDN:Issuing SDN query for (?P<file_path>.+?) \(.*\) \(sha1=(?P<sha1>[0-9a-fA-F]{40}), sha2=(?P<hash>[0-9a-fA-F]{64})\)",
            K.EXECUTION_TRACE, trace="mplog",
        ),
        rule(r'^Engine:Setting original file name "(?P<original_name>[^"]*)" for "(?P<file_path>[^"]+)"', K.EXECUTION_TRACE, trace="mplog"),
        rule(r"^Filter caching disabled for (?P<file_path>.+?) \(runtime", K.EXECUTION_TRACE, trace="mplog"),
        rule(r"^\[RTP\] \[Mini-filter\] Unsuccessful scan status[^:]*: (?P<file_path>.+?)\. Process: (?P<process>[^,]+), Status: "
             r"(?P<result>\w+)",
             K.LOG_MESSAGE, Outcome.FAILURE),
    ),
    provider="windows-defender",
    plain=lazy_regex(rb"\*{5,}(?:END [A-Za-z ]+)?\**\s*$|-{5,}\s*$"),
    read=text_lines,
)  # fmt: skip


def parse(file: File) -> Iterator[Record]:
    return text_records(file, LOG)
