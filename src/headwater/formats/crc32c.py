# SPDX-License-Identifier: Apache-2.0
"""CRC-32C (Castagnoli) as ext4 and jbd2 use it: no inversion at either end, many blocks at once.

Polynomial 0x1EDC6F41, reflected 0x82F63B78 (RFC 3720, appendix B.4).
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78


@functools.cache
def _tables() -> tuple[NDArray[np.uint32], ...]:
    first = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        first = np.where(first & 1, first >> 1 ^ np.uint32(_POLYNOMIAL), first >> 1).astype(np.uint32)
    tables = [first]
    for _ in range(3):
        last = tables[-1]
        tables.append(last >> np.uint32(8) ^ first[last & 255])
    return tuple(tables)


@functools.cache
def _table() -> list[int]:
    return [int(value) for value in _tables()[0]]


@functools.cache
def _zeros(power: int) -> tuple[int, ...]:
    """What each bit of a checksum becomes behind ``2 ** power`` bytes of zeros: the step is linear over GF(2)."""
    if power == 0:
        table = _table()
        return tuple(table[bit & 255] ^ bit >> 8 for bit in (1 << n for n in range(32)))
    half = _zeros(power - 1)
    return tuple(_through(half, bit) for bit in half)


def _through(matrix: tuple[int, ...], value: int) -> int:
    out = 0
    for column in matrix:
        if value & 1:
            out ^= column
        value >>= 1
    return out


def crc32c(seed: int, data: bytes) -> int:
    """The checksum of ``data`` continued from ``seed`` (0xFFFFFFFF to begin), not inverted.

    Zeros at the end, most of many a journal's block, are passed over by their number.
    """
    table = _table()
    value = seed
    begun = data.rstrip(b"\0")
    for byte in begun:
        value = table[(value ^ byte) & 255] ^ value >> 8
    rest, power = len(data) - len(begun), 0
    while rest:
        if rest & 1:
            value = _through(_zeros(power), value)
        rest >>= 1
        power += 1
    return value


def crc32c_blocks(seed: int | NDArray[np.uint32], blocks: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """The checksum of each row of ``blocks`` (rows × bytes), continued from one seed or from one for each row."""
    one, two, three, four = _tables()
    rows = np.ascontiguousarray(blocks).view(np.uint8).reshape(len(blocks), -1)
    value = np.zeros(len(rows), np.uint32) + np.asarray(seed, np.uint32)
    whole = rows.shape[1] // 4
    # column by column, so that one step of the checksum serves all rows
    words = np.ascontiguousarray(np.ascontiguousarray(rows[:, : whole * 4]).view("<u4").T)
    for word in words:
        x = value ^ word
        value = four[x & 255] ^ three[x >> 8 & 255] ^ two[x >> 16 & 255] ^ one[x >> 24]
    for column in rows[:, whole * 4 :].T:
        value = value >> np.uint32(8) ^ one[(value ^ column) & 255]
    return value
