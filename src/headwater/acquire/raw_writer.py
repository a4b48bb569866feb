# SPDX-License-Identifier: Apache-2.0
"""Writes a raw image: one file, numbered parts, or one file in which zeros are holes.

Every ``every`` bytes what was written is made durable and told as a checkpoint: there an interrupted image goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from headwater.acquire.destinations import Destinations
from headwater.acquire.e01_writer import Checkpoint
from headwater.acquire.packing import Packed

CHECKPOINT = 256 << 20


class RawWriter:
    """See the module. ``part`` is the size of a part in bytes, 0 for one file; ``sparse`` leaves holes."""

    def __init__(
        self,
        stem: str,
        size: int,
        out: Destinations,
        told: Callable[[Checkpoint], None],
        *,
        part: int = 0,
        sparse: bool = False,
        every: int = CHECKPOINT,
    ) -> None:
        self._stem = stem
        self._size = size
        self._out = out
        self._told = told
        self._part = part
        self._sparse = sparse
        self._every = every
        parts = max(1, -(-size // part)) if part else 1
        self._width = max(3, len(str(parts)))  # readers find parts by names of one width
        self._number = 1
        self._done = 0
        self._kept = 0

    def name(self, number: int) -> str:
        """The name of a part."""
        return f"{self._stem}.{number:0{self._width}d}" if self._part else f"{self._stem}.dd"

    @property
    def names(self) -> list[str]:
        """The names of all parts so far."""
        return [self.name(number) for number in range(1, self._number + 1)]

    def begin(self, after: Checkpoint | None = None) -> None:
        """Begin the image, or go on behind a checkpoint."""
        if after is not None and after.segment:
            self._number, self._done, self._kept = after.segment, after.done, after.done
        self._out.begin(self.name(self._number), after.position if after is not None else 0, True)

    def add(self, packed: Packed) -> None:
        """Write the next block."""
        view = memoryview(packed.data)
        holes = list(packed.zeros) if self._sparse else []
        at = 0
        for start, length in [*holes, (len(view), 0)]:
            self._run(view[at:start], hole=False)
            self._run(view[start : start + length], hole=True)
            at = start + length
        if self._done - self._kept >= self._every:
            self._keep()

    def _run(self, data: memoryview, hole: bool) -> None:
        while data:
            room = self._part * self._number - self._done if self._part else len(data)
            if not room:
                self._out.end(self._part)
                self._number += 1
                self._out.begin(self.name(self._number), 0, True)
                continue
            piece = data[:room]
            if hole:
                self._out.skip(len(piece))
            else:
                self._out.write(piece)
            self._done += len(piece)
            data = data[room:]

    def _length(self) -> int:
        return self._done - self._part * (self._number - 1)

    def _keep(self) -> None:
        self._out.sync()
        self._kept = self._done
        self._told(Checkpoint(self._done, self._number, self._length()))

    def pause(self) -> None:
        """Make everything durable that was read, so that the image can go on from here."""
        self._out.end(self._length())
        self._told(Checkpoint(self._done, self._number, self._length()))

    def finish(self, digests: Mapping[str, str], bad: Sequence[tuple[int, int]]) -> None:
        """Close the image; a raw one has no place for digests or bad ranges, which stand in the sidecar."""
        self._out.end(self._length())
