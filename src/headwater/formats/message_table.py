# SPDX-License-Identifier: Apache-2.0
"""Texts of events as Windows keeps them: message tables with their inserts, and the order that a provider's manifest gives them.

Source: https://learn.microsoft.com/windows/win32/menurc/resource-types (MESSAGE_RESOURCE_DATA), FormatMessage for the inserts;
https://github.com/libyal/libfwevt/blob/main/documentation (WEVT_TEMPLATE). Numbers are little-endian.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from headwater.formats.patterns import lazy_regex

MANIFEST = "WEVT_TEMPLATE"
NONE = 0xFFFFFFFF
_BLOCKS_MOST = 65_536
_EVENTS_MOST = 20_000  # of one provider
_NAMES_MOST = 128  # inserts of one event
_EVENT, _FIELD = 48, 20  # bytes of one in a manifest
_TEXT_MOST = 16_384  # characters of a text that was filled in
_INSERT = lazy_regex(r"%(?:([1-9][0-9]?)(?:!([^!]{0,32})!)?|([0%.!nrtb ]))")
_SIGNS = {"n": "\r\n", "r": "\r", "t": "\t", "b": " ", " ": " ", "%": "%", ".": ".", "!": "!"}


@dataclass(frozen=True, slots=True)
class Message:
    """One text: its number, and where it stands in the table's bytes."""

    number: int
    text: str
    at: int
    length: int


@dataclass(frozen=True, slots=True)
class Described:
    """One event of a manifest: the number of its text, and the names of its fields in the order of the inserts."""

    number: int
    version: int
    message: int
    fields: tuple[str, ...]


def messages(data: bytes, wanted: Collection[int] | None = None) -> Iterator[Message]:
    """The texts of a table, all or the wanted ones; entries that leave it end their block."""
    if len(data) < 4:
        return
    count = min(int.from_bytes(data[:4], "little"), _BLOCKS_MOST, (len(data) - 4) // 12)
    left = len(data) // 4  # entries at most: those of a sound table do not share bytes
    for block in range(count):
        low, high, at = struct.unpack_from("<III", data, 4 + 12 * block)
        if wanted is not None and not any(low <= n <= high for n in wanted):
            continue
        number = low
        while number <= high and at + 4 <= len(data) and left > 0:
            left -= 1
            length, flags = struct.unpack_from("<HH", data, at)
            if length < 4 or at + length > len(data):
                break
            if wanted is None or number in wanted:
                raw = data[at + 4 : at + length]
                text = raw[: len(raw) & ~1].decode("utf-16-le", "backslashreplace") if flags & 1 else _ansi(raw)
                yield Message(number, text.partition("\0")[0].rstrip("\r\n "), at, length)
            at += length
            number += 1


def _ansi(raw: bytes) -> str:
    return raw.decode("ascii", "backslashreplace")


@dataclass(slots=True)
class _Left:
    """Events and names of fields that a manifest can still have: in a sound one they do not share bytes."""

    events: int
    names: int
    templates: dict[int, tuple[str, ...]] = field(default_factory=dict)


def manifest(data: bytes) -> Mapping[str, tuple[Described, ...]]:
    """The events that a manifest describes, by their provider's identifier in braces and lower case."""
    found: dict[str, tuple[Described, ...]] = {}
    if data[:4] != b"CRIM" or len(data) < 16:
        return found
    left = _Left(len(data) // _EVENT, len(data) // _FIELD)
    for row in range(min(int.from_bytes(data[12:16], "little"), 256, (len(data) - 16) // 20)):
        at = 16 + 20 * row
        place = int.from_bytes(data[at + 16 : at + 20], "little")
        found[_guid(data[at : at + 16])] = tuple(_provider(data, place, left))
    return found


def _guid(raw: bytes) -> str:
    parts = (raw[3::-1], raw[5:3:-1], raw[7:5:-1], raw[8:10], raw[10:16])
    return "{" + "-".join(p.hex() for p in parts) + "}"


def _provider(data: bytes, at: int, left: _Left) -> Iterator[Described]:
    if data[at : at + 4] != b"WEVT" or at + 20 > len(data):
        return
    for row in range(min(int.from_bytes(data[at + 12 : at + 16], "little"), 64)):
        place = int.from_bytes(data[at + 20 + 8 * row : at + 24 + 8 * row], "little")
        if data[place : place + 4] != b"EVNT":
            continue
        count = int.from_bytes(data[place + 8 : place + 12], "little")
        for event in range(min(count, _EVENTS_MOST, (len(data) - place - 16) // _EVENT, left.events)):
            here = place + 16 + _EVENT * event
            number, version = struct.unpack_from("<HB", data, here)
            message, template = struct.unpack_from("<II", data, here + 16)
            if template not in left.templates:
                left.templates[template] = tuple(_names(data, template, left))
            yield Described(number, version, message, left.templates[template])
        left.events -= max(0, min(count, _EVENTS_MOST, left.events))


def _names(data: bytes, at: int, left: _Left) -> Iterator[str]:
    """The names of a template's fields; a field that cannot be read is nameless, so that the others keep their numbers."""
    if not at or data[at : at + 4] != b"TEMP" or at + 40 > len(data):
        return
    _, count, first = struct.unpack_from("<III", data, at + 8)
    for row in range(min(count, _NAMES_MOST, left.names)):
        left.names -= 1
        item = data[first + _FIELD * row : first + _FIELD * (row + 1)]
        name = int.from_bytes(item[16:20], "little") if len(item) == _FIELD else 0
        size = int.from_bytes(data[name : name + 4], "little") if name else 0
        raw = data[name + 4 : name + size] if 4 < size < 1024 else b""
        yield raw[: len(raw) & ~1].decode("utf-16-le", "backslashreplace").partition("\0")[0]


def fill(text: str, inserts: Sequence[str | None]) -> str:
    """A text with its inserts in their places; an insert that is missing keeps its sign (%3). ``%0`` ends it."""
    ended = text.partition("%0")[0] if re.search(r"(?<!%)(?:%%)*%0", text) else text

    def put(match: re.Match[str]) -> str:
        number, _, sign = match.groups()
        if number is None:
            return _SIGNS.get(sign, "")
        at = int(number) - 1
        value = inserts[at] if at < len(inserts) else None
        return match.group() if value is None else value

    return _INSERT.sub(put, ended[:_TEXT_MOST])[:_TEXT_MOST]
