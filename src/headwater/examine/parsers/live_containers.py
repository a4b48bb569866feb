# SPDX-License-Identifier: Apache-2.0
"""The containers that docker, podman, nerdctl or crictl told of (live.containers).

Reads:  /@command/{docker,podman,nerdctl,crictl}-ps*.stdout of a live collection.
Time:   the start of the command, UTC, where its .json states it; "2 hours ago" stays text.
Format: ``docker ps``: columns that begin where the header's words do; or one JSON object a line (``--format json``).
Limits: what the engine said of the containers that it knows; containers made around it are in /proc alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headwater.examine.parsers._live import CONTEXT as CONTEXT
from headwater.examine.parsers._live import captured, row, rows
from headwater.examine.parsers._records import object_of
from headwater.examine.parsers._text import Line
from headwater.model.kinds import EventKind
from headwater.model.records import Event, File, Record, Value

FEED = "live.containers"
VERSION = 1
READS = tuple(f"/@command/{name}-ps*.stdout" for name in ("docker", "podman", "nerdctl", "crictl"))
_NAMES = {
    "CONTAINER ID": "container_id", "CONTAINER": "container_id", "ID": "container_id", "IMAGE": "image", "COMMAND": "command_line",
    "CREATED": "created_text", "CREATEDAT": "created_text", "STATUS": "status", "PORTS": "ports", "NAMES": "name", "NAME": "name",
    "SIZE": "size_text", "STATE": "state", "MOUNTS": "mounts", "NETWORKS": "networks",
}  # fmt: skip


def parse(file: File) -> Iterator[Record]:
    when = captured(file)
    columns: list[tuple[str, int]] = []

    def make(line: Line, text: str) -> Event | str | None:
        if text.startswith("{"):
            entry = object_of(text)
            if entry is None:
                return None
            named = {_NAMES.get(str(k).upper()): str(v) for k, v in entry.items() if isinstance(v, str | int)}
            fields: dict[str, Value] = {k: v for k, v in named.items() if k}
        elif not columns:
            if not re.match(r"CONTAINER(?: ID)?\b", text):
                return None
            columns.extend((m[0], m.start()) for m in re.finditer(r"\S+(?: \S+)*", text))
            return "header line"
        else:
            ends = [at for _, at in columns[1:]] + [len(text)]
            cut = {n: text[at:end].strip() for (n, at), end in zip(columns, ends, strict=True)}
            fields = {_NAMES.get(n, n.lower().replace(" ", "_")): v or None for n, v in cut.items()}
        identity = fields.get("container_id")
        if not isinstance(identity, str) or not re.fullmatch(r"[0-9a-f]{8,64}", identity):
            return None
        command = fields.get("command_line")
        fields["command_line"] = str(command).strip('"“”') if command else None
        return row(line, when, EventKind.STATE_CONTAINER, fields)

    yield from rows(file, make)
