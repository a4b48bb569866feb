# SPDX-License-Identifier: Apache-2.0
"""The columns of an ESE record: fixed, variable and tagged ones, and the compression of tagged values.

A record has its fixed columns first, then an array of the ends of its variable columns, then an array of the tagged ones
that are there. Format: dev/ese/src/inc/tagfld.hxx and rec.hxx of https://github.com/microsoft/Extensible-Storage-Engine.
Where a record ends before a column that was added later, the column has the default that the catalog gives it, or none:
so the engine itself answers.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from headwater.formats import xpress_plain

Scalar = int | float | str | bytes | bool | None
Value = Scalar | tuple[Scalar, ...]
LongValue = Callable[
    [bytes], bytes | None
]  # the bytes of a separated value by its number; None where they are not there

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 4, 7: 8, 8: 8, 14: 4, 15: 8, 16: 16, 17: 2}
_WHOLE = {2: "<B", 3: "<h", 4: "<i", 5: "<q", 6: "<f", 7: "<d", 14: "<I", 15: "<q", 17: "<H"}
_FORMS = {kind: struct.Struct(form) for kind, form in _WHOLE.items()}
TEXT, BIT = (10, 12), 1
_COMPRESSED, _SEPARATED, _MANY, _TWO, _NULL, _ENCRYPTED = 0x2, 0x4, 0x8, 0x10, 0x20, 0x40
_HAS_DEFAULT, _BY_CALLBACK = 0x10, 0x80
PLAIN_MOST = 64 << 20


class BadRecord(ValueError):
    """A record that contradicts itself."""


@dataclass(frozen=True, slots=True)
class Column:
    """``at``: where a fixed column begins in its record; ``kind``: the engine's number of its type."""

    number: int
    name: str
    kind: int
    size: int
    codepage: int
    flags: int
    at: int | None
    default: bytes | None

    @property
    def width(self) -> int:
        return _SIZES.get(self.kind, self.size)


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table by number; ``small``: whether its pages are of the kind up to 8 KiB.

    ``fixed``: number, beginning, end and how to unpack it, in order; it is made once for all the records of a table.
    """

    by_number: dict[int, Column]
    small: bool
    fixed: list[tuple[int, int, int, struct.Struct | None, Column]] = field(default_factory=list)
    rest: list[Column] = field(default_factory=list)

    def __post_init__(self) -> None:
        at = 4
        for number, column in sorted(self.by_number.items()):
            if number >= 128:
                self.rest.append(column)
                continue
            # the catalog states 4 for all of its own columns
            at = column.at if column.at is not None and column.at > at else at
            form = _FORMS.get(column.kind)
            self.fixed.append((number, at, at + column.width, form, column))
            at += column.width


def read(data: bytes, columns: Columns, long_value: LongValue) -> tuple[dict[str, Value], tuple[str, ...]]:
    """The values of a record by column name, and the columns whose value is there and could not be read.

    Columns that hold nothing are missing.

    Raises:
        BadRecord: lengths that leave the record.
    """
    if len(data) < 4:
        raise BadRecord("a record shorter than its header")
    last_fixed, last_variable, after_fixed = struct.unpack_from("<BBH", data)
    variable = max(0, last_variable - 127)
    begin = after_fixed + 2 * variable
    bits = after_fixed - (last_fixed + 7) // 8
    if last_fixed > 127 or begin > len(data) or bits < 4:
        raise BadRecord("a record whose fixed part leaves it")
    ends = struct.unpack_from(f"<{variable}H", data, after_fixed)
    tagged = begin + (ends[-1] & 0x7FFF if ends else 0)
    if tagged > len(data):
        raise BadRecord("a record whose variable part leaves it")
    found: dict[str, Value] = {}
    nulls = int.from_bytes(data[bits:after_fixed], "little")
    for number, start, end, form, column in columns.fixed:
        if number > last_fixed:
            _take(found, column, _default(column))
        elif not nulls >> (number - 1) & 1:
            if end > bits:
                raise BadRecord("a fixed column that leaves its part")
            if form is not None and form.size == end - start:
                (found[column.name],) = form.unpack_from(data, start)
            else:
                _take(found, column, data[start:end])
    if not columns.rest:
        return found, ()
    unread: list[str] = []
    fields = _tagged(data, tagged, columns.small)
    for column in columns.rest:
        index = column.number - 128
        if column.number in fields:
            held, lost = _field(column, fields[column.number], long_value)
            if lost:
                unread.append(column.name)
            if held is not None:
                found[column.name] = held
        elif index >= variable:
            _take(found, column, _default(column))
        elif not ends[index] & 0x8000:
            _take(found, column, data[begin + (ends[index - 1] & 0x7FFF if index else 0) : begin + ends[index]])
    return found, tuple(unread)


def _take(found: dict[str, Value], column: Column, raw: bytes | None) -> None:
    if raw is not None:
        found[column.name] = _scalar(column, raw)


def _default(column: Column) -> bytes | None:
    return column.default if column.flags & _HAS_DEFAULT and not column.flags & _BY_CALLBACK else None


def _tagged(data: bytes, start: int, small: bool) -> dict[int, tuple[int, bytes]]:
    """The tagged fields that are there: flags and bytes by column number."""
    if start + 4 > len(data):
        return {}
    mask = 0x1FFF if small else 0x7FFF
    (first,) = struct.unpack_from("<H", data, start + 2)
    count = (first & mask) // 4
    if not count or start + 4 * count > len(data):
        raise BadRecord("a record whose tagged part leaves it")
    words = struct.unpack_from(f"<{2 * count}H", data, start)
    found: dict[int, tuple[int, bytes]] = {}
    for index in range(count):
        number, word = words[2 * index], words[2 * index + 1]
        end = words[2 * index + 3] & mask if index + 1 < count else len(data) - start
        at = word & mask
        if at > end or start + end > len(data):
            raise BadRecord("a tagged column that leaves its record")
        flags = 0
        if (word & 0x4000 or not small) and at < end:
            flags = data[start + at]
            at += 1
        if small and word & 0x2000:
            flags |= _NULL
        found[number] = flags, data[start + at : start + end]
    return found


def _field(column: Column, stored: tuple[int, bytes], long_value: LongValue) -> tuple[Value, bool]:
    """The value of a tagged field, and whether it is there and could not be read."""
    flags, raw = stored
    if flags & _NULL:
        return None, False
    if flags & _ENCRYPTED:
        return None, True
    if not flags & _MANY:
        whole = long_value(raw) if flags & _SEPARATED else plain(raw) if flags & _COMPRESSED else raw
        return (None, True) if whole is None else (_scalar(column, whole), False)
    if flags & _TWO:
        parts = [(0, raw[1 : 1 + raw[0]]), (0, raw[1 + raw[0] :])] if raw else []
    else:
        count = (int.from_bytes(raw[:2], "little") & 0x7FFF) // 2
        if 2 * count > len(raw):
            raise BadRecord("a column of many values that leaves its field")
        starts = struct.unpack_from(f"<{count}H", raw)
        stops = (*(s & 0x7FFF for s in starts[1:]), len(raw))
        parts = [(s & 0x8000, raw[s & 0x7FFF : e]) for s, e in zip(starts, stops, strict=True)]
    values: list[Scalar] = []
    lost = False
    for index, (separated, part) in enumerate(parts):
        # the engine compresses the first of several values alone
        whole = long_value(part) if separated else plain(part) if flags & _COMPRESSED and not index else part
        lost = lost or whole is None
        values.append(None if whole is None else _scalar(column, whole))
    return tuple(values), lost


def _scalar(column: Column, raw: bytes) -> Scalar:
    """One value; bytes where a number has not the size of its type.

    A date stays bytes: by its type it is days since 1899-12-30 in floating point, but programs put FILETIMEs there too.
    """
    if column.kind in TEXT:
        if column.codepage == 1200:
            return raw.decode("utf-16-le", "replace").rstrip("\0")
        return raw.decode("cp1252" if column.codepage == 1252 else "latin-1", "replace").rstrip("\0")
    if column.kind == BIT and len(raw) == 1:
        return raw != b"\0"
    form = _FORMS.get(column.kind)
    if form is not None and form.size == len(raw):
        value: int | float = form.unpack(raw)[0]
        return value
    return raw


def plain(raw: bytes) -> bytes | None:
    """The plain bytes of a compressed value; None for a packing that is not read (XPRESS9 and 10) or is broken.

    The first byte's upper five bits name the packing: 1 and 2 seven bits a character, 3 XPRESS with the plain size.
    """
    if not raw:
        return raw
    packing = raw[0] >> 3
    if packing in (1, 2):
        bits = 8 * (len(raw) - 2) + (raw[0] & 7) + 1
        narrow = _seven(raw[1:], max(0, bits) // 7)
        return narrow if packing == 1 else b"".join(bytes((c, 0)) for c in narrow)
    if packing == 3 and len(raw) >= 3:
        try:
            return xpress_plain.decompress(raw[3:], int.from_bytes(raw[1:3], "little"))
        except ValueError:
            return None
    return None


def _seven(raw: bytes, count: int) -> bytes:
    """Characters of seven bits, the lowest first: eight of them in seven bytes."""
    out = bytearray()
    for at in range(0, len(raw), 7):
        held = int.from_bytes(raw[at : at + 7], "little")
        out += bytes(held >> 7 * n & 0x7F for n in range(8))
    return bytes(out[:count])
