# SPDX-License-Identifier: Apache-2.0
"""Take the telling strings of every new or changed program, script and library of an item.

New or changed is a program whose digest no package database of the item states; where the item has none, one that lies
where intruders put things. Each content once, likely places first, bounded; what is beyond the bound is a gap by name.
dpkg states no digest of its packages' own scripts, and a plain Debian holds three hundred of them: they come last, or
they alone would fill the bound.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from headwater.confine.pool import Message, Pool, Task
from headwater.examine import content, program_strings
from headwater.formats.canonical import digest
from headwater.model.custody import Evidence
from headwater.model.kinds import GapReason
from headwater.model.paths import join
from headwater.model.records import Gap, own_column
from headwater.procedure.corridor import TOOL, Corridor, store_of
from headwater.procedure.folder_members import open_members
from headwater.procedure.intake import Held
from headwater.procedure.tasks import STRINGS, Receiver, Unit, discard, done
from headwater.procedure.yara_scan import place_of, stated_digests

PROGRAMS = ("elf", "pe", "mach-o", "java-class", "script", "php", "wasm")
MOST = 300  # contents of one item
BYTES_MOST = 512 << 20  # of them together
FILES_PER_TASK = 100
BYTES_PER_TASK = 128 << 20
_GAPS_MOST = 2_000
_OF_DPKG = re.compile(r"(?:^|!)/var/lib/dpkg/info/[^/]+\.(?:preinst|postinst|prerm|postrm|config)$")
_LAST = 9  # behind every place that place_of knows

Json = dict[str, Any]


def rank(path: str) -> int:
    """Which programs come first: by their place, the scripts of dpkg's own records last."""
    return _LAST if _OF_DPKG.search(path) else place_of(path)


def chosen(corridor: Corridor, item: Evidence, contents: Sequence[Sequence[Any]]) -> tuple[list[Json], list[str]]:
    """The targets in order, each content once, and the paths of what is beyond the bound."""
    names = [own_column("md5"), own_column("type")]
    held = store_of(corridor).scan(feeds=[content.FEED], columns=names).filter(pl.col("source") == item.number)
    held = held.filter(pl.col(names[1]).is_in(PROGRAMS))
    stated = stated_digests(corridor, item)
    new = ~(pl.col("hash").is_in(stated) | pl.col(names[0]).is_in(stated))
    rows = held.filter(new).select("path", "hash").collect()
    hashes = dict(rows.iter_rows())
    packaged = bool(stated.explode().len())
    found: dict[str, Json] = {}
    order: list[tuple[int, int, Json]] = []
    for at, (view, key, path, size) in enumerate(contents):
        full = join(view, path)
        if full not in hashes or not (packaged or place_of(full) == 0):
            continue
        same = found.get(hashes[full])
        if same is not None:
            same["also"].append([view, path])
            continue
        target = {"view": view, "key": key, "path": path, "size": int(size), "also": [], "hash": hashes[full]}
        found[hashes[full]] = target
        order.append((rank(full), at, target))
    ordered = [t for _, _, t in sorted(order, key=lambda o: o[:2])]
    kept: list[Json] = []
    beyond: list[str] = []
    size = 0
    for target in ordered:
        size += min(target["size"], program_strings.FILE_MOST)
        if len(kept) < MOST and size <= BYTES_MOST:
            kept.append(target)
        else:
            beyond.append(join(target["view"], target["path"]))
    return kept, beyond


def _plan(item: Evidence, targets: Sequence[Json], beyond: Sequence[str]) -> list[Unit]:
    units: list[Unit] = []
    size = 0
    for target in targets:
        if not units or len(units[-1].targets) >= FILES_PER_TASK or size + target["size"] > BYTES_PER_TASK:
            units.append(Unit(item, STRINGS + len(units)))
            size = 0
        size += target["size"]
        units[-1].targets.append(target)
    for unit in units:
        unit.fingerprint = digest(
            {"tool": TOOL, "evidence": item.digests["sha256"], "strings": program_strings.VERSION, "targets": unit.targets,
             "beyond": list(beyond)}
        )  # fmt: skip
    return units


def strings_all(corridor: Corridor, pool: Pool, item: Evidence, open_files: Held, listing: Json) -> list[int]:
    """Take the strings; returns the numbers of the tasks."""
    targets, beyond = chosen(corridor, item, listing["contents"])
    units = _plan(item, targets, beyond)
    waiting = {f"strings-{item.number}-{u.number}": u for u in units if done(corridor.case, u) is None}
    receivers: dict[str, Receiver] = {}
    own: dict[str, list[int]] = {}

    def tasks() -> Iterator[Task]:
        for name, unit in waiting.items():
            discard(corridor.case, unit)
            receivers[name] = Receiver(corridor.case, unit)
            task, own[name] = _task(name, receivers[name], open_files)
            yield task

    def take(message: Message) -> None:
        receivers[message.task_id].take(message, corridor)

    try:
        for outcome in pool.run(tasks(), take):
            for fd in own.pop(outcome.task_id, []):
                os.close(fd)
            unit, receiver = waiting[outcome.task_id], receivers[outcome.task_id]
            if outcome.status != "done":
                discard(corridor.case, unit)
                receiver = Receiver(corridor.case, unit)
                for target in unit.targets:
                    _gap(
                        receiver,
                        _name(target),
                        target["size"],
                        GapReason.INCOMPLETE,
                        f"strings: {outcome.status}: {outcome.detail}",
                    )
            for path in beyond[:_GAPS_MOST] if unit is units[0] else ():
                _gap(
                    receiver,
                    path,
                    0,
                    GapReason.LIMIT,
                    f"strings: beyond the first {MOST} new programs or {BYTES_MOST} bytes",
                )
            receiver.finish()
    finally:
        for fds in own.values():
            for fd in fds:
                os.close(fd)
    return [u.number for u in units]


def _task(name: str, receiver: Receiver, open_files: Held) -> tuple[Task, list[int]]:
    unit, fds = receiver.unit, open_files.fds
    ready: Sequence[Any] = unit.targets
    own: list[int] = []
    folder = unit.item.kind == "folder"
    if folder:
        own, ready, lost = open_members(unit.item, unit.targets)
        fds = tuple(own)
        for target, why in lost:
            _gap(receiver, _name(target), target["size"], GapReason.UNREADABLE, why)
    args = {"files": open_files.args(), "number": unit.item.number, "own_fds": folder, "targets": ready}
    return Task(name, "headwater.procedure.child_strings:take", args, fds, wall=1200.0, cpu=600), own


def _name(target: Json) -> str:
    return join(str(target["view"]), str(target["path"]))


def _gap(receiver: Receiver, path: str, size: int, reason: GapReason, why: str) -> None:
    receiver.gap(program_strings.FEED, path, Gap(0, int(size), reason, why))
