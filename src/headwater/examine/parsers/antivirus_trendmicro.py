# SPDX-License-Identifier: Apache-2.0
"""What Trend Micro's agent (OfficeScan, Worry-Free, Apex One) found and did about it (antivirus.trendmicro).

Reads:  Misc/pccnt35.log of the agent's folder.
Time:   seconds since 1970, UTC, where the line has them; else its day and minute by the host's own clock and zone.
Format: fields between ``<;>``: day, minute, threat, result, kind of scan, –, folder, file, –, seconds; codes as in
        https://plaso.readthedocs.io (trendmicro_vd) and the maker's manual of virus logs.
Limits: fields without a known meaning stand under their numbers; the file's content, if it was kept, lies in SUSPECT in a
        form of the maker's own and is not read.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._records import event
from headwater.examine.parsers._text import Line, line_records
from headwater.examine.parsers._when import NONE, When, iso
from headwater.model.kinds import EventKind, GapReason, Outcome, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Value

FEED = "antivirus.trendmicro"
VERSION = 1
READS = ("/Misc/pccnt35.log", "/misc/pccnt35.log", "/pccnt35.log")
_BETWEEN = "<;>"
_LAST = 1 << 33  # seconds
_DONE = {
    0: ("cleaned", True), 1: ("quarantined", True), 2: ("removed (deleted)", True), 3: ("renamed", True),
    4: ("blocked (access denied)", True),
    5: ("not disinfected", False), 6: ("not moved", False), 7: ("not deleted", False), 8: ("not renamed", False),
    10: ("not disinfected, quarantined", True), 11: ("not disinfected, removed (deleted)", True), 12: ("not disinfected, renamed", True),
    13: ("blocked (access denied)", True), 14: ("not disinfected, not moved", False), 15: ("not disinfected, not deleted", False),
    16: ("not disinfected, not renamed", False), 25: ("passed as a potential risk", False),
}  # fmt: skip
_SCANS = {0: "manual", 1: "real-time", 2: "scheduled", 3: "scan now", 4: "damage cleanup"}


def parse(file: File) -> Iterator[Record]:
    return line_records(file, _made)


def _made(line: Line) -> Event | Gap:
    parts = line.text.lstrip("\ufeff").split(_BETWEEN)
    if len(parts) < 8 or not parts[0].isascii() or not parts[0].isdigit():
        return Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "fewer fields than a detection has")
    when = _when(parts)
    done = _number(parts[3])
    action, good = _DONE.get(done, (f"result {parts[3]}", None)) if done is not None else (parts[3] or None, None)
    scan = _number(parts[4])
    kind = _SCANS.get(scan, parts[4]) if scan is not None else parts[4]
    said: dict[str, Value] = {
        "provider": "trend-micro", "threat": parts[2], "action": action, "scan": kind,
        "file_path": (parts[6] + parts[7]) or None,
        "time_text": " ".join(parts[:2]) if when[0] is None else None,
    }  # fmt: skip
    said |= {f"field_{n}": part for n, part in enumerate(parts) if n in (5, 8) or n > 9}
    outcome = None if good is None else Outcome.SUCCESS if good else Outcome.FAILURE
    return event(line, when, EventKind.MALWARE_DETECTED, outcome, said)


def _when(parts: list[str]) -> When:
    seconds = _number(parts[9]) if len(parts) > 9 else None
    if seconds is not None and 0 < seconds < _LAST:
        return seconds * 1_000_000_000, TimeBasis.UTC
    day, minute = parts[0], parts[1].zfill(4)
    if len(day) != 8 or len(minute) != 4:
        return NONE
    return iso(f"{day[:4]}-{day[4:6]}-{day[6:]} {minute[:2]}:{minute[2:]}:00")


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None
