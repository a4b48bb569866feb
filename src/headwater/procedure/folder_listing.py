# SPDX-License-Identifier: Apache-2.0
"""A folder is listed by the parent: names and sizes; what must be parsed to be understood, a confined child reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from headwater.confine.pool import Message, Pool, Task
from headwater.examine import windows_facts
from headwater.examine.context import Taker
from headwater.examine.identity import COLLECTED, identify
from headwater.formats.folders import FolderTree, open_root
from headwater.model.custody import Evidence
from headwater.procedure.corridor import source_of
from headwater.procedure.folder_members import opened_targets
from headwater.procedure.tasks import Receiver

Json = dict[str, Any]


def list_folder(item: Evidence, pool: Pool, receiver: Receiver) -> None:
    """List a folder into ``receiver``; its times are the copy's and make no events."""
    root = open_root(source_of(item))
    hives: list[Json] = []
    try:
        tree = FolderTree(root)
        count = 0
        taker = Taker("", tree)
        facts: dict[str, str] = {}
        for entry in tree.entries():
            count += 1
            identify(tree, [entry], facts, COLLECTED, hives=False)
            receiver.context.extend(taker.take([entry]))
            if entry.kind == "file" and entry.size:
                receiver.contents.append(["", entry.key, entry.path, entry.size])
                target = {"view": "", "key": entry.key, "path": entry.path, "size": entry.size, "mtime": entry.modified}
                receiver.candidates.append({**target, "sniff": True})
                if entry.path.lower() in windows_facts.HIVES:
                    hives.append(target)
        gaps = [("/", gap) for gap in tree.warnings]
        tree.close()
    finally:
        os.close(root)
    for name, value in _said(item, pool, hives).items():
        if name in COLLECTED:
            facts.setdefault(name, value)
    for path, gap in gaps:
        receiver.gap("fs.macb", path, gap)
    receiver.result = {"entries": count, "facts": {"": facts}, "medium": None}


def _said(item: Evidence, pool: Pool, hives: Sequence[Json]) -> dict[str, str]:
    """What the hives say, the first that says a thing; one that no child can read says nothing here, and its parser tells why."""
    said: dict[str, str] = {}
    if not hives:
        return said

    def take(message: Message) -> None:
        for name, value in message.header.get("facts", {}).items():
            said.setdefault(str(name), str(value))

    with opened_targets(item, hives, ()) as (fds, targets, own):
        task = Task(
            f"facts-{item.number}",
            "headwater.procedure.child_facts:of_hives",
            {"targets": targets, "own_fds": own},
            fds,
        )
        for _ in pool.run([task], take):
            pass
    return said
