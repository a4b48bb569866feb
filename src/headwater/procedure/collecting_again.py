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
from headwater.procedure.corridor import Corridor, evidence_of, source_of
from headwater.procedure.intake import Held, call
from headwater.procedure.scene import ACTED
from headwater.procedure.scene_errand import There
from headwater.procedure.scene_visit import Visit


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
    item, note = _cut(there, number)
    known, collected = _known(note["visit"], there.visit), dict(note["collection"])
    if not any(was and was == now for was, now in known.values()):
        raise UsageError("HW2105", what=", ".join(f"{k} {was} ≠ {now}" for k, (was, now) in known.items()))
    order = [str(n) for n in collected["artifacts"]]
    marks, seen = _held(there.corridor, item)
    reached = max((order.index(name) for name in seen if name in order), default=0)
    done = frozenset((*order[:reached], *(str(n) for n in dict(collected.get("continues") or {}).get("done", ()))))
    asked = (str(collected["profile"]), tuple(collected.get("also", ())), tuple(collected.get("without", ())))
    was, now = known["boot_id"]
    return Before(item, asked, done, marks, bool(was) and was == now)


def _known(then: Mapping[str, Any], visit: Visit) -> dict[str, tuple[str, str]]:
    """By what a server is known again, as it was then and as it is now; nothing of it is read for that."""
    said, connection = dict(then["said"]), dict(then["connection"])
    pairs = {"boot_id": (said.get("boot_id", ""), visit.said.get("boot_id", ""))}
    pairs["ssh_host_key"] = (connection.get("ssh_host_key", ""), visit.facts.get("ssh_host_key", ""))
    if visit.session is None:
        pairs["hostname"] = (said.get("hostname", ""), visit.said.get("hostname", ""))
    return pairs


def _cut(there: There, number: int) -> tuple[Evidence, Mapping[str, Any]]:
    """The collection and the entry of its act."""
    found: Mapping[str, Any] | None = None
    for sealed in there.corridor.ledger.entries():
        note = sealed.entry.note
        ours = sealed.entry.action == ACTED and note.get("act") == "collect" and note.get("asset") == there.passed.asset
        if ours and (not number or note["evidence"] == number):
            found = note
    if found is None or _whole(dict(found["collection"])):
        raise UsageError("HW2105", what=there.visit.name if not number else f"evidence {number}")
    return next(e for e in evidence_of(there.corridor.ledger) if e.number == found["evidence"]), found


def _whole(collected: Mapping[str, Any]) -> bool:
    """Whether the stream came to its end and to no limit."""
    end = dict(collected["end"])
    return bool(end) and str(end.get("full", "0")) == "0" and not collected["ended"]


def _held(corridor: Corridor, item: Evidence) -> tuple[bytes, list[str]]:
    """Step 2; its streams before that one hold what they hold as well."""
    file = open_readonly(_unchanged(item))
    marks: set[bytes] = set()
    seen: list[str] = []

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
    seen = [str(name) for name in result["artifacts"]]
    earlier = result["continues"]
    for other in evidence_of(corridor.ledger):
        if earlier and other.digests.get("sha256") == earlier and other.number < item.number:
            marks.update(pieces(_held(corridor, other)[0]))
    return b"".join(sorted(marks)), seen


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
