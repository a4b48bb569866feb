# SPDX-License-Identifier: Apache-2.0
"""LiME, the memory image of Linux: ranges of physical memory, each behind a header of 32 bytes.

Magic ``0x4C694D45``, version 1, first address, last address (inclusive), eight reserved bytes, little-endian; then the bytes.
https://github.com/504ensicsLabs/LiME, doc/README.md ("lime" format). Opened, it is a source whose offsets are physical
addresses; what no range holds is zeros and listed as bad once it was asked for.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from headwater.formats.sources import Bad, BadRanges
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource

MAGIC = 0x4C694D45
HEADER = struct.Struct("<IIQQ8x")
_RANGES_MOST = 65_536
_ADDRESS_MOST = 1 << 57
_NOT_HELD = "no RAM of the machine is recorded at these addresses"


def header(start: int, size: int) -> bytes:
    """The header of a range of ``size`` bytes from the physical address ``start``."""
    return HEADER.pack(MAGIC, 1, start, start + size - 1)


@dataclass(frozen=True, slots=True)
class Range:
    """``size`` bytes of physical memory from ``start`` stand at ``offset`` in the file; ``stated`` in its header."""

    start: int
    size: int
    offset: int
    stated: int


def ranges(source: ByteSource) -> tuple[list[Range], list[Bad]]:
    """The ranges in order of address, and what of the file is none: (offset in the file, length, reason, detail)."""
    found: list[Range] = []
    bad: list[Bad] = []
    at = 0
    while at < source.size:
        raw = source.pread(at, HEADER.size)
        if len(raw) < HEADER.size:
            bad.append((at, len(raw), GapReason.TRUNCATED, "the header of a range is cut off"))
            break
        magic, version, first, last = HEADER.unpack(raw)
        if magic != MAGIC or version != 1 or last < first or last >= _ADDRESS_MOST:
            bad.append((at, source.size - at, GapReason.NOT_THIS_FORMAT, "no header of a range here"))
            break
        if len(found) >= _RANGES_MOST:
            bad.append((at, source.size - at, GapReason.LIMIT, f"more than {_RANGES_MOST} ranges"))
            break
        stated = last - first + 1
        at += HEADER.size
        size = min(stated, source.size - at)
        if size < stated:
            bad.append(
                (at, size, GapReason.TRUNCATED, f"the range states {stated} bytes, the file holds {size} of them")
            )
        _take(found, bad, Range(first, size, at, stated))
        at += size
    return found, bad


def _take(found: list[Range], bad: list[Bad], new: Range) -> None:
    """Into its place by address; a range that lies over another is left out, and said to be."""
    at = bisect.bisect_right(found, new.start, key=lambda r: r.start)
    before = at > 0 and found[at - 1].start + found[at - 1].size > new.start
    after = at < len(found) and new.start + new.size > found[at].start
    if before or after:
        bad.append((new.offset, new.size, GapReason.NOT_THIS_FORMAT, "the range lies over another one"))
    elif new.size:
        found.insert(at, new)


class LimeSource:
    """A LiME file as its machine's physical memory. Closing it closes the file's source."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.ranges, self.faults = ranges(source)
        self._starts = [r.start for r in self.ranges]
        self._bad = BadRanges()
        for each in self.ranges:
            if each.size < each.stated:
                self._bad.add(
                    each.start + each.size, each.stated - each.size, GapReason.TRUNCATED, "the image ends in this range"
                )

    @property
    def size(self) -> int:
        """One past the last address that a range states."""
        return max((r.start + r.stated for r in self.ranges), default=0)

    @property
    def bad(self) -> Sequence[Bad]:
        """See :class:`ByteSource`; what the image's own source could not read, by address, among it."""
        found = BadRanges()
        for entry in self._bad.listing():
            found.add(*entry)
        for offset, length, reason, detail in self._source.bad:
            for each in self.ranges:
                low, high = max(offset, each.offset), min(offset + length, each.offset + each.size)
                if low < high:
                    found.add(each.start + low - each.offset, high - low, reason, detail)
        return found.listing()

    def pread(self, offset: int, length: int) -> bytes:
        """``length`` bytes from a physical address; zeros where no range holds it."""
        length = min(length, self.size - offset)
        if length <= 0 or offset < 0:
            return b""
        data = bytearray(length)
        at = offset
        for _, place, size in self.parts(offset, length):
            start = self._address(place)
            if start > at:
                self._bad.add(at, start - at, GapReason.UNREADABLE, _NOT_HELD)
            data[start - offset : start - offset + size] = self._source.pread(place, size)
            at = start + size
        if at < offset + length:
            self._bad.add(at, offset + length - at, GapReason.UNREADABLE, _NOT_HELD)
        return bytes(data)

    def _address(self, place: int) -> int:
        """The physical address of an offset in the file that lies in a range."""
        each = next(r for r in self.ranges if r.offset <= place < r.offset + r.size)
        return each.start + place - each.offset

    def parts(self, offset: int, length: int) -> list[tuple[ByteSource, int, int]]:
        """(source, offset in the file, length) of what holds ``length`` bytes from an address, in order; holes left out."""
        found: list[tuple[ByteSource, int, int]] = []
        end = offset + length
        index = max(0, bisect.bisect_right(self._starts, offset) - 1)
        while index < len(self.ranges) and self.ranges[index].start < end:
            each = self.ranges[index]
            low, high = max(offset, each.start), min(end, each.start + each.size)
            if low < high:
                found.append((self._source, each.offset + low - each.start, high - low))
            index += 1
        return found

    def close(self) -> None:
        """Close the file's source."""
        self._source.close()
