# SPDX-License-Identifier: Apache-2.0
"""The gate of authority: what is taken in is held against the mandate before it is read, and when it has said who it is.

1. Before an acquisition or import: the dates, and the targets as far as the source is known (serial, address).
2. Once its listing told host name, machine-id and instance-id, before a file of it is parsed: the targets again.
3. What is outside is refused, or done under a recorded reason; refusal and reason are entries of the ledger.
4. A host that an attack came from is opened by no reason: only evidence that the competent authority which the
   mandate names has obtained is taken in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headwater.case import mandate as mandates
from headwater.case.mandate import Mandate, Objection, objections
from headwater.model.custody import Evidence, Sealed
from headwater.model.errors import AuthorityError
from headwater.model.nouns import Sentence, Text
from headwater.model.times import from_rfc3339
from headwater.procedure.corridor import REGISTERED, Corridor, authority_of, evidence_of, facts_of, utc_now

MANDATE, OVERRIDDEN, REFUSED = "mandate", "override-mandate", "outside-mandate"
_SAID = {"hostname": "host", "machine_id": "machine-id", "serial": "serial", "instance_id": "instance-id"}
_SERIALS = frozenset({"serial", "device_serial", "serial_number"})  # as containers and sidecars name it
_FINDINGS = "findings.jsonl"


def mandate_of(corridor: Corridor) -> Mandate:
    """The mandate last recorded; where none was, what the authority of the case says."""
    found = corridor.ledger.last(MANDATE)
    if found is not None:
        return mandates.from_plain(found.entry.note["mandate"])
    held = authority_of(corridor.ledger)
    return Mandate(
        number=held.number or "", issuer=held.issuer or "", valid_from=held.valid_from or "",
        valid_until=held.valid_until or "", document=held.document or "", document_sha256=held.document_sha256 or "",
    )  # fmt: skip


def said_by(corridor: Corridor, number: int) -> list[tuple[str, str]]:
    """What a source says of itself, as the listing found it, and the serial of its medium where a container states it."""
    found = []
    for said in facts_of(corridor.ledger, number).values():
        found += [(kind, said[name]) for name, kind in _SAID.items() if said.get(name)]
    for item in evidence_of(corridor.ledger):
        if item.number == number:
            found += [("serial", v) for k, v in item.notes.items() if k in _SERIALS and v]
    return list(dict.fromkeys(found))


def attackers(case: Path) -> frozenset[str]:
    """The addresses that the case's findings name as where attacks came from; none before anything was found."""
    try:
        rows = (case / _FINDINGS).read_bytes().splitlines()
    except FileNotFoundError:
        return frozenset()
    return frozenset(str(a) for a in (json.loads(row).get("src_ip") for row in rows) if a)


def within(
    corridor: Corridor,
    said: Sequence[tuple[str, str]] | None,
    override: str | None,
    *,
    method: str = "",
    remote: Mapping[str, str] | None = None,
    attack_source: bool = False,
) -> list[dict[str, str]]:
    """The gate for an acquisition or import: what speaks against it, recorded with the act.

    ``said``: (kind, value) that the source is known by already, None where nothing is. ``remote``: the fields of remote
    work as they are for this act, above the mandate's. ``attack_source``: it is said to come from an attack's source.

    Raises:
        AuthorityError: HW1013 where it is outside the mandate and nobody says why it is done all the same; HW2200 for
            a host that attacks came from.
    """
    mandate = mandate_of(corridor)
    mandate = replace(mandate, remote={**mandate.remote, **(remote or {})})
    if attack_source and (missing := mandates.obtained_lawfully(mandate, method)):
        raise AuthorityError("HW2200", what=missing)
    hosts = [v for k, v in said or () if k == "address"]
    if hosts and (strange := mandates.from_attack_source(mandate, hosts, attackers(corridor.case))):
        raise AuthorityError("HW2200", what=", ".join(strange))
    return mandates.permit(objections(mandate, said, from_rfc3339(utc_now()), method=method), override)


@dataclass(frozen=True, slots=True)
class Compared:
    """One source held against the mandate; ``override``: the reason under which it was taken in all the same."""

    number: int
    objections: tuple[Objection, ...]
    override: str = ""

    @property
    def outside(self) -> tuple[Objection, ...]:
        """Those that forbid."""
        return tuple(o for o in self.objections if o.result == "outside")


def _excused(entries: Sequence[Sealed], number: int) -> dict[str, str]:
    """What of a source was overridden: what the objection was about → the reason."""
    found: dict[str, str] = {}
    for sealed in entries:
        note = sealed.entry.note
        if sealed.entry.action in {REGISTERED, OVERRIDDEN} and number in sealed.entry.evidence and note.get("override"):
            found.update({str(o.get("about", "")): str(note["override"]) for o in note.get("objections", ())})
    return found


def compared(corridor: Corridor) -> list[Compared]:
    """Every source of the case against the mandate as it stands, at the time the source was registered."""
    mandate = mandate_of(corridor)
    entries = list(corridor.ledger.entries())
    rows = []
    for item in evidence_of(corridor.ledger):
        found = objections(mandate, said_by(corridor, item.number), from_rfc3339(item.registered_at))
        excused = _excused(entries, item.number)
        reasons = [excused.get(o.about, "") for o in found if o.result == "outside"]
        rows.append(Compared(item.number, tuple(found), "; ".join(dict.fromkeys(reasons)) if all(reasons) else ""))
    return rows


def admit(corridor: Corridor, item: Evidence, override: str | None) -> None:
    """The second gate: whose system it is was told by its listing; nothing of it is parsed before this lets it pass.

    Raises:
        AuthorityError: HW1013; the refusal is entered first.
    """
    row = next(c for c in compared(corridor) if c.number == item.number)
    if not row.outside or row.override:
        return
    excused = _excused(list(corridor.ledger.entries()), item.number)
    plain = mandates.permit([o for o in row.outside if o.about not in excused], "as recorded")
    if (override or "").strip():
        corridor.record(
            OVERRIDDEN, evidence=[item.number], note={"objections": plain, "override": str(override).strip()}
        )
        return
    last = corridor.ledger.last(REFUSED)
    if last is None or list(last.entry.note["objections"]) != plain or list(last.entry.evidence) != [item.number]:
        corridor.record(REFUSED, evidence=[item.number], note={"objections": plain})
    mandates.permit(row.outside, None)


def override_notes(corridor: Corridor) -> Iterator[Sentence]:
    """What the report must say of sources that were taken in although they are outside the mandate."""
    for sealed in corridor.ledger.entries():
        entry, note = sealed.entry, sealed.entry.note
        if entry.action not in {REGISTERED, OVERRIDDEN} or not note.get("override"):
            continue
        outside = [o for o in note.get("objections", ()) if o["result"] == "outside"]
        if outside:
            named = ", ".join(str(n) for n in entry.evidence)
            zh, en = "；".join(o["zh"] for o in outside), "; ".join(o["en"] for o in outside)
            text = Text(
                f"检材 {named} 超出授权范围（{zh}），仍予检验，所记理由：{note['override']}。",
                f"Item {named} lies outside the authority ({en}) and was examined all the same; the reason recorded: "
                f"{note['override']}.",
            )
            yield Sentence(text, (f"evidence-{entry.evidence[0]}", f"ledger-{entry.seq}"))


def gate_note(found: Sequence[Mapping[str, str]], override: str | None) -> dict[str, Any]:
    """What an entry that registers a source holds of the gate; nothing where nothing spoke against it."""
    return {"objections": [dict(o) for o in found], "override": (override or "").strip()} if found else {}
