# SPDX-License-Identifier: Apache-2.0
"""Numbers for texts in order of appearance, found for many rows at once without sorting them.

A text comes as words of 64 bits (:mod:`headwater.store.view_words`). Mixed, they lead to a slot of a table, and the slot to a number;
a row has that number only if all its words are those that were kept with it, so no text is ever taken for another, whatever
it was made to do. Texts that meet in a slot go to further tables; where they were made to meet in all of them, nothing is numbered.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_ODD = tuple(np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 0xC2B2AE3D27D4EB4F, 0xA0761D6478BD642F))
_FOLD = np.uint64(32)
_TABLES = 4
_LEAST_BITS, _MOST_BITS = 11, 18
_NOBODY = np.uint64(0xFFFFFFFF)  # a size that no text has: what stands under number 0, where empty slots lead


class Texts:
    """What up to 32,768 rows say: two words of each, and for those rows with more the words between these two."""

    __slots__ = ("between", "high", "long", "low")

    def __init__(self, low: Words, high: Words, long: Ints | None, between: Sequence[Words]) -> None:
        self.low, self.high = low, high
        self.long, self.between = long, between  # ``long`` None: all rows have words between

    def take(self, rows: Ints) -> Texts:
        """Only these rows, which are in order."""
        if not self.between:
            return Texts(self.low[rows], self.high[rows], self.long, ())
        if self.long is None:
            return Texts(self.low[rows], self.high[rows], None, [word[rows] for word in self.between])
        place = np.full(len(self.low), -1)
        place[self.long] = np.arange(len(self.long))
        mine = place[rows]
        long = np.flatnonzero(mine >= 0)
        return Texts(self.low[rows], self.high[rows], long, [word[mine[long]] for word in self.between])

    def mixed(self) -> Words:
        """One word of all words of each row."""
        mixed = self.low * _ODD[0]
        mixed ^= self.high * _ODD[1]
        if self.between:
            part = mixed if self.long is None else mixed[self.long]
            for word in self.between:
                part ^= part >> _FOLD
                part ^= word
                part *= _ODD[2]
            if self.long is not None:
                mixed[self.long] = part
        return mixed


def _slots(mixed: Words, table: int, bits: int) -> Ints:
    """The slot of every row in a table of ``2 ** bits``, another in each table."""
    if table:
        mixed = (mixed ^ mixed >> _FOLD) * _ODD[table]
    return (mixed >> np.uint64(64 - bits)).view(np.int64)


class Numbering:
    """Distinct texts and their numbers, from 0 on in order of appearance; within, numbers are one more."""

    def __init__(self) -> None:
        self.count = 0
        self._room, self._bits = 1 << 10, _LEAST_BITS
        self._low, self._high = (np.full(self._room, _NOBODY, dtype=np.uint64) for _ in range(2))
        self._between: list[Words] = []
        self._mixed = np.zeros(self._room, dtype=np.uint64)
        self._tables = self._empty()

    def _empty(self) -> list[Ints]:
        return [np.zeros(1 << self._bits, dtype=np.int64) for _ in range(_TABLES)]

    def _same(self, texts: Texts, own: Ints) -> Flags:
        """Which rows are the texts of these numbers."""
        fits: Flags = self._low[own] == texts.low
        fits &= self._high[own] == texts.high
        if not texts.between:
            return fits
        theirs = own if texts.long is None else own[texts.long]
        part = fits if texts.long is None else fits[texts.long]
        for number, word in enumerate(texts.between):
            part &= self._between[number][theirs] == word
        if texts.long is not None:
            fits[texts.long] = part
        return fits

    def numbers(self, texts: Texts) -> tuple[Ints, Ints] | None:
        """The number of each row, and the rows whose texts are new, in order; None where too many meet in one slot."""
        while len(self._between) < len(texts.between):
            self._between.append(np.zeros(self._room, dtype=np.uint64))
        mixed = texts.mixed()
        found = self._tables[0][_slots(mixed, 0, self._bits)]
        fits = self._same(texts, found)
        none = np.zeros(0, dtype=np.int64)
        if fits.all():
            return found - 1, none
        left = np.flatnonzero(~fits)
        some, own = texts.take(left), mixed[left]
        for table in range(1, _TABLES):
            if not self.count:
                break
            again = self._tables[table][_slots(own, table, self._bits)]
            fits = self._same(some, again)
            if fits.any():
                found[left[fits]] = again[fits]
                rest = np.flatnonzero(~fits)
                left, some, own = left[rest], some.take(rest), own[rest]
            if not len(left):
                return found - 1, none
        new = _first_rows(some, own)
        if new is None:
            return None
        distinct = np.flatnonzero(new == np.arange(len(new)))
        first = left[distinct]
        number = np.empty(len(new), dtype=np.int64)
        number[distinct] = np.arange(self.count + 1, self.count + 1 + len(distinct))
        found[left] = number[new]
        return (found - 1, first) if self._add(some.take(distinct), own[distinct]) else None

    def _add(self, texts: Texts, mixed: Words) -> bool:
        """Keeps new distinct texts; False where there is no slot for some."""
        first, last = self.count + 1, self.count + 1 + len(mixed)
        self.count += len(mixed)
        if last > self._room:
            self._widen(last)
        self._low[first:last], self._high[first:last], self._mixed[first:last] = texts.low, texts.high, mixed
        rows = slice(first, last) if texts.long is None else texts.long + first
        for kept, word in zip(self._between, texts.between):
            kept[rows] = word
        if 4 * last > 1 << self._bits and self._bits < _MOST_BITS:
            while 8 * last > 1 << self._bits and self._bits < _MOST_BITS:
                self._bits += 1
            self._tables = self._empty()
            first = 1
        return self._placed(np.arange(first, last))

    def _placed(self, numbers: Ints) -> bool:
        for table, slots in enumerate(self._tables):
            slot = _slots(self._mixed[numbers], table, self._bits)
            free = slots[slot] == 0
            slots[slot[free]] = numbers[free]
            numbers = numbers[slots[slot] != numbers]
            if not len(numbers):
                return True
        return False

    def _widen(self, last: int) -> None:
        more = 2 * last - self._room
        wider = [np.concatenate([a, np.zeros(more, dtype=np.uint64)]) for a in (self._low, self._high, self._mixed)]
        self._low, self._high, self._mixed = wider
        self._between = [np.concatenate([word, np.zeros(more, dtype=np.uint64)]) for word in self._between]
        self._room += more


def _first_rows(texts: Texts, mixed: Words) -> Ints | None:
    """For each row the first row that is the same text; None where too many others meet in one slot."""
    rows = len(mixed)
    same = np.arange(rows)
    bits = max(rows.bit_length() + 1, 4)
    left, some = np.arange(rows), texts
    for turn in range(_TABLES):
        slot = _slots(mixed[left], turn, bits)
        table = np.empty(1 << bits, dtype=np.int64)
        table[slot[::-1]] = np.arange(len(left) - 1, -1, -1)
        own = table[slot]
        fits = _alike(some, own)
        same[left] = left[own]
        if fits.all():
            return same
        rest = np.flatnonzero(~fits)
        left, some = left[rest], some.take(rest)
    return None


def _alike(texts: Texts, own: Ints) -> Flags:
    """Which rows are the same text as the row named."""
    fits: Flags = texts.low[own] == texts.low
    fits &= texts.high[own] == texts.high
    if not texts.between:
        return fits
    if texts.long is None:
        for word in texts.between:
            fits &= word[own] == word
        return fits
    place = np.zeros(len(own), dtype=np.int64)
    place[texts.long] = np.arange(len(texts.long))
    theirs = place[own[texts.long]]  # of another size, and so no match already, where that row has no words between
    part = fits[texts.long]
    for word in texts.between:
        part &= word[theirs] == word
    fits[texts.long] = part
    return fits
