# SPDX-License-Identifier: Apache-2.0
"""Set a finding aside with a reason, or take that back: an entry in the ledger by a person, signed where people are enrolled.

Where the person leaves the finding out of the steps too, steps and hypotheses are correlated anew from the findings as
they stand. The report is written anew; it shows the finding as before, with who set it aside, when and why.
"""

from __future__ import annotations

from headwater.model.custody import Sealed
from headwater.model.errors import AuthorityError, UsageError
from headwater.procedure.custody import Desk
from headwater.procedure.judgement import correlated, judged_of
from headwater.procedure.reporting import write_report
from headwater.procedure.suppressions import RESTORED, SUPPRESSED, standing

REASON_MOST = 2000  # characters


def suppress(desk: Desk, finding: str, because: str, *, steps: bool = False) -> Sealed:
    """Set a finding aside; ``steps``: leave it out of the steps and hypotheses too.

    Raises:
        UsageError: HW0005 there is no such finding, HW1015 no reason. AuthorityError: HW1010, HW1011 by the role, HW1021 it
            is not said who.
    """
    _one_person(desk)
    found = next((f for f in judged_of(desk.corridor).findings if f.id == finding), None)
    if found is None:
        raise UsageError("HW0005", what=finding)
    before = standing(desk.corridor.ledger).get(finding)
    note = {
        "finding": finding, "rule": found.rule.id, "rule_version": found.rule.version, "because": _reason(because),
        "steps": steps,
    }  # fmt: skip
    done = desk.do(SUPPRESSED, "judge", note)
    _anew(desk, steps or (before is not None and before.steps))
    return done


def restore(desk: Desk, finding: str, because: str) -> Sealed:
    """Take the setting aside back; the finding counts again.

    Raises:
        UsageError: HW0005 no such finding is set aside, HW1015 no reason. AuthorityError: HW1010, HW1011 by the role, HW1021
            it is not said who.
    """
    _one_person(desk)
    before = standing(desk.corridor.ledger).get(finding)
    if before is None:
        raise UsageError("HW0005", what=finding)
    done = desk.do(RESTORED, "judge", {"finding": finding, "because": _reason(because)})
    _anew(desk, before.steps)
    return done


def _one_person(desk: Desk) -> None:
    """Refuse to enter a judgement in the names of all at work: one of them made it."""
    if not desk.actor.name and len(desk.corridor.actors) > 1:
        raise AuthorityError("HW1021", known=", ".join(desk.corridor.actors))


def _reason(because: str) -> str:
    text = because.strip()
    if not text or len(text) > REASON_MOST:
        raise UsageError("HW1015", what=f"--because (1–{REASON_MOST})")
    return text


def _anew(desk: Desk, steps: bool) -> None:
    if steps:
        correlated(desk.corridor)
    write_report(desk.corridor)
