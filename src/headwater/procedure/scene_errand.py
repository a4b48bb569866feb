# SPDX-License-Identifier: Apache-2.0
"""An errand to a running server: everything that comes before and after the act itself is the same for all of them.

1. Authority and case. 2. The order of the scene: a reason for every inversion. 3. The persons and the witness that the kind
of investigation asks for. 4. The server is reached, and held against the mandate. 5. The act. 6. Its entry, with the
visit: clock, connection, and the traces that our own login leaves there as authorised acts; an errand that failed is
entered as an attempt with the same. Who acts signs every entry by their own key; a second person signs the act's entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headwater.case.authority import Claim
from headwater.model.custody import NOT_RECORDED, Sealed
from headwater.model.errors import AcquireError, HeadwaterError
from headwater.procedure.admission import admitted
from headwater.procedure.corridor import Corridor, Progress, environment, silent
from headwater.procedure.hands import countersign, second_of
from headwater.procedure.reaching import Reach
from headwater.procedure.scene import ACTED, Passed, gate, plan_of, server_of
from headwater.procedure.scene_visit import LOCAL, Visit, visited
from headwater.procedure.signing import Hand
from headwater.procedure.within_mandate import gate_note, within
from headwater.vault.roles import Actor

ATTEMPTED = "scene-attempt"


@dataclass(frozen=True, slots=True)
class Errand:
    """What a person asks for. ``remote``: the fields of remote work; the reasons where the rules ask for more than is there."""

    address: str
    case: Path
    claim: Claim
    examiners: tuple[str, ...] = ()
    because: str | None = None
    override: str | None = None
    remote: Mapping[str, str] = field(default_factory=dict)
    witness: str = ""
    no_witness: str = ""
    one_person: str = ""
    reach: Reach = field(default_factory=Reach)
    command: tuple[str, ...] = ()
    hand: Hand | None = None  # who acts, by their own key
    second: Hand | None = None  # who was there too, and signs the act once it is entered

    @property
    def asset(self) -> str:
        """What the server is called, before the plan knows better."""
        return "localhost" if self.address in {LOCAL, "local"} else server_of(self.address)


@dataclass(frozen=True, slots=True)
class There:
    """At the server: the case, the visit, the decision with which the act passed, what spoke against it."""

    corridor: Corridor
    visit: Visit
    passed: Passed
    objections: tuple[Mapping[str, str], ...]
    errand: Errand
    second: Actor

    def enter(self, act: str, more: Mapping[str, Any], **rest: Any) -> Sealed:
        """Step 6."""
        note = {
            "act": act,
            **self.passed.note(),
            "by": list(self.corridor.actors),
            "one_person": self.errand.one_person,
            "witness": self.errand.witness or {"not_recorded": self.errand.no_witness or NOT_RECORDED},
            "visit": self.visit.plain(),
            "remote": dict(self.errand.remote),
            **gate_note(self.objections, self.errand.override),
            **more,
        }
        sealed = self.corridor.record(ACTED, note=note, environment=environment(), **rest)
        countersign(self.corridor, self.second, act, sealed)
        return sealed


@contextmanager
def at_server(errand: Errand, act: str, progress: Progress = silent) -> Iterator[There]:
    """Steps 1 to 4; the case is locked and the connection stands until the end.

    Raises:
        AcquireError: HW2150 to HW2152 the scene's rules; HW2064 to HW2066, HW2190 the server is not reached.
        AuthorityError: HW1001 … the authority, HW1013 outside the mandate.
    """
    with admitted(
        errand.case, errand.claim, errand.examiners, errand.command, progress, errand.hand, signed=True
    ) as corridor:
        second = second_of(corridor, errand.second, errand.asset)
        passed = gate(corridor, act, errand.asset, errand.because)
        _persons(corridor, errand)
        method = "" if errand.address in {LOCAL, "local"} else "remote"
        first = [] if method == "" else [("address", errand.asset)]
        within(corridor, first or None, errand.override, method=method, remote=errand.remote)
        note = {"act": act, **passed.note(), "by": list(corridor.actors)}
        came: list[Visit] = []
        try:
            with visited(errand.address, errand.reach) as visit:
                came.append(visit)
                found = within(corridor, visit.targets(), errand.override, method=method, remote=errand.remote)
                yield There(corridor, visit, passed, tuple(found), errand, second)
        except (HeadwaterError, KeyboardInterrupt) as error:
            # our login left its traces there all the same, and they must not be taken for the intruder's
            if came:
                note["visit"] = came[0].plain()
            note["failed"] = f"{error.code} {error.text('en')}" if isinstance(error, HeadwaterError) else "interrupted"
            corridor.record(ATTEMPTED, note=note, environment=environment())
            raise


def _persons(corridor: Corridor, errand: Errand) -> None:
    """Step 3.

    Raises:
        AcquireError: HW2152.
    """
    rules, people = plan_of(corridor).rules, corridor.actors
    if len(set(people)) < rules.persons and not errand.one_person.strip():
        raise AcquireError(
            "HW2152", what=f"{len(set(people))}/{rules.persons}: {', '.join(people)}", option="--one-person"
        )
    if rules.witness and not errand.witness.strip() and not errand.no_witness.strip():
        raise AcquireError("HW2152", what="witness", option="--no-witness")
