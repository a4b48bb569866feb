# SPDX-License-Identifier: Apache-2.0
"""The list in an automatic jump list: which targets a program had, when last, how often, which of them are pinned.

Source: https://github.com/libyal/dtformats/blob/main/documentation/Jump%20lists%20format.asciidoc (DestList, versions 1 to 6).
Numbers are little-endian, times FILETIME in UTC. Entries follow each other without a mark between them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

HEAD = 32
_PATH_MOST = 32_767  # characters, of the longest path that Windows knows
_UNPINNED = 0xFFFFFFFF
_NOTHING = bytes(32)


@dataclass(frozen=True, slots=True)
class Header:
    version: int
    entries: int
    pinned: int
    last_number: int
    revision: int


@dataclass(frozen=True, slots=True)
class Destination:
    """One target. ``at``, ``length``: its place in the list's stream; ``pinned``: its rank among the pinned, None where not.

    ``number`` in hexadecimal is the name of the stream with its link. ``count`` is stated since version 2; ``score`` is the
    number that the list is ordered by. ``droid`` and ``birth``: 32 bytes each, as in a link's tracker block; empty where not set.
    """

    at: int
    length: int
    number: int
    path: str
    machine: str
    used: int
    pinned: int | None
    count: int | None
    score: float
    droid: bytes
    birth: bytes


def header(data: bytes) -> Header | None:
    """The list's header; None where it is cut or of a version that is not known."""
    if len(data) < HEAD:
        return None
    version, entries, pinned, _, last, _, revision, _ = struct.unpack_from("<IIIfIIII", data)
    return Header(version, entries, pinned, last, revision) if 1 <= version <= 6 else None


def destinations(data: bytes, version: int) -> Iterator[Destination]:
    """The entries until one is cut; what is left over begins where the last one ends."""
    fixed, behind = (114, 0) if version == 1 else (130, 4)
    at = HEAD
    while at + fixed <= len(data):
        characters = struct.unpack_from("<H", data, at + fixed - 2)[0]
        length = fixed + 2 * characters + behind
        if characters > _PATH_MOST or at + length > len(data):
            return
        yield _destination(data[at : at + length], at, fixed)
        at += length


def _destination(raw: bytes, at: int, fixed: int) -> Destination:
    number, _, score, used, pin = struct.unpack_from("<IIfQI", raw, 88)
    count = struct.unpack_from("<I", raw, 116)[0] if fixed > 114 else None
    characters = struct.unpack_from("<H", raw, fixed - 2)[0]
    path = raw[fixed : fixed + 2 * characters].decode("utf-16-le", "backslashreplace").rstrip("\0")
    machine = raw[72:88].partition(b"\0")[0].decode("ascii", "backslashreplace")
    droid, birth = raw[8:40], raw[40:72]
    return Destination(
        at, len(raw), number, path, machine, used, None if pin == _UNPINNED else pin, count, score,
        b"" if droid == _NOTHING else droid, b"" if birth == _NOTHING else birth,
    )  # fmt: skip
