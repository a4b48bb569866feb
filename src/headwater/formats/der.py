# SPDX-License-Identifier: Apache-2.0
"""Distinguished encoding (DER) of ASN.1, as far as signatures of programs need it: elements by tag and place, nothing else.

Source: ITU-T X.690 8.1 and 10.1, https://www.itu.int/rec/T-REC-X.690. Lengths are definite; a tag is one byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

SEQUENCE, SET, OCTETS, OID, INTEGER = 0x30, 0x31, 0x04, 0x06, 0x02
UTC_TIME, GENERAL_TIME = 0x17, 0x18
_OID_MOST = 64  # bytes


class Element(NamedTuple):
    """One element: its tag, where it begins, where its content begins and ends."""

    tag: int
    at: int
    start: int
    end: int


def element(data: bytes, at: int, end: int) -> Element:
    """The element at a place. Raises ValueError where none fits before ``end``."""
    if at + 2 > end or data[at] & 0x1F == 0x1F:
        raise ValueError("no element here")
    tag, length, start = data[at], data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or start + count > end:
            raise ValueError("a length that does not hold")
        length, start = int.from_bytes(data[start : start + count], "big"), start + count
    if start + length > end:
        raise ValueError("an element longer than what holds it")
    return Element(tag, at, start, start + length)


def within(data: bytes, parent: Element) -> Iterator[Element]:
    """The elements that one holds, in order. Raises ValueError where one does not fit."""
    at = parent.start
    while at < parent.end:
        found = element(data, at, parent.end)
        yield found
        at = found.end


def child(data: bytes, parent: Element, *path: int) -> Element:
    """The element found by going down by number, from 0. Raises ValueError where there is none."""
    here = parent
    for number in path:
        for place, found in enumerate(within(data, here)):
            if place == number:
                here = found
                break
        else:
            raise ValueError("an element that is not there")
    return here


def oid(data: bytes, found: Element) -> str:
    """An object identifier as dotted numbers; empty where the element is none, or too long for one."""
    if found.tag != OID or not 0 < found.end - found.start <= _OID_MOST:
        return ""
    numbers, value = [data[found.start] // 40, data[found.start] % 40], 0
    for byte in data[found.start + 1 : found.end]:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    return ".".join(map(str, numbers))
