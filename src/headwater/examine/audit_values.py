# SPDX-License-Identifier: Apache-2.0
"""The values of one key in all lines of a shape, by NumPy alone: string views, decoded text, whole numbers.

What a value means is said in :mod:`headwater.examine.audit_lines`; a value that this cannot tell for certain makes its line odd, and
that is read there. Values that are the same in all lines are one value (arrays of one row).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headwater.examine.line_views import MASK8, PADDING, Bytes, Flags, Ints, words
from headwater.examine.line_words import Words, decimal

Views = NDArray[np.complex128]  # string views of 16 bytes, as what NumPy moves fastest of that size
_INLINE = 12
_SAME_MOST = 64  # bytes of a text that is looked at whole
_PIECE = 1 << 18  # bytes that are gathered at once
_QUOTE, _SPACE = 34, 32
_32 = np.uint64(32)
_8 = np.uint64(8)
_56, _BYTE = np.uint64(56), np.uint64(255)
POOL = 1  # the buffer that decoded and joined texts stand in
_NIBBLES = np.full(256, 255, dtype=np.uint8)
_NIBBLES[np.frombuffer(b"0123456789ABCDEF", dtype=np.uint8)] = np.arange(16)


class Pool:
    """Texts that do not stand in the block, behind each other."""

    def __init__(self) -> None:
        self._parts: list[Bytes] = []
        self.size = 0

    def add(self, text: Bytes) -> int:
        """Takes texts in; the place of the first."""
        at = self.size
        self._parts.append(text)
        self.size += len(text)
        return at

    def whole(self) -> Bytes:
        """All of them, with padding."""
        return np.concatenate([*self._parts, np.zeros(PADDING, dtype=np.uint8)])


@dataclass(frozen=True, slots=True)
class Text:
    """Views of the values (one where all are the same), and which rows have one; ``start`` and ``end`` are places in the block, or in
    what ``decoded`` holds for the rows that are ``coded``."""

    views: Views
    there: Flags | None = None
    start: Ints | None = None
    end: Ints | None = None
    coded: Flags | None = None
    decoded: Bytes | None = None


@dataclass(frozen=True, slots=True)
class Number:
    """Whole numbers; one where all are the same."""

    values: Ints


def paired(first: Words, second: Words) -> Views:
    """Views from their halves."""
    made = np.empty((len(first), 2), dtype=np.uint64)
    made[:, 0], made[:, 1] = first, second
    return made.view(np.complex128).ravel()


def halves(views: Views) -> Words:
    """The two words of each view."""
    return views.view(np.uint64).reshape(-1, 2)


def views_from(data: Bytes, start: Ints, end: Ints, buffer: int, base: int = 0, wide: Words | None = None) -> Views:
    """Views of ``data[start:end]``, where data begins at ``base`` of a buffer; ``wide``: the words that the texts begin with."""
    size = (end - start).view(np.uint64)
    first = words(data, 8)[start] if wide is None else wide
    place = (start + base).view(np.uint64) << _32 | np.uint64(buffer)
    longest = int(size.max(initial=0))
    if longest > _INLINE and int(size.min()) > _INLINE:
        return paired(size | first << _32, place)
    inside = first & MASK8[np.minimum(size, _8)] if longest > 8 else first & MASK8[size]
    low, high = size | inside << _32, inside >> _32
    if longest > 8:
        middle = np.flatnonzero((size > _8) & (size <= np.uint64(_INLINE)))
        rest = words(data, 4)[start[middle] + 8].astype(np.uint64) & MASK8[size[middle] - _8]
        high[middle] |= rest << _32
        high = np.where(size > np.uint64(_INLINE), place, high)
    return paired(low, high)


@functools.cache
def view_of(text: bytes) -> NDArray[np.uint64]:
    """The two words of the view of a text of at most 12 bytes."""
    assert len(text) <= _INLINE
    return np.frombuffer(len(text).to_bytes(4, "little") + text.ljust(_INLINE, b"\0"), dtype=np.uint64)


def equals(text: Text, *others: bytes) -> Flags:
    """Which values are one of some short texts."""
    pair = halves(text.views)
    found = np.zeros(len(pair), dtype=np.bool_)
    for other in others:
        want = view_of(other)
        found |= (pair[:, 0] == want[0]) & (pair[:, 1] == want[1])
    return found if text.there is None else found & text.there


def ragged(start: Ints, size: Ints) -> Ints:
    """The places of all bytes of some stretches, behind each other."""
    ends = np.cumsum(size)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(start - (ends - size), size) + np.arange(total)


def pieces(size: Ints) -> list[tuple[int, int]]:
    """Stretches cut into runs of few bytes, so that the memory for their places is bounded; a long one is a run by itself."""
    total = np.cumsum(size)
    edges = np.flatnonzero(np.diff(total // _PIECE)) + 1
    bounds = [0, *edges.tolist(), len(size)]
    return [(low, high) for low, high in itertools.pairwise(bounds) if high > low]


def copied(to: Bytes, at: Ints, data: Bytes, start: Ints, size: Ints) -> None:
    """Copies stretches of ``data`` to where ``at`` says."""
    for low, high in pieces(size):
        if high - low == 1:
            n = int(size[low])
            to[at[low] : at[low] + n] = data[start[low] : start[low] + n]
        else:
            to[ragged(at[low:high], size[low:high])] = data[ragged(start[low:high], size[low:high])]


def _same(data: Bytes, start: Ints, size: Ints, wide: Words) -> bool:
    """Whether the texts of all rows are the same."""
    first = int(size[0])
    mask = MASK8[min(first, 8)]
    if first != size[-1] or first > _SAME_MOST or (wide[0] ^ wide[-1]) & mask or (size != first).any():
        return False
    if ((wide ^ wide[0]) & mask).any():
        return False
    for at in range(8, first, 8):
        more = words(data, 8)[start + min(at, first - 8)]
        if (more != more[0]).any():
            return False
    return True


def numbers_of(data: Bytes, start: Ints, end: Ints, wide: Words) -> tuple[Number, Flags | None]:
    """Values of up to 15 decimal digits, and which rows have none of these (None: all have); ``wide``: their first eight bytes."""
    size = end - start
    if len(size) > 1 and _same(data, start, size, wide):
        start, size, wide = start[:1], size[:1], wide[:1]
    count, value = decimal(wide)
    good = count == np.minimum(size, 8)
    long = np.flatnonzero(size > 8)
    if len(long):
        more, low = decimal(words(data, 8)[start[long] + 8])
        rest = size[long] - 8
        # more digits than the value has are those of nothing: a value ends where no digit stands
        good[long] &= (more == rest) & (rest < 8)
        value[long] = value[long] * 10 ** np.minimum(more, 8) + low
    good &= size > 0
    return Number(value), None if good.all() else np.broadcast_to(~good, (len(end),))


def _hex(data: Bytes, start: Ints, size: Ints) -> tuple[Flags, Bytes]:
    """Which stretches of even size are hexadecimal in capitals, and the bytes of those behind each other."""
    good = np.ones(len(size), dtype=np.bool_)
    found: list[Bytes] = []
    for low, high in pieces(size):
        nibbles = _NIBBLES[data[ragged(start[low:high], size[low:high])]]
        bad = nibbles > 15
        if bad.any():
            edges = np.cumsum(size[low:high]) - size[low:high]
            good[low:high] = ~np.logical_or.reduceat(bad, edges)
            nibbles = nibbles[np.repeat(good[low:high], size[low:high])]
        found.append(nibbles[0::2] << np.uint8(4) | nibbles[1::2])
    return good, np.concatenate(found)


def _is_text(raw: Bytes) -> bool:
    try:
        raw.tobytes().decode()
    except UnicodeDecodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Decoded:
    """The rows that were hexadecimal, where their texts stand in ``data``, and the rows that decode to no text."""

    rows: Ints
    data: Bytes
    start: Ints
    end: Ints
    odd: Ints


def _decoded(block: Bytes, start: Ints, end: Ints, rows: Ints) -> _Decoded | None:
    """Values in hexadecimal as the texts they stand for; zero bytes between arguments become spaces."""
    size = end[rows] - start[rows]
    may = (size > 0) & (size & 1 == 0)
    may &= (_NIBBLES[block[start[rows]]] < 16) & (_NIBBLES[block[end[rows] - 1]] < 16)
    rows, size = rows[may], size[may]
    if not len(rows):
        return None
    good, raw = _hex(block, start[rows], size)
    rows, size = rows[good], size[good] >> 1
    if not len(rows):
        return None
    high = np.cumsum(size)
    low = high - size
    odd = np.zeros(0, dtype=np.int64)
    if int(raw.max(initial=0)) > 127:
        beyond = np.flatnonzero(np.maximum.reduceat(raw, low) > 127)
        spans = zip(beyond.tolist(), low[beyond].tolist(), high[beyond].tolist())
        odd = np.array([k for k, first, last in spans if not _is_text(raw[first:last])], dtype=np.int64)
        odd = rows[odd]
    zero = raw == 0
    if zero.any():
        raw = raw + (zero.view(np.uint8) << np.uint8(5))  # zero bytes become spaces
        if zero[high - 1].any():  # but those at the end are none
            last = np.where(zero, -1, np.arange(len(raw)))
            high = np.maximum(np.maximum.reduceat(last, low) + 1, low)
    return _Decoded(rows, np.concatenate([raw, np.zeros(PADDING, dtype=np.uint8)]), low, high, odd)


def text_of(
    block: Bytes, start: Ints, end: Ints, wide: Words, encoded: bool, sign: str | None, pool: Pool
) -> tuple[Text, Flags | None]:
    """The values ``block[start:end]``, which begin with ``wide``, and which rows have none that is certain (None: all are); ``encoded``:
    without quotes they may be hexadecimal; ``sign``: what without quotes stands for nothing."""
    rows = len(start)
    quoted = wide & _BYTE == np.uint64(_QUOTE)
    if quoted.any():
        quoted &= (end - start >= 2) & (block[end - 1] == _QUOTE)
        within = wide >> _8 | block[start + 8].astype(np.uint64) << _56
        wide = within if quoted.all() else np.where(quoted, within, wide)
        start, end = start + quoted, end - quoted
    bare = ~quoted
    if rows > 1 and _same(block, start, end - start, wide) and (bare.all() or quoted.all()):
        start, end, wide, bare = start[:1], end[:1], wide[:1], bare[:1]
    views = views_from(block, start, end, 0, 0, wide)
    odd = coded = data = None
    if encoded and bare.any():
        found = _decoded(block, start, end, np.flatnonzero(bare))
        if found is not None:
            base = pool.add(found.data)
            views[found.rows] = views_from(found.data, found.start, found.end, POOL, base)
            coded, data = np.zeros(len(start), dtype=np.bool_), found.data
            coded[found.rows] = True
            start, end = start.copy(), end.copy()
            start[found.rows], end[found.rows] = found.start, found.end
            if len(found.odd):
                odd = np.zeros(len(start), dtype=np.bool_)
                odd[found.odd] = True
                odd = np.broadcast_to(odd, (rows,)) if len(odd) < rows else odd
    there = None
    if sign is not None and bare.any():
        nothing = equals(Text(views), sign.encode()) & bare
        if nothing.any():
            there = ~nothing
    return Text(views, there, start, end, coded, data), odd


def joined(texts: Sequence[Text], rows: int, block: Bytes, pool: Pool) -> Text:
    """The values of all texts behind each other, with spaces between them."""
    sizes = [np.broadcast_to(t.end - t.start, (rows,)) for t in texts if t.end is not None and t.start is not None]
    whole = sum(sizes) + len(sizes) - 1
    end = np.cumsum(whole)
    start = end - whole
    data = np.full(int(end[-1]) + PADDING, _SPACE, dtype=np.uint8)
    at = start
    for text, size in zip(texts, sizes):
        assert text.start is not None
        first = np.broadcast_to(text.start, (rows,))
        if text.coded is None or text.decoded is None:
            copied(data, at, block, first, size)
        else:
            coded = np.broadcast_to(text.coded, (rows,))
            for source, some in ((block, np.flatnonzero(~coded)), (text.decoded, np.flatnonzero(coded))):
                copied(data, at[some], source, first[some], size[some])
        at = at + size + 1
    base = pool.add(data)
    return Text(views_from(data, start, end, POOL, base))
