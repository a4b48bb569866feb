# SPDX-License-Identifier: Apache-2.0
"""Writes compound files after [MS-CFB] with short streams, and the list of an automatic jump list."""

from __future__ import annotations

import struct
from collections.abc import Mapping

_FREE, _END, _TABLE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def _entry(name: str, kind: int, start: int, size: int, right: int = _FREE, child: int = _FREE) -> bytes:
    raw = name.encode("utf-16-le")
    head = raw.ljust(64, b"\0") + struct.pack("<HBBIII", len(raw) + 2, kind, 1, _FREE, right, child)
    return head + bytes(16 + 4 + 8 + 8) + struct.pack("<IQ", start, size)


def compound(streams: Mapping[str, bytes], remains: bytes = b"") -> bytes:
    """Streams of less than 4096 bytes in the short sectors; ``remains`` stands in short sectors that none has."""
    mini, mini_table, entries = bytearray(), [], []
    for index, (name, data) in enumerate(streams.items()):
        sectors = -(-len(data) // 64)
        first = len(mini_table)
        mini_table += [first + n + 1 for n in range(sectors - 1)] + [_END] * bool(sectors)
        mini += data.ljust(64 * sectors, b"\0")
        entries.append(_entry(name, 2, first, len(data), index + 2 if index + 1 < len(streams) else _FREE))
    mini += remains
    mini_table += [_FREE] * (-(-len(remains) // 64))
    mini += bytes(-len(mini) % 512)
    directory_size = -(-(len(entries) + 1) // 4)
    table_size = -(-len(mini_table) // 128)
    mini_first = 1 + directory_size + table_size
    mini_sectors = len(mini) // 512
    directory = _entry("Root Entry", 5, mini_first, len(mini), child=1) + b"".join(entries)
    table = [
        _TABLE,
        *range(2, directory_size + 1),
        _END,
        *range(directory_size + 2, directory_size + table_size + 1),
        _END,
    ]
    table += [*range(mini_first + 1, mini_first + mini_sectors), _END]
    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<5H6x", 0x3E, 3, 0xFFFE, 9, 6)
    head += struct.pack("<9I", 0, 1, 1, 0, 4096, 1 + directory_size, table_size, _END, 0)
    head += struct.pack("<109I", 0, *[_FREE] * 108)
    body = b"".join(struct.pack("<I", n) for n in table).ljust(512, b"\xff") + directory.ljust(
        512 * directory_size, b"\0"
    )
    body += b"".join(struct.pack("<I", n) for n in mini_table).ljust(512 * table_size, b"\xff") + bytes(mini)
    return head + body


def destinations(*rows: tuple[int, str, int, int, int], version: int = 4, machine: str = "SRV01") -> bytes:
    """Rows: entry number, path, FILETIME of the last use, pin rank or -1, count."""
    droid = bytes.fromhex("000102030405460788090a0b0c0d0e0f") + bytes.fromhex("001122334455e1118000020000000001")
    out = struct.pack("<IIIfIIII", version, len(rows), sum(r[3] >= 0 for r in rows), 1.5, len(rows), 0, 7, 0)
    for number, path, used, pin, count in rows:
        out += bytes(8) + droid * 2 + machine.encode().ljust(16, b"\0")
        out += struct.pack("<IIfQi", number, 0, 2.5, used, pin)
        out += struct.pack("<iIQ", -1, count, 0) if version > 1 else b""
        out += struct.pack("<H", len(path.encode("utf-16-le")) // 2) + path.encode("utf-16-le")
        out += bytes(4) if version > 1 else b""
    return out
