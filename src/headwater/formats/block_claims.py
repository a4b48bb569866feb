# SPDX-License-Identifier: Apache-2.0
"""Which of several deleted files a free block last belonged to, where more than one of them had it.

A block that is free now may have been given to a second file and freed again. Where that file came back as well, the
block is its, and the first one's claim on it is void. What nobody remembers cannot be told.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCKS_MOST = 4 << 20  # of all files; what lies beyond is not compared


class BlockClaims:
    """Take in all claims, then ask; ``rank``: the greater is the later one."""

    def __init__(self) -> None:
        self._runs: list[tuple[int, int, int]] = []
        self._left = BLOCKS_MOST
        self._blocks: NDArray[np.int64] | None = None
        self._ranks = np.empty(0, np.int64)

    def add(self, first: int, count: int, rank: int) -> None:
        """A file of this rank had ``count`` blocks from ``first`` on."""
        count = min(count, self._left)
        if first > 0 and count > 0:
            self._runs.append((first, count, rank))
            self._left -= count

    def _settle(self) -> NDArray[np.int64]:
        firsts, counts, ranks = (np.array(column, np.int64) for column in zip(*self._runs)) if self._runs else (
            np.empty(0, np.int64) for _ in range(3)
        )  # fmt: skip
        within = np.arange(int(counts.sum()), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
        blocks, ranks = np.repeat(firsts, counts) + within, np.repeat(ranks, counts)
        order = np.lexsort((ranks, blocks))
        blocks, ranks = blocks[order], ranks[order]
        last = np.ones(len(blocks), np.bool_)
        last[:-1] = blocks[1:] != blocks[:-1]
        self._ranks = ranks[last]
        return blocks[last]

    def later(self, first: int, count: int, rank: int) -> NDArray[np.bool_]:
        """Of ``count`` blocks from ``first``, which a later file had."""
        if self._blocks is None:
            self._blocks = self._settle()
        found = np.zeros(count, np.bool_)
        low, high = np.searchsorted(self._blocks, (first, first + count))
        over = self._ranks[low:high] > rank
        found[self._blocks[low:high][over] - first] = True
        return found
