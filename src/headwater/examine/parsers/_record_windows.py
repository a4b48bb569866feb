# SPDX-License-Identifier: Apache-2.0
"""Windows of whole records over a text log: some megabytes at a time whose records can be told apart at once.

A record begins at a line that fits an expression and holds the lines behind it up to the next one. Where a stretch has a fault,
or lines that :func:`_records.chunks` treats one by one, what stands there comes as batches of the slow way.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from headwater.examine.batch import Batch, frame_of, merge_gaps, skips_of
from headwater.examine.line_views import Flags, Ints
from headwater.examine.parsers._records import MOST_RECORD, Chunk, chunks
from headwater.examine.parsers._text import LINE_LIMIT, Line, Stretch, lines_in, stretches
from headwater.model.records import Event, File, Gap, Skip

_WINDOW = 4 << 20  # bytes, about
_MOST = 50_000  # records of a batch of the slow way
# control bytes that one engine of expressions takes for white space and the other not, and what is no ASCII
_ODD = bytes(n for n in range(256) if n >= 128 or 28 <= n <= 31)
_FLAGS = np.isin(np.arange(256), list(_ODD))

Slow = Callable[[Iterable[Chunk | Gap | Skip]], Iterable[Event | Gap | Skip]]


@dataclass(frozen=True, slots=True)
class Window:
    """Whole records: where each begins and ends in ``raw`` (its last line end included), which lies at ``offset``."""

    offset: int
    raw: bytes
    low: Ints
    high: Ints

    def odd(self, most: int) -> Flags:
        """Records of more than ``most`` bytes, and those with letters beyond ASCII or control bytes."""
        odd: Flags = self.high - self.low > most
        if len(self.raw.translate(None, _ODD)) < len(self.raw):
            bad = np.flatnonzero(_FLAGS[np.frombuffer(self.raw, dtype=np.uint8)])
            odd[np.searchsorted(self.low, bad, side="right") - 1] = True
        return odd


@functools.cache
def _every(starts: re.Pattern[bytes]) -> re.Pattern[bytes]:
    return re.compile(b"(?m)^(?:" + starts.pattern + b")")


def windows(
    file: File, starts: re.Pattern[bytes], plain: re.Pattern[bytes] | None, slow: Slow
) -> Iterator[Window | Batch]:
    """The windows of a file in order, between them the batches that ``slow`` makes of what cannot be told apart at once.

    ``starts`` must not match over a line's end.
    """
    held = Stretch(0, b"")
    parts = stretches(file)
    for part in parts:
        further = part if isinstance(part, Stretch) else None
        if further:
            held = Stretch(held.offset, held.raw + further.raw) if held.raw else further
            if len(held.raw) < _WINDOW and further.offset + len(further.raw) < file.size:
                continue
        cut = _last_start(held.raw, starts)
        if cut:
            yield from _window(file, starts, plain, slow, Stretch(held.offset, held.raw[:cut]))
            held = Stretch(held.offset + cut, held.raw[cut:])
        if not further:
            yield from _slowly(file, starts, plain, slow, (held, part))
            held = Stretch(0, b"")
        elif len(held.raw) > _WINDOW:
            break
    yield from _slowly(file, starts, plain, slow, itertools.chain((held,), parts))


def _last_start(raw: bytes, starts: re.Pattern[bytes]) -> int:
    """Where the last record begins; 0 where that is the first, or none does within the size of a record."""
    at, least = len(raw), max(1, len(raw) - 2 * MOST_RECORD)
    while at > least:
        at = raw.rfind(b"\n", 0, at - 1) + 1
        if at >= least and starts.match(raw, at):
            return at
    return 0


def _slowly(
    file: File,
    starts: re.Pattern[bytes],
    plain: re.Pattern[bytes] | None,
    slow: Slow,
    parts: Iterable[Stretch | Line | Gap],
) -> Iterator[Batch]:
    """Batches of what is read record by record."""

    def each(_: File) -> Iterator[Line | Gap]:
        for part in parts:
            if isinstance(part, Stretch):
                yield from lines_in(part)
            else:
                yield part

    return record_batches(slow(chunks(file, starts, plain, each)))


def record_batches(records: Iterable[Event | Gap | Skip]) -> Iterator[Batch]:
    """Batches of records that tile a stretch of a file."""
    records = iter(records)
    while some := list(itertools.islice(records, _MOST)):
        yield Batch(
            some[0].offset,
            some[-1].offset + some[-1].length,
            frame_of([r for r in some if isinstance(r, Event)]),
            merge_gaps(r for r in some if isinstance(r, Gap)),
            skips_of(r for r in some if isinstance(r, Skip)),
        )


def _window(
    file: File, starts: re.Pattern[bytes], plain: re.Pattern[bytes] | None, slow: Slow, here: Stretch
) -> Iterator[Window | Batch]:
    """One window, or the slow way where any of its lines is odd."""
    raw = here.raw
    low = np.fromiter((found.start() for found in _every(starts).finditer(raw)), dtype=np.int64)
    if len(low) and not low[0] and b"\0" not in raw and b"\r" not in raw:
        high = np.append(low[1:], len(raw))
        if int((high - low).max()) < LINE_LIMIT and not (plain is not None and _has_plain(raw, low, high, plain)):
            yield Window(here.offset, raw, low, high)
            return
    yield from _slowly(file, starts, plain, slow, (here,))


def _has_plain(raw: bytes, low: Ints, high: Ints, plain: re.Pattern[bytes]) -> bool:
    """Whether any line that goes on a record fits ``plain``."""
    ends = np.flatnonzero(np.frombuffer(raw, dtype=np.uint8) == 10)
    if len(ends) == len(low):
        return False
    further = np.setdiff1d(np.append(0, ends[:-1] + 1), low, assume_unique=True)
    return any(plain.match(raw[at : raw.find(b"\n", at)]) for at in further.tolist())
