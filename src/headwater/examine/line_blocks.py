# SPDX-License-Identifier: Apache-2.0
"""Cuts a file into blocks of whole lines, with every line's place in the file.

A line is a stretch between separators: a line feed, or a run of at least :data:`NUL_RUN` zero bytes, such as a file system
leaves where a block was allocated and never written. A zero run is a Gap "overwritten"; what a line has beyond the limit
is a Gap "too long". What is yielded depends only on the bytes, never on the size of the blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from headwater.examine.batch import printable
from headwater.examine.line_views import PADDING, Bytes, Flags, Ints, column, find, places
from headwater.formats import compiled
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import GapReason
from headwater.model.records import File, Gap

NUL_RUN = 8
LINE_LIMIT = 1 << 20
_TOGETHER = 64 << 10  # bytes of lines that are asked together whether they are UTF-8
MOST_LINES = 400_000
_PAGE = 4096
_FEW_OF = 8  # lines that are no more than this part of their block are worth a block of their own
_ZEROS = bytes(NUL_RUN)
_ZERO_RUN = lazy_regex(b"\0{%d,}" % NUL_RUN)


@dataclass(frozen=True, slots=True)
class Lines:
    """Texts of lines in one padded block of valid UTF-8: positions only, line ends not included."""

    data: Bytes
    start: Ints
    end: Ints

    def __len__(self) -> int:
        return len(self.start)

    def take(self, rows: Ints | Flags) -> Lines:
        return Lines(self.data, self.start[rows], self.end[rows])

    def gathered(self) -> Lines:
        """The same lines over a block of their own where they are few, so that what searches a block searches little."""
        size = int((self.end - self.start).sum()) + len(self)
        if size * _FEW_OF > len(self.data):
            return self
        pieces = [self.data[low:high].tobytes() for low, high in zip(self.start.tolist(), self.end.tolist())]
        start = PADDING + np.cumsum([0, *(len(p) + 1 for p in pieces[:-1])])
        joined = bytes(PADDING) + b"\n".join((*pieces, b"")) + bytes(PADDING)
        end = start + np.fromiter((len(p) for p in pieces), dtype=np.int64, count=len(pieces))
        return Lines(np.frombuffer(joined, dtype=np.uint8), start, end)

    def text(self) -> pl.Series:
        """The whole lines."""
        return column(self.data, self.start, self.end)

    def column(self, start: Ints, end: Ints, valid: Flags | None = None) -> pl.Series:
        return column(self.data, start, end, valid)

    def find(self, at: Ints, byte: str) -> Ints:
        """The first position of an ASCII character at or after ``at``, or the line's end."""
        return find(self.data, at, ord(byte), self.end)


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Lines and gaps that tile ``start`` … ``end`` of the file; ``offset`` and ``length`` are of the raw records."""

    start: int
    end: int
    lines: Lines
    offset: Ints
    length: Ints
    gaps: tuple[Gap, ...]


def _escaped(raw: bytes) -> bytes:
    return printable(raw.decode("utf-8", "surrogateescape")).encode()


def _valid(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _readable(data: bytes, start: Ints, end: Ints) -> Lines:
    """The lines over the padded block itself where it is valid UTF-8, else over a copy in which odd bytes are escaped."""
    if _valid(data):
        return Lines(np.frombuffer(data, dtype=np.uint8), start, end)
    pieces: list[bytes] = []
    starts: list[Ints] = []
    stops: list[Ints] = []
    at = 0
    firsts = np.flatnonzero(np.diff(start // _TOGETHER, prepend=-1))
    for first, last in zip(firsts.tolist(), [*firsts[1:].tolist(), len(start)]):
        low, high = start[first:last], end[first:last]
        piece = data[int(low[0]) : int(high[-1])]
        if _valid(piece):
            pieces.append(piece)
            starts.append(low - low[0] + at)
            stops.append(high - low[0] + at)
        else:
            lines = [data[i:j] for i, j in zip(low.tolist(), high.tolist())]
            lines = [line if _valid(line) else _escaped(line) for line in lines]
            sizes = np.fromiter(map(len, lines), dtype=np.int64, count=len(lines))
            pieces.extend(lines)
            stops.append(at + np.cumsum(sizes))
            starts.append(stops[-1] - sizes)
        at = int(stops[-1][-1])
    joined = b"".join(pieces) + bytes(PADDING)
    none = [np.zeros(0, dtype=np.int64)]
    return Lines(np.frombuffer(joined, dtype=np.uint8), np.concatenate(starts or none), np.concatenate(stops or none))


def _lines_of(library: Any, view: Bytes) -> tuple[Ints, Ints, Ints]:
    """Start, end and end of the text of every line, where no zero runs are."""
    at, size = compiled.at, len(view)
    most = int(library.hw_count(at(view), size, 10)) + 1
    start, end, text = (np.empty(most, dtype=np.int64) for _ in range(3))
    count = compiled.checked(library.hw_lines(at(view), size, most, at(start), at(end), at(text)))
    return start[:count], end[:count], text[:count]


def _stops(view: Bytes) -> Ints:
    """Behind every line feed."""
    stops = places(view, 10)
    stops += 1
    return stops


def _stretches(data: bytes, size: int, stops: Ints | None) -> tuple[Ints, Ints, Ints, list[tuple[int, int]]]:
    """Start, end and end of the text of every stretch in the first ``size`` bytes, and the zero runs between them."""
    view = np.frombuffer(data, dtype=np.uint8)[:size]
    zeros = data.find(b"\0", 0, size) >= 0
    runs = [m.span() for m in _ZERO_RUN.finditer(data, 0, size)] if zeros else []
    library = compiled.library()
    if library is not None and not runs and size:
        return *_lines_of(library, view), runs
    edges = stops = _stops(view) if stops is None else stops
    if runs:
        edges = np.unique(np.concatenate([stops, np.array(runs, dtype=np.int64).ravel()]))
    if len(edges) == 0 or edges[-1] != size:
        edges = np.append(edges, size)
    start, end = np.concatenate([np.zeros(1, dtype=np.int64), edges[:-1]]), edges
    if runs:
        keep = end > start
        start, end = start[keep], end[keep]
        lines = ~np.isin(start, np.array([low for low, _ in runs], dtype=np.int64))
        start, end = start[lines], end[lines]
    text = end - 1 if not runs else end - (view[end - 1] == 10)
    if not runs and view[-1] != 10:
        text[-1] = size
    if data.find(b"\r", 0, size) >= 0:
        text = text - ((text > start) & (text < end) & (view[np.maximum(text - 1, 0)] == 13))
    return start, end, text, runs


def _block(data: bytes, size: int, base: int, limit: int, stops: Ints | None) -> LineBlock:
    """The first ``size`` bytes of a padded block; ``stops``: behind every line feed in these, if that is known."""
    start, end, text, runs = _stretches(data, size, stops)
    gaps = [Gap(base + low, high - low, GapReason.OVERWRITTEN, "zero bytes") for low, high in runs]
    long = np.flatnonzero(end - start > limit)
    for row in long.tolist():
        cut = int(start[row]) + limit
        gaps.append(Gap(base + cut, int(end[row]) - cut, GapReason.TOO_LONG, f"line over {limit} bytes"))
        end[row] = cut
        text[row] = min(int(text[row]), cut)
    gaps.sort(key=lambda g: g.offset)
    return LineBlock(base, base + size, _readable(data, start, text), start + base, end - start, tuple(gaps))


def _nothing(start: int, end: int, reason: GapReason, detail: str) -> LineBlock:
    none = np.zeros(0, dtype=np.int64)
    lines = Lines(np.zeros(PADDING, dtype=np.uint8), none, none)
    return LineBlock(start, end, lines, none, none, (Gap(start, end - start, reason, detail),))


def _trailing_zeros(data: bytes, most: int) -> int:
    tail = data[-most:] if most else b""
    return len(tail) - len(tail.rstrip(b"\0"))


class _Cutter:
    """Holds what a block left open: the beginning of a line, a zero run, or the rest of a line over the limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.base = 0  # offset of the first byte not yet accounted for
        self.held = b""
        self.inside: GapReason | None = None  # a zero run or an over-long rest that goes on

    def _yield(self, size: int, stops: Ints | None = None) -> LineBlock:
        padded = b"".join((memoryview(self.held)[:size], bytes(PADDING)))
        block = _block(padded, size, self.base, self.limit, stops)
        self.base += size
        self.held = self.held[size:]
        return block

    def _pass(self, size: int, reason: GapReason) -> Iterator[LineBlock]:
        if size:
            detail = "zero bytes" if reason is GapReason.OVERWRITTEN else f"line over {self.limit} bytes"
            yield _nothing(self.base, self.base + size, reason, detail)
            self.base += size
            self.held = self.held[size:]

    def _resume(self, last: bool) -> Iterator[LineBlock]:
        """Goes on with an open gap as far as the held bytes reach."""
        if self.inside is GapReason.OVERWRITTEN:
            size = len(self.held) - len(self.held.lstrip(b"\0"))
            ended = size < len(self.held)
            yield from self._pass(size, self.inside)
            if ended:
                self.inside = None
        elif self.inside is GapReason.TOO_LONG:
            feed, zeros = self.held.find(b"\n"), self.held.find(_ZEROS)
            ends = [at for at in (feed + 1 if feed >= 0 else -1, zeros) if at >= 0]
            if ends:
                yield from self._pass(min(ends), self.inside)
                self.inside = None
            else:
                spare = 0 if last else _trailing_zeros(self.held, NUL_RUN - 1)
                yield from self._pass(len(self.held) - spare, self.inside)

    def _open_end(self) -> Iterator[LineBlock]:
        """What stands behind the last line feed is too much to hold: settle what can be settled."""
        zeros = list(_ZERO_RUN.finditer(self.held))
        if zeros:
            run = zeros[-1]
            open_run = run.end() == len(self.held)
            yield self._yield(run.end())
            if open_run:
                self.inside = GapReason.OVERWRITTEN
        if len(self.held) >= self.limit + NUL_RUN:
            yield self._yield(self.limit)
            self.inside = GapReason.TOO_LONG
            yield from self._resume(False)

    def _piece(self, whole: int) -> tuple[int, Ints | None]:
        """As much of the whole lines as makes no more than MOST_LINES of them: 16 MiB may be 16 million empty lines.

        Also where the lines end, if that was looked for.
        """
        if whole <= MOST_LINES:
            return whole, None
        view = np.frombuffer(self.held, dtype=np.uint8)[:whole]
        library = compiled.library()
        if library is not None and int(library.hw_count(compiled.at(view), whole, 10)) <= MOST_LINES:
            return whole, None
        stops = _stops(view)[:MOST_LINES]
        return int(stops[-1]), stops

    def feed(self, data: bytes, last: bool) -> Iterator[LineBlock]:
        self.held += data
        while self.inside is not None and self.held:
            before = self.inside
            yield from self._resume(last)
            if self.inside is before:
                break
        if self.inside is not None:
            return
        if last:
            while whole := self.held.rfind(b"\n") + 1:
                yield self._yield(*self._piece(whole))
            if self.held:
                yield self._yield(len(self.held))
            return
        while whole := self.held.rfind(b"\n") + 1:
            yield self._yield(*self._piece(whole))
        if len(self.held) >= self.limit + NUL_RUN:
            yield from self._open_end()


def line_blocks(file: File, block: int, limit: int = LINE_LIMIT) -> Iterator[LineBlock]:
    """The file in blocks of whole lines, in order, tiling it; memory holds one block and one line."""
    cutter = _Cutter(limit)
    at = 0
    while at < file.size:
        data, size = _read(file, at, min(block, file.size - at))
        if data:
            yield from cutter.feed(data, False)
        else:
            yield from cutter.feed(b"", True)
            yield _nothing(at, at + size, GapReason.UNREADABLE, "read error")
            cutter = _Cutter(limit)
            cutter.base = at + size
        at += size
    yield from cutter.feed(b"", True)


def _read(file: File, at: int, want: int) -> tuple[bytes, int]:
    """What stands at ``at``; where the read fails, only the page there is given up."""
    for size in (want, min(want, _PAGE - at % _PAGE)):
        try:
            data = file.pread(at, size)
        except OSError:
            continue
        if data:
            return data, len(data)
    return b"", size
