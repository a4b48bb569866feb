# SPDX-License-Identifier: Apache-2.0
"""The bytes of an md array, read from its members; what a member lacks comes from a copy or from parity.

A member may be missing, out of date from some place on, or have sectors that cannot be read. Only where neither a copy
nor parity helps are there zeros, listed in ``bad``. ``rebuilt`` counts what had to be made from others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from headwater.formats.mdraid_geometry import Geometry, Row
from headwater.formats.sources import BadRanges, RangeSource
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource

if TYPE_CHECKING:
    from headwater.formats.galois import Block

_SECTOR = 512
_LOST = "no member of the array holds this, nor can it be made from the others"


class Leg(NamedTuple):
    """A member's data: ``size`` bytes of ``source`` from ``offset``, up to date up to ``synced``, without ``lost``."""

    source: ByteSource
    offset: int
    size: int
    synced: int
    lost: tuple[tuple[int, int], ...]


class ArraySource(RangeSource):
    """An array as bytes; ``legs`` by place in it, None for a member that is not here."""

    def __init__(self, geometry: Geometry, legs: Sequence[Leg | None], size: int) -> None:
        self._geometry = geometry
        self._legs = tuple(legs)
        self._size = max(0, min(size, geometry.size))
        self._bad = BadRanges()
        self.rebuilt = 0

    def _read(self, offset: int, length: int) -> bytes:
        parts: list[bytes] = []
        while length > 0:
            copies, run = self._geometry.place(offset)
            take = min(length, run)
            parts.append(self._fetch(copies, take, offset))
            offset += take
            length -= take
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _fetch(self, copies: Sequence[tuple[int, int]], take: int, at: int) -> bytes:
        for member, place in copies:
            data = self._from(member, place, take)
            if data is not None:
                return data
        member, place = copies[0]
        data = self._rebuild(member, place, take)
        if data is not None:
            self.rebuilt += take
            return data
        if take > _SECTOR and any(self._legs[m] is not None for m in self._row(copies, place)):
            half = (take // 2 + _SECTOR - 1) // _SECTOR * _SECTOR
            rest = [(m, p + half) for m, p in copies]
            if half < take:
                return self._fetch(copies, half, at) + self._fetch(rest, take - half, at + half)
        self._bad.add(at, take, GapReason.UNREADABLE, _LOST)
        return bytes(take)

    def _row(self, copies: Sequence[tuple[int, int]], place: int) -> Sequence[int]:
        """The members whose sectors, taken one by one, may yet give what a whole stretch did not."""
        row = self._geometry.row(place)
        if row is None:
            return [m for m, _ in copies]
        lacking = [m for m in (*row.data, row.p, row.q) if m >= 0 and self._legs[m] is None]
        return (*row.data, row.p) if len(lacking) <= (2 if row.q >= 0 else 1) else ()

    def _from(self, member: int, place: int, take: int) -> bytes | None:
        """Bytes of one member's data; None where it does not have all of them, or not in their last state."""
        leg = self._legs[member]
        if leg is None or place + take > min(leg.size, leg.synced):
            return None
        if any(at < place + take and place < at + length for at, length in leg.lost):
            return None
        start = leg.offset + place
        data = leg.source.pread(start, take)
        if len(data) < take:
            return None
        if any(at < start + take and start < at + length for at, length, _, _ in leg.source.bad):
            return None
        return data

    def _rebuild(self, member: int, place: int, take: int) -> bytes | None:
        """A data chunk's bytes from the other members of its row."""
        import numpy as np  # here and below: only where something is made from parity

        row = self._geometry.row(place)
        if row is None:
            return None
        blocks: dict[int, Block] = {}
        lacking: list[int] = []
        for other in row.data:
            data = None if other == member else self._from(other, place, take)
            if data is None:
                lacking.append(other)
                if len(lacking) > 2:
                    return None
            else:
                blocks[other] = np.frombuffer(data, np.uint8)
        p, q = (self._parity(m, place, take) for m in (row.p, row.q))
        found = _solved(row, blocks, lacking, member, p, q)
        return None if found is None else found.tobytes()

    def _parity(self, member: int, place: int, take: int) -> Block | None:
        import numpy as np

        data = self._from(member, place, take) if member >= 0 else None
        return None if data is None else np.frombuffer(data, np.uint8)

    def parts(self, offset: int, length: int) -> list[tuple[ByteSource, int, int]]:
        """(source, offset in it, length) of what holds the bytes; what is made from parity is left out."""
        found: list[tuple[ByteSource, int, int]] = []
        end = min(offset + length, self._size)
        while offset < end:
            copies, run = self._geometry.place(offset)
            take = min(end - offset, run)
            for member, place in copies:
                leg = self._legs[member]
                if leg is not None and place + take <= min(leg.size, leg.synced):
                    found.append((leg.source, leg.offset + place, take))
                    break
            offset += take
        return found

    def close(self) -> None:
        """Nothing of its own to close: the members stay with whoever opened them."""


def _solved(
    row: Row, blocks: dict[int, Block], lacking: list[int], member: int, p: Block | None, q: Block | None
) -> Block | None:
    """The block of ``member`` from the blocks that there are; None where they are too few."""
    from headwater.formats.galois import one_from_q, two_from_pq

    powers = {row.powers[m]: block for m, block in blocks.items()} if row.q >= 0 else {}
    if len(lacking) == 1:
        if p is not None:
            found = p.copy()
            for block in blocks.values():
                found ^= block
            return found
        return one_from_q(row.powers[member], q, powers) if q is not None else None
    if len(lacking) != 2 or p is None or q is None:
        return None
    other = lacking[0] if lacking[1] == member else lacking[1]
    return two_from_pq(row.powers[member], row.powers[other], p, q, powers)[0]
