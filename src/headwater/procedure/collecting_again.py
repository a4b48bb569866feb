# SPDX-License-Identifier: Apache-2.0
"""Going on with a collection that was cut: what the first one holds stays there, the second takes what is missing.

1. The collection is the last of this server that is not whole, or the one that is named; its stream must be what was
   registered, and the server the same machine.
2. A confined child lists what the stream holds whole: artifacts behind which another had begun are done; of each file a mark
   of path, number, size and times.
3. The second stream names the first by its digest, leaves out what is done, and passes over files that carry such a mark: what
   was written to meanwhile is taken again. Together they are the collection; the ledger says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headwater.acquire.catalogue import Chosen
from headwater.acquire.collector_wire import MARK
from headwater.confine.pool import Limits, Message, Pool, Task
from headwater.formats.opened import open_readonly
from headwater.model.custody import Evidence
from headwater.model.errors import AcquireError, IntegrityError, UsageError
from headwater.model.nouns import Text
from headwater.procedure.corridor import Corridor, evidence_of, source_of
from headwater.procedure.intake import Held, call
from headwater.procedure.scene import ACTED
from headwater.procedure.scene_errand import There
from headwater.procedure.scene_visit import Visit

_TOLD = 10  # unfinished collections that an error names


@dataclass(frozen=True, slots=True)
class Before:
    """A collection that is gone on with. ``asked``: profile, also, without; ``done``: artifacts that need no asking again;
    ``marks``: of the files that it holds, sorted, :data:`MARK` bytes each.
    """

    evidence: Evidence
    asked: tuple[str, tuple[str, ...], tuple[str, ...]]
    done: frozenset[str]
    marks: bytes
    same_boot: bool

    def rest(self, chosen: Chosen) -> Chosen:
        """What is still to be asked."""
        return replace(chosen, artifacts=tuple(a for a in chosen.artifacts if a.name not in self.done))

    def note(self) -> dict[str, Any]:
        """As the ledger and the manifest have it."""
        return {
            "evidence": self.evidence.number, "sha256": self.evidence.digests["sha256"], "done": sorted(self.done),
            "files_held": len(self.marks) // MARK, "same_boot": self.same_boot,
        }  # fmt: skip


def before(there: There, number: int) -> Before:
    """Steps 1 and 2. ``number``: of the evidence; 0 for the last collection of this server.

    Raises:
        UsageError: HW2105 there is none to go on with, or it is of another machine.
        IntegrityError: HW3003, its stream is not what was registered.
    """
    notes = _notes(there)
    item, note = _cut(there, notes, number)
    known, collected = _known(note["visit"], there.visit), dict(note["collection"])
    if not any(was and was == now for was, now in known.values()):
        raise UsageError("HW2105", what=", ".join(f"{k} {was} ≠ {now}" for k, (was, now) in known.items()))
    order = [str(n) for n in collected["artifacts"]]
    marks, seen = _held(item)
    earlier = dict(collected.get("continues") or {})
    while earlier:  # what that one went on with holds what it holds as well, by the ledger's word
        number = int(earlier["evidence"])
        marks |= _held(_evidence(there.corridor, number))[0]
        earlier = dict(dict(notes[number]["collection"]).get("continues") or {})
    reached = max((order.index(name) for name in seen if name in order), default=0)
    done = frozenset((*order[:reached], *(str(n) for n in dict(collected.get("continues") or {}).get("done", ()))))
    asked = (str(collected["profile"]), tuple(collected.get("also", ())), tuple(collected.get("without", ())))
    was, now = known["boot_id"]
    return Before(item, asked, done, b"".join(sorted(marks)), bool(was) and was == now)


def _known(then: Mapping[str, Any], visit: Visit) -> dict[str, tuple[str, str]]:
    """By what a server is known again, as it was then and as it is now; nothing of it is read for that."""
    said, connection = dict(then["said"]), dict(then["connection"])
    pairs = {"boot_id": (said.get("boot_id", ""), visit.said.get("boot_id", ""))}
    pairs["ssh_host_key"] = (connection.get("ssh_host_key", ""), visit.facts.get("ssh_host_key", ""))
    if visit.session is None:
        pairs["hostname"] = (said.get("hostname", ""), visit.said.get("hostname", ""))
    return pairs


def _notes(there: There) -> dict[int, Mapping[str, Any]]:
    """What the ledger says of each collection of this server, by the number of its evidence, in their order."""
    return {n: note for n, note in _all_notes(there).items() if note.get("asset") == there.passed.asset}


def _all_notes(there: There) -> dict[int, Mapping[str, Any]]:
    """The same of every server of the case."""
    return {
        int(s.entry.note["evidence"]): s.entry.note
        for s in there.corridor.ledger.entries()
        if s.entry.action == ACTED and s.entry.note.get("act") == "collect"
    }


def _cut(there: There, notes: Mapping[int, Mapping[str, Any]], number: int) -> tuple[Evidence, Mapping[str, Any]]:
    """The collection and the entry of its act."""
    chosen = number or max(notes, default=0)
    if chosen not in notes or _whole(dict(notes[chosen]["collection"])):
        raise UsageError("HW2105", what=_why_none(there, notes, number))
    return _evidence(there.corridor, chosen), notes[chosen]


def _why_none(there: There, notes: Mapping[int, Mapping[str, Any]], number: int) -> Text:
    """Why there is none to go on with: it came to its end, or what is cut was collected under another asset's name."""
    asset = there.passed.asset
    if number in notes or (not number and notes):
        return Text(f"E{number or max(notes)} 已完整", f"E{number or max(notes)} is whole")
    others = {
        n: str(note.get("asset", ""))
        for n, note in _all_notes(there).items()
        if n not in notes and n == (number or n) and not _whole(dict(note["collection"]))
    }
    if others:
        listed = ", ".join(f"E{n} ({name})" for n, name in list(others.items())[-_TOLD:])
        zh = f"此地址对应 {asset}；未完成的采集记在别的名称之下：{listed}；请用当时的地址"
        return Text(zh, f"this address is {asset}; what was cut stands under another name: {listed}; use its address")
    return Text(f"E{number}", f"E{number}") if number else Text(asset, asset)


def _evidence(corridor: Corridor, number: int) -> Evidence:
    return next(e for e in evidence_of(corridor.ledger) if e.number == number)


def _whole(collected: Mapping[str, Any]) -> bool:
    """Whether the stream came to its end and to no limit."""
    end = dict(collected["end"])
    return bool(end) and str(end.get("full", "0")) == "0" and not collected["ended"]


def _held(item: Evidence) -> tuple[set[bytes], list[str]]:
    """Step 2: the marks of its files, and the artifacts that it tells of."""
    file = open_readonly(_unchanged(item))
    marks: set[bytes] = set()

    def take(message: Message) -> None:
        if "marks" in message.header:
            marks.update(pieces(message.blob))

    try:
        held = Held((), (file,))
        seconds = 3600 + (item.size >> 20)
        task = Task(
            "held", "headwater.procedure.collecting_child:held", {"files": held.args()}, held.fds, wall=2.0 * seconds,
            cpu=seconds,
        )  # fmt: skip
        with Pool(1, Limits(total=1 << 40)) as pool:
            result = call(pool, task, take)
    finally:
        file.close()
    return marks, [str(name) for name in result["artifacts"]]


def pieces(blob: bytes) -> Iterable[bytes]:
    """The marks of a text of them."""
    return (blob[at : at + MARK] for at in range(0, len(blob) - len(blob) % MARK, MARK))


def _unchanged(item: Evidence) -> Path:
    path = source_of(item)
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise AcquireError("HW2003", str(path), what=error.strerror or str(error)) from error
    if found != item.digests["sha256"]:
        raise IntegrityError("HW3003", str(path), expected=item.digests["sha256"], found=found)
    return path
