# SPDX-License-Identifier: Apache-2.0
"""A systemd journal file: its objects one at a time, its index, and what stands where no object does.

The index (the chain of entry arrays) is a second witness beside the objects themselves, which
:mod:`headwater.formats.journal_walk` goes through in the order in which they stand. Nothing is mapped, memory is bounded,
and each chain is followed forwards only, so that no cycle can hold it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from headwater.formats.journal_layout import (
    DATA,
    ENTRY,
    ENTRY_ARRAY,
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
_MOST_PAGES = 64
_MOST_LISTED = 8_000_000
_MOST_BAD = 20_000
VALUE_LIMIT = 1 << 18  # bytes of one field that are kept; a core dump may stand in a field
NAME_LIMIT = 64  # of a field, journald's own bound


class Journal:
    """A journal file behind ``pread``; ``gaps`` and ``slack`` are complete once the walk through it has ended."""

    def __init__(self, pread: Callable[[int, int], bytes], size: int, header: Header) -> None:
        self.header = header
        self.size = size
        self.gaps: list[Gap] = []
        self.slack = 0
        self.index_whole = False  # whether the chain of entry arrays could be followed to its end
        self.compact = header.compact
        self._pread = pread
        self._pages: dict[int, bytes] = {}
        self._budget = max(1 << 28, 40 * size)  # bytes that may come out of compressed fields, all told
        self._lying: set[int] = set()
        self._unreadable: set[int] = set()
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

    def block(self, at: int, length: int) -> bytes:
        """As :meth:`read`, of a longer stretch in one piece where all of it can be read."""
        want = max(0, min(length, self.size - at))
        try:
            data = self._pread(at, want)
        except OSError:
            return self.read(at, want)
        return data if len(data) == want else self.read(at, want)

    def _load(self, number: int) -> bytes:
        at = number * _PAGE
        want = max(0, min(_PAGE, self.size - at))
        try:
            page = self._pread(at, want + _OVERLAP)
        except OSError as error:
            page = bytes(want)
            if number not in self._unreadable:  # it may be read again
                self._unreadable.add(number)
                self.gaps.append(Gap(at, want, GapReason.UNREADABLE, f"input/output error {error.errno}"))
        if len(self._pages) >= _MOST_PAGES:
            del self._pages[next(iter(self._pages))]
        self._pages[number] = page
        return page

    # -- objects -------------------------------------------------------------------------------------------------

    def object_at(self, at: int) -> tuple[int, int, int] | None:
        """Type, flags and size of the object here, if one can stand here."""
        start = at % _PAGE
        page = self._pages.get(at // _PAGE) or self._load(at // _PAGE)
        if start + 16 > len(page):
            return None
        return plausible(page, start, self.size - at, self.compact)

    def listed(self) -> NDArray[np.uint64]:
        """The offsets of the entries that the main chain of entry arrays lists, sorted."""
        found = []
        total = 0
        at = self.header.entry_array_offset
        last = 0
        while last < at < self.size and at % 8 == 0 and total < _MOST_LISTED:
            here = self.object_at(at)
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
        offsets: NDArray[np.uint64] = np.unique(np.concatenate([*found, np.zeros(0, dtype=np.uint64)]))
        good: NDArray[np.uint64] = offsets[(offsets % np.uint64(8) == 0) & (offsets < np.uint64(self.size))]
        return good

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
                found = self.object_at(here)
                if found and self._followed(here + (found[2] + 7) // 8 * 8):
                    return here
            at += max(8, len(first) * 8)
            step = min(step * 2, 1 << 20)
        return bound

    def _followed(self, at: int) -> bool:
        head = self.read(at, 16)
        return len(head) < 16 or not any(head) or self.object_at(at) is not None

    def is_entry(self, at: int) -> bool:
        """Whether an entry can stand here."""
        found = self.object_at(at)
        return found is not None and found[0] == ENTRY

    def broken(self, at: int, ahead: int) -> int:
        """Say what stands here instead of an object, and where the next one begins; ``ahead``: the next place listed."""
        bound = ahead if ahead < self.size and ahead > at and self.is_entry(ahead) else self.size
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
            if not piece or piece.count(0) != len(piece):
                return False
            at += len(piece)
        return True

    # -- fields --------------------------------------------------------------------------------------------------

    def field(self, at: int) -> tuple[str, str] | None:
        """Name and value of the data object at ``at``; None where none can be read, which is a gap then."""
        here = self.object_at(at) if at % 8 == 0 and at < self.size else None
        # a wrong pointer says nothing of its target: that is told of where it stands, if it is broken itself
        return self.content(at, here[1], here[2]) if here and here[0] == DATA else None

    def content(self, at: int, flags: int, size: int) -> tuple[str, str] | None:
        """As :meth:`field`, of a data object whose head was read."""
        begin = 72 if self.compact else 64
        if size < begin:
            self.fault(at, size, GapReason.NOT_THIS_FORMAT, "a data object shorter than its head")
            return None
        if flags:
            payload = self._inflated(at, size, flags, self.read(at + begin, size - begin))
        else:
            payload = self.read(at + begin, min(size - begin, VALUE_LIMIT + NAME_LIMIT + 1))
        if payload is None:
            return None
        name, equals, value = payload.partition(b"=")
        if not equals or len(name) > NAME_LIMIT:
            self.fault(at, size, GapReason.NOT_THIS_FORMAT, "a data object without a field name")
            return None
        if len(value) > VALUE_LIMIT:
            self.fault(at, size, GapReason.TOO_LONG, f"a field of more than {VALUE_LIMIT} bytes")
            value = value[:VALUE_LIMIT]
        return name.decode("ascii", "backslashreplace"), value.decode("utf-8", "backslashreplace")

    def _inflated(self, at: int, size: int, flags: int, raw: bytes) -> bytes | None:
        most = VALUE_LIMIT + NAME_LIMIT + 1
        if self._budget <= 0:
            self.fault(at, size, GapReason.LIMIT, "compressed fields over the limit of the file")
            return None
        try:
            content = inflated(raw, flags, most)
        except Unreadable as error:
            self.fault(at, size, GapReason.UNREADABLE, f"a compressed field: {error}"[:200])
            return None
        self._budget -= len(content)
        return content

    def fault(self, at: int, size: int, reason: GapReason, detail: str) -> None:
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
