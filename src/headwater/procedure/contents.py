# SPDX-License-Identifier: Apache-2.0
"""Describe every file of an item: the tasks, cut by number and size alone, and where a described file lies."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from headwater.confine.pool import Message, Pool, Task
from headwater.examine import content
from headwater.formats.canonical import digest
from headwater.model.custody import Evidence
from headwater.model.kinds import GapReason
from headwater.model.paths import join
from headwater.model.records import Gap
from headwater.procedure.corridor import TOOL, Corridor
from headwater.procedure.folder_members import open_members
from headwater.procedure.intake import Held
from headwater.procedure.tasks import CONTENT, WALK, Receiver, Unit, discard, done

FILES_PER_TASK = 4_000
MEMBERS_PER_TASK = 200  # of a folder: each needs a descriptor of its own
BYTES_PER_TASK = 128 << 20
_WALL = 600.0  # seconds for a task, and one more for each 8 MiB

Json = dict[str, Any]


def plan(item: Evidence, listed: Sequence[Sequence[Any]]) -> list[Unit]:
    """Cut the listed files ([view, key, path, size]) into tasks; the cut depends on the listing alone."""
    units: list[Unit] = []
    most = MEMBERS_PER_TASK if item.kind == "folder" else FILES_PER_TASK
    size = 0
    for view, key, path, length in listed:
        if not units or len(units[-1].targets) >= most or size + int(length) > BYTES_PER_TASK:
            units.append(Unit(item, CONTENT + len(units)))
            size = 0
        size += int(length)
        units[-1].targets.append({"view": view, "key": key, "path": path, "size": int(length)})
    for unit in units:
        unit.fingerprint = digest(
            {"tool": TOOL, "evidence": item.digests["sha256"], "content": content.VERSION, "targets": unit.targets}
        )
    return units


def describe_all(
    corridor: Corridor, pool: Pool, item: Evidence, open_files: Held, listed: Sequence[Sequence[Any]]
) -> list[int]:
    """Describe the files; returns the numbers of the tasks, which are not run again where their markers fit."""
    units = plan(item, listed)
    waiting = [u for u in units if done(corridor.case, u) is None]
    receivers = {f"content-{item.number}-{u.number}": Receiver(corridor.case, u) for u in waiting}
    total = sum(u.size for u in units)
    progressed = total - sum(u.size for u in waiting)
    own: dict[str, list[int]] = {}

    def tasks() -> Iterator[Task]:
        for name, receiver in tuple(receivers.items()):
            unit = receiver.unit
            discard(corridor.case, unit)
            targets: Sequence[Mapping[str, Any]] = unit.targets
            fds = open_files.fds
            if item.kind == "folder":
                own[name], targets, lost = open_members(item, unit.targets)
                fds = tuple(own[name])
                for target, why in lost:
                    _gap(receiver, target, GapReason.UNREADABLE, why)
            args = {
                "files": open_files.args(), "number": item.number, "own_fds": item.kind == "folder", "targets": targets,
            }  # fmt: skip
            wall = _WALL + unit.size / (8 << 20)
            yield Task(name, "headwater.procedure.child_content:describe", args, fds, wall=2 * wall, cpu=int(wall))

    def take(message: Message) -> None:
        nonlocal progressed
        progressed += receivers[message.task_id].take(message, corridor)
        corridor.progress("content", min(progressed, total), total, "bytes")

    try:
        for outcome in pool.run(tasks(), take):
            for fd in own.pop(outcome.task_id, []):
                os.close(fd)
            receiver = receivers.pop(outcome.task_id)
            if outcome.status != "done":
                discard(corridor.case, receiver.unit)
                receiver = Receiver(corridor.case, receiver.unit)
                for target in receiver.unit.targets:
                    _gap(receiver, target, GapReason.INCOMPLETE, f"content: {outcome.status}: {outcome.detail}")
            receiver.finish()
    finally:
        for fds in own.values():
            for fd in fds:
                os.close(fd)
    return [u.number for u in units]


def _gap(receiver: Receiver, target: Mapping[str, Any], reason: GapReason, why: str) -> None:
    path = join(str(target["view"]), str(target["path"]))
    receiver.gap(content.FEED, path, Gap(0, int(target["size"]), reason, why))


def targets_of(case: Path, item: Evidence, paths: Iterable[str]) -> dict[str, Json]:
    """Where the described files of these paths lie, by path, as the listing's marker tells; what it lacks is left out."""
    wanted = set(paths)
    try:
        listed = json.loads(Unit(item, WALK).marker(case).read_bytes())["contents"]
    except (OSError, ValueError, KeyError):
        return {}
    return {
        name: {"view": view, "key": key, "path": path, "size": int(size), "mtime": None, "sniff": False, "whole": True}
        for view, key, path, size in listed
        if (name := join(view, path)) in wanted
    }
