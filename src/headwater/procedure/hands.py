# SPDX-License-Identifier: Apache-2.0
"""Whose hand an act is: the person behind a key file, looked up among those enrolled in the case.

A second person who was there signs the act once it is entered, by an entry of their own that names its hash.
"""

from __future__ import annotations

from collections.abc import Mapping

from headwater.model.custody import Sealed
from headwater.model.errors import AuthorityError
from headwater.procedure.corridor import TOOL, Corridor, encode_argument, utc_now
from headwater.procedure.signing import Hand
from headwater.vault.roles import Actor, permit, person_of, roles_for
from headwater.vault.signers import open_signer, there
from headwater.vault.trail import Person

__all__ = ["COUNTERSIGNED", "actor_of", "countersign", "enrolled", "second_of", "there"]
COUNTERSIGNED = "countersign"


def enrolled(people: Mapping[str, Person]) -> str:
    """The names of those who are enrolled, for a person who named nobody."""
    return ", ".join(sorted({person.name for person in people.values()}))


def actor_of(people: Mapping[str, Person], hand: Hand | None) -> Actor:
    """The person with their key open; by name alone while nobody is enrolled and no key is there.

    Raises:
        AuthorityError: HW1010 the key is not among those enrolled, HW1019 it is somebody else's.
        VaultError: HW3010, it cannot be opened.
    """
    if hand is None:
        return Actor("")
    if not people and not there(hand.key):
        return Actor(hand.name)
    holder = open_signer(hand.key, hand.passphrase)
    person = person_of(people, holder)
    if person.name != hand.name:
        raise AuthorityError("HW1019", str(hand.key), whose=person.name, what=hand.name)
    return Actor(person.name, holder, person.organisation)


def second_of(corridor: Corridor, hand: Hand | None, what: str) -> Actor:
    """Who signs too, by another key than whoever acts on ``what``; at work from now on.

    Raises:
        AuthorityError: HW1010 not enrolled, HW1011 no role for it, HW1012 it is the same person.
    """
    people = corridor.ledger.examined(signatures=False).people if hand is not None else {}
    second = actor_of(people, hand)
    if second.signer is not None:
        permit(people, second, "add")
        if corridor.signer is not None and corridor.signer.public == second.signer.public:
            raise AuthorityError("HW1012", what=what, roles=roles_for("add"))
    if second.name and second.name not in corridor.actors:
        corridor.actors = (*corridor.actors, second.name)
    return second


def countersign(corridor: Corridor, second: Actor, act: str, sealed: Sealed) -> None:
    """The second person's signature under an entry, where they have a key."""
    if second.signer is not None:
        corridor.ledger.append(
            COUNTERSIGNED, time=utc_now(), actors=(second.name,), tool=TOOL,
            command=[encode_argument(word) for word in corridor.command],
            note={"act": act, "entry": sealed.hash}, signer=second.signer,
        )  # fmt: skip
