# SPDX-License-Identifier: Apache-2.0
"""The columns of audit records that were read shape by shape, put together when it is known on which row each record stands.

Texts stand in the block, in the pool of decoded and joined texts, among those that the other way of reading gave, or among those of
parents: buffers 0 to 3 of one Arrow array.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from headwater.examine.audit_values import Number, Pool, Text, Views, views_from
from headwater.examine.line_tables import handed
from headwater.examine.line_views import PADDING, Bytes, Flags, Ints, buffered
from headwater.formats import compiled


@dataclass(slots=True)
class Column:
    """Views or whole numbers of all rows; ``there``: which have one. Where none is, zeros stand."""

    values: Views | Ints
    there: Flags

    @property
    def text(self) -> bool:
        return self.values.dtype == np.complex128

    def put(self, rows: Ints, values: Views | Ints, there: Flags | None = None) -> None:
        if there is not None and len(there) == 1:
            if not there[0]:
                return
            there = None
        if there is not None:
            rows = rows[there]
            values = values if len(values) == 1 else values[there]
        self.values[rows] = values
        self.there[rows] = True


class Gathered:
    """Pieces of columns by name, and the outcome of each record; ``place`` then makes the columns."""

    def __init__(self, block: Bytes, rows: int) -> None:
        self.block, self.pool = block, Pool()
        self.outcome = np.zeros(rows, dtype=np.uint8)
        self.columns: dict[str, Column] = {}
        self._pieces: dict[str, list[tuple[Ints, Text | Number]]] = {}
        self._late = Pool()
        self.parents = np.zeros(PADDING, dtype=np.uint8)

    def add(self, name: str, rows: Ints, piece: Text | Number) -> None:
        """Values of some records."""
        self._pieces.setdefault(name, []).append((rows, piece))

    def put(self, name: str, rows: Ints, values: pl.Series) -> None:
        """Values that the other way of reading gave, for a few records."""
        there = values.is_not_null().to_numpy()
        if values.dtype == pl.String:
            self.add(name, rows[there], Text(self.texts(values.drop_nulls())))
        else:
            self.add(name, rows[there], Number(values.drop_nulls().to_numpy()))

    def texts(self, values: pl.Series) -> Views:
        """Views of texts, none of them null, that stand in no buffer yet."""
        size = values.str.len_bytes().to_numpy().astype(np.int64)
        raw = "".join(values.to_list()).encode() + bytes(PADDING)
        data = np.frombuffer(raw, dtype=np.uint8)
        end = np.cumsum(size)
        return views_from(data, end - size, end, 2, self._late.add(data))

    def made(self, data: Bytes, start: Ints, end: Ints) -> Views:
        """Views of texts that were made; ``data`` is padded."""
        return views_from(data, start, end, 2, self._late.add(data))

    def seal(self) -> None:
        """As the columns of the compiled scanner are told that no more is put."""

    def place(self, moved: Ints, total: int) -> None:
        """Puts all pieces on the rows that ``moved`` gives for each record."""
        for name, pieces in self._pieces.items():
            column = self.new(name, total, isinstance(pieces[0][1], Text))
            for rows, piece in pieces:
                here = moved[rows]
                if isinstance(piece, Text):
                    column.put(here, piece.views, piece.there)
                else:
                    column.put(here, piece.values)
        self._pieces.clear()

    def new(self, name: str, total: int, text: bool) -> Column:
        """A column without values, or the one of that name."""
        if name not in self.columns:
            values: Views | Ints = np.zeros(total, dtype=np.complex128) if text else np.zeros(total, dtype=np.int64)
            self.columns[name] = Column(values, np.zeros(total, dtype=np.bool_))
        return self.columns[name]

    def buffers(self) -> list[Bytes]:
        """What the views point into so far."""
        return [self.block, self.pool.whole(), self._late.whole(), self.parents]

    def some(self, column: Column, rows: Ints) -> pl.Series:
        """The texts of a few rows of a column."""
        bits = np.packbits(column.there[rows], bitorder="little")
        return buffered(column.values[rows].view(np.uint64).reshape(-1, 2), self.buffers(), bits, 0, len(rows))

    def series(self, first: int, count: int, total: int) -> dict[str, pl.Series]:
        """All columns that have a value, so many rows of a total from ``first`` on."""
        there, kept = [], []
        skip = first & ~7  # an array that begins within a byte of bits would be copied on its way
        for name, column in self.columns.items():
            if not column.there.any():
                continue
            bits = None if column.there.all() else np.packbits(column.there, bitorder="little")
            kept.append(bits)
            place = (compiled.at(column.values) or 0) + skip * column.values.itemsize
            there.append((name, column.text, place, 0 if bits is None else (compiled.at(bits) or 0) + skip // 8))
        return handed(there, self.buffers(), first - skip, count, (self, kept))
