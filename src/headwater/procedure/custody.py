# SPDX-License-Identifier: Apache-2.0
"""Custody at work: who acts is known by their key, the act is permitted by their role, and it is entered signed.

1. The person's key file is opened and looked up among those enrolled; the role must permit the act.
2. An act that takes two persons is approved first: the approver signs an entry over what exactly is asked.
3. The event is replayed over the chain so far; one that opens a gap needs a reason.
4. Approval and act are committed together.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headwater.case.folder import locked
from headwater.formats.canonical import digest
from headwater.model.custody import Sealed
from headwater.model.errors import AuthorityError, UsageError, VaultError
from headwater.procedure.corridor import TOOL, Corridor, encode_argument, evidence_of, open_case, utc_now
from headwater.procedure.hands import actor_of, enrolled
from headwater.procedure.signing import Hand
from headwater.vault import custody, items
from headwater.vault.custody import APPROVED, CUSTODY, Event, State
from headwater.vault.roles import TWO_PERSONS, Actor, permit
from headwater.vault.storage import Folder
from headwater.vault.trail import Person

OBJECTS = "objects"


@dataclass(frozen=True, slots=True)
class Desk:
    """A case open for an act: the people enrolled, who acts, and who approves."""

    corridor: Corridor
    people: Mapping[str, Person]
    actor: Actor
    approver: Actor | None = None

    @property
    def store(self) -> Folder:
        """Where the contents of added items lie."""
        return Folder(self.corridor.case / OBJECTS)

    def record(
        self, action: str, note: Mapping[str, Any], *, evidence: Sequence[int] = (),
        materials: Mapping[str, str] | None = None, products: Mapping[str, str] | None = None,
        actor: Actor | None = None,
    ) -> Sealed:  # fmt: skip
        """Enter an act in the name and with the signature of the actor."""
        who = actor or self.actor
        return self.corridor.ledger.append(
            action,
            time=utc_now(),
            actors=(who.name,) if who.name else self.corridor.actors,
            tool=TOOL,
            command=[encode_argument(word) for word in self.corridor.command],
            evidence=evidence,
            materials=materials,
            products=products,
            note=note,
            signer=who.signer,
        )

    def permit(self, act: str) -> None:
        """Let an act pass by the roles of those at the desk.

        Raises:
            AuthorityError: HW1010, HW1011, HW1012.
        """
        permit(self.people, self.actor, act, self.approver)

    def do(self, action: str, act: str, note: Mapping[str, Any], **more: Any) -> Sealed:
        """Permit, have it approved where it takes two, and enter it; both entries are durable together."""
        self.permit(act)
        if act not in TWO_PERSONS:
            return self.record(action, note, **more)
        request = digest({"act": act, "note": dict(note)})
        with self.corridor.ledger.group():
            said = self.record(APPROVED, {"act": act, "request": request}, actor=self.approver)
            return self.record(action, dict(note) | {"request": request, "approved_by": said.hash}, **more)


@contextmanager
def at_desk(
    case: Path, command: Sequence[str], hand: Hand | None = None, approver: Hand | None = None
) -> Iterator[Desk]:
    """Open a case for an act; the case is locked and its ledger closed at the end.

    Raises:
        AuthorityError: HW1020 where people are enrolled and nobody is named; HW1010 the name is not among them; HW1019 it is
            somebody else's.
        VaultError: HW3010, a key cannot be opened.
    """
    corridor = open_case(case, command)
    with corridor.ledger, locked(case):
        people = corridor.ledger.examined(signatures=False).people
        actor = actor_of(people, hand)
        if people and actor.signer is None:
            raise AuthorityError("HW1020", known=enrolled(people))
        yield Desk(corridor, people, actor, actor_of(people, approver) if approver else None)


def holders(corridor: Corridor) -> dict[str, tuple[str, str]]:
    """Per number (E1 … for sources, I1 … for items): who held it when registered, and its registered SHA-256."""
    found = {f"E{e.number}": (e.custodian, e.digests["sha256"]) for e in evidence_of(corridor.ledger)}
    for item in items.items_of(corridor.ledger.entries()):
        found[item.number] = (item.value("custodian"), item.sha256)
    return found


def chains(corridor: Corridor, more: Sequence[Event] = ()) -> dict[str, State]:
    """Every item's chain of custody as the ledger has it, and after further events."""
    people = bool(corridor.ledger.examined(signatures=False).people)
    events = custody.events_of(corridor.ledger.entries())
    return custody.replay(holders(corridor), [*events, *more], people=people)


def enter(desk: Desk, event: Event) -> Sealed:
    """Enter a custody event.

    Raises:
        VaultError: HW3014 no such item, HW3016 it would break the chain; UsageError: HW1015 no purpose.
        AuthorityError: the role does not permit it.
    """
    known = holders(desk.corridor)
    for number in event.items:
        if number not in known:
            raise VaultError("HW3014", what=number)
    if not event.purpose.strip():
        raise UsageError("HW1015", what="purpose")
    desk.permit(event.act)
    event = replace(
        event,
        person=desk.actor.name or ", ".join(desk.corridor.actors),
        client_time=event.client_time or utc_now(),
        hash_before=dict(event.hash_before) or _held_now(desk, event.items),
        signed=desk.actor.signer is not None,
        approved=event.act in TWO_PERSONS,
        entry="new",
    )
    custody.admit(chains(desk.corridor), chains(desk.corridor, [event]), event.override)
    numbers = [int(n[1:]) for n in event.items if n.startswith("E")]
    return desk.do(CUSTODY, event.act, custody.note_of(event), evidence=numbers, materials=event.hash_before)


def _held_now(desk: Desk, numbers: Sequence[str]) -> dict[str, str]:
    """The digests of added items as they lie in the store now; sources are digested by ``verify``, not here."""
    found = {}
    by_number = {i.number: i for i in items.items_of(desk.corridor.ledger.entries())}
    for number in numbers:
        if number in by_number:
            for _ in desk.store.blocks(by_number[number].sha256):
                pass  # raises where the content is another
            found[number] = by_number[number].sha256
    return found


def transfer(desk: Desk, event: Event, receiver: Hand | None) -> list[Sealed]:
    """Hand over, and, where the receiver is there too, receive: two entries, two signatures.

    Raises:
        VaultError: HW3016 and what :func:`enter` raises.
    """
    event = replace(event, act="transfer", given_by=event.given_by if event.given_by[0] else (desk.actor.name, ""))
    given = enter(desk, event)
    if receiver is None:
        return [given]
    taker = replace(desk, actor=actor_of(desk.people, receiver))
    answer = replace(event, act="receive", answers=given.hash, override="")
    return [given, enter(taker, answer)]


def waiting(corridor: Corridor, number: str) -> str:
    """The hash of the transfer of an item that nobody has signed for yet.

    Raises:
        VaultError: HW3016 where there is none.
    """
    state = chains(corridor).get(number)
    if state is None or not state.offered:
        raise VaultError("HW3016", number, what="no transfer waits to be received")
    return next(iter(state.offered))


ACCESS = "access"
_FREEZES = frozenset({"seal", "hold", "seize"})


def looked(corridor: Corridor, verb: str, query: str = "") -> Sealed | None:
    """Enter that the case's evidence or results were read or searched, once it is frozen; None before that.

    Frozen means sealed, seized or under legal hold, or a baseline time recorded (Art. 111: the access log after
    freezing). Entered under the case's key with the account of the machine, since reading asks for no signature.
    """
    if not (corridor.case / "keys" / "case.key").is_file():
        return None  # a copy without the key can be read, though nothing can be added to it
    frozen = False
    for sealed in corridor.ledger.entries():
        entry = sealed.entry
        frozen = frozen or entry.action == "baseline" or (entry.action == CUSTODY and entry.note["act"] in _FREEZES)
    if not frozen:
        return None
    numbers = [e.number for e in evidence_of(corridor.ledger)]
    note = {"verb": verb, "query": query, "account": account()}
    return corridor.record(ACCESS, evidence=numbers, note=note)


def account() -> str:
    """The account of the machine that this process runs under: number, and name where there is one."""
    try:
        return f"{os.getuid()} {pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return str(os.getuid())
