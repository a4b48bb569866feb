# SPDX-License-Identifier: Apache-2.0
"""The records of no-tamper examinations that a case holds, each against the digest in its ledger entry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from headwater.model.custody import Sealed
from headwater.model.errors import IntegrityError
from headwater.procedure.corridor import Corridor

NOTAMPER, FOLDER = "notamper", "notamper"


def _last(corridor: Corridor) -> dict[int, Sealed]:
    """The entry of the last examination of each item, in order of item."""
    last: dict[int, Sealed] = {}
    for sealed in corridor.ledger.entries():
        if sealed.entry.action == NOTAMPER:
            last[sealed.entry.evidence[0]] = sealed
    return dict(sorted(last.items()))


def papers(corridor: Corridor) -> Iterator[tuple[Sealed, str, bool]]:
    """Each paper of the last examinations: its entry, its name, and whether it is still the one that was entered."""
    for sealed in _last(corridor).values():
        for name, expected in sorted(sealed.entry.products.items()):
            path = corridor.case / name
            found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            yield sealed, name, found == expected


def results(corridor: Corridor) -> Iterator[tuple[int, dict[str, Any]]]:
    """(sequence number of its entry, record) of the last examination of each item, in order of item.

    Raises:
        IntegrityError: HW3003, a record is not the one that was entered.
    """
    for number, sealed in _last(corridor).items():
        name = f"{FOLDER}/E{number}.json"
        path = corridor.case / name
        data = path.read_bytes() if path.is_file() else b""
        found, expected = hashlib.sha256(data).hexdigest(), str(sealed.entry.products[name])
        if found != expected:
            raise IntegrityError("HW3003", name, expected=expected, found=found if data else "—")
        yield sealed.entry.seq, dict(json.loads(data))
