# SPDX-License-Identifier: Apache-2.0
"""What the readers of virtual disks share: a medium cut into runs, and tables of numbers read page by page.

A reader says of any range which runs it consists of: plain bytes of a file, a compressed unit, zeros that the format
says are there, what lies beneath (a parent image), or lost. Everything else is done here, once: reading, joining
neighbours, decompressing behind a cache, and carrying over what could not be read, so that no reader can give zeros
for bytes that it failed to get without listing them in ``bad``. Not for use by several threads at once.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from headwater.formats.sources import Bad, BadRanges, FileSource
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

MEDIUM_MOST = 1 << 53  # bytes of a virtual disk: 8 PiB, above what any of these formats is used for
_PAGE = 64 << 10
_PAGES = 128
_UNPACKED = 16 << 20  # bytes of decompressed units kept

How = Literal["plain", "packed", "zero", "beneath", "lost"]


class Run(NamedTuple):
    """``length`` bytes of the medium and where they come from.

    ``plain``: ``source`` from ``offset``. ``packed``: the unit named ``key``, from ``offset`` in it. ``beneath``: the
    parent, at the same place. ``lost``: nobody can say, and ``reason`` and ``detail`` say why.
    """

    how: How
    length: int
    source: ByteSource | None = None
    offset: int = 0
    key: tuple[int, ...] = ()
    reason: GapReason = GapReason.UNREADABLE
    detail: str = ""


class Numbers:
    """Unsigned numbers of a file by their place, read in pages of 64 KiB: no table is held whole, whatever it states."""

    def __init__(self, source: ByteSource, width: Literal[4, 8], order: Literal["little", "big"]) -> None:
        self._source = source
        self._width = width
        self._order: Literal["little", "big"] = order
        self._pages: OrderedDict[int, tuple[bytes, tuple[Bad, ...]]] = OrderedDict()

    def at(self, offset: int) -> int | None:
        """The number at ``offset`` (a multiple of its width); None where the file ends before or cannot be read."""
        number, inside = divmod(offset, _PAGE)
        held = self._pages.get(number)
        if held is None:
            held = self._load(number)
        data, faults = held
        word = data[inside : inside + self._width]
        if len(word) < self._width or (
            faults and any(o < offset + self._width and offset < o + n for o, n, *_ in faults)
        ):
            return None
        return int.from_bytes(word, self._order)

    def _load(self, number: int) -> tuple[bytes, tuple[Bad, ...]]:
        data = self._source.pread(number * _PAGE, _PAGE)
        self._pages[number] = held = data, faults_in(self._source, number * _PAGE, _PAGE)
        if len(self._pages) > _PAGES:
            self._pages.popitem(last=False)
        return held


def faults_in(source: ByteSource, offset: int, length: int) -> tuple[Bad, ...]:
    """The ranges of a source, met so far, that cannot be read and touch this one."""
    bad = source.bad
    return tuple(b for b in bad if b[0] < offset + length and offset < b[0] + b[1]) if bad else ()


def stretches(bits: npt.NDArray[np.uint8], first: int, count: int) -> Iterator[tuple[bool, int]]:
    """(set, how many) for the bits from ``first`` on, equal neighbours together."""
    some = bits[first : first + count]
    edges = [0, *(np.flatnonzero(some[1:] != some[:-1]) + 1).tolist(), len(some)]
    for start, stop in itertools.pairwise(edges):
        yield bool(some[start]), stop - start


class LostSource:
    """What stands where a file of the set is missing and the person said to go on: zeros, all of them listed."""

    def __init__(self, size: int, detail: str) -> None:
        self.size = size
        self.bad: Sequence[Bad] = ((0, size, GapReason.UNREADABLE, detail),)

    def pread(self, offset: int, length: int) -> bytes:
        """Zeros."""
        return bytes(max(0, min(length, self.size - offset))) if offset >= 0 else b""

    def close(self) -> None:
        """Nothing to close."""


class BlockMedium:
    """A medium made of runs; a reader inherits from it and gives ``runs`` and, if it has any, ``unpack``.

    See :class:`headwater.formats.media.Medium` for the fields. ``beneath`` is the parent image; where it ends before
    this medium does, every one of these formats defines zeros.
    """

    kind = ""
    stated: Mapping[str, str] = MappingProxyType({})

    def __init__(self, own: FileSource, size: int, sector_size: int = 512) -> None:
        self.own = own
        self.size = size
        self.sector_size = sector_size
        self.beneath: ByteSource | None = None
        self.notes: dict[str, str] = {}
        self.warnings: list[Gap] = []
        self.owned: Sequence[ByteSource] = (own,)
        self._bad = BadRanges()
        self._units: OrderedDict[tuple[int, ...], bytes | str] = OrderedDict()
        self._held = 0

    @property
    def bad(self) -> Sequence[Bad]:
        """See :class:`headwater.model.ports.ByteSource`."""
        return self._bad.listing()

    def runs(self, offset: int, length: int) -> Iterator[Run]:
        """Runs that tile ``length`` bytes from ``offset`` exactly; the range lies within the medium."""
        raise NotImplementedError

    def unpack(self, key: tuple[int, ...]) -> bytes | str:
        """The whole content of a compressed unit, or in words why it cannot be had."""
        raise NotImplementedError

    def snapshots(self) -> Mapping[str, str]:
        """The states of the medium that the image holds besides the present one: id → description."""
        return {}

    def at_snapshot(self, name: str) -> BlockMedium | None:
        """The medium as it was at a snapshot, by id or name; None where there is none of that name."""
        return None

    def pread(self, offset: int, length: int) -> bytes:
        """See :class:`headwater.model.ports.ByteSource`."""
        length = min(length, self.size - offset)
        if length <= 0 or offset < 0:
            return b""
        parts: list[bytes] = []
        at = offset
        pending: Run | None = None
        for run in self.runs(offset, length):
            if pending is None:
                pending = run
            elif _joins(pending, run):
                pending = pending._replace(length=pending.length + run.length)
            else:
                parts.append(self._content(pending, at))
                at += pending.length
                pending = run
        if pending is not None:
            parts.append(self._content(pending, at))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _content(self, run: Run, at: int) -> bytes:
        if run.how == "plain" and run.source is not None:
            return self._plain(run, run.source, at)
        if run.how == "packed":
            unit = self._unit(run.key)
            if not isinstance(unit, str):
                return unit[run.offset : run.offset + run.length]
            self._bad.add(at, run.length, GapReason.UNREADABLE, unit)
        elif run.how == "beneath" and self.beneath is not None:
            data = self.beneath.pread(at, run.length)
            self._carry(self.beneath, at, len(data), at)
            return data if len(data) == run.length else data + bytes(run.length - len(data))
        elif run.how == "lost":
            self._bad.add(at, run.length, run.reason, run.detail)
        return bytes(run.length)

    def _plain(self, run: Run, source: ByteSource, at: int) -> bytes:
        data = source.pread(run.offset, run.length)
        self._carry(source, run.offset, len(data), at)
        lack = run.length - len(data)
        if lack:
            self._bad.add(at + len(data), lack, GapReason.TRUNCATED, "the image file ends before this block does")
            data += bytes(lack)
        return data

    def _carry(self, source: ByteSource, offset: int, length: int, at: int) -> None:
        """Take over what ``source`` could not read of the range that stands at ``at`` here."""
        for start, size, reason, detail in faults_in(source, offset, length):
            low, high = max(start, offset), min(start + size, offset + length)
            self._bad.add(at + low - offset, high - low, reason, detail)

    def _unit(self, key: tuple[int, ...]) -> bytes | str:
        unit = self._units.get(key)
        if unit is not None:
            self._units.move_to_end(key)
            return unit
        unit = self.unpack(key)
        self._units[key] = unit
        self._held += len(unit)
        while self._held > _UNPACKED and len(self._units) > 1:
            self._held -= len(self._units.popitem(last=False)[1])
        return unit

    def close(self) -> None:
        """Close the files of the set."""
        self._units.clear()
        for source in self.owned:
            source.close()


def _joins(first: Run, second: Run) -> bool:
    if first.how != second.how:
        return False
    if first.how == "plain":
        return first.source is second.source and first.offset + first.length == second.offset
    if first.how == "lost":
        return first.detail == second.detail and first.reason == second.reason
    return first.how in ("zero", "beneath")
