# SPDX-License-Identifier: Apache-2.0
"""Makes small ESE databases: a header and its copy, a catalog, tables with their long values, on small or large pages."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MAGIC = 0x89ABCDEF
SHADOW = 24  # where the catalog's copy begins
ROOT, LEAF, LONG, NEW_RECORD = 0x1, 0x2, 0x80, 0x800
BIT, BYTE, SHORT, LONG_INT, CURRENCY, DATE, BINARY, TEXT = 1, 2, 3, 4, 5, 8, 9, 10
LONG_BINARY, LONG_TEXT, ULONG, LONGLONG, GUID, USHORT = 11, 12, 14, 15, 16, 17
_FORMS = {BYTE: "<B", SHORT: "<h", LONG_INT: "<i", CURRENCY: "<q", ULONG: "<I", LONGLONG: "<q", USHORT: "<H"}
_WIDTHS = {BIT: 1, BYTE: 1, SHORT: 2, LONG_INT: 4, CURRENCY: 8, DATE: 8, ULONG: 4, LONGLONG: 8, GUID: 16, USHORT: 2}
Row = Mapping[str, object]


@dataclass
class Tab:
    """A table to be made: columns as (name, type), rows by column name; ``struck`` rows are marked as deleted."""

    name: str
    columns: Sequence[tuple[str, int]]
    rows: Sequence[Row]
    struck: frozenset[int] = frozenset()
    packed: Mapping[bytes, bytes] = field(default_factory=dict)  # the form in which a tagged value is stored


def page(
    size: int, number: int, owner: int, flags: int, nodes: Sequence[tuple[bytes, bytes, bool]], following: int = 0
) -> bytes:
    """A page of nodes (key, data, struck), its first tag the external header of a root."""
    small = size <= 8192
    body = bytearray(16 if flags & ROOT else 0)
    tags = [(0, len(body), 0)]
    for key, data, struck in nodes:
        node = struct.pack("<H", len(key) | (0 if small else 0x4000 * struck)) + key + data
        tags.append((len(body), len(node), 2 * struck if small else 0))
        body += node
    out = bytearray(size)
    start = 40 if small else 80
    free = size - start - len(body) - 4 * len(tags)
    assert free >= 0, "too much for one page"
    struct.pack_into("<QIIIHHHHI", out, 8, 1, 0, following, owner, free, 0, len(body), len(tags), flags | NEW_RECORD)
    out[start : start + len(body)] = body
    for index, (at, length, state) in enumerate(tags):
        struct.pack_into("<HH", out, size - 4 * (index + 1), length, at | state << 13)
    if small:
        struct.pack_into("<I", out, 4, number)
        struct.pack_into("<I", out, 0, _xor(bytes(out[4:])))
    else:
        struct.pack_into("<I", out, 64, number)
    return bytes(out)


def _xor(data: bytes) -> int:
    total = MAGIC
    for word in struct.unpack(f"<{len(data) // 4}I", data):
        total ^= word
    return total


def _numbers(columns: Sequence[tuple[str, int]]) -> list[tuple[int, str, int]]:
    """Columns with their numbers: fixed from 1, variable from 128, tagged from 256."""
    after = {"fixed": 0, "variable": 127, "tagged": 255}
    found = []
    for name, kind in columns:
        what = "tagged" if kind in (LONG_BINARY, LONG_TEXT) else "variable" if kind in (BINARY, TEXT) else "fixed"
        after[what] += 1
        found.append((after[what], name, kind))
    return found


def _raw(kind: int, value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-16-le")
    if kind == DATE:
        return struct.pack("<d", value)
    if kind == BIT:
        return b"\xff" if value else b"\0"
    return struct.pack(_FORMS[kind], value)


def record(
    columns: Sequence[tuple[int, str, int]], row: Row, small: bool, long_values: list[bytes], most: int = 400
) -> bytes:
    """One record; tagged values longer than ``most`` go to ``long_values`` and leave their number."""
    fixed = [c for c in columns if c[0] < 128]
    variable = [c for c in columns if 128 <= c[0] < 256]
    body = bytearray()
    nulls = bytearray((len(fixed) + 7) // 8)
    for index, (_, name, kind) in enumerate(fixed):
        if row.get(name) is None:
            nulls[index // 8] |= 1 << index % 8
            body += b"*" * _WIDTHS[kind]
        else:
            body += _raw(kind, row[name])
    ends, data = [], bytearray()
    for _, name, kind in variable:
        held = row.get(name)
        data += b"" if held is None else held.encode("latin-1") if isinstance(held, str) else _raw(kind, held)
        ends.append(len(data) | (0x8000 if held is None else 0))
    out = struct.pack("<BBH", len(fixed), 127 + len(variable), 4 + len(body) + len(nulls)) + body + nulls
    out += struct.pack(f"<{len(ends)}H", *ends) + data
    present = [
        (number, _raw(kind, row[name])) for number, name, kind in columns if number > 255 and row.get(name) is not None
    ]
    heads, tail = b"", b""
    for number, value in present:
        at = 4 * len(present) + len(tail)
        flags = 1
        if len(value) > most:
            long_values.append(value)
            value, flags = struct.pack("<I", len(long_values)), 5
        heads += struct.pack("<HH", number, at | (0x4000 if small else 0))
        tail += bytes((flags,)) + value
    return out + heads + tail


def _catalog(tables: Sequence[Tab], roots: Mapping[str, tuple[int, int]], first: int) -> list[bytes]:
    lines: list[bytes] = []

    def line(
        owner: int, kind: int, number: int, what: int, space: int, codepage: int, name: str, at: int | None = None
    ) -> None:
        fixed = struct.pack("<IHIIIII", owner, kind, number, what & 0xFFFFFFFF, space, 0, codepage)
        fixed += b"\x00" if at is None else b"\x00" + struct.pack("<H", at)
        count = 8 if at is None else 9
        nulls = bytes((count + 7) // 8)
        head = struct.pack("<BBH", count, 128, 4 + len(fixed) + len(nulls))
        raw = name.encode("ascii")
        lines.append(head + fixed + nulls + struct.pack("<H", len(raw)) + raw)

    for index, table in enumerate(tables):
        owner = first + index
        line(owner, 1, owner, roots[table.name][0], 1, 0, table.name)
        at = 4
        for number, name, kind in _numbers(table.columns):
            width = _WIDTHS.get(kind, 0)
            line(owner, 2, number, kind, width, 1200 if kind == LONG_TEXT else 1252, name, at if number < 128 else None)
            at += width if number < 128 else 0
        if roots[table.name][1]:
            line(owner, 4, owner, roots[table.name][1], 1, 0, "LV")
    return lines


def header(size: int, state: int) -> bytes:
    out = bytearray(size)
    struct.pack_into("<III", out, 4, MAGIC, 0x620, 0)
    struct.pack_into("<I", out, 52, state)
    struct.pack_into("<II", out, 232, 0x14, size)
    struct.pack_into("<I", out, 0, _xor(bytes(out[4:])))
    return bytes(out)


def database(tables: Sequence[Tab], size: int = 4096, state: int = 3, chunk: int = 1000, shadow: bool = True) -> bytes:
    """A whole database: every table one page where it fits, else leaves under one branch.

    ``shadow``: with the copy of the catalog, which other readers want.
    """
    small = size <= 8192
    pages: dict[int, bytes] = {}
    after = 4

    def take() -> int:
        nonlocal after
        after += 2 if shadow and after + 1 == SHADOW else 1
        return after

    def tree(root: int, owner: int, flags: int, nodes: list[tuple[bytes, bytes, bool]]) -> None:
        room = size - 200
        groups: list[list[tuple[bytes, bytes, bool]]] = [[]]
        used = 0
        for node in nodes:
            need = len(node[0]) + len(node[1]) + 6
            if used + need > room:
                groups.append([])
                used = 0
            groups[-1].append(node)
            used += need
        if len(groups) == 1:
            pages[root] = page(size, root, owner, flags | ROOT | LEAF, groups[0])
            return
        numbers = [take() for _ in groups]
        branch = []
        for index, (number, group) in enumerate(zip(numbers, groups, strict=True)):
            following = numbers[index + 1] if index + 1 < len(numbers) else 0
            pages[number] = page(size, number, owner, flags | LEAF, group, following)
            bound = groups[index + 1][0][0] if following else b""
            branch.append((bound, struct.pack("<I", number), False))
        pages[root] = page(size, root, owner, flags | ROOT | 4, branch)

    roots: dict[str, tuple[int, int]] = {}
    for index, table in enumerate(tables):
        root = take()
        long_values: list[bytes] = []
        columns = _numbers(table.columns)
        nodes = [
            (struct.pack(">I", n), record(columns, row, small, long_values), n in table.struck)
            for n, row in enumerate(table.rows)
        ]
        tree(root, 10 + index, 0, nodes)
        long_root = 0
        if long_values:
            long_root = take()
            chunks = []
            for number, value in enumerate(long_values, 1):
                key = struct.pack(">I", number)
                chunks.append((key, struct.pack("<II", 1, len(value)), False))
                for at in range(0, len(value), chunk):
                    piece = value[at : at + chunk]
                    chunks.append((key + struct.pack(">I", at), table.packed.get(piece, piece), False))
            tree(long_root, 10 + index, LONG, chunks)
        roots[table.name] = root, long_root
    lines = _catalog(tables, roots, 10)
    for root in (4, SHADOW)[: 1 + shadow]:
        tree(root, 2 if root == 4 else 3, 0, [(struct.pack(">I", n), line, False) for n, line in enumerate(lines)])
    out = bytearray(header(size, state) * 2)
    for number in range(1, max(after, SHADOW * shadow) + 1):
        out += pages.get(number, bytes(size))
    return bytes(out)
