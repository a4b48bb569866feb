# SPDX-License-Identifier: Apache-2.0
"""Arithmetic in the field of 256 elements that RAID 6 uses: generator 2, polynomial 0x11d.

Source: H. Peter Anvin, "The mathematics of RAID-6", https://kernel.org/pub/linux/kernel/people/hpa/raid6.pdf.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.uint8]


@functools.cache
def _tables() -> tuple[tuple[int, ...], tuple[int, ...]]:
    power = [1] * 255
    for n in range(1, 255):
        value = power[n - 1] << 1
        power[n] = value ^ 0x11D if value > 255 else value
    logarithm = [0] * 256
    for n, value in enumerate(power):
        logarithm[value] = n
    return tuple(power), tuple(logarithm)


def power(n: int) -> int:
    """The generator to the power of ``n``, which may be negative."""
    return _tables()[0][n % 255]


def inverse(value: int) -> int:
    """The element by which ``value`` gives 1; ``value`` is not 0."""
    return power(-_tables()[1][value])


@functools.cache
def _products(factor: int) -> Block:
    powers, logarithm = _tables()
    row = np.zeros(256, np.uint8)
    if factor:
        base = logarithm[factor]
        row[1:] = [powers[(base + logarithm[value]) % 255] for value in range(1, 256)]
    return row


def times(factor: int, block: Block) -> Block:
    """Each element of a block multiplied by ``factor``."""
    return _products(factor)[block]


def one_from_q(slot: int, q: Block, others: Mapping[int, Block]) -> Block:
    """The data block of ``slot`` from the second syndrome and all other data blocks by slot."""
    total = q.copy()
    for other, block in others.items():
        total ^= times(power(other), block)
    return times(power(-slot), total)


def two_from_pq(first: int, second: int, p: Block, q: Block, others: Mapping[int, Block]) -> tuple[Block, Block]:
    """The data blocks of two slots from both syndromes and all other data blocks by slot."""
    plain, weighted = p.copy(), q.copy()
    for other, block in others.items():
        plain ^= block
        weighted ^= times(power(other), block)
    # plain = a + b, weighted = g^first a + g^second b
    factor = inverse(power(first) ^ power(second))
    found = times(factor, weighted ^ times(power(second), plain))
    return found, found ^ plain
