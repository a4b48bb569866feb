# SPDX-License-Identifier: Apache-2.0
"""Sessions that sudo recorded: who ran what, as whom, from which terminal and folder (linux.sudo_io).

Reads:  /var/log/sudo-io/**/log.
Time:   seconds, UTC by the host's own clock.
Format: three lines: ``seconds:user:runas:group:terminal:lines:columns``, the folder, the command (sudoers(5), log_input).
Limits: what was typed and shown is in the files beside it; newer releases write log.json as well, which is not read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason, Outcome, TimeBasis
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Value
from headwater.model.times import SECOND

FEED = "linux.sudo_io"
VERSION = 1
READS = ("/var/log/sudo-io/**/log",)
_MOST = 1 << 16  # bytes; such a file has some hundreds
_HEAD = lazy_regex(r"(\d{1,11}):([^:\n]*):([^:\n]*):([^:\n]*):([^:\n]*)(?::[^\n]*)?\n([^\n]*)\n(.*)", re.DOTALL)


def parse(file: File) -> Iterator[Record]:
    if not file.size:
        return
    try:
        text = file.pread(0, min(file.size, _MOST)).decode("utf-8", "surrogateescape")
    except OSError as error:
        yield Gap(0, file.size, GapReason.UNREADABLE, f"input/output error {error.errno}")
        return
    match = _HEAD.fullmatch(text) if file.size <= _MOST and "\0" not in text else None
    if match is None:
        yield Gap(0, file.size, GapReason.NOT_THIS_FORMAT, "no record of a session")
        return
    seconds = int(match[1])
    known = 0 < seconds < 1 << 33
    fields: dict[str, Value] = {
        "target_user": match[3] or None,
        "group": match[4] or None,
        "tty": match[5] or None,
        "pwd": match[6] or None,
        "session": file_layer(file.path).partition("/sudo-io/")[2].removesuffix("/log") or None,
        "time_text": None if known else match[1],
    }
    yield Event(
        0, file.size, EventKind.PRIVILEGE_USE, seconds * SECOND if known else None,
        TimeBasis.UTC if known else TimeBasis.NONE, outcome=Outcome.SUCCESS, user=match[2] or None, process="sudo",
        command_line=match[7].rstrip("\n") or None, fields={k: v for k, v in fields.items() if v is not None},
    )  # fmt: skip
