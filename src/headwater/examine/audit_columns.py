# SPDX-License-Identifier: Apache-2.0
"""The columns of audit records that the compiled scanner fills: texts and integers, one row a record, some null.

A text stands in the block, in the pool of decoded texts, among texts that the other way of reading gave, or among those of derived
events: buffers 0 to 3 of one Arrow array.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from headwater.examine.audit_fields import KNOWN, STORED
from headwater.examine.line_tables import handed
from headwater.examine.line_views import PADDING, Bytes, Ints
from headwater.formats import compiled
from headwater.model.kinds import Outcome
from headwater.model.records import own_column

# in the order of audit.h
FIXED = (
    *("user", "target_user", "src_ip", "process", "command_line", "file_path", "host", "type"),
    *("Image", "CommandLine", "CurrentDirectory", own_column("User"), "records"),
    *("ParentImage", "ParentCommandLine", "parent_record", "other"),
)
COUNTED = ("ProcessId", "ParentProcessId")
OUTCOMES = (None, Outcome.SUCCESS.value, Outcome.FAILURE.value)
_PATCHED, _NAMED = 2, 3  # buffers


def name_of(key: str) -> str:
    """The column that a key's values stand in."""
    return "pid" if key == "pid" else own_column(STORED.get(key, key))


class Columns:
    """Columns under construction; rows beyond the records are for derived events."""

    def __init__(self, library: Any, data: Bytes, rows: int, stride: int) -> None:
        self._library = library
        self.texts, self.counted = int(library.hw_audit_room(1)), int(library.hw_audit_room(2))
        self.stride = stride
        self.room = 2 * len(data)  # nothing decoded or joined is longer than what it is made of
        self.pool = np.empty(self.room + PADDING, dtype=np.uint8)
        self.buffers: list[Bytes] = [data, self.pool, np.zeros(PADDING, np.uint8), np.zeros(PADDING, np.uint8)]
        self.views = np.empty((self.texts, stride, 2), dtype=np.uint64)
        self.bits = np.zeros((self.texts + self.counted, (stride + 7) // 8), dtype=np.uint8)
        self.counts = np.zeros(self.texts + self.counted, dtype=np.int64)
        self.values = np.empty((self.counted, stride), dtype=np.int64)
        self.number = np.zeros(library.hw_audit_room(3), dtype=np.int32)  # for each key its column plus one
        self.outcome = np.zeros(rows, dtype=np.uint8)
        self._patches: list[bytes] = []
        self._patched = 0

    def places(self) -> tuple[int | None, ...]:
        """Where views, bits, counts and values begin."""
        return tuple(compiled.at(array) for array in (self.views, self.bits, self.counts, self.values))

    def of_key(self, key: str) -> int:
        """The column of a key, -1 where it has none."""
        return int(self.number[KNOWN.index(key)]) - 1

    def _place(self, name: str, text: bool) -> int:
        """The number of a column by its name; a new one where there is none yet."""
        if name in FIXED:
            return FIXED.index(name)
        key = next(k for k, known in enumerate(KNOWN) if name_of(known) == name)
        if not self.number[key]:
            taken = self.number[(self.number <= self.texts) == text]
            least = len(FIXED) if text else self.texts + len(COUNTED)
            self.number[key] = 1 + max(least, int(taken.max(initial=0)))
            if text and self.number[key] > self.texts:
                raise IndexError("more keys than columns")
        return int(self.number[key]) - 1

    def put(self, name: str, rows: Ints, values: pl.Series) -> None:
        """Values that the other way of reading gave, for a few rows."""
        number = self._place(name, values.dtype == pl.String)
        for row, value in zip(rows.tolist(), values.to_list()):
            if value is None:
                continue
            if isinstance(value, str):
                self._put_text(number, row, value.encode())
            else:
                self.values[number - self.texts, row] = value
            self.bits[number, row >> 3] |= np.uint8(1 << (row & 7))
            self.counts[number] += 1

    def _put_text(self, number: int, row: int, text: bytes) -> None:
        view = np.zeros(16, dtype=np.uint8)
        view[:4] = np.frombuffer(len(text).to_bytes(4, "little"), np.uint8)
        if len(text) <= 12:
            view[4 : 4 + len(text)] = np.frombuffer(text, np.uint8)
        else:
            rest = text[:4] + _PATCHED.to_bytes(4, "little") + self._patched.to_bytes(4, "little")
            view[4:] = np.frombuffer(rest, np.uint8)
            self._patches.append(text)
            self._patched += len(text)
        self.views[number, row] = view.view(np.uint64)

    def seal(self) -> None:
        """No more values are put."""
        self.buffers[_PATCHED] = np.frombuffer(b"".join((*self._patches, bytes(PADDING))), dtype=np.uint8)

    def name(self, library: Any, programs: int, size: int) -> None:
        """Takes the texts of derived events from the memory of programs."""
        made = np.empty(size + PADDING, dtype=np.uint8)
        library.hw_programs_texts(programs, compiled.at(made))
        self.buffers[_NAMED] = made

    def series(self, first: int, count: int, total: int) -> dict[str, pl.Series]:
        """All columns that have a value, so many rows of a total from ``first`` on."""
        names: dict[int, str] = dict(enumerate(FIXED))
        names |= {self.texts + k: name for k, name in enumerate(COUNTED)}
        names |= {int(self.number[k]) - 1: name_of(KNOWN[k]) for k in np.flatnonzero(self.number).tolist()}
        skip = first & ~7  # an array that begins within a byte of bits would be copied on its way
        views, values, bits = (compiled.at(array) or 0 for array in (self.views, self.values, self.bits))
        wide = self.bits.shape[1]
        there = []
        for number, name in names.items():
            if not self.counts[number]:
                continue
            text = number < self.texts
            place = views + 16 * self.stride * number if text else values + 8 * self.stride * (number - self.texts)
            valid = 0
            if self.counts[number] != total:
                valid = bits + wide * number
                compiled.checked(self._library.hw_clear(place, valid, first + count, 1 + text))
                valid += skip // 8
            there.append((name, text, place + skip * (16 if text else 8), valid))
        return handed(there, self.buffers, first - skip, count, self)
