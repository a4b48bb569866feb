# SPDX-License-Identifier: Apache-2.0
"""Our own logins on servers, by the ledger, so that nobody takes them for the intruder's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headwater.model.ports import Visit
from headwater.model.times import from_rfc3339
from headwater.procedure.corridor import Corridor

# How far the server's clock may be from ours. A port comes again another day, perhaps with somebody else behind the same
# address: what lies beyond is told.
_ASTRAY = 3_600_000_000_000


def visits_of(corridor: Corridor) -> tuple[Visit, ...]:
    """Our own logins on servers as their logs have them, by the ledger, each once."""
    found: dict[Visit, None] = {}
    for sealed in corridor.ledger.entries():
        visit = sealed.entry.note.get("visit")
        words = str(visit["said"].get("ssh", "")).split() if isinstance(visit, Mapping) and "said" in visit else []
        if len(words) == 4:
            entered = from_rfc3339(sealed.entry.time)
            came = arrived(sealed.entry.note)
            first = from_rfc3339(str(came)) if came else entered
            found[Visit(f"{words[0].removeprefix('::ffff:')} {words[1]}", first - _ASTRAY, entered + _ASTRAY)] = None
    return tuple(found)


def arrived(note: Mapping[str, Any]) -> object:
    """When a visit to a server began: its login left its traces then, hours before a long act is entered."""
    scripts = note.get("visit", {}).get("ran", {}).get("scripts", [])
    return scripts[0]["began"] if scripts else None
