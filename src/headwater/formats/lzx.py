# SPDX-License-Identifier: Apache-2.0
"""LZX as Windows writes it in chunks of 32 KiB: system-compressed files (WOF) and WIM resources.

Every chunk stands for itself: no window before it, the recent offsets are 1, code lengths start at zero, and the
translation of x86 calls is always undone with a file size of 12,000,000. Source: [MS-PATCH] LZX DELTA for the block
format, https://learn.microsoft.com/openspecs/exchange_server_protocols/ms-patch/, and the description of the WIM variant
at https://wimlib.net/ (compression formats).
"""

from __future__ import annotations

from headwater.formats.huffman_table import lookup
from headwater.formats.xpress_huffman import copy

_SLOTS = 30  # of offsets in a window of 32 KiB
_MAIN = 256 + 8 * _SLOTS
_LENGTHS = 249
_CHUNK = 32768
_CALLS = 12_000_000
_EXTRA = [0, 0, 0, 0, *(n for n in range(1, 14) for _ in (0, 1))]
_BASE = [0]
for _bits in _EXTRA[:-1]:
    _BASE.append(_BASE[-1] + (1 << _bits))


class _Bits:
    """Bits of 16-bit little-endian words, the highest first. Beyond the end come zeros, a few words of them."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.held = 0
        self.count = 0

    def fill(self) -> None:
        if self.at > len(self.data) + 8:
            raise ValueError("an LZX stream that ends early")
        word = self.data[self.at : self.at + 2]
        self.held = self.held << 16 | int.from_bytes(word, "little")
        self.count += 16
        self.at += 2

    def read(self, bits: int) -> int:
        while self.count < bits:
            self.fill()
        self.count -= bits
        value = self.held >> self.count
        self.held &= (1 << self.count) - 1
        return value

    def symbol(self, table: list[int], bits: int) -> int:
        while self.count < bits:
            self.fill()
        entry = table[self.held >> self.count - bits]
        used = entry & 31
        if not used:
            raise ValueError("an LZX code word that stands for nothing")
        self.count -= used
        self.held &= (1 << self.count) - 1
        return entry >> 5


def decompress(data: bytes, size: int) -> bytes:
    """The ``size`` plain bytes (at most 32 KiB) of one chunk.

    Raises:
        ValueError: the chunk cannot be.
    """
    if size > _CHUNK:
        raise ValueError("an LZX chunk of more than 32 KiB")
    bits = _Bits(data)
    out = bytearray()
    recent = [1, 1, 1]
    main, lengths = [0] * _MAIN, [0] * _LENGTHS
    while len(out) < size:
        kind = bits.read(3)
        block = _CHUNK if bits.read(1) else bits.read(16)
        end = min(size, len(out) + block)
        if not block or kind not in (1, 2, 3):
            raise ValueError("an LZX block of no known kind")
        if kind == 3:
            _plain(bits, end, out, recent)
            continue
        aligned = lookup([bits.read(3) for _ in range(8)], 7) if kind == 2 else None
        _code_lengths(bits, main, 0, 256)
        _code_lengths(bits, main, 256, _MAIN)
        _code_lengths(bits, lengths, 0, _LENGTHS)
        _matches(bits, end, out, recent, lookup(main, 16), lookup(lengths, 16), aligned)
    _calls(out)
    return bytes(out)


def _code_lengths(bits: _Bits, lengths: list[int], at: int, end: int) -> None:
    """Code lengths as differences to those of the block before, themselves in a Huffman code."""
    table = lookup([bits.read(4) for _ in range(20)], 15)
    while at < end:
        symbol = bits.symbol(table, 15)
        if symbol < 17:
            lengths[at] = (lengths[at] - symbol) % 17
            at += 1
            continue
        if symbol == 17:
            run, value = 4 + bits.read(4), 0
        elif symbol == 18:
            run, value = 20 + bits.read(5), 0
        else:
            run = 4 + bits.read(1)
            value = bits.symbol(table, 15)
            if value > 17:
                raise ValueError("an LZX code length that cannot be")
            value = (lengths[at] - value) % 17
        run = min(run, end - at)
        lengths[at : at + run] = [value] * run
        at += run


def _plain(bits: _Bits, end: int, out: bytearray, recent: list[int]) -> None:
    if not bits.count:
        bits.fill()
    bits.held = bits.count = 0
    at = bits.at
    head = bits.data[at : at + 12]
    size = end - len(out)
    if len(head) < 12 or at + 12 + size > len(bits.data):
        raise ValueError("a plain LZX block that ends early")
    recent[:] = [int.from_bytes(head[n : n + 4], "little") for n in (0, 4, 8)]
    out += bits.data[at + 12 : at + 12 + size]
    bits.at = at + 12 + size + (size & 1)


def _matches(
    bits: _Bits, end: int, out: bytearray, recent: list[int], main: list[int], lengths: list[int],
    aligned: list[int] | None,
) -> None:  # fmt: skip
    while len(out) < end:
        symbol = bits.symbol(main, 16)
        if symbol < 256:
            out.append(symbol)
            continue
        symbol -= 256
        slot, length = symbol >> 3, symbol & 7
        if length == 7:
            length += bits.symbol(lengths, 16)
        if slot < 3:
            back = recent[slot]
            recent[slot] = recent[0]
        else:
            extra = _EXTRA[slot]
            if aligned is not None and extra >= 3:
                back = _BASE[slot] + (bits.read(extra - 3) << 3) + bits.symbol(aligned, 7) - 2
            else:
                back = _BASE[slot] + bits.read(extra) - 2
            recent[2], recent[1] = recent[1], recent[0]
        recent[0] = back
        if not back:
            raise ValueError("an LZX match that points nowhere")
        copy(out, back, min(length + 2, end - len(out)))


def _calls(out: bytearray) -> None:
    """Undo the translation of the targets of x86 calls (0xE8) from absolute to relative."""
    at = out.find(0xE8)
    end = len(out) - 10
    while 0 <= at < end:
        value = int.from_bytes(out[at + 1 : at + 5], "little", signed=True)
        if -at <= value < _CALLS:
            moved = value - at if value >= 0 else value + _CALLS
            out[at + 1 : at + 5] = (moved & 0xFFFFFFFF).to_bytes(4, "little")
        at = out.find(0xE8, at + 5)
