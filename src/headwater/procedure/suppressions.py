# SPDX-License-Identifier: Apache-2.0
"""Findings that a person set aside, with the reason: annotations in the ledger, read from it; a finding is never deleted.

A finding's id is the digest of what it says and rests on, so that an annotation stays with it however often the case
is judged again, and leaves it when it says something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from headwater.model.nouns import Finding, Sentence, Text
from headwater.model.times import from_rfc3339
from headwater.procedure.corridor import Corridor
from headwater.vault.ledger import Ledger

SUPPRESSED, RESTORED = "suppress", "unsuppress"


@dataclass(frozen=True, slots=True)
class Suppression:
    """One finding set aside: by the ledger's entry ``seq``, when (UTC ns), by whom, why.

    ``steps``: whether it is left out of the steps and hypotheses too, as the person said.
    """

    finding: str
    seq: int
    at: int
    who: str
    because: str
    steps: bool
    personal: bool = True  # entered by one person; else in the name of all at work, signed by none of them

    @property
    def text(self) -> Text:
        """In one line: who, why, and whether it still counts."""
        zh = f"已由 {self.who} 排除（台账第 {self.seq} 条{'' if self.personal else '，未经个人签名'}），理由：{self.because}"
        unsigned = "" if self.personal else ", signed by no person"
        en = f"set aside by {self.who} (ledger entry {self.seq}{unsigned}): {self.because}"
        return Text(zh + ("；不计入步骤" if self.steps else ""), en + ("; left out of the steps" if self.steps else ""))


def standing(ledger: Ledger) -> dict[str, Suppression]:
    """What is set aside now, by the finding's id: of each finding the last act counts."""
    found: dict[str, Suppression] = {}
    for sealed in ledger.entries():
        entry = sealed.entry
        if entry.action == RESTORED:
            found.pop(str(entry.note["finding"]), None)
        elif entry.action == SUPPRESSED:
            name = str(entry.note["finding"])
            found[name] = Suppression(
                name, entry.seq, from_rfc3339(entry.time), " / ".join(entry.actors) or "?", str(entry.note["because"]),
                bool(entry.note["steps"]), len(entry.actors) == 1,
            )  # fmt: skip
    return found


def counted(ledger: Ledger, findings: Iterable[Finding]) -> list[Finding]:
    """The findings that make steps and hypotheses: all but those that a person left out of them."""
    out = {s.finding for s in standing(ledger).values() if s.steps}
    return [f for f in findings if f.id not in out]


def carry(corridor: Corridor, again: Corridor) -> None:
    """Give a fresh ledger the annotations of a case, for the judgement that is made again."""
    for sealed in corridor.ledger.entries():
        if sealed.entry.action in (SUPPRESSED, RESTORED):
            again.record(sealed.entry.action, note=sealed.entry.note)


def sentences(ledger: Ledger, findings: Iterable[Finding]) -> Iterator[Sentence]:
    """What the overview says of findings set aside, and of annotations whose finding does not stand any more."""
    held = standing(ledger)
    if not held:
        return
    there = {f.id for f in findings}
    for name, one in held.items():
        if name in there:
            yield Sentence(
                Text(f"发现 {name} {one.text.zh}。", f"Finding {name} was {one.text.en}."), (name, f"ledger-{one.seq}")
            )
    gone = [one for name, one in held.items() if name not in there]
    if gone:
        names = ", ".join(one.finding for one in gone)
        zh = f"曾被排除的以下发现在最近一次检测中已不成立，或内容有变，排除不再适用：{names}。"
        en = f"Findings that were set aside and stand no more, or say something else now: {names}."
        yield Sentence(Text(zh, en), tuple(f"ledger-{one.seq}" for one in gone))
