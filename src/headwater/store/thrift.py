# SPDX-License-Identifier: Apache-2.0
"""The compact form of Thrift, as far as the footer of a Parquet file needs it: structs to plain values and back.

A struct is a dict from field number to (type, value); a list is (type of its items, items); a number is an int (unsigned
as it stands, still in zigzag form, so that what is not touched is written back byte for byte); a boolean is in its type.
Only files that this program wrote itself are read so.

Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
_NUMBERS = frozenset({I16, I32, I64})

Struct = dict[int, tuple[int, Any]]


def zigzag(value: int) -> int:
    """A signed number as it is written."""
    return value << 1 if value >= 0 else ~(value << 1)


def signed(written: int) -> int:
    """A written number as the signed one that it stands for."""
    return (written >> 1) ^ -(written & 1)


def varint(value: int) -> bytes:
    """An unsigned number, seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _in_list(sort: int) -> int:
    return BYTE if sort in (TRUE, FALSE) else sort  # only in a list has a boolean a byte of its own


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def value(self, sort: int) -> Any:
        if sort in _NUMBERS:
            return self.varint()
        if sort == STRUCT:
            return self.struct()
        if sort in (TRUE, FALSE):
            return None
        if sort in (LIST, SET):
            return self.list()
        size = {BYTE: 1, DOUBLE: 8}.get(sort) or self.varint()
        self.at += size
        return self.data[self.at - size : self.at]

    def list(self) -> tuple[int, list[Any]]:
        head = self.data[self.at]
        self.at += 1
        count, sort = head >> 4, head & 15
        if count == 15:
            count = self.varint()
        return sort, [self.value(_in_list(sort)) for _ in range(count)]

    def struct(self) -> Struct:
        fields: Struct = {}
        number = 0
        while head := self.data[self.at]:
            self.at += 1
            step, sort = head >> 4, head & 15
            number = number + step if step else signed(self.varint())
            fields[number] = (sort, self.value(sort))
        self.at += 1
        return fields


_BYTES = [bytes([n]) for n in range(256)]


def _parts(out: list[bytes], sort: int, value: Any) -> None:
    if sort in _NUMBERS:
        out.append(_BYTES[value] if value < 0x80 else varint(value))
    elif sort == STRUCT:
        _parts_of_struct(out, value)
    elif sort in (LIST, SET):
        of, items = value
        out.append(_BYTES[len(items) << 4 | of] if len(items) < 15 else _BYTES[0xF0 | of] + varint(len(items)))
        for item in items:
            _parts(out, _in_list(of), item)
    elif sort == BINARY:
        out += (varint(len(value)), value)
    elif sort not in (TRUE, FALSE):
        out.append(value)


def _parts_of_struct(out: list[bytes], fields: Struct) -> None:
    last = 0
    for number in sorted(fields):
        sort, value = fields[number]
        if 0 < number - last < 16:
            out.append(_BYTES[(number - last) << 4 | sort])
        else:
            out += (_BYTES[sort], varint(zigzag(number)))
        last = number
        if sort in _NUMBERS:  # most of them
            out.append(_BYTES[value] if value < 0x80 else varint(value))
        else:
            _parts(out, sort, value)
    out.append(b"\0")


def read(data: bytes) -> Struct:
    """The struct at the beginning of these bytes."""
    return _Reader(data).struct()


def written(fields: Struct) -> bytes:
    """A struct as bytes."""
    out: list[bytes] = []
    _parts_of_struct(out, fields)
    return b"".join(out)
