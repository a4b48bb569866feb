# SPDX-License-Identifier: Apache-2.0
"""The header of an rpm package as the database keeps it: an index of tags and a store of values.

Format: https://rpm-software-management.github.io/rpm/manual/format_header.html and .../tags.html: two big-endian counts,
entries of 16 bytes (tag, type, offset, count), then the store. Hostile counts and offsets give fewer tags, never an error
other than ``BadHeader``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

ENTRIES_MOST = 100_000
ITEMS_MOST = 2_000_000
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8}
_CODES = {1: "B", 2: "B", 3: "H", 4: "I", 5: "Q"}
# https://rpm-software-management.github.io/rpm/manual/tags.html
NAME, VERSION, RELEASE, EPOCH, INSTALL_TIME, VENDOR, ARCH, SOURCE = 1000, 1001, 1002, 1003, 1008, 1011, 1022, 1044
CAPABILITIES = 5010
MODES, DIGESTS, FLAGS, DIR_INDEXES, BASE_NAMES, DIR_NAMES, DIGEST_ALGORITHM = 1030, 1035, 1037, 1116, 1117, 1118, 5011
CONFIG, GHOST = 1, 64  # bits of FLAGS
ALGORITHMS = {1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224"}


class BadHeader(ValueError):
    """The bytes are no rpm header."""


@dataclass(frozen=True, slots=True)
class PackagedFile:
    path: str
    digest: str
    config: bool
    ghost: bool
    mode: int | None
    capabilities: str | None = None


def tags(data: bytes) -> dict[int, Any]:
    """The tags of a header: lists of ints, text, lists of texts, or bytes, by number; unreadable ones are left out.

    Raises:
        BadHeader: the index does not fit the bytes.
    """
    if len(data) < 8:
        raise BadHeader("a header of less than 8 bytes")
    count, size = struct.unpack_from(">II", data)
    store = 8 + 16 * count
    if not 0 < count <= ENTRIES_MOST or store + size > len(data):
        raise BadHeader("an index that does not fit its bytes")
    body = data[store : store + size]
    found: dict[int, Any] = {}
    for at in range(8, store, 16):
        tag, kind, offset, items = struct.unpack_from(">IIiI", data, at)
        if 0 <= offset <= len(body) and items <= ITEMS_MOST:
            value = _value(body, kind, offset, items)
            if value is not None:
                found.setdefault(tag, value)
    return found


def _value(body: bytes, kind: int, offset: int, items: int) -> Any:
    if kind in _SIZES:
        if offset + _SIZES[kind] * items > len(body):
            return None
        return list(struct.unpack_from(f">{items}{_CODES[kind]}", body, offset))
    if kind == 7:
        return body[offset : offset + items] if offset + items <= len(body) else None
    if kind in (6, 8, 9):
        texts = _texts(body, offset, 1 if kind == 6 else items)
        if texts is None:
            return None
        return texts[0] if kind != 8 and texts else texts
    return None


def _texts(body: bytes, offset: int, items: int) -> list[str] | None:
    parts = body[offset:].split(b"\0", items) if items else []
    if len(parts) <= items and items:
        return None
    return [p.decode("utf-8", "surrogateescape") for p in parts[:items]]


def text(found: dict[int, Any], tag: int) -> str | None:
    """A tag that is text."""
    value = found.get(tag)
    return value if isinstance(value, str) and value else None


def number(found: dict[int, Any], tag: int) -> int | None:
    """The first number of a tag that holds numbers."""
    value = found.get(tag)
    return int(value[0]) if isinstance(value, list) and value and isinstance(value[0], int) else None


def _list(found: dict[int, Any], tag: int) -> list[Any]:
    value = found.get(tag)
    return value if isinstance(value, list) else []


def files(found: dict[int, Any]) -> Iterator[PackagedFile]:
    """The files of a package in their order; those whose folder is not stated are left out."""
    folders, indexes = _list(found, DIR_NAMES), _list(found, DIR_INDEXES)
    digests, flags, modes = _list(found, DIGESTS), _list(found, FLAGS), _list(found, MODES)
    capable = _list(found, CAPABILITIES)
    for n, (name, index) in enumerate(zip(_list(found, BASE_NAMES), indexes)):
        if not isinstance(name, str) or not 0 <= index < len(folders):
            continue
        flag = flags[n] if n < len(flags) else 0
        digest = digests[n] if n < len(digests) and isinstance(digests[n], str) else ""
        mode = modes[n] if n < len(modes) else None
        capabilities = str(capable[n]) or None if n < len(capable) else None
        yield PackagedFile(
            str(folders[index]) + name, digest, bool(flag & CONFIG), bool(flag & GHOST), mode, capabilities
        )
