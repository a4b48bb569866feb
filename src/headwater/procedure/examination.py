# SPDX-License-Identifier: Apache-2.0
"""Examine: list every tree, parse every file that a parser knows, and account for all of it.

1. One task per item lists its trees: file-system events, candidates, gaps, and what the system says of itself, which
   the mandate must cover before anything is parsed.
2. The candidates, the telling ones first and else in the order of the listing, are cut into tasks by number and size
   alone, so that the cut is the same on any number of workers. Where much is left after the first, they are looked at.
3. A task's parts are written under deterministic names, then its marker, which holds their digests; a task with a
   marker of the same fingerprint is not run again. So a killed run goes on where it stopped.
4. A task that ends badly is split, file by file; a file that ends badly alone is *incomplete*: named, and a gap.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.confine.pool import Message, Outcome, Pool, Task
from headwater.examine import registry
from headwater.examine.context import texts_of
from headwater.examine.coverage import tile
from headwater.examine.hive_artifacts import all_artifacts
from headwater.examine.priority import first
from headwater.formats.canonical import digest
from headwater.model.custody import Evidence
from headwater.model.errors import ExamineError
from headwater.model.kinds import GapReason
from headwater.procedure.companions import Companions
from headwater.procedure.contents import describe_all
from headwater.procedure.corridor import TOOL, WALKED, Corridor, bad_ranges, facts_of, source_of
from headwater.procedure.event_texts import texts_all
from headwater.procedure.folder_listing import list_folder
from headwater.procedure.folder_members import open_members
from headwater.procedure.intake import Gate, Held, held, raise_from
from headwater.procedure.outer_journals import BESIDE, beside, listed_with
from headwater.procedure.strings_scan import strings_all
from headwater.procedure.tasks import SPLIT, WALK, Receiver, Unit, discard, done, keep_only
from headwater.procedure.within_mandate import admit
from headwater.procedure.yara_scan import scan_all

FILES_PER_TASK = 48
BYTES_PER_TASK = 16 << 20
MUCH = 512 << 20  # bytes still to be read, from which a first look is worth its seconds

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Examined:
    """What came of one item: the account of every file, and ranges that tile its medium."""

    accounts: list[Json]
    coverage: list[tuple[int, int, str]]


@functools.cache
def _parsers() -> str:
    """What of the parsers a marker rests on: one digest of all their versions, taken once."""
    versions = {p.name: p.version for p in registry.all_parsers().values()}
    return digest(versions | {f"artifact {a.name}": a.version for a in all_artifacts()})


def examine(
    corridor: Corridor,
    pool: Pool,
    item: Evidence,
    gate: Gate | None = None,
    look: Callable[[], None] | None = None,
) -> Examined:
    """Examine one item: list it, hold it against the mandate, parse it, account for it.

    ``gate`` None: what was admitted before is derived again. ``look`` is called once the telling files are read, where
    much is left to read after them.

    Raises:
        AuthorityError: HW1013, its listing says that it is not what the mandate names; no file was parsed.
    """
    source = source_of(item)
    others = beside(corridor, pool, item)
    with held(source, [(each.number, source_of(each)) for each in others]) as open_files:
        listing = _list(corridor, pool, item, open_files, others)
        if gate is not None:
            admit(corridor, item, gate.override)
        units = _plan(corridor, item, listing["candidates"], listing["context"])
        soon = [u for u in units if u.soon]
        later = [u for u in units if not u.soon]
        runner = _Runner(corridor, pool, item, open_files, sum(u.size for u in units))
        markers = _parse(runner, soon)
        if look is not None and soon and _left(later, listing) > MUCH:
            look()
        markers |= _parse(runner, later)
        described = describe_all(corridor, pool, item, open_files, listing["contents"])
        scanned = scan_all(corridor, pool, item, open_files, listing)
        scanned += strings_all(corridor, pool, item, open_files, listing)
        scanned += texts_all(corridor, pool, item, open_files, listing)
    keep_only(corridor.case, item, (WALK, *markers, *described, *scanned))
    accounts = [account for number in sorted(markers) for account in markers[number]["files"]]
    return Examined(accounts, _coverage(listing, accounts))


def _left(later: Sequence[Unit], listing: Json) -> int:
    """Bytes still to be read: of the other files by their parsers, and of all for what they hold."""
    return sum(u.size for u in later) + sum(int(size) for _, _, _, size in listing["contents"])


def _fingerprint(item: Evidence, extra: Any) -> str:
    return digest({"tool": TOOL, "evidence": item.digests["sha256"], "parsers": _parsers(), "more": extra})


def _list(corridor: Corridor, pool: Pool, item: Evidence, open_files: Held, others: Sequence[Evidence]) -> Json:
    uncarved = corridor.settings.no_carving
    with_others: Any = {BESIDE: [each.digests["sha256"] for each in others]} if others else "list"
    unit = Unit(item, WALK, fingerprint=_fingerprint(item, [with_others, "no-carve"] if uncarved else with_others))
    marker = done(corridor.case, unit)
    if marker is not None and corridor.keys and marker["result"].get("locked"):
        marker = None  # what was closed then may open now
    if marker is None:
        if others:  # what was read of its files without them may be older
            keep_only(corridor.case, item, ())
        discard(corridor.case, unit)
        receiver = Receiver(corridor.case, unit)
        if item.kind == "folder":
            list_folder(item, pool, receiver)
        else:
            task = Task(
                f"list-{item.number}",
                f"headwater.procedure.{'child_uncarved' if uncarved else 'child'}:walk",
                {"files": open_files.args(), "number": item.number, "bad": bad_ranges(corridor.ledger, item.number)},
                open_files.fds,
                wall=14_400.0,
                cpu=14_400,
            )
            for outcome in pool.run([task], lambda m: _ignore(receiver.take(m, corridor))):
                if receiver.error is not None:
                    raise_from(receiver.error)
                if outcome.status != "done":
                    raise ExamineError("HW4003", item.source_path, what=f"{outcome.status}: {outcome.detail}")
        marker = receiver.finish()
    result = marker["result"]
    facts = result.get("facts") or {"": {}}
    numbers = [each.number for each in others]
    if facts_of(corridor.ledger, item.number) != facts or list(listed_with(corridor.ledger, item.number)) != numbers:
        corridor.record(
            WALKED,
            evidence=[item.number],
            products=dict(marker["parts"]),
            note={
                "facts": facts,
                "entries": result.get("entries", 0),
                "context": digest(marker["context"]),
                **({BESIDE: numbers} if numbers else {}),
            },
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


def _plan(
    corridor: Corridor, item: Evidence, candidates: Sequence[Json], context: Sequence[Mapping[str, str]]
) -> list[Unit]:
    """Cut the candidates into tasks, the telling files first; order and cut depend on the listing alone."""
    units: list[Unit] = []
    companions = Companions(candidates)
    soon = [first(str(t["path"]), int(t["size"])) for t in candidates]
    order = [(t, True) for t, s in zip(candidates, soon, strict=True) if s]
    order += [(t, False) for t, s in zip(candidates, soon, strict=True) if not s]
    for target, early in order:
        last = units[-1] if units else None
        full = (
            last is None
            or last.soon != early
            or len(last.targets) >= FILES_PER_TASK
            or last.size + int(target["size"]) > BYTES_PER_TASK
        )
        if full:
            last = Unit(item, len(units) + 1, soon=early)
            units.append(last)
        assert last is not None
        last.targets.append(dict(target) | companions.of(target))
    for unit in units:
        years = {t["path"]: corridor.settings.years.get(t["path"]) for t in unit.targets}
        years = {k: v for k, v in years.items() if v is not None}
        unit.context = texts_of(context, (str(t["view"]) for t in unit.targets))
        unit.fingerprint = _fingerprint(item, {"years": years, "targets": unit.targets, "context": unit.context})
    return units


def _parse(runner: _Runner, units: Sequence[Unit]) -> dict[int, Json]:
    """Run the tasks that have no fitting marker; returns the markers of all, by number."""
    corridor, item = runner.corridor, runner.item
    markers: dict[int, Json] = {}
    waiting: list[Unit] = []
    for unit in units:
        marker = done(corridor.case, unit)
        if marker is None:
            waiting.append(unit)
        else:
            markers[unit.number] = marker
    runner.progressed += sum(u.size for u in units) - sum(u.size for u in waiting)
    failed = runner.run(waiting, markers)
    singles = [
        Unit(item, SPLIT + unit.number * FILES_PER_TASK + i, [target], unit.fingerprint, unit.context)
        for unit in failed
        for i, target in enumerate(unit.targets)
    ]
    for unit in failed:
        discard(corridor.case, unit)
    for unit in runner.run(singles, markers):
        markers[unit.number] = _incomplete(corridor.case, unit, runner.why.get(unit.number, ""))
    return markers


def _incomplete(case: Path, unit: Unit, why: str) -> Json:
    """A file that no child could finish: one gap over all of it, and its name in the report."""
    discard(case, unit)
    receiver = Receiver(case, unit)
    receiver.unread(unit.targets[0], GapReason.INCOMPLETE, why)
    return receiver.finish()


class _Runner:
    """Runs parsing tasks of one item over the pool and receives what they say."""

    def __init__(self, corridor: Corridor, pool: Pool, item: Evidence, open_files: Held, total: int) -> None:
        self.corridor, self.pool, self.item, self.open_files = corridor, pool, item, open_files
        self.total, self.progressed = total, 0
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
                receiver = Receiver(self.corridor.case, unit)
                task, own = self._task(unit, receiver)
                receivers[task.id], extra[task.id], by_id[task.id] = receiver, own, unit
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

    def _task(self, unit: Unit, receiver: Receiver) -> tuple[Task, list[int]]:
        own: list[int] = []
        targets: Sequence[Mapping[str, Any]] = unit.targets
        if self.item.kind == "folder":
            own, targets, lost = open_members(self.item, unit.targets)
            for target, why in lost:
                receiver.unread(target, GapReason.UNREADABLE, why)
        args = {
            "files": self.open_files.args(), "number": self.item.number,
            "years": dict(self.corridor.settings.years), "own_fds": self.item.kind == "folder", "targets": targets,
            "context": unit.context,
        }  # fmt: skip
        fds = tuple(own) if self.item.kind == "folder" else self.open_files.fds
        seconds = 600 + (unit.size >> 20)  # a large log is one task; a second for each MiB is far more than it takes
        name = f"parse-{self.item.number}-{unit.number}"
        return Task(name, "headwater.procedure.child:parse", args, fds, wall=2.0 * seconds, cpu=seconds), own


def _why(outcome: Outcome) -> str:
    return f"{outcome.status}: {outcome.detail}"
