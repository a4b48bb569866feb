# SPDX-License-Identifier: Apache-2.0
"""Items of a case that hold a journal of another item's volumes: found by the journal's identity, opened beside it.

ext3 and ext4 may keep their journal on a device of its own. Where that device is another item of the same case, the volume
is read with the journal played back, as one inside the same medium is; the listing's entry in the ledger names the item.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from headwater.confine.pool import Pool, Task
from headwater.model.custody import Evidence
from headwater.procedure.corridor import WALKED, Corridor, evidence_of, source_of
from headwater.procedure.intake import Held, call, held
from headwater.vault.ledger import Ledger

BESIDE = "beside"  # in the note of a listing: the numbers of the items that it was read with
_NO_MEDIUM = frozenset({"folder", "archive", "file", "collection", "memory"})


def _asked(pool: Pool, item: Evidence) -> dict[str, Any]:
    with held(source_of(item)) as files:
        task = Task(
            f"journals-{item.number}", "headwater.procedure.child_outer_journal:journals", {"files": files.args()}, files.fds,
            wall=1_200.0, cpu=600,
        )  # fmt: skip
        return call(pool, task)


def beside(corridor: Corridor, pool: Pool, item: Evidence) -> tuple[Evidence, ...]:
    """The other items of the case that hold a journal which a volume of this one asks for; looked for anew."""
    media = [each for each in evidence_of(corridor.ledger) if each.kind not in _NO_MEDIUM]
    others = [each for each in media if each.number != item.number]
    if len(others) == len(media) or not others:
        return ()
    wants = set(_asked(pool, item)["wants"])
    return tuple(each for each in others if wants & set(_asked(pool, each)["holds"])) if wants else ()


def listed_with(ledger: Ledger, number: int) -> tuple[int, ...]:
    """The numbers of the items beside which an item was last listed."""
    found: tuple[int, ...] = ()
    for sealed in ledger.entries():
        if sealed.entry.action == WALKED and number in sealed.entry.evidence:
            found = tuple(int(n) for n in sealed.entry.note.get(BESIDE, ()))
    return found


@contextmanager
def held_as_listed(ledger: Ledger, item: Evidence) -> Iterator[Held]:
    """The files of an item, and those of the items beside which it was listed.

    Raises:
        AcquireError: as :func:`held`.
    """
    numbers = listed_with(ledger, item.number)
    others = [each for each in evidence_of(ledger) if each.number in numbers] if numbers else []
    with held(source_of(item), [(each.number, source_of(each)) for each in others]) as files:
        yield files
