# SPDX-License-Identifier: Apache-2.0
"""Reads systemd journal files: every entry that stands in the file, whether its index lists it or not.

The objects are walked in the order in which they stand, because a log cleaner or a crash breaks the index before the
objects; the index (the chain of entry arrays) serves as a second witness: what it lists inside an object whose size
lies is found all the same, and what it does not list is said to be unlisted. Nothing is mapped, memory is bounded, and
each chain is followed forwards only, so that no cycle can hold it.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from headwater.formats.journal_layout import (
    DATA,
    ENTRY,
    ENTRY_ARRAY,
    ENTRY_HEAD,
    HEADER_LEAST,
    INCOMPATIBLE_KNOWN,
    Header,
    header_of,
    plausible,
)
from headwater.formats.journal_payload import Unreadable, inflated
from headwater.model.kinds import GapReason
from headwater.model.records import Gap

_PAGE = 1 << 18
_OVERLAP = 8  # a page carries the next 8 bytes as well, so that the head of an object always stands in one page
_MOST_PAGES = 256
_MOST_ITEMS = 4096  # fields of one entry; journald itself stops at 1024
_MOST_LISTED = 8_000_000
_MOST_CACHED = 1 << 26  # bytes of field values kept for the entries to come
_MOST_BAD = 20_000
VALUE_LIMIT = 1 << 18  # bytes of one field that are kept; a core dump may stand in a field
_NAME_LIMIT = 64  # of a field, journald's own bound


class Entry(NamedTuple):
    """One entry: where its object stands, its times (microseconds) and where its fields stand."""

    offset: int
    length: int
    seqnum: int
    realtime: int
    monotonic: int
    boot_id: bytes
    items: tuple[int, ...]
    listed: bool


class Journal:
    """A journal file behind ``pread``; ``gaps`` and ``slack`` are complete once :meth:`entries` has ended."""

    def __init__(self, pread: Callable[[int, int], bytes], size: int, header: Header) -> None:
        self.header = header
        self.size = size
        self.gaps: list[Gap] = []
        self.slack = 0
        self.index_whole = False  # whether the chain of entry arrays could be followed to its end
        self.compact = header.compact
        self._pread = pread
        self._pages: dict[int, bytes] = {}
        self.fields: dict[int, tuple[str, str] | None] = {}  # by offset, those met lately
        self._cached = 0
        self._budget = max(1 << 28, 40 * size)  # bytes that may come out of compressed fields, all told
        self._lying: set[int] = set()
        self._bad = 0

    # -- bytes ---------------------------------------------------------------------------------------------------

    def read(self, at: int, length: int) -> bytes:
        """Bytes of the file, short at its end; unreadable pages are zeros and a gap."""
        number, start = divmod(at, _PAGE)
        if start + length <= _PAGE:
            page = self._pages.get(number) or self._load(number)
            return page[start : start + length]
        parts = []
        while length > 0 and at < self.size:
            piece = self.read(at, min(length, _PAGE - at % _PAGE))
            if not piece:
                break
            parts.append(piece)
            at += len(piece)
            length -= len(piece)
        return b"".join(parts)

    def _load(self, number: int) -> bytes:
        at = number * _PAGE
        want = max(0, min(_PAGE, self.size - at))
        try:
            page = self._pread(at, want + _OVERLAP)
        except OSError as error:
            page = bytes(want)
            self.gaps.append(Gap(at, want, GapReason.UNREADABLE, f"input/output error {error.errno}"))
        if len(self._pages) >= _MOST_PAGES:
            del self._pages[next(iter(self._pages))]
        self._pages[number] = page
        return page

    # -- objects -------------------------------------------------------------------------------------------------

    def _object(self, at: int) -> tuple[int, int, int] | None:
        """Type, flags and size of the object here, if one can stand here."""
        start = at % _PAGE
        page = self._pages.get(at // _PAGE) or self._load(at // _PAGE)
        if start + 16 > len(page):
            return None
        return plausible(page, start, self.size - at, self.compact)

    def listed(self) -> array[int]:
        """The offsets of the entries that the main chain of entry arrays lists, sorted."""
        found = []
        total = 0
        at = self.header.entry_array_offset
        last = 0
        while last < at < self.size and at % 8 == 0 and total < _MOST_LISTED:
            here = self._object(at)
            if here is None or here[0] != ENTRY_ARRAY:
                break
            last = at
            width = 4 if self.compact else 8
            raw = self.read(at + 16, 8 + min((here[2] - 24) // width, _MOST_LISTED - total) * width)
            if len(raw) < 8:
                break
            items = np.frombuffer(raw, dtype=f"<u{width}", offset=8, count=(len(raw) - 8) // width).astype(np.uint64)
            found.append(items[items != 0])
            total += len(items)
            (at,) = struct.unpack_from("<Q", raw)
        self.index_whole = at == 0 and bool(found)
        offsets = np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.uint64)
        offsets = offsets[(offsets % np.uint64(8) == 0) & (offsets < np.uint64(self.size))]
        return array("Q", offsets.tobytes())

    def _next_object(self, at: int, bound: int) -> int:
        """The next place from ``at`` on where an object begins that another one or the end follows, or ``bound``."""
        step = 4096
        while at < bound:
            raw = self.read(at, min(step, bound - at) + 8)
            words = np.frombuffer(raw, dtype="<u8", count=len(raw) // 8)
            first, second = words[:-1], words[1:]
            kinds = first & np.uint64(0xFF)
            could = (first < 0x800) & (kinds >= 1) & (kinds <= 7) & (second >= 16) & (second <= np.uint64(self.size))
            for place in np.flatnonzero(could).tolist():
                here = at + place * 8
                found = self._object(here)
                if found and self._followed(here + (found[2] + 7) // 8 * 8):
                    return here
            at += max(8, len(first) * 8)
            step = min(step * 2, 1 << 20)
        return bound

    def _followed(self, at: int) -> bool:
        head = self.read(at, 16)
        return len(head) < 16 or not any(head) or self._object(at) is not None

    def entries(self) -> Iterator[Entry]:
        """All entries in the order in which they stand; fields that stand before them are in ``fields`` by then."""
        known = self.listed()
        known.append(self.size)
        place = 0
        stated = self.header.header_size
        at = max(HEADER_LEAST, stated + 7 & ~7) if stated < self.size else HEADER_LEAST
        while at + 16 <= self.size:
            while known[place] < at:
                place += 1
            ahead = known[place]
            found = self._object(at)
            if found and ahead > at and at + found[2] > ahead and self._is_entry(ahead):
                found = None  # its size lies: it would hide an entry that the index lists
            if found is None:
                at = self._broken(at, ahead)
                continue
            kind, flags, size = found
            if kind == DATA:
                self._keep(at, self._field(at, flags, size))
            elif kind == ENTRY:
                yield self._entry(at, size, ahead == at)
            at += size + 7 & ~7
        if at < self.size:
            self.gaps.append(Gap(at, self.size - at, GapReason.TRUNCATED, "part of an object"))

    def _is_entry(self, at: int) -> bool:
        found = self._object(at)
        return found is not None and found[0] == ENTRY

    def _broken(self, at: int, ahead: int) -> int:
        """Say what stands here instead of an object, and where the next one begins."""
        bound = ahead if ahead < self.size and ahead > at and self._is_entry(ahead) else self.size
        head = self.read(at, 16)
        then = self._next_object(at + 8, bound)
        zeros = not any(head) and self._zeros(at, then)
        if zeros and then == self.size:
            self.slack += then - at  # journald allocates ahead
        elif zeros:
            self.gaps.append(Gap(at, then - at, GapReason.OVERWRITTEN, "overwritten with zeros"))
        elif then == self.size and 1 <= head[0] <= 7:
            self.gaps.append(Gap(at, then - at, GapReason.TRUNCATED, "part of an object"))
        else:
            self.gaps.append(Gap(at, then - at, GapReason.NOT_THIS_FORMAT, "no journal object"))
        return then

    def _zeros(self, at: int, end: int) -> bool:
        while at < end:
            piece = self.read(at, min(_PAGE, end - at))
            if not piece or any(piece):
                return False
            at += len(piece)
        return True

    def _entry(self, at: int, size: int, listed: bool) -> Entry:
        width = 4 if self.compact else 16
        count = min((size - 64) // width, _MOST_ITEMS)
        raw = self.read(at, 64 + count * width)
        seqnum, realtime, monotonic, boot, _xor = ENTRY_HEAD.unpack_from(raw)
        if self.compact:
            items = struct.unpack_from(f"<{(len(raw) - 64) // 4}I", raw, 64)
        else:
            items = struct.unpack_from(f"<{(len(raw) - 64) // 16 * 2}Q", raw, 64)[::2]
        if count < (size - 64) // width:
            self._fault(at, size, GapReason.LIMIT, f"an entry of more than {_MOST_ITEMS} fields")
        return Entry(at, size, seqnum, realtime, monotonic, boot, items, listed)

    # -- fields --------------------------------------------------------------------------------------------------

    def field(self, at: int) -> tuple[str, str] | None:
        """Name and value of the data object at ``at``; None where none can be read, which is a gap then."""
        if at in self.fields:
            return self.fields[at]
        here = self._object(at) if at % 8 == 0 and at < self.size else None
        # a wrong pointer says nothing of its target: that is told of where it stands, if it is broken itself
        found = self._field(at, here[1], here[2]) if here and here[0] == DATA else None
        self._keep(at, found)
        return found

    def _keep(self, at: int, found: tuple[str, str] | None) -> None:
        if self._cached > _MOST_CACHED:
            self.fields.clear()
            self._cached = 0
        self.fields[at] = found
        self._cached += 200 + (len(found[1]) if found else 0)

    def _field(self, at: int, flags: int, size: int) -> tuple[str, str] | None:
        begin = 72 if self.compact else 64
        if size < begin:
            self._fault(at, size, GapReason.NOT_THIS_FORMAT, "a data object shorter than its head")
            return None
        if flags:
            payload = self._inflated(at, size, flags, self.read(at + begin, size - begin))
        else:
            payload = self.read(at + begin, min(size - begin, VALUE_LIMIT + _NAME_LIMIT + 1))
        if payload is None:
            return None
        name, equals, value = payload.partition(b"=")
        if not equals or len(name) > _NAME_LIMIT:
            self._fault(at, size, GapReason.NOT_THIS_FORMAT, "a data object without a field name")
            return None
        if len(value) > VALUE_LIMIT:
            self._fault(at, size, GapReason.TOO_LONG, f"a field of more than {VALUE_LIMIT} bytes")
            value = value[:VALUE_LIMIT]
        return name.decode("ascii", "backslashreplace"), value.decode("utf-8", "backslashreplace")

    def _inflated(self, at: int, size: int, flags: int, raw: bytes) -> bytes | None:
        most = VALUE_LIMIT + _NAME_LIMIT + 1
        if self._budget <= 0:
            self._fault(at, size, GapReason.LIMIT, "compressed fields over the limit of the file")
            return None
        try:
            content = inflated(raw, flags, most)
        except Unreadable as error:
            self._fault(at, size, GapReason.UNREADABLE, f"a compressed field: {error}"[:200])
            return None
        self._budget -= len(content)
        return content

    def _fault(self, at: int, size: int, reason: GapReason, detail: str) -> None:
        """A gap on a data object or an entry, once each."""
        if at not in self._lying and self._bad < _MOST_BAD:
            self._lying.add(at)
            self._bad += 1
            self.gaps.append(Gap(at, size, reason, detail))


def open_journal(pread: Callable[[int, int], bytes], size: int) -> Journal | Gap:
    """The journal behind these bytes, or a gap over all of them that says why there is none."""
    try:
        header = header_of(pread(0, min(size, 272)))
    except OSError as error:
        return Gap(0, size, GapReason.UNREADABLE, f"input/output error {error.errno}")
    if header is None:
        return Gap(0, size, GapReason.NOT_THIS_FORMAT, "no journal header")
    if header.incompatible & ~INCOMPATIBLE_KNOWN:
        return Gap(0, size, GapReason.UNSUPPORTED, f"journal features {header.incompatible:#x} are not known")
    return Journal(pread, size, header)
