# SPDX-License-Identifier: Apache-2.0
"""Audit lines that have the same words in the same order, found for a whole block at once.

1. The first of some lines that are alike (type, numbers of equals signs, of gaps and of quotes) says which keys they have: its layout.
2. Each of the others has that layout where, for every word, the key stands before its equals sign and behind the gap, and nothing
   else in the line is a gap or a quote. So where a value begins and ends follows from the places of equals signs alone.
3. A line whose words the layout cannot tell for certain belongs to no shape; :mod:`headwater.examine.audit_lines` reads it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headwater.examine.audit_fields import KNOWN
from headwater.examine.audit_marks import Heads, Marks
from headwater.examine.line_blocks import Lines
from headwater.examine.line_views import Bytes, Flags, Ints, words

FEW = 32  # lines that are worth a layout of their own
_ROUNDS = 8  # layouts tried among lines that are alike
_WIDEST_GAP = 4  # so many are taken off a value that goes on until the next word
_LONGEST = 1 << 16  # bytes of a line that is taken as a model
_MOST = 127  # of equals signs and gaps
_MOST_QUOTES = 7
_GAP = re.compile(rb"([ \x1d]+|(?<=msg=)')")
_NUMBER = {key.encode(): number for number, key in enumerate(KNOWN)}
_MESSAGE = b"msg"
_YOUNG = (b"auid", b"ses")  # which the word "old" in front makes others
_OLD = np.uint32(int.from_bytes(b"old ", "little"))


@dataclass(frozen=True, slots=True)
class Layout:
    """The words of a line: the number of each key in KNOWN, which of the equals signs is its own, what stands before that from the gap
    on, and whether the quote of the message closes behind its value. ``tail``: bytes of the gap at the line's end."""

    keys: tuple[int, ...]
    own: tuple[int, ...]
    before: tuple[bytes, ...]
    closes: tuple[bool, ...]
    tail: int
    equals: int
    parts: int
    quotes: int


@dataclass(frozen=True, slots=True)
class Shape:
    """Rows of one type and layout, and for each word the places of its values; ``pick`` leaves some out."""

    type: str
    layout: Layout
    rows: Ints
    start: tuple[Ints, ...]
    end: tuple[Ints, ...]

    def pick(self, good: Flags) -> Shape:
        return Shape(
            self.type,
            self.layout,
            self.rows[good],
            tuple(s[good] for s in self.start),
            tuple(e[good] for e in self.end),
        )


def _counts(text: bytes) -> tuple[int, int, int]:
    return text.count(b"="), text.count(b" ") + text.count(b"\x1d"), text.count(b"'")


@functools.lru_cache(maxsize=1024)
def _layout(words: tuple[tuple[bytes, bytes, int, bool], ...], tail: int, parts: int, quotes: int) -> Layout | None:
    """The layout of words: for each its gap, key, how many equals signs it has, and whether its value ends in a quote."""
    keys = [_NUMBER.get(key, -1) for _, key, _, _ in words]
    equals = [n for _, _, n, _ in words]
    messages = [k for k, word in enumerate(words) if word[1] == _MESSAGE]
    closes = [end for _, _, _, end in words]
    if not words or len(set(keys)) < len(keys) or min(keys) < 0 or tail > _WIDEST_GAP or len(messages) > 1:
        return None
    if max(len(gap) for gap, _, _, _ in words) > _WIDEST_GAP or quotes != (
        len(messages) + sum(closes) if messages else 0
    ):
        return None
    for k in messages:  # only the quote that opens a message says nothing
        if k + 1 == len(words) or not words[k + 1][0].startswith(b"'") or closes[k] or equals[k] != 1:
            return None
    own = np.cumsum([0, *equals[:-1]]).tolist()
    before = [gap + key + b"=" for gap, key, _, _ in words]
    return Layout(tuple(keys), tuple(own), tuple(before), tuple(closes), tail, sum(equals), parts, quotes)


def layout_of(body: bytes) -> Layout | None:
    """The layout of the words of one line, from behind its head on; None where it is not certain."""
    equals, parts, quotes = _counts(body)
    if len(body) > _LONGEST or not 0 < equals <= _MOST or parts > _MOST or quotes > _MOST_QUOTES:
        return None
    words: list[tuple[bytes, bytes, int, bool]] = []
    gap = b" "  # behind the head's colon
    for number, piece in enumerate(_GAP.split(body)):
        if number % 2:
            gap += piece
        elif piece:
            key, _, value = piece.partition(b"=")
            if key == _MESSAGE and value:
                return None
            words.append((gap, key, piece.count(b"="), value.endswith(b"'")))
            gap = b""
    # of a gap at the end the first word's gap is none: a body of gaps has no words
    return _layout(tuple(words), len(gap) if words else 0, parts, quotes)


def _stands(wide: NDArray[np.uint64], equal: Ints, text: bytes) -> Flags:
    """Whether a text ends with these equals signs."""
    ok: Flags | None = None
    for last in range(len(text), 0, -8):
        piece = text[max(0, last - 8) : last]
        here = wide[equal + (last - len(text) - 7)]
        same = here >> np.uint64(8 * (8 - len(piece))) == np.uint64(int.from_bytes(piece, "little"))
        ok = same if ok is None else ok & same
    assert ok is not None
    return ok


class _Alike:
    """Numbers of all lines that a layout is held against, and where their signs stand."""

    def __init__(self, lines: Lines, heads: Heads, marks: Marks) -> None:
        self.lines, self.heads, self.marks = lines, heads, marks
        body, end = np.where(heads.ok, heads.body, lines.end), lines.end
        self.body = body
        self.equals = np.where(heads.ok, heads.behind - heads.first, 0)
        self.parts = marks.part.before(end) - marks.part.before(body)
        self.quotes = marks.quote.before(end) - marks.quote.before(body)
        self.may = heads.ok & (self.equals > 0) & (self.equals <= _MOST)
        self.may &= (self.parts <= _MOST) & (self.quotes <= _MOST_QUOTES)

    def groups(self) -> Iterator[Ints]:
        """Rows that are alike, at least so many that they are worth it; each in order."""
        rows = np.flatnonzero(self.may)
        key = ((self.heads.codes << 7 | self.equals) << 7 | self.parts) << 3 | self.quotes
        mixed = (key[rows].view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(48)
        small = mixed.astype(np.uint16)
        order = np.argsort(small, kind="stable")  # by radix
        edges = np.flatnonzero(np.diff(small[order])) + 1
        for low, high in zip([0, *edges.tolist()], [*edges.tolist(), len(rows)]):
            if high - low >= FEW:
                yield rows[order[low:high]]

    def layout(self, row: int) -> Layout | None:
        return layout_of(self.lines.data[self.body[row] : self.lines.end[row]].tobytes())

    def shape(self, layout: Layout, rows: Ints, code: int) -> tuple[Shape | None, Ints]:
        """Those of the rows that have a layout, as a shape, and the others."""
        ok = (self.equals[rows] == layout.equals) & (self.parts[rows] == layout.parts)
        ok &= (self.quotes[rows] == layout.quotes) & (self.heads.codes[rows] == code)
        some = rows if ok.all() else rows[ok]
        if len(some) < FEW:
            return None, rows
        data, first = self.lines.data, self.heads.first[some]
        equal = [self.marks.equals[first + own] for own in layout.own]
        wide = words(data, 8)
        good = _stands(wide, equal[0], layout.before[0])
        good &= equal[0] - len(layout.before[0]) + 2 == self.body[some]
        for places, text in zip(equal[1:], layout.before[1:]):
            good &= _stands(wide, places, text)
        start = [places + 1 for places in equal]
        end = [places - (len(text) - 1) for places, text in zip(equal[1:], layout.before[1:])]
        end.append(self.lines.end[some] - layout.tail)
        good &= self._certain(data, layout, start, end)
        for k in np.flatnonzero(layout.closes).tolist():
            end[k] = end[k] - 1
        found = Shape(self.heads.types[code], layout, some, tuple(start), tuple(end))
        if good.all():
            return found, rows[~ok]
        ok[np.flatnonzero(ok)[~good]] = False
        return (found.pick(good) if good.any() else None), rows[~ok]

    def _certain(self, data: Bytes, layout: Layout, start: list[Ints], end: list[Ints]) -> Flags:
        """What the keys before equals signs do not tell."""
        good = end[-1] >= start[-1]
        for k in range(layout.tail):
            good &= (data[end[-1] + k] == 32) | (data[end[-1] + k] == 29)
        for k, key in enumerate(layout.keys):
            name = KNOWN[key].encode()
            if name == _MESSAGE:
                good &= end[k] == start[k]
            elif name in _YOUNG:
                good &= words(data, 4)[start[k] - len(name) - 5] != _OLD
            if layout.closes[k]:
                good &= (end[k] > start[k]) & (data[end[k] - 1] == 39)
        return good


def shapes_of(lines: Lines, heads: Heads, marks: Marks) -> Iterator[Shape]:
    """Shapes of at least :data:`FEW` rows each; rows that are in none are left out."""
    alike = _Alike(lines, heads, marks)
    for rows in alike.groups():
        left = rows
        for _ in range(_ROUNDS):
            if len(left) < FEW:
                break
            model = int(left[0])
            layout = alike.layout(model)
            if layout is None:
                left = left[1:]
                continue
            found, left = alike.shape(layout, left, int(heads.codes[model]))
            if found is not None:
                yield found
            left = left[left != model]
