# SPDX-License-Identifier: Apache-2.0
"""Remote desktop connections that were saved: the server, the account, what was shared with it (windows.rdp_file).

Reads:  *.rdp in the folders of users, Default.rdp above all (the last connection by hand).
Time:   none of its own.
Format: https://learn.microsoft.com/windows-server/remote/remote-desktop-services/clients/rdp-files, ``name:type:value`` lines.
Limits: settings, not a record that a connection was made; what the user did not save is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._records import Chunk, event
from headwater.examine.parsers._text import user_of
from headwater.examine.parsers._when import NONE
from headwater.examine.parsers._wide import text_lines
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason
from headwater.model.records import File, Gap, Record, Value

FEED = "windows.rdp_file"
VERSION = 1
READS = ("/Users/**/*.rdp", "/Documents and Settings/**/*.rdp", "/Default.rdp", "/default.rdp")
_SETTING = lazy_regex(r"([^:]{1,80}):([isb]):(.*)\Z", re.DOTALL)
_SERVER = lazy_regex(r"\[?([^\]]+?)\]?(?::(\d{1,5}))?\Z")
_KEPT = ("gatewayhostname", "alternate shell", "remoteapplicationprogram", "redirectdrives", "drivestoredirect", "redirectclipboard",
         "authentication level", "prompt for credentials", "shell working directory")  # fmt: skip
_LINES_MOST = 2000


def parse(file: File) -> Iterator[Record]:
    said: dict[str, str] = {}
    start = end = -1
    for number, line in enumerate(text_lines(file)):
        match = None if isinstance(line, Gap) else _SETTING.match(line.text.strip())
        if match or (not isinstance(line, Gap) and not line.raw.strip() and said):
            start, end = (line.offset if start < 0 else start), line.offset + line.length
            if match and number < _LINES_MOST:
                said.setdefault(match[1].lower(), match[3])
            continue
        if said:
            yield _event(Chunk(start, end - start, ""), said, file.path)
            said, start = {}, -1
        if isinstance(line, Gap):
            yield line
        else:
            yield Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, "no setting of a connection")
    if said:
        yield _event(Chunk(start, end - start, ""), said, file.path)


def _event(place: Chunk, said: dict[str, str], path: str) -> Record:
    server = _SERVER.match(said.get("full address", "").strip())
    fields: dict[str, Value] = {
        "activity": "remote desktop client",
        "user": user_of(path),
        "account": said.get("username") or None,
        "domain": said.get("domain") or None,
        "server": server[1] if server else None,
        "dst_ip": server[1] if server else None,
        "port": int(server[2]) if server and server[2] else None,
    }
    fields |= {name: said[name][:1000] for name in _KEPT if said.get(name)}
    return event(place, NONE, EventKind.USER_ACTIVITY, None, fields, t_kind="state")
