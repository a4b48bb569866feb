# SPDX-License-Identifier: Apache-2.0
"""Audit lines that have the same words in the same order, found for a whole block at once.

1. The first of some lines that are alike (type, numbers of equals signs, of gaps and of quotes) says which keys they have: its layout.
2. Each of the others has that layout where, for every word, the key stands before its equals sign and behind the gap, and nothing
   else in the line is a gap or a quote. So where a value begins and ends follows from the places of equals signs alone.
3. Words that are the same in some of the lines are mostly the same in all: a run of these is compared as one text, and lines that
   differ there are left for another round.
4. A line whose words the layout cannot tell for certain belongs to no shape; :mod:`headwater.examine.audit_lines` reads it.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.examine.audit_fields import KNOWN
from headwater.examine.audit_marks import Heads, Marks, words_at
from headwater.examine.audit_tokens import words_of
from headwater.examine.line_blocks import Lines
from headwater.examine.line_views import PADDING, Flags, Ints, words
from headwater.examine.line_words import Words

FEW = 32  # lines that are worth a layout of their own
FOR_WORD = 8  # and so many more for each of its words, which costs as much as to read these one by one
_ROUNDS = 8  # layouts tried among lines that are alike
_SAMPLES = 8  # rows in which words are compared before all are
_RUN = 32  # bytes of a run of words that is worth it
_STRAYS = 4  # one row in so many may differ in a run
_WIDEST_GAP = 4  # so many are taken off a value that goes on until the next word
_LONGEST = 1 << 16  # bytes of a line that is taken as a model
_MOST = 127  # of equals signs and gaps
_MOST_QUOTES = 7
_GAP = re.compile(rb"([ \x1d]+|(?<=msg=)')")
_NUMBER = {key.encode(): number for number, key in enumerate(KNOWN)}
_MESSAGE = b"msg"
_YOUNG = (b"auid", b"ses")  # which the word "old" in front makes others
_AGED = {name: b"old-" + name for name in _YOUNG}
_OPERATION = b"op"
_WIDEST_LONE = 64
_QUOTE = 34
_OLD = np.uint32(int.from_bytes(b"old ", "little"))


@dataclass(frozen=True, slots=True)
class Layout:
    """The words of a line: the number of each key in KNOWN, which of the equals signs is its own, what stands before that from the last
    value on, and whether the quote of the message closes behind its value. ``tail``: what stands behind the last value; ``other``: what
    in all that belongs to no word; ``lone``: whether such follows each word."""

    keys: tuple[int, ...]
    own: tuple[int, ...]
    before: tuple[bytes, ...]
    closes: tuple[bool, ...]
    tail: bytes
    lone: tuple[bool, ...]
    other: str | None
    equals: int
    parts: int
    quotes: int


@dataclass(frozen=True, slots=True)
class Shape:
    """Rows of one type and layout, and for each word the places of its values (one where all are the same) and their first eight
    bytes; ``pick`` leaves some rows out."""

    type: str
    layout: Layout
    rows: Ints
    start: tuple[Ints, ...]
    end: tuple[Ints, ...]
    wide: tuple[Words, ...]

    def pick(self, good: Flags) -> Shape:
        def some(places: tuple[NDArray[Any], ...]) -> tuple[NDArray[Any], ...]:
            return tuple(p if len(p) == 1 else p[good] for p in places)

        return Shape(self.type, self.layout, self.rows[good], some(self.start), some(self.end), some(self.wide))


def _counts(text: bytes) -> tuple[int, int, int]:
    return text.count(b"="), text.count(b" ") + text.count(b"\x1d"), text.count(b"'")


def _lone(gap: bytes) -> bool:
    """Whether something that is no gap stands in one."""
    return bool(gap.strip(b" \x1d'"))


def _other(words: tuple[tuple[bytes, bytes, int, bool], ...], tail: bytes) -> str | None:
    """What belongs to no word, as :mod:`headwater.examine.audit_tokens` tells it; it does not depend on the values."""
    pieces = [gap + key + b"=" + b"1" * (key != _MESSAGE) + b"'" * closes for gap, key, _, closes in words]
    body = b"".join(pieces)[1:] + tail
    data = np.frombuffer(bytes(PADDING) + body + b"\n" + bytes(PADDING), dtype=np.uint8)
    start = np.array([PADDING])
    found = words_of(Lines(data, start, start + len(body)), start)
    texts = [data[low:high].tobytes() for low, high in zip(found.left_start.tolist(), found.left_end.tolist())]
    return " ".join(text.decode("utf-8", "backslashreplace") for text in texts) if texts else None


@functools.lru_cache(maxsize=1024)
def _layout(words: tuple[tuple[bytes, bytes, int, bool], ...], tail: bytes, parts: int, quotes: int) -> Layout | None:
    """The layout of words: for each what stands before it, its key, how many equals signs it has, and whether its value ends in a quote."""
    keys = [_NUMBER.get(_AGED.get(key, key) if gap.endswith(b"old ") else key, -1) for gap, key, _, _ in words]
    equals = [n for _, _, n, _ in words]
    messages = [k for k, word in enumerate(words) if word[1] == _MESSAGE]
    closes = [end for _, _, _, end in words]
    if len(set(keys)) < len(keys) or -1 in keys or len(messages) > 1:
        return None
    if quotes != (len(messages) + sum(closes) if messages else 0):
        return None
    for k in messages:  # only the quote that opens a message says nothing
        if k + 1 == len(words) or not words[k + 1][0].startswith(b"'") or closes[k] or equals[k] != 1:
            return None
    behind = [*(gap for gap, _, _, _ in words[1:]), tail]
    lone = [_lone(gap) for gap in behind]
    for gap, alone in zip([words[0][0] if words else b"", *behind], [bool(words) and _lone(words[0][0]), *lone]):
        if len(gap) > (_WIDEST_LONE if alone else _WIDEST_GAP):
            return None
    if any(alone and key == _OPERATION for alone, (_, key, _, _) in zip(lone, words)):
        return None  # whose value goes on until the next word
    own = np.cumsum([0, *equals[:-1]]).tolist() if words else []
    before = [gap + key + b"=" for gap, key, _, _ in words]
    other = _other(words, tail) if any(lone) or (words and _lone(words[0][0])) else None
    return Layout(
        tuple(keys), tuple(own), tuple(before), tuple(closes), tail, tuple(lone), other, sum(equals), parts, quotes
    )  # fmt: skip


def layout_of(body: bytes) -> Layout | None:
    """The layout of the words of one line, from behind its head on; None where it is not certain."""
    equals, parts, quotes = _counts(body)
    if len(body) > _LONGEST or equals > _MOST or parts > _MOST or quotes > _MOST_QUOTES:
        return None
    words: list[tuple[bytes, bytes, int, bool]] = []
    gap = b" "  # behind the head's colon
    for number, piece in enumerate(_GAP.split(body)):
        key, equal, value = piece.partition(b"=")
        if number % 2 or not equal:
            gap += piece
            continue
        if key == _MESSAGE and value:
            return None
        words.append((gap, key, piece.count(b"="), value.endswith(b"'")))
        gap = b""
    return _layout(tuple(words), gap if words else gap[1:], parts, quotes)


def _number(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))


def _stands(wide: Words, equal: Ints, text: bytes) -> Flags:
    """Whether a text ends with these equals signs."""
    ok: Flags | None = None
    for last in range(len(text), 0, -8):
        piece = text[max(0, last - 8) : last]
        here = wide[equal + (last - len(text) - 7)]
        same = here >> np.uint64(8 * (8 - len(piece))) == _number(piece)
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
        self.may = heads.ok & (self.equals <= _MOST)
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
        """Those of the rows that have a layout, as a shape, and the others; the first row is the layout's model."""
        ok = (self.equals[rows] == layout.equals) & (self.parts[rows] == layout.parts)
        ok &= (self.quotes[rows] == layout.quotes) & (self.heads.codes[rows] == code)
        some = rows if ok.all() else rows[ok]
        if len(some) < max(FEW, FOR_WORD * len(layout.keys)):
            return None, rows
        fit = _Fit(self, layout, some)
        found = fit.shape(self.heads.types[code])
        if fit.good.all():
            return found, rows[~ok]
        ok[np.flatnonzero(ok)[~fit.good]] = False
        return (found.pick(fit.good) if fit.good.any() else None), rows[~ok]


class _Fit:
    """A layout held against rows that may have it; ``good`` are those that have it for certain."""

    def __init__(self, alike: _Alike, layout: Layout, some: Ints) -> None:
        self._alike, self._layout, self._some = alike, layout, some
        self._data, self._first = alike.lines.data, alike.heads.first[some]
        self._stop = alike.lines.end[some] - len(layout.tail)
        self._equals: dict[int, Ints] = {}
        self._same: set[int] = set()  # words that are as in the model
        self.good = np.ones(len(some), dtype=np.bool_)

    def _equal(self, k: int) -> Ints:
        """The equals sign of a word."""
        if k not in self._equals:
            self._equals[k] = self._alike.marks.equals[self._first + self._layout.own[k]]
        return self._equals[k]

    def _begin(self, k: int) -> Ints:
        """Where the gap before a word begins; behind the last, where the line ends."""
        if k == len(self._layout.keys):
            return self._stop
        return self._equal(k) - (len(self._layout.before[k]) - 1)

    def _texts(self, rows: Ints) -> list[list[bytes]]:
        """The words of a few rows with the gaps before them."""
        own, lead = np.array(self._layout.own), np.array([len(text) - 1 for text in self._layout.before])
        equal = self._alike.marks.equals[self._first[rows][:, None] + own]
        begin = np.concatenate([equal - lead, self._stop[rows][:, None]], axis=1).tolist()
        return [[self._data[low:high].tobytes() for low, high in itertools.pairwise(places)] for places in begin]

    def _runs(self) -> Iterator[tuple[int, int, bytes]]:
        """Words that are the same in a few rows, and their text: numbers of the first, and of the one behind the last."""
        rows = np.linspace(0, len(self._some) - 1, _SAMPLES).astype(np.int64)
        texts = self._texts(rows)
        same = [len(set(word)) == 1 for word in zip(*texts, strict=True)]
        for alike, group in itertools.groupby(range(len(same)), key=same.__getitem__):
            if alike:
                numbers = list(group)
                text = b"".join(texts[0][k] for k in numbers)
                # what a word means that follows "old" is asked of each word by itself
                if len(text) >= _RUN and not any(b"old " + name in text for name in _YOUNG):
                    yield numbers[0], numbers[-1] + 1, text

    def _has(self, low: int, high: int, text: bytes) -> Flags:
        """Which rows have a text as their words from ``low`` to ``high``."""
        begin = self._begin(low)
        good: Flags = self._begin(high) - begin == len(text)
        most = len(self._data) - _RUN
        wide = np.ndarray((most,), dtype=f"V{_RUN}", buffer=self._data, strides=(1,))
        for at in (*range(0, len(text) - _RUN, _RUN), len(text) - _RUN):
            want = np.frombuffer(text[at : at + _RUN], dtype=np.uint64)
            # a row that is shorter may lead behind the block; its length has told that it differs
            here = wide[np.minimum(begin + at, most - 1)].view(np.uint64).reshape(-1, _RUN // 8)
            differs = here[:, 0] ^ want[0]
            for k in range(1, _RUN // 8):
                differs |= here[:, k] ^ want[k]
            good &= differs == 0
        return good

    def shape(self, kind: str) -> Shape:
        """The values of all words, in the rows that are good."""
        for low, high, text in self._runs() if len(self._some) >= _SAMPLES and self._layout.keys else ():
            has = self._has(low, high, text)
            if len(has) - np.count_nonzero(has) <= len(has) // _STRAYS:
                self.good &= has
                self._same.update(range(low, high))
                self._old(low)
        body = self._alike.body[self._some]
        self.good &= (self._begin(0) + 1 if self._layout.keys else self._stop) == body
        if self._layout.tail:
            self.good &= _stands(words(self._data, 8), self._alike.lines.end[self._some] - 1, self._layout.tail)
        found = [self._word(k) for k in range(len(self._layout.keys))]
        if not found:
            return Shape(kind, self._layout, self._some, (), (), ())
        start, end, wide = zip(*found, strict=True)
        return Shape(kind, self._layout, self._some, start, end, wide)

    def _word(self, k: int) -> tuple[Ints, Ints, Words]:
        """Where the values of a word begin and end, and what they begin with."""
        before, closes = self._layout.before[k], self._layout.closes[k]
        if k in self._same:  # one word for all, that of the model
            start = self._alike.marks.equals[self._first[:1] + self._layout.own[k]] + 1
            if k + 1 == len(self._layout.keys):
                end = self._stop[:1]
            else:
                after = self._alike.marks.equals[self._first[:1] + self._layout.own[k + 1]]
                end = after - (len(self._layout.before[k + 1]) - 1)
            self.good &= self._closed(k, start, end - closes)
            return start, end - closes, words(self._data, 8)[start]
        equal, end = self._equal(k), self._begin(k + 1)
        here = words_at(self._data, equal - 7)
        self.good &= here[:, 0] >> np.uint64(max(0, 64 - 8 * len(before))) == _number(before[-8:])
        if len(before) > 8:
            self.good &= _stands(words(self._data, 8), equal - 8, before[:-8])
        self._old(k)
        self.good &= end > equal
        if KNOWN[self._layout.keys[k]].encode() == _MESSAGE:
            self.good &= end == equal + 1
        if closes:
            self.good &= (end > equal + 1) & (self._data[end - 1] == 39)
            end = end - 1
        self.good &= self._closed(k, equal + 1, end)
        return equal + 1, end, here[:, 1]

    def _closed(self, k: int, start: Ints, end: Ints) -> Flags | bool:
        """Whether no quote is open where something follows that is no word, which would then be of the value."""
        if not self._layout.lone[k]:
            return True
        last = self._data[end - 1] == _QUOTE
        found: Flags = (self._data[start] != _QUOTE) | (last & (end - start >= 2))
        return found

    def _old(self, k: int) -> None:
        """Rows with "old" before certain words are not good, but where the layout has it."""
        name = KNOWN[self._layout.keys[k]].encode()
        if name in _YOUNG:
            self.good &= words(self._data, 4)[self._equal(k) - len(name) - 4] != _OLD


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
