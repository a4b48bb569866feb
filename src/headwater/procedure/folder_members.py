# SPDX-License-Identifier: Apache-2.0
"""The members of a folder as targets of a task: opened in the parent, each with a descriptor of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from headwater.formats.folders import FolderTree, open_root
from headwater.model.custody import Evidence
from headwater.procedure.corridor import source_of

Json = dict[str, Any]


def open_members(
    item: Evidence, targets: Sequence[Json]
) -> tuple[list[int], list[Mapping[str, Any]], list[tuple[Json, str]]]:
    """Open the targets of a folder, each with a descriptor of its own (the caller closes them), and those that cannot be."""
    root = open_root(source_of(item))
    own: list[int] = []
    opened: list[Mapping[str, Any]] = []
    lost: list[tuple[Json, str]] = []
    tree = FolderTree(root)
    try:
        for target in targets:
            try:
                file = tree.open_file(str(target["key"]))
            except (KeyError, OSError) as error:
                why = (error.strerror if isinstance(error, OSError) else None) or "it is not there any more"
                lost.append((dict(target), why))
                continue
            opened.append(dict(target) | {"fd": len(own)})
            own.append(file.fd)
            if target.get("beside"):
                opened[-1] = {**opened[-1], "beside": list(_beside(tree, target["beside"], own))}
    finally:
        tree.close()
        os.close(root)
    return own, opened, lost


def _beside(tree: FolderTree, wanted: Sequence[Json], own: list[int]) -> Iterator[Json]:
    """The files wanted beside a target, opened; one that is not there any more is left out, and its parser says so."""
    for target in wanted:
        try:
            file = tree.open_file(str(target["key"]))
        except (KeyError, OSError):
            continue
        yield dict(target) | {"fd": len(own)}
        own.append(file.fd)


@contextmanager
def opened_targets(
    item: Evidence, targets: Sequence[Json], fds: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], Sequence[Mapping[str, Any]], bool]]:
    """Descriptors and targets for one task, and whether the descriptors are the targets' own (a folder's members)."""
    if item.kind != "folder":
        yield fds, targets, False
        return
    own, ready, _ = open_members(item, targets)
    try:
        yield tuple(own), ready, True
    finally:
        for fd in own:
            os.close(fd)
