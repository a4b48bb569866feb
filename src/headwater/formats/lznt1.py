# SPDX-License-Identifier: Apache-2.0
"""LZNT1, the compression of NTFS: chunks of at most 4096 bytes, each by itself.

Source: [MS-XCA] 2.5, https://learn.microsoft.com/openspecs/windows_protocols/ms-xca/.
"""

from __future__ import annotations

CHUNK = 4096


def decompress(data: bytes, most: int) -> bytes:
    """The plain bytes of a run of chunks, at most ``most``; what a chunk does not fill is zeros, as in NTFS.

    Raises:
        ValueError: a chunk that cannot be; what stands before it is lost to the caller with it.
    """
    out = bytearray()
    at = 0
    while at + 2 <= len(data) and len(out) < most:
        head = data[at] | data[at + 1] << 8
        if not head:
            break
        end = at + 3 + (head & 0xFFF)
        if end > len(data):
            raise ValueError("an LZNT1 chunk that reaches past its end")
        if len(out) % CHUNK:  # only the last chunk may be short
            out += bytes(CHUNK - len(out) % CHUNK)
        if head & 0x8000:
            _chunk(data, at + 2, end, out)
        else:
            out += data[at + 2 : end]
        at = end
    return bytes(out[:most])


def _chunk(data: bytes, at: int, end: int, out: bytearray) -> None:
    start = len(out)
    while at < end:
        flags = data[at]
        at += 1
        if not flags:
            held = data[at : min(at + 8, end)]
            out += held
            at += len(held)
            continue
        for bit in range(8):
            if at >= end:
                break
            if not flags >> bit & 1:
                out.append(data[at])
                at += 1
                continue
            if at + 2 > end:
                raise ValueError("an LZNT1 pair cut in two")
            pair = data[at] | data[at + 1] << 8
            at += 2
            done = len(out) - start
            width = max(4, (done - 1).bit_length()) if done else 0
            shift = 16 - width
            back = (pair >> shift) + 1
            length = (pair & (1 << shift) - 1) + 3
            if not done or back > done:
                raise ValueError("an LZNT1 pair that points before its chunk")
            if back >= length:
                out += out[-back : len(out) - back + length]
            else:
                held = bytes(out[-back:])
                out += (held * (length // back + 1))[:length]
    if len(out) - start > CHUNK:
        raise ValueError("an LZNT1 chunk of more than 4096 bytes")
