# SPDX-License-Identifier: Apache-2.0
"""Instances of the classes by which WMI starts something by itself: filters, consumers, and what binds them.

Source: [MS-WMIO] for the encoding; the classes as https://learn.microsoft.com/windows/win32/wmisdk/standard-consumer-classes has
them, in the order in which their values stand. A record whose parts do not add up under that order is not read by it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from headwater.formats.security_descriptor import sid_text

Value = str | int | bool
_TEXT, _BYTES, _TEXTS, _BOOL, _UINT16, _UINT32, _UINT64 = "text", "bytes", "texts", "bool", "uint16", "uint32", "uint64"
_WIDTHS = {_TEXT: 4, _BYTES: 4, _TEXTS: 4, _BOOL: 2, _UINT16: 2, _UINT32: 4, _UINT64: 8}
_LONGEST = 65_536  # bytes of a text
_ITEMS_MOST = 256
Layout = tuple[tuple[str, str], ...]


def _layout(text: str) -> Layout:
    """Names with their kind behind a colon; a text where there is none."""
    return tuple((name, kind or _TEXT) for name, _, kind in (word.partition(":") for word in text.split()))


_CONSUMER = "MachineName MaximumQueueSize:uint32 CreatorSID:bytes Name "
FILTER, BINDING = "__EventFilter", "__FilterToConsumerBinding"
COMMAND, SCRIPT = "CommandLineEventConsumer", "ActiveScriptEventConsumer"
CLASSES: Mapping[str, Layout] = {
    FILTER: _layout("Name CreatorSID:bytes QueryLanguage Query EventNamespace EventAccess"),
    BINDING: _layout(
        "Filter Consumer DeliveryQoS:uint32 DeliverSynchronously:bool MaintainSecurityContext:bool SlowDownProviders:bool "
        "CreatorSID:bytes"
    ),
    COMMAND: _layout(
        _CONSUMER + "ExecutablePath CommandLineTemplate UseDefaultErrorMode:bool CreateNewConsole:bool "
        "CreateNewProcessGroup:bool CreateSeparateWowVdm:bool CreateSharedWowVdm:bool Priority:uint32 WorkingDirectory "
        "DesktopName WindowTitle XCoordinate:uint32 YCoordinate:uint32 XSize:uint32 YSize:uint32 XNumCharacters:uint32 "
        "YNumCharacters:uint32 FillAttributes:uint32 ShowWindowCommand:uint32 ForceOnFeedback:bool ForceOffFeedback:bool "
        "RunInteractively:bool KillTimeout:uint32"
    ),
    SCRIPT: _layout(_CONSUMER + "ScriptingEngine ScriptText ScriptFilename KillTimeout:uint32"),
    "LogFileEventConsumer": _layout(_CONSUMER + "Filename Text MaximumFileSize:uint64 IsUnicode:bool"),
    "NTEventLogEventConsumer": _layout(
        _CONSUMER + "UNCServerName SourceName EventID:uint32 EventType:uint32 Category:uint16 "
        "NumberOfInsertionStrings:uint32 InsertionStringTemplates:texts NameOfRawDataProperty NameOfUserSIDProperty"
    ),
    "SMTPEventConsumer": _layout(
        _CONSUMER + "SMTPServer Subject FromLine ReplyToLine Message ToLine CcLine BccLine HeaderFields:texts"
    ),
}


@dataclass(frozen=True, slots=True)
class Instance:
    """``times``: the two FILETIMEs of the record. ``values`` by name, without what is not set; None where they cannot be told
    apart: then ``texts`` are all the texts that the record holds."""

    times: tuple[int, int]
    values: Mapping[str, Value] | None = None
    texts: tuple[str, ...] = field(default=())


def read(kind: str, data: bytes) -> Instance | None:
    """A record of a known class; None where it is too short to be one."""
    for head in (128, 64):
        if len(data) >= head + 29 and _hashed(data, head):
            first, second, size = struct.unpack_from("<QQI", data, head)
            block = data[head + 16 : head + 16 + (size & 0x3FFFFFFF)]
            values = _values(CLASSES[kind], block) if len(block) == size & 0x3FFFFFFF else None
            return Instance((first, second), values, () if values is not None else _texts(data[head + 20 :]))
    return None


def _hashed(data: bytes, size: int) -> bool:
    """Whether a hash as UTF-16 text of this many bytes, and no longer one, begins the record."""
    letters = frozenset(b"0123456789ABCDEF")
    if len(data) < size:
        return False
    hexes = all(low in letters and not high for low, high in zip(data[0:size:2], data[1:size:2], strict=True))
    return hexes and (size == 128 or not _hashed(data, 128))


def _values(layout: Layout, block: bytes) -> Mapping[str, Value] | None:
    """The values of a block whose parts add up under this order of values; None where they do not."""
    states = 9
    table = states + (2 * len(layout) + 7) // 8
    at = table + sum(_WIDTHS[kind] for _, kind in layout)
    if at + 9 > len(block):
        return None
    qualifiers = struct.unpack_from("<I", block, at)[0]
    at += qualifiers
    if qualifiers < 4 or at + 5 > len(block) or block[at] not in (1, 2):
        return None
    if block[at] == 2:  # further properties of the instance itself stand before the texts
        return None
    size = struct.unpack_from("<I", block, at + 1)[0] & 0x3FFFFFFF
    heap = block[at + 5 :]
    if not 0 < size <= len(heap):
        return None
    heap = heap[:size]
    found: dict[str, Value] = {}
    place = table
    for row, (name, kind) in enumerate(layout):
        state = block[states + row // 4] >> 2 * (row % 4) & 3
        raw = block[place : place + _WIDTHS[kind]]
        place += len(raw)
        value = _value(kind, int.from_bytes(raw, "little"), heap, state)
        if value is not None:
            found[name] = value
    return found


def _value(kind: str, number: int, heap: bytes, state: int) -> Value | None:
    """A value; None where it is not set. Texts are not set where they point to the beginning, numbers where their state says so."""
    if kind in (_BOOL, _UINT16, _UINT32, _UINT64):
        return None if state else bool(number) if kind == _BOOL else number
    if not 0 < number < len(heap):
        return None
    if kind == _TEXT:
        return _text(heap, number)
    count = int.from_bytes(heap[number : number + 4], "little")
    if kind == _BYTES:
        raw = heap[number + 4 : number + 4 + count]
        return sid_text(raw) or raw[:64].hex()
    offsets = heap[number + 4 : number + 4 + 4 * min(count, _ITEMS_MOST)]
    items = [int.from_bytes(offsets[i : i + 4], "little") for i in range(0, len(offsets) & ~3, 4)]
    return "\n".join(_text(heap, item) or "" for item in items if item < len(heap))


def _text(heap: bytes, at: int) -> str | None:
    """A text: a byte that says whether it is UTF-16, then its characters up to a NUL."""
    if heap[at] == 0:
        end = heap.find(b"\0", at + 1, at + 1 + _LONGEST)
        return heap[at + 1 : end if end >= 0 else at + 1 + _LONGEST].decode("latin-1")
    if heap[at] != 1:
        return None
    end = heap.find(b"\0\0", at + 1, at + 1 + _LONGEST)
    while end >= 0 and (end - at - 1) % 2:
        end = heap.find(b"\0\0", end + 1, at + 1 + _LONGEST)
    raw = heap[at + 1 : end if end >= 0 else at + 1 + _LONGEST]
    return raw[: len(raw) & ~1].decode("utf-16-le", "backslashreplace")


def _texts(data: bytes) -> tuple[str, ...]:
    """All texts of at least four characters, of one byte or of two, in no known order of meaning."""
    found: list[str] = []
    for piece in data[:_LONGEST].split(b"\0"):
        text = piece.decode("latin-1")
        if len(text) >= 4 and text.isprintable():
            found.append(text)
        if len(found) >= _ITEMS_MOST:
            break
    return tuple(found)
