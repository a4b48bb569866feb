# SPDX-License-Identifier: Apache-2.0
"""Looks up single values of a hive without reading the rest of it, where only a name or a zone is wanted.

Follows offsets through ``pread`` alone; every list is bounded, a wrong length ends the search. The hive is taken as recorded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from headwater.formats.registry_layout import BASE, base_block

_LIST_MOST = 65_535
_DATA_MOST = 4096
_CELL_MOST = 1 << 20
Read = Callable[[int, int], bytes]


class Lookup:
    """Single keys and values of the hive behind ``pread``."""

    def __init__(self, pread: Read) -> None:
        self._pread = pread
        base = base_block(pread(0, 512))
        self._root = base.root if base is not None and base.file_type == 0 else None

    def _cell(self, offset: int) -> bytes:
        """The content of the cell at an offset of the bins; empty where there is none in use."""
        head = self._pread(BASE + offset, 4)
        size = -struct.unpack("<i", head)[0] if len(head) == 4 else 0
        return self._pread(BASE + offset + 4, size - 4) if 8 <= size <= _CELL_MOST else b""

    def _subkeys(self, offset: int, whole: bool = True) -> Iterator[int]:
        cell = self._cell(offset)
        if len(cell) < 4:
            return
        kind, count = cell[:2], struct.unpack_from("<H", cell, 2)[0]
        step = {b"lf": 8, b"lh": 8, b"li": 4, b"ri": 4}.get(kind)
        if step is None:
            return
        for number in range(min(count, (len(cell) - 4) // step)):
            found = struct.unpack_from("<I", cell, 4 + number * step)[0]
            if kind != b"ri":
                yield found
            elif whole:
                yield from self._subkeys(found, False)

    def _key(self, path: str) -> bytes | None:
        """The record of the key at a path below the root; case does not count."""
        if self._root is None:
            return None
        key = self._cell(self._root)
        for name in path.split("\\"):
            if len(key) < 76 or key[:2] != b"nk":
                return None
            listed = struct.unpack_from("<I", key, 28)[0]
            for number, offset in enumerate(self._subkeys(listed)):
                found = self._cell(offset)
                if number >= _LIST_MOST:
                    return None
                if _named(found, 72, 76, 2, 0x20) == name.lower():
                    key = found
                    break
            else:
                return None
        return key

    def value(self, path: str, name: str) -> bytes | None:
        """The data of a value, at most 4 KiB; None where there is none."""
        key = self._key(path)
        if key is None or len(key) < 76:
            return None
        count, listed = struct.unpack_from("<II", key, 36)
        entries = self._cell(listed) if count else b""
        for number in range(min(count, len(entries) // 4, _LIST_MOST)):
            found = self._cell(struct.unpack_from("<I", entries, 4 * number)[0])
            if len(found) >= 20 and found[:2] == b"vk" and _named(found, 2, 20, 16, 1) == name.lower():
                size, at = struct.unpack_from("<II", found, 4)
                if size & 0x8000_0000:
                    return found[8 : 8 + min(size & 0x7FFF_FFFF, 4)]
                return self._cell(at)[: min(size, _DATA_MOST)]
        return None


def _named(record: bytes, size_at: int, name_at: int, flags_at: int, plain: int) -> str:
    """The name in the record of a key or value, in lower case."""
    if len(record) < name_at:
        return ""
    size, flags = struct.unpack_from("<H", record, size_at)[0], struct.unpack_from("<H", record, flags_at)[0]
    raw = record[name_at : name_at + size]
    return (raw.decode("latin-1") if flags & plain else raw.decode("utf-16-le", "backslashreplace")).lower()
