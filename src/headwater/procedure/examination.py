# SPDX-License-Identifier: Apache-2.0
"""Examine: list every tree, parse every file that a parser knows, and account for all of it.

1. One task per item lists its trees: file-system events, candidates, gaps.
2. The candidates, in the order of the listing, are cut into tasks by number and size alone, so that the cut is the
   same on any number of workers.
3. A task's parts are written under deterministic names, then its marker, which holds their digests; a task with a
   marker of the same fingerprint is not run again. So a killed run goes on where it stopped.
4. A task that ends badly is split, file by file; a file that ends badly alone is *incomplete*: named, and a gap.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headwater.confine.pool import Message, Outcome, Pool, Task
from headwater.examine import registry
from headwater.examine.coverage import tile
from headwater.formats.atomic import write_atomic
from headwater.formats.canonical import digest
from headwater.formats.folders import FolderTree, open_root
from headwater.model.custody import Evidence
from headwater.model.errors import ExamineError
from headwater.model.kinds import GapReason
from headwater.model.records import Gap
from headwater.procedure.corridor import TOOL, WALKED, Corridor, bad_ranges, facts_of
from headwater.procedure.intake import Held, held, raise_from
from headwater.store.parts import encode_gaps, part_path, write_part

FILES_PER_TASK = 48
BYTES_PER_TASK = 16 << 20
WALK = 0  # the number of the listing task; parsing tasks count from 1, split files from SPLIT
SPLIT = 500_000

Json = dict[str, Any]


@dataclass(slots=True)
class Unit:
    """One task as planned: its number, and the targets that it parses (none for the listing)."""

    item: Evidence
    number: int
    targets: list[Json] = field(default_factory=list)
    fingerprint: str = ""

    @property
    def size(self) -> int:
        return sum(int(t["size"]) for t in self.targets)

    def marker(self, case: Path) -> Path:
        """Where the proof of its completion stands."""
        return case / "tasks" / f"{self.item.number:04d}-{self.number:06d}.json"


@dataclass(frozen=True, slots=True)
class Examined:
    """What came of one item: the account of every file, and ranges that tile its medium."""

    accounts: list[Json]
    coverage: list[tuple[int, int, str]]


class Receiver:
    """Writes the parts of one task as they come, and its marker at the end."""

    def __init__(self, case: Path, unit: Unit) -> None:
        self.case, self.unit = case, unit
        self.parts: list[list[str]] = []
        self.candidates: list[Json] = []
        self.files: list[Json] = []
        self.ranges: list[list[Any]] = []
        self.result: Json | None = None
        self.error: Json | None = None
        self.attempt = 1

    def take(self, message: Message, corridor: Corridor) -> int:
        """Act on one message; gives back bytes of progress."""
        if message.attempt != self.attempt:
            self.attempt, self.parts, self.candidates, self.result = message.attempt, [], [], None
            self.files, self.ranges = [], []
        header = message.header
        if "family" in header:
            path = part_path(
                self.case, str(header["family"]), str(header["feed"]), self.unit.item.number, self.unit.number,
                int(header["part"]),
            )  # fmt: skip
            self.parts.append([str(path.relative_to(self.case)), write_part(path, message.blob)])
        elif "candidates" in header:
            self.candidates.extend(header["candidates"])
        elif "account" in header:
            self.files.append(dict(header["account"]))
        elif "ranges" in header:
            self.ranges.extend(header["ranges"])
        elif "entries" in header:
            corridor.progress("list", int(header["entries"]), None, "entries")
        elif "error" in header:
            self.error = dict(header["error"])
        elif "result" in header:
            self.result = dict(header["result"])
        return int(header.get("progress", 0))

    def finish(self) -> Json:
        """Write the marker; returns its content."""
        marker = {
            "fingerprint": self.unit.fingerprint,
            "parts": sorted(self.parts),
            "candidates": self.candidates,
            "files": self.files,
            "ranges": self.ranges,
            "result": self.result or {},
        }
        write_atomic(self.unit.marker(self.case), json.dumps(marker, ensure_ascii=False, sort_keys=True).encode())
        return marker


def done(case: Path, unit: Unit) -> Json | None:
    """The marker of a finished task, if it fits and its parts are all there."""
    try:
        marker: Json = json.loads(unit.marker(case).read_bytes())
    except (OSError, ValueError):
        return None
    if marker.get("fingerprint") != unit.fingerprint:
        return None
    return marker if all((case / name).is_file() for name, _ in marker["parts"]) else None


def discard(case: Path, unit: Unit) -> None:
    """Remove what an unfinished or outdated run of a task left: its marker first, then its parts."""
    unit.marker(case).unlink(missing_ok=True)
    stem = f"{unit.item.number:04d}-{unit.number:06d}-*"
    for family in ("events", "gaps"):
        for path in (case / family).glob(f"feed=*/{stem}"):
            path.unlink()


def _parser_versions() -> dict[str, int]:
    return {p.name: p.version for p in registry.all_parsers().values()}


def examine(corridor: Corridor, pool: Pool, item: Evidence) -> Examined:
    """Examine one item: list it, parse it, account for it."""
    source = Path(item.source_path)
    with held(source) as open_files:
        listing = _list(corridor, pool, item, open_files)
        units = _plan(corridor, item, listing["candidates"])
        accounts = _parse(corridor, pool, item, open_files, units)
    return Examined(accounts, _coverage(listing, accounts))


def _fingerprint(item: Evidence, extra: Any) -> str:
    return digest({"tool": TOOL, "evidence": item.digests["sha256"], "parsers": _parser_versions(), "more": extra})


def _list(corridor: Corridor, pool: Pool, item: Evidence, open_files: Held) -> Json:
    unit = Unit(item, WALK, fingerprint=_fingerprint(item, "list"))
    marker = done(corridor.case, unit)
    if marker is None:
        discard(corridor.case, unit)
        receiver = Receiver(corridor.case, unit)
        if item.kind == "folder":
            _list_folder(item, receiver)
        else:
            task = Task(
                f"list-{item.number}",
                "headwater.procedure.child:walk",
                {"files": open_files.args(), "number": item.number, "bad": bad_ranges(corridor.ledger, item.number)},
                open_files.fds,
                wall=14_400.0,
            )
            for outcome in pool.run([task], lambda m: _ignore(receiver.take(m, corridor))):
                if receiver.error is not None:
                    raise_from(receiver.error)
                if outcome.status != "done":
                    raise ExamineError("HW4003", item.source_path, what=f"{outcome.status}: {outcome.detail}")
        marker = receiver.finish()
    if not facts_of(corridor.ledger, item.number):
        result = marker["result"]
        corridor.record(
            WALKED,
            evidence=[item.number],
            products=dict(marker["parts"]),
            note={"facts": result.get("facts") or {"": {}}, "entries": result.get("entries", 0)},
        )
    return marker


def _coverage(listing: Json, accounts: Sequence[Json]) -> list[tuple[int, int, str]]:
    """Ranges that tile the medium, from what the volumes say and what was parsed; nothing for what is no medium."""
    size = listing["result"].get("medium")
    if size is None:
        return []
    claims = [(int(o), int(n), str(s)) for o, n, s in listing["ranges"]]
    for account in accounts:
        if account["parser"]:
            claims.extend((int(o), int(n), "parsed") for o, n in account["extents"])
    return tile(int(size), claims)


def _ignore(_: int) -> None:
    return None


def _list_folder(item: Evidence, receiver: Receiver) -> None:
    """A folder is listed by the parent: names and sizes, no parsing; its times are the copy's and make no events."""
    root = open_root(item.source_path)
    try:
        tree = FolderTree(root)
        count = 0
        for entry in tree.entries():
            count += 1
            if entry.kind == "file" and entry.size:
                receiver.candidates.append(
                    {"view": "", "key": entry.key, "path": entry.path, "size": entry.size, "mtime": entry.modified,
                     "sniff": True}
                )  # fmt: skip
        gaps = [("/", gap) for gap in tree.warnings]
        tree.close()
    finally:
        os.close(root)
    if gaps:
        path = part_path(receiver.case, "gaps", "fs.macb", item.number, WALK, 0)
        receiver.parts.append(
            [
                str(path.relative_to(receiver.case)),
                write_part(path, encode_gaps(gaps, feed="fs.macb", source=item.number)),
            ]
        )
    receiver.result = {"entries": count, "facts": {"": {}}, "medium": None}


def _plan(corridor: Corridor, item: Evidence, candidates: Sequence[Json]) -> list[Unit]:
    """Cut the candidates into tasks; order and cut depend on the listing alone."""
    units: list[Unit] = []
    for target in candidates:
        last = units[-1] if units else None
        full = last is None or len(last.targets) >= FILES_PER_TASK or last.size + int(target["size"]) > BYTES_PER_TASK
        if full:
            last = Unit(item, len(units) + 1)
            units.append(last)
        assert last is not None
        last.targets.append(dict(target))
    for unit in units:
        years = {t["path"]: corridor.settings.years.get(t["path"]) for t in unit.targets}
        years = {k: v for k, v in years.items() if v is not None}
        unit.fingerprint = _fingerprint(item, {"years": years, "targets": unit.targets})
    return units


def _parse(corridor: Corridor, pool: Pool, item: Evidence, open_files: Held, units: Sequence[Unit]) -> list[Json]:
    markers: dict[int, Json] = {}
    waiting: list[Unit] = []
    for unit in units:
        marker = done(corridor.case, unit)
        if marker is None:
            waiting.append(unit)
        else:
            markers[unit.number] = marker
    total = sum(u.size for u in units)
    progressed = total - sum(u.size for u in waiting)
    runner = _Runner(corridor, pool, item, open_files, total, progressed)
    failed = runner.run(waiting, markers)
    singles = [
        Unit(item, SPLIT + unit.number * FILES_PER_TASK + i, [target], unit.fingerprint)
        for unit in failed
        for i, target in enumerate(unit.targets)
    ]
    for unit in failed:
        discard(corridor.case, unit)
    for unit in runner.run(singles, markers):
        markers[unit.number] = _incomplete(corridor.case, unit, runner.why.get(unit.number, ""))
    return [account for number in sorted(markers) for account in markers[number]["files"]]


def _incomplete(case: Path, unit: Unit, why: str) -> Json:
    """A file that no child could finish: one gap over all of it, and its name in the report."""
    discard(case, unit)
    target = unit.targets[0]
    receiver = Receiver(case, unit)
    gap = Gap(0, int(target["size"]), GapReason.INCOMPLETE, why)
    path = part_path(case, "gaps", "file.incomplete", unit.item.number, unit.number, 0)
    blob = encode_gaps([(str(target["path"]), gap)], feed="file.incomplete", source=unit.item.number)
    receiver.parts.append([str(path.relative_to(case)), write_part(path, blob)])
    account = {
        "path": target["path"], "target": target, "size": target["size"], "parser": "", "version": 0, "feed": "",
        "tally": {}, "extents": [], "incomplete": why,
    }  # fmt: skip
    receiver.files = [account]
    return receiver.finish()


class _Runner:
    """Runs parsing tasks of one item over the pool and receives what they say."""

    def __init__(
        self, corridor: Corridor, pool: Pool, item: Evidence, open_files: Held, total: int, progressed: int
    ) -> None:
        self.corridor, self.pool, self.item, self.open_files = corridor, pool, item, open_files
        self.total, self.progressed = total, progressed
        self.why: dict[int, str] = {}

    def run(self, units: Sequence[Unit], markers: dict[int, Json]) -> list[Unit]:
        """Run the units; fills ``markers`` and gives back those that did not end well."""
        receivers: dict[str, Receiver] = {}
        extra: dict[str, list[int]] = {}
        by_id: dict[str, Unit] = {}
        failed: list[Unit] = []

        def tasks() -> Iterator[Task]:
            for unit in units:
                discard(self.corridor.case, unit)
                task, own = self._task(unit)
                receivers[task.id], extra[task.id], by_id[task.id] = Receiver(self.corridor.case, unit), own, unit
                yield task

        def take(message: Message) -> None:
            self.progressed += receivers[message.task_id].take(message, self.corridor)
            self.corridor.progress("parse", min(self.progressed, self.total), self.total, "bytes")

        try:
            for outcome in self.pool.run(tasks(), take):
                for fd in extra.pop(outcome.task_id):
                    os.close(fd)
                unit = by_id[outcome.task_id]
                if outcome.status == "done":
                    markers[unit.number] = receivers.pop(outcome.task_id).finish()
                else:
                    self.why[unit.number] = _why(outcome)
                    failed.append(unit)
        finally:
            for own in extra.values():
                for fd in own:
                    os.close(fd)
        return sorted(failed, key=lambda u: u.number)

    def _task(self, unit: Unit) -> tuple[Task, list[int]]:
        own: list[int] = []
        targets: Sequence[Mapping[str, Any]] = unit.targets
        if self.item.kind == "folder":
            own, targets = open_members(self.item, unit.targets)
        args = {
            "files": self.open_files.args(), "number": self.item.number,
            "years": dict(self.corridor.settings.years), "own_fds": bool(own), "targets": targets,
        }  # fmt: skip
        fds = tuple(own) if own else self.open_files.fds
        return Task(f"parse-{self.item.number}-{unit.number}", "headwater.procedure.child:parse", args, fds), own


def open_members(item: Evidence, targets: Sequence[Json]) -> tuple[list[int], list[Mapping[str, Any]]]:
    """Open the targets of a folder, each with a descriptor of its own; the caller closes them."""
    root = open_root(item.source_path)
    own: list[int] = []
    opened: list[Mapping[str, Any]] = []
    try:
        tree = FolderTree(root)
        for target in targets:
            file = tree.open_file(str(target["key"]))
            opened.append(dict(target) | {"fd": len(own)})
            own.append(file.fd)
        tree.close()
    except (KeyError, OSError) as error:
        for fd in own:
            os.close(fd)
        raise ExamineError("HW4003", item.source_path, what=str(error)) from error
    finally:
        os.close(root)
    return own, opened


@contextmanager
def opened_targets(
    item: Evidence, targets: Sequence[Json], fds: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], Sequence[Mapping[str, Any]], bool]]:
    """Descriptors and targets for one task, and whether the descriptors are the targets' own (a folder's members)."""
    if item.kind != "folder":
        yield fds, targets, False
        return
    own, ready = open_members(item, targets)
    try:
        yield tuple(own), ready, True
    finally:
        for fd in own:
            os.close(fd)


def _why(outcome: Outcome) -> str:
    return f"{outcome.status}: {outcome.detail}"
