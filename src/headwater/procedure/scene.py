# SPDX-License-Identifier: Apache-2.0
"""The scene of a case: its plan, what was done there as the ledger has it, and the gate that every act passes.

1. What was done is read from the ledger alone: acts recorded by hand, those of the program, images, collections.
2. An act is held against the plan's order; an inversion needs a reason, a guard refuses (:mod:`headwater.scene.order`).
3. The decision and its reason stand in the entry of the act itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from headwater.acquire.ssh_session import target_of
from headwater.model.custody import Sealed
from headwater.model.errors import AcquireError, UsageError
from headwater.model.times import from_rfc3339
from headwater.procedure.corridor import PLANNED, Corridor, environment, utc_now
from headwater.procedure.custody import Desk
from headwater.procedure.imaging import IMAGED
from headwater.scene.acts import ACTS
from headwater.scene.order import Done, Judged, judge
from headwater.scene.plan import Plan, Row, checked, checklist, from_plain

ACTED, COLLECTED = "scene-act", "collect"
_AHEAD_NS = 120_000_000_000  # how far a person's clock may be ahead of this machine's


def plan_of(corridor: Corridor) -> Plan:
    """The plan last recorded; where none was, a response with nothing else known."""
    found = corridor.ledger.last(PLANNED)
    return from_plain(found.entry.note["plan"]) if found is not None else Plan()


def set_plan(desk: Desk, given: Mapping[str, Any]) -> Plan:
    """Record the plan with the parts given replaced; the earlier one stays in the ledger."""
    plan = checked(replace(plan_of(desk.corridor), **{k: v for k, v in given.items() if v}))
    desk.permit("scope")
    desk.record(PLANNED, {"plan": asdict(plan), "ready": environment()})
    return plan


def server_of(address: str) -> str:
    """The host of an SSH address, which is a server's name until the plan knows a better one.

    Raises:
        UsageError: HW2063.
    """
    return target_of(with_path(address)).host


def with_path(address: str) -> str:
    """An SSH address with a path, where it has none: a server as a whole is meant."""
    rest = address.partition("://")[2]
    return address if rest.partition("/")[2] else address.rstrip("/") + "/."


def history(corridor: Corridor) -> list[Done]:
    """What was done at the scene, in the order in which it stands in the ledger."""
    plan = plan_of(corridor)
    found: list[Done] = []
    for sealed in corridor.ledger.entries():
        entry, note = sealed.entry, sealed.entry.note
        if entry.action == ACTED:
            waives, unlocked = str(note.get("waives", "")), note.get("encrypted", None) == []
            asset = plan.asset(str(note["asset"]))
            found.append(Done(str(note["act"]), asset, int(note["when_ns"]), waives, unlocked))
        elif entry.action in {IMAGED, COLLECTED}:
            name = "image" if entry.action == IMAGED else "collect"
            told = _asset_of(plan, sealed)
            if told is not None:
                found.append(Done(name, told, from_rfc3339(entry.time)))
    return found


def _asset_of(plan: Plan, sealed: Sealed) -> str | None:
    """The asset of an image or a collection; None where it cannot be told among several."""
    note = sealed.entry.note
    for name in (*sealed.entry.materials, note.get("source"), note.get("target"), note.get("address")):
        if isinstance(name, str) and name.startswith("ssh://"):
            try:
                return plan.asset(server_of(name))
            except UsageError:
                continue
        if isinstance(name, str) and plan.asset(name) in plan.assets:
            return plan.asset(name)
    return "" if len(plan.assets) <= 1 else None


@dataclass(frozen=True, slots=True)
class Passed:
    """The decision with which an act passed the gate, as it is recorded. ``asset`` as the plan calls it."""

    asset: str
    when_ns: int
    judged: Judged
    because: str
    happened: bool

    def note(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "asset": self.asset,
            "when_ns": str(self.when_ns),
            "inversions": [asdict(t) for t in self.judged.inversions],
            "guards_broken": [asdict(t) for t in self.judged.guards],
            "because": self.because,
            "happened": self.happened,
        }


def gate(
    corridor: Corridor, act: str, asset: str, because: str | None = None, *, when: str = "", happened: bool = False
) -> Passed:
    """Let an act pass, or not. ``when``: RFC 3339, now where empty; ``happened``: it was done before it was asked about.

    Raises:
        AcquireError: HW2150 out of order without a reason, HW2151 a guard stands against it.
        UsageError: HW1018 no such act, HW2155 no time, or one that has not come yet.
    """
    if act not in ACTS:
        raise UsageError("HW1018", what=act, known=", ".join(ACTS))
    plan, now = plan_of(corridor), from_rfc3339(utc_now())
    try:
        at = from_rfc3339(when) if when else now
    except ValueError as error:
        raise UsageError("HW2155", what=when) from error
    if at > now + _AHEAD_NS:
        raise UsageError("HW2155", what=when)
    reason, name = (because or "").strip(), plan.asset(asset)
    judged = judge(plan.rules, history(corridor), Done(act, name, at), tuple(plan.assets))
    if judged.guards and not (happened and reason):
        raise AcquireError("HW2151", name, act=ACTS[act].text, reasons=judged.guards)
    if judged.inversions and not reason:
        raise AcquireError("HW2150", name, act=ACTS[act].text, reasons=judged.inversions)
    return Passed(name, at, judged, reason, happened)


def standing(corridor: Corridor) -> list[Row]:
    """The checklist as it stands now."""
    return checklist(plan_of(corridor), history(corridor), from_rfc3339(utc_now()))
