# SPDX-License-Identifier: Apache-2.0
"""Where the equals signs of a block of audit lines stand, and the heads of its lines, by NumPy alone.

A head is taken where it is written as the kernel and auditd write it: ten digits of seconds, three of milliseconds, a type of
at most 24 characters, a space behind the colon. Every other line is left to :mod:`headwater.examine.audit_lines`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from headwater.examine.line_blocks import Lines
from headwater.examine.line_views import MASK8, PADDING, Bytes, Flags, Ints
from headwater.examine.line_words import Words, decimal, masked, runs, word

_TYPE = re.compile(rb"[A-Za-z_][A-Za-z0-9_\[\]]{0,63}\Z")
_LONGEST = 24  # bytes of a name that is numbered
_MOST_NAMES = 4096
_ROUNDS = 4
_SLOT_BITS = 16
_MIX = tuple(np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93, 0xFF51AFD7ED558CCD))
_SHORTEST = 36  # a head with a type of one letter and a serial of one digit
_LAST_SECOND = 9_000_000_000
_PIECE = 1 << 17  # bytes
_LINES = 1 << 13  # whose heads are looked at together
_ONE = np.uint64(1)


def _text(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))


_NODE, _KIND, _AUDIT, _OPENS, _CLOSES = (_text(t) for t in (b"node=", b"type=", b" msg=aud", b"it(", b"): "))
# two digits of seconds, a point, three digits, a colon: which bytes are digits, and what the others are
_DIGITS, _SIGNS, _SIGNED = (
    _text(t) for t in (b"\xff\xff\0\xff\xff\xff\0\0", b"\0\0\xff\0\0\0\xff\0", b"\0\0.\0\0\0:\0")
)
_ZEROS, _OVER, _HIGH = (np.uint64(n) for n in (0x3030303030303030, 0x7676767676767676, 0x8080808080808080))


def words_at(data: Bytes, at: Ints) -> Words:
    """Sixteen bytes from each place on, as two words; one copy costs NumPy no more than that of eight bytes."""
    wide = np.ndarray((len(data) - 16,), dtype=np.complex128, buffer=data, strides=(1,))
    return wide[at].view(np.uint64).reshape(-1, 2)


class Ranks:
    """How many bytes of a kind stand before a place of a block; ``bits``: a bit for each byte."""

    def __init__(self, bits: Bytes) -> None:
        self._bits = np.zeros(len(bits) // 8 + 2, dtype="<u8")
        self._bits.view(np.uint8)[: len(bits)] = bits
        self._sums = np.zeros(len(self._bits) + 1, dtype=np.int64)
        np.cumsum(np.bitwise_count(self._bits), out=self._sums[1:])

    def before(self, place: Ints) -> Ints:
        at = place >> 6
        below = (_ONE << (place & 63).view(np.uint64)) - _ONE
        found: Ints = self._sums[at] + np.bitwise_count(self._bits[at] & below)
        return found


class Marks:
    """The equals signs of a block in order, with a few places behind the last, and ranks of all that cuts words."""

    def __init__(self, data: Bytes) -> None:
        places: list[Ints] = []
        bits: list[list[Bytes]] = [[], [], []]
        for at in range(0, len(data), _PIECE):  # small enough for what is in between to stay in the cache
            piece = data[at : at + _PIECE]
            flags = piece == 61, (piece == 32) | (piece == 29), piece == 39
            places.append(np.flatnonzero(flags[0]) + at)
            for which, some in zip(bits, flags, strict=True):
                which.append(np.packbits(some, bitorder="little"))
        self.equals = np.concatenate([*places, np.full(4, len(data) - PADDING)])
        self.equal, self.part, self.quote = (Ranks(np.concatenate(which)) for which in bits)


@dataclass(frozen=True, slots=True)
class Heads:
    """Of every line, where ``ok``: number and place of its type, the place of its host (an empty one where it has none), time, serial,
    and where its words begin; ``first`` is the number of the first equals sign behind that, ``behind`` that of the next line's."""

    ok: Flags
    codes: Ints
    types: list[str]
    kind: tuple[Ints, Ints]
    host: tuple[Ints, Ints]
    ns: Ints
    serial: Ints
    body: Ints
    first: Ints
    behind: Ints


def numbered(data: Bytes, start: Ints, end: Ints, ok: Flags) -> tuple[Ints, Ints]:
    """For each row the number of its text of at most 24 bytes, and for each number a row that has it; -1 where not ``ok`` and for
    the few whose slot other texts took."""
    size = np.where(ok, end - start, 0)
    pair = words_at(data, start)
    parts = [pair[:, 0] & MASK8[np.minimum(size, 8)], pair[:, 1] & MASK8[np.minimum(np.maximum(size - 8, 0), 8)]]
    if int(size.max(initial=0)) > 16:
        parts.append(word(data, start + 16) & MASK8[np.minimum(np.maximum(size - 16, 0), 8)])
    mixed = parts[0] * _MIX[0]
    for part, mix in zip(parts[1:], _MIX[1:]):
        mixed ^= part * mix
    mixed ^= mixed >> np.uint64(29)
    codes = np.full(len(size), -1, dtype=np.int64)
    left = np.flatnonzero(ok)
    rows: list[Ints] = []
    count = 0
    for _ in range(_ROUNDS):
        if not len(left) or count > _MOST_NAMES:
            break
        mixed *= _MIX[3]
        slot = (mixed[left] >> np.uint64(64 - _SLOT_BITS)).astype(np.int64)
        holder = np.full(1 << _SLOT_BITS, -1, dtype=np.int64)
        holder[slot[::-1]] = left[::-1]
        taken = np.flatnonzero(holder >= 0)
        number = np.zeros(1 << _SLOT_BITS, dtype=np.int64)
        number[taken] = np.arange(len(taken))
        who = holder[slot]
        same = np.ones(len(left), dtype=np.bool_)
        for part in (*parts, size):
            same &= part[left] == part[who]
        codes[left[same]] = number[slot[same]] + count
        rows.append(holder[taken])
        count += len(taken)
        left = left[~same]
    return codes, np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)


def _clock(data: Bytes, at: Ints) -> tuple[Flags, Ints]:
    """Whether ``SSSSSSSSSS.mmm:`` stands there, and its nanoseconds; lines of one happening follow each other."""
    first, second = word(data, at), masked(word(data, at + 8), 7)
    row, run = runs(first, second)
    rest = second[row]
    count, seconds = decimal(first[row])
    spread = (rest & _DIGITS) ^ (_ZEROS & _DIGITS)
    bad = ((spread + (_OVER & _DIGITS)) | spread) & (_HIGH & _DIGITS)
    ok = (count == 8) & (bad == 0) & (rest & _SIGNS == _SIGNED)
    digit = [((spread >> np.uint64(8 * k)) & np.uint64(255)).view(np.int64) for k in (0, 1, 3, 4, 5)]
    seconds = seconds * 100 + digit[0] * 10 + digit[1]
    ok &= seconds <= _LAST_SECOND
    ns = seconds * 1_000_000_000 + (digit[2] * 100 + digit[3] * 10 + digit[4]) * 1_000_000
    return ok[run], ns[run]


def _serial(data: Bytes, at: Ints) -> tuple[Flags, Ints, Ints]:
    """Whether at most 15 digits and ``): `` stand there, their value, and the place behind."""
    count, value = decimal(word(data, at))
    long = np.flatnonzero(count == 8)
    if len(long):
        more, low = decimal(word(data, at[long] + 8))
        value[long] = value[long] * 10**more + low
        count[long] += more
    end = at + count
    ok = (count > 0) & (count < 16) & (masked(word(data, end), 3) == _CLOSES)
    return ok, value, end + 3


def _heads(lines: Lines, marks: Marks) -> tuple[Any, ...]:
    """Of some lines: whether they have a head, the places of type and host, time, serial, where words begin, first equals signs."""
    data, start, end = lines.data, lines.start, lines.end
    first, behind = marks.equal.before(start), marks.equal.before(end)
    ok = (behind - first >= 2) & (end - start >= _SHORTEST)
    node = masked(word(data, start), 5) == _NODE
    kind = np.where(ok, first + node, 0)
    equal = np.where(ok, marks.equals[kind], start + 4)
    message = np.where(ok, marks.equals[kind + 1], start + 8)
    ok &= (equal >= start + 4) & (masked(word(data, np.maximum(equal - 4, 0)), 5) == _KIND) & (message < end)
    message = np.where(ok, message, start + 8)
    ok &= (word(data, message - 4) == _AUDIT) & (masked(word(data, message + 4), 3) == _OPENS)
    low, high = equal + 1, message - 4
    ok &= (high > low) & (high - low <= _LONGEST) & (node | (equal == start + 4))
    host = np.where(node, start + 5, start), np.where(node, equal - 5, start)
    if node.any():
        size = host[1] - host[0]
        plain = (size >= 1) & (size <= _LONGEST) & (data[np.maximum(host[1], 0)] == 32)
        plain &= marks.part.before(np.maximum(host[1], 0)) == marks.part.before(start)
        ok &= plain | ~node
    # beyond a line that is none the padding of the block is read
    message = np.where(ok, message, 4)
    good, ns = _clock(data, message + 7)
    ok &= good
    good, serial, body = _serial(data, message + 22)
    ok &= good & (body <= end)
    return ok, low, high, *host, ns, serial, body, first + node + 2, behind


def heads_of(lines: Lines, marks: Marks) -> Heads:
    """The heads of all lines."""
    data = lines.data
    some = [_heads(lines.take(rows), marks) for rows in np.array_split(np.arange(len(lines)), 1 + len(lines) // _LINES)]
    ok, low, high, since, until, ns, serial, body, first, behind = map(np.concatenate, zip(*some, strict=True))
    codes, rows = numbered(data, low, high, ok)
    texts = [data[low[row] : high[row]].tobytes() for row in rows.tolist()]
    fits = np.array([*(_TYPE.match(text) is not None for text in texts), False])
    ok &= fits[codes]
    types = [text.decode("utf-8", "replace") for text in texts]
    return Heads(ok, codes, types, (low, high), (since, until), ns, serial, body, first, behind)
