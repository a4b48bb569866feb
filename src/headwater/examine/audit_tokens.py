# SPDX-License-Identifier: Apache-2.0
"""Cuts ``key=value`` words out of a whole block of audit lines at once, by position.

A word ends at a space, at the separator 0x1D of the enriched form, and at the quote that opens a user-space message
(``msg='op=…``). The kernel writes a text that holds a space in hexadecimal, so a value is one word, with two exceptions
of user space: ``op=`` and an open quote go on until the next key. Nothing is dropped: words that belong to no key, keys that
are not known and keys that come twice are given back as leftovers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headwater.examine.audit_fields import KNOWN
from headwater.examine.line_blocks import Lines
from headwater.examine.line_views import Bytes, Flags, Ints, words

_WIDTH = 16  # longest key that is looked up; longer ones are leftovers
_MASKS = np.array([(1 << (8 * min(n, 8))) - 1 for n in range(_WIDTH + 1)], dtype=np.uint64)
_REST = np.array([(1 << (8 * max(0, n - 8))) - 1 for n in range(_WIDTH + 1)], dtype=np.uint64)
_PRIME = np.uint64(0x025B413F8A9A021F)
Wide = NDArray[np.uint64]
_OLD = int.from_bytes(b"old ", "little")


_BITS = 12


def _slot(low: Wide, high: Wide) -> Wide:
    mixed: Wide = (low ^ (high >> np.uint64(7)) ^ (high << np.uint64(11))) * _PRIME
    return np.right_shift(mixed, np.uint64(64 - _BITS))


def _table() -> tuple[Wide, Wide, Ints]:
    """A table of KNOWN by slot: both halves of a key, and its number; keys that share a slot would be a fault here."""
    low, high = np.zeros(1 << _BITS, dtype=np.uint64), np.zeros(1 << _BITS, dtype=np.uint64)
    number = np.full(1 << _BITS, -1, dtype=np.int64)
    for k, key in enumerate(KNOWN):
        if len(key) > _WIDTH:
            continue
        halves = [
            np.array([int.from_bytes(part, "little")], dtype=np.uint64) for part in (key.encode()[:8], key.encode()[8:])
        ]
        slot = int(_slot(*halves)[0])
        if number[slot] >= 0:
            raise AssertionError(f"{key} and {KNOWN[number[slot]]} share a slot")
        low[slot], high[slot], number[slot] = halves[0][0], halves[1][0], k
    return low, high, number


_LOWS, _HIGHS, _NUMBERS = _table()


def key_table() -> tuple[Wide, Wide, Ints]:
    """The table of known keys, for the compiled scanner."""
    return _LOWS, _HIGHS, _NUMBERS


_MSG, _OP = KNOWN.index("msg"), KNOWN.index("op")
_AGED = {KNOWN.index("auid"): KNOWN.index("old-auid"), KNOWN.index("ses"): KNOWN.index("old-ses")}


@dataclass(frozen=True, slots=True)
class Words:
    """One entry per known key of a line, in order of key: the line's row, the key's number in KNOWN, the value's place.

    ``left_row``, ``left_start``, ``left_end``: stretches that no key claims, in order.
    """

    row: NDArray[np.int32]
    key: NDArray[np.int16]
    start: Ints
    end: Ints
    quoted: Flags
    left_row: Ints
    left_start: Ints
    left_end: Ints


def _marks(data: Bytes) -> tuple[Ints, Flags]:
    """Every equals sign and every place where a word ends, in order, and which are equals signs.

    Words end at spaces, separators, line feeds, and the quote of ``msg='``.
    """
    equal = data == 61
    marks = equal | (data == 32) | (data == 29) | (data == 10)
    at = np.flatnonzero(data[4:] == 39) + 4
    opens = words(data, 4)[np.minimum(at, len(data) - 9) - 4] == int.from_bytes(b"msg=", "little")
    marks[at[opens]] = True
    places = np.flatnonzero(marks)
    return places, equal[places]


def _numbers(data: Bytes, start: Ints, length: Ints) -> Ints:
    """The numbers of keys in KNOWN, -1 where unknown."""
    fits = length <= _WIDTH
    size = np.where(fits, length, 0)
    low = words(data, 8)[start] & _MASKS[size]
    high = np.zeros(len(low), dtype=np.uint64)
    long = np.flatnonzero(size > 8)
    high[long] = words(data, 8)[start[long] + 8] & _REST[size[long]]
    slot = _slot(low, high).astype(np.int64)
    ended = data[start + length - 1] != 0  # halves are filled up with zeros: `uid\0` is not `uid`
    same = fits & ended & (_LOWS[slot] == low) & (_HIGHS[slot] == high)
    return np.where(same, _NUMBERS[slot], -1)


def words_of(lines: Lines, body: Ints) -> Words:
    """The words of every line from ``body`` (a position in the block) on, in order of key."""
    data = lines.data
    places, equal = _marks(data)
    first = equal.copy()
    first[1:] &= ~equal[:-1]  # the first equals sign of its word
    here = np.flatnonzero(first)
    breaks = places[~equal]
    word = (here + 1 - np.cumsum(equal)[here]) if len(here) else here  # breaks before it
    equals = places[here]
    stops = np.append(breaks, len(data))[word]
    ahead = np.concatenate([[-1], breaks])[word] + 1
    counts = np.diff(np.append(np.searchsorted(equals, lines.start), len(equals)))
    lead = len(equals) - int(counts.sum())
    equals, stops, ahead = equals[lead:], stops[lead:], ahead[lead:]
    row = np.repeat(np.arange(len(lines), dtype=np.int64), counts)
    start = np.maximum(ahead, np.repeat(body, counts))
    letter = data[start] | np.uint8(32)
    end = np.repeat(lines.end, counts)
    good = (equals < end) & (equals > start) & (letter >= 97) & (letter <= 122)
    if not good.all():
        equals, row, start, stops, end = equals[good], row[good], start[good], stops[good], end[good]
    key = _numbers(data, start, equals - start)
    return _values(lines, body, row, key, start, equals + 1, np.minimum(stops, end))


def _values(lines: Lines, body: Ints, row: Ints, key: Ints, start: Ints, value: Ints, stop: Ints) -> Words:
    data = lines.data
    last = np.ones(len(row), dtype=np.bool_)
    last[:-1] = row[1:] != row[:-1]
    limit = np.append(start[1:], 0)  # where the next word or the line begins
    limit[last] = lines.end[row[last]]
    _age(data, key, start)
    key[(key == _MSG) & (stop > value)] = -1  # only the quote that opens a message says nothing
    quote = data[value] == 34
    on = (key == _OP) | (key < 0) | (quote & ((stop <= value + 1) | (data[stop - 1] != 34)) & (value < stop))
    until = stop.copy()
    more = np.flatnonzero(on)
    until[more] = np.where(last[more], limit[more], limit[more] - 1)
    end = np.maximum(until, value)
    end[more] = np.maximum(_trimmed(data, value[more], until[more]), value[more])
    _close(data, key, row, value, end)
    quoted = quote & (end - value >= 2) & (data[np.maximum(end - 1, 0)] == 34)
    value += quoted
    end -= quoted
    # narrow copies: what is read in the order of keys is read all over the place
    small, where = key.astype(np.int16), row.astype(np.int32)
    order = np.argsort(small, kind="stable")  # by radix
    sorted_key, sorted_row = small[order], where[order]
    again = np.zeros(len(row), dtype=np.bool_)
    again[1:] = (sorted_key[1:] == sorted_key[:-1]) & (sorted_row[1:] == sorted_row[:-1]) & (sorted_key[1:] >= 0)
    twice = np.zeros(len(row), dtype=np.bool_)
    twice[order[again]] = True
    left = _leftovers(lines, body, row, start, until, limit, last, (key < 0) | twice)
    take = (sorted_key >= 0) & ~again
    chosen = order[take]
    return Words(sorted_row[take], sorted_key[take], value[chosen], end[chosen], quoted[chosen], *left)


def _trimmed(data: Bytes, start: Ints, end: Ints) -> Ints:
    """Ends without the spaces and separators before them."""
    for _ in range(4):
        before = data[np.maximum(end - 1, 0)]
        cut = (end > start) & ((before == 32) | (before == 29))
        if not cut.any():
            break
        end = end - cut
    return end


def _age(data: Bytes, key: Ints, start: Ints) -> None:
    """``old auid=1 new auid=2`` of kernels before 3.14 in the names that it has had since; in place."""
    for young, old in _AGED.items():
        here = np.flatnonzero(key == young)
        aged = here[words(data, 4)[np.maximum(start[here] - 4, 0)] == _OLD]
        key[aged] = old


def _close(data: Bytes, key: Ints, row: Ints, value: Ints, end: Ints) -> None:
    """Take off the quote that closes ``msg='…``; in place."""
    opened = np.flatnonzero(key == _MSG)
    opened = opened[data[value[opened]] == 39]
    if not len(opened):
        return
    messaged = np.zeros(int(row[-1]) + 1, dtype=np.bool_)
    messaged[row[opened]] = True
    here = np.flatnonzero(messaged[row])
    end[here] -= (end[here] > value[here]) & (data[np.maximum(end[here] - 1, 0)] == 39)


def _leftovers(
    lines: Lines, body: Ints, row: Ints, start: Ints, until: Ints, limit: Ints, last: Flags, unclaimed: Flags
) -> tuple[Ints, Ints, Ints]:
    """What stands before the first word, between words and behind them, and the words that nothing claims."""
    first = lines.end.copy()
    first[row[::-1]] = start[::-1]
    bare = np.flatnonzero(first > body)
    some = np.flatnonzero(unclaimed | (limit > until + 1) | (last & (limit > until)))
    rows = np.concatenate([bare, row[some]])
    low = np.concatenate([body[bare], np.where(unclaimed[some], start[some], until[some])])
    high = np.concatenate([first[bare], np.maximum(limit[some], until[some])])
    data = lines.data
    for _ in range(8):  # spaces, separators and the quote of msg=' say nothing
        skip = (low < high) & np.isin(data[low], (32, 29, 39))
        if not skip.any():
            break
        low = low + skip
    high = np.maximum(_trimmed(data, low, high), low)
    keep = high > low
    rows, low, high = rows[keep], low[keep], high[keep]
    order = np.lexsort((low, rows))
    return rows[order], low[order], high[order]
