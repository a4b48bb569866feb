# SPDX-License-Identifier: Apache-2.0
"""Windows Defender's quarantine: RC4 under one published key, an entry of two sections, content as backup streams.

Format: https://blog.fox-it.com/2023/12/14/reverse-reveal-recover-windows-defender-quarantine-forensics/; the key also in
https://github.com/brad-sp/cuckoo-modified (lib/cuckoo/common/quarantine.py); streams are WIN32_STREAM_ID,
https://learn.microsoft.com/windows/win32/api/winbase/ns-winbase-win32_stream_id.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

HEADER = 60
STREAM_HEADER = 20
DATA_STREAM = 1
_KEY = bytes.fromhex(
    "1e87781b8dbaa844ce69702c0c78b786a3f623b738f5edf9af83530fb3fc54faa21eb9cf1331fd0f0da954f687cb9e18279697900e53fb317c9cbce48e23d053"
    "71ecc15951b8f3649d7ca33ed68dc9047e82c9baad9799d0d458cb847ca9ffbe3c8a775233557dde13a8b14087cc1bc8f10f6ecdd083a959cff84a9d1d50755e"
    "3e191818af23e2293558766d2c07e25712b2ca0b535ed8f6c56ce73d24bdd0291771861a54b4c285a9a3db7aca6d224aeacd621db9f2a22ed1e9e11d75bed7dc"
    "0ecb0a8e68a2ff1263408dc808dffd164b116774cd0b9b8d05411ed6262e429ba495676b8398db2f35d3c1b9ced52636f2765e1a95cb7ca4c3ddabddbff38253"
)
_TEXT = 32_768


class _Keystream:
    """The key's stream from its beginning, as far as it was asked for: every section and file starts anew with it."""

    def __init__(self) -> None:
        self.made = bytearray()
        box, j = list(range(256)), 0
        for i in range(256):
            j = (j + box[i] + _KEY[i]) & 255
            box[i], box[j] = box[j], box[i]
        self.box, self.i, self.j = box, 0, 0

    def upto(self, count: int) -> bytearray:
        box, i, j, made = self.box, self.i, self.j, self.made
        for _ in range(count - len(made)):
            i = (i + 1) & 255
            a = box[i]
            j = (j + a) & 255
            b = box[j]
            box[i], box[j] = b, a
            made.append(box[(a + b) & 255])
        self.i, self.j = i, j
        return made


_STREAM = _Keystream()


def decrypted(data: bytes) -> bytes:
    """One section or file in the clear; RC4 is its own inverse."""
    stream = np.frombuffer(bytes(_STREAM.upto(len(data))[: len(data)]), np.uint8)
    return (np.frombuffer(data, np.uint8) ^ stream).tobytes()


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing that an entry put away; times are FILETIME, None where the entry does not state them."""

    path: str
    kind: str
    stored_as: str | None = None
    created: int | None = None
    accessed: int | None = None
    written: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """``time``: FILETIME of the quarantine; ``length``: bytes of the file that it took; ``lost``: resources that do not hold."""

    number: str
    scan: str
    time: int
    threat_id: int
    threat: str
    resources: tuple[Resource, ...]
    length: int
    lost: int


def entry(data: bytes) -> Entry:
    """The entry that a file of the folder Entries holds. Raises ValueError with the reason where it holds none."""
    if len(data) < HEADER:
        raise ValueError("an entry cut in its header")
    first, second = struct.unpack_from("<II", decrypted(data[:HEADER]), 40)
    end = HEADER + first + second
    if first < 53 or second < 4 or end > len(data):
        raise ValueError("the sizes of its sections do not fit: no entry, or a cut one")
    told = decrypted(data[HEADER : HEADER + first])
    body = decrypted(data[HEADER + first : end])
    number, scan, time, threat_id = struct.unpack_from("<16s16sQQ", told)
    threat = told[52:].partition(b"\0")[0].decode("utf-8", "backslashreplace")
    count = struct.unpack_from("<I", body)[0]
    most = (len(body) - 4) // 4
    offsets = struct.unpack_from(f"<{min(count, most)}I", body, 4)
    found = [one for one in (_resource(body, at) for at in offsets) if one is not None]
    return Entry(_guid(number), _guid(scan), time, threat_id, threat, tuple(found), end, count - len(found))


def _guid(raw: bytes) -> str:
    first, second, third = struct.unpack_from("<IHH", raw)
    return f"{{{first:08X}-{second:04X}-{third:04X}-{raw[8:10].hex().upper()}-{raw[10:].hex().upper()}}}"


def _resource(body: bytes, at: int) -> Resource | None:
    end = body.find(b"\0\0", at, at + 2 * _TEXT)
    while end >= 0 and (end - at) % 2:
        end = body.find(b"\0\0", end + 1, at + 2 * _TEXT)
    if end < 0 or end + 4 > len(body):
        return None
    path = body[at:end].decode("utf-16-le", "backslashreplace")
    count = struct.unpack_from("<H", body, end + 2)[0]
    kind, _, _ = body[end + 4 : end + 4 + 64].partition(b"\0")
    place = end + 4 + len(kind) + 1
    fields: dict[int, bytes] = {}
    for _ in range(count):
        place = (place + 3) & ~3
        if place + 4 > len(body):
            break
        size, tag = struct.unpack_from("<HH", body, place)
        fields.setdefault(tag & 0xFFF, body[place + 4 : place + 4 + size])
        place += 4 + size
    times = [int.from_bytes(fields[tag], "little") if len(fields.get(tag, b"")) == 8 else None for tag in (15, 16, 17)]
    if fields.get(12):
        path = fields[12].decode("utf-16-le", "backslashreplace").rstrip("\0")
    stored = fields[2].hex().upper() if fields.get(2) else None
    return Resource(path, kind.decode("latin-1"), stored, times[0], times[1], times[2])


def streams(plain: bytes) -> Iterator[tuple[int, str, bytes]]:
    """(kind, name, bytes) of the backup streams of a decrypted file of ResourceData; ends where one does not fit."""
    at = 0
    while at + STREAM_HEADER <= len(plain):
        kind, _, size, named = struct.unpack_from("<IIQI", plain, at)
        start = at + STREAM_HEADER + named
        if not 1 <= kind <= 11 or named > 2 * _TEXT or start + size > len(plain):
            return
        yield (
            kind,
            plain[at + STREAM_HEADER : start].decode("utf-16-le", "backslashreplace"),
            plain[start : start + size],
        )
        at = start + size
