# SPDX-License-Identifier: Apache-2.0
"""The substitution values of event logs as text: numbers, times, identifiers, arrays.

https://learn.microsoft.com/openspecs/windows_protocols/ms-even6/ (BinXml value types); 0x80 marks an array. Numbers are
decimal, hexadecimal types begin with 0x, truth values are ``true`` and ``false``, times are ISO 8601 in UTC with 100 ns.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

from headwater.formats.evtx_binxml import decoded

NULL, TEXT, ANSI, BOOL, BINARY, GUID, SIZE, FILETIME, SYSTEMTIME, SID = 0, 1, 2, 13, 14, 15, 16, 17, 18, 19
HEX32, HEX64, HANDLE, NESTED, XML = 0x14, 0x15, 0x20, 0x21, 0x23
ARRAY = 0x80
INTEGERS = {3: "<i1", 4: "<u1", 5: "<i2", 6: "<u2", 7: "<i4", 8: "<u4", 9: "<i8", 10: "<u8"}
_FORMATS = {3: "<b", 4: "<B", 5: "<h", 6: "<H", 7: "<i", 8: "<I", 9: "<q", 10: "<Q", 11: "<f", 12: "<d"}
_START = datetime(1601, 1, 1, tzinfo=UTC)
_SYSTEMTIME = struct.Struct("<8H")


def filetime_text(value: int) -> str:
    """A FILETIME as ISO 8601 with seven decimals; as its number where it lies beyond the calendar."""
    try:
        moment = _START + timedelta(seconds=value // 10_000_000)
    except OverflowError:
        return str(value)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{value % 10_000_000:07d}Z" if moment.year >= 1601 else str(value)


def filetime_of(text: str) -> int | None:
    """The FILETIME that :func:`filetime_text` wrote; None where it is none."""
    whole, point, rest = text.partition(".")
    if not point or len(rest) != 8 or not rest[:7].isdigit():
        return None
    try:
        moment = datetime.strptime(whole + "Z", "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) - _START
    except ValueError:
        return None
    return (moment.days * 86_400 + moment.seconds) * 10_000_000 + int(rest[:7])


def _systemtime(data: bytes) -> str:
    year, month, _, day, hour, minute, second, thousandth = _SYSTEMTIME.unpack(data)
    return f"{year:04d}-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:{second:02d}.{thousandth:03d}Z"


def guid_text(data: bytes) -> str:
    """A GUID in braces, in capitals, as Windows writes it."""
    first, second, third = struct.unpack_from("<IHH", data)
    return f"{{{first:08X}-{second:04X}-{third:04X}-{data[8:10].hex().upper()}-{data[10:16].hex().upper()}}}"


def sid_text(data: bytes) -> str:
    """A security identifier as ``S-1-5-…``; its bytes in hexadecimal where it is none."""
    if len(data) < 8 or len(data) < 8 + 4 * data[1]:
        return data.hex().upper()
    authority = int.from_bytes(data[2:8], "big")
    subs = struct.unpack_from(f"<{data[1]}I", data, 8)
    return "-".join(("S", str(data[0]), str(authority), *map(str, subs)))


def _plain(text: bytes) -> str:
    return text.rstrip(b"\0").decode("ascii", "backslashreplace")


def _fixed(kind: int, data: bytes) -> str | None:
    """A value of fixed size; None where the size does not fit the type."""
    size = len(data)
    if kind in _FORMATS and size == struct.calcsize(_FORMATS[kind]):
        (value,) = struct.unpack(_FORMATS[kind], data)
        return repr(value) if kind > 10 else str(value)
    if kind == BOOL and size in (1, 4):
        return "true" if any(data) else "false"
    if kind == GUID and size == 16:
        return guid_text(data)
    if kind in (SIZE, HEX32, HEX64, HANDLE) and size in (4, 8):
        return f"{int.from_bytes(data, 'little'):#x}"
    if kind == FILETIME and size == 8:
        return filetime_text(int.from_bytes(data, "little"))
    if kind == SYSTEMTIME and size == 16:
        return _systemtime(data)
    return None


_ITEM = {3: 1, 4: 1, 5: 2, 6: 2, 7: 4, 8: 4, 9: 8, 10: 8, 11: 4, 12: 8, BOOL: 4, GUID: 16, SIZE: 8, FILETIME: 8,
         SYSTEMTIME: 16, HEX32: 4, HEX64: 8}  # fmt: skip


def _array(kind: int, data: bytes) -> str:
    """The items of an array, a line for each."""
    if kind == TEXT:
        text = decoded(data)
        return "\n".join(text.removesuffix("\0").split("\0"))
    if kind == ANSI:
        return "\n".join(_plain(part) for part in data.removesuffix(b"\0").split(b"\0"))
    if kind == SID:
        parts = []
        while len(data) >= 8:
            size = 8 + 4 * data[1]
            parts.append(sid_text(data[:size]))
            data = data[size:]
        return "\n".join(parts + ([data.hex().upper()] if data else []))
    size = _ITEM.get(kind, 0)
    if not size or len(data) % size:
        return data.hex().upper()
    return "\n".join(_fixed(kind, data[at : at + size]) or "" for at in range(0, len(data), size))


def value_text(kind: int, data: bytes) -> str | None:
    """A value as text; None for null and for a value of a fixed size that has none."""
    if kind == NULL:
        return None
    if kind & ARRAY:
        return _array(kind & ~ARRAY, data)
    if kind in (TEXT, XML):
        return decoded(data).rstrip("\0")
    if kind == ANSI:
        return _plain(data)
    if kind == SID:
        return sid_text(data) if data else None
    if not data:
        return "" if kind == BINARY else None
    found = _fixed(kind, data)
    return data.hex().upper() if found is None else found
