# SPDX-License-Identifier: Apache-2.0
"""One task of the examination: what it is to do, the parts it gives, and the marker that proves it done.

A marker holds the digests of the task's parts and a fingerprint of what it was made from; a task with a fitting marker
is not run again. Parts and markers of a task that is not part of the plan any more are removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headwater.confine.pool import Message
from headwater.formats.atomic import write_atomic
from headwater.model.custody import Evidence
from headwater.model.kinds import GapReason
from headwater.model.records import Gap
from headwater.procedure.child_targets import told_of
from headwater.procedure.corridor import Corridor
from headwater.store.parts import encode_gaps, part_path, write_part

WALK = 0  # the number of the listing task; parsing tasks count from 1, split files from SPLIT
SPLIT = 500_000
CONTENT = 900_000_000  # and tasks that describe whole files from here
YARA = 950_000_000  # and tasks that look for rules from here
STRINGS = 970_000_000  # and tasks that take strings out of new programs from here

Json = dict[str, Any]


@dataclass(slots=True)
class Unit:
    """One task as planned: its number, and the targets that it parses (none for the listing)."""

    item: Evidence
    number: int
    targets: list[Json] = field(default_factory=list)
    fingerprint: str = ""
    context: dict[str, dict[str, str]] = field(default_factory=dict)  # by view, by path: see examine/context.py
    soon: bool = False  # of the files that are read before the others

    @property
    def size(self) -> int:
        return sum(int(t["size"]) for t in self.targets)

    def marker(self, case: Path) -> Path:
        """Where the proof of its completion stands."""
        return case / "tasks" / f"{self.item.number:04d}-{self.number:06d}.json"


class Receiver:
    """Writes the parts of one task as they come, and its marker at the end."""

    def __init__(self, case: Path, unit: Unit) -> None:
        self.case, self.unit = case, unit
        self.parts: list[list[str]] = []
        self.candidates: list[Json] = []
        self.files: list[Json] = []
        self.ranges: list[list[Any]] = []
        self.contents: list[list[Any]] = []
        self.context: list[dict[str, str]] = []
        self.result: Json | None = None
        self.error: Json | None = None
        self.attempt = 1
        self.lost: list[tuple[Json, GapReason, str]] = []  # files that nothing could read, in whatever attempt

    def take(self, message: Message, corridor: Corridor) -> int:
        """Act on one message; gives back bytes of progress."""
        if message.attempt != self.attempt:
            discard(self.case, self.unit)  # what the first attempt wrote
            self.attempt, self.error, self.result = message.attempt, None, None
            self.parts, self.candidates, self.files = [], [], []
            self.ranges, self.context, self.contents = [], [], []
        header = message.header
        if "family" in header:
            path = part_path(
                self.case, str(header["family"]), str(header["feed"]), self.unit.item.number, self.unit.number,
                int(header["part"]),
            )  # fmt: skip
            self.parts.append([str(path.relative_to(self.case)), write_part(path, message.blob)])
        elif "candidates" in header:
            self.candidates.extend(header["candidates"])
        elif "contents" in header:
            self.contents.extend(header["contents"])
        elif "context" in header:
            self.context.extend(header["context"])
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

    def gap(self, feed: str, path: str, gap: Gap) -> None:
        """Write one gap that no child gave, as :meth:`gaps`."""
        self.gaps(feed, [(path, gap)])

    def gaps(self, feed: str, held: Sequence[tuple[str, Gap]]) -> None:
        """Write gaps that no child gave, each with the path it is of, as one part; when the child has said all.

        A child numbers its own parts from 0: one that is written before could be written over.
        """
        if held:
            place = part_path(self.case, "gaps", feed, self.unit.item.number, self.unit.number, len(self.parts))
            blob = encode_gaps(list(held), feed=feed, source=self.unit.item.number)
            self.parts.append([str(place.relative_to(self.case)), write_part(place, blob)])

    def unread(self, target: Json, reason: GapReason, why: str) -> None:
        """A file that nothing could read: one gap over all of it and its name for the report, written at the end."""
        self.lost.append((target, reason, why))

    def _account_for_lost(self) -> None:
        for target, reason, why in self.lost:
            for one in told_of(target):
                self.gap("file.incomplete", str(one["path"]), Gap(0, int(one["size"]), reason, why))
                account = {
                    "path": one["path"], "target": one, "size": one["size"], "parser": "", "version": 0,
                    "feed": "", "tally": {}, "extents": [], "incomplete": why,
                }  # fmt: skip
                self.files.append(account)

    def finish(self) -> Json:
        """Write the marker; returns its content."""
        self._account_for_lost()
        marker = {
            "fingerprint": self.unit.fingerprint,
            "parts": sorted(self.parts),
            "candidates": self.candidates,
            "files": self.files,
            "ranges": self.ranges,
            "context": self.context,
            "contents": self.contents,
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


def keep_only(case: Path, item: Evidence, numbers: Iterable[int]) -> None:
    """Remove what earlier runs left of tasks that are not among ``numbers``: a plan that changed, a split that healed."""
    keep = set(numbers)
    stem = f"{item.number:04d}-"
    found = {int(p.stem.split("-")[1]) for p in (case / "tasks").glob(f"{stem}*.json")}
    for family in ("events", "gaps"):
        found.update(int(p.stem.split("-")[1]) for p in (case / family).glob(f"feed=*/{stem}*.parquet"))
    for number in sorted(found - keep):
        discard(case, Unit(item, number))
