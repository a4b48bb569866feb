# SPDX-License-Identifier: Apache-2.0
"""What podman's own database says of its containers, which it does from when they are made: also of those that never ran.

``libpod/bolt_state.db`` has under ``ctr`` a bucket for each id with ``config``; since podman 5 ``db.sql`` (SQLite) has the
table ``ContainerConfig`` with ``ID`` and ``JSON`` (https://github.com/containers/podman: libpod/boltdb_state.go,
libpod/sqlite_state.go, libpod/container_config.go). The JSON holds the runtime's specification with the names of volumes
beside it. What is missing or of another type is left out; nothing raises but what opening the file does.
"""

from __future__ import annotations

from typing import Any

from headwater.examine.container_facts import LISTED_MOST, Facts, environment, parsed, part, text
from headwater.formats.bolt_file import Bolt
from headwater.formats.patterns import lazy_regex
from headwater.formats.sqlite_file import Database, Fault

_ID = lazy_regex(r"^[0-9a-f]{64}$")


def of_bolt(bolt: Bolt) -> dict[str, Facts]:
    """The containers of ``bolt_state.db`` by id."""
    found: dict[str, Facts] = {}
    top = bolt.at(b"ctr")
    for item in bolt.items(top) if top is not None else ():
        number = item.key.decode("ascii", "replace")
        if item.bucket and _ID.match(number) and len(found) < LISTED_MOST:
            config = next((inner.value for inner in bolt.items(item) if inner.key == b"config"), b"")
            found[number] = _facts(number, parsed(config))
    return found


def of_sqlite(database: Database) -> dict[str, Facts]:
    """The containers of ``db.sql`` by id."""
    found: dict[str, Facts] = {}
    table = next((t for name, t in database.tables().items() if name.lower() == "containerconfig"), None)
    for row in database.rows(table.root) if table is not None else ():
        if table is None or isinstance(row, Fault) or len(found) >= LISTED_MOST:
            continue
        said = dict(zip((name.lower() for name in table.columns), row.values))
        number, config = said.get("id"), said.get("json")
        if isinstance(number, str) and isinstance(config, str) and _ID.match(number):
            found[number] = _facts(number, parsed(config.encode("utf-8", "replace")))
    return found


def _facts(number: str, said: Any) -> Facts:
    words = part(said, "spec", "process", "env")
    volumes = part(said, "namedVolumes")
    mounted = {}
    for volume in volumes[:LISTED_MOST] if isinstance(volumes, list) else ():
        name, place = part(volume, "volumeName"), part(volume, "dest")
        if isinstance(name, str) and isinstance(place, str) and name:
            mounted[place] = name
    zone = environment(words, "TZ").removeprefix(":") or text(part(said, "timezone"))
    return Facts(
        number, "podman", text(part(said, "name")), text(part(said, "rootfsImageName")),
        text(part(said, "spec", "hostname")), "" if zone == "local" else zone, mounted,
    )  # fmt: skip
