# SPDX-License-Identifier: Apache-2.0
"""Which ranges of the source hold nothing but zeros: what was wiped, what was never written, what trim emptied."""

from __future__ import annotations

from array import array

MOST = 1_000_000  # ranges kept, 16 bytes each


class ZeroMap:
    """Ranges in order of offset, joined where they touch; ``total`` counts also what no longer found room."""

    def __init__(self) -> None:
        self._starts = array("Q")
        self._ends = array("Q")
        self.total = 0
        self.complete_to: int | None = None  # None: every range is kept

    def add(self, offset: int, length: int) -> None:
        """Note a range behind all others."""
        self.total += length
        if self._ends and self._ends[-1] == offset:
            self._ends[-1] = offset + length
        elif len(self._starts) < MOST:
            self._starts.append(offset)
            self._ends.append(offset + length)
        elif self.complete_to is None:
            self.complete_to = offset

    def ranges(self) -> list[tuple[int, int]]:
        """(offset, length) in order."""
        return [(start, end - start) for start, end in zip(self._starts, self._ends)]
