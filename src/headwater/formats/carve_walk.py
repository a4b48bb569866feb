# SPDX-License-Identifier: Apache-2.0
"""What a walk over the structure of a carved file says, and how the walks read the free space that they are given.

A walk begins where a signature stands and follows the format's own lengths and checksums: so the end of a file is known,
or a bound on it is. Everything read is paid for out of one budget of the whole volume, so that hostile bytes (a thousand
beginnings of one endless file) cannot take longer than a few readings of the free space.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from headwater.model.ports import ByteSource

STEPS_MOST = 400_000  # of one walk
Proof = Literal["checksum", "structure", "text"]


class Spent(Exception):
    """The budget of the volume is used up."""


@dataclass(slots=True)
class Budget:
    """Bytes that all walks on a volume may still read or unpack."""

    left: int

    def pay(self, count: int) -> None:
        """Take bytes off it.

        Raises:
            Spent: there are none left.
        """
        self.left -= count
        if self.left < 0:
            raise Spent


class Stretch:
    """Free space from a signature on. ``short``: some read wanted more than there is; ``unit``: bytes of a block."""

    __slots__ = ("_budget", "_source", "_start", "short", "size", "unit")

    def __init__(self, source: ByteSource, start: int, size: int, unit: int, budget: Budget) -> None:
        self._source, self._start, self._budget = source, start, budget
        self.size, self.unit, self.short = size, unit, False

    def at(self, offset: int, length: int) -> bytes:
        """``length`` bytes, fewer where the stretch ends."""
        self._budget.pay(64 + length)
        if offset + length > self.size:
            self.short = True
            length = max(0, self.size - offset)
        return self._source.pread(self._start + offset, length) if length else b""

    def pay(self, count: int) -> None:
        """Account for bytes that a walk made itself, by unpacking."""
        self._budget.pay(count)


@dataclass(frozen=True, slots=True)
class Walked:
    """``length``: of the file in bytes, or, where it is not ``whole``, of the part whose structure holds.

    ``proof``: ``checksum`` where the format's own sums cover the content, ``structure`` where its lengths and places fit
    each other, ``text`` where nothing but the bytes' being text speaks for them. ``note``: what limits the claim.
    """

    kind: str
    ending: str
    length: int
    whole: bool
    proof: Proof
    note: str = ""


Walk = Callable[[Stretch], "Walked | None"]


def number(data: bytes, at: int, size: int, order: Literal["little", "big"] = "little") -> int:
    """An unsigned number; what lies beyond the end counts as zeros."""
    return int.from_bytes(data[at : at + size], order)
