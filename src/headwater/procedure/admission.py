# SPDX-License-Identifier: Apache-2.0
"""Into a case, for procedures that bring something into it: the authority first, then the case's lock and ledger.

1. A new case needs an authority, or a recorded reason for having none, before anything is made.
2. An existing one must verify, and its authority must not have ended; a new authority is entered.
3. Where people are enrolled, who acts on a server is one of them, by their own key; every entry of theirs bears it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from headwater.procedure.hands import actor_of, enrolled
from headwater.procedure.signing import Hand
from headwater.vault.ledger import Ledger
from headwater.vault.roles import Actor, permit
from headwater.vault.trail import Person


def _standing(ledger: Ledger, now: datetime) -> None:
    until = authority_of(ledger).valid_until
    if until is not None and now.timestamp() * 1e9 > instant(until):
        raise AuthorityError("HW1003", until=until)


def _acting(people: Mapping[str, Person], hand: Hand | None, *, signed: bool) -> Actor:
    """Step 3."""
    actor = actor_of(people, hand)
    if people and (signed or actor.signer is not None):
        if actor.signer is None:
            raise AuthorityError("HW1020", known=enrolled(people))
        permit(people, actor, "add")
    return actor


def _names(given: Sequence[str], acting: Actor) -> tuple[str, ...]:
    """Who is at work, whoever signs first."""
    return tuple(dict.fromkeys((*([acting.name] if acting.name else []), *given)))


@contextmanager
def admitted(
    case: Path, claim: Claim, actors: Sequence[str], command: Sequence[str], progress: Progress = silent,
    hand: Hand | None = None, *, signed: bool = False,
) -> Iterator[Corridor]:  # fmt: skip
    """The case at work, opened anew where there was none; locked until the end.

    ``hand``: who acts, by their key; ``signed``: somebody has to be named where people are enrolled.

    Raises:
        AuthorityError: HW1001, HW1002, HW1003, HW1005; HW1010, HW1011, HW1019 of who acts. VaultError: HW3010.
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
            settings, acting = CaseSettings(), _acting({}, hand, signed=signed)
            corridor = Corridor(case, ledger, settings, _names(actors, acting), tuple(command), progress)
            if authority is None:  # a ledger was made, and the run ended before its first entry
                authority = grant(claim, now)
            note = {"authority": asdict(authority), "sources": [], "settings": asdict(settings)}
            corridor.record(OPENED, environment=environment(), note=note)
            settings.save(case)
        else:
            acting = _acting(ledger.examined().people, hand, signed=signed)
            people = _names(tuple(actors) or tuple(first.entry.actors), acting)
            corridor = Corridor(case, ledger, settings_of(ledger), people, tuple(command), progress)
            corridor.signer = acting.signer
            if authority is not None and authority != authority_of(ledger):
                corridor.record(AUTHORISED, note={"authority": asdict(authority)})
            _standing(ledger, now)
        yield corridor
