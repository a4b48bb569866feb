# SPDX-License-Identifier: Apache-2.0
"""Find a text or an expression: in the text of every event, in the bytes of every file, or on the medium itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from headwater.confine.pool import Message, Task
from headwater.examine.byte_search import BadPattern, patterns
from headwater.model.custody import Evidence
from headwater.model.errors import HeadwaterError, UsageError
from headwater.model.paths import join
from headwater.procedure import contents
from headwater.procedure.corridor import Corridor, clocks_of, evidence_of
from headwater.procedure.folder_members import opened_targets
from headwater.procedure.intake import Held
from headwater.procedure.investigate import pool_for
from headwater.procedure.outer_journals import held_as_listed
from headwater.procedure.tasks import WALK, Unit
from headwater.procedure.timeline import Question, condition, identified, place_of
from headwater.store.sql import find_text

Json = dict[str, Any]
STRETCH = 1 << 30  # bytes of a medium for one task
_FILES = "headwater.procedure.child_find:in_files"
_MEDIUM = "headwater.procedure.child_find:in_medium"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for."""

    text: str
    regex: bool = False
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class ByteHit:
    """A match in bytes: item, path ("" for the medium itself), offset and length there, encoding, the bytes around it."""

    evidence: int
    path: str
    offset: int
    length: int
    encoding: str
    context: bytes
    before: int


@dataclass(slots=True)
class Account:
    """What a search covered: bytes looked through; (item, path, bytes) not read; (item, path) cut at the limit."""

    looked_through: int = 0
    unread: list[tuple[int, str, int]] = field(default_factory=list)
    cut: list[tuple[int, str]] = field(default_factory=list)
    failed: list[tuple[int, str]] = field(default_factory=list)


def _refused(wanted: Wanted) -> None:
    try:
        patterns(wanted.text, regex=wanted.regex, ignore_case=wanted.ignore_case)
    except BadPattern as error:
        raise UsageError("HW0008", what=error.text) from error


def in_events(corridor: Corridor, wanted: Wanted, asked: Question) -> Iterator[tuple[Json, tuple[str, ...]]]:
    """Events that hold the text in any of their text columns, in the order of time, each with those columns' names.

    Raises:
        UsageError: HW0008, an expression that cannot be used.
    """
    _refused(wanted)
    after = None if asked.after is None else place_of(corridor, asked.after)
    rows = find_text(
        corridor.case, clocks_of(corridor), wanted.text, regex=wanted.regex, ignore_case=wanted.ignore_case,
        condition=condition(corridor, asked), limit=asked.limit, feed=asked.feed, after=after,
    )  # fmt: skip
    for row in rows:
        found = tuple(str(name).removeprefix("own.") for name in row.pop("found"))
        yield identified(row), found


def in_bytes(corridor: Corridor, wanted: Wanted, *, medium: bool, most: int) -> tuple[list[ByteHit], Account]:
    """Matches in the bytes of every listed file, or of the media; at most ``most`` of each file or GiB of a medium.

    Matches are in order of item, path and offset.

    Raises:
        UsageError: HW0008, an expression that cannot be used.
    """
    _refused(wanted)
    account = Account()
    hits: list[ByteHit] = []
    search = {"text": wanted.text, "regex": wanted.regex, "ignore_case": wanted.ignore_case, "most": most}
    with pool_for(2, corridor.keys) as pool:
        for item in evidence_of(corridor.ledger):
            if medium and item.kind == "folder":
                account.failed.append((item.number, "a folder has no medium"))
                continue

            def take(message: Message, number: int = item.number) -> None:
                _take(message, number, hits, account)
                corridor.progress("find", account.looked_through, None, "bytes")

            with held_as_listed(corridor.ledger, item) as open_files:
                if medium:
                    tasks = list(_stretches(item, open_files, item.size, search))
                    for outcome in pool.run(tasks, take):
                        if outcome.status != "done":
                            account.failed.append((item.number, f"{outcome.task_id}: {outcome.status}"))
                    continue
                for unit in contents.plan(item, _listed(corridor, item)):
                    with opened_targets(item, unit.targets, open_files.fds) as (fds, ready, own):
                        there = {(t["view"], t["key"]) for t in ready}
                        account.unread.extend(
                            (item.number, join(str(t["view"]), str(t["path"])), int(t["size"]))
                            for t in unit.targets
                            if (t["view"], t["key"]) not in there  # a folder's member that is not there any more
                        )
                        args = search | {"files": open_files.args(), "own_fds": own, "targets": ready}
                        seconds = 600 + unit.size // (8 << 20)
                        task = Task(
                            f"find-{item.number}-{unit.number}", _FILES, args, fds, wall=2.0 * seconds, cpu=seconds
                        )
                        for outcome in pool.run([task], take):
                            if outcome.status != "done":
                                account.failed.append((item.number, f"{outcome.task_id}: {outcome.status}"))
    return sorted(hits, key=lambda h: (h.evidence, h.path, h.offset, h.encoding)), account


def _listed(corridor: Corridor, item: Evidence) -> Sequence[Sequence[Any]]:
    try:
        rows: Sequence[Sequence[Any]] = json.loads(Unit(item, WALK).marker(corridor.case).read_bytes())["contents"]
    except (OSError, ValueError, KeyError) as error:
        raise HeadwaterError("HW4003", f"evidence-{item.number}", what="it was not listed yet") from error
    return rows


def _stretches(item: Evidence, open_files: Held, size: int, search: Json) -> Iterator[Task]:
    for begin in range(0, size, STRETCH):
        end = min(size, begin + STRETCH)
        args = search | {"files": open_files.args(), "begin": begin, "end": end}
        seconds = 600 + ((end - begin) >> 23)
        yield Task(f"find-{item.number}-{begin}", _MEDIUM, args, open_files.fds, wall=2.0 * seconds, cpu=seconds)


def _take(message: Message, number: int, hits: list[ByteHit], account: Account) -> None:
    header = message.header
    account.looked_through += int(header.get("progress", 0))
    if "offset" in header:
        hits.append(
            ByteHit(
                number, str(header["path"]), int(header["offset"]), int(header["length"]), str(header["encoding"]),
                message.blob, int(header["before"]),
            )
        )  # fmt: skip
    elif "unread" in header:
        account.unread.append((number, str(header["path"]), int(header["unread"])))
    elif "cut" in header:
        account.cut.append((number, str(header["path"])))
