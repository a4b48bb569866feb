# SPDX-License-Identifier: Apache-2.0
"""Sessions, partners and logins that TeamViewer wrote down (remote.teamviewer).

Reads:  TeamViewer*_Logfile*.log, Connections_incoming.txt (program folder), Connections.txt (the user's AppData/Roaming/TeamViewer).
Time:   log files: the host's own clock and zone, milliseconds, the zone in the line "Start:"; the two lists: UTC, whole seconds (seen
        where a list and a log of one host tell of the same session; of the outgoing list taken from the incoming one).
Format: https://teamviewer.com/en/global/support/knowledge-base/teamviewer-classic/troubleshooting/log-file-reading-incoming-connection/.
Limits: an address stands there only where both sides met by UDP or in the local network, else the partner's number alone; a log file
        is begun anew at 1 MB and the one before the last is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from headwater.examine.parsers._records import TextLog, event, rule, text_records
from headwater.examine.parsers._text import Line, name_of, user_of
from headwater.examine.parsers._when import NONE, When, iso
from headwater.examine.parsers._wide import text_lines
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "remote.teamviewer"
VERSION = 1
READS = (
    "/TeamViewer*_Logfile*.log", "/TeamViewer*_logfile*.log", "/teamviewer*_logfile*.log", "/Connections_incoming.txt",
    "/connections_incoming.txt",
    "/TeamViewer/Connections.txt", "/TeamViewer/connections.txt",
)  # fmt: skip
LOG = TextLog(
    lazy_regex(rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{3} "),
    lazy_regex(
        r"(?s)(?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{3}) +(?P<pid>\d+) +(?P<thread>\d+) +(?P<level>[A-Z]?\d\S*) *(?P<message>.*)"
    ),
    iso,
    (
        rule(r"CreatePassiveSession\(\): incoming session via (?P<via>[^,\s]+)", K.AUTH_PROBE),
        rule(r"RunAuthenticationMethod: authentication using (?P<method>.+?) was successful", K.AUTH_SUCCESS, Outcome.SUCCESS),
        rule(r"RunAuthenticationMethod: authentication using (?P<method>.+?) (?:was not successful|was"
             r" denied|failed)", K.AUTH_FAILURE, Outcome.FAILURE),
        rule(r"^Authentication(?:Blocker|_)?.*?(?:wrong password|password was denied|denied)", K.AUTH_FAILURE, Outcome.FAILURE),
        rule(r"AuthenticationBlocker::Allocate: allocate (?P<answer>\S+) for DyngateID (?P<remote_id>\d+), attempt number "
             r"(?P<attempt>\d+)", K.LOG_MESSAGE),
        rule(r"CPersistentParticipantManager::AddParticipant: \[(?P<remote_id>\d+),-?(?P<session_id>\d+)\] type=6 name="
             r"(?P<remote_name>.*)", K.SESSION_OPEN),
        rule(r"CPersistentParticipantManager::(?:Add|Remove)Participant: \[(?P<participant_id>\d+),-?(?P<session_id>\d+)\]", K.LOG_MESSAGE),
        rule(r"Session to (?P<remote_id>\d+) ended", K.SESSION_CLOSE),
        rule(r"punch received a=(?P<src_ip>[0-9A-Fa-f.:\[\]]+?):(?P<port>\d+)", K.NETWORK_CONNECTION),
        rule(r"(?P<transfer>Write file|Send file|Download from|Upload to) \"?(?P<file_path>[A-Za-z]:\\[^\"\n]+)", K.USER_ACTIVITY),
        rule(r"(?s)\A\s*Start: +(?P<started>[^\n]*?)(?: \((?P<zone>UTC[^)]*)\))?\n(?:(?:.*?\n)?Version: +(?P<version>[^\n]+))?"
             r"(?:.*?\nID: +(?P<own_id>\d+))?",
             K.SERVICE_START),
    ),
    provider="teamviewer",
)  # fmt: skip
_DAY = lazy_regex(r"(\d\d)-(\d\d)-(\d{4}) (\d\d:\d\d:\d\d)")


def parse(file: File) -> Iterator[Record]:
    name = name_of(file.path).lower()
    if name not in ("connections.txt", "connections_incoming.txt"):
        yield from text_records(file, LOG)
        return
    for line in text_lines(file):
        if isinstance(line, Gap):
            yield line
            continue
        parts = [part.strip() for part in re.split(r"\t| {2,}", line.text.strip())]
        times = [n for n, part in enumerate(parts) if _DAY.fullmatch(part)]
        if not line.raw.strip():
            yield Skip(line.offset, line.length, "blank line")
        elif not times or not parts[0]:
            yield Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "no line of this list")
        elif name == "connections.txt":
            yield _outgoing(line, parts, times, user_of(file.path))
        else:
            yield from _incoming(line, parts, times)


def _day(text: str) -> When:
    match = _DAY.fullmatch(text)
    return iso(f"{match[3]}-{match[2]}-{match[1]} {match[4]}", TimeBasis.UTC) if match else NONE


def _said(parts: Sequence[str], times: Sequence[int]) -> dict[str, Value]:
    behind = list(parts[times[-1] + 1 :])
    return {
        "provider": "teamviewer",
        "remote_id": parts[0],
        "remote_name": " ".join(parts[1 : times[0]]) or None,
        "local_user": behind[0] if behind else None,
        "mode": behind[1] if len(behind) > 1 else None,
        "session_id": behind[2] if len(behind) > 2 else None,
    }


def _incoming(line: Line, parts: Sequence[str], times: Sequence[int]) -> Iterator[Event]:
    said = _said(parts, times)
    said["user"] = said.pop("local_user")
    yield event(line, _day(parts[times[0]]), K.SESSION_OPEN, Outcome.SUCCESS, said)
    if len(times) > 1:
        yield event(line, _day(parts[times[1]]), K.SESSION_CLOSE, None, said)


def _outgoing(line: Line, parts: Sequence[str], times: Sequence[int], user: str | None) -> Event:
    said = _said(parts, times) | {"user": user, "direction": "outgoing"}
    said["ended"] = parts[times[1]] if len(times) > 1 else None
    return event(line, _day(parts[times[0]]), K.USER_ACTIVITY, None, said)
