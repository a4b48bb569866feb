# SPDX-License-Identifier: Apache-2.0
"""Looks at whole files of an item (their contents, rules, strings): cut into tasks, run, accounted for whatever becomes of them.

What could not be opened or was not looked at to its end is a gap. Gaps of the parent's are written last, in one part
behind those of the child: a part written before could be overwritten by the child's of the same number, and one for
each file would be thousands.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.confine.pool import Message, Pool, Task
from headwater.formats.canonical import digest
from headwater.model.custody import Evidence
from headwater.model.kinds import GapReason
from headwater.model.paths import join
from headwater.model.records import Gap
from headwater.procedure.child_yara import MEDIUM
from headwater.procedure.corridor import TOOL, Corridor
from headwater.procedure.folder_members import open_members
from headwater.procedure.intake import Held
from headwater.procedure.tasks import Receiver, Unit, discard, done

MEMBERS_PER_TASK = 200  # of a folder: each needs a descriptor of its own
SECONDS = 600.0  # for a task, before what its bytes add

Json = dict[str, Any]
Named = tuple[str, Gap]


def _nothing(unit: Unit) -> Sequence[Named]:
    return ()


@dataclass(frozen=True, slots=True)
class Look:
    """One way of looking at files. ``name``: of its tasks, and in the reasons of its gaps. ``function``: the child's.

    ``rate``: bytes for each further second of a task, none where the time is fixed. ``told``: whether its progress is.
    ``more``: gaps of a unit that its plan already knows.
    """

    name: str
    feed: str
    function: str
    rate: int | None = None
    told: bool = True
    more: Callable[[Unit], Sequence[Named]] = _nothing


def cut(
    item: Evidence, targets: Iterable[Json], first: int, files: int, size: int, made_of: Mapping[str, Any]
) -> list[Unit]:
    """Targets as tasks of at most so many files and bytes; the cut depends on the targets alone.

    ``first``: the number of the first task; ``made_of``: what the fingerprints hold beside tool, item and targets.
    """
    units: list[Unit] = []
    most = min(files, MEMBERS_PER_TASK) if item.kind == "folder" else files
    held = 0
    for target in targets:
        if not units or len(units[-1].targets) >= most or held + int(target["size"]) > size:
            units.append(Unit(item, first + len(units)))
            held = 0
        held += int(target["size"])
        units[-1].targets.append(target)
    for unit in units:
        unit.fingerprint = digest(
            {"tool": TOOL, "evidence": item.digests["sha256"], **made_of, "targets": unit.targets}
        )
    return units


def run(corridor: Corridor, pool: Pool, open_files: Held, units: Sequence[Unit], look: Look) -> list[int]:
    """Run the tasks whose markers do not fit; returns the numbers of all of them."""
    waiting = {f"{look.name}-{u.item.number}-{u.number}": u for u in units if done(corridor.case, u) is None}
    total = sum(u.size for u in units)
    progressed = total - sum(u.size for u in waiting.values())
    receivers: dict[str, Receiver] = {}
    lost: dict[str, list[Named]] = {}
    own: dict[str, list[int]] = {}

    def tasks() -> Iterator[Task]:
        for name, unit in waiting.items():
            discard(corridor.case, unit)
            receivers[name] = Receiver(corridor.case, unit)
            task, own[name], lost[name] = _task(name, unit, open_files, look)
            yield task

    def take(message: Message) -> None:
        nonlocal progressed
        progressed += receivers[message.task_id].take(message, corridor)
        if look.told:
            corridor.progress(look.name, min(progressed, total), total, "bytes")

    try:
        for outcome in pool.run(tasks(), take):
            for fd in own.pop(outcome.task_id, []):
                os.close(fd)
            unit, receiver, gaps = waiting[outcome.task_id], receivers.pop(outcome.task_id), lost.pop(outcome.task_id)
            if outcome.status != "done":
                discard(corridor.case, unit)
                receiver = Receiver(corridor.case, unit)
                why = f"{look.name}: {outcome.status}: {outcome.detail}"
                gaps = [gap for target in unit.targets for gap in gaps_of(target, GapReason.INCOMPLETE, why)]
            receiver.gaps(look.feed, [*gaps, *look.more(unit)])
            receiver.finish()
    finally:
        for fds in own.values():
            for fd in fds:
                os.close(fd)
    return [u.number for u in units]


def _task(name: str, unit: Unit, open_files: Held, look: Look) -> tuple[Task, list[int], list[Named]]:
    """One task, the descriptors that are its own, and what could not be opened for it."""
    fds = open_files.fds
    own: list[int] = []
    targets: Sequence[Any] = unit.targets
    gaps: list[Named] = []
    folder = unit.item.kind == "folder"
    if folder:
        own, targets, lost = open_members(unit.item, unit.targets)
        fds = tuple(own)
        gaps = [gap for target, why in lost for gap in gaps_of(target, GapReason.UNREADABLE, why)]
    args = {"files": open_files.args(), "number": unit.item.number, "own_fds": folder, "targets": targets}
    seconds = SECONDS + (unit.size / look.rate if look.rate else 0.0)
    return Task(name, look.function, args, fds, wall=2 * seconds, cpu=int(seconds)), own, gaps


def gaps_of(target: Json, reason: GapReason, why: str) -> Iterator[Named]:
    """The whole of a target as gaps under its name; of a share of the medium, its ranges."""
    path = join(str(target["view"]), str(target["path"])) if target["path"] else MEDIUM
    for offset, length in target.get("ranges", [[0, int(target["size"])]]):
        yield path, Gap(int(offset), int(length), reason, why)
