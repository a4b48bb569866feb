# SPDX-License-Identifier: Apache-2.0
"""Numbers packed into the fewest bits, as the pages of Parquet have them: levels, numbers of a dictionary, differences.

Everything is done to whole arrays with numpy. Eight values of a width fill whole bytes, so a page is made from words that hold two,
four or eight values each.

Format: https://github.com/apache/parquet-format/blob/master/Encodings.md (RLE/bit-packing hybrid, DELTA_BINARY_PACKED)
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.store.thrift import varint, zigzag

Words = NDArray[np.uint64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_WORD = 64
IN_MINIBLOCK = 256
MINIBLOCKS = 4
_IN_BLOCK = IN_MINIBLOCK * MINIBLOCKS


def packed(values: NDArray[Any], width: int) -> bytes:
    """Values below ``2 ** width`` behind each other, the lowest bit first; zeros fill up the last eight."""
    missing = -len(values) % 8
    words = values.astype(np.uint64)
    if missing:
        words = np.concatenate([words, np.zeros(missing, dtype=np.uint64)])
    together = 1
    while together < 8 and 2 * width <= _WORD:
        words = words[0::2] | words[1::2] << np.uint64(width)
        width, together = 2 * width, 2 * together
    pieces = 8 // together
    bits = width * pieces  # of eight values
    if pieces == 1:
        out = words.reshape(-1, 1)
    else:
        out = _joined(words.reshape(-1, pieces), width)
    return out.view(np.uint8)[:, : bits // 8].tobytes()


def _joined(pieces: Words, width: int) -> Words:
    """Rows of pieces of up to 64 bits joined into rows of whole words."""
    count = pieces.shape[1]
    out = np.zeros((len(pieces), -(-width * count // _WORD)), dtype=np.uint64)
    for k in range(count):
        word, shift = divmod(k * width, _WORD)
        out[:, word] |= pieces[:, k] << np.uint64(shift)
        if shift + width > _WORD:
            out[:, word + 1] |= pieces[:, k] >> np.uint64(_WORD - shift)
    return out


def levels(there: Flags | None, rows: int) -> bytes:
    """The definition levels of a column behind their length: one run where every row has a value, else a bit a row."""
    if there is None:
        body = varint(rows << 1) + b"\1"
    else:
        body = varint((rows + 7) // 8 << 1 | 1) + np.packbits(there, bitorder="little").tobytes()
    return struct.pack("<I", len(body)) + body


def numbered(codes: NDArray[Any], distinct: int) -> bytes:
    """Numbers of a dictionary's entries, behind their width."""
    if distinct < 2 or not len(codes):
        return b"\1" + (varint(len(codes) << 1) + b"\0" if len(codes) else b"")
    width = (distinct - 1).bit_length()
    return bytes([width]) + varint((len(codes) + 7) // 8 << 1 | 1) + packed(codes, width)


def differences(values: Ints) -> bytes:
    """Integers as their differences, in blocks of :data:`IN_MINIBLOCK` times :data:`MINIBLOCKS`, each miniblock of its own width.

    They lie less than 2 ** 62 apart.
    """
    count = len(values)
    first = int(values[0]) if count else 0
    head = b"".join((varint(_IN_BLOCK), varint(MINIBLOCKS), varint(count), varint(zigzag(first))))
    if count < 2:
        return head
    steps = np.diff(values)
    blocks = -(-len(steps) // _IN_BLOCK)
    above = np.full(blocks * _IN_BLOCK, steps[-1])
    above[: len(steps)] = steps
    grid = above.reshape(blocks, _IN_BLOCK)
    least = grid.min(axis=1)
    grid -= least[:, None]
    above[len(steps) :] = 0
    used = -(-len(steps) // IN_MINIBLOCK)
    small = above.view(np.uint64).reshape(-1, IN_MINIBLOCK)
    widths = [int(most).bit_length() for most in small.max(axis=1).tolist()]
    bodies = _miniblocks(small[:used], widths[:used])
    out = [head]
    for block, low in enumerate(least.tolist()):
        at = block * MINIBLOCKS
        out += (varint(zigzag(low)), bytes(widths[at : at + MINIBLOCKS]), *bodies[at : at + MINIBLOCKS])
    return b"".join(out)


def _miniblocks(values: Words, widths: list[int]) -> list[bytes]:
    """Each row packed to its width; rows of one width together."""
    own = np.array(widths)
    found = [b""] * len(widths)
    for width in sorted(set(widths) - {0}):
        rows = np.flatnonzero(own == width)
        body = packed(values[rows].reshape(-1), width)
        size = IN_MINIBLOCK * width // 8
        for number, row in enumerate(rows.tolist()):
            found[row] = body[number * size : (number + 1) * size]
    return found
