# SPDX-License-Identifier: Apache-2.0
"""The case before and beside its evidence: opened, its people enrolled, its mandate, baseline and duties recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headwater.case import duties
from headwater.case import folder as case_folder
from headwater.case import mandate as mandates
from headwater.case import settings as case_settings
from headwater.case.authority import Claim, grant
from headwater.case.defects import Held, Whole
from headwater.case.mandate import Mandate
from headwater.formats.canonical import digest
from headwater.model.errors import AuthorityError, UsageError, VaultError
from headwater.model.nouns import Text
from headwater.model.times import from_rfc3339
from headwater.procedure.corridor import OPENED, Corridor, authority_of, environment, evidence_of, utc_now
from headwater.procedure.custody import Desk, chains
from headwater.procedure.signing import Hand
from headwater.procedure.within_mandate import MANDATE, compared, mandate_of
from headwater.vault import items, roles
from headwater.vault.anchors import ANCHORED
from headwater.vault.custody import UNNUMBERED, State, open_ends
from headwater.vault.keys import ENROL_DOMAIN
from headwater.vault.ledger import Ledger
from headwater.vault.signers import make_signer, open_signer, there
from headwater.vault.trail import DISMISS, ENROL

BASELINE, DUTY = "baseline", "duty"


def new_case(
    case: Path,
    claim: Claim,
    mandate: Mandate,
    changes: Mapping[str, Any],
    actors: Sequence[str],
    command: Sequence[str],
) -> None:
    """Open a case that has no evidence yet.

    Raises:
        AuthorityError: HW1001 … HW1003; UsageError: HW0003, HW1004, HW1005, or HW0004 where it is a case already.
    """
    authority = grant(claim, datetime.now(UTC))
    mandates.checked(mandate)
    settings = case_settings.with_changes(case_settings.CaseSettings(), changes)
    if not case_folder.prepare(case):
        raise UsageError("HW0004", str(case), what="ledger.db")
    with case_folder.locked(case), Ledger(case, create=True) as ledger:
        corridor = Corridor(case, ledger, settings, tuple(actors), tuple(command))
        note = {"authority": asdict(authority), "sources": [], "settings": asdict(settings)}
        corridor.record(OPENED, environment=environment(), note=note)
        settings.save(case)
        if mandate != Mandate():
            corridor.record(MANDATE, note={"mandate": asdict(mandate)})


def set_mandate(desk: Desk, given: Mapping[str, Any]) -> Mandate:
    """Record the mandate with the parts given replaced; the earlier one stays in the ledger."""
    mandate = mandates.checked(replace(mandate_of(desk.corridor), **{k: v for k, v in given.items() if v}))
    desk.do(MANDATE, "scope", {"mandate": asdict(mandate)})
    return mandate


def enrol(desk: Desk, hand: Hand, organisation: str, wanted: Sequence[str], algorithm: str = "ed25519") -> str:
    """Enrol a person by their key, which is made where its file is not there; returns the public key.

    The first to be enrolled must be an administrator: from then on only one enrols.

    Raises:
        AuthorityError: HW1011; UsageError: HW1018; VaultError: HW3010.
    """
    chosen = tuple(roles.role(r) for r in wanted)
    if not desk.people and "admin" not in chosen:
        raise AuthorityError("HW1011", who=hand.name, what="enrol", roles=roles.roles_for("enrol"))
    desk.permit("enrol")
    if any(p.name == hand.name for p in desk.people.values()):
        raise VaultError("HW3010", str(hand.key), what=f"{hand.name} is enrolled already; dismiss the old key first")
    if there(hand.key):
        holder = open_signer(hand.key, hand.passphrase)
    else:
        holder = make_signer(hand.key, hand.name, hand.passphrase, algorithm)
    origin = next(desk.corridor.ledger.entries()).hash
    person = {"name": hand.name, "organisation": organisation, "roles": list(chosen), "public_key": holder.public}
    proof = holder.sign(ENROL_DOMAIN + origin.encode() + hand.name.encode()).hex()
    desk.record(ENROL, {"person": person, "proof": proof})
    return holder.public


def dismiss(desk: Desk, name: str, reason: str) -> None:
    """End a person's part in the case; what they signed before stays valid.

    Raises:
        AuthorityError: HW1010, HW1011.
    """
    desk.permit("enrol")
    person = next((p for p in desk.people.values() if p.name == name), None)
    if person is None:
        raise AuthorityError("HW1010", what=name)
    desk.record(DISMISS, {"person": {"name": name, "public_key": person.public}, "reason": reason})


def set_baseline(desk: Desk, time: str, source: str, offset_ns: int, uncertainty_ns: int) -> None:
    """Record T0: when control was first taken, where that time comes from, and that clock's offset δ ± ε.

    Raises:
        UsageError: HW1005.
    """
    try:
        from_rfc3339(time)
    except ValueError as error:
        raise UsageError("HW1005", what=time) from error
    note = {"time": time, "source": source, "ahead_ns": str(offset_ns), "uncertainty_ns": str(uncertainty_ns)}
    desk.do(BASELINE, "baseline", note)


def summary(corridor: Corridor) -> dict[str, Any]:
    """The case in plain values, for ``case show``."""
    trail = corridor.ledger.examined(signatures=False)
    mandate = mandate_of(corridor)
    baseline = corridor.ledger.last(BASELINE)
    head = ("case_no", "case_name", "cause", "client", "requirement")
    return {
        **{name: getattr(corridor.settings, name) for name in head},
        "authority": asdict(authority_of(corridor.ledger)),
        "actors": list(corridor.actors),
        "evidence": [{"number": e.number, "source": e.source_path, "sha256": e.digests["sha256"]}
                     for e in evidence_of(corridor.ledger)],
        "mandate": asdict(mandate),
        "not_recorded": list(mandate.missing()),
        "people": [{"name": p.name, "organisation": p.organisation, "roles": list(p.roles), "public_key": p.public}
                   for p in trail.people.values()],
        "baseline": dict(baseline.entry.note) if baseline else None,
        "entries": trail.entries,
        "head": trail.head,
        "root": trail.root,
        "remarks": [{"zh": r.zh, "en": r.en} for r in trail.remarks],
        "settings": digest(asdict(corridor.settings)),
    }  # fmt: skip


def record_duty(desk: Desk, given: Mapping[str, Any]) -> None:
    """Record when the incident became known, what kind of operator it struck, the matters, and what was done.

    Raises:
        UsageError: HW1005, HW1018.
    """
    note = {k: v for k, v in given.items() if v}
    if not note:
        return
    if "known_at" in note:
        try:
            from_rfc3339(str(note["known_at"]))
        except ValueError as error:
            raise UsageError("HW1005", what=note["known_at"]) from error
    if "operator" in note:
        duties.known(str(note["operator"]), duties.OPERATORS)
    for matter in note.get("matters", ()):
        duties.known(matter, duties.MATTERS)
    for name in note.get("done", {}):
        duties.known(name, duties.identifiers())
    desk.do(DUTY, "duty", note)


def duties_of(corridor: Corridor) -> tuple[list[duties.Clock], list[duties.Prompt]]:
    """The clocks and prompts of the case as they stand now."""
    known_at, operator = "", "other"
    matters: list[str] = []
    done: dict[str, str] = {}
    for sealed in corridor.ledger.entries():
        if sealed.entry.action == DUTY:
            note = sealed.entry.note
            known_at, operator = str(note.get("known_at", known_at)), str(note.get("operator", operator))
            matters += [m for m in note.get("matters", []) if m not in matters]
            done.update({k: f"{v}（{', '.join(sealed.entry.actors)}，{sealed.entry.time}）" for k, v in
                         note.get("done", {}).items()})  # fmt: skip
    if mandate_of(corridor).remote and "cross-border" not in matters:
        matters.append("cross-border")  # remote work raises the question where the server stands
    running = duties.clocks(known_at, operator, done, from_rfc3339(utc_now())) if known_at else []
    return running, duties.prompts(matters, done)


def whole(corridor: Corridor) -> Whole:
    """The case as the defect checker sees it."""
    trail = corridor.ledger.examined(signatures=False)
    entries = list(corridor.ledger.entries())
    judged = items.judgements_of(entries)
    states = chains(corridor)
    notes = {str(s.entry.note["item"]): s.entry.note for s in entries if s.entry.action == items.ADDED}
    by_number = {c.number: c for c in compared(corridor)}
    held = []
    for source in evidence_of(corridor.ledger):
        number = f"E{source.number}"
        unlike = [f"{v.what} {v.algorithm}" for v in source.verdicts if v.result == "mismatch"]
        gate = by_number[source.number]
        outside = [o.what for o in gate.outside]
        held.append(_held(states[number], {}, {}, number in judged, outside, gate.override, unlike))
    for item in items.items_of(entries):
        note = notes[item.number]
        outside = [Text(o["zh"], o["en"]) for o in note["objections"] if o["result"] == "outside"]
        said = (item.fields, item.absent, item.number in judged)
        held.append(_held(states[item.number], *said, outside, str(note["override"]), ()))
    opened = next(iter(entries)).entry
    persons = len({p.name for p in trail.people.values()} | set(opened.actors))
    anchored = any(s.entry.action == ANCHORED for s in entries)
    missing = mandate_of(corridor).missing()
    return Whole(persons, bool(trail.people), missing, anchored, trail.remarks, tuple(held))


def _held(
    state: State, fields: Mapping[str, str], absent: Mapping[str, str], judged: bool, outside: Sequence[Text],
    override: str, unlike: Sequence[str],
) -> Held:  # fmt: skip
    seal, unsealed = "", False
    for event in state.events:
        seal = {"seal": event.seal_after or UNNUMBERED, "unseal": ""}.get(event.act, seal)
        unsealed = unsealed or (event.act == "transfer" and not seal)
    gaps = [g.what for g in (*state.gaps, *open_ends(state))]
    return Held(state.item, fields, absent, judged, bool(state.seal), unsealed, gaps, outside, override, unlike)
