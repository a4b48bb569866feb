# SPDX-License-Identifier: Apache-2.0
"""What the entries of a journal point to: each data object read once, numbered, and found again by its place.

A row is one value: where its bytes stand in one of the buffers, the number of its field's name, and its place in the file.
Data objects of a block are read together: ``=`` is looked for in all of them at once, eight bytes at a time, and the name
before it is known by a sum over its bytes, then compared byte for byte. Those that are compressed, very long, no UTF-8 or
broken are read one by one (:meth:`headwater.formats.journal.Journal.content`).

Row 0 stands for all that cannot be read. Format: https://systemd.io/JOURNAL_FILE_FORMAT/#data-objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.formats.journal import NAME_LIMIT, Journal
from headwater.formats.journal_layout import DATA
from headwater.formats.journal_walk import PADDING, PLAIN_MOST, Entries, Ints, Objects, Words

Rows = NDArray[np.int64]  # of values; 0 is none

ENTRY_CELLS = 4 << 20  # characters of one entry; more can only be one long field named again and again
_SLOTS_MOST = (
    1 << 24
)  # of the table of places: journals of 128 MiB, the most that journald writes by itself, fit without a clash
_HELD_MOST = 96 << 20  # bytes
_ALONE_MOST = 16 << 20  # bytes of values read one by one at a time
_NAMES_MOST = 20_000
_ROW = 96  # bytes of a row with what hangs on it
_NOWHERE = (1 << 64) - 1

_EIGHT = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)  # the first n bytes of a word
_ONES, _HIGH = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_EQUALS = np.uint64(ord("=")) * _ONES
_STEPS = NAME_LIMIT // 8 + 1
_FACTORS = np.array([pow(0x9E3779B97F4A7C15, n + 1, 1 << 64) | 1 for n in range(_STEPS + 1)], dtype=np.uint64)


class _Names:
    """Field names by number."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}
        self._sums = np.zeros(0, dtype=np.uint64)
        self._words = np.zeros((_STEPS, 0), dtype=np.uint64)
        self._lengths = np.zeros(0, dtype=np.int64)
        self._codes = np.zeros(0, dtype=np.int32)

    def number(self, text: str) -> int:
        """The number of a name."""
        found = self._numbers.setdefault(text, len(self.texts))
        if found == len(self.texts):
            self.texts.append(text)
        return found

    def numbers(self, words: Words, first: Ints, end: Ints) -> tuple[NDArray[np.int32], Ints]:
        """The number of the name that begins at each of these words, -1 where that is to be asked alone, and where it ends.

        ``end``: where the object ends, in bytes.
        """
        rows = len(first)
        equals = np.full(rows, -1, dtype=np.int64)
        said = np.zeros((_STEPS, rows), dtype=np.uint64)  # the words of the names, zeros behind them
        sums = np.zeros(rows, dtype=np.uint64)
        live = np.arange(rows, dtype=np.int64)
        steps = 0
        here = first
        while len(live) and steps < _STEPS:
            word = words.take(here)
            other = word ^ _EQUALS
            zeros = (other - _ONES) & ~other & _HIGH
            length = np.bitwise_count((zeros & (~zeros + np.uint64(1))) - np.uint64(1)) >> np.uint8(3)
            word &= _EIGHT.take(length)
            if steps:
                said[steps, live] = word
                sums[live] += word * _FACTORS[steps]
            else:
                said[0], sums = word, word * _FACTORS[0]
            there = zeros != 0
            equals[live[there]] = (here[there] << 3) + length[there]
            live, here = live[~there], here[~there] + 1
            steps += 1
        lengths = equals - (first << 3)
        sums += lengths.astype(np.uint64) * _FACTORS[_STEPS]
        good = (equals >= 0) & (equals < end) & (lengths <= NAME_LIMIT)
        return self._known(words, first, lengths, sums, said[:steps], good), equals

    def _known(
        self, words: Words, first: Ints, lengths: Ints, sums: Words, said: Words, good: NDArray[np.bool_]
    ) -> NDArray[np.int32]:
        at = self._find(sums)
        new = good & (self._sums.take(at) != sums) if len(self._sums) else good
        if new.any():
            rows = np.flatnonzero(new)
            rows = rows[np.unique(sums[rows], return_index=True)[1]]
            self._learn(words, first[rows], lengths[rows], sums[rows], said[:, rows])
            at = self._find(sums)
        if not len(self._sums):
            return np.full(len(first), -1, dtype=np.int32)
        good = good & (self._sums.take(at) == sums) & (self._lengths.take(at) == lengths)
        for word, own in zip(said, self._words):
            good &= own.take(at) == word
        return np.where(good, self._codes.take(at), np.int32(-1))

    def _find(self, sums: Words) -> Ints:
        return np.minimum(np.searchsorted(self._sums, sums), max(0, len(self._sums) - 1))

    def _learn(self, words: Words, first: Ints, lengths: Ints, sums: Words, said: Words) -> None:
        codes = []
        for word, length in zip(first.tolist(), lengths.tolist()):
            name = words[word : word + _STEPS].tobytes()[:length]
            codes.append(self.number(name.decode("ascii", "backslashreplace")))
        wide = np.zeros((_STEPS, len(first)), dtype=np.uint64)
        wide[: len(said)] = said
        merged = np.concatenate((self._sums, sums))
        order = np.argsort(merged, kind="stable")
        self._sums = merged[order]
        self._words = np.concatenate((self._words, wide), axis=1)[:, order]
        self._lengths = np.concatenate((self._lengths, lengths))[order]
        self._codes = np.concatenate((self._codes, np.array(codes, dtype=np.int32)))[order]


class Values:
    """The values met so far. ``buffers`` hold their bytes, each with :data:`PADDING` zeros behind it."""

    def __init__(self, journal: Journal, names: _Names | None = None) -> None:
        self._journal = journal
        self._names = names or _Names()
        self._time = 0  # of blocks
        self._born, self._last = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32)
        slots = min(_SLOTS_MOST, 1 << max(10, (journal.size >> 3).bit_length()))
        self._table = np.zeros(slots, dtype=np.int32)
        self._mask = slots - 1
        self.count = 0
        self.buffers: list[bytes] = []
        self.at, self.code = np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int32)
        self.buffer, self.cells = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32)
        self.start, self.end = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        self.held = 0  # bytes
        self._put(np.array([_NOWHERE], dtype=np.uint64), np.int32(-1), 0, 0, 0, 0, placed=False)

    @property
    def names(self) -> Sequence[str]:
        """Field names by their numbers."""
        return self._names.texts

    @property
    def full(self) -> bool:
        """Whether it is time to begin anew, with what entries still to come point to."""
        return self.held > _HELD_MOST or len(self._names.texts) > _NAMES_MOST

    def renewed(self) -> Values:
        """An empty table for the same journal, but for the values that entries of later blocks have pointed to again.

        Those will be pointed to once more, and would else be read one by one; the last used first, up to a bound.
        """
        if len(self._names.texts) > _NAMES_MOST:
            return Values(self._journal)
        fresh = Values(self._journal, self._names)
        born, last = self._born[: self.count], self._last[: self.count]
        rows = np.flatnonzero(((last > born) | (last == self._time)) & (self.at[: self.count] != _NOWHERE))
        rows = rows[np.argsort(-last[rows], kind="stable")]
        sizes = np.cumsum(self.end[rows] - self.start[rows] + _ROW)
        rows = np.sort(rows[: int(np.searchsorted(sizes, _HELD_MOST // 4))])
        if len(rows):
            texts = self.texts(rows)
            starts, ends = fresh._hold_texts(texts)
            fresh._put(self.at[rows], self.code[rows], len(fresh.buffers) - 1, starts, ends, self.cells[rows])
        return fresh

    def _put(self, at: Words, code: Any, buffer: int, start: Any, end: Any, cells: Any, placed: bool = True) -> Rows:
        low, high = self.count, self.count + len(at)
        if high > len(self.at):
            room = max(1 << 16, high + high // 2)
            for name in ("at", "code", "buffer", "cells", "start", "end", "_born", "_last"):
                grown = np.zeros(room, dtype=getattr(self, name).dtype)
                grown[:low] = getattr(self, name)[:low]
                setattr(self, name, grown)
        self.at[low:high], self.code[low:high], self.buffer[low:high] = at, code, buffer
        self.start[low:high], self.end[low:high], self.cells[low:high] = start, end, cells
        self._born[low:high] = self._last[low:high] = self._time
        self.count = high
        self.held += _ROW * len(at)
        rows = np.arange(low, high)
        if placed:
            self._table[(at >> np.uint64(3)).astype(np.int64) & self._mask] = rows
        return rows

    def _hold(self, data: bytes) -> int:
        self.buffers.append(data)
        self.held += len(data)
        return len(self.buffers) - 1

    # -- reading -------------------------------------------------------------------------------------------------

    def learn(self, objects: Objects, low: int) -> int:
        """Take in the data objects from number ``low`` on; the number of the first that was left for another time."""
        self._time += 1
        here = np.flatnonzero(objects.kind[low:] == DATA) + low
        at, size = objects.at[here], objects.size[here]
        begin = 72 if self._journal.compact else 64
        plain = (objects.flags[here] == 0) & (size > begin) & (size <= PLAIN_MOST)
        rows = np.flatnonzero(plain)
        place = at[rows] - objects.base
        words, end = objects.words, place + size[rows]
        code, equals = self._names.numbers(words, place + begin >> 3, end)
        cells = end - equals - 1
        self._spell(objects.raw, words, place + begin, equals, end, code, cells)
        plain[rows[code < 0]] = False
        left = self._alone([(int(at[k]), int(objects.flags[here[k]]), int(size[k])) for k in np.flatnonzero(~plain)])
        stop = len(objects.kind) if left is None else int(np.searchsorted(objects.at, left))
        good = (code >= 0) & (at[rows] < (objects.end if left is None else left))
        if good.any():
            buffer = self._hold(objects.raw)
            starts = equals[good] + 1
            self._put(at[rows][good].astype(np.uint64), code[good], buffer, starts, end[good], cells[good])
        return stop

    @staticmethod
    def _spell(
        data: bytes, words: Words, begin: Ints, equals: Ints, end: Ints, code: NDArray[np.int32], cells: Ints
    ) -> None:
        """Counts characters where they are not bytes; what is no UTF-8 gets code -1."""
        if not len(begin):
            return
        bounds = np.stack((begin >> 3, end + 7 >> 3), axis=1).ravel()
        high = np.bitwise_or.reduceat(words, bounds)[::2] & _HIGH
        odd = np.flatnonzero((high != 0) & (code >= 0))
        for row, low, stop in zip(odd.tolist(), equals[odd].tolist(), end[odd].tolist()):
            try:
                cells[row] = len(data[low + 1 : stop].decode())
            except UnicodeDecodeError:
                code[row] = -1

    def _alone(self, heads: Sequence[tuple[int, int, int]]) -> int | None:
        """Read data objects one by one; the place of the first that was left, because the others were so long."""
        places: list[int] = []
        found: list[tuple[str, str] | None] = []
        total, left = 0, None
        for at, flags, size in heads:
            if total > _ALONE_MOST:
                left = at
                break
            said = self._journal.content(at, flags, size)
            total += len(said[1]) if said else 0
            places.append(at)
            found.append(said)
        self.add(places, found)
        return left

    def add(self, places: Sequence[int], found: Sequence[tuple[str, str] | None]) -> Rows:
        """Take in names and values (None: cannot be read) that stand at these places of the file; their rows.

        Without places they are not found again.
        """
        if not found:
            return np.zeros(0, dtype=np.int64)
        starts, ends = self._hold_texts([said[1].encode() if said else b"" for said in found])
        codes = np.array([self._names.number(said[0]) if said else -1 for said in found], dtype=np.int32)
        cells = np.array([len(said[1]) if said else 0 for said in found], dtype=np.int32)
        at = np.array(places if len(places) else [_NOWHERE] * len(found), dtype=np.uint64)
        return self._put(at, codes, len(self.buffers) - 1, starts, ends, cells, placed=bool(len(places)))

    def _hold_texts(self, texts: Sequence[bytes]) -> tuple[Ints, Ints]:
        """Hold texts in a buffer of their own; where each begins and ends in it."""
        ends = np.cumsum(np.array([len(t) for t in texts], dtype=np.int64)) + 8
        starts = np.concatenate((np.array([8], dtype=np.int64), ends[:-1]))
        # as in a block, no text begins within the first eight bytes
        self._hold(b"".join((bytes(8), *texts, bytes(PADDING))))
        return starts, ends

    def texts(self, rows: Rows) -> list[bytes]:
        """Values, as UTF-8."""
        buffers, held = self.buffers, self.buffer[rows].tolist()
        return [buffers[b][s:e] for b, s, e in zip(held, self.start[rows].tolist(), self.end[rows].tolist())]

    # -- finding -------------------------------------------------------------------------------------------------

    def resolve(self, entries: Entries, low: int, high: int) -> tuple[Rows, NDArray[np.int32]] | None:
        """The row of each item of these entries, 0 where it cannot be read, and the number of its field's name.

        None: there is too much to read at once; fewer entries are to be asked for. One entry is always answered.
        """
        bounds = np.cumsum(entries.counts)
        begin = int(bounds[low - 1]) if low else 0
        items = entries.items[begin : int(bounds[high - 1])] if high > low else entries.items[:0]
        rows: Rows = self._table.take((items >> items.dtype.type(3)).astype(np.int64) & self._mask).astype(np.int64)
        missed = np.flatnonzero(self.at.take(rows) != items)
        if len(missed) and not self._read(items, missed, rows):
            if high - low > 1:
                return None
            rows = self._one(items)
        self._last[rows] = self._time
        codes = self.code.take(rows)
        bad = codes < 0
        if bad.any():
            rows[bad] = 0
        return rows, codes

    def _read(self, items: NDArray[Any], missed: Ints, rows: Rows) -> bool:
        """Reads what was not met yet and sets its rows; False where that is too much."""
        wanted = np.unique(items[missed])
        there = (wanted & wanted.dtype.type(7) == 0) & (wanted < self._journal.size)
        places = wanted[there].tolist()
        found: list[tuple[str, str] | None] = []
        total = 0
        for at in places:
            said = self._journal.field(at)
            found.append(said)
            total += len(said[1]) if said else 0
            if total > _ALONE_MOST:
                return False
        new = np.zeros(len(wanted), dtype=np.int64)
        new[there] = self.add(places, found)
        rows[missed] = new[np.searchsorted(wanted, items[missed])]
        return True

    def _one(self, items: NDArray[Any]) -> Rows:
        """The rows of one entry, whose values are read in their order and kept as long as there are not too many."""
        rows = np.zeros(len(items), dtype=np.int64)
        new: dict[int, int] = {}
        found: list[tuple[str, str] | None] = []
        pointing: list[tuple[int, int]] = []
        cells = 0
        for number, at in enumerate(items.tolist()):
            if cells > ENTRY_CELLS:
                break
            row = int(self._table[at >> 3 & self._mask])
            if int(self.at[row]) == at:
                rows[number] = row if self.code[row] >= 0 else 0
                cells += int(self.cells[row])
                continue
            if at not in new:
                new[at] = len(found)
                found.append(self._journal.field(at))
            pointing.append((number, new[at]))
            said = found[new[at]]
            cells += len(said[1]) if said else 0
        added = self.add(list(new), found)
        for number, which in pointing:
            rows[number] = added[which] if found[which] else 0
        return rows
