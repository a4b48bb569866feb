# SPDX-License-Identifier: Apache-2.0
"""Prefetch files of Windows XP to 11 (SCCA, versions 17, 23, 26, 30 and 31; compressed ones in MAM) as what they state.

All numbers are little-endian, times FILETIME in UTC. Every count and offset is checked against the bytes that are there.
https://github.com/libyal/libscca/blob/main/documentation/Windows%20Prefetch%20File%20(PF)%20format.asciidoc
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from headwater.formats import xpress_huffman

PLAIN_MOST = 1 << 23  # bytes; the largest known are below 2 MiB
NAMES_MOST = 16_384
VOLUMES_MOST = 64
_HEAD = 84
_VOLUME_SIZE = {17: 40, 23: 104, 26: 104, 30: 96, 31: 96}
# version: where the run times begin, how many there are, where the run count stands
_RUNS = {17: (120, 1, 144), 23: (128, 1, 152), 26: (128, 8, 208), 30: (128, 8, 208), 31: (128, 8, 208)}
_LATER_METRICS, _LATER_COUNT = 296, 200  # the shorter form of version 30 and all of 31


@dataclass(frozen=True, slots=True)
class Volume:
    """``created``: FILETIME, 0 where none is stated."""

    device: str
    serial: int
    created: int
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prefetch:
    """``times``: FILETIMEs of the last runs, the latest first, without those never set. ``size``: as the header states it."""

    version: int
    size: int
    name: str
    hash: int
    runs: int
    times: tuple[int, ...]
    files: tuple[str, ...]
    volumes: tuple[Volume, ...]


def plain(data: bytes) -> bytes:
    """The bytes of a prefetch file without its compression.

    Raises:
        ValueError: it is compressed in a way that is not known, or its stream is broken.
    """
    if data[:3] != b"MAM":
        return data
    if len(data) < 8 or data[3] & 0x7F != 4:
        raise ValueError("a MAM file that is not in Xpress Huffman")
    size = int.from_bytes(data[4:8], "little")
    if size > PLAIN_MOST:
        raise ValueError("a MAM file that states more than any prefetch file holds")
    start = 12 if data[3] & 0x80 else 8  # with its checksum
    try:
        return xpress_huffman.decompress(data[start:], size)
    except IndexError:
        raise ValueError("an XPRESS stream that ends early") from None


def read(data: bytes) -> Prefetch:
    """What a prefetch file states, without its compression.

    Raises:
        ValueError: it is none, of a version not known, or too short for its header.
    """
    if data[4:8] != b"SCCA":
        raise ValueError("no prefetch file")
    version = int.from_bytes(data[:4], "little")
    if version not in _RUNS:
        raise ValueError(f"a prefetch file of version {version}")
    first, most, count = _RUNS[version]
    if len(data) < count + 4:
        raise ValueError("a prefetch file shorter than its header")
    metrics, _, _, _, names, names_size, volumes, held = struct.unpack_from("<8I", data, _HEAD)
    if version >= 30 and metrics == _LATER_METRICS:
        count = _LATER_COUNT
    times = struct.unpack_from(f"<{most}Q", data, first)
    return Prefetch(
        version,
        int.from_bytes(data[12:16], "little"),
        _wide(data[16:76]).partition("\0")[0],
        int.from_bytes(data[76:80], "little"),
        int.from_bytes(data[count : count + 4], "little"),
        tuple(t for t in times if t),
        tuple(n for n in _wide(data[names : names + names_size]).split("\0")[:NAMES_MOST] if n),
        _volumes(data, volumes, min(held, VOLUMES_MOST), _VOLUME_SIZE[version]),
    )


def _volumes(data: bytes, start: int, count: int, size: int) -> tuple[Volume, ...]:
    found = []
    left = NAMES_MOST
    for at in range(start, start + count * size, size):
        if at + 36 > len(data):
            break
        device, length, created, serial, _, _, folders, held = struct.unpack_from("<IIQIIIII", data, at)
        text = _wide(data[start + device : start + device + 2 * min(length, 1024)])
        names = _folders(data, start + folders, min(held, left))
        left -= len(names)
        found.append(Volume(text.partition("\0")[0], serial, created, names))
    return tuple(found)


def _folders(data: bytes, at: int, count: int) -> tuple[str, ...]:
    found = []
    for _ in range(count):
        length = 2 * int.from_bytes(data[at : at + 2], "little")
        if not length or at + 2 + length > len(data):
            break
        found.append(_wide(data[at + 2 : at + 2 + length]))
        at += length + 4
    return tuple(found)


def _wide(data: bytes) -> str:
    return data[: len(data) & ~1].decode("utf-16-le", "backslashreplace")
