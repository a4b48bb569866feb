# SPDX-License-Identifier: Apache-2.0
"""One hive opened: its keys and values by name, for those who look something up and those who list everything.

Nothing is written; a hive as its log files would make it is opened over other bytes (:mod:`headwater.formats.registry_log`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from headwater.formats.registry_layout import BaseBlock, Cells, base_block, cells_of, nanoseconds
from headwater.formats.registry_tree import BIG, DB, INLINE, Tree, Words, segments_of, walk

TYPES = (
    "REG_NONE", "REG_SZ", "REG_EXPAND_SZ", "REG_BINARY", "REG_DWORD", "REG_DWORD_BIG_ENDIAN", "REG_LINK", "REG_MULTI_SZ",
    "REG_RESOURCE_LIST", "REG_FULL_RESOURCE_DESCRIPTOR", "REG_RESOURCE_REQUIREMENTS_LIST", "REG_QWORD",
)  # fmt: skip
SZ, EXPAND_SZ, BINARY, DWORD, BIG_ENDIAN, LINK, MULTI_SZ, QWORD = 1, 2, 3, 4, 5, 6, 7, 11
PATH_MOST = 4_096  # characters of a key's path, and of all paths of one hive together; what is beyond begins with ``…``
PATHS_MOST = 256 << 20
TEXT_MOST = 65_536  # bytes of one value's data that become text
_SEGMENT = 16_344


def type_name(number: int) -> str:
    """The name of a value's type, or its number in hexadecimal."""
    return TYPES[number] if number < len(TYPES) else f"0x{number:08X}"


def text_of(data: bytes) -> str:
    """UTF-16LE up to the first NUL, as Windows reads it; what is no character is escaped."""
    return data[: len(data) & ~1].decode("utf-16-le", "backslashreplace").partition("\0")[0]


def behind_text(data: bytes) -> int:
    """How many bytes stand behind the first NUL of a text, where they are not all zeros: remains, or something hidden."""
    end = data.find(b"\0\0")
    while end >= 0 and end & 1:
        end = data.find(b"\0\0", end + 1)
    return len(data) - end - 2 if end >= 0 and data[end + 2 :].strip(b"\0") else 0


def texts_of(data: bytes) -> list[str]:
    """The texts of a REG_MULTI_SZ."""
    text = data[: len(data) & ~1].decode("utf-16-le", "backslashreplace").rstrip("\0")
    return text.split("\0") if text else []


@dataclass(frozen=True, slots=True)
class Value:
    """One value: ``data`` as stored, at most :data:`TEXT_MOST` bytes of it for big ones unless asked whole."""

    hive: Hive
    row: int

    @property
    def name(self) -> str:
        return self.hive.value_name(self.row)

    @property
    def type(self) -> int:
        return self.hive.value_type(self.row)

    @property
    def data(self) -> bytes:
        return self.hive.value_data(self.row)

    @property
    def offset(self) -> int:
        return int(self.hive.tree.cells.starts[self.hive.tree.value_cell[self.row]])

    @property
    def length(self) -> int:
        return int(self.hive.tree.cells.sizes[self.hive.tree.value_cell[self.row]])

    @property
    def span(self) -> tuple[int, int]:
        """Where its data stands and how long it is there; its own cell where the data is inline or not there."""
        cell = int(self.hive.tree.data_cell[self.row])
        if cell < 0 or int(self.hive.sizes[self.row]) > BIG:
            return self.offset, self.length
        size = min(int(self.hive.sizes[self.row]), int(self.hive.cells.sizes[cell]) - 4)
        return int(self.hive.cells.starts[cell]) + 4, size

    @property
    def text(self) -> str | None:
        """The text of a text value; None for another type."""
        if self.type in (SZ, EXPAND_SZ, LINK):
            return text_of(self.data)
        return "\n".join(texts_of(self.data)) if self.type == MULTI_SZ else None

    @property
    def number(self) -> int | None:
        """The number of a number value; None for another type or a wrong size."""
        data = self.data
        if self.type in (DWORD, BIG_ENDIAN) and len(data) == 4:
            return int.from_bytes(data, "big" if self.type == BIG_ENDIAN else "little")
        return int.from_bytes(data, "little") if self.type == QWORD and len(data) == 8 else None

    @property
    def shown(self) -> str:
        """The data as text, whatever its type: numbers in decimal, bytes in hexadecimal."""
        return shown(self.type, self.data)


def shown(kind: int, data: bytes) -> str:
    """Data of a type as text: see :attr:`Value.shown`."""
    if kind in (SZ, EXPAND_SZ, LINK):
        return text_of(data)
    if kind == DWORD and len(data) == 4:
        return str(int.from_bytes(data, "little"))
    if kind == MULTI_SZ:
        return "\n".join(texts_of(data))
    if kind == QWORD and len(data) == 8:
        return str(int.from_bytes(data, "little"))
    if kind == BIG_ENDIAN and len(data) == 4:
        return str(int.from_bytes(data, "big"))
    return data.hex()


@dataclass(frozen=True, slots=True)
class Key:
    """One key; ``row`` is its number in the tree."""

    hive: Hive
    row: int

    @property
    def name(self) -> str:
        return self.hive.names[self.row]

    @property
    def path(self) -> str:
        """The path below the root, with backslashes; empty for the root."""
        return self.hive.paths[self.row]

    @property
    def written(self) -> int | None:
        """When it was last written, nanoseconds since 1970."""
        return nanoseconds(int(self.hive.written[self.row]))

    @property
    def offset(self) -> int:
        return int(self.hive.tree.cells.starts[self.hive.tree.key_cell[self.row]])

    @property
    def length(self) -> int:
        return int(self.hive.tree.cells.sizes[self.hive.tree.key_cell[self.row]])

    def subkeys(self) -> Iterator[Key]:
        """Its subkeys, in the order of their list."""
        first = int(self.hive.tree.first_key[self.row])
        for row in range(first, first + int(self.hive.tree.keys_under[self.row])):
            yield Key(self.hive, row)

    def values(self) -> Iterator[Value]:
        """Its values, in the order of their list."""
        first = int(self.hive.tree.first_value[self.row])
        for row in range(first, first + int(self.hive.tree.values_in[self.row])):
            yield Value(self.hive, row)

    def key(self, path: str) -> Key | None:
        """The key at a path below this one (case does not count); None where there is none."""
        row: int | None = self.row
        for name in path.split("\\"):
            row = self.hive.under(row).get(name.lower()) if row is not None else None
        return Key(self.hive, row) if row is not None else None

    def value(self, name: str) -> Value | None:
        """The value of a name (case does not count; empty for the default value); None where there is none."""
        low = name.lower()
        return next((v for v in self.values() if v.name.lower() == low), None)

    def text(self, name: str) -> str | None:
        """The text of a value; None where there is none or it is no text."""
        value = self.value(name)
        return value.text if value is not None else None

    def number(self, name: str) -> int | None:
        """The number of a value; None where there is none or it is no number."""
        value = self.value(name)
        return value.number if value is not None else None

    def class_name(self) -> str | None:
        """The class name of the key; None where it has none."""
        return self.hive.class_name(self.row)


class Hive:
    """``data``: all bytes of the hive; ``base``: its base block."""

    def __init__(self, data: bytes, base: BaseBlock) -> None:
        self.data, self.base = data, base
        self.cells: Cells = cells_of(data, base.bins_size)
        self.words = Words(data)
        self.tree: Tree = walk(self.cells, self.words, base.root, base.version)
        body = self.cells.starts[self.tree.key_cell] + 4
        self.written = self.words.long(body + 4) | (self.words.long(body + 8) << 32)
        body = self.cells.starts[self.tree.value_cell] + 4
        self.sizes = self.words.long(body + 4)
        self.types = self.words.long(body + 12)

        self._under: dict[int, dict[str, int]] = {}

    def under(self, row: int) -> dict[str, int]:
        """The subkeys of a key by name in lower case; of two with one name the first."""
        known = self._under.get(row)
        if known is None:
            first = int(self.tree.first_key[row])
            rows = range(first, first + int(self.tree.keys_under[row]))
            known = self._under[row] = {self.names[r].lower(): r for r in reversed(rows)}
        return known

    @property
    def root(self) -> Key | None:
        return Key(self, 0) if len(self.tree.key_cell) else None

    def key(self, path: str) -> Key | None:
        """The key at a path below the root; None where there is none."""
        return self.root.key(path) if self.root is not None else None

    @functools.cached_property
    def names(self) -> list[str]:
        """The name of every key."""
        body = self.cells.starts[self.tree.key_cell] + 4
        plain = (self.words.short(body + 2) & 0x20).tolist()
        return self._texts((body + 76).tolist(), self.words.short(body + 72).tolist(), plain)

    @functools.cached_property
    def value_names(self) -> list[str]:
        """The name of every value; empty for a default value."""
        body = self.cells.starts[self.tree.value_cell] + 4
        plain = (self.words.short(body + 16) & 1).tolist()
        return self._texts((body + 20).tolist(), self.words.short(body + 2).tolist(), plain)

    def _texts(self, places: list[int], sizes: list[int], plain: list[int]) -> list[str]:
        data = self.data
        return [
            data[at : at + size].decode("latin-1")
            if one
            else data[at : at + size].decode("utf-16-le", "backslashreplace")
            for at, size, one in zip(places, sizes, plain, strict=True)
        ]

    @functools.cached_property
    def paths(self) -> list[str]:
        """The path of every key below the root; of one that is too long ``…`` and the name alone."""
        names, made = self.names, [""] * len(self.names)
        room = PATHS_MOST
        for row, parent in enumerate(self.tree.key_parent.tolist()):
            if parent < 0:
                continue
            above = made[parent]
            path = f"{above}\\{names[row]}" if above else names[row]
            room -= len(path)
            made[row] = path if len(path) <= PATH_MOST and room > 0 else f"…\\{names[row]}"
        return made

    def value_name(self, row: int) -> str:
        """The name of one value."""
        return self.value_names[row]

    def value_type(self, row: int) -> int:
        """The number of one value's type."""
        return int(self.types[row])

    def value_data(self, row: int, most: int = TEXT_MOST) -> bytes:
        """The data of one value, at most ``most`` bytes; fewer than it declares where its cell is smaller or lost."""
        size = int(self.sizes[row])
        if size & INLINE:
            at = int(self.cells.starts[self.tree.value_cell[row]]) + 12
            return self.data[at : at + min(size & ~INLINE, 4)]
        cell = int(self.tree.data_cell[row])
        if cell < 0 or not size:
            return b""
        if size > BIG and self.base.version >= (1, 4):
            whole = self._big(cell, min(size, most))
            if whole is not None:
                return whole
        at = int(self.cells.starts[cell]) + 4
        return self.data[at : at + min(size, int(self.cells.sizes[cell]) - 4, most)]

    def _big(self, cell: int, size: int) -> bytes | None:
        if self.words.short(np.array([self.cells.starts[cell] + 4]))[0] != DB:
            return None
        parts: list[bytes] = []
        for segment in segments_of(self.cells, self.words, cell)[1:]:
            at = int(self.cells.starts[segment]) + 4
            parts.append(self.data[at : at + min(_SEGMENT, size, int(self.cells.sizes[segment]) - 4)])
            size -= len(parts[-1])
            if size <= 0:
                break
        return b"".join(parts)

    def class_name(self, row: int) -> str | None:
        """The class name of one key; None where it has none."""
        at = np.array([self.cells.starts[self.tree.key_cell[row]] + 4])
        size = int(self.words.short(at + 74)[0])
        cell = int(self.cells.at(self.words.long(at + 48))[0])
        if not size or cell < 0:
            return None
        start = int(self.cells.starts[cell]) + 4
        return text_of(self.data[start : start + min(size, int(self.cells.sizes[cell]) - 4)])


def open_hive(data: bytes) -> Hive | None:
    """A hive over its bytes; None where they do not begin with a base block of a hive, or of a version not read here."""
    base = base_block(data)
    if base is None or base.file_type != 0 or base.version[0] != 1 or base.version[1] < 2:
        return None
    return Hive(data, base)
