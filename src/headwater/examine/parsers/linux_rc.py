# SPDX-License-Identifier: Apache-2.0
"""Commands and libraries that run at boot, at login or in every program (linux.rc).

Reads:  rc.local, /etc/init.d/*, /etc/profile.d/*.sh, /etc/profile, ld.so.preload; ``mechanism`` says which.
Time:   none; the files state no time.
Format: init-d-script(5), ld.so(8), bash(1) INVOCATION; rc.local and profiles line by line, init scripts as one event.
Limits: lines of a shell program are shown as they stand, not as they would run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._scripts import whole_script
from headwater.examine.parsers._text import lines
from headwater.model.kinds import EventKind
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "linux.rc"
VERSION = 1
READS = (
    "/etc/rc.local",
    "/etc/rc.d/rc.local",
    "/etc/init.d/*",
    "/etc/rc.d/init.d/*",
    "/etc/profile",
    "/etc/profile.d/*",
    "/etc/ld.so.preload",
)


def _mechanism(path: str) -> str:
    if "/init.d/" in path:
        return "init.d"
    if path.endswith("/ld.so.preload"):
        return "ld.so.preload"
    return "rc.local" if path.endswith("rc.local") else "profile.d"


def parse(file: File) -> Iterator[Record]:
    path = file_layer(file.path)
    mechanism = _mechanism(path)
    if mechanism == "init.d":
        yield from whole_script(file, EventKind.STATE_SERVICE, {"mechanism": mechanism})
        return
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
            continue
        text = line.text.strip()
        if not text:
            yield Skip(line.offset, line.length, "blank line")
        elif text.startswith("#"):
            yield Skip(line.offset, line.length, "comment")
        else:
            fields: dict[str, Value] = {"mechanism": mechanism}
            if mechanism == "ld.so.preload":
                fields["libraries"] = " ".join(re.split(r"[\s:]+", text.partition("#")[0].strip()))
            command = None if mechanism == "ld.so.preload" else text
            user = "root" if mechanism == "rc.local" else None
            yield Event(
                line.offset,
                line.length,
                EventKind.STATE_SERVICE,
                user=user,
                command_line=command,
                file_path=path,
                fields=fields,
            )
