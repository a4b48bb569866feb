# SPDX-License-Identifier: Apache-2.0
"""Describe every file of an item: the tasks, cut by number and size alone, and where a described file lies."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from headwater.confine.pool import Pool
from headwater.examine import content
from headwater.model.custody import Evidence
from headwater.model.paths import join
from headwater.procedure.corridor import Corridor
from headwater.procedure.intake import Held
from headwater.procedure.tasks import CONTENT, WALK, Unit
from headwater.procedure.whole_files import Look, cut, run

FILES_PER_TASK = 4_000
BYTES_PER_TASK = 128 << 20
_LOOK = Look("content", content.FEED, "headwater.procedure.child_content:describe", rate=8 << 20)

Json = dict[str, Any]


def plan(item: Evidence, listed: Sequence[Sequence[Any]]) -> list[Unit]:
    """Cut the listed files ([view, key, path, size]) into tasks; the cut depends on the listing alone."""
    targets = ({"view": view, "key": key, "path": path, "size": int(size)} for view, key, path, size in listed)
    return cut(item, targets, CONTENT, FILES_PER_TASK, BYTES_PER_TASK, {"content": content.VERSION})


def describe_all(
    corridor: Corridor, pool: Pool, item: Evidence, open_files: Held, listed: Sequence[Sequence[Any]]
) -> list[int]:
    """Describe the files; returns the numbers of the tasks, which are not run again where their markers fit."""
    return run(corridor, pool, open_files, plan(item, listed), _LOOK)


def targets_of(case: Path, item: Evidence, paths: Iterable[str]) -> dict[str, Json]:
    """Where the described files of these paths lie, by path, as the listing's marker tells; what it lacks is left out."""
    wanted = set(paths)
    try:
        listed = json.loads(Unit(item, WALK).marker(case).read_bytes())["contents"]
    except (OSError, ValueError, KeyError):
        return {}
    return {
        name: {"view": view, "key": key, "path": path, "size": int(size), "mtime": None, "sniff": False, "whole": True}
        for view, key, path, size in listed
        if (name := join(view, path)) in wanted
    }
