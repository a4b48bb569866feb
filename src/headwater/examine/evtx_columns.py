# SPDX-License-Identifier: Apache-2.0
"""Values of event records as columns of text: UTF-16 without decoding where it is ASCII, the rest by unique value.

An ASCII text in UTF-16 is every second byte of the block. So the even and the odd bytes, one behind the other, hold each
such text in one piece, and a column is arithmetic on positions; a running count of all other characters tells where not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import polars as pl

from headwater.examine.line_views import Flags, Ints, column
from headwater.formats.evtx_groups import PADDING, Block, Cells, Constant, Mixed, Piece
from headwater.formats.evtx_layout import FILETIME_EPOCH
from headwater.formats.evtx_values import (
    BOOL,
    FILETIME,
    GUID,
    HANDLE,
    HEX32,
    HEX64,
    INTEGERS,
    SIZE,
    TEXT,
    filetime_text,
    value_text,
)

_STRIPS = 2  # NULs behind a text that are taken away in bulk
_HEXES = (SIZE, HEX32, HEX64, HANDLE)
_WIDTHS = {3: 1, 4: 1, 5: 2, 6: 2, 7: 4, 8: 4, 9: 8, 10: 8, FILETIME: 8, BOOL: 4}
_DIGITS = np.frombuffer(b"0123456789ABCDEF", dtype=np.uint8)
_GUID_ORDER = np.array([3, 2, 1, 0, 5, 4, 7, 6, *range(8, 16)])
_GUID_PLACES = np.array([1, 3, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27, 29, 31, 33, 35])
Island = tuple[Ints, pl.Series]  # rows, and their texts


def _texts(values: Iterable[str | None]) -> pl.Series:
    return pl.Series(list(values), dtype=pl.String)


class Columns:
    """The text columns of one block of chunks."""

    def __init__(self, block: Block, height: int) -> None:
        self.block = block
        self.height = height
        data = block.array
        self._half = len(data) // 2
        parts = (data[0::2], data[1::2], np.zeros(PADDING, dtype=np.uint8))
        self._halves = np.bitwise_and(np.concatenate(parts), 0x7F)
        # a flag for every place of each half where a character beyond ASCII begins, 64 to a word, and running counts
        odd = np.append(data[1:-1].view("<u2") >= 0x80, True)
        packed = np.packbits(np.concatenate((data.view("<u2") >= 0x80, odd)), bitorder="little")
        self._flags = np.append(packed, np.zeros(8 - len(packed) % 8 + 8, dtype=np.uint8)).view(np.uint64)
        counts = np.bitwise_count(self._flags)
        self._before: Ints = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(counts, dtype=np.int64)))

    def _others(self, places: Ints) -> Ints:
        """How many characters beyond ASCII begin before each place of the halves."""
        word = places >> 6
        mask = (np.uint64(1) << (places & 63).astype(np.uint64)) - np.uint64(1)
        within: Ints = np.bitwise_count(self._flags[word] & mask).astype(np.int64)
        found: Ints = self._before[word] + within
        return found

    def series(self, pieces: list[Piece], more: list[tuple[int, str]]) -> pl.Series:
        """One column of all rows; ``more``: texts that the plain walker found, by row."""
        texts = [p for p in pieces if isinstance(p, Cells) and p.kind == TEXT]
        islands: list[Island] = []
        if texts:
            if len(texts) == len(pieces) and not more:
                return self._whole(texts)
            islands.append(self._some(texts))
        constants = [p for p in pieces if isinstance(p, Constant)]
        if constants:
            index = np.concatenate([np.full(len(c.rows), i, dtype=np.uint32) for i, c in enumerate(constants)])
            rows = np.concatenate([c.rows for c in constants])
            islands.append((rows, _texts(c.text for c in constants)[index]))
        kinds: dict[int, list[Cells]] = {}
        for piece in pieces:
            if isinstance(piece, Cells) and piece.kind != TEXT:
                kinds.setdefault(piece.kind, []).append(piece)
            elif isinstance(piece, Mixed):
                islands.append((piece.rows, _texts(self._mixed(piece))))
        for kind, cells in kinds.items():
            rows, starts, ends = _joined(cells)
            islands.append((rows, self._typed(kind, starts, ends)))
        if more:
            islands.append((np.array([r for r, _ in more], dtype=np.int64), _texts(t for _, t in more)))
        return _assembled(islands, self.height)

    def _places(self, starts: Ints, ends: Ints) -> tuple[Ints, Ints, Flags]:
        """Where texts stand in the halves, and which of them are plain ASCII of whole characters."""
        first = (starts >> 1) + (starts & 1) * self._half
        size = ends - starts
        last = first + (size >> 1)
        plain = (self._others(last) == self._others(first)) & (size & 1 == 0)
        for _ in range(_STRIPS):
            ended = plain & (last > first) & (self._halves[last - 1] == 0)
            if not ended.any():
                return first, last, plain
            last = last - ended
        plain &= ~((last > first) & (self._halves[last - 1] == 0))
        return first, last, plain

    def _whole(self, texts: list[Cells]) -> pl.Series:
        rows, starts, ends = _joined(texts)
        first, last, plain = self._places(starts, ends)
        low, high = np.zeros(self.height, dtype=np.int64), np.zeros(self.height, dtype=np.int64)
        valid = np.zeros(self.height, dtype=bool)
        low[rows], high[rows], valid[rows] = first, last, plain
        series = column(self._halves, low, high, None if valid.all() else valid)
        if plain.all():
            return series
        other = ~plain
        return series.scatter(rows[other], _texts(self._each(TEXT, starts[other], ends[other])))

    def _some(self, texts: list[Cells]) -> Island:
        rows, starts, ends = _joined(texts)
        first, last, plain = self._places(starts, ends)
        if plain.all():
            return rows, column(self._halves, first, last)
        series = column(self._halves, np.where(plain, first, 0), np.where(plain, last, 0))
        other = np.flatnonzero(~plain)
        return rows, series.scatter(other, _texts(self._each(TEXT, starts[other], ends[other])))

    def _each(self, kind: int, starts: Ints, ends: Ints) -> list[str | None]:
        """Texts of values, each unlike one decoded once."""
        data, known = self.block.data, dict[bytes, str | None]()
        found = []
        for start, end in zip(starts.tolist(), ends.tolist()):
            value = data[start:end]
            if value not in known:
                known[value] = value_text(kind, value)
            found.append(known[value])
        return found

    def _mixed(self, piece: Mixed) -> list[str | None]:
        texts: list[list[str]] = [[] for _ in range(len(piece.rows))]
        for part in piece.parts:
            if isinstance(part, str):
                for text in texts:
                    text.append(part)
                continue
            for text, kind, start, end in zip(texts, *(p.tolist() for p in part)):
                found = value_text(kind, self.block.data[start:end])
                if found is not None:
                    text.append(found)
        return ["".join(text) if text else None for text in texts]

    def numbers(self, kind: int, starts: Ints, ends: Ints) -> Any:
        """Values of a type of fixed size as an array; None where not all have that size."""
        width = int(ends[0] - starts[0]) if kind in _HEXES else _WIDTHS.get(kind, 0)
        if width not in (1, 2, 4, 8) or not (ends - starts == width).all():
            return None
        values = self.block.array[starts] if width == 1 else self.block.words(width)[starts]
        return values.view(INTEGERS[kind]) if kind in INTEGERS else values

    def _guids(self, starts: Ints) -> pl.Series:
        """GUIDs as Windows writes them, in braces: two digits of each byte, put in their places."""
        raw = self.block.array[starts[:, None] + _GUID_ORDER]
        out = np.full((len(starts) * 38 + PADDING), ord("-"), dtype=np.uint8)
        table = out[: len(starts) * 38].reshape(-1, 38)
        table[:, _GUID_PLACES] = _DIGITS[raw >> 4]
        table[:, _GUID_PLACES + 1] = _DIGITS[raw & 15]
        table[:, 0], table[:, 37] = ord("{"), ord("}")
        at = np.arange(len(starts), dtype=np.int64) * 38
        return column(out, at, at + 38)

    def _typed(self, kind: int, starts: Ints, ends: Ints) -> pl.Series:
        if kind == GUID and (ends - starts == 16).all():
            return self._guids(starts)
        values = self.numbers(kind, starts, ends)
        if values is None or (kind in _HEXES and values.dtype.itemsize < 4):
            return _texts(self._each(kind, starts, ends))
        if kind in INTEGERS:
            return pl.Series(values).cast(pl.String)
        if kind == BOOL:
            words: pl.Series = _texts(("false", "true"))[(values != 0).astype(np.uint32)]
            return words
        write: Callable[[int], str] = filetime_text if kind == FILETIME else hex
        unique, place = np.unique(values, return_inverse=True)
        texts: pl.Series = _texts(write(v) for v in unique.tolist())[place]
        return texts

    def whole_numbers(self, pieces: list[Piece], more: list[tuple[int, str]]) -> pl.Series:
        """A column of whole numbers; null where there is none."""
        if not more and all(isinstance(p, Cells) and p.kind in INTEGERS for p in pieces):
            values, valid = np.zeros(self.height, dtype=np.int64), np.zeros(self.height, dtype=bool)
            for piece in pieces:
                assert isinstance(piece, Cells)
                found = self.numbers(piece.kind, piece.starts, piece.ends)
                if found is None:
                    break
                values[piece.rows], valid[piece.rows] = found.astype(np.int64), True
            else:
                series = pl.Series(values)
                return series if valid.all() else series.set(pl.Series(~valid), None)
        return self.series(pieces, more).str.strip_chars().cast(pl.Int64, strict=False)

    def times(self, pieces: list[Piece]) -> tuple[Ints, Flags]:
        """Nanoseconds since 1970 of a column of FILETIMEs, and where there is one that fits."""
        values, valid = np.zeros(self.height, dtype=np.int64), np.zeros(self.height, dtype=bool)
        for piece in pieces:
            if isinstance(piece, Cells) and piece.kind == FILETIME:
                found = self.numbers(piece.kind, piece.starts, piece.ends)
                if found is not None:
                    values[piece.rows], valid[piece.rows] = nanoseconds_of(found)
        return values, valid


def nanoseconds_of(filetimes: Any) -> tuple[Ints, Flags]:
    """FILETIMEs as nanoseconds since 1970, and which of them fit (zero was never set)."""
    raw = filetimes.view(np.int64) if filetimes.dtype == np.uint64 else filetimes
    ticks = raw - FILETIME_EPOCH
    valid = (raw > 0) & (ticks <= np.iinfo(np.int64).max // 100)
    return np.where(valid, ticks, 0) * 100, valid


def _joined(cells: list[Cells]) -> tuple[Ints, Ints, Ints]:
    if len(cells) == 1:
        return cells[0].rows, cells[0].starts, cells[0].ends
    return (
        np.concatenate([c.rows for c in cells]),
        np.concatenate([c.starts for c in cells]),
        np.concatenate([c.ends for c in cells]),
    )


def _assembled(islands: list[Island], height: int) -> pl.Series:
    """Rows put in order; null where no island has the row."""
    rows = np.concatenate([r for r, _ in islands])
    place = np.full(height, len(rows), dtype=np.int64)
    place[rows] = np.arange(len(rows))
    return pl.concat([*(s for _, s in islands), _texts([None])])[place]
