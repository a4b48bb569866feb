# SPDX-License-Identifier: Apache-2.0
"""Where the chunks of an E01 stand: its tables, read when first needed, and the numbering of chunks across damage.

A table does not say which chunk is its first: chunks are counted from the beginning of the set. Where a table or a
segment is lost, those behind it are counted from the end; between two losses no number is sure, and none is guessed.
Specification: see :mod:`headwater.formats.ewf_sections`.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from headwater.formats.ewf_sections import Section
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource

_HEADER = 24
_ENTRIES = 4 << 20  # EnCase and libewf write at most 65,534 to a table
_OVERFLOW = 0x7FFF_FFFF


class Copy(NamedTuple):
    """One of the two copies of a table: where its entries stand, how many, their base, and the end of the section."""

    entries: int
    number: int
    base: int
    end: int
    sound: bool


@dataclass(frozen=True, slots=True)
class Table:
    """The place of a run of chunks in one segment file; ``data_end`` where their data end, if that is known."""

    segment: int
    source: ByteSource
    count: int
    copies: tuple[Copy, ...]
    data_end: int | None


class Hole(NamedTuple):
    """Chunks, nobody knows yet how many, whose place is lost."""

    reason: GapReason
    detail: str


class Places(NamedTuple):
    """Offsets of a table's chunks, and which are compressed. Not ``sound``: each must prove itself."""

    offsets: npt.NDArray[np.int64]
    compressed: npt.NDArray[np.bool_]
    sound: bool


def read_copy(source: ByteSource, section: Section) -> Copy | None:
    """The header of a table or table2 section; None where it can be no table."""
    head = source.pread(section.body, _HEADER)
    if len(head) < _HEADER or section.end - section.body < _HEADER:
        return None
    count = int.from_bytes(head[:4], "little")
    base = int.from_bytes(head[8:16], "little")
    sound = isal_zlib.adler32(head[:20]) == int.from_bytes(head[20:24], "little")
    room = section.end - section.body - _HEADER
    if not 0 < count <= _ENTRIES or count * 4 > room or base > 1 << 62:
        return None
    # without its checksum a count is believed only if it fills the section exactly: the numbering hangs on it
    if not sound and count * 4 + 4 != room:
        return None
    return Copy(section.body + _HEADER, count, base, section.end, sound)


def table_of(segment: int, source: ByteSource, copies: Sequence[Copy], data_end: int | None) -> Table | None:
    """A table from the copies that could be read, the sound ones first; copies of another length are left out."""
    ordered = sorted(copies, key=lambda copy: not copy.sound)
    if not ordered:
        return None
    count = ordered[0].number
    return Table(segment, source, count, tuple(c for c in ordered if c.number == count), data_end)


def load(table: Table, chunk_size: int) -> tuple[Places, ...]:
    """The places that the table states: one, if a copy is sound, otherwise each copy's, to be tried in order."""
    found: list[Places] = []
    for copy in table.copies:
        places = _places(table.source, copy, chunk_size)
        if places.sound:
            return (places,)
        found.append(places)
    return tuple(found)


def _places(source: ByteSource, copy: Copy, chunk_size: int) -> Places:
    data = source.pread(copy.entries, copy.number * 4 + 4)
    data += bytes(copy.number * 4 + 4 - len(data))
    raw = np.frombuffer(data, "<u4", copy.number).astype(np.int64)
    offsets = raw & _OVERFLOW
    compressed = raw > _OVERFLOW
    # EnCase 6.7 wrote segments over 2 GiB without a base: from there on 32-bit offsets of stored chunks
    turns = np.flatnonzero((offsets[1:] < offsets[:-1]) & (offsets[:-1] > _OVERFLOW - 2 * chunk_size))
    if turns.size and copy.base == 0:
        first = int(turns[0]) + 1
        offsets[first:] = raw[first:]
        compressed[first:] = False
    checksum = int.from_bytes(data[-4:], "little")
    sound = copy.sound and isal_zlib.adler32(data[:-4]) == checksum
    return Places(offsets + copy.base, compressed, sound)


def believable(places: Places, index: int) -> bool:
    """Whether an unsound entry lies between its neighbours, so that it cannot name another chunk's place."""
    offsets = places.offsets
    here = offsets[index]
    before = offsets[index - 1] if index else -1
    after = offsets[index + 1] if index + 1 < len(offsets) else here + 1
    return bool(before < here < after)


class Run(NamedTuple):
    """``length`` chunks from number ``first``: in a table from its entry 0, or lost in a hole."""

    first: int
    length: int
    table: Table | None
    hole: Hole | None


class Numbering:
    """Which run holds a chunk. ``chunks`` is their number by the volume section, 0 where that is not known."""

    def __init__(self, items: Sequence[Table | Hole], chunks: int) -> None:
        known = sum(item.count for item in items if isinstance(item, Table))
        self.chunks = chunks or known
        self.surplus = max(0, known - self.chunks)
        lost = max(0, self.chunks - known)
        holes = [item for item in items if isinstance(item, Hole)]
        if lost and not holes:
            items = (*items, Hole(GapReason.TRUNCATED, "the set ends before the medium does"))
        self.runs = _unsure(items, lost) if lost and len(holes) > 1 else _sure(items, lost)
        self._firsts = [run.first for run in self.runs]

    def run_of(self, chunk: int) -> Run:
        return self.runs[bisect.bisect_right(self._firsts, chunk) - 1]


def _sure(items: Sequence[Table | Hole], lost: int) -> list[Run]:
    runs: list[Run] = []
    at = 0
    for item in items:
        if isinstance(item, Table):
            runs.append(Run(at, item.count, item, None))
            at += item.count
        elif lost:
            runs.append(Run(at, lost, None, item))
            at += lost
    return runs


def _unsure(items: Sequence[Table | Hole], lost: int) -> list[Run]:
    """Tables before the first hole and behind the last are numbered; all between is one hole."""
    places = [index for index, item in enumerate(items) if isinstance(item, Hole)]
    first, last = places[0], places[-1]
    between = [item for item in items[first : last + 1] if isinstance(item, Table)]
    details = dict.fromkeys(item.detail for item in items if isinstance(item, Hole))
    hole = Hole(GapReason.UNREADABLE, "; ".join(list(details)[:5]) + "; chunks in between cannot be numbered")
    return _sure((*items[:first], hole, *items[last + 1 :]), lost + sum(item.count for item in between))
