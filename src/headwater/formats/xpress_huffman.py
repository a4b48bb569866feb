# SPDX-License-Identifier: Apache-2.0
"""LZ77 with Huffman codes as Windows writes it (XPRESS Huffman): system-compressed files, prefetch files.

Source: [MS-XCA] 2.2, https://learn.microsoft.com/openspecs/windows_protocols/ms-xca/. Each block of 64 KiB of plain bytes
has a table of its own; blocks of system-compressed files are shorter, one table each.
"""

from __future__ import annotations

from headwater.formats.huffman_table import lookup

_TABLE = 256
_BLOCK = 65536
_BITS = 15


def decompress(data: bytes, size: int) -> bytes:
    """The ``size`` plain bytes of a stream.

    Raises:
        ValueError: the stream cannot be, or ends before it gave ``size`` bytes.
    """
    out = bytearray()
    at = 0
    padded = data + b"\0\0\0\0"
    while len(out) < size:
        if at + _TABLE + 4 > len(padded):
            raise ValueError("an XPRESS stream that ends early")
        at = _block(padded, at, min(size, len(out) + _BLOCK), size, out)
    return bytes(out)


def _block(data: bytes, at: int, size: int, whole: int, out: bytearray) -> int:
    """Decode until ``size`` bytes are there; its last match may go on into the next block, up to ``whole`` bytes."""
    lengths = [n for byte in data[at : at + _TABLE] for n in (byte & 15, byte >> 4)]
    table = lookup(lengths, _BITS)
    at += _TABLE
    bits = (data[at] | data[at + 1] << 8) << 16 | data[at + 2] | data[at + 3] << 8
    extra = 16
    at += 4
    end = len(data)
    while len(out) < size:
        entry = table[bits >> 17]
        used = entry & 31
        if not used:
            raise ValueError("an XPRESS code word that stands for nothing")
        bits = bits << used & 0xFFFFFFFF
        extra -= used
        if extra < 0:
            if at + 2 <= end:
                bits |= (data[at] | data[at + 1] << 8) << -extra
            elif at > end + 2:
                raise ValueError("an XPRESS stream that ends early")
            at += 2
            extra += 16
        symbol = entry >> 5
        if symbol < 256:
            out.append(symbol)
            continue
        length, at = _length(data, at, symbol & 15)
        width = symbol - 256 >> 4
        back = 1 << width
        if width:
            back += bits >> 32 - width
            bits = bits << width & 0xFFFFFFFF
            extra -= width
            if extra < 0:
                if at + 2 <= end:
                    bits |= (data[at] | data[at + 1] << 8) << -extra
                at += 2
                extra += 16
        copy(out, back, min(length, whole - len(out)))
    return at


def _length(data: bytes, at: int, length: int) -> tuple[int, int]:
    """The length of a match, and where the stream goes on."""
    if length == 15:
        if at >= len(data):
            raise ValueError("an XPRESS stream that ends early")
        length = data[at]
        at += 1
        if length == 255:
            length = int.from_bytes(data[at : at + 2], "little")
            at += 2
            if not length:
                length = int.from_bytes(data[at : at + 4], "little")
                at += 4
            if length < 15:
                raise ValueError("an XPRESS length that cannot be")
            length -= 15
        length += 15
    return length + 3, at


def copy(out: bytearray, back: int, length: int) -> None:
    """Append ``length`` bytes from ``back`` bytes ago, which may overlap what is appended.

    Raises:
        ValueError: there are not so many bytes yet.
    """
    if back > len(out):
        raise ValueError("a match that points before the first byte")
    start = len(out) - back
    if back >= length:
        out += out[start : start + length]
    else:
        out += (bytes(out[start:]) * (length // back + 1))[:length]
