# SPDX-License-Identifier: Apache-2.0
"""Names in XFS directories: inside the inode, in data blocks, and deleted ones in the blocks' free space.

A free stretch begins with 0xFFFF and its length, which cover half of the inode number of what stood there; the name
after it often still stands. Every record ends with its own place in the block, so a remnant is told from noise.
"""

from __future__ import annotations

import struct

from headwater.formats.ext_directories import Name, Names

_HEADERS = {b"XD2B": 16, b"XDB3": 64, b"XD2D": 16, b"XDD3": 64}
_TAILED = (b"XD2B", b"XDB3")
# XFS_DIR3_FT_*: file, dir, char, block, fifo, socket, link are 1 … 7, as ext has them
_MOST_KIND = 7


def names_inside(fork: bytes, file_types: bool) -> Names:
    """The names of a directory that fits into its inode (short form)."""
    found: list[Name] = []
    if len(fork) < 6:
        return Names(found, len(fork))
    count, wide = fork[0], fork[1]
    size = 8 if wide else 4
    at = 2 + size
    for _ in range(count):
        if at + 3 > len(fork):
            return Names(found, max(1, len(fork) - at))
        length = fork[at]
        end = at + 3 + length + file_types + size
        if not length or end > len(fork):
            return Names(found, max(1, len(fork) - at))
        name = fork[at + 3 : at + 3 + length]
        kind = fork[at + 3 + length] if file_types else 0
        found.append(Name(int.from_bytes(fork[end - size : end], "big"), name, kind & 7, True))
        at = end
    return Names(found, 0)


def names_in_block(data: bytes, file_types: bool) -> Names:
    """The names of one data block, in the order in which they stand; ``.`` and ``..`` are left out."""
    start = _HEADERS.get(data[:4])
    found: list[Name] = []
    if start is None:
        return Names(found, len(data))
    end = len(data)
    if data[:4] in _TAILED:
        end = max(start, end - 8 - 8 * int.from_bytes(data[-8:-4], "big"))
    at = start
    while at + 8 <= end:
        if data[at : at + 2] == b"\xff\xff":
            length = int.from_bytes(data[at + 2 : at + 4], "big")
            if length < 8 or length & 7 or at + length > end:
                return Names(found, end - at)
            found.extend(names_between(data, at, at + length, file_types))
            at += length
            continue
        record = _record(data, at, end, file_types)
        if record is None:
            return Names(found, end - at)
        name, length = record
        if name.name != b"." and name.name != b"..":
            found.append(name)
        at += length
    return Names(found, 0)


def _record(data: bytes, at: int, end: int, file_types: bool) -> tuple[Name, int] | None:
    if at + 16 > end:
        return None
    inode = int(struct.unpack_from(">Q", data, at)[0])
    size = data[at + 8]
    length = 8 + 1 + size + file_types + 2 + 7 & ~7
    if not size or at + length > end:
        return None
    name = data[at + 9 : at + 9 + size]
    kind = data[at + 9 + size] if file_types else 0
    return Name(inode, name, kind if kind <= _MOST_KIND else 0, True), length


def names_between(data: bytes, start: int, end: int, file_types: bool) -> list[Name]:
    """The names in a stretch of a block, live or not, by the place that each record ends with; all marked as not live."""
    found: list[Name] = []
    at = start
    while at + 16 <= end:
        record = _record(data, at, end, file_types)
        if record is not None:
            name, length = record
            tag = int.from_bytes(data[at + length - 2 : at + length], "big")
            text = name.name
            if tag == at & 0xFFFF and b"/" not in text and min(text) >= 0x20 and text not in (b".", b".."):
                # the upper half of the number was overwritten where the free stretch begins
                inode = name.inode & 0xFFFFFFFF if data[at : at + 2] == b"\xff\xff" else name.inode
                found.append(Name(inode, text, name.kind, False))
                at += length
                continue
        at += 8
    return found
