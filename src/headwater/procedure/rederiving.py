# SPDX-License-Identifier: Apache-2.0
"""Derive cited records again: confined children read their bytes anew, and what is stated is compared with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headwater.confine.pool import Message, Pool, Task
from headwater.examine.content import WHOLE
from headwater.examine.context import texts_of
from headwater.examine.program_strings import STRING
from headwater.examine.yara_matches import MATCH
from headwater.model.custody import Evidence
from headwater.model.errors import HeadwaterError
from headwater.model.nouns import Citation, Finding
from headwater.procedure import examination
from headwater.procedure.accounts import load_accounts
from headwater.procedure.contents import targets_of
from headwater.procedure.context import taken_of
from headwater.procedure.corridor import Corridor
from headwater.procedure.folder_members import opened_targets
from headwater.procedure.outer_journals import held_as_listed
from headwater.procedure.yara_scan import targets_again

Json = dict[str, Any]
_CITES_AT_ONCE = 100_000  # of one file and task: each task reads the file anew


def fault_of(citation: Citation, row: Mapping[str, Any] | None) -> tuple[str, str] | None:
    """Why the record as it is derived now does not bear out the citation, Chinese and English; None where it does."""
    if row is None:
        return "字节中没有这样的记录", "the bytes give no such record"
    if row["length"] != citation.span.length:
        length, stated = row["length"], citation.span.length
        return f"记录长 {length} 字节，不是 {stated}", f"the record is {length} bytes long, not {stated}"
    for name, claimed in citation.claims.items():
        found = row.get(name)
        if found != claimed and str(found) != str(claimed):
            return f"{name} 为 {found!r}，不是 {claimed!r}", f"{name} is {found!r}, not {claimed!r}"
    return None


def rederive(
    corridor: Corridor, pool: Pool, item: Evidence, wanted: Mapping[str, Sequence[tuple[Finding, Citation]]]
) -> dict[tuple[str, int, int], Json]:
    """The cited records as their bytes give them now, keyed by (path, offset, ordinal)."""
    accounts = {str(a["path"]): a for a in load_accounts(corridor.case) if int(a["evidence"]) == item.number}
    derived: dict[tuple[str, int, int], Json] = {}

    def take(message: Message) -> None:
        for row in message.header.get("rows", ()):
            derived[(str(message.header["path"]), int(row["offset"]), int(row["ordinal"]))] = row

    taken = taken_of(corridor.case, item)
    targets: list[Json] = []
    walked: Json = {}
    described: list[str] = []
    scanned: dict[str, list[tuple[int, int]]] = {}
    worded: dict[str, list[tuple[int, int]]] = {}
    for path, pairs in sorted(wanted.items()):
        places = sorted({(c.span.offset, c.ordinal) for _, c in pairs})
        whole = [p for p in places if p[1] == WHOLE]
        if matched := [p for p in places if MATCH <= p[1] < STRING]:
            scanned[path] = matched
        if strings := [p for p in places if p[1] >= STRING]:
            worded[path] = strings
        places = [p for p in places if p[1] < WHOLE]
        if whole:
            described.append(path)
        if path in accounts and places:
            for at in range(0, len(places), _CITES_AT_ONCE):
                targets.append(dict(accounts[path]["target"]) | {"wanted": places[at : at + _CITES_AT_ONCE]})
        elif places:
            walked[path] = places
    with held_as_listed(corridor.ledger, item) as open_files:
        files = open_files.args()
        if walked:
            walk: Json = {"files": files, "wanted": walked}
            task = Task(
                "verify-walk", "headwater.procedure.child_again:rederive_walk", walk, open_files.fds,
                wall=14_400.0, cpu=14_400,
            )  # fmt: skip
            _finish(pool, task, take)
        for at in range(0, len(targets), examination.FILES_PER_TASK):
            chosen = targets[at : at + examination.FILES_PER_TASK]
            with opened_targets(item, chosen, open_files.fds) as (fds, ready, own):
                views = texts_of(taken, (str(t["view"]) for t in chosen))
                years = dict(corridor.settings.years)
                args: Json = {"files": files, "own_fds": own, "targets": ready, "years": years, "context": views}
                seconds = 600 + (sum(int(t["size"]) for t in chosen) >> 20)
                call = "headwater.procedure.child_again:rederive"
                _finish(pool, Task(f"verify-{at}", call, args, fds, wall=2.0 * seconds, cpu=seconds), take)
        again = [("headwater.procedure.child_yara:rescan", t) for t in targets_again(corridor, item, scanned)]
        again += [("headwater.procedure.child_strings:again", t) for t in targets_again(corridor, item, worded)]
        found = targets_of(corridor.case, item, described)
        again += [("headwater.procedure.child_content:redescribe", t) for _, t in sorted(found.items())]
        for at, (call, target) in enumerate(again):
            with opened_targets(item, [target], open_files.fds) as (fds, ready, own):
                args = {"files": files, "own_fds": own, "targets": ready}
                wall = 600.0 + int(target["size"]) / (4 << 20)
                _finish(pool, Task(f"verify-whole-{at}", call, args, fds, wall=2 * wall, cpu=int(wall)), take)
    return derived


def _finish(pool: Pool, task: Task, take: Callable[[Message], None]) -> None:
    for outcome in pool.run([task], take):
        if outcome.status != "done":
            raise HeadwaterError("HW4003", task.id, what=f"{outcome.status}: {outcome.detail}")
