# SPDX-License-Identifier: Apache-2.0
"""Commands that at and batch are to run, or ran while their file was still there (linux.at).

Reads:  /var/spool/cron/atjobs/*, /var/spool/at/*, /var/spool/atjobs/*.
Time:   when the job is due: minutes since 1970, UTC by the host's own clock, in the file's name.
Format: name: queue letter (``=`` while it runs), five hexadecimal digits of the job's number, eight of the minute; a shell
        script that sets the caller's environment, then runs the job (at's at.c).
Limits: a job's file is removed after it ran; who set it stands in ``uid``, the name in passwd.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._text import name_of
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason, TimeBasis
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Skip, Value
from headwater.model.times import SECOND

FEED = "linux.at"
VERSION = 2
READS = ("/var/spool/cron/atjobs/*", "/var/spool/at/*", "/var/spool/atjobs/*")
_MOST = 1 << 20
_NAME = lazy_regex(r"([a-zA-Z=])([0-9a-f]{5})([0-9a-f]{8})")
_HEAD = lazy_regex(r"#!/bin/sh\n# atrun uid=(\d{1,10}) gid=(\d{1,10})\n(?:# mail (\S+) )?")
_FOLDER = lazy_regex(r"^cd (.*?) \|\| \{\n.*?\n\}\n", re.MULTILINE | re.DOTALL)


def recognise(head: bytes) -> bool:
    return head.startswith(b"#!/bin/sh\n# atrun uid=")


def parse(file: File) -> Iterator[Record]:
    if not file.size:
        return
    name = name_of(file.path)
    if name in (".SEQ", ".lockfile"):
        yield Skip(0, file.size, "the daemon's counter")
        return
    try:
        text = file.pread(0, min(file.size, _MOST)).decode("utf-8", "surrogateescape")
    except OSError as error:
        yield Gap(0, file.size, GapReason.UNREADABLE, f"input/output error {error.errno}")
        return
    head, named = _HEAD.match(text), _NAME.fullmatch(name)
    if head is None or file.size > _MOST:
        yield Gap(0, file.size, GapReason.NOT_THIS_FORMAT, "no job of at")
        return
    folder = _FOLDER.search(text)
    due = int(named[3], 16) * 60 * SECOND if named else None
    if due is not None and not 0 < due < 1 << 62:
        due = None
    job = re.sub(r"\A\$\{SHELL:-/bin/sh\} << '(marcinDELIMITER\w+)'\n(.*)\n\1\s*\Z", r"\2",
                 text[folder.end() :].strip() if folder else text, flags=re.DOTALL)  # fmt: skip
    fields: dict[str, Value] = {
        "mechanism": "at",
        "uid": int(head[1]),
        "gid": int(head[2]),
        "queue": named[1] if named else None,
        "job": int(named[2], 16) if named else None,
        "pwd": folder[1] if folder else None,
        "script": text[:16_384],
    }
    yield Event(
        0, file.size, EventKind.STATE_SCHEDULE, due, TimeBasis.NONE if due is None else TimeBasis.UTC, "due",
        user=head[3], command_line=job.strip()[:16_384] or None, file_path=file_layer(file.path),
        fields={k: v for k, v in fields.items() if v is not None},
    )  # fmt: skip
