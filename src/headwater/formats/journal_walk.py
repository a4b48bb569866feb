# SPDX-License-Identifier: Apache-2.0
"""Walks through a journal's objects as they stand, a block at a time: every entry, whether the index lists it or not.

1. All places of a block where the head of an object could stand are found at once, whatever stands before them.
2. From the place where an object ends, the next begins: the chain goes from place to place, mostly from each to the very
   next, and ends where no object can stand, or where one's size lies: it would hide an entry that the index lists.
3. What stands there instead is said, and the walk goes on at the next object.

The objects are walked, and not the index, because a log cleaner or a crash breaks the index before the objects.
Format: https://systemd.io/JOURNAL_FILE_FORMAT/.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.formats.journal import Journal
from headwater.formats.journal_layout import DATA, ENTRY, HEADER_LEAST, plausible_all
from headwater.model.kinds import GapReason
from headwater.model.records import Gap

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
Flags = NDArray[np.bool_]

MOST_ITEMS = 4096  # fields of one entry; journald itself stops at 1024
BLOCK = 4 << 20  # more than any object of which all bytes are wanted at once
PLAIN_MOST = 1 << 16  # bytes of a data object that is read with the others of its block
PADDING = 128  # zero bytes behind a block, so that words may be read beyond an object's end
_FIRST_RUN = 64  # objects of a chain behind a break, so that many breaks do not cost many chains


@dataclass(frozen=True, slots=True)
class Entries:
    """Entries in the order in which they stand; ``items`` has those of the first entry, then those of the second, and so on.

    ``realtime`` and ``monotonic`` in microseconds; ``boot``: the two halves of the 16 bytes, (entries, 2).
    """

    offset: Ints
    length: Ints
    seqnum: Words
    realtime: Words
    monotonic: Words
    boot: Words
    listed: Flags
    counts: Ints
    items: NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, slots=True)
class Objects:
    """Objects of one block, in order; ``at`` counts in the file, ``raw`` are the block's bytes and zeros behind them.

    ``base``: where the block begins in the file; ``end``: where the walk goes on behind these objects.
    """

    raw: bytes
    base: int
    end: int
    at: Ints
    kind: Ints
    flags: Ints
    size: Ints
    listed: Flags

    @property
    def words(self) -> Words:
        """The block as whole numbers of 8 bytes; objects begin at them."""
        return np.frombuffer(self.raw, dtype="<u8")

    def entries(self, journal: Journal, low: int, high: int) -> Entries:
        """The entries among the objects from ``low`` up to ``high``."""
        here = np.flatnonzero(self.kind[low:high] == ENTRY) + low
        at, size = self.at[here], self.size[here]
        width = 4 if journal.compact else 16
        stated = size - 64 >> (2 if journal.compact else 4)
        counts = np.minimum(stated, MOST_ITEMS)
        for row in np.flatnonzero(stated > counts).tolist():
            detail = f"an entry of more than {MOST_ITEMS} fields"
            journal.fault(int(at[row]), int(size[row]), GapReason.LIMIT, detail)
        place = at - self.base
        word, words = place >> 3, self.words
        ends = np.cumsum(counts)
        # where the items of each entry begin, less how many items stand before them in the column
        shift = (place + 64) // 4 - (ends - counts) if width == 4 else word + 8 - 2 * (ends - counts)
        total = int(ends[-1]) if len(ends) else 0
        steps = np.repeat(shift, counts)
        steps += np.arange(0, total * (1 if width == 4 else 2), 1 if width == 4 else 2, dtype=np.int64)
        items = np.frombuffer(self.raw, dtype="<u4" if width == 4 else "<u8").take(steps)
        boot = np.stack((words[word + 5], words[word + 6]), axis=1)
        seqnum, realtime, monotonic = (words[word + n] for n in (2, 3, 4))
        return Entries(at, size, seqnum, realtime, monotonic, boot, self.listed[here], counts, items)


class _Block:
    """One block of the file and the objects found in it so far."""

    def __init__(self, journal: Journal, at: int) -> None:
        raw = journal.block(at, BLOCK)
        self.journal, self.base, self.length = journal, at, len(raw)
        self.raw = b"".join((raw, bytes(PADDING + -len(raw) % 8)))
        self.words: Words = np.frombuffer(self.raw, dtype="<u8").astype(np.uint64, copy=False)
        self._heads()
        self.found: list[tuple[Ints, Words, Flags]] = []

    def _heads(self) -> None:
        """Finds all places of heads, where the object of each would end, and which does not lead to the next one."""
        last = max(0, (self.length - 8) // 8)  # of the words, the first half of a head
        first, second = self.words[:last], self.words[1 : last + 1]
        places = np.flatnonzero(first - np.uint64(1) < 0x7FF)  # a type, the flags of data, and six zeros
        size = second.take(places)
        could = size - np.uint64(16) <= np.uint64(self.journal.size)
        places, size = places[could], size[could]
        room = (self.journal.size - self.base - places * 8).astype(np.uint64)
        good = plausible_all(first.take(places), size, room, self.journal.compact)
        self.places: Ints = places[good]
        # where its successor stands among the places, the number of places where that is none
        ends = self.places + (size[good].astype(np.int64) + 7 >> 3)
        self.next = np.searchsorted(self.places, ends)
        count = len(self.places)
        there = self.next < count
        there[there] = self.places[self.next[there]] == ends[there]
        self.next[~there] = count
        self.turns: list[int] = np.flatnonzero(self.next != np.arange(1, count + 1)).tolist()

    def _chain(self, at: int, most: int) -> Ints:
        """Where in the block up to so many objects begin, one behind the other, if their sizes are true; in words."""
        number, count = int(np.searchsorted(self.places, at)), len(self.places)
        if number == count or self.places[number] != at:
            return self.places[:0]
        pieces: list[Ints] = []
        while number < count and most > 0:
            turn = bisect_left(self.turns, number)
            behind = self.turns[turn] + 1 if turn < len(self.turns) else count
            behind = min(behind, number + most)
            pieces.append(self.places[number:behind])
            most -= behind - number
            number = int(self.next[behind - 1])
        return np.concatenate(pieces)

    def run(self, at: int, most: int, known: Words) -> tuple[int, str]:
        """Take in a chain that begins at ``at`` in the file; where it ends, and why.

        "on": it goes on there; "broken": no object stands there that is what it says; "out": it goes on there in
        another block.
        """
        places = self._chain(at - self.base >> 3, most)
        first, size = self.words[places], self.words[places + 1]
        offsets = places * 8 + self.base
        listed, count = self._against(offsets, size.astype(np.int64), known)
        whole = self._whole(places[:count], first[:count], size[:count])
        if whole:
            self.found.append((offsets[:whole], np.stack((first[:whole], size[:whole])), listed[:whole]))
        if whole < count:
            return int(offsets[whole]), "out" if whole or at > self.base else "broken"
        if count < len(places):
            return int(offsets[count]), "broken"
        end = int(offsets[-1]) + (int(size[-1]) + 7 & ~7) if len(places) else at
        if end - self.base + 16 > self.length:
            return end, "out" if len(places) else "broken"
        return end, "on" if len(places) == most else "broken"

    def _whole(self, places: Ints, first: Words, size: Words) -> int:
        """How many of these objects have in this block what is wanted of them at once."""
        kind = first & np.uint64(0xFF)
        most = np.where(kind == ENTRY, 64 + MOST_ITEMS * 16, 0)
        most[(kind == DATA) & (size <= PLAIN_MOST)] = PLAIN_MOST
        over = places * 8 + np.minimum(size, most.astype(np.uint64)).astype(np.int64) > self.length
        return int(np.argmax(over)) if over.any() else len(places)

    def _against(self, at: Ints, size: Ints, known: Words) -> tuple[Flags, int]:
        """Which of these objects the index lists, and the first that would hide what it lists, or their number."""
        listed = np.zeros(len(at), dtype=np.bool_)
        if not len(at):
            return listed, 0
        low, high = np.searchsorted(known, np.array([at[0], at[-1] + size[-1]], dtype=np.uint64))
        inside = known[low:high].astype(np.int64)
        holder = np.searchsorted(at, inside, side="right") - 1
        same = at[holder] == inside
        listed[holder[same]] = True
        within = ~same & (inside < at[holder] + size[holder]) & ~listed[holder]
        before = -1
        for number, place in zip(holder[within].tolist(), inside[within].tolist()):
            if number != before and self.journal.is_entry(place):
                return listed, number
            before = number
        return listed, len(at)

    def objects(self, end: int) -> Objects:
        """What was found in the block."""
        at = np.concatenate([f[0] for f in self.found])
        heads = np.concatenate([f[1] for f in self.found], axis=1)
        listed = np.concatenate([f[2] for f in self.found])
        kind, flags = (heads[0] & np.uint64(0xFF)).astype(np.int64), (heads[0] >> np.uint64(8)).astype(np.int64)
        return Objects(self.raw, self.base, end, at, kind, flags, heads[1].astype(np.int64), listed)


def walk(journal: Journal) -> Iterator[Objects]:
    """All objects of the journal; its ``gaps`` and ``slack`` are complete when this has ended."""
    known = journal.listed()
    size = journal.size
    stated = journal.header.header_size
    at = max(HEADER_LEAST, stated + 7 & ~7) if stated < size else HEADER_LEAST
    while at + 16 <= size:
        block = _Block(journal, at)
        most, why = 1 << 30, "on"
        while why == "on":
            at, why = block.run(at, most, known)
            most *= 8
            if why == "broken":
                place = int(np.searchsorted(known, np.uint64(at)))
                at = journal.broken(at, int(known[place]) if place < len(known) else size)
                most, why = _FIRST_RUN, "on" if at - block.base + 16 <= block.length else "out"
        if block.found:
            yield block.objects(at)
    if at < size:
        journal.gaps.append(Gap(at, size - at, GapReason.TRUNCATED, "part of an object"))
