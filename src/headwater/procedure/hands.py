# SPDX-License-Identifier: Apache-2.0
"""Whose hand an act is: the person behind a key file, looked up among those enrolled in the case."""

from __future__ import annotations

from collections.abc import Mapping

from headwater.model.errors import AuthorityError
from headwater.procedure.signing import Hand
from headwater.vault.roles import Actor, person_of
from headwater.vault.signers import open_signer, there
from headwater.vault.trail import Person


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
