# SPDX-License-Identifier: Apache-2.0
"""Our own logins on servers, by the ledger, so that nobody takes them for the intruder's."""

from __future__ import annotations

from collections.abc import Mapping

from headwater.procedure.corridor import Corridor


def visits_of(corridor: Corridor) -> tuple[str, ...]:
    """Our own logins on servers as their logs have them: ``address port``, by the ledger, each once."""
    found: dict[str, None] = {}
    for sealed in corridor.ledger.entries():
        visit = sealed.entry.note.get("visit")
        words = str(visit["said"].get("ssh", "")).split() if isinstance(visit, Mapping) and "said" in visit else []
        if len(words) == 4:
            found[f"{words[0].removeprefix('::ffff:')} {words[1]}"] = None
    return tuple(found)
