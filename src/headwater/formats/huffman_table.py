# SPDX-License-Identifier: Apache-2.0
"""Canonical Huffman codes as one table: the next bits of a stream, looked up whole, give the symbol and its length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def lookup(lengths: Sequence[int], bits: int) -> list[int]:
    """A table of ``1 << bits`` entries ``symbol << 5 | length`` for canonical code ``lengths`` (0: unused), each ≤ ``bits``.

    Codes are given out by length, then by symbol. A code of one symbol alone may leave bits unused: they decode as 0,
    which no valid entry is, since every length is at least 1.

    Raises:
        ValueError: the lengths ask for more codes than there are.
    """
    held = np.array(lengths, np.int64)
    used = np.flatnonzero(held)
    if not len(used):
        return [0] * (1 << bits)
    order = used[np.argsort(held[used], kind="stable")]
    entries = np.repeat(order << 5 | held[order], 1 << (bits - held[order]))
    if len(entries) > 1 << bits:
        raise ValueError("a Huffman code with too many words")
    table: list[int] = entries.tolist()
    table.extend([0] * ((1 << bits) - len(table)))
    return table
