# SPDX-License-Identifier: Apache-2.0
"""Names and literal texts of a .NET assembly, from the heaps of its metadata (#Strings and #US), each with its place.

Format: ECMA-335, 6th edition, II.24.2 (metadata root, stream headers, heaps), II.25.3.3 (the CLI header).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from headwater.formats.patterns import lazy_regex

_ROOT = b"BSJB"
_MOST_ROOTS = 16
_MOST_TEXTS = 200_000
_NAME = lazy_regex(rb"[^\0]{1,1024}")


@dataclass(frozen=True, slots=True)
class Assembly:
    """The names (types, members) and the literal texts of one assembly, with (offset, length) in the file."""

    names: dict[str, tuple[int, int]]
    texts: dict[str, tuple[int, int]]


def assembly(data: bytes) -> Assembly | None:
    """The names and texts of an assembly; None where the bytes hold no metadata that can be read."""
    if not data.startswith(b"MZ"):
        return None
    at = -1
    for _ in range(_MOST_ROOTS):
        at = data.find(_ROOT, at + 1)
        if at < 0:
            return None
        streams = dict(_streams(data, at))
        if b"#Strings" in streams:
            return Assembly(_names(data, streams[b"#Strings"]), _texts(data, streams.get(b"#US", (0, 0))))
    return None


def _streams(data: bytes, root: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Name, and where each stream lies (offset, length), cut at the end of the file."""
    version = int.from_bytes(data[root + 12 : root + 16], "little")
    if version > 256:
        return
    at = root + 16 + version + 2  # after the flags
    count = int.from_bytes(data[at : at + 2], "little")
    at += 2
    for _ in range(min(count, 16)):
        head = data[at : at + 8]
        end = data.find(b"\0", at + 8, at + 8 + 32)
        if len(head) < 8 or end < 0:
            return
        offset, size = root + int.from_bytes(head[:4], "little"), int.from_bytes(head[4:], "little")
        if offset < len(data):
            yield data[at + 8 : end], (offset, min(size, len(data) - offset))
        at += 8 + (end - at - 8) // 4 * 4 + 4


def _names(data: bytes, stream: tuple[int, int]) -> dict[str, tuple[int, int]]:
    begin, size = stream
    found: dict[str, tuple[int, int]] = {}
    for match in _NAME.finditer(data, begin, begin + size):
        found.setdefault(match.group().decode("utf-8", "replace"), (match.start(), match.end() - match.start()))
        if len(found) >= _MOST_TEXTS:
            break
    return found


def _texts(data: bytes, stream: tuple[int, int]) -> dict[str, tuple[int, int]]:
    """The user strings: a compressed length, UTF-16 and one more byte (II.24.2.4)."""
    begin, size = stream
    at, end = begin, begin + size
    found: dict[str, tuple[int, int]] = {}
    while at < end and len(found) < _MOST_TEXTS:
        first = data[at]
        width = 1 if first < 0x80 else 2 if first < 0xC0 else 4
        length = int.from_bytes(data[at : at + width], "big") & {1: 0x7F, 2: 0x3FFF, 4: 0x1FFFFFFF}[width]
        at += width
        if length > end - at:
            break
        if length > 2:
            text = data[at : at + length - 1].decode("utf-16-le", "replace")
            found.setdefault(text, (at, length - 1))
        at += length
    return found
