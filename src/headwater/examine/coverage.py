# SPDX-License-Identifier: Apache-2.0
"""Which bytes of a medium were parsed and which were not: ranges that tile it exactly.

States, each painting over those before it: ``no-volume`` (in no partition), ``unopened`` (a volume that no reader here
opens), ``unknown`` (in a volume whose file system tells nothing of it), ``unallocated``, ``metadata`` (read for the
file-system events), ``no-parser`` (content of files that nothing here parses), ``parsed``, ``unreadable``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

STATES = ("no-volume", "unopened", "unknown", "unallocated", "metadata", "no-parser", "parsed", "unreadable")
_OF_TREE = {"allocated": "no-parser", "unallocated": "unallocated", "metadata": "metadata", "unreadable": "unreadable"}

Range = tuple[int, int, str]  # offset, length, state


def state_of(what: str) -> str:
    """The state that a tree's word for a range stands for, before any parser has read it."""
    return _OF_TREE[what]


def tile(size: int, claims: Iterable[Range]) -> list[Range]:
    """Ranges that tile ``[0, size)``; where claims overlap, the later state in ``STATES`` holds.

    Claims beyond the end (a lying file system) are cut. Adjacent ranges of one state are one. Pure; order by offset.
    """
    order = {state: n for n, state in enumerate(STATES)}
    kept = [(max(o, 0), min(o + n, size), order[s]) for o, n, s in claims]
    kept = sorted((c for c in kept if c[0] < c[1]), key=lambda c: c[2])
    edges = np.unique(np.array([0, size, *(c[0] for c in kept), *(c[1] for c in kept)], dtype=np.int64))
    if len(edges) < 2:
        return []
    paint = np.zeros(len(edges) - 1, dtype=np.int8)
    starts = np.searchsorted(edges, np.array([c[0] for c in kept], dtype=np.int64))
    ends = np.searchsorted(edges, np.array([c[1] for c in kept], dtype=np.int64))
    for (_, _, state), start, end in zip(kept, starts, ends, strict=True):
        paint[start:end] = state
    cuts = np.flatnonzero(np.diff(paint)) + 1
    first = np.concatenate([[0], cuts])
    last = np.concatenate([cuts, [len(paint)]])
    return [(int(edges[a]), int(edges[b] - edges[a]), STATES[paint[a]]) for a, b in zip(first, last, strict=True)]


def totals(ranges: Sequence[Range]) -> dict[str, int]:
    """Bytes per state, in the order of ``STATES``, without those that are nowhere."""
    sums = dict.fromkeys(STATES, 0)
    for _, length, state in ranges:
        sums[state] += length
    return {state: n for state, n in sums.items() if n}
