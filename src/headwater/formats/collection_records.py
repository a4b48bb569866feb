# SPDX-License-Identifier: Apache-2.0
"""The records of a collection's stream, one after the other, and how a damaged stream is picked up again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import GapReason
from headwater.model.paths import encode_name
from headwater.model.ports import ByteSource

MAGIC = b"HWCOL1 "
_FIRST = lazy_regex(rb"HWCOL1 ([0-9a-f]{16,64})\n")
_HEAD_MOST = 256 << 10  # a path of 400 folders of the longest names
_LINE_MOST = 128
_WINDOW = 1 << 20
_DAMAGE_MOST = 1_000
_NUMBER = lazy_regex(r"-?[0-9]{1,19}")


class Damage(NamedTuple):
    """Bytes of the stream that are no record."""

    offset: int
    length: int
    reason: GapReason
    what: str


@dataclass(frozen=True, slots=True)
class Record:
    """One record. ``data``: where its data begin; ``length``: how many are stated; ``held``: how many are there."""

    offset: int
    kind: str
    fields: dict[str, str]
    last: bytes
    data: int
    length: int
    held: int

    @property
    def end(self) -> int:
        """Where the next record begins."""
        return self.data + self.held


def is_collection(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a collection's stream."""
    return _FIRST.match(head) is not None


def number_of(text: str | None) -> int | None:
    """A decimal number of 64 bits; None for what is none."""
    if text is None or _NUMBER.fullmatch(text) is None:
        return None
    value = int(text)
    return value if -(1 << 63) <= value < 1 << 63 else None


def text_of(value: str) -> str:
    """A value as text: percent-decoded, and what is no plain text in it encoded as names are."""
    if "%" not in value:
        return value
    raw = unquote_to_bytes(value)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return encode_name(raw)
    return text if text.isprintable() else encode_name(raw)


class Records:
    """Reads records from a stream through a window; ``damage`` fills while it walks."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._window = b""
        self._from = 0
        first = _FIRST.match(source.pread(0, _LINE_MOST))
        self._marker = first.group(1) if first else b""
        self._begin = first.end() if first else source.size
        self._line = re.compile(re.escape(self._marker) + rb" ([A-Z]) ([0-9]{1,6}) ([0-9]{1,18})\n")
        self.damage: list[Damage] = []
        self.last: Record | None = None
        self.at = self._begin

    def head(self) -> Record | None:
        """The record that tells of the system; None where the stream does not begin with it."""
        record = self._record(self._begin)
        return record if record is not None and record.kind == "H" else None

    def _bytes(self, at: int, length: int) -> bytes:
        if not self._from <= at or at + length > self._from + len(self._window):
            self._from, self._window = at, self._source.pread(at, max(length, 8192))
        start = at - self._from
        return self._window[start : start + length]

    def _record(self, at: int) -> Record | None:
        """The record at a place; None where there is none. One whose data the stream no longer holds is given as it is."""
        match = self._line.match(self._bytes(at, _LINE_MOST))
        if match is None:
            return None
        size, length = int(match.group(2)), int(match.group(3))
        begin = at + match.end()
        if size > _HEAD_MOST or begin + size > self._source.size:
            return None
        head = self._bytes(begin, size)
        fields: dict[str, str] = {}
        last, place = b"", 0
        while place < len(head):
            if head.startswith(b"path=", place):
                last = head[place + 5 :]
                break
            end = head.find(b"\n", place)
            end = len(head) if end < 0 else end
            name, _, value = head[place:end].partition(b"=")
            fields[name.decode("ascii", "backslashreplace")] = value.decode("ascii", "backslashreplace")
            place = end + 1
        data = begin + size
        held = max(0, min(length, self._source.size - data))
        return Record(at, match.group(1).decode("ascii"), fields, last, data, length, held)

    def walk(self, start: int | None = None) -> Iterator[Record]:
        """Every record from the first, or from the one at ``start``; what is none is passed over and told in ``damage``."""
        self.at = self._begin if start is None else start
        ended = False
        while self.at < self._source.size and len(self.damage) < _DAMAGE_MOST:
            record = self._record(self.at)
            if record is None:
                if start is not None and self.at == start:
                    return
                found = self._search(self.at + 1)
                rest = self._source.size - self.at
                cut = found is None and rest < _HEAD_MOST + _LINE_MOST
                reason = GapReason.TRUNCATED if cut else GapReason.UNREADABLE
                end = self._source.size if found is None else found
                self.damage.append(Damage(self.at, end - self.at, reason, "no record of the stream"))
                self.at = end
                continue
            ended, self.last = record.kind == "Q", record
            self.at = record.end
            if record.held < record.length:
                what = "the stream ends within a record"
                self.damage.append(Damage(record.data, record.held, GapReason.TRUNCATED, what))
            yield record
        if not ended:
            what = "the stream ends without its last record" if self._marker else "no stream of a collection"
            self.damage.append(Damage(self._source.size, 0, GapReason.TRUNCATED, what))

    def _search(self, at: int) -> int | None:
        """The next place at which a record begins."""
        while at < self._source.size:
            block = self._source.pread(at, _WINDOW)
            found = self._line.search(block)
            if found is not None:
                return at + found.start()
            if at + len(block) >= self._source.size or not block:
                return None
            at += len(block) - _LINE_MOST
        return None
