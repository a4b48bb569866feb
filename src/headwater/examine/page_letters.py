# SPDX-License-Identifier: Apache-2.0
"""The letters of a page as one character for each unit, whatever encoding hides them: UTF-16 or EBCDIC.

A servlet container reads a page in the encoding that its byte order mark or its first lines state (Jakarta Pages 3.1, 4.1 and
appendix B), ASP.NET by its byte order mark or ``fileEncoding``; PHP reads UTF-16 only with ``zend.multibyte``.
"""

from __future__ import annotations

from dataclasses import dataclass

# "<?xml" and "<%@" in EBCDIC (code page 037: https://www.unicode.org/Public/MAPPINGS/VENDORS/MICSFT/EBCDIC/CP037.TXT)
_EBCDIC = ("<?xml".encode("cp037"), "<%".encode("cp037"), "<jsp".encode("cp037"))
_LOOKED_AT = 4096
_LEAST = 16  # units; shorter files are too short to tell by
_REST = 0xFF  # stands for every letter beyond Latin-1: none of them is part of a program's words


@dataclass(frozen=True, slots=True)
class Letters:
    """Text in which character ``n`` begins at byte ``begin + n * width`` of the file."""

    text: str
    begin: int = 0
    width: int = 1
    encoding: str | None = None

    def place(self, at: int) -> int:
        """The byte of the file at which a character stands."""
        return self.begin + at * self.width


def letters(data: bytes) -> Letters:
    """The letters of a file's beginning; bytes are taken as they are (Latin-1) where nothing says otherwise."""
    if data.startswith(_EBCDIC):
        return Letters(data.decode("cp037"), encoding="cp037")
    mark = 2 if data[:2] in (b"\xff\xfe", b"\xfe\xff") else 0
    little = data[:2] == b"\xff\xfe" if mark else _parity(data)
    if little is None:
        return Letters(data.decode("latin-1"))
    even = data[mark : len(data) - (len(data) - mark) % 2]
    low, high = (even[0::2], even[1::2]) if little else (even[1::2], even[0::2])
    units = bytes(one if not upper else _REST for one, upper in zip(low, high, strict=True)) if any(high) else low
    return Letters(units.decode("latin-1"), mark, 2, "utf-16-le" if little else "utf-16-be")


def _parity(data: bytes) -> bool | None:
    """Whether text without a mark is UTF-16, little-endian (True) or big-endian; None where it is not."""
    head = data[: min(_LOOKED_AT, len(data) - len(data) % 2)]
    units = len(head) // 2
    if units < _LEAST:
        return None
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if odd * 10 >= units * 7 and even * 50 <= units:
        return True
    return False if even * 10 >= units * 7 and odd * 50 <= units else None
