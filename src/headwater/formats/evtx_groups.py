# SPDX-License-Identifier: Apache-2.0
"""Reads event records by the template that they share: their values as columns of positions, without a loop over records.

Of all records with one template the value descriptors are one matrix, so that the values' places are running sums of its
rows. What does not fit (no template, values in values, several nested values) is left to the plain walker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.formats.evtx_binxml import FRAGMENT, INSTANCE, BinXmlError, Chunk, Sub
from headwater.formats.evtx_layout import CHUNK
from headwater.formats.evtx_templates import DEFINITION, Template, Templates
from headwater.formats.evtx_values import NESTED, NULL
from headwater.formats.evtx_walk import MOST_VALUES

Ints = NDArray[np.int64]
PADDING = 64  # zero bytes behind a block, so that reads of fixed width stay inside it
_NONE = -1
_FAULTY = -2


@dataclass(frozen=True, slots=True)
class Cells:
    """Values of one field: ``rows`` of the block, and of each its type and its place in the block's bytes."""

    name: str
    rows: Ints
    kind: int
    starts: Ints
    ends: Ints


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal of the template, the same in all these rows."""

    name: str
    rows: Ints
    text: str


@dataclass(frozen=True, slots=True)
class Mixed:
    """A field made of literals and values: for each row its pieces, in order."""

    name: str
    rows: Ints
    parts: tuple[str | tuple[NDArray[np.uint8], Ints, Ints], ...]


Piece = Cells | Constant | Mixed


@dataclass(slots=True)
class Block:
    """Bytes of whole chunks (the last may be cut, zeros stand for what is missing) and their name tables."""

    data: bytes
    array: NDArray[np.uint8]
    chunks: dict[int, Chunk] = field(default_factory=dict)

    @staticmethod
    def of(data: bytes) -> Block:
        padded = data + bytes(-len(data) % CHUNK + PADDING)
        return Block(padded, np.frombuffer(padded, dtype=np.uint8))

    def chunk(self, number: int) -> Chunk:
        found = self.chunks.get(number)
        if found is None:
            found = self.chunks[number] = Chunk(self.data[number * CHUNK : (number + 1) * CHUNK])
        return found

    def words(self, width: int) -> Any:
        """Every position as a little-endian number of ``width`` bytes, overlapping, without a copy."""
        shape = (len(self.data) - 8,)
        return np.ndarray(shape, dtype=f"<u{width}", buffer=self.data, strides=(1,))


class Groups:
    """The fields of many records; ``left``: per row, whether the plain walker has to read it."""

    def __init__(self, block: Block, templates: Templates, starts: Ints, ends: Ints) -> None:
        self.block = block
        self.templates = templates
        self.left = np.zeros(len(starts), dtype=bool)
        self._nested = np.zeros(len(starts), dtype=np.int8)
        rows = np.arange(len(starts), dtype=np.int64)
        self.pieces: list[Piece] = list(self._level(rows, starts, ends, None))
        below = self._below()
        self.pieces += below
        told = np.zeros(len(starts), dtype=bool)
        for piece in self.pieces:
            told[piece.rows] = True
        self.left |= ~told

    def _below(self) -> list[Piece]:
        """What stands in nested values: of each element that holds such values, all rows at once."""
        found: list[Piece] = []
        inside: dict[str, list[Cells]] = {}
        for piece in self.pieces:
            if isinstance(piece, Cells) and piece.kind == NESTED:
                inside.setdefault(piece.name, []).append(piece)
                self._nested[piece.rows] += 1
        self.left |= self._nested > 1
        self.pieces = [p for p in self.pieces if not (isinstance(p, Cells) and p.kind == NESTED)]
        above = {p.name.lower() for p in self.pieces}
        for within, cells in inside.items():
            rows = np.concatenate([c.rows for c in cells])
            starts = np.concatenate([c.starts for c in cells])
            ends = np.concatenate([c.ends for c in cells])
            for piece in self._level(rows, starts, ends, within):
                if piece.name.lower() in above or (isinstance(piece, Cells) and piece.kind == NESTED):
                    self.left[piece.rows] = True
                else:
                    found.append(piece)
        return found

    def _level(self, rows: Ints, starts: Ints, ends: Ints, within: str | None) -> Iterator[Piece]:
        """The fields of template instances at ``starts``, which end by ``ends``."""
        data, wide = self.block.array, self.block.words(4)
        at = starts + 4 * (data[starts] == FRAGMENT)
        fits = (data[at] == INSTANCE) & (at + 14 <= ends)
        base = at // CHUNK * CHUNK
        definition = base + wide[at + 6]
        numbers = self._numbers(definition, wide[at + 2], fits, base)
        values = at + 10
        sizes = np.array([t.size for t in self.templates.all] + [0], dtype=np.int64)
        values = values + np.where(definition == values, DEFINITION + sizes[np.maximum(numbers, _NONE)], 0)
        fits &= (numbers >= 0) & (values + 4 <= ends)
        counts = wide[np.where(fits, values, 0)].astype(np.int64)
        fits &= (counts <= MOST_VALUES) & (values + 4 + 4 * counts <= ends)
        self.left[rows[~fits]] = True
        order = np.flatnonzero(fits)
        if not len(order):
            return
        key = numbers[order] * (MOST_VALUES + 1) + counts[order]
        order = order[np.argsort(key, kind="stable")]
        key = numbers[order] * (MOST_VALUES + 1) + counts[order]
        edges = np.flatnonzero(np.diff(key)) + 1
        for member in np.split(order, edges):
            first = member[0]
            template = self.templates.all[int(numbers[first])]
            yield from self._group(template, int(counts[first]), rows[member], values[member], ends[member], within)

    def _numbers(self, definition: Ints, identifiers: Any, fits: Any, base: Ints) -> Ints:
        """Per instance the number of its template; negative where there is none that can be read."""
        numbers = np.full(len(definition), _NONE, dtype=np.int64)
        where = np.flatnonzero(fits & (definition < base + CHUNK - DEFINITION))
        unique, place = np.unique(definition[where], return_inverse=True)
        found = np.full(len(unique), _FAULTY, dtype=np.int64)
        wanted = np.zeros(len(unique), dtype=np.int64)
        for i, offset in enumerate(unique.tolist()):
            try:
                template = self.templates.at(self.block.chunk(offset // CHUNK), offset % CHUNK)
            except BinXmlError:
                continue
            found[i], wanted[i] = template.number, template.identifier
        same = identifiers[where] == wanted[place]
        numbers[where] = np.where(same, found[place], _FAULTY)
        return numbers

    def _group(
        self, template: Template, count: int, rows: Ints, values: Ints, ends: Ints, within: str | None
    ) -> Iterator[Piece]:
        descriptors = self.block.words(4)[(values + 4)[:, None] + 4 * np.arange(count)]
        after = np.cumsum(descriptors & 0xFFFF, axis=1, dtype=np.int64) + (values + 4 + 4 * count)[:, None]
        if count:
            good = after[:, -1] <= ends
            if not good.all():
                self.left[rows[~good]] = True
                rows, descriptors, after = rows[good], descriptors[good], after[good]
        if not len(rows):
            return
        kinds = (descriptors >> 16).astype(np.uint8)
        starts = after - (descriptors & 0xFFFF)
        same = (kinds == kinds[0]).all(axis=0)
        for slot in template.slots(within):
            subs = [p for p in slot.parts if isinstance(p, Sub)]
            if not subs:
                yield Constant(slot.name, rows, "".join(p for p in slot.parts if isinstance(p, str)))
            elif len(slot.parts) > 1:
                yield from self._mixed(slot.name, slot.parts, rows, kinds, starts, after)
            elif subs[0].index < count:
                i = subs[0].index
                for cells in _cells(slot.name, rows, kinds[:, i], starts[:, i], after[:, i], bool(same[i])):
                    yield Cells(slot.within, *cells[1:]) if cells[2] == NESTED else Cells(*cells)

    def _mixed(
        self, name: str, parts: tuple[str | Sub, ...], rows: Ints, kinds: Any, starts: Any, ends: Any
    ) -> Iterator[Piece]:
        pieces: list[str | tuple[NDArray[np.uint8], Ints, Ints]] = []
        for part in parts:
            if isinstance(part, str):
                pieces.append(part)
            elif part.index < kinds.shape[1]:
                i = part.index
                self.left[rows[kinds[:, i] == NESTED]] = True
                pieces.append((kinds[:, i], starts[:, i], ends[:, i]))
        if pieces:
            yield Mixed(name, rows, tuple(pieces))


def _cells(
    name: str, rows: Ints, kinds: Any, starts: Ints, ends: Ints, same: bool
) -> Iterator[tuple[str, Ints, int, Ints, Ints]]:
    """The values of one field by their type; null is no value, and nothing nested in no bytes is none."""
    for kind in (int(kinds[0]),) if same else np.unique(kinds).tolist():
        if kind == NULL:
            continue
        chosen = slice(None) if same else kinds == kind
        some = rows[chosen], int(kind), starts[chosen], ends[chosen]
        if kind == NESTED:
            held = some[3] > some[2]
            some = some[0][held], int(kind), some[2][held], some[3][held]
        if len(some[0]):
            yield name, *some
