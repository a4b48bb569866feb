# SPDX-License-Identifier: Apache-2.0
"""The stacks of PAM modules as they stand: which module decides on which service's logins (linux.pam).

Reads:  /etc/pam.d/*, /usr/lib/pam.d/*, /etc/pam.conf.
Time:   none; the files state no time.
Format: pam.conf(5): ``type control module arguments``, ``@include service``; a backslash at a line's end joins lines.
Limits: a module's name says nothing about its content: see the package's digest of the module file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._settings import Joined, joined
from headwater.examine.parsers._text import name_of
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, GapReason
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Value

FEED = "linux.pam"
VERSION = 1
READS = ("/etc/pam.d/*", "/usr/lib/pam.d/*", "/etc/pam.conf")
_ENTRY = lazy_regex(
    r"\s*(?:(?P<service>[A-Za-z0-9_-]+)\s+)??(?P<type>-?(?:account|auth|password|session))\s+"
    r"(?P<control>\[[^\]]*\]|[a-z]+)\s+(?P<module>\[(?:[^\]\\]|\\.)*\]|\S+)\s*(?P<arguments>.*?)\s*",
    re.DOTALL | re.IGNORECASE,
)
_INCLUDE = lazy_regex(r"\s*@include\s+(\S+)\s*")
_OPTION = lazy_regex(r"(?:debug|expose_authtok|seteuid|quiet|quiet_log|stdout|(?:log|type)=\S+)(?:\s+|$)")


def parse(file: File) -> Iterator[Record]:
    path = file_layer(file.path)
    service = None if path.endswith("/pam.conf") else name_of(file.path)
    for found in joined(file):
        yield _event(found, path, service) if isinstance(found, Joined) else found


def _event(line: Joined, path: str, service: str | None) -> Event | Gap:
    text = line.text.partition(" #")[0]
    entry, include = _ENTRY.fullmatch(text), _INCLUDE.fullmatch(text)
    if include:
        fields: dict[str, Value] = {"mechanism": "pam", "service": service, "setting": "@include", "value": include[1]}
    elif entry:
        arguments = entry["arguments"] or None
        fields = {
            "mechanism": "pam",
            "service": entry["service"] or service,
            "setting": entry["type"].lstrip("-").lower(),
            "control": entry["control"],
            "module": entry["module"],
            "arguments": arguments,
            "value": line.text.strip(),
        }
    else:
        return Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT)
    command = None
    if entry and "pam_exec" in entry["module"]:
        command = entry["arguments"]
        while option := _OPTION.match(command):
            command = command[option.end() :]
    return Event(
        line.offset, line.length, EventKind.STATE_SETTING, command_line=command or None, file_path=path,
        fields={k: v for k, v in fields.items() if v is not None},
    )  # fmt: skip
