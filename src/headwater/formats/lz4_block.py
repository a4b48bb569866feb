# SPDX-License-Identifier: Apache-2.0
"""The LZ4 block format, undone: what journals of 2014 to 2020 compress their long fields with.

https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
"""

from __future__ import annotations


def _more(data: bytes, at: int, length: int) -> tuple[int, int]:
    """A length that is continued in bytes of 255; the new position and the length."""
    while True:
        byte = data[at]
        at += 1
        length += byte
        if byte != 255:
            return at, length


def decompress(data: bytes, most: int) -> bytes:
    """The content of one block, cut after ``most`` bytes or a little more.

    Raises:
        ValueError: the block is broken (it ends within a sequence, or refers to before its beginning).
    """
    out = bytearray()
    at = 0
    try:
        while at < len(data) and len(out) <= most:
            token = data[at]
            at += 1
            length = token >> 4
            if length == 15:
                at, length = _more(data, at, length)
            if at + length > len(data):
                raise ValueError("literals run over the end")
            out += data[at : at + length]
            at += length
            if at >= len(data):
                break
            back = data[at] | data[at + 1] << 8
            at += 2
            length = token & 15
            if length == 15:
                at, length = _more(data, at, length)
            length = min(length + 4, most + 1)
            start = len(out) - back
            if back == 0 or start < 0:
                raise ValueError("a match refers to before the beginning")
            piece = bytes(out[start : start + length])
            out += (piece * (length // len(piece) + 1))[:length] if len(piece) < length else piece
    except IndexError as error:
        raise ValueError("the block ends within a sequence") from error
    return bytes(out)
