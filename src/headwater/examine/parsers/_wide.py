# SPDX-License-Identifier: Apache-2.0
"""Lines of UTF-16 text as Windows programs write it: each with its true place, its bytes turned into UTF-8.

A file without the mark FF FE and without a zero as its second byte is read as the other text files are.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._text import LINE_LIMIT, Line, lines
from headwater.model.kinds import GapReason
from headwater.model.records import File, Gap

_BLOCK = 1 << 20  # even: a character never lies across two blocks
_LONGEST = 2 * LINE_LIMIT
_TOO_LONG = f"a line of more than {_LONGEST} bytes"


def is_wide(head: bytes) -> bool:
    """Whether a file that begins so is UTF-16, little end first."""
    return head.startswith(b"\xff\xfe") or (len(head) >= 4 and head[1] == 0 == head[3] and head[0] != 0 != head[2])


def text_lines(file: File) -> Iterator[Line | Gap]:
    """The lines of a file, of UTF-16 or of bytes by how it begins; they and the gaps tile it."""
    try:
        head = file.pread(0, 4)
    except OSError:
        head = b""
    yield from (wide_lines(file) if is_wide(head) else lines(file))


def wide_lines(file: File) -> Iterator[Line | Gap]:
    """The lines of a UTF-16 file in order; unreadable, zeroed and over-long stretches as gaps. Memory stays bounded."""
    at, rest, dropping = 0, b"", False
    while at < file.size:
        want = min(_BLOCK, file.size - at)
        fault: Gap | None = None
        try:
            block = file.pread(at, want)
        except OSError as error:
            block, fault = b"", Gap(at, want, GapReason.UNREADABLE, f"input/output error {error.errno}")
        if len(block) < want and fault is None:
            end = at + len(block)
            fault = Gap(end, file.size - end, GapReason.TRUNCATED, "shorter than its stated size")
        start, held = at - len(rest), rest + block
        cut = 0
        for end in _ends(held):
            yield from _line(start + cut, held[cut:end], dropping)
            cut, dropping = end, False
        start, rest = start + cut, held[cut:]
        if len(rest) > _LONGEST:
            yield from _line(start, rest, dropping)
            rest, dropping = b"", True
        at += len(block)
        if fault:
            yield from _line(at - len(rest), rest, dropping)
            yield fault
            rest, dropping, at = b"", False, fault.offset + fault.length
    yield from _line(file.size - len(rest), rest, dropping)


def _ends(held: bytes) -> Iterator[int]:
    """Where lines end: behind each line feed that stands at an even place."""
    at = held.find(b"\n\0")
    while at >= 0:
        if at % 2 == 0:
            yield at + 2
            at = held.find(b"\n\0", at + 2)
        else:
            at = held.find(b"\n\0", at + 1)


def _line(offset: int, raw: bytes, dropping: bool) -> Iterator[Line | Gap]:
    zeros = (len(raw) - len(raw.lstrip(b"\0"))) & ~1
    if dropping or len(raw) - zeros > _LONGEST:
        if raw:
            yield Gap(offset, len(raw), GapReason.TOO_LONG, _TOO_LONG)
        return
    if zeros:
        yield Gap(offset, zeros, GapReason.OVERWRITTEN, "overwritten with zeros")
        offset, raw = offset + zeros, raw[zeros:]
    whole = len(raw) & ~1
    if whole:
        text = raw[:whole].decode("utf-16-le", "surrogatepass")
        if "\0" in text:
            yield Gap(offset, whole, GapReason.NOT_THIS_FORMAT, "zero characters in a line of text")
        else:
            content = text.removeprefix("\ufeff").removesuffix("\n").removesuffix("\r")
            yield Line(offset, whole, content.encode("utf-8", "surrogatepass"))
    if whole < len(raw):
        yield Gap(offset + whole, 1, GapReason.TRUNCATED, "half a character")
