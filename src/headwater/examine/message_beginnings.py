# SPDX-License-Identifier: Apache-2.0
"""Which of many texts begin with a literal, asked again and again for literals that have their beginnings in common."""

from __future__ import annotations

import numpy as np

from headwater.examine.line_blocks import Lines
from headwater.examine.line_templates import equal
from headwater.examine.line_views import Ints, find
from headwater.examine.line_words import Words, masked, word

_HEAD = 32  # bytes of every text that are brought together once, for the many comparisons


class Beginnings:
    """Which rows begin with a literal, found a word at a time so that rules share what their literals share."""

    def __init__(self, texts: Lines, rows: Ints) -> None:
        self.whole, self.texts = texts, texts.take(rows)
        self._behind: dict[bytes, Words] = {}
        self.row = rows
        head = np.ndarray((len(texts.data) - _HEAD,), dtype=f"V{_HEAD}", buffer=texts.data, strides=(1,))
        grid = (
            head[np.minimum(self.texts.start, len(texts.data) - _HEAD - 1)].view("<u8").reshape(len(rows), _HEAD // 8)
        )
        self.word = [np.ascontiguousarray(grid[:, k]) for k in range(_HEAD // 8)]
        self.first = self.word[0].astype(np.uint32)
        self.known: dict[bytes, Ints] = {b"": np.arange(len(rows))}
        self.present = set(np.unique(self.first).tolist())

    def rows(self, start: bytes) -> Ints:
        """In order; a text that was cut to less than the literal may be among them."""
        if len(start) >= 4 and int.from_bytes(start[:4], "little") not in self.present:
            return self.row[:0]
        return self.row[self._places(start)]

    def followed(self, rows: Ints, start: bytes, literal: bytes) -> Ints:
        """Those rows, of the ones that begin with ``start``, in which ``literal`` may stand behind the first word after it.

        The literal begins with a space; only its first eight bytes are compared.
        """
        behind = self._behind.get(start)
        if behind is None:
            mine = self.rows(start)
            texts = self.whole.take(mine)
            behind = np.zeros(len(self.whole), dtype=np.uint64)
            behind[mine] = word(texts.data, find(texts.data, texts.start + len(start), 32, texts.end))
            self._behind[start] = behind
        size = min(len(literal), 8)
        may: Ints = rows[masked(behind[rows], size) == np.uint64(int.from_bytes(literal[:8], "little"))]
        return may

    def _places(self, start: bytes) -> Ints:
        known = self.known.get(start)
        if known is not None:
            return known
        size = len(start)
        if size == 4:
            known = np.flatnonzero(self.first == int.from_bytes(start, "little"))
        elif size <= _HEAD:
            number = (size - 1) // 8
            known = self._places(start[: 8 * number] if number else start[:4] if size > 4 else b"")
            mask = np.uint64((1 << 8 * (size - 8 * number)) - 1)
            value = np.uint64(int.from_bytes(start[8 * number :], "little"))
            known = known[(self.word[number][known] & mask) == value]
        else:
            known = self._places(start[:_HEAD])
            at = np.minimum(self.texts.start[known] + _HEAD, self.texts.end[known])
            known = known[equal(self.texts.data, at, start[_HEAD:])]
        self.known[start] = known
        return known
