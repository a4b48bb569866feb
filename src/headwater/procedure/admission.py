# SPDX-License-Identifier: Apache-2.0
"""Into a case, for procedures that bring something into it: the authority first, then the case's lock and ledger.

1. A new case needs an authority, or a recorded reason for having none, before anything is made.
2. An existing one must verify, and its authority must not have ended; a new authority is entered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from headwater.case import folder as case_folder
from headwater.case.authority import Claim, grant, instant
from headwater.case.settings import CaseSettings
from headwater.model.errors import AuthorityError
from headwater.model.nouns import Authority
from headwater.procedure.corridor import (
    AUTHORISED,
    OPENED,
    Corridor,
    Progress,
    authority_of,
    environment,
    settings_of,
    silent,
)
from headwater.vault.ledger import Ledger


def _standing(ledger: Ledger, now: datetime) -> None:
    until = authority_of(ledger).valid_until
    if until is not None and now.timestamp() * 1e9 > instant(until):
        raise AuthorityError("HW1003", until=until)


@contextmanager
def admitted(
    case: Path, claim: Claim, actors: Sequence[str], command: Sequence[str], progress: Progress = silent
) -> Iterator[Corridor]:
    """The case at work, opened anew where there was none; locked until the end.

    Raises:
        AuthorityError: HW1001, HW1002, HW1003, HW1005.
        UsageError: HW0003 the folder holds something else, HW0007 another process is using it.
        IntegrityError: HW3002, the ledger does not verify.
    """
    now = datetime.now(UTC)
    new = not case_folder.is_case(case)
    authority: Authority | None = None if claim == Claim() and not new else grant(claim, now)
    case_folder.prepare(case)
    with case_folder.locked(case), Ledger(case, create=True) as ledger:
        first = next(ledger.entries(), None)
        if first is None:
            settings = CaseSettings()
            corridor = Corridor(case, ledger, settings, tuple(actors), tuple(command), progress)
            assert authority is not None
            note = {"authority": asdict(authority), "sources": [], "settings": asdict(settings)}
            corridor.record(OPENED, environment=environment(), note=note)
            settings.save(case)
        else:
            ledger.check()
            people = tuple(actors) or tuple(first.entry.actors)
            corridor = Corridor(case, ledger, settings_of(ledger), people, tuple(command), progress)
            if authority is not None and authority != authority_of(ledger):
                corridor.record(AUTHORISED, note={"authority": asdict(authority)})
            _standing(ledger, now)
        yield corridor
