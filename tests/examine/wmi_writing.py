# SPDX-License-Identifier: Apache-2.0
"""Writes small WMI repositories (version 2.1): pages of objects, an index of one page, and the map of both."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from headwater.formats.wmi_instance import _WIDTHS, CLASSES
from headwater.formats.wmi_repository import PAGE, name_hash

WRITTEN = 134_000_000_000_000_000  # 2025-08-18


def instance(kind: str, values: Mapping[str, Any], when: int = WRITTEN, qualifiers: bytes = b"") -> bytes:
    """One record; texts beyond Latin-1 are written as UTF-16, ``bytes`` as an array of bytes, lists as arrays of texts."""
    layout = CLASSES[kind]
    heap = bytearray(b"\0" + kind.encode() + b"\0")
    states, table = bytearray((2 * len(layout) + 7) // 8), bytearray()

    def text(value: str) -> int:
        at = len(heap)
        plain = all(ord(c) < 256 for c in value)
        heap.extend(b"\0" + value.encode("latin-1") + b"\0" if plain else b"\1" + value.encode("utf-16-le") + b"\0\0")
        return at

    for row, (name, sort) in enumerate(layout):
        value, number = values.get(name), 0
        if value is None:
            states[row // 4] |= 1 << 2 * (row % 4)
        elif isinstance(value, str):
            number = text(value)
        elif isinstance(value, bytes):
            number = len(heap)
            heap.extend(struct.pack("<I", len(value)) + value)
        elif isinstance(value, list):
            places = [text(item) for item in value]
            number = len(heap)
            heap.extend(struct.pack(f"<I{len(places)}I", len(places), *places))
        else:
            number = 0xFFFF if value is True else int(value)
        table += number.to_bytes(_WIDTHS[sort], "little")
    body = struct.pack("<IB", 0, 0) + bytes(states) + bytes(table) + struct.pack("<I", 4 + len(qualifiers)) + qualifiers
    body += b"\1" + struct.pack("<I", len(heap) | 0x80000000) + bytes(heap)
    head = name_hash(kind).encode("utf-16-le") + struct.pack("<QQ", when, when - 9_000_000_000)
    return head + struct.pack("<I", len(body) + 4) + body


def page(records: Sequence[tuple[int, bytes]]) -> bytes:
    """One page of objects, or several where its last record is longer: the rest follows without heads."""
    at = 16 * (len(records) + 1)
    head, body = b"", b""
    for number, data in records:
        head += struct.pack("<4I", number, at + len(body), len(data), zlib.crc32(data))
        body += data
    whole = head + bytes(16) + body
    return whole + bytes(-len(whole) % PAGE)


def index(keys: Sequence[str]) -> bytes:
    """One page with these keys, whose parts stand between ``/``, in their order."""
    parts: dict[str, int] = {}
    rows, table = [], []
    for key in sorted(keys):
        rows.append(len(table))
        words = key.split("/")
        table += [len(words), *(parts.setdefault(w, len(parts)) for w in words)]
    texts, offsets = b"", []
    for part in parts:
        offsets.append(len(texts))
        texts += part.encode() + b"\0"
    count = len(rows)
    out = struct.pack("<5I", 0xACCC, 1, 0, 1, count) + bytes(4 * count) + b"\xff" * 0 + bytes(4 * (count + 1))
    out += struct.pack(f"<{count}H", *rows) + struct.pack(f"<H{len(table)}H", len(table), *table)
    out += struct.pack(f"<H{len(offsets) + 1}H", len(offsets), *offsets, len(texts)) + texts
    assert len(out) <= PAGE
    return struct.pack("<5I", 0xADDD, 0, 0, 1, 0).ljust(PAGE, b"\0") + out.ljust(PAGE, b"\0")


def mapping(objects: Sequence[int], version: int = 7) -> bytes:
    """The map of the objects' pages, then that of an index of two pages that stand in order."""
    out = b""
    for pages in (objects, (0, 1)):
        out += struct.pack("<6I", 0xABCD, version, version, version - 1, len(pages), len(pages))
        out += b"".join(struct.pack("<6I", p, 0, 0, 1, version, version - 1) for p in pages)
        out += struct.pack("<II", 0, 0xDCBA)
    return out


def key(kind: str, name: str, logical: int, number: int, size: int, space: str = "root\\subscription") -> str:
    """The key of an instance as the index has it."""
    return f"NS_{name_hash(space)}/CI_{name_hash(kind)}/IL_{name_hash(name)}.{logical}.{number}.{size}"
