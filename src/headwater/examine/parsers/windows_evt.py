# SPDX-License-Identifier: Apache-2.0
"""Event logs of Windows before Vista: System, Application, Security and others (windows.evt).

Reads:  /Windows/System32/config/*.Evt and exported *.evt.
Time:   TimeGenerated, UTC, seconds, by the host's own clock; TimeWritten in t_written (nanoseconds) where it differs.
Format: https://learn.microsoft.com/windows/win32/eventlog/event-log-file-format and [MS-EVEN]; fields named as in windows.evtx.
Limits: message texts stand in the sources' resources; strings are param1, param2 … but where the meaning of a Security number's
        strings is known; Channel is the file's name; records outside the ring are the remains of an earlier turn (recovered).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import polars as pl

from headwater.examine.batch import Batch, Skipped, merge_gaps
from headwater.examine.evtx_events import empty, headed
from headwater.examine.parsers import _evt_fields
from headwater.examine.parsers._text import name_of
from headwater.examine.parsers._whole import whole
from headwater.formats import event_log
from headwater.formats.event_log import Header, Ring, Span
from headwater.model.kinds import GapReason
from headwater.model.records import File, Gap

FEED = "windows.eventlog"
VERSION = 1
READS = ("/*.Evt", "/*.evt", "/*.EVT")
_MOST = 1 << 29
_ROWS = 50_000  # of one batch
_RING = "filler behind the last record of the file"


def recognise(head: bytes) -> bool:
    return head.startswith(event_log.MAGIC)


def batches(file: File) -> Iterator[Batch]:
    """Records in the order of their places; the ring's end record says which are live, else the header."""
    read = whole(file, _MOST)
    data = read.data
    head = event_log.header(data)
    if head is None:
        gaps = [Gap(0, len(data), GapReason.NOT_THIS_FORMAT, "no event log header")] if data else []
        yield Batch(0, file.size, empty(), (*gaps, *read.gaps))
        return
    spans = list(event_log.spans(data))
    ends = [e for e in event_log.end_records(data) if not _overlaps(e, spans)]
    ring = _ring(data, head, ends)
    channel = _evt_fields.channel_of(name_of(file.path))
    rest = [(s.pieces[1], "the rest of the record at the end of the file") for s in spans if len(s.pieces) > 1]
    known = [((0, event_log.HEAD), _said(head)), *rest, *(((e, event_log.END_SIZE), "end record") for e in ends)]
    held = sorted([*known, *((s.pieces[0], "") for s in spans)])
    gaps, skips = _account(data, held)
    gaps += _missing(ring, spans)
    start = 0
    for at in range(0, max(len(spans), 1), _ROWS):
        some = spans[at : at + _ROWS]
        last = at + _ROWS >= len(spans)
        end = file.size if last else spans[at + _ROWS].pieces[0][0]
        frame = _frame(data, some, ring, channel) if some else empty()
        mine = [g for g in gaps if last or g.offset < end]
        done = [s for s in skips if last or s[0] < end]
        gaps, skips = gaps[len(mine) :], skips[len(done) :]
        yield Batch(start, end, frame, merge_gaps((*mine, *(read.gaps if last else ()))), _skipped(done))
        start = end


def _overlaps(end_record: int, spans: Sequence[Span]) -> bool:
    """Whether what looks like an end record stands in or across a whole record, which then is believed."""
    after = bisect_right(spans, end_record, key=lambda s: s.pieces[0][0])
    before = spans[after - 1].pieces[0] if after else (0, 0)
    following = spans[after].pieces[0][0] if after < len(spans) else end_record + event_log.END_SIZE
    return sum(before) > end_record or following < end_record + event_log.END_SIZE


def _said(head: Header) -> str:
    state = "file header"
    if head.flags & event_log.DIRTY:
        state += " of a log that was not closed"
    return state + (", wrapped" if head.flags & event_log.WRAPPED else "")


def _ring(data: bytes, head: Header, ends: Sequence[int]) -> Ring:
    """The end record's word where there is one: the header of an open log is that of its last flush."""
    for at in ends:
        found = event_log.end_record(data, at)
        if found is not None and found.end == at:
            return found
    return head.ring


def _missing(ring: Ring, spans: Sequence[Span]) -> list[Gap]:
    """Records that the ring counts and that are not there."""
    live = sum(ring.holds(s.pieces[0][0]) for s in spans)
    counted = ring.following - ring.oldest
    if ring.oldest and 0 < counted != live:
        return [
            Gap(0, 0, GapReason.OVERWRITTEN, f"the log counts {counted} records in its ring, {live} are there whole")
        ]
    return []


def _account(data: bytes, held: Sequence[tuple[tuple[int, int], str]]) -> tuple[list[Gap], list[tuple[int, int, str]]]:
    """What is no record: known structures, empty space, and what is left of overwritten records; in order."""
    gaps: list[Gap] = []
    skips: list[tuple[int, int, str]] = []
    at = 0
    for (place, size), why in [*held, ((len(data), 0), "")]:
        if place > at:
            between = data[at:place]
            if not between.strip(b"\0"):
                skips.append((at, place - at, "free space, zeros"))
            elif not between.replace(event_log.FILLER, b""):
                skips.append((at, place - at, _RING))
            else:
                gaps.append(Gap(at, place - at, GapReason.OVERWRITTEN, "remains of overwritten records, none whole"))
        size = min(size, place + size - max(at, place))
        if why and size > 0:
            skips.append((max(at, place), size, why))
        at = max(at, place + max(size, 0))
    return gaps, skips


def _skipped(skips: Sequence[tuple[int, int, str]]) -> tuple[Skipped, ...]:
    totals: dict[str, tuple[int, int]] = {}
    for _, size, reason in skips:
        n, total = totals.get(reason, (0, 0))
        totals[reason] = (n + 1, total + size)
    return tuple(Skipped(reason, *found) for reason, found in sorted(totals.items()))


def _frame(data: bytes, spans: Sequence[Span], ring: Ring, channel: str | None) -> pl.DataFrame:
    entries = [event_log.entry(b"".join(data[a : a + n] for a, n in s.pieces)) for s in spans]
    own = _evt_fields.columns(entries, channel)
    fixed = {
        "offset": pl.Series([s.pieces[0][0] for s in spans], dtype=pl.Int64),
        "length": pl.Series([s.pieces[0][1] for s in spans], dtype=pl.Int64),
    }
    recovered = [not ring.holds(s.pieces[0][0]) for s in spans]
    if any(recovered):
        own["recovered"] = pl.Series(recovered, dtype=pl.Boolean)
    if any(len(s.pieces) > 1 for s in spans):
        further = [", ".join(f"{a}+{n}" for a, n in s.pieces[1:]) or None for s in spans]
        own["further"] = pl.Series(further, dtype=pl.String)
    return headed(pl.DataFrame([s.alias(n) for n, s in (fixed | own).items()]), {n.lower(): n for n in own})
