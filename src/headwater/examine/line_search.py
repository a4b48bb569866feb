# SPDX-License-Identifier: Apache-2.0
"""Bytes looked for in many lines at once, eight bytes of every line in one step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.formats import compiled

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

_ONES = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_SEVENS = np.uint64(0x7F7F7F7F7F7F7F7F)
_ONE = np.uint64(1)
_ROUNDS = 4  # after so many words without a hit, all places of the byte are looked up for the rows that are left,
_DEAR = 64  # unless these are so few that so many bytes of the stretch come to each in every round
_MOST_ROUNDS = 64
_FEW = 512  # or each of these is searched by itself


def words(data: Bytes, width: int) -> NDArray[Any]:
    """Every position of a padded block as a little-endian word of 4 or 8 bytes, overlapping, without a copy."""
    return np.ndarray((len(data) - 8,), dtype=f"<u{width}", buffer=data, strides=(1,))


def words_from(data: Bytes, at: Ints, count: int) -> list[NDArray[np.uint64]]:
    """So many words of eight bytes from each position of a padded block on, brought in one visit to memory for each row."""
    rows = np.ndarray((len(data) - 8 * count + 1,), dtype=f"V{8 * count}", buffer=data, strides=(1,))[at]
    return list(np.ascontiguousarray(rows.view("<u8").reshape(-1, count).T))


def _look(data: Bytes, at: Ints, byte: int) -> tuple[Ints, Flags]:
    """Where the byte first stands in the eight bytes from each position on, and whether it does."""
    difference = words(data, 8)[at] ^ (np.uint64(byte) * _ONES)
    zeros = (difference - _ONES) & ~difference & _HIGH
    step = np.bitwise_count((zeros & (~zeros + _ONE)) - _ONE) >> np.uint8(3)
    return at + step, zeros != 0


def _searched(function: Any, data: Bytes, at: Ints, limit: Ints, byte: int) -> Ints:
    found = np.empty(len(at), dtype=np.int64)
    at, limit = compiled.whole(at), compiled.whole(limit)
    place = compiled.at
    compiled.checked(function(place(data), len(data), place(at), place(limit), len(at), byte, place(found)))
    return found


def places(view: Bytes, byte: int) -> Ints:
    """Everywhere a byte stands; where it is seldom, words of eight bytes are passed over."""
    hits = view == byte
    whole = len(hits) & -8
    wide = hits[:whole].view(np.uint64)
    number = np.flatnonzero(wide != 0)
    word = wide[number]
    if (word & (word - _ONE)).any():  # twice in one word
        return np.flatnonzero(hits)
    found = (number << 3) + (np.bitwise_count(word - _ONE) >> np.uint8(3))
    rest = np.flatnonzero(hits[whole:])
    return np.concatenate([found, rest + whole]) if len(rest) else found


def find(data: Bytes, at: Ints, byte: int, limit: Ints) -> Ints:
    """For each row the first position of ``byte`` at or after ``at``, or ``limit`` where there is none before it.

    Eight bytes of every row are looked at in one step: the lowest zero byte of ``word ^ pattern`` (H. S. Warren,
    Hacker's Delight, 6-1).
    """
    library = compiled.library()
    if library is not None:
        return _searched(library.hw_find, data, at, limit, byte)
    found, hit = _look(data, at, byte)
    found = np.where(hit, np.minimum(found, limit), limit)
    rows = np.flatnonzero(~hit & (at + 8 < limit))
    here = at[rows] + 8
    for turn in range(_MOST_ROUNDS):
        if not len(rows):
            return found
        if turn >= _ROUNDS and _DEAR * turn * len(rows) > len(data):
            break
        there, hit = _look(data, here, byte)
        done = rows[hit]
        found[done] = np.minimum(there[hit], limit[done])
        here = here + 8
        more = ~hit & (here < limit[rows])
        rows, here = rows[more], here[more]
    if len(rows) <= _FEW:
        for row, low, high in zip(rows.tolist(), here.tolist(), limit[rows].tolist()):
            place = data[low:high].tobytes().find(byte)
            found[row] = low + place if place >= 0 else high
    else:
        places = _places(data, int(here.min()), int(limit[rows].max()), byte)
        which = np.searchsorted(places[:-1], here)
        found[rows] = np.minimum(places[which], limit[rows])
    return found


def _places(data: Bytes, low: int, high: int, byte: int) -> Ints:
    """All positions of a byte in a stretch, and one beyond every position behind them."""
    return np.append(np.flatnonzero(data[low:high] == byte) + low, len(data))


def find_back(data: Bytes, end: Ints, byte: int, limit: Ints) -> Ints:
    """For each row the position behind the last ``byte`` before ``end``, or ``limit`` where there is none from it on.

    The rows' ends lie at 8 or later. As :func:`find`, but byte by byte exact, because it is the highest hit that counts.
    """
    library = compiled.library()
    if library is not None:
        return _searched(library.hw_find_back, data, end, limit, byte)
    wide = words(data, 8)
    pattern = np.uint64(byte) * _ONES
    found = limit.copy()
    rows = np.flatnonzero(end > limit)
    here = end[rows]
    for turn in range(_MOST_ROUNDS):
        if not len(rows):
            return found
        if turn >= _ROUNDS and _DEAR * turn * len(rows) > len(data):
            break
        difference = (wide[np.maximum(here - 8, 0)] ^ pattern).byteswap()
        zeros = ~(((difference & _SEVENS) + _SEVENS) | difference | _SEVENS)
        hit = zeros != 0
        step = np.bitwise_count((zeros & (~zeros + _ONE)) - _ONE).astype(np.int64) >> 3
        done = rows[hit]
        found[done] = np.maximum(here[hit] - step[hit], limit[done])
        here = here - 8
        more = ~hit & (here > limit[rows])
        rows, here = rows[more], here[more]
    if len(rows) <= _FEW:
        for row, low, high in zip(rows.tolist(), limit[rows].tolist(), here.tolist()):
            found[row] = low + data[low:high].tobytes().rfind(byte) + 1
    else:
        low = int(limit[rows].min())
        places = _places(data, low, int(here.max()), byte)
        before = np.searchsorted(places[:-1], here) - 1
        found[rows] = np.where(before < 0, limit[rows], np.maximum(places[before] + 1, limit[rows]))
    return found
