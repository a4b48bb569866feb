# SPDX-License-Identifier: Apache-2.0
"""Reads E01 images (EWF-E01 and EWF-S01: EnCase 1 to 7, FTK Imager, linen, SMART, libewf) by ``pread`` and isal.

Every chunk carries an Adler-32 of its own; one that fails comes back as zeros and is listed in ``bad``, as are chunks
whose place is lost with a table or a segment. Nothing in an image makes a read raise. Tables are read when first
needed, so that opening a terabyte reads a few thousand descriptors. Specification: see
:mod:`headwater.formats.ewf_sections`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from isal import isal_zlib

from headwater.formats.compressed import IsalError, inflate_zlib
from headwater.formats.e01_sets import E01Set, read_set
from headwater.formats.ewf_tables import Places, Run, Table, believable, load
from headwater.formats.opened import OpenFile
from headwater.formats.sources import Bad, BadRanges
from headwater.model.kinds import GapReason
from headwater.model.records import Gap

_CACHE = 16 << 20  # bytes of decompressed chunks kept
_BATCH = 4 << 20  # bytes read from a segment at once
_MUCH = 16  # chunks read at once that are not kept: they would push everything else out of the processor's cache
_SLACK = 1 << 10  # how far deflate may grow a chunk that does not compress
_TABLES = 4
_TINY = 512  # a compressed chunk so short holds one value over and over, as empty space does
_TINY_KEPT = 16
_AT_ONCE = 64 << 10  # chunks up to this size are decompressed in one call


class E01Medium:
    """The medium in an E01 set; see :class:`headwater.formats.media.Medium` for the fields.

    ``stated`` holds the MD5 and SHA-1 that the set claims. Not for use by several threads at once.
    """

    kind = "e01"

    def __init__(self, held: E01Set) -> None:
        self._held = held
        self._numbering = held.numbering
        self._chunk = held.geometry.chunk_size
        self._size = held.size
        self._bad = BadRanges()
        self._cache: OrderedDict[int, bytes | None] = OrderedDict()
        self._cache_limit = max(4, _CACHE // self._chunk)
        self._tiny: dict[bytes, bytes | None] = {}
        self._loaded: OrderedDict[int, tuple[Places, ...]] = OrderedDict()
        for first, count in held.errors:
            self._note(first * self.sector_size, count * self.sector_size, "a read error noted at acquisition")
        for run in self._numbering.runs:
            if run.hole is not None:
                self._lose(run)

    @property
    def size(self) -> int:
        return self._size

    @property
    def sector_size(self) -> int:
        return self._held.geometry.sector_size

    @property
    def stated(self) -> Mapping[str, str]:
        return self._held.stated

    @property
    def notes(self) -> Mapping[str, str]:
        return self._held.notes

    @property
    def warnings(self) -> Sequence[Gap]:
        return self._held.warnings

    @property
    def bad(self) -> Sequence[Bad]:
        return self._bad.listing()

    def pread(self, offset: int, length: int) -> bytes:
        length = min(length, self._size - offset)
        if length <= 0 or offset < 0:
            return b""
        first, last = offset // self._chunk, (offset + length - 1) // self._chunk
        parts: list[bytes] = []
        at = first
        while at <= last:
            for chunk in self._chunks(at, last):
                parts.append(chunk)
                at += 1
        return self._cut(parts, offset - first * self._chunk, length)

    def read_into(self, offset: int, view: memoryview) -> int:
        """As :meth:`pread`, into ``view``: a block is put together where it is wanted. Returns how many bytes."""
        length = min(len(view), self._size - offset)
        if length <= 0 or offset < 0:
            return 0
        at, last = offset // self._chunk, (offset + length - 1) // self._chunk
        skip, done = offset - at * self._chunk, 0
        while at <= last:
            for chunk in self._chunks(at, last):
                piece = chunk[skip : skip + length - done] if skip or len(chunk) > length - done else chunk
                view[done : done + len(piece)] = piece
                done, skip, at = done + len(piece), 0, at + 1
        return done

    def _cut(self, parts: list[bytes], skip: int, length: int) -> bytes:
        """The chunks as one, without what was not asked for at either end."""
        if len(parts) == 1:
            return parts[0][skip : skip + length]
        if skip:
            parts[0] = parts[0][skip:]
        over = sum(map(len, parts)) - length
        if over:
            parts[-1] = parts[-1][:-over]
        return b"".join(parts)

    def _chunks(self, first: int, last: int) -> list[bytes]:
        """At least one chunk from ``first``: a cached one, or all to ``last`` that one read of the segment gives."""
        if first in self._cache:
            self._cache.move_to_end(first)
            return [self._cache[first] or bytes(self._length(first))]
        run = self._numbering.run_of(first)
        if run.table is None:
            return [bytes(self._length(first))]
        places = self._places(run.table)
        if len(places) > 1 or not places[0].sound:
            return [self._keep(first, self._prove(run, first, places))]
        if first == last:
            return [self._single(run, run.table, first, places[0])]
        return self._batch(run, run.table, first, min(last, run.first + run.length - 1), places[0])

    def _batch(self, run: Run, table: Table, first: int, last: int, places: Places) -> list[bytes]:
        offsets = places.offsets[first - run.first : last - run.first + 1].tolist()
        compressed = places.compressed[first - run.first : last - run.first + 1].tolist()
        longest = self._chunk + _SLACK
        count = 1
        while (
            count < len(offsets)
            and 0 < offsets[count] - offsets[count - 1] <= longest
            and offsets[count] - offsets[0] + longest <= _BATCH
        ):
            count += 1
        start = offsets[0]
        # the next chunk's place bounds the last one here; without it the longest that a chunk can be is read
        after = last - run.first + 1 if count == len(offsets) else first - run.first + count
        end = int(places.offsets[after]) if after < len(places.offsets) else start
        if not 0 < end - offsets[count - 1] <= longest:
            end = offsets[count - 1] + longest
        data = memoryview(table.source.pread(start, end - start))
        found: list[bytes] = []
        for index in range(count):
            at = offsets[index] - start
            stop = offsets[index + 1] - start if index + 1 < count else len(data)
            content = self._decode(data[at:stop], compressed[index], first + index)
            # whoever reads much at once reads on: of that the last chunk alone is asked for again
            found.append(self._keep(first + index, content, count < _MUCH or index == count - 1))
        return found

    def _prove(self, run: Run, chunk: int, copies: tuple[Places, ...]) -> bytes | None:
        """A chunk of a table without a sound copy: the first copy whose entry lies right and whose chunk checks."""
        index = chunk - run.first
        assert run.table is not None
        for places in copies:
            if believable(places, index):
                data = run.table.source.pread(int(places.offsets[index]), self._chunk + _SLACK)
                content = self._decode(memoryview(data), bool(places.compressed[index]), chunk)
                if content is not None:
                    return content
        return None

    def _decode(self, data: memoryview, compressed: bool, chunk: int) -> bytes | None:
        """The content of a chunk, or None if its checksum does not fit or its length is wrong."""
        length = self._length(chunk)
        if compressed:
            content = self._inflated(data)
            return content if content is not None and len(content) in (length, self._chunk) else None
        # the last chunk is short; some writers pad it to its full size before the checksum
        for size in dict.fromkeys((length, self._chunk)):
            if len(data) >= size + 4:
                stated = int.from_bytes(data[size : size + 4], "little")
                if isal_zlib.adler32(data[:size]) == stated:
                    return bytes(data[:length])
        return None

    def _inflated(self, data: memoryview) -> bytes | None:
        """The content of a compressed chunk; what compresses to next to nothing (zeros) is decompressed once."""
        if len(data) > _TINY:
            return self._whole(data) if self._chunk <= _AT_ONCE else inflate_zlib(data, self._chunk)
        key = bytes(data)
        if key not in self._tiny:
            if len(self._tiny) >= _TINY_KEPT:
                self._tiny.clear()
            self._tiny[key] = inflate_zlib(data, self._chunk)
        return self._tiny[key]

    @staticmethod
    def _whole(data: memoryview) -> bytes | None:
        """A small chunk in one call, a tenth faster: what a hostile one can swell to is bounded by its length here."""
        try:
            content: bytes = isal_zlib.decompress(data, 15, _AT_ONCE)
        except IsalError:
            return None
        return content

    def _single(self, run: Run, table: Table, chunk: int, places: Places) -> bytes:
        """One chunk alone, as random reads want it."""
        index = chunk - run.first
        start = int(places.offsets[index])
        longest = self._chunk + _SLACK
        length = int(places.offsets[index + 1]) - start if index + 1 < len(places.offsets) else longest
        data = table.source.pread(start, length if 0 < length <= longest else longest)
        return self._keep(chunk, self._decode(memoryview(data), bool(places.compressed[index]), chunk))

    def _keep(self, chunk: int, content: bytes | None, cached: bool = True) -> bytes:
        length = self._length(chunk)
        if content is None:
            self._note(chunk * self._chunk, length, "the checksum of an E01 chunk does not fit")
        else:
            content = content[:length]
        if cached:
            self._cache[chunk] = content
            if len(self._cache) > self._cache_limit:
                self._cache.popitem(last=False)
        return bytes(length) if content is None else content

    def _length(self, chunk: int) -> int:
        return min(self._chunk, self._size - chunk * self._chunk)

    def _places(self, table: Table) -> tuple[Places, ...]:
        key = id(table)
        if key not in self._loaded:
            self._loaded[key] = load(table, self._chunk)
            if len(self._loaded) > _TABLES:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(key)
        return self._loaded[key]

    def _lose(self, run: Run) -> None:
        assert run.hole is not None
        start = run.first * self._chunk
        end = min(self._size, (run.first + run.length) * self._chunk)
        self._bad.add(start, end - start, run.hole.reason, run.hole.detail)

    def _note(self, offset: int, length: int, detail: str) -> None:
        self._bad.add(offset, min(length, self._size - offset), GapReason.UNREADABLE, detail)

    def close(self) -> None:
        """Close the descriptors of all segments."""
        self._cache.clear()
        self._loaded.clear()
        for source in self._held.sources:
            source.close()


def open_e01(files: Sequence[OpenFile], *, allow_missing: bool = False) -> E01Medium:
    """The medium in these segment files, in any order. Closing it closes the files.

    ``allow_missing``: go on without segments that are missing or foreign; their bytes are zeros and ``bad``.

    Raises:
        AcquireError: HW2004 a segment is missing; HW2005 one belongs to another image; HW2006 the set says nowhere
            how large the medium is, or holds no chunk.
    """
    return E01Medium(read_set(files, allow_missing))
