# SPDX-License-Identifier: Apache-2.0
"""Writes small registry hives and their transaction logs for tests, after the public description of the format.

https://github.com/msuhanov/regf/blob/master/Windows%20registry%20file%20format%20specification.md
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headwater.formats.registry_layout import checksum
from headwater.formats.registry_log import _SEEDS, marvin32

NOWHERE = 0xFFFF_FFFF
T0 = 132_000_000_000_000_000  # 2019-04-17T18:40:00Z as FILETIME
NONE, SZ, EXPAND, BINARY, DWORD, MULTI, QWORD = 0, 1, 2, 3, 4, 7, 11

Data = Any  # str: REG_SZ; int: REG_DWORD; bytes: REG_BINARY; list: REG_MULTI_SZ; (type, bytes)


def typed(data: Data) -> tuple[int, bytes]:
    """A value's type and its bytes."""
    if isinstance(data, tuple):
        return int(data[0]), bytes(data[1])
    if isinstance(data, str):
        return SZ, data.encode("utf-16-le") + b"\0\0"
    if isinstance(data, int):
        return DWORD, struct.pack("<I", data)
    if isinstance(data, list):
        return MULTI, "".join(f"{text}\0" for text in data).encode("utf-16-le") + b"\0\0"
    return BINARY, bytes(data)


@dataclass
class Node:
    """One key: ``values`` by name ('' the default one), ``keys`` by name, ``time`` as FILETIME."""

    values: dict[str, Data] = field(default_factory=dict)
    keys: dict[str, Node] = field(default_factory=dict)
    time: int = T0
    class_name: str = ""

    def at(self, path: str, time: int | None = None) -> Node:
        """The key at a path, made where it is not there."""
        here = self
        for name in path.split("\\"):
            here = here.keys.setdefault(name, Node(time=self.time))
        if time is not None:
            here.time = time
        return here


def tree(keys: Mapping[str, Mapping[str, Data]], times: Mapping[str, int] | None = None) -> Node:
    """A root from paths and their values."""
    root = Node()
    for path, values in keys.items():
        (root.at(path) if path else root).values.update(values)
    for path, time in (times or {}).items():
        (root.at(path) if path else root).time = time
    return root


class Writer:
    """Lays cells out in bins of whole pages; ``freed``: records to be left in freed cells."""

    def __init__(self, minor: int = 5, leaf: str = "lh", split: int = 500) -> None:
        self.minor, self.leaf, self.split = minor, leaf, split
        self.bins = bytearray()
        self.room = 0  # where the current bin ends
        self.at = 0

    def cell(self, content: bytes, used: bool = True) -> int:
        """Put content into a new cell; returns its offset in the bins."""
        size = -(-(4 + len(content)) // 8) * 8
        if self.at + size > self.room:
            self._bin(size)
        offset = self.at
        struct.pack_into("<i", self.bins, offset, -size if used else size)
        self.bins[offset + 4 : offset + 4 + len(content)] = content
        self.at += size
        return offset

    def _bin(self, least: int) -> None:
        if self.at < self.room:
            struct.pack_into("<i", self.bins, self.at, self.room - self.at)
        size = -(-(least + 32) // 4096) * 4096
        start = len(self.bins)
        self.bins += bytes(size)
        struct.pack_into("<4sII8xQ", self.bins, start, b"hbin", start, size, T0)
        self.at, self.room = start + 32, start + size

    def data(self, content: bytes) -> int:
        """A data cell, or a list of segments for what is big."""
        if len(content) <= 16_344 or self.minor < 4:
            return self.cell(content)
        parts = [self.cell(content[i : i + 16_344]) for i in range(0, len(content), 16_344)]
        listed = self.cell(struct.pack(f"<{len(parts)}I", *parts))
        return self.cell(struct.pack("<2sHI", b"db", len(parts), listed))

    def value(self, name: str, data: Data, used: bool = True) -> int:
        """A value's cell and its data."""
        kind, content = typed(data)
        plain = all(ord(c) < 256 for c in name)
        raw = name.encode("latin-1" if plain else "utf-16-le")
        if len(content) <= 4:
            size, where = len(content) | 0x8000_0000, int.from_bytes(content.ljust(4, b"\0"), "little")
        else:
            size, where = len(content), self.data(content)
        flags = 1 if plain and name else 0
        return self.cell(struct.pack("<2sHIIIHH", b"vk", len(raw), size, where, kind, flags, 0) + raw, used)

    def key(self, name: str, node: Node, parent: int, flags: int = 0, used: bool = True) -> int:
        """A key with all that is below it."""
        plain = all(ord(c) < 256 for c in name)
        raw = name.encode("latin-1" if plain else "utf-16-le")
        body = bytearray(76) + raw
        offset = self.cell(bytes(body), used)
        values = [self.value(n, d) for n, d in node.values.items()]
        listed = self.cell(struct.pack(f"<{len(values)}I", *values)) if values else NOWHERE
        children = [(n, self.key(n, k, offset)) for n, k in sorted(node.keys.items(), key=lambda p: p[0].upper())]
        classed = self.cell(node.class_name.encode("utf-16-le")) if node.class_name else NOWHERE
        struct.pack_into(
            "<2sHQIIIIIIIII", body, 0, b"nk", flags | (0x20 if plain else 0), node.time, 0, parent, len(children), 0,
            self.leaves(children), NOWHERE, len(values), listed, NOWHERE,
        )  # fmt: skip
        struct.pack_into("<I20xHH", body, 48, classed, len(raw), 2 * len(node.class_name))
        self.bins[offset + 4 : offset + 4 + len(body)] = body
        return offset

    def leaves(self, children: Sequence[tuple[str, int]]) -> int:
        """The list of subkeys, in an index of several lists where there are many."""
        if not children:
            return NOWHERE
        if len(children) > self.split:
            parts = [self.leaves(children[i : i + self.split]) for i in range(0, len(children), self.split)]
            return self.cell(struct.pack(f"<2sH{len(parts)}I", b"ri", len(parts), *parts))
        if self.leaf == "li":
            return self.cell(struct.pack(f"<2sH{len(children)}I", b"li", len(children), *(o for _, o in children)))
        pairs = b"".join(struct.pack("<II", o, _hash(n) if self.leaf == "lh" else 0) for n, o in children)
        return self.cell(struct.pack("<2sH", self.leaf.encode(), len(children)) + pairs)

    def hive(self, root: int, name: str = "", sequences: tuple[int, int] = (1, 1)) -> bytes:
        """The whole hive."""
        if self.at < self.room:
            struct.pack_into("<i", self.bins, self.at, self.room - self.at)
        return base(root, len(self.bins), name, sequences, self.minor) + bytes(self.bins)


def _hash(name: str) -> int:
    total = 0
    for character in name.upper():
        total = (37 * total + ord(character)) & 0xFFFF_FFFF
    return total


def base(
    root: int, size: int, name: str, sequences: tuple[int, int], minor: int = 5, kind: int = 0, whole: int = 4096
) -> bytes:
    """A base block, or the sector of it that begins a log."""
    head = bytearray(whole)
    text = name[-31:].encode("utf-16-le")
    struct.pack_into("<4sIIQIIIIIII", head, 0, b"regf", *sequences, T0, 1, minor, kind, 1, root, size, 1)
    head[48 : 48 + len(text)] = text
    struct.pack_into("<I", head, 508, checksum(bytes(head)))
    return bytes(head)


def write(root: Node, name: str = "", root_name: str = "ROOT", **more: Any) -> bytes:
    """A hive of these keys."""
    sequences = more.pop("sequences", (1, 1))
    writer = Writer(**more)
    return writer.hive(writer.key(root_name, root, NOWHERE, 0x0C), name, sequences)


def dirty(hive: bytes, secondary: int) -> bytes:
    """The same hive as it is while a write is under way."""
    head = bytearray(hive[:4096])
    struct.pack_into("<II", head, 4, secondary + 1, secondary)
    struct.pack_into("<I", head, 508, checksum(bytes(head)))
    return bytes(head) + hive[4096:]


def new_entry(sequence: int, size: int, pages: Sequence[tuple[int, bytes]]) -> bytes:
    """One entry of a log of the new form."""
    body = b"".join(struct.pack("<II", o, len(p)) for o, p in pages) + b"".join(p for _, p in pages)
    whole = -(-(40 + len(body)) // 512) * 512
    body = body.ljust(whole - 40, b"\0")
    head = struct.pack("<4sIIIII", b"HvLE", whole, 0, sequence, size, len(pages))
    head += struct.pack("<Q", marvin32(body, _SEEDS[0]))
    return head + struct.pack("<Q", marvin32(head, _SEEDS[0])) + body


def changed(old: bytes, new: bytes) -> list[tuple[int, bytes]]:
    """Pages of the bins that differ."""
    pages = []
    for at in range(4096, len(new), 4096):
        if old[at : at + 4096] != new[at : at + 4096]:
            pages.append((at - 4096, new[at : at + 4096]))
    return pages


def new_log(first: int, entries: Sequence[tuple[int, Sequence[tuple[int, bytes]]]]) -> bytes:
    """A log of the new form: (size of the bins, pages) per entry, with sequence numbers from ``first``."""
    out = base(32, entries[0][0], "", (first, first), 5, 6, 512)
    for number, (size, pages) in enumerate(entries):
        out += new_entry(first + number, size, pages)
    return out


def old_log(size: int, pages: Sequence[tuple[int, bytes]], sequence: int = 1) -> bytes:
    """A log of the old form: a bitmap of pages of 512 bytes, then those pages."""
    bits = bytearray(-(-(size // 512) // 8))
    parts: dict[int, bytes] = {}
    for at, page in pages:
        for i in range(0, len(page), 512):
            parts[(at + i) // 512] = page[i : i + 512]
            bits[(at + i) // 512 // 8] |= 1 << ((at + i) // 512 % 8)
    head = (b"DIRT" + bytes(bits)).ljust(-(-(4 + len(bits)) // 512) * 512, b"\0")
    return base(32, size, "", (sequence, sequence), 3, 1, 512) + head + b"".join(parts[n] for n in sorted(parts))
