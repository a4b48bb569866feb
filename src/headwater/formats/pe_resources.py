# SPDX-License-Identifier: Apache-2.0
"""Resources of a Windows program or library: where those of one type stand in the file.

Source: https://learn.microsoft.com/windows/win32/debug/pe-format (sections, the resource directory). Numbers are little-endian.
The tree has three levels: type, name, language. What points outside of the file, or twice to one place, is left out.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MESSAGE_TABLE = 11
_HEAD = 4096
_SECTIONS_MOST = 96
_ENTRIES_MOST = 4096  # of one directory
_FOUND_MOST = 4096
_LOOKED_MOST = 1 << 18  # entries of all directories together: those of a hostile tree can share them
_DIRECTORY = 0x80000000

Pread = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource: its language (a Windows language number), its place in the file, its length in bytes."""

    language: int
    offset: int
    length: int


def resources(pread: Pread, size: int, kind: int | str) -> tuple[Resource, ...]:
    """The resources of a type (a number, or a name in capitals), in the order of the tree; none where the file has none."""
    sections = _sections(pread)
    if sections is None:
        return ()
    table, spans = sections
    root = _place(spans, table)
    if root is None:
        return ()
    return tuple(_found(pread, size, root, spans, kind))


def _sections(pread: Pread) -> tuple[int, list[tuple[int, int, int]]] | None:
    """The address of the resource directory, and (address, length, place) of the sections."""
    head = pread(0, _HEAD)
    if head[:2] != b"MZ" or len(head) < 64:
        return None
    at = int.from_bytes(head[60:64], "little")
    if at + 24 > len(head):
        head, at = pread(at, _HEAD), 0
    if head[at : at + 4] != b"PE\0\0" or len(head) < at + 24:
        return None
    count, optional = struct.unpack_from("<H12xH", head, at + 6)
    wide = head[at + 24 : at + 26] == b"\x0b\x02"
    directory = at + 24 + (112 if wide else 96) + 16
    first = at + 24 + optional
    if count > _SECTIONS_MOST or directory + 8 > first or first + 40 * count > len(head):
        return None
    table = int.from_bytes(head[directory : directory + 4], "little")
    spans = []
    for row in range(count):
        virtual, address, raw, place = struct.unpack_from("<4I", head, first + 40 * row + 8)
        spans.append((address, min(max(virtual, raw), raw or virtual), place))
    return (table, spans) if table else None


def _place(spans: list[tuple[int, int, int]], address: int) -> int | None:
    for begin, length, place in spans:
        if begin <= address < begin + length:
            return place + address - begin
    return None


def _entries(pread: Pread, at: int) -> list[tuple[int, int]]:
    head = pread(at, 16)
    if len(head) < 16:
        return []
    named, numbered = struct.unpack_from("<HH", head, 12)
    data = pread(at + 16, 8 * min(named + numbered, _ENTRIES_MOST))
    return [struct.unpack_from("<II", data, i) for i in range(0, len(data) & ~7, 8)]


def _found(
    pread: Pread, size: int, root: int, spans: list[tuple[int, int, int]], kind: int | str
) -> Iterator[Resource]:
    seen: set[int] = set()
    waiting = [(root + (to & ~_DIRECTORY), 1) for name, to in _entries(pread, root) if _is(pread, root, name, kind)]
    found = looked = 0
    while waiting and found < _FOUND_MOST and len(seen) < _FOUND_MOST and looked < _LOOKED_MOST:
        at, level = waiting.pop(0)
        if at in seen or at >= size:
            continue
        seen.add(at)
        entries = _entries(pread, at)
        looked += len(entries)
        for name, to in entries:
            if to & _DIRECTORY:
                if level < 2:
                    waiting.append((root + (to & ~_DIRECTORY), level + 1))
                continue
            data = b"" if root + to in seen else pread(root + to, 16)
            if len(data) < 16:
                continue
            seen.add(root + to)
            address, length = struct.unpack_from("<II", data)
            place = _place(spans, address)
            if place is not None and length and place + length <= size:
                found += 1
                yield Resource(name & 0xFFFF, place, length)


def _is(pread: Pread, root: int, name: int, kind: int | str) -> bool:
    if not name & _DIRECTORY:
        return name == kind
    if not isinstance(kind, str):
        return False
    raw = pread(root + (name & ~_DIRECTORY), 2 + 2 * len(kind))
    return raw == struct.pack("<H", len(kind)) + kind.encode("utf-16-le")
