# SPDX-License-Identifier: Apache-2.0
"""What runs in the confined children for the no-tamper examination: what each volume says of its own writing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from headwater.examine.opening import View, open_evidence
from headwater.formats import ext_versions
from headwater.formats.ext import ExtTree
from headwater.formats.ext_layout import ROOT_INODE
from headwater.formats.jbd2 import NotJournal
from headwater.formats.journal_hashes import check_hashes
from headwater.formats.journal_layout import STATES, header_of
from headwater.formats.journal_seal import SEALED, SealKey, check_seals, seal_keys
from headwater.formats.keys import at_hand
from headwater.formats.patterns import lazy_regex
from headwater.formats.trees import Entry
from headwater.model.paths import join
from headwater.procedure.child_targets import Message, open_files

PER_MESSAGE = 1_000  # rows
JOURNALS_MOST = 1_000
KEYS_MOST = 20
JOURNAL = lazy_regex(r"(?:/\w+)?/(?:var|run)/log/journal/.+\.journal~?$")


def traces(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """Each volume's traces, in several messages where they are many; the pieces of one volume carry its view's name.

    ``since``: ns; of transactions before it only the times are told.
    """
    opened = open_evidence(open_files(args, fds), keys=at_hand())
    for view in opened.views:
        if view.derived:
            continue
        found = traced(view, int(args["since"]))
        lists = {name: found.pop(name) for name in ("commits", "states", "differing", "wrong")}
        yield {"volume": found | {"keeps_checksums": lists["wrong"] is not None}}, b""
        for name, rows in lists.items():
            for at in range(0, len(rows or ()), PER_MESSAGE):
                yield {"view": view.name, "list": name, "rows": rows[at : at + PER_MESSAGE]}, b""
    yield {"result": {}}, b""


def seals(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[Message]:
    """What the seals of each systemd journal say, one message each. ``keys``: texts with verification keys."""
    keys = [key for text in args["keys"] for key in seal_keys(str(text))][:KEYS_MOST]
    left = JOURNALS_MOST
    for view in open_evidence(open_files(args, fds), keys=at_hand()).views:
        if view.derived:
            continue
        for entry in view.tree.entries():
            if entry.kind == "file" and entry.allocated and left and JOURNAL.match(entry.path):
                found = _sealed(view, entry, keys)
                if found is not None:
                    left -= 1
                    yield {"seal": found}, b""
    yield {"result": {}}, b""


def _sealed(view: View, entry: Entry, keys: Sequence[SealKey]) -> dict[str, Any] | None:
    """One journal: plain values as :class:`headwater.reconstruct.notamper_terms.Seal` wants them; None for no journal."""
    source = view.tree.open(entry.key)
    header = header_of(source.pread(0, 272))
    if header is None:
        return None
    tried = [check_seals(source.pread, source.size, header, key) for key in keys if header.compatible & SEALED]
    best = max(tried, key=lambda seals: seals.good, default=None)
    if best is None or (best.tags and not best.good):  # no key, or another host's: its own would fit some seal
        best = check_seals(source.pread, source.size, header)
    hashes = check_hashes(source.pread, source.size, header)
    return {
        "path": entry.path, "whole": join(view.name, entry.path), "state": STATES.get(header.state, "online"),
        "sealed": best.sealed, "checked": best.checked, "tags": best.tags, "good": best.good, "entries": best.entries,
        "unsealed": best.unsealed, "until": _ns(best.until), "broken_until": _ns(best.broken_until), "fault": best.fault,
        "fault_at": best.fault_at, "miscounted": {name: list(both) for name, both in best.miscounted.items()},
        "hashed": hashes.hashed, "altered": hashes.wrong, "altered_at": hashes.wrong_at, "unhashed": hashes.passed_over,
    }  # fmt: skip


def _ns(microseconds: int | None) -> int | None:
    return None if microseconds is None else microseconds * 1000


def traced(view: View, since: int) -> dict[str, Any]:
    """One volume: plain values as :class:`headwater.reconstruct.notamper_terms.Volume` wants them."""
    tree = view.tree
    found: dict[str, Any] = {
        "view": view.name, "kind": tree.kind, "state": str(getattr(tree, "view", "")), "times": {}, "mounts": None,
        "commits": [], "states": [], "differing": [], "compared": 0, "wrong": None, "record": 0, "more": 0, "why_not": "",
    }  # fmt: skip
    if not isinstance(tree, ExtTree) or view.volume is None:
        return found
    found["times"], found["mounts"] = ext_versions.superblock_times(view.volume)
    found["record"] = tree.inode_size
    found["wrong"] = _ours(ext_versions.wrong_checksums(tree.volume, tree.block, tree.groups), tree)
    if tree.deleted is None:
        found["why_not"] = "no journal of its own"
        return found
    try:
        told = ext_versions.read_journal(
            view.volume, tree.deleted.places, tree.block, tree.groups, since, clean=tree.view == "clean"
        )
    except NotJournal as error:
        found["why_not"] = str(error)
        return found
    found["commits"] = [list(c) for c in told.commits]
    for name in ("states", "differing"):
        rows = [asdict(row) for row in getattr(told, name) if _named(row.inode, tree)]
        found[name] = [
            [r["inode"], r["committed"], r["place"], {k: list(v) for k, v in r["fields"].items()}] for r in rows
        ]
    found["compared"], found["more"] = told.compared, told.more
    return found


def _named(inode: int, tree: ExtTree) -> bool:
    """Whether an inode is a person's or program's; the file system keeps the others for itself and writes them its own way."""
    return inode == ROOT_INODE or inode >= tree.block.first_inode


def _ours(wrong: list[tuple[int, int]] | None, tree: ExtTree) -> list[list[int]] | None:
    return None if wrong is None else [[n, at] for n, at in wrong if _named(n, tree)]
