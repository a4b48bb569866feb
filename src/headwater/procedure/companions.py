# SPDX-License-Identifier: Apache-2.0
"""The files that a parser wants beside another: found among the candidates of the same view, named in the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.examine import reading, registry
from headwater.model.paths import LAYER, join

Json = dict[str, Any]


class Companions:
    """What stands beside each candidate of one item; names are matched whatever their case, as Windows would."""

    def __init__(self, candidates: Sequence[Mapping[str, Any]]) -> None:
        self._candidates = candidates
        self._known: dict[str, int] | None = None

    def of(self, target: Mapping[str, Any]) -> Json:
        """``beside``: the targets wanted beside this one, by nothing but path, view and key; empty where none is wanted."""
        path = str(target["path"])
        wanted = registry.beside(reading.bare(path))
        if not wanted:
            return {}
        if self._known is None:
            self._known = {str(c["path"]).lower(): n for n, c in enumerate(self._candidates)}
        view = path.rpartition(LAYER)[0]
        rows = (self._known.get(join(view, name).lower()) for name in wanted)
        there = [self._candidates[row] for row in rows if row is not None]
        return {"beside": [{k: c[k] for k in ("view", "key", "path", "size", "mtime")} for c in there]}
