# SPDX-License-Identifier: Apache-2.0
"""Reading past bad sectors: a range that fails is halved until single sectors are left, and only these are given up.

A sector is tried ``retries`` times more before it is given up; the number of tries is bounded, because each costs a
failing disk seconds and wear. What is given up is zeros in the image and stands in ``bad``: exact, in order of offset.
"""

from __future__ import annotations

from headwater.acquire.ports import BlockSource, UnreadableError
from headwater.formats.sources import Bad, BadRanges
from headwater.model.kinds import GapReason

RETRIES = 2
_ENDED = "the source ended early"


class Rescue:
    """Reads blocks of one source, remembering what could not be read."""

    def __init__(self, source: BlockSource, retries: int = RETRIES, bad: tuple[Bad, ...] = ()) -> None:
        self._source = source
        self._retries = retries
        self._bad = BadRanges()
        for entry in bad:
            self._bad.add(*entry)
        self.errors = 0  # reads that failed, tries included

    @property
    def bad(self) -> tuple[Bad, ...]:
        """(offset, length, reason, detail) in order of offset."""
        return self._bad.listing()

    def fill(self, offset: int, view: memoryview) -> None:
        """Fill ``view`` from ``offset``, with zeros where nothing can be read.

        Raises:
            UnreadableError: the source vanished, so that what follows cannot be told from bad sectors.
        """
        waiting = [(0, len(view))]
        sector = self._source.sector_size
        while waiting:
            start, end = waiting.pop()
            try:
                got = self._read(offset + start, view[start:end], end - start <= sector)
            except UnreadableError as error:
                if error.vanished:
                    raise
                if end - start > sector:
                    middle = start + max(sector, (end - start) // 2 // sector * sector)
                    waiting.append((middle, end))
                    waiting.append((start, middle))
                else:
                    self._give_up(offset, view, start, end, GapReason.UNREADABLE, error.strerror or "I/O error")
                continue
            if got < end - start:
                self._give_up(offset, view, start + got, end, GapReason.TRUNCATED, _ENDED)

    def _read(self, offset: int, view: memoryview, single: bool) -> int:
        left = self._retries if single else 0
        while True:
            try:
                return self._source.read_into(offset, view)
            except UnreadableError as error:
                self.errors += 1
                if error.vanished or not left:
                    raise
                left -= 1

    def _give_up(self, offset: int, view: memoryview, start: int, end: int, reason: GapReason, detail: str) -> None:
        view[start:end] = bytes(end - start)
        self._bad.add(offset + start, end - start, reason, detail)
