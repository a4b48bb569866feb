# SPDX-License-Identifier: Apache-2.0
"""Drivers and devices that Windows installed, and the commands that asked for it (windows.setupapi).

Reads:  /Windows/INF/setupapi.dev.log, setupapi.setup.log, setupapi.app.log and their dated predecessors.
Time:   milliseconds by the host's own clock and zone: of a section's beginning, of the session's boot.
Format: https://learn.microsoft.com/windows-hardware/drivers/install/setupapi-text-logs; a section is one event over all its lines.
Limits: before Vista (setupapi.log) the format was another one, which is not read; a section is written when it ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._records import Chunk, chunks, event
from headwater.examine.parsers._when import NONE, iso
from headwater.examine.parsers._wide import text_lines
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason, Outcome
from headwater.model.records import Event, File, Gap, Record, Value

FEED = "windows.setupapi"
VERSION = 1
READS = ("/setupapi.dev*.log", "/setupapi.setup*.log", "/setupapi.app*.log", "/setupapi.offline*.log")
_STARTS = lazy_regex(rb">>>  \[|\[Boot Session: ")
_PLAIN = lazy_regex(
    rb"\[(?:Device Install Log|BeginLog|SetupAPI)|     (?:OS Version|Service Pack|Suite|ProductType|Architecture) = "
)
_BOOT = lazy_regex(r"\[Boot Session: ([^\]\n]{1,40})\]")
_TITLE = lazy_regex(r">>>  \[([^\n]*)\][ \t]*(?:\n|$)")
_START = lazy_regex(r"^>>>  Section start ([^\n]{1,40})", re.MULTILINE)
_END = lazy_regex(r"^<<<  Section end ([^\n]{1,40})", re.MULTILINE)
_STATUS = lazy_regex(r"^<<<  \[Exit status: ([^\]\n]{1,200})\]", re.MULTILINE)
_COMMAND = lazy_regex(r"^ {1,12}cmd: ([^\n]{1,8000})", re.MULTILINE)
_ABOUT = lazy_regex(r"(?:\(([^)]*)\) )?- (.+)\Z")
_TEXT = 16_384  # characters of a section that its event carries; the rest is read at the cited place


def parse(file: File) -> Iterator[Record]:
    for chunk in chunks(file, _STARTS, _PLAIN, text_lines):
        yield _made(chunk) if isinstance(chunk, Chunk) else chunk


def _made(chunk: Chunk) -> Event | Gap:
    boot = _BOOT.match(chunk.text)
    if boot:
        when = iso(boot[1])
        said: dict[str, Value] = {"provider": "setupapi", "time_text": boot[1] if when[0] is None else None}
        return event(chunk, when, EventKind.SYSTEM_BOOT, None, said)
    title = _TITLE.match(chunk.text)
    if title is None:
        return Gap(chunk.offset, chunk.length, GapReason.NOT_THIS_FORMAT, "the head of the section cannot be read")
    start, end, status, command = (p.search(chunk.text) for p in (_START, _END, _STATUS, _COMMAND))
    when = iso(start[1]) if start else NONE
    about = _ABOUT.search(title[1])
    said = {
        "provider": "setupapi",
        "section": title[1],
        "reason": about[1] if about else None,
        "ended": end[1].strip() if end else None,
        "result": status[1] if status else None,
        "command_line": command[1].strip() if command else None,
        "time_text": start[1] if start and when[0] is None else None,
        "message": chunk.text[title.end() :][:_TEXT].rstrip(),
        "message_cut": True if len(chunk.text) - title.end() > _TEXT else None,
    }
    kind, t_kind = EventKind.LOG_MESSAGE, "logged"
    if about and title[1].startswith("Device Install (Hardware initiated)"):
        kind, t_kind, said["device"] = EventKind.STATE_DEVICE, "installed", about[2]
    elif about and "Import Driver Package" in title[1]:
        kind, said["package"] = EventKind.PACKAGE_INSTALL, about[2]
    good = status[1].startswith("SUCCESS") if status else None
    outcome = None if good is None else Outcome.SUCCESS if good else Outcome.FAILURE
    return event(chunk, when, kind, outcome, said, t_kind=t_kind)
