# SPDX-License-Identifier: Apache-2.0
"""Writes prefetch files of every version after their documented layout, plain or in MAM with literal codes only."""

from __future__ import annotations

import struct

_RUNS = {
    17: (120, 1, 144, 152),
    23: (128, 1, 152, 240),
    26: (128, 8, 208, 304),
    30: (128, 8, 208, 304),
    31: (128, 8, 200, 296),
}
_VOLUME_SIZE = {17: 40, 23: 104, 26: 104, 30: 96, 31: 96}


def filetime(seconds: int) -> int:
    return (seconds + 11_644_473_600) * 10_000_000


def prefetch(version: int, name: str, runs: int, seconds: tuple[int, ...], files: tuple[str, ...]) -> bytes:
    """A file with one volume, serial 1A2B-3C4D, and one folder on it."""
    first, most, count, metrics = _RUNS[version]
    names = "".join(f + "\0" for f in files).encode("utf-16-le")
    device, folder = "\\VOLUME{01d0}", "\\VOLUME{01d0}\\WINDOWS"
    entry = _VOLUME_SIZE[version]
    paths = (device + "\0").encode("utf-16-le")
    listed = struct.pack("<H", len(folder)) + (folder + "\0").encode("utf-16-le")
    volume = struct.pack(
        "<IIQIIIII", entry, len(device), filetime(1_500_000_000), 0x1A2B3C4D, 0, 0, entry + len(paths), 1
    )
    volume = volume.ljust(entry, b"\0") + paths + listed
    body = bytearray(metrics)
    struct.pack_into("<8I", body, 84, metrics, 0, metrics, 0, metrics, len(names), metrics + len(names), 1)
    struct.pack_into("<I", body, 116, len(volume))
    struct.pack_into(f"<{min(len(seconds), most)}Q", body, first, *map(filetime, seconds[:most]))
    struct.pack_into("<I", body, count, runs)
    body += names + volume
    struct.pack_into("<I4sII60sI", body, 0, version, b"SCCA", 17, len(body), name.encode("utf-16-le"), 0xD8414F97)
    return bytes(body)


def mam(plain: bytes) -> bytes:
    """Xpress Huffman in which every byte stands for itself: 256 codes of 8 bits, 16 bits at a time."""
    out = bytearray(b"MAM\x04" + struct.pack("<I", len(plain)))
    for at in range(0, len(plain), 65_536):
        block = plain[at : at + 65_536]
        block += bytes(-len(block) % 2)
        out += b"\x88" * 128 + bytes(128)
        swapped = bytearray(len(block))
        swapped[0::2], swapped[1::2] = block[1::2], block[0::2]
        out += swapped + bytes(2)
    return bytes(out)
