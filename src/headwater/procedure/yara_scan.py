# SPDX-License-Identifier: Apache-2.0
"""Look for YARA rules in an item: each content once, likely places first, then what no file holds.

The files are those that were described (fs.content): equal contents, by SHA-256, are looked at once and what is found
stands under each of their names. Of a medium, volumes that nothing here opens (memory, swap, unknown) are looked at as
they lie; unallocated space where the case asks for it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from headwater.confine.pool import Message, Pool, Task
from headwater.examine import content, yara_matches
from headwater.formats.canonical import digest
from headwater.model.custody import Evidence
from headwater.model.kinds import EventKind, GapReason
from headwater.model.paths import join
from headwater.model.records import Gap, own_column
from headwater.procedure.child_yara import MEDIUM
from headwater.procedure.corridor import TOOL, Corridor, store_of
from headwater.procedure.folder_members import open_members
from headwater.procedure.intake import Held
from headwater.procedure.tasks import STRINGS, WALK, YARA, Receiver, Unit, discard, done
from headwater.procedure.yara import OWN, Loaded, loaded

FILES_PER_TASK = 4_000
MEMBERS_PER_TASK = 200  # of a folder: each needs a descriptor of its own
BYTES_PER_TASK = 256 << 20
_WALL = 600.0  # seconds for a task, and one more for each 4 MiB
# where intruders put things, where programs lie, everything else
_LIKELY = (
    re.compile(
        r"(?:^|!)/(?:tmp|var/tmp|dev/shm|run|root|home|srv|www|var/www|etc|var/spool|Users|ProgramData|inetpub|PerfLogs)/"
        r"|/(?:[Tt]emp|htdocs|wwwroot|webapps|uploads?)/|!(?:deleted|carved)!|^(?:deleted|carved)!",
    ),
    re.compile(r"(?:^|!)/(?:usr/)?(?:local|s?bin|opt|libexec)/|/Windows/(?:System32|SysWOW64|Tasks)/|/Program Files"),
)

Json = dict[str, Any]


def place_of(path: str) -> int:
    """How likely a place is: 0 where intruders put things, 1 where programs lie, 2 everything else."""
    return next((n for n, pattern in enumerate(_LIKELY) if pattern.search(path)), len(_LIKELY))


def targets(corridor: Corridor, item: Evidence, listing: Json, rules: Loaded) -> list[Json]:
    """What is to be looked at, in order; each content once unless the rules ask for names.

    Where the rules are our own alone, contents whose digest a package database of the item states are passed over.
    """
    by_name = rules.compiled.by_name
    columns = [own_column("md5")]
    held = store_of(corridor).scan(feeds=[content.FEED], columns=columns).filter(pl.col("source") == item.number)
    rows = held.select("path", "hash", *columns).collect()
    if set(rules.compiled.count) == {OWN}:
        stated = stated_digests(corridor, item)
        rows = rows.filter(~(pl.col("hash").is_in(stated) | pl.col(columns[0]).is_in(stated)))
    hashes = dict(rows.select("path", "hash").iter_rows())
    found: dict[str, Json] = {}
    order: list[tuple[int, int, Json]] = []
    for at, (view, key, path, size) in enumerate(listing["contents"]):
        full = join(view, path)
        if full not in hashes:
            continue  # a gap of fs.content says why, or a package brought it as it is
        same = found.get(hashes[full])
        if same is not None and not by_name:
            same["also"].append([view, path])
            continue
        target = {"view": view, "key": key, "path": path, "size": int(size), "also": []}
        found[hashes[full]] = target
        order.append((place_of(full), at, target))
    return [t for _, _, t in sorted(order, key=lambda o: o[:2])] + _medium(corridor, listing)


def stated_digests(corridor: Corridor, item: Evidence) -> pl.Series:
    """The digests, MD5 and SHA-256, that package databases of the item state of their files."""
    names = ["md5", "sha256"]
    kinds = [EventKind.STATE_PACKAGE_FILE]
    rows = store_of(corridor).scan(kinds=kinds, columns=names).filter(pl.col("source") == item.number)
    frame = rows.select(pl.col(n).cast(pl.String) for n in names).collect()
    return pl.concat([frame["md5"].rename("d"), frame["sha256"].rename("d")]).drop_nulls().unique().implode()


def _medium(corridor: Corridor, listing: Json) -> list[Json]:
    """Ranges of the medium that no file holds, in targets of bounded size."""
    wanted = {"unopened", "unallocated"} if corridor.settings.yara_unallocated else {"unopened"}
    made: list[Json] = []
    for offset, length, state in listing["ranges"]:
        at, end = int(offset), int(offset) + int(length)
        while state in wanted and at < end:
            size = min(end - at, BYTES_PER_TASK)
            if not made or made[-1]["size"] + size > BYTES_PER_TASK or len(made[-1]["ranges"]) >= FILES_PER_TASK:
                made.append({"view": "", "key": None, "path": "", "size": 0, "ranges": []})
            made[-1]["ranges"].append([at, size])
            made[-1]["size"] += size
            at += size
    return made


def plan(item: Evidence, rules: Loaded, chosen: Sequence[Json]) -> list[Unit]:
    """Cut the targets into tasks by number and size alone."""
    units: list[Unit] = []
    most = MEMBERS_PER_TASK if item.kind == "folder" else FILES_PER_TASK
    size = 0
    for target in chosen:
        if not units or len(units[-1].targets) >= most or size + target["size"] > BYTES_PER_TASK:
            units.append(Unit(item, YARA + len(units)))
            size = 0
        size += target["size"]
        units[-1].targets.append(target)
    for unit in units:
        unit.fingerprint = digest(
            {"tool": TOOL, "evidence": item.digests["sha256"], "yara": yara_matches.VERSION, "rules": rules.digest,
             "targets": unit.targets}
        )  # fmt: skip
    return units


def scan_all(corridor: Corridor, pool: Pool, item: Evidence, open_files: Held, listing: Json) -> list[int]:
    """Look at everything with the rules of the case; returns the numbers of the tasks. Nothing where it keeps no rules.

    The pool's children must hold the rules (:func:`headwater.procedure.yara.early`).
    """
    rules = loaded(corridor.case)
    if rules is None:
        return []
    units = plan(item, rules, targets(corridor, item, listing, rules))
    waiting = [u for u in units if done(corridor.case, u) is None]
    receivers = {f"yara-{item.number}-{u.number}": Receiver(corridor.case, u) for u in waiting}
    total = sum(u.size for u in units)
    progressed = total - sum(u.size for u in waiting)
    own: dict[str, list[int]] = {}

    def tasks() -> Iterator[Task]:
        for name, receiver in tuple(receivers.items()):
            discard(corridor.case, receiver.unit)
            task, own[name] = _task(name, item, receiver, open_files)
            yield task

    def take(message: Message) -> None:
        nonlocal progressed
        progressed += receivers[message.task_id].take(message, corridor)
        corridor.progress("yara", min(progressed, total), total, "bytes")

    try:
        for outcome in pool.run(tasks(), take):
            for fd in own.pop(outcome.task_id, []):
                os.close(fd)
            receiver = receivers.pop(outcome.task_id)
            if outcome.status != "done":
                discard(corridor.case, receiver.unit)
                receiver = Receiver(corridor.case, receiver.unit)
                for target in receiver.unit.targets:
                    _gap(receiver, target, GapReason.INCOMPLETE, f"yara: {outcome.status}: {outcome.detail}")
            receiver.finish()
    finally:
        for fds in own.values():
            for fd in fds:
                os.close(fd)
    return [u.number for u in units]


def _task(name: str, item: Evidence, receiver: Receiver, open_files: Held) -> tuple[Task, list[int]]:
    unit, fds = receiver.unit, open_files.fds
    own: list[int] = []
    chosen: Sequence[Any] = unit.targets
    if item.kind == "folder":
        own, chosen, lost = open_members(item, unit.targets)
        fds = tuple(own)
        for target, why in lost:
            _gap(receiver, target, GapReason.UNREADABLE, why)
    args = {"files": open_files.args(), "number": item.number, "own_fds": item.kind == "folder", "targets": chosen}
    wall = _WALL + unit.size / (4 << 20)
    return Task(name, "headwater.procedure.child_yara:scan", args, fds, wall=2 * wall, cpu=int(wall)), own


def _gap(receiver: Receiver, target: Json, reason: GapReason, why: str) -> None:
    path = join(str(target["view"]), str(target["path"])) if target["path"] else MEDIUM
    for offset, length in target.get("ranges", [[0, int(target["size"])]]):
        receiver.gap(yara_matches.FEED, path, Gap(int(offset), int(length), reason, why))


def targets_again(corridor: Corridor, item: Evidence, places: dict[str, list[tuple[int, int]]]) -> list[Json]:
    """The targets in which these places (offset, ordinal) by path stand, each with its ``wanted`` and its ``name``."""
    found: list[Json] = []
    listed = _listed(corridor.case, item)
    named = {join(v, p): {"view": v, "key": k, "path": p, "size": int(s)} for v, k, p, s in listed["contents"]}
    for path, wanted in sorted(places.items()):
        if path in named:
            found.append(named[path] | {"wanted": wanted, "name": path})
            continue
        for target in _medium(corridor, listed):
            inside = [w for w in wanted if any(o <= w[0] < o + n for o, n in target["ranges"])]
            if inside:
                found.append(target | {"wanted": inside, "name": path})
    return found


def _listed(case: Path, item: Evidence) -> Json:
    try:
        marker: Json = json.loads(Unit(item, WALK).marker(case).read_bytes())
    except (OSError, ValueError):
        return {"contents": [], "ranges": []}
    return marker


def told(case: Path, items: Iterable[Evidence]) -> Json:
    """What was looked at and with what, for the list of rules: files of rules, faults, slow rules, bytes."""
    rules = loaded(case)
    if rules is None:
        return {}
    looked = {"contents": 0, "bytes": 0}
    for item in items:
        for marker in sorted((case / "tasks").glob(f"{item.number:04d}-*.json")):
            if not YARA <= int(marker.stem.split("-")[1]) < STRINGS:
                continue
            result = json.loads(marker.read_bytes())["result"]
            looked["contents"] += int(result.get("targets", 0))
            looked["bytes"] += int(result.get("bytes", 0))
    compiled = rules.compiled
    return {
        "digest": rules.digest,
        "files": [[name, count] for name, count in compiled.count.items()],
        "faults": [[f.file, f.rule, f.line, f.why] for f in compiled.faults],
        "slow": [[f.file, f.rule, f.line, f.why] for f in compiled.slow],
        "looked": looked,
    }
