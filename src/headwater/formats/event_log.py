# SPDX-License-Identifier: Apache-2.0
"""Event logs before Windows Vista (.evt): a ring of records behind a header, with an end record where the ring is open.

Source: https://learn.microsoft.com/windows/win32/eventlog/event-log-file-format and [MS-EVEN] EVENTLOGRECORD;
https://github.com/libyal/libevt/blob/main/documentation. Numbers are little-endian, times seconds since 1970 in UTC.
The header of a log that was not closed is old; the end record then says where the ring begins and ends.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

SIGNATURE = b"LfLe"
MAGIC = struct.pack("<I", 48) + SIGNATURE
HEAD = 48
_FIXED = 56
_END = struct.pack("<5I", 40, 0x11111111, 0x22222222, 0x33333333, 0x44444444)
END_SIZE = 40
_RECORD_MOST = 1 << 18
FILLER = struct.pack("<I", 0x27)
DIRTY, WRAPPED, FULL, ARCHIVE = 1, 2, 4, 8


@dataclass(frozen=True, slots=True)
class Ring:
    """Where the ring of records begins and ends in the file, and the numbers of its oldest and its next record."""

    start: int
    end: int
    oldest: int
    following: int

    def holds(self, offset: int) -> bool:
        """Whether a record that begins here is in the ring, and no remains of an earlier turn."""
        if self.start <= self.end:
            return self.start <= offset < self.end
        return offset >= self.start or offset < self.end


@dataclass(frozen=True, slots=True)
class Header:
    version: tuple[int, int]
    ring: Ring
    flags: int


@dataclass(frozen=True, slots=True)
class Span:
    """A whole record: ``pieces`` are (place, length) in the order of its bytes, two where it goes on behind the header."""

    pieces: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """``identifier``: the number as stored, its lower half the event's. ``sort``: 1 error, 2 warning, 4 information, 8 audit
    success, 16 audit failure. ``sid`` and ``data`` are as stored; ``broken`` where a part points outside of the record."""

    number: int
    generated: int
    written: int
    identifier: int
    sort: int
    category: int
    source: str
    computer: str
    sid: bytes
    strings: tuple[str, ...]
    data: bytes
    broken: bool


def header(data: bytes) -> Header | None:
    """The log's header; None where it is none."""
    if len(data) < HEAD or data[:8] != MAGIC:
        return None
    major, minor, start, end, following, oldest, _, flags = struct.unpack_from("<8I", data, 8)
    return Header((major, minor), Ring(start, end, oldest, following), flags)


def end_record(data: bytes, at: int) -> Ring | None:
    """What the end record at a place says; None where there is none."""
    if data[at : at + 20] != _END or data[at + 36 : at + END_SIZE] != _END[:4]:
        return None
    start, end, following, oldest = struct.unpack_from("<4I", data, at + 20)
    return Ring(start, end, oldest, following)


def end_records(data: bytes) -> Iterator[int]:
    """The places of whole end records."""
    return (m.start() for m in re.finditer(re.escape(_END), data) if end_record(data, m.start()))


def spans(data: bytes) -> Iterator[Span]:
    """All whole records of a file in the order of their places, none over another, wherever the ring begins.

    A record is whole when its length stands before and behind it and it has a signature.
    """
    taken = HEAD
    carried = 0  # bytes behind the header that belong to the record at the file's end
    last = _wrapped(data)
    if last is not None:
        carried = last.pieces[1][1]
        taken += carried
    for match in re.finditer(SIGNATURE, data):
        at = match.start() - 4
        if at < taken or (last is not None and at >= last.pieces[0][0]):
            continue
        size = int.from_bytes(data[at : at + 4], "little")
        if _FIXED <= size <= _RECORD_MOST and data[at + size - 4 : at + size] == data[at : at + 4] and size % 4 == 0:
            yield Span(((at, size),))
            taken = at + size
    if last is not None:
        yield last


def _wrapped(data: bytes) -> Span | None:
    """The record that begins before the file's end and goes on behind the header."""
    at = data.rfind(SIGNATURE, max(HEAD, len(data) - _RECORD_MOST)) - 4
    if at < HEAD or at + 4 > len(data):
        return None
    size = int.from_bytes(data[at : at + 4], "little")
    first = len(data) - at
    if not _FIXED <= size <= _RECORD_MOST or size <= first or HEAD + size - first > at:
        return None
    whole = data[at:] + data[HEAD : HEAD + size - first]
    return Span(((at, first), (HEAD, size - first))) if whole[-4:] == whole[:4] else None


def entry(raw: bytes) -> Entry:
    """A whole record's fields. Texts end at the first NUL; what is no UTF-16 is escaped."""
    number, generated, written, identifier = struct.unpack_from("<4I", raw, 8)
    sort, count, category = struct.unpack_from("<3H", raw, 24)
    strings_at, sid_size, sid_at, data_size, data_at = struct.unpack_from("<5I", raw, 36)
    end = len(raw) - 4
    source, at = _text(raw, _FIXED, end)
    computer, _ = _text(raw, at, end)
    strings: list[str] = []
    broken = False
    at = strings_at
    for _ in range(count):
        if not _FIXED <= at < end:
            broken = True
            break
        text, at = _text(raw, at, end)
        strings.append(text)
    sid, held = _within(raw, sid_at, sid_size, end), _within(raw, data_at, data_size, end)
    broken |= bool(sid_size and not sid) or bool(data_size and not held)
    return Entry(
        number, generated, written, identifier, sort, category, source, computer, sid, tuple(strings), held, broken
    )  # fmt: skip


def _within(raw: bytes, at: int, size: int, end: int) -> bytes:
    return raw[at : at + size] if at >= _FIXED and at + size <= end else b""


def _text(raw: bytes, at: int, end: int) -> tuple[str, int]:
    """UTF-16 up to its NUL, and where what follows begins."""
    stop = raw.find(b"\0\0", at, end)
    while stop >= 0 and (stop - at) % 2:
        stop = raw.find(b"\0\0", stop + 1, end)
    if stop < 0:
        stop = at + (max(0, end - at) & ~1)
    return raw[at:stop].decode("utf-16-le", "backslashreplace"), stop + 2
