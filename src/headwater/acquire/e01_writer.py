# SPDX-License-Identifier: Apache-2.0
"""Writes the segments of an E01 image from packed chunks, in order.

1. A segment begins with its file header; the first then holds header2 twice, header and volume, the others data.
2. Chunks stand in ``sectors`` sections whose size is patched when they close; each is followed by its table, twice.
3. A closed table is durable before it is told as a checkpoint: there an interrupted image goes on.
4. A segment that is full ends with ``next``; the last holds error2, digest, hash and ``done``.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

from headwater.acquire import e01_sections as ewf
from headwater.acquire.destinations import Destinations
from headwater.acquire.packing import CHUNK, LEVELS, Packed
from headwater.formats.segments import e01_number, e01_suffix

_LAST = e01_number("x.ZZZ") or 0
_SPAN = 0x7FFF_FFFF - 2 * CHUNK  # how far a table's offsets may reach


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The image is durable up to here: ``done`` bytes of the source, ``position`` in segment number ``segment``."""

    done: int
    segment: int
    position: int


@dataclass(frozen=True, slots=True)
class E01Layout:
    """What must be known before the first byte: sizes in bytes, ``segment`` the largest size of a segment file."""

    stem: str
    size: int
    sector_size: int
    segment: int
    level: str
    set_id: bytes
    fields: Mapping[str, str]
    acquired: datetime
    physical: bool = True
    table_chunks: int = ewf.TABLE_ENTRIES


class E01Writer:
    """See the module. ``told`` is called with each checkpoint, in the thread that writes."""

    def __init__(self, layout: E01Layout, out: Destinations, told: Callable[[Checkpoint], None]) -> None:
        if sys.byteorder != "little":
            raise RuntimeError("the table entries are written as a little-endian machine holds them")
        self._layout = layout
        self._out = out
        self._told = told
        self._entries = array("I")
        self._number = 0
        self._position = 0
        self._sectors: int | None = None  # where the open sectors section stands
        self._chunks = 0

    def name(self, number: int) -> str:
        """The name of a segment file."""
        return f"{self._layout.stem}.{e01_suffix(number)}"

    @property
    def names(self) -> list[str]:
        """The names of all segment files so far."""
        return [self.name(number) for number in range(1, self._number + 1)]

    def begin(self, after: Checkpoint | None = None) -> None:
        """Begin the image, or go on behind a checkpoint."""
        if after is None or not after.segment:
            self._open_segment()
            return
        self._number = after.segment
        self._position = after.position
        self._chunks = after.done // CHUNK
        self._out.begin(self.name(after.segment), after.position)

    def add(self, packed: Packed) -> None:
        """Write the chunks of the next block."""
        sizes = packed.sizes
        view = memoryview(packed.data)
        if sizes and self._room(len(view) - sizes[-1], sizes[-1], len(sizes) - 1):
            self._run(view, sizes, packed.packed)  # where the last fits, all before it do
            return
        at = start = first = 0
        for index, size in enumerate(sizes):
            if not self._room(at - start, size, index - first):
                self._run(view[start:at], sizes[first:index], packed.packed[first:index])
                start, first = at, index
                self._make_room(size)
            at += size
        self._run(view[start:at], sizes[first:], packed.packed[first:])

    def _room(self, pending: int, size: int, count: int) -> bool:
        """Whether a chunk of ``size`` still fits behind ``count`` pending ones into table and segment."""
        entries = len(self._entries) + count
        if entries >= self._layout.table_chunks or self._sectors is None:
            return False
        end = self._position + pending + size
        if end - self._sectors > _SPAN:
            return False
        return end + ewf.table_size(entries + 1) + ewf.DESCRIPTOR <= self._layout.segment or entries == 0

    def _make_room(self, size: int) -> None:
        if self._sectors is not None:
            self._close_table()
        needed = ewf.DESCRIPTOR + size + ewf.table_size(1) + ewf.DESCRIPTOR
        holds_chunks = self._chunks > self._first_chunk
        if self._position + needed > self._layout.segment and holds_chunks and self._number < _LAST:
            self._write(ewf.closing("next", self._position))
            self._out.end()
            self._open_segment()
        self._sectors = self._position
        self._write(ewf.descriptor("sectors", self._position, 0, 0))

    def _run(self, data: memoryview, sizes: Sequence[int], packed: Sequence[bool]) -> None:
        if not sizes:
            return
        assert self._sectors is not None
        places = accumulate(sizes, initial=self._position - self._sectors)
        self._entries.extend([at | ewf.COMPRESSED if yes else at for at, yes in zip(places, packed)])
        self._chunks += len(sizes)
        self._write(data)

    def _close_table(self) -> None:
        assert self._sectors is not None
        here = self._position
        self._out.patch(self._sectors, ewf.descriptor("sectors", self._sectors, here - self._sectors, here))
        body = ewf.table(self._entries, self._sectors)
        first = ewf.section("table", here, body)
        self._write(first + ewf.section("table2", here + len(first), body))
        self._sectors = None
        self._entries = array("I")
        self._out.sync()
        done = min(self._chunks * CHUNK, self._layout.size)
        self._told(Checkpoint(done, self._number, self._position))

    def _open_segment(self) -> None:
        self._number += 1
        self._position = 0
        self._first_chunk = self._chunks
        self._out.begin(self.name(self._number))
        self._write(ewf.file_header(self._number))
        if self._number == 1:
            second = ewf.header2(self._layout.fields, self._layout.acquired)
            for kind, body in (
                ("header2", second),
                ("header2", second),
                ("header", ewf.header(self._layout.fields, self._layout.acquired)),
            ):
                self._write(ewf.section(kind, self._position, body))
        self._write(ewf.section("volume" if self._number == 1 else "data", self._position, self._volume()))

    def _volume(self) -> bytes:
        layout = self._layout
        return ewf.volume(
            chunks=-(-layout.size // CHUNK),
            sectors_per_chunk=CHUNK // layout.sector_size,
            sector_size=layout.sector_size,
            sectors=-(-layout.size // layout.sector_size),
            set_id=layout.set_id,
            level=LEVELS[layout.level],
            physical=layout.physical,
        )

    _first_chunk = 0

    def pause(self) -> None:
        """Close the open table, so that all that was read is kept and the image can go on from here."""
        if self._sectors is not None and self._entries:
            self._close_table()
        self._out.end()

    def finish(self, digests: Mapping[str, str], bad: Sequence[tuple[int, int]]) -> None:
        """Close the image. ``bad``: (offset, length) in bytes."""
        if self._sectors is not None:
            self._close_table()
        sector = self._layout.sector_size
        sectors = [(at // sector, -(-(at + length) // sector) - at // sector) for at, length in bad]
        if listed := ewf.fits_errors(sectors):
            self._write(ewf.section("error2", self._position, ewf.errors(listed)))
        md5, sha1 = digests.get("md5", ""), digests.get("sha1", "")
        if md5 or sha1:
            self._write(ewf.section("digest", self._position, ewf.digest(md5, sha1)))
        if md5:
            self._write(ewf.section("hash", self._position, ewf.md5_hash(md5)))
        self._write(ewf.closing("done", self._position))
        self._out.end()

    def _write(self, data: bytes | memoryview) -> None:
        self._out.write(data)
        self._position += len(data)
