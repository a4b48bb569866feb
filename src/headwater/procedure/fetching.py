# SPDX-License-Identifier: Apache-2.0
"""Fetch what citations point to: the bytes of spans, and what stands behind an entry of a journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headwater.confine.pool import Message, Task
from headwater.examine.content import WHOLE
from headwater.examine.yara_matches import MATCH
from headwater.model.custody import Evidence
from headwater.model.nouns import Citation
from headwater.procedure import examination
from headwater.procedure.accounts import load_accounts
from headwater.procedure.contents import targets_of
from headwater.procedure.corridor import Corridor, evidence_of
from headwater.procedure.folder_members import opened_targets
from headwater.procedure.investigate import pool_for
from headwater.procedure.outer_journals import held_as_listed

BYTES_MOST = 4096
_BYTES = "headwater.procedure.child_again:fetch"
_JOURNAL = "headwater.procedure.child_journal:fetch"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """``fields``: (name, value, offset, length of its data object); ``message``: the bytes of MESSAGE's data object."""

    fields: tuple[tuple[str, str, int, int], ...]
    message: bytes


def bytes_of(corridor: Corridor, citations: Sequence[Citation]) -> list[bytes]:
    """The bytes of spans, read from the evidence by confined children; at most ``BYTES_MOST`` of each."""
    return [b"" if found is None else found.blob for found in _fetched(corridor, citations, _BYTES)]


def journal_entries(corridor: Corridor, citations: Sequence[Citation]) -> list[JournalEntry | None]:
    """What stands behind those citations that are entries of a journal; None for the others."""
    feeds = {(int(a["evidence"]), str(a["path"])): a["feed"] for a in load_accounts(corridor.case)}
    at = [i for i, c in enumerate(citations) if feeds.get((c.span.evidence, c.span.path)) == "linux.journal"]
    found: list[JournalEntry | None] = [None] * len(citations)
    for index, message in zip(at, _fetched(corridor, [citations[i] for i in at], _JOURNAL), strict=True):
        if message is not None and message.header["fields"]:
            fields = tuple((str(n), str(v), int(o), int(size)) for n, v, o, size in message.header["fields"])
            found[index] = JournalEntry(fields, message.blob)
    return found


def _fetched(corridor: Corridor, citations: Sequence[Citation], function: str) -> list[Message | None]:
    accounts = {(int(a["evidence"]), str(a["path"])): a for a in load_accounts(corridor.case)}
    items = {i.number: i for i in evidence_of(corridor.ledger)}
    found: list[Message | None] = [None] * len(citations)
    if not citations:
        return found
    with pool_for(1, corridor.keys) as pool:
        for number in sorted({c.span.evidence for c in citations}):
            wanted = [(i, c) for i, c in enumerate(citations) if c.span.evidence == number]
            item = items[number]
            for at in range(0, len(wanted), examination.FILES_PER_TASK):
                some = wanted[at : at + examination.FILES_PER_TASK]
                whole = targets_of(corridor.case, item, (c.span.path for _, c in some if c.ordinal >= WHOLE))
                targets = [_target(item, c, accounts, whole) for _, c in some]
                got: dict[tuple[str, int, int], Message] = {}

                def take(message: Message, got: dict[tuple[str, int, int], Message] = got) -> None:
                    if "span" in message.header:
                        path, offset, length = message.header["span"]
                        got[(str(path), int(offset), int(length))] = message

                with (
                    held_as_listed(corridor.ledger, item) as open_files,
                    opened_targets(item, targets, open_files.fds) as (fds, ready, own),
                ):
                    args = {"files": open_files.args(), "own_fds": own, "targets": ready}
                    for _ in pool.run([Task("fetch", function, args, fds)], take):
                        pass
                for (index, _), target in zip(some, targets, strict=True):
                    place = (str(target["path"]), int(target["offset"]))
                    found[index] = got.get((*place, int(target["length"]))) or got.get((*place, 0))  # 0: of a journal
    return found


def _target(item: Evidence, citation: Citation, accounts: dict[tuple[int, str], Json], whole: dict[str, Json]) -> Json:
    span = citation.span
    account = accounts.get((item.number, span.path))
    wanted: Json = {"offset": span.offset, "length": min(span.length, BYTES_MOST)}
    if citation.ordinal >= WHOLE and span.path in whole:
        return whole[span.path] | wanted | {"path": span.path}
    if citation.ordinal >= MATCH:  # on the medium itself, in no file
        return wanted | {"view": "", "key": None, "path": span.path, "mtime": None, "sniff": False, "medium": True}
    if account is None:  # an inode: the path is the volume itself
        view = "" if span.path == "/" else span.path
        return wanted | {"view": view, "key": None, "path": span.path, "mtime": None, "sniff": False}
    return dict(account["target"]) | wanted
