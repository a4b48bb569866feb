# SPDX-License-Identifier: Apache-2.0
"""The chain of custody (保管链): each event of an item, the state that they lead to, and where the chain has a gap.

A gap is computed, never entered: handed over by somebody who did not hold it; handed over and never received; unsealed
under another seal number; opened, copied or analysed while sealed; out and not back; another digest than registered;
an event that no person signed, or that takes two and has one. An event that would open a gap is refused unless a
person says why it is entered all the same: what happened must be told, also when it should not have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headwater.formats.patterns import lazy_regex
from headwater.model.custody import Sealed
from headwater.model.errors import VaultError
from headwater.model.nouns import Text
from headwater.vault.roles import ACTS, TWO_PERSONS

CUSTODY, APPROVED = "custody", "approve"
_JOINED = lazy_regex(r"[/、,，;；]")
_OPENS = frozenset({"copy", "mount", "analyse"})
_ENDS = frozenset({"release", "return", "destroy"})


@dataclass(frozen=True, slots=True)
class Event:
    """One event. ``given_by`` and ``taken_by``: (person, organisation). ``attachments``: name → SHA-256."""

    act: str
    items: tuple[str, ...]
    purpose: str
    person: str
    time: str
    given_by: tuple[str, str] = ("", "")
    taken_by: tuple[str, str] = ("", "")
    place: str = ""
    seal_before: str = ""
    seal_after: str = ""
    hash_before: Mapping[str, str] = field(default_factory=dict)
    hash_after: Mapping[str, str] = field(default_factory=dict)
    condition: str = ""
    witness: str = ""
    attachments: Mapping[str, str] = field(default_factory=dict)
    answers: str = ""  # the hash of the transfer that a receipt answers
    override: str = ""
    client_time: str = ""
    signed: bool = False
    approved: bool = False
    seq: int = 0
    entry: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """A break in the chain of one item; ``seq`` is the ledger's entry at which it shows, 0 for now."""

    item: str
    seq: int
    what: Text


UNNUMBERED = "(无编号 unnumbered)"  # a seal whose number nobody stated seals all the same


@dataclass(slots=True)
class State:
    """Where an item stands after its events so far."""

    item: str
    holder: str
    digest: str = ""
    seal: str = ""
    out_to: str = ""
    hold: str = ""
    over: str = ""
    offered: dict[str, str] = field(default_factory=dict)  # hash of a transfer not yet received → to whom
    events: list[Event] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


def note_of(event: Event) -> dict[str, Any]:
    """An event as its ledger entry holds it; what the entry itself says is left out."""
    return {
        "act": event.act,
        "items": list(event.items),
        "purpose": event.purpose,
        "from": list(event.given_by),
        "to": list(event.taken_by),
        "place": event.place,
        "seal_before": event.seal_before,
        "seal_after": event.seal_after,
        "hash_before": dict(event.hash_before),
        "hash_after": dict(event.hash_after),
        "condition": event.condition,
        "witness": event.witness,
        "attachments": dict(event.attachments),
        "answers": event.answers,
        "override": event.override,
        "client_time": event.client_time,
    }


def events_of(entries: Iterable[Sealed]) -> list[Event]:
    """The custody events of the ledger, in order."""
    approvals: dict[str, tuple[str, str]] = {}  # hash of the approval → (what it approves, who)
    found = []
    for sealed in entries:
        entry, raw = sealed.entry, sealed.entry.note
        if entry.action == APPROVED:
            approvals[sealed.hash] = (str(raw.get("request", "")), str(raw.get("signer", "")))
        if entry.action != CUSTODY:
            continue
        said = approvals.get(str(raw.get("approved_by", "")))
        signer = str(raw.get("signer", ""))
        approved = bool(said and signer and said[1] and said[1] != signer and said[0] == raw.get("request"))
        found.append(
            Event(
                str(raw["act"]), tuple(raw["items"]), str(raw["purpose"]), ", ".join(entry.actors), entry.time,
                (raw["from"][0], raw["from"][1]), (raw["to"][0], raw["to"][1]), raw["place"], raw["seal_before"],
                raw["seal_after"], raw["hash_before"], raw["hash_after"], raw["condition"], raw["witness"],
                raw["attachments"], raw["answers"], raw["override"], raw["client_time"], bool(signer), approved,
                entry.seq, sealed.hash,
            )
        )  # fmt: skip
    return found


def replay(holders: Mapping[str, tuple[str, str]], events: Sequence[Event], *, people: bool) -> dict[str, State]:
    """Every item's state and gaps after these events.

    ``holders``: per number, who held it when it was registered and its registered SHA-256. ``people``: whether people
    are enrolled, so that an event without a person's signature is a gap.
    """
    states = {n: State(n, holder, digest) for n, (holder, digest) in holders.items()}
    for event in events:
        for number in event.items:
            state = states.setdefault(number, State(number, ""))
            for zh, en in _faults(state, event, people):
                state.gaps.append(Gap(number, event.seq, Text(zh, en)))
            _apply(state, event)
            state.events.append(event)
    return states


def _faults(state: State, event: Event, people: bool) -> Iterable[tuple[str, str]]:
    if state.over:
        yield f"已{ACTS[state.over].zh}后又有事件", f"an event after it was gone ({ACTS[state.over].en})"
    if people and not event.signed:
        yield "没有本人签名", "signed by nobody in person"
    if event.act in TWO_PERSONS and not event.approved:
        yield "应由两人办理，缺批准人签名", "takes two persons; nobody approved it"
    if event.act in _OPENS and state.seal:
        yield f"封存状态下被{ACTS[event.act].zh}", f"{ACTS[event.act].en} while it was sealed"
    if event.act == "seal" and state.seal:
        yield f"已由封条 {state.seal} 封存", f"already sealed under {state.seal}"
    if event.act == "unseal":
        if not state.seal:
            yield "启封前并未封存", "unsealed though it was not sealed"
        elif event.seal_before != state.seal and (event.seal_before or state.seal != UNNUMBERED):
            zh, en = event.seal_before or "未说明（--seal-before）", event.seal_before or "not said (--seal-before)"
            yield (
                f"启封时封条为 {zh}，封存时为 {state.seal}",
                f"the seal was {en} when opened, {state.seal} when closed",
            )
    found = event.hash_before.get(state.item, "")
    if found and state.digest and found != state.digest:
        yield f"校验值与登记不符：{found}", f"another digest than registered: {found}"
    if event.act in {"destroy", "release", "return"} and state.hold:
        yield f"诉讼保全期间（{state.hold}）", f"while under legal hold ({state.hold})"
    yield from _hands(state, event)


def _names(holder: str) -> list[str]:
    """The persons who hold an item: a source is registered in the names of all examiners."""
    return [holder, *(n.strip() for n in _JOINED.split(holder))]


def _hands(state: State, event: Event) -> Iterable[tuple[str, str]]:
    if event.act == "transfer" and state.holder and event.given_by[0] not in _names(state.holder):
        yield (
            f"由 {event.given_by[0]} 移交，而保管人为 {state.holder}",
            (f"handed over by {event.given_by[0]}, though {state.holder} held it"),
        )
    if event.act == "receive" and event.answers and event.answers not in state.offered:
        yield "没有对应的移交", "received without a transfer that it answers"
    if event.act == "receive" and not event.answers and state.holder:
        yield (
            f"接收时无移交记录，而保管人为 {state.holder}",
            f"received without a transfer, though {state.holder} held it",
        )
    if event.act == "receive" and event.answers:
        wanted = state.offered.get(event.answers, "")
        if wanted and event.taken_by[0] != wanted:
            yield (
                f"由 {event.taken_by[0]} 接收，而移交给 {wanted}",
                f"received by {event.taken_by[0]}, handed to {wanted}",
            )
    if event.act == "checkout" and state.out_to:
        yield f"已由 {state.out_to} 领用", f"already out to {state.out_to}"
    if event.act == "checkin" and not state.out_to:
        yield "未领用而归还", "checked in though it was not out"
    if event.act in {"transfer", "destroy", "return", "release"} and state.out_to:
        yield f"{state.out_to} 领用未还", f"still out to {state.out_to}"


def _apply(state: State, event: Event) -> None:
    if event.act == "seal":
        state.seal = event.seal_after or UNNUMBERED
    elif event.act == "unseal":
        state.seal = ""
    elif event.act == "transfer":
        state.offered[event.entry] = event.taken_by[0]
    elif event.act in {"receive", "seize"}:
        state.offered.pop(event.answers, None)
        state.holder = event.taken_by[0] or event.person
    elif event.act == "checkout":
        state.out_to = event.taken_by[0] or event.person
    elif event.act == "checkin":
        state.out_to = ""
    elif event.act == "hold":
        state.hold = event.purpose
    elif event.act == "release-hold":
        state.hold = ""
    if event.act in _ENDS:
        state.over = event.act


def open_ends(state: State) -> list[Gap]:
    """What is open now: handed over and not received, out and not back."""
    found = [
        Gap(state.item, 0, Text(f"已移交给 {to}，尚无其接收签名", f"handed to {to}, who has not signed for it"))
        for to in state.offered.values()
    ]
    if state.out_to:
        found.append(Gap(state.item, 0, Text(f"{state.out_to} 领用未还", f"out to {state.out_to}, not back")))
    return found


def admit(before: Mapping[str, State], after: Mapping[str, State], override: str) -> None:
    """Refuse an event that opens a gap, unless a person says why it is entered all the same.

    Raises:
        VaultError: HW3016.
    """
    new = [g for n, state in after.items() for g in state.gaps[len(before[n].gaps) if n in before else 0 :]]
    if new and not override.strip():
        what = Text("；".join(dict.fromkeys(g.what.zh for g in new)), "; ".join(dict.fromkeys(g.what.en for g in new)))
        raise VaultError("HW3016", ", ".join(sorted({g.item for g in new})), what=what)
