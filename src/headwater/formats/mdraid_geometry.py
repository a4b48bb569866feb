# SPDX-License-Identifier: Apache-2.0
"""Where each byte of an md array lies on its members: linear, RAID 0, 1, 4, 5, 6 and 10 with all their layouts.

The rules are those of the kernel: drivers/md/raid0.c (zones, and the two ways in which their chunks were counted),
raid5.c ``raid5_compute_sector`` (layouts, and the order of members in the second syndrome), raid10.c
``__raid10_find_phys``. Everything is in bytes; nothing here reads.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import NamedTuple, Protocol

_LINEAR = -1
ZONES_ORIGINAL, ZONES_ALTERNATE = 1, 2
LEVELS = (_LINEAR, 0, 1, 4, 5, 6, 10)
_ROWS_CACHED = 400_000  # members in all rows that are kept
_MAX_COPIES = 64


class Unfit(ValueError):
    """The numbers of a superblock that no array can have, or that no reader here understands."""


class Place(NamedTuple):
    """``copies``: (member, offset in its data), the preferred first; ``length``: how far they go on in one run."""

    copies: tuple[tuple[int, int], ...]
    length: int


class Row(NamedTuple):
    """One row of chunks: the member of each data chunk in order, of P and of Q (−1: none), each one's power in Q."""

    data: tuple[int, ...]
    p: int
    q: int
    powers: dict[int, int]


class Geometry(Protocol):
    """``size``: of the array in bytes."""

    size: int

    def place(self, offset: int) -> Place: ...

    def row(self, at: int) -> Row | None:
        """The row that holds the byte ``at`` of the members' data; None without parity."""
        ...


class Linear:
    """One member after the other."""

    def __init__(self, sizes: Sequence[int], chunk: int) -> None:
        sizes = [size // chunk * chunk if chunk else size for size in sizes]
        self._starts = [sum(sizes[:n]) for n in range(len(sizes))]
        self.size = sum(sizes)

    def place(self, offset: int) -> Place:
        member = bisect.bisect_right(self._starts, offset) - 1
        inside = offset - self._starts[member]
        end = self._starts[member + 1] if member + 1 < len(self._starts) else self.size
        return Place(((member, inside),), end - offset)

    def row(self, at: int) -> None:
        return None


class Striped:
    """RAID 0: zones, each over the members that reach so far."""

    def __init__(self, sizes: Sequence[int], chunk: int, layout: int) -> None:
        self._chunk, self._layout = chunk, layout
        sizes = [size // chunk * chunk for size in sizes]
        # (start in the array, start on the members, the members of the zone)
        self._zones: list[tuple[int, int, list[int]]] = []
        at = low = 0
        for high in sorted(set(sizes)):
            members = [n for n, size in enumerate(sizes) if size >= high]
            if high > low:
                self._zones.append((at, low, members))
            at += (high - low) * len(members)
            low = high
        self.size = at
        self._starts = [zone[0] for zone in self._zones]

    @property
    def first_zone(self) -> int:
        """The length of the first zone, over which both layouts agree."""
        return self._zones[1][0] if len(self._zones) > 1 else self.size

    def place(self, offset: int) -> Place:
        start, low, members = self._zones[bisect.bisect_right(self._starts, offset) - 1]
        number, inside = divmod(offset - start, self._chunk)
        counted = offset // self._chunk if self._layout == ZONES_ORIGINAL else number
        member = members[counted % len(members)]
        at = low + number // len(members) * self._chunk + inside
        return Place(((member, at),), self._chunk - inside)

    def row(self, at: int) -> None:
        return None


class Mirrored:
    """RAID 1: all members the same."""

    def __init__(self, disks: int, size: int) -> None:
        self.size, self._disks = size, disks

    def place(self, offset: int) -> Place:
        return Place(tuple((member, offset) for member in range(self._disks)), self.size - offset)

    def row(self, at: int) -> None:
        return None


class Parity:
    """RAID 4, 5 and 6."""

    def __init__(self, level: int, layout: int, disks: int, size: int, chunk: int) -> None:
        self._six = level == 6
        self._layout = 5 if level == 4 else layout  # RAID 4 keeps its parity on the last member
        self._disks, self._chunk = disks, chunk
        self._data = disks - (2 if self._six else 1)
        known = (0, 1, 2, 3, 4, 5, 8, 9, 10, 16, 17, 18, 19, 20) if self._six else (0, 1, 2, 3, 4, 5)
        if self._layout not in known or self._data < 1 or (self._layout >= 16 and disks < 4):
            raise Unfit(f"layout {layout} of RAID {level} over {disks} members")
        self.size = size // chunk * chunk * self._data
        self._rows: dict[int, Row] = {}

    def place(self, offset: int) -> Place:
        number, inside = divmod(offset, self._chunk)
        stripe, index = divmod(number, self._data)
        row = self._row(stripe)
        return Place(((row.data[index], stripe * self._chunk + inside),), self._chunk - inside)

    def row(self, at: int) -> Row:
        return self._row(at // self._chunk)

    def _row(self, stripe: int) -> Row:
        turn = stripe % (self._disks * max(1, self._disks - 1))  # every layout repeats after that many rows
        row = self._rows.get(turn)
        if row is None:
            row = self._six_row(turn) if self._six else self._five_row(turn)
            if len(self._rows) * self._disks >= _ROWS_CACHED:
                self._rows.clear()
            self._rows[turn] = row
        return row

    def _five_row(self, stripe: int) -> Row:
        p, symmetric = _five(self._layout, stripe, self._disks)
        return Row(_order(self._disks, (p,), p + 1 if symmetric else 0), p, -1, {})

    def _six_row(self, stripe: int) -> Row:
        disks, layout = self._disks, self._layout
        if layout >= 16:  # RAID 5 over all members but the last, which holds Q
            p, symmetric = _five({20: 4}.get(layout, layout - 16), stripe, disks - 1)
            data = _order(disks - 1, (p,), p + 1 if symmetric else 0)
            return Row(data, p, disks - 1, _powers(disks, (p, disks - 1), 0))
        if layout in (4, 5):
            p = 0 if layout == 4 else self._data
            q = p + 1
            return Row(_order(disks, (p, q), 0), p, q, _powers(disks, (p, q), (q + 1) % disks))
        if layout == 10:
            p = disks - 1 - stripe % disks
            q = (p - 1) % disks
            return Row(_order(disks, (p, q), p + 1), p, q, {n: n for n in range(disks)})
        if layout in (8, 9):
            p = stripe % disks if layout == 8 else disks - 1 - (stripe + 1) % disks
            q = (p + 1) % disks
            return Row(_order(disks, (p, q), 0), p, q, {n: n for n in range(disks)})
        p = stripe % disks if layout in (1, 3) else disks - 1 - stripe % disks
        q = (p + 1) % disks
        return Row(
            _order(disks, (p, q), q + 1 if layout in (2, 3) else 0), p, q, _powers(disks, (p, q), (q + 1) % disks)
        )


def _five(layout: int, stripe: int, disks: int) -> tuple[int, bool]:
    """The member with the parity, and whether the data begin behind it (the symmetric layouts)."""
    if layout == 4:
        return 0, False
    if layout == 5:
        return disks - 1, False
    p = stripe % disks if layout in (1, 3) else disks - 1 - stripe % disks
    return p, layout in (2, 3)


def _order(disks: int, parity: tuple[int, ...], first: int) -> tuple[int, ...]:
    return tuple(n for n in ((first + i) % disks for i in range(disks)) if n not in parity)


def _powers(disks: int, parity: tuple[int, ...], first: int) -> dict[int, int]:
    return {member: power for power, member in enumerate(_order(disks, parity, first))}


class Copied:
    """RAID 10: near, far and offset copies."""

    def __init__(self, layout: int, disks: int, size: int, chunk: int) -> None:
        self._near, self._far = layout & 255, layout >> 8 & 255
        self._offset = bool(layout >> 16 & 1)
        sets = layout >> 17
        if not self._near or not self._far or self._near * self._far > min(disks, _MAX_COPIES) or sets > 2:
            raise Unfit(f"layout {layout:#x} of RAID 10 over {disks} members")
        self._set = (disks, disks // self._far, self._far * self._near)[sets]
        self._disks, self._chunk = disks, chunk
        chunks = size // chunk // self._far * disks // self._near
        self.size = chunks * chunk
        used = -(-chunks * self._near * self._far // disks)
        self._stride = chunk if self._offset else used // self._far * chunk

    def place(self, offset: int) -> Place:
        number, inside = divmod(offset, self._chunk)
        stripe, member = divmod(number * self._near, self._disks)
        at = stripe * (self._far if self._offset else 1) * self._chunk + inside
        copies: list[tuple[int, int]] = []
        for _ in range(self._near):
            far, place = member, at
            copies.append((far, place))
            for _ in range(1, self._far):
                far = self._next(far)
                place += self._stride
                copies.append((far, place))
            member += 1
            if member >= self._disks:
                member = 0
                at += self._chunk
        return Place(tuple(copies), self._chunk - inside)

    def _next(self, member: int) -> int:
        """The member of the next far copy, within the member's set."""
        here = member // self._set
        member += self._near
        last = (self._disks // self._set - 1) * self._set
        size = self._set + self._disks % self._set
        if self._disks % self._set and member > last:
            return (member - last) % size + last
        return member % self._set + self._set * here

    def row(self, at: int) -> None:
        return None


def geometry(level: int, layout: int, disks: int, size: int, chunk: int, sizes: Sequence[int]) -> Geometry:
    """The geometry of an array; ``size``: of each member's share; ``sizes``: of each member's data.

    Raises:
        Unfit: no array can have these numbers.
    """
    if level not in LEVELS or not 1 <= disks <= 1920:
        raise Unfit(f"level {level} over {disks} members")
    if level == 1:
        return Mirrored(disks, size)
    if level == _LINEAR:
        return Linear(sizes, chunk)
    if chunk <= 0 or chunk % 512 or chunk > 1 << 31:
        raise Unfit(f"chunks of {chunk} bytes")
    if level == 0:
        return Striped(sizes, chunk, layout or ZONES_ALTERNATE)
    return Copied(layout, disks, size, chunk) if level == 10 else Parity(level, layout, disks, size, chunk)
