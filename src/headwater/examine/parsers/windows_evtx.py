# SPDX-License-Identifier: Apache-2.0
"""Windows event logs, any channel (windows.evtx).

Reads:  /Windows/System32/winevt/Logs/*.evtx and exported *.evtx.
Time:   TimeCreated of the event, UTC, 100 ns, by the host's own clock; the record header's time where that is missing,
        and in t_written (nanoseconds) where it differs, as it does in exports.
Format: https://github.com/libyal/libevtx/blob/main/documentation; fields as the event's XML names them (Sigma's taxonomy).
Limits: message texts stand in the providers' resources, not in the log; ANSI text beyond ASCII is shown as escapes.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.batch import Batch, Skipped, merge_gaps
from headwater.examine.evtx_events import Names, Rows, empty, frame_of
from headwater.formats.evtx_chunks import SLACK, ChunkRecords, Found, read_chunk
from headwater.formats.evtx_groups import Block
from headwater.formats.evtx_layout import CHUNK, CHUNK_MAGIC, FILE_HEADER, FILE_MAGIC, FileHeader, file_header
from headwater.formats.evtx_templates import Templates
from headwater.model.kinds import GapReason
from headwater.model.records import Count, File, Gap, Skip

FEED = "windows.eventlog"
VERSION = 1
READS = ("/Windows/System32/winevt/Logs/*.evtx", "/*.evtx")
_CHUNKS = 256  # of one batch


def recognise(head: bytes) -> bool:
    return head.startswith((FILE_MAGIC, CHUNK_MAGIC))


def _head(file: File, data: bytes) -> tuple[FileHeader | None, Gap | Skip]:
    """The header block, accounted for."""
    header = file_header(data)
    if header is None:
        return None, Gap(0, len(data), GapReason.NOT_THIS_FORMAT, "no event log header")
    if len(data) < FILE_HEADER:
        return header, Gap(0, len(data), GapReason.TRUNCATED, "the file ends within its header")
    return header, Skip(0, len(data), "file header" if header.sound else "file header, its checksum is wrong")


class _Account:
    """What a file's chunks hold, summed up."""

    def __init__(self) -> None:
        self.declared = self.lost = self.slack = 0

    def take(self, chunks: list[ChunkRecords], unread: list[Found]) -> None:
        for chunk in chunks:
            live = chunk.live
            self.declared += chunk.declared + len(chunk.records) - live
            self.lost += chunk.declared - live
            self.slack += sum(s.length for s in chunk.skips if s.reason == SLACK)
        # an older record in slack that cannot be read was not declared by anything
        self.lost += sum(not r.recovered for r in unread)
        self.declared -= sum(r.recovered for r in unread)


def _skipped(skips: list[Skip]) -> tuple[Skipped, ...]:
    totals: dict[str, tuple[int, int]] = {}
    for skip in skips:
        n, size = totals.get(skip.reason, (0, 0))
        totals[skip.reason] = (n + 1, size + skip.length)
    return tuple(Skipped(reason, *found) for reason, found in sorted(totals.items()))


def batches(file: File) -> Iterator[Batch]:
    """Batches of whole chunks, in the order of the file; the last one has the count."""
    data = file.pread(0, FILE_HEADER)
    if data.startswith(CHUNK_MAGIC):
        data = b""  # chunks without their file, out of unallocated space
    header, first = _head(file, data)
    gaps: list[Gap] = [first] if isinstance(first, Gap) and first.length else []
    skips: list[Skip] = [first] if isinstance(first, Skip) else []
    account, names, templates = _Account(), Names(), Templates()
    start, at = 0, len(data)
    if header is not None:
        there = (file.size - FILE_HEADER + CHUNK - 1) // CHUNK if file.size > FILE_HEADER else 0
        if there < header.chunks:
            missing = f"the header counts {header.chunks} chunks, the file has {there}"
            gaps.append(Gap(file.size, 0, GapReason.TRUNCATED, missing))
    events = empty()
    while at < file.size:
        data = file.pread(at, min(_CHUNKS * CHUNK, file.size - at))
        if not data:
            gaps.append(Gap(at, file.size - at, GapReason.TRUNCATED, "the file ends before its stated size"))
            break
        number = (at - FILE_HEADER) // CHUNK
        chunks = [
            read_chunk(
                data[i : i + CHUNK],
                at + i,
                header is not None and number + i // CHUNK < header.chunks,
                header is not None and header.dirty,
            )
            for i in range(0, len(data), CHUNK)
        ]
        rows = Rows.of(at, chunks)
        if rows.records:
            made = frame_of(Block.of(data), rows, templates, names)
            events = made.frame
            for row, why in made.unread.items():
                where = int(rows.starts[row]) + at
                found = rows.records[row]
                detail = f"an older record in slack: {why}" if found.recovered else f"a record: {why}"
                reason = GapReason.OVERWRITTEN if found.recovered else GapReason.NOT_THIS_FORMAT
                gaps.append(Gap(where, found.size, reason, detail))
            account.take(chunks, [rows.records[row] for row in made.unread])
        else:
            events = empty()
            account.take(chunks, [])
        for chunk in chunks:
            gaps += chunk.gaps
            skips += chunk.skips
        at += len(data)
        if at < file.size:
            yield Batch(start, at, events, merge_gaps(gaps), _skipped(skips))
            start, gaps, skips, events = at, [], [], empty()
    count = Count(account.declared, account.lost, account.slack)
    yield Batch(start, file.size, events, merge_gaps(gaps), _skipped(skips), count)
