# SPDX-License-Identifier: Apache-2.0
"""Acts recorded by hand: done at a console or a machine by people, attested with a screenshot or an export.

1. The act passes the gate (:mod:`headwater.procedure.scene`); who did it, with whom as witness, is asked for as the kind of
   investigation demands.
2. What is attached is taken in as items of evidence, stored under its digest, before the act that names it is entered.
3. Snapshots are entered with the volume that they show and how consistent they are; the lineage must make a tree.
4. An escalation also answers the duty whose clock it meets.
"""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headwater.case import duties
from headwater.model.custody import NOT_RECORDED, Sealed
from headwater.model.errors import AcquireError, UsageError
from headwater.model.nouns import Text
from headwater.model.paths import encode_name
from headwater.model.times import from_rfc3339, rfc3339
from headwater.procedure import casework
from headwater.procedure.corridor import Corridor
from headwater.procedure.custody import Desk
from headwater.procedure.registering import Addition, add
from headwater.procedure.scene import ACTED, Passed, gate, plan_of
from headwater.scene.acts import ACTS, ESCALATES, WAIVABLE
from headwater.scene.lineage import CONSISTENCY, Made, Tangled, chain, parents, remarks
from headwater.vault.items import Item

_UNKNOWN = "现场未记载 not recorded at the scene"


@dataclass(frozen=True, slots=True)
class HandAct:
    """What a person says of an act. ``by``: who did it; ``made``: (child, parent) of snapshots, copies and images.

    ``no_witness``, ``one_person``, ``unattested``: the reasons for what the rules ask and this act lacks.
    """

    act: str
    asset: str = ""
    when: str = ""
    by: tuple[str, ...] = ()
    place: str = ""
    said: str = ""
    attach: tuple[Path, ...] = ()
    because: str = ""
    happened: bool = False
    witness: str = ""
    no_witness: str = ""
    one_person: str = ""
    unattested: str = ""
    made: tuple[tuple[str, str], ...] = ()
    consistency: str = ""
    allow: tuple[str, ...] = ()
    to: str = ""
    duty: str = ""
    waives: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


def record_act(desk: Desk, wanted: HandAct) -> tuple[Sealed, tuple[Item, ...]]:
    """Enter an act done by hand; the steps are numbered as in the module's docstring.

    Raises:
        AcquireError: HW2150 to HW2152, HW2154, HW2156 what the scene's rules refuse; HW2001 … an attachment.
        UsageError: HW1018 no such act. AuthorityError: what the desk does not permit.
    """
    _check(desk.corridor, wanted)
    desk.permit("add")
    passed = gate(desk.corridor, wanted.act, wanted.asset, wanted.because, when=wanted.when, happened=wanted.happened)
    people = _people(desk, wanted)
    made = _made(desk.corridor, wanted, passed)
    if ACTS[wanted.act].attested and not wanted.attach and not wanted.unattested.strip():
        raise AcquireError("HW2154", wanted.act)
    items = tuple(_attached(desk, wanted, passed, people, path) for path in wanted.attach)
    note: dict[str, Any] = {
        "act": wanted.act,
        **passed.note(),
        **people,
        "place": wanted.place or NOT_RECORDED,
        "said": wanted.said,
        "attested": [i.number for i in items],
        "unattested": wanted.unattested.strip(),
        "waives": wanted.waives,
        "allow": list(wanted.allow),
        "to": wanted.to,
        "duty": wanted.duty,
    }
    writes = ACTS[wanted.act].writes
    if writes is not None:
        note["writes"] = asdict(writes)
    if made:
        note["made"] = [asdict(m) | {"when": str(m.when)} for m in made]
        note["consistency"] = [asdict(t) for t in remarks([*lineage_of(desk.corridor), *made])]
    with desk.corridor.ledger.group():
        sealed = desk.record(ACTED, note, materials={i.value("name"): i.sha256 for i in items})
        if wanted.duty:
            said = f"{ESCALATES[wanted.to].zh} {rfc3339(passed.when_ns)} {wanted.said}".strip()
            casework.record_duty(desk, {"done": {wanted.duty: said}})
    return sealed, items


def _check(corridor: Corridor, wanted: HandAct) -> None:
    if wanted.act not in ACTS:
        raise UsageError("HW1018", what=wanted.act, known=", ".join(ACTS))
    if (wanted.act == "escalate") != bool(wanted.to):
        raise UsageError("HW0001", what="escalate --to " + "|".join(ESCALATES))
    if wanted.to and wanted.to not in ESCALATES:
        raise UsageError("HW1018", what=wanted.to, known=", ".join(ESCALATES))
    if wanted.duty:
        if not wanted.to:
            raise UsageError("HW0001", what="--duty: escalate --to …")
        duties.known(wanted.duty, duties.identifiers())
    if (wanted.act == "waive") != bool(wanted.waives):
        raise UsageError("HW0001", what="waive " + "|".join(WAIVABLE))
    if wanted.waives and wanted.waives not in WAIVABLE:
        raise UsageError("HW1018", what=wanted.waives, known=", ".join(WAIVABLE))
    if wanted.waives and not wanted.because.strip():
        untold = Text("未说明不做的理由。", "the reason for leaving it out is not given.")
        raise AcquireError("HW2150", wanted.asset, act=ACTS[wanted.waives].text, reasons=(untold,))
    if wanted.consistency and wanted.consistency not in CONSISTENCY:
        raise UsageError("HW1018", what=wanted.consistency, known=", ".join(CONSISTENCY))


def _people(desk: Desk, wanted: HandAct) -> dict[str, Any]:
    """Who did it and who looked on, as the kind of investigation asks.

    Raises:
        AcquireError: HW2152, too few, or no witness, and no reason.
    """
    by = tuple(dict.fromkeys(n.strip() for n in wanted.by if n.strip())) or tuple(
        n for n in (desk.actor.name,) if n
    ) or desk.corridor.actors  # fmt: skip
    rules = plan_of(desk.corridor).rules
    if len(by) < rules.persons and not wanted.one_person.strip():
        raise AcquireError("HW2152", what=f"{len(by)}/{rules.persons}：{', '.join(by)}", option="--one-person")
    if rules.witness and not wanted.witness.strip() and not wanted.no_witness.strip():
        raise AcquireError("HW2152", what="witness", option="--no-witness")
    return {
        "by": list(by),
        "one_person": wanted.one_person.strip(),
        "witness": wanted.witness.strip() or {"not_recorded": wanted.no_witness.strip() or _UNKNOWN},
    }


def _attached(desk: Desk, wanted: HandAct, passed: Passed, people: Mapping[str, Any], path: Path) -> Item:
    """Step 2: one file as an item; what nobody said at the scene is absent for a stated reason, never silently."""
    when = rfc3339(passed.when_ns) or ""
    guessed = (mimetypes.guess_type(path.name)[0] or "").partition("/")[0]
    category = {"image": "photograph", "video": "video", "audio": "audio"}.get(guessed, "export")
    witness = people["witness"] if isinstance(people["witness"], str) else ""
    given = {
        "name": encode_name(os.fsencode(path.name)),
        "category": category,
        "source": wanted.asset or "现场 the scene",
        "original_or_copy": "原始文件 original file",
        "acquisition_method": "onsite",
        "start_time": when,
        "end_time": when,
        "place": wanted.place,
        "operators": ", ".join(people["by"]),
        "witness": witness,
        "system_state": f"{ACTS[wanted.act].text.zh} {ACTS[wanted.act].text.en}",
        "purpose": f"证明 attests: {ACTS[wanted.act].text.zh} {wanted.asset}".strip(),
        **wanted.fields,
    }
    settings = desk.corridor.settings
    known = {k for k, v in given.items() if v} | {"command_line", "tool", "source_path", "custodian"}
    known |= {n for n in ("case_no", "cause", "place", "purpose") if getattr(settings, n)}
    if path.suffix or guessed:
        known.add("file_format")
    absent = {name: _UNKNOWN for name in _ASKED if name not in known}
    if wanted.no_witness.strip() and "witness" in absent:
        absent["witness"] = wanted.no_witness.strip()
    return add(desk, Addition(path, {k: v for k, v in given.items() if v}, absent))


_ASKED = (
    "case_no", "cause", "file_format", "no_seizure_reason", "storage_place", "clock_offset", "place", "holder",
    "witness", "recording", "approval_doc", "operators", "purpose",
)  # fmt: skip


def lineage_of(corridor: Corridor) -> list[Made]:
    """All relations between instances, volumes, snapshots and images that the ledger holds, in order."""
    found = []
    for sealed in corridor.ledger.entries():
        if sealed.entry.action == ACTED:
            for raw in sealed.entry.note.get("made", ()):
                found.append(Made(str(raw["child"]), str(raw["parent"]), int(raw["when"]), str(raw["group"]),
                                  str(raw["consistency"]), str(raw["asset"])))  # fmt: skip
    return found


def _made(corridor: Corridor, wanted: HandAct, passed: Passed) -> list[Made]:
    """Step 3.

    Raises:
        AcquireError: HW2156 a snapshot without its volume, or relations that contradict each other.
    """
    if wanted.act == "snapshot" and not wanted.made:
        raise AcquireError("HW2156", what="--of SNAPSHOT=VOLUME")
    consistency = (wanted.consistency or NOT_RECORDED) if wanted.act == "snapshot" else ""
    group = f"{wanted.act}@{passed.when_ns}"
    new = [Made(c, p, passed.when_ns, group, consistency, passed.asset) for c, p in wanted.made]
    try:
        parents([*lineage_of(corridor), *new])
    except Tangled as error:
        raise AcquireError("HW2156", what=error) from error
    return new


def lineages(corridor: Corridor) -> list[tuple[str, ...]]:
    """Each last thing that was made (an image, an unused snapshot), with what it comes from."""
    made = lineage_of(corridor)
    known = parents(made)
    sources = {m.parent for m in made}
    return [chain(child, known) for child in known if child not in sources]


def told(corridor: Corridor) -> Iterable[tuple[Sealed, Text]]:
    """Every act at the scene with its words, for a list."""
    for sealed in corridor.ledger.entries():
        if sealed.entry.action == ACTED:
            yield sealed, ACTS[str(sealed.entry.note["act"])].text


def when_of(text: str) -> str:
    """A time as typed, in RFC 3339; empty stays empty.

    Raises:
        UsageError: HW2155.
    """
    if not text:
        return ""
    try:
        return rfc3339(from_rfc3339(text)) or ""
    except ValueError as error:
        raise UsageError("HW2155", what=text) from error


def attach(desk: Desk, files: Sequence[Path], wanted: HandAct) -> tuple[Item, ...]:
    """Photographs, video and other files of the scene as items; that they were taken is an act of its own.

    Raises:
        UsageError: HW0001 without a file; what :func:`record_act` raises.
    """
    if not files:
        raise UsageError("HW0001", what="FILE …")
    return record_act(desk, wanted)[1]
