# SPDX-License-Identifier: Apache-2.0
"""The plain LZ77 form of XPRESS, as ESE packs long values with it.

Source: [MS-XCA] 2.4, https://learn.microsoft.com/openspecs/windows_protocols/ms-xca/. Its flags come 32 at a time, the
long lengths share half-bytes.
"""

from __future__ import annotations

from headwater.formats.xpress_huffman import copy


def decompress(data: bytes, size: int) -> bytes:
    """The plain bytes, at most ``size``; the end of the input ends them.

    Raises:
        ValueError: a match that reaches before the beginning, or a cut one.
    """
    out = bytearray()
    at = held = left = 0
    nibble = -1  # where the upper half of a shared length byte waits
    try:
        while len(out) < size:
            if not left:
                if at >= len(data):
                    break
                held, left = int.from_bytes(data[at : at + 4], "little"), 32
                at += 4
            left -= 1
            if not held >> left & 1:
                if at >= len(data):
                    break
                out.append(data[at])
                at += 1
                continue
            if at >= len(data):
                break
            token = data[at] | data[at + 1] << 8
            at += 2
            back, length = (token >> 3) + 1, token & 7
            if length == 7:
                if nibble < 0:
                    length, nibble = data[at] & 15, at
                    at += 1
                else:
                    length, nibble = data[nibble] >> 4, -1
                if length == 15:
                    length, at = _long(data, at)
                length += 7
            if back > len(out):
                raise ValueError("an XPRESS match before the beginning")
            copy(out, back, min(length + 3, size - len(out)))
    except IndexError:
        raise ValueError("a cut XPRESS match") from None
    return bytes(out)


def _long(data: bytes, at: int) -> tuple[int, int]:
    """A length of 15 or more, counted from 7 on, and where it ends."""
    length = data[at]
    at += 1
    if length < 255:
        return length + 15, at
    length = data[at] | data[at + 1] << 8
    at += 2
    if not length:
        length = data[at] | data[at + 1] << 8 | data[at + 2] << 16 | data[at + 3] << 24
        at += 4
    if length < 22:
        raise ValueError("an XPRESS length that cannot be")
    return length - 7, at
