# SPDX-License-Identifier: Apache-2.0
"""Lines of small text files, for the record parsers of histories and of configuration as it stands.

Every line keeps its offset and its length with the line end, so that lines and gaps tile the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import GapReason
from headwater.model.paths import decode_name, file_layer
from headwater.model.records import File, Gap, Record, Skip

_BLOCK = 1 << 20
LINE_LIMIT = 1 << 17  # bytes; a longer line of such a file is no line that a person or a program wrote
_HOME = lazy_regex(r"/(?:home|Users)/([^/]+)/")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: where its bytes are (the line end included), and the bytes without the line end."""

    offset: int
    length: int
    raw: bytes

    @property
    def text(self) -> str:
        """The line as text; bytes that are no UTF-8 are kept as lone surrogates, which the batch escapes."""
        return self.raw.decode("utf-8", "surrogateescape")


def _line(offset: int, raw: bytes) -> Iterator[Line | Gap]:
    """A line as it was cut, less the zeros that a file system left before it."""
    content = raw.lstrip(b"\0")
    if len(content) < len(raw):
        yield Gap(offset, len(raw) - len(content), GapReason.OVERWRITTEN, "overwritten with zeros")
        offset += len(raw) - len(content)
    if not content:
        return
    if b"\0" in content:
        yield Gap(offset, len(content), GapReason.NOT_THIS_FORMAT, "zero bytes in a line of text")
    elif len(content) > LINE_LIMIT:
        yield Gap(offset, len(content), GapReason.TOO_LONG, f"a line of more than {LINE_LIMIT} bytes")
    else:
        yield Line(offset, len(content), content.rstrip(b"\n").removesuffix(b"\r"))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Whole lines that follow each other, each with its line end."""

    offset: int
    raw: bytes


def lines_in(stretch: Stretch) -> Iterator[Line | Gap]:
    """The lines of a stretch, less what zeros took of them."""
    start = stretch.offset
    pieces = stretch.raw.split(b"\n")
    pieces.pop()
    if b"\0" not in stretch.raw and max(map(len, pieces), default=0) < LINE_LIMIT:
        for piece in pieces:
            length = len(piece) + 1
            yield Line(start, length, piece.removesuffix(b"\r"))
            start += length
        return
    for piece in pieces:
        yield from _line(start, piece + b"\n")
        start += len(piece) + 1


def lines(file: File) -> Iterator[Line | Gap]:
    """The lines of a file in order; unreadable, zeroed and over-long stretches as gaps. Memory stays bounded."""
    for part in stretches(file):
        if isinstance(part, Stretch):
            yield from lines_in(part)
        else:
            yield part


def line_records(file: File, read: Callable[[Line], Record]) -> Iterator[Record]:
    """The record of each line; gaps as they are, and blank lines are passed over."""
    for line in lines(file):
        if isinstance(line, Gap):
            yield line
        elif not line.raw.strip():
            yield Skip(line.offset, line.length, "blank line")
        else:
            yield read(line)


def stretches(file: File) -> Iterator[Stretch | Line | Gap]:
    """The same, where what has no fault comes as whole lines together, about a megabyte at a time."""
    at = 0
    rest = b""
    dropping = False  # inside a line that is already longer than the limit
    while at < file.size:
        want = min(_BLOCK, file.size - at)
        fault: Gap | None = None
        try:
            block = file.pread(at, want)
        except OSError as error:
            block, fault = b"", Gap(at, want, GapReason.UNREADABLE, f"input/output error {error.errno}")
        if len(block) < want and fault is None:
            fault = Gap(
                at + len(block), file.size - at - len(block), GapReason.TRUNCATED, "shorter than its stated size"
            )
        start = at - len(rest)
        held = rest + block
        whole = held.rfind(b"\n") + 1
        rest = held[whole:]
        first = held.find(b"\n") + 1 if dropping else 0
        if first:
            yield Gap(start, first, GapReason.TOO_LONG, f"a line of more than {LINE_LIMIT} bytes")
            dropping = False
        if whole > first:
            yield Stretch(start + first, held[first:whole])
        start += whole
        if len(rest) > LINE_LIMIT and rest.strip(b"\0"):
            yield Gap(start, len(rest), GapReason.TOO_LONG, f"a line of more than {LINE_LIMIT} bytes")
            start, rest, dropping = start + len(rest), b"", True
        elif len(rest) > LINE_LIMIT:
            yield Gap(start, len(rest), GapReason.OVERWRITTEN, "overwritten with zeros")
            start, rest = start + len(rest), b""
        at += len(block)
        if fault:
            if rest:
                yield from _last(start, rest, dropping)
            rest, dropping = b"", False
            yield fault
            at = fault.offset + fault.length
    if rest:
        yield from _last(file.size - len(rest), rest, dropping)


def _last(offset: int, rest: bytes, dropping: bool) -> Iterator[Line | Gap]:
    """What stands before the end, or before a place that cannot be read, without a line end."""
    if dropping:
        yield Gap(offset, len(rest), GapReason.TOO_LONG, f"a line of more than {LINE_LIMIT} bytes")
    else:
        yield from _line(offset, rest)


def user_of(path: str) -> str | None:
    """Whose home a path lies in, by its name: ``/home/U/…`` or ``/root/…``; None where the path does not say."""
    where = file_layer(path)
    match = _HOME.search(where)
    if match:
        return decode_name(match.group(1)).decode("utf-8", "surrogateescape")
    return "root" if re.search(r"(?:^|/)root/", where) else None


def name_of(path: str) -> str:
    """The last name of the file's path, without a compression suffix."""
    name = file_layer(path).rpartition("/")[2]
    for suffix in (".gz", ".bz2", ".xz", ".zst"):
        name = name.removesuffix(suffix)
    return name
