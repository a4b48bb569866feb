# SPDX-License-Identifier: Apache-2.0
"""Writes small E01 sets, so that each kind of damage can be done to a known place. For tests only."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

SIGNATURE = b"EVF\x09\x0d\x0a\xff\x00"


def _adler(data: bytes) -> bytes:
    return struct.pack("<I", zlib.adler32(data))


def _section(kind: str, at: int, body: bytes, own: bool = False) -> bytes:
    following = at if own else at + 76 + len(body)
    head = kind.encode().ljust(16, b"\0") + struct.pack("<QQ", following, 76 + len(body)) + bytes(40)
    return head + _adler(head) + body


def volume(size: int, chunk: int, set_id: bytes, sector: int = 512) -> bytes:
    sectors = -(-size // sector)
    body = struct.pack("<B3xIIIQ", 1, -(-size // chunk), chunk // sector, sector, sectors)
    body = body.ljust(64, b"\0") + set_id
    body = body.ljust(1048, b"\0")
    return body + _adler(body)


def table(offsets: list[int], base: int = 0) -> bytes:
    head = struct.pack("<IIQI", len(offsets), 0, base, 0)
    entries = struct.pack(f"<{len(offsets)}I", *offsets)
    return head + _adler(head) + entries + _adler(entries)


def write_set(
    folder: Path,
    data: bytes,
    *,
    chunk: int = 4096,
    per_segment: int = 8,
    per_table: int = 4,
    set_id: bytes = b"headwater-set-01",
    errors: tuple[tuple[int, int], ...] = (),
) -> list[Path]:
    """An E01 set over ``data`` whose odd chunks are stored and whose even ones are compressed."""
    chunks = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    paths: list[Path] = []
    for number, start in enumerate(range(0, len(chunks), per_segment), 1):
        mine = chunks[start : start + per_segment]
        out = SIGNATURE + b"\x01" + struct.pack("<HH", number, 0)
        out += _section("volume" if number == 1 else "data", len(out), volume(len(data), chunk, set_id))
        for first in range(0, len(mine), per_table):
            at, body, offsets = len(out) + 76, b"", []
            for index, content in enumerate(mine[first : first + per_table], start + first):
                compressed = index % 2 == 0
                offsets.append(at + len(body) | (0x80000000 if compressed else 0))
                body += zlib.compress(content, 1) if compressed else content + _adler(content)
            out += _section("sectors", len(out), body)
            out += _section("table", len(out), table(offsets))
            out += _section("table2", len(out), table(offsets))
        if start + per_segment < len(chunks):
            out += _section("next", len(out), b"", own=True)
        else:
            if errors:
                head = struct.pack("<I", len(errors)).ljust(516, b"\0")
                entries = b"".join(struct.pack("<II", *error) for error in errors)
                out += _section("error2", len(out), head + _adler(head) + entries + _adler(entries))
            import hashlib

            digest = hashlib.md5(data).digest() + hashlib.sha1(data).digest() + bytes(40)
            out += _section("digest", len(out), digest + _adler(digest))
            out += _section("done", len(out), b"", own=True)
        path = folder / f"case.E{number:02d}"
        path.write_bytes(out)
        paths.append(path)
    return paths
