# SPDX-License-Identifier: Apache-2.0
"""Which blocks of a volume are free, asked block by block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class FreeSpace:
    """Which blocks are free, by ranges in bytes as :meth:`coverage` gives them."""

    def __init__(self, ranges: Sequence[tuple[int, int]], block: int) -> None:
        self.ranges = ranges
        self.block = block
        self._starts = np.array([at for at, _ in ranges], np.int64)
        self._ends = np.array([at + size for at, size in ranges], np.int64)

    def holds(self, place: int, count: int) -> NDArray[np.bool_]:
        """Of ``count`` blocks from the byte ``place`` on, which are free."""
        places = place + np.arange(count, dtype=np.int64) * self.block
        if not len(self._starts):
            return np.zeros(count, np.bool_)
        index = np.searchsorted(self._starts, places, side="right") - 1
        return (index >= 0) & (places < self._ends[np.maximum(index, 0)])
