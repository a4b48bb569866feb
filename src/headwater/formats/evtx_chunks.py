# SPDX-License-Identifier: Apache-2.0
"""Cuts a chunk of an event log into its records, what lies between them, and its slack.

Records are followed by their sizes; where one is broken, the next sound one is sought (its signature, a size within the
chunk, the same size at its end). Bytes behind the last used record are slack: sound records there are older ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from headwater.formats.evtx_layout import (
    CHUNK,
    CHUNK_HEADER,
    RECORD_MAGIC,
    ChunkHeader,
    chunk_header,
    record_at,
)
from headwater.model.kinds import GapReason
from headwater.model.records import Gap, Skip

SLACK = "slack of a chunk"
HEADER = "chunk header"
UNUSED = "chunk not used"


class Found(NamedTuple):
    """A record header that is sound: offset in the chunk, whole size, number, FILETIME of writing."""

    offset: int
    size: int
    number: int
    written: int
    recovered: bool


@dataclass(slots=True)
class ChunkRecords:
    """What one chunk holds; gaps and skips have offsets in the file. ``declared``: live records by its header."""

    base: int
    header: ChunkHeader | None
    records: list[Found] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    declared: int = 0
    live: int = 0

    @property
    def checksum_wrong(self) -> bool:
        return self.header is not None and not (self.header.header_sound and self.header.records_sound)


def _next_sound(data: bytes, at: int) -> int:
    """The next place from ``at`` on where a sound record stands; the end of the data where none does."""
    while True:
        at = data.find(RECORD_MAGIC, at)
        if at < 0:
            return len(data)
        if record_at(data, at, len(data)) is not None:
            return at
        at += 1


def _between(chunk: ChunkRecords, data: bytes, start: int, end: int, free: int) -> None:
    """Account for bytes without a sound record: lost records before ``free``, slack behind."""
    edge = min(max(start, free), end)
    if start < edge:
        stretch = data[start:edge]
        if edge == len(data) and len(data) < CHUNK:
            reason, detail = GapReason.TRUNCATED, "the file ends within a record"
        elif not stretch.strip(b"\0"):
            reason, detail = GapReason.OVERWRITTEN, "zeros where records stood"
        else:
            reason, detail = GapReason.NOT_THIS_FORMAT, "no sound event record"
        chunk.gaps.append(Gap(chunk.base + start, edge - start, reason, detail))
    if edge < end:
        chunk.skips.append(Skip(chunk.base + edge, end - edge, SLACK))


def _head(chunk: ChunkRecords, data: bytes) -> None:
    size = min(CHUNK_HEADER, len(data))
    if chunk.header is not None:
        chunk.skips.append(Skip(chunk.base, size, HEADER))
        return
    cut = len(data) < CHUNK_HEADER
    reason = GapReason.TRUNCATED if cut else GapReason.NOT_THIS_FORMAT
    chunk.gaps.append(Gap(chunk.base, size, reason, "no chunk header"))


def read_chunk(data: bytes, base: int, counted: bool, dirty: bool) -> ChunkRecords:
    """The records of a chunk at offset ``base`` of its file; ``data`` is shorter than a chunk only at the file's end.

    Records of a chunk that a closed file does not count, or that has no header, are ``recovered``, as are those in slack;
    in a log that was not closed, records that continue the numbering behind the stated end are live.
    """
    chunk = ChunkRecords(base, chunk_header(data))
    if not data.strip(b"\0"):
        chunk.skips.append(Skip(base, len(data), UNUSED))
        return chunk
    _head(chunk, data)
    header = chunk.header
    known = header is not None and (counted or dirty)
    free = CHUNK if header is None or not CHUNK_HEADER <= header.free <= CHUNK else header.free
    at, last, behind = CHUNK_HEADER, None, False
    while at < len(data):
        found = record_at(data, at, len(data))
        if found is None:
            further = _next_sound(data, at + 1)
            _between(chunk, data, at, further, free)
            behind = behind or further >= free
            at = further
            continue
        size, number, written = found
        if at >= free and not (dirty and not behind and last is not None and number == last + 1):
            behind = True
        chunk.records.append(Found(at, size, number, written, not known or behind))
        last = number
        at += size
    if header is not None and known and 0 < header.first <= header.last < header.first + CHUNK // 28:
        chunk.declared = header.last - header.first + 1
    chunk.live = sum(not r.recovered for r in chunk.records)
    chunk.declared = max(chunk.declared, chunk.live)
    return chunk
