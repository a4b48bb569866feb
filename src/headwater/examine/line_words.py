# SPDX-License-Identifier: Apache-2.0
"""What eight bytes of every line say, worked out for all of them at once as 64-bit integers.

The first byte is the lowest of the word. A byte minus "0" is a digit where it is at most 9: adding 0x76 to every byte sets
the high bit of those that are more, and a carry can only spoil bytes behind the first that is no digit (after H. S. Warren,
Hacker's Delight, chapter 6, and D. Lemire, "Quickly parsing eight digits").
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.examine.line_views import MASK8, Bytes, Flags, Ints, words, words_from

Words = NDArray[np.uint64]

_U = np.uint64
_ZEROS, _NIBBLES = _U(0x3030303030303030), _U(0x0F0F0F0F0F0F0F0F)
_OVER, _HIGH = _U(0x7676767676767676), _U(0x8080808080808080)
_ONE, _3, _8, _10, _16, _32 = _U(1), _U(3), _U(8), _U(10), _U(16), _U(32)
_PAIRS, _HUNDRED = _U(0x00FF00FF00FF00FF), _U(100)
_FOURS, _TEN_THOUSAND = _U(0x0000FFFF0000FFFF), _U(10_000)
_LOW, _FF = _U(0xFFFFFFFF), _U(0xFF)

_CLOCK_DIGITS, _CLOCK_COLONS = _U(0xFFFF00FFFF00FFFF), _U(0x0000FF0000FF0000)
_COLONS = _U(0x00003A00003A0000)
_24, _48, _60, _3600 = _U(24), _U(48), _U(60), _U(3600)


def word(data: Bytes, at: Ints) -> Words:
    """The eight bytes from each position of a padded block on."""
    found: Words = words(data, 8)[at]
    return found


def masked(texts: Words, size: int) -> Words:
    """Only the first ``size`` bytes of each word."""
    return texts & _U((1 << 8 * size) - 1)


def runs(*keys: NDArray[Any]) -> tuple[Ints, Ints]:
    """The first row of every run of rows with equal keys, and for each row the number of its run.

    What neighbouring lines have in common (the day, the zone) is then worked out once a run.
    """
    new = np.ones(len(keys[0]), dtype=np.bool_)
    changed: Flags = keys[0][1:] != keys[0][:-1]
    for key in keys[1:]:
        changed |= key[1:] != key[:-1]
    new[1:] = changed
    return np.flatnonzero(new), np.cumsum(new) - 1


def three_digits(texts: Words) -> tuple[Flags, Ints]:
    """Whether each word begins with three digits, and their value."""
    spread = (texts ^ _ZEROS) & _U(0xFFFFFF)
    ok = ((spread + _U(0x767676)) | spread) & _U(0x808080) == 0
    value = (spread & _FF) * _HUNDRED + ((spread >> _8) & _FF) * _10 + (spread >> _16)
    return ok, value.view(np.int64)


def decimal(texts: Words) -> tuple[Ints, Ints]:
    """How many decimal digits each word begins with (0 … 8), and their value."""
    spread = texts ^ _ZEROS
    other = ((spread + _OVER) | spread) & _HIGH
    count = np.bitwise_count((other & (~other + _ONE)) - _ONE) >> np.uint8(3)
    value = (spread & _NIBBLES) << (_U(8) - np.maximum(count, 1).astype(np.uint64) << _3)
    value = (value * _10 + (value >> _8)) & _PAIRS
    value = (value * _HUNDRED + (value >> _16)) & _FOURS
    value = (value * _TEN_THOUSAND + (value >> _32)) & _LOW
    value[count == 0] = 0
    return count.astype(np.int64), value.view(np.int64)


def decimal_back(texts: Words) -> tuple[Ints, Ints]:
    """How many decimal digits each word ends with (0 … 8), and their value."""
    spread = texts ^ _ZEROS
    other = (((spread & _SEVENS) + _OVER) | spread) & _HIGH
    other |= other >> _8
    other |= other >> _16
    other |= other >> _32  # now of every byte up to the last that is no digit
    count = _EIGHT - np.bitwise_count(other)
    value = spread & _NIBBLES & ~((other >> _7) * _FF)
    value = (value * _10 + (value >> _8)) & _PAIRS
    value = (value * _HUNDRED + (value >> _16)) & _FOURS
    value = (value * _TEN_THOUSAND + (value >> _32)) & _LOW
    return count.astype(np.int64), value.view(np.int64)


def clock(texts: Words) -> tuple[Flags, Ints]:
    """``HH:MM:SS`` as seconds of the day; a leap second 60 is taken as the next second."""
    spread = (texts & _CLOCK_DIGITS) ^ (_ZEROS & _CLOCK_DIGITS)
    bad = ((spread + (_OVER & _CLOCK_DIGITS)) | spread) & (_HIGH & _CLOCK_DIGITS)
    pairs = spread * _10 + (spread >> _8)
    hour, minute, second = pairs & _FF, (pairs >> _24) & _FF, (pairs >> _48) & _FF
    ok = ((bad | ((texts & _CLOCK_COLONS) ^ _COLONS)) == 0) & (hour < _24) & (minute < _60) & (second <= _60)
    return ok, (hour * _3600 + minute * _60 + second).view(np.int64)


_SEVENS, _DOTS, _FIRST = _U(0x7F7F7F7F7F7F7F7F), _U(0x2E2E2E2E2E2E2E2E), _U(0x80)
_LONGEST, _THREE = 15, np.uint8(3)
_EIGHT, _7 = np.uint8(8), _U(7)
_56 = _U(56)


def _digits(texts: Words) -> Words:
    """The high bit of every byte that is a digit."""
    spread = texts ^ _ZEROS
    return ~(((spread & _SEVENS) + _OVER) | spread) & _HIGH


def _dots(texts: Words) -> Words:
    spread = texts ^ _DOTS
    return ~(((spread & _SEVENS) + _SEVENS) | spread) & _HIGH


def ipv4(data: Bytes, start: Ints, end: Ints) -> Flags:
    """Where ``data[start:end]`` is four groups of one to three digits with dots between them.

    That is: sixteen bytes hold no more than digits and three dots, the first is a digit, a digit follows every dot, and
    nowhere do four digits stand in a row.
    """
    size = np.maximum(end - start, 0)
    low, high = words_from(data, start, 2)
    low &= MASK8[np.minimum(size, 8)]
    high &= MASK8[np.minimum(np.maximum(size, 8) - 8, 8)]
    digit, digit_high = _digits(low), _digits(high)
    dot, dot_high = _dots(low), _dots(high)
    count = np.bitwise_count(dot) + np.bitwise_count(dot_high)
    ok: Flags = (size <= _LONGEST) & (count == _THREE)
    ok &= np.bitwise_count(digit) + np.bitwise_count(digit_high) + count == size
    next_digit = (digit >> _8) | (digit_high << _56)
    pair, pair_high = digit & next_digit, digit_high & (digit_high >> _8)
    wrong = (dot & ~next_digit) | (dot_high & ~(digit_high >> _8)) | (~digit & _FIRST)
    wrong |= (pair & ((pair >> _16) | (pair_high << _48))) | (pair_high & (pair_high >> _16))
    ok &= wrong == 0
    return ok
