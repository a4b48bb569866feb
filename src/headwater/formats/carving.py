# SPDX-License-Identifier: Apache-2.0
"""Files without a name in the unallocated space of a volume: by signature, each walked by its own structure.

A file begins where a block begins, so the first bytes of every free block are held against the signatures, all blocks of
a stretch at once; what fits is walked (:mod:`headwater.formats.carve_walk`), which refuses chance and finds the length.
A file whose checksum covers its content may go on past blocks in use, in the next free ones; any other is cut there and
said to be a part. What begins where a deleted file with a name begins is that file, and is left to it.

Limits: files that do not begin a block (tails packed together, compressed volumes); fragments without a signature;
blocks that were used several times hold the last; SSDs that were told of free blocks (TRIM) and thin volumes give zeros.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from headwater.formats import carve_packed, carve_pictures, carve_records, carve_streams
from headwater.formats.carve_walk import Budget, Spent, Stretch, Walk, Walked
from headwater.formats.patterns import lazy_regex
from headwater.formats.sources import ChainSource, Piece
from headwater.formats.trees import Coverage, Entry
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

FILES_MOST = 100_000
BYTES_MOST = 64 << 30  # of all contents
RUNS_MOST = 4_000  # of one file
SIGHTINGS_MOST = 500_000
_READ = 4 << 20
_KEY = lazy_regex(r"(?:\d{1,18}\+\d{1,18},?){1,4000}")
_REACH = 4 << 30  # how far a file may go on

_SIGNATURES: tuple[tuple[bytes, Walk], ...] = (
    (b"\x89PNG\r\n\x1a\n", carve_pictures.png), (b"\xff\xd8\xff", carve_pictures.jpeg), (b"GIF87a", carve_pictures.gif),
    (b"GIF89a", carve_pictures.gif), (b"%PDF-", carve_pictures.pdf), (b"PK\x03\x04", carve_packed.zipped),
    (b"\x1f\x8b\x08", carve_packed.gzip), (b"\xfd7zXZ\0", carve_streams.xz),
    (b"BZh", carve_streams.bzip2), (b"\x28\xb5\x2f\xfd", carve_streams.zstd), (b"7z\xbc\xaf\x27\x1c", carve_packed.seven_zip),
    (b"Rar!\x1a\x07", carve_packed.rar), (b"!<arch>\n", carve_packed.ar), (b"\x7fELF", carve_records.elf), (b"MZ", carve_records.pe),
    (b"SQLite f", carve_records.sqlite), (b"ElfFile\0", carve_records.evtx), (b"ElfChnk\0", carve_records.evtx),
    (b"LPKSHHRH", carve_records.journal), (b"\xd4\xc3\xb2\xa1", carve_records.pcap),
    (b"\xa1\xb2\xc3\xd4", carve_records.pcap), (b"\x4d\x3c\xb2\xa1", carve_records.pcap),
    (b"\xa1\xb2\x3c\x4d", carve_records.pcap), (b"#!/", carve_records.text), (b"#! /", carve_records.text),
    (b"<?php", carve_records.text), (b"<%@ ", carve_records.text),
)  # fmt: skip
_TAR_AT, _TAR = 257, b"ustar"


class Volume(Protocol):
    """What carving asks of a tree: which ranges of its volume are free."""

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]: ...


@dataclass(frozen=True, slots=True)
class Carved:
    """One file that was found by its signature; ``place`` and ``record_size``: its first range on the volume."""

    entry: Entry
    place: int
    record_size: int
    walked: Walked


@functools.cache
def _masks() -> list[tuple[np.uint64, np.uint64, Walk]]:
    return [
        (np.uint64(int.from_bytes(magic.ljust(8, b"\0"), "little")), np.uint64((1 << 8 * len(magic)) - 1), walk)
        for magic, walk in _SIGNATURES
    ]


def _heads(data: bytes, unit: int) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """The first eight bytes of each block as a number, and whether a tar archive may begin there."""
    rows = np.frombuffer(data, np.uint8)[: len(data) // unit * unit].reshape(-1, unit)
    heads = np.ascontiguousarray(rows[:, :8]).view("<u8")[:, 0]
    tars = (rows[:, _TAR_AT : _TAR_AT + len(_TAR)] == np.frombuffer(_TAR, np.uint8)).all(axis=1)
    return heads, tars


def _sighted(data: bytes, unit: int) -> list[tuple[int, Walk]]:
    """(offset, walk) of every block that begins with a signature, in order."""
    if len(data) < unit:
        return []
    heads, tars = _heads(data, unit)
    if not heads.any() and not tars.any():
        return []
    found: dict[int, Walk] = {int(n): carve_packed.tar for n in np.flatnonzero(tars)}
    for value, mask, walk in _masks():
        for index in np.flatnonzero(heads & mask == value).tolist():
            found[index] = walk
    return [(index * unit, found[index]) for index in sorted(found)]


def signatures(source: ByteSource, ranges: Iterable[tuple[int, int]], unit: int) -> Iterator[tuple[int, Walk]]:
    """(place, walk) of every block of the ranges that begins with a signature, in order; nothing is walked yet."""
    for offset, length in ranges:
        for at in range(offset, offset + length, _READ):
            for within, walk in _sighted(source.pread(at, min(_READ, offset + length - at)), unit):
                yield at + within, walk


class Sightings:
    """What was seen of signatures by whoever read the free space for something else, so that it is read once.

    ``take`` is given every stretch that is read, in order; beyond a number of sightings they are not kept.
    """

    def __init__(self, unit: int) -> None:
        self._unit = unit
        self._found: list[tuple[int, Walk]] = []
        self._ranges: list[tuple[int, int]] = []

    def take(self, at: int, data: bytes) -> None:
        """The bytes from ``at`` on."""
        if len(self._found) > SIGHTINGS_MOST:
            return
        self._found.extend((at + within, walk) for within, walk in _sighted(data, self._unit))
        last = self._ranges[-1] if self._ranges else (0, 0)
        if sum(last) == at and self._ranges:
            self._ranges[-1] = last[0], last[1] + len(data)
        else:
            self._ranges.append((at, len(data)))

    def of(self, ranges: Sequence[tuple[int, int]]) -> list[tuple[int, Walk]] | None:
        """What was seen, where just these ranges were read; None where others were, or it was too much to keep."""
        return self._found if _joined(ranges) == self._ranges and len(self._found) <= SIGHTINGS_MOST else None


def _joined(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for at, size in ranges:
        if found and sum(found[-1]) == at:
            found[-1] = found[-1][0], found[-1][1] + size
        else:
            found.append((at, size))
    return found


class Stretches:
    """Ranges of a medium on which no file system stands, as a volume whose free space they are."""

    def __init__(self, ranges: Sequence[tuple[int, int]]) -> None:
        self._ranges = ranges

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        """All of them, as unallocated."""
        for at, size in self._ranges:
            yield at, size, "unallocated"


class _Free:
    """The free ranges of a volume, joined to one stretch of bytes."""

    def __init__(self, source: ByteSource, ranges: Sequence[tuple[int, int]]) -> None:
        self.ranges = ranges
        self.starts = np.array([at for at, _ in ranges], np.int64)
        sizes = np.array([size for _, size in ranges], np.int64)
        self.logical = np.cumsum(sizes) - sizes
        self.source = ChainSource([Piece(source, at, size) for at, size in ranges])

    def place(self, offset: int) -> tuple[int, int]:
        """(where it stands in the joined stretch, bytes from there to the end of its own range)."""
        index = int(np.searchsorted(self.starts, offset, side="right")) - 1
        at, size = self.ranges[index]
        return int(self.logical[index]) + offset - at, at + size - offset


class CarvedTree:
    """The carved files of one volume as a tree of their own; the free space is read when it is first listed.

    ``known``: places where files begin that are told with their names elsewhere. ``unit``: bytes of a block. ``seen``: what
    the search for those saw of signatures on its way, if it read the same.
    """

    kind = view = "carved"

    def __init__(
        self, tree: Volume, source: ByteSource, unit: int, known: Callable[[], set[int]], seen: Sightings | None = None
    ) -> None:
        self._tree, self._source, self._unit, self._known, self._seen = tree, source, unit, known, seen
        self._warnings: list[Gap] = []
        self._found: list[Carved] | None = None

    @property
    def warnings(self) -> Sequence[Gap]:
        return tuple(self._warnings)

    def entries(self) -> Iterator[Entry]:
        """What was carved, in order of place."""
        for found in self.recovered():
            yield found.entry

    def recovered(self) -> list[Carved]:
        """The carved files with what their walks say, in order of place."""
        if self._found is None:
            self._found = list(self._carve())
        return self._found

    def _carve(self) -> Iterator[Carved]:
        unit, end = self._unit, self._source.size
        ranges = [(at, min(n, end - at)) for at, n, what in self._tree.coverage() if what == "unallocated" and at < end]
        if not ranges:
            return
        free = _Free(self._source, ranges)
        known = self._known()
        budget = Budget(2 * free.source.size + (1 << 30))
        inside = taken = count = 0
        seen = self._seen.of(ranges) if self._seen is not None else None
        for place, walk in signatures(self._source, ranges, unit) if seen is None else seen:
            logical, room = free.place(place)
            if logical < inside or place in known:
                continue
            try:
                walked = _walked(free.source, logical, room, unit, walk, budget)
            except Spent:
                self._limit("the walks over carved files read twice what is free; what lies behind was not carved")
                return
            if walked is None or not walked.length:
                continue
            inside = logical + walked.length
            taken, count = taken + walked.length, count + 1
            if count > FILES_MOST or taken > BYTES_MOST:
                self._limit(f"more than {FILES_MOST} carved files or {BYTES_MOST >> 30} GiB; the rest was not carved")
                return
            yield _carved(free.source.physical(logical, walked.length), walked)

    def _limit(self, text: str) -> None:
        self._warnings.append(Gap(0, 0, GapReason.LIMIT, text))

    def open(self, key: str) -> ByteSource:
        """The content of a carved file.

        Raises:
            KeyError: no such key.
        """
        return ChainSource([Piece(self._source, at, size) for at, size in self.extents(key)])

    def extents(self, key: str) -> tuple[tuple[int, int], ...]:
        """Ranges on the volume that hold the content, in order."""
        if not _KEY.fullmatch(key):
            raise KeyError(key)
        pairs = (part.split("+") for part in key.rstrip(",").split(","))
        found = tuple((int(at), int(size)) for at, size in pairs)
        if any(at + size > self._source.size for at, size in found):
            raise KeyError(key)
        return found

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        """Nothing: the volume's own tree tells what its blocks are."""
        return iter(())


def _walked(source: ByteSource, start: int, room: int, unit: int, walk: Walk, budget: Budget) -> Walked | None:
    """What the walk says: within the range first, past its end only where a checksum speaks for the whole."""
    near = Stretch(source, start, room, unit, budget)
    found = _within(walk(near), near)
    if (found is None and not near.short) or (found is not None and (found.whole or not near.short)):
        return found
    far = Stretch(source, start, min(_REACH, source.size - start), unit, budget)
    if far.size > room:
        further = _within(walk(far), far)
        if further is not None and further.whole and further.proof == "checksum":
            runs = source.physical(start, further.length) if isinstance(source, ChainSource) else ()
            if len(runs) <= RUNS_MOST:
                return further
    return found


def _within(found: Walked | None, stretch: Stretch) -> Walked | None:
    """A walk's answer, cut where it says more than there is: lengths in a last, cut part can reach past the end."""
    if found is None or found.length <= stretch.size:
        return found
    stretch.short = True
    return replace(found, length=stretch.size, whole=False, note="its end is not there")


def _carved(runs: Sequence[tuple[int, int]], walked: Walked) -> Carved:
    place, size = runs[0]
    path = f"/{walked.kind}/{place:015d}.{walked.ending}"
    key = ",".join(f"{at}+{n}" for at, n in runs)
    entry = Entry(
        path, "file", walked.length, 0, None, None, 0, False, None, None, None, None, None, None, key
    )  # fmt: skip
    return Carved(entry, place, size, walked)
