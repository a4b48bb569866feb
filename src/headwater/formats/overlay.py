# SPDX-License-Identifier: Apache-2.0
"""A volume with some of its blocks taken from elsewhere on it: how a journal is played back without writing.

Every byte that is read still has its place on the volume: for a replaced block that place is in the journal, and
``located`` and ``ranges`` say where, so that evidence is cited from where it really stands.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from headwater.formats.sources import LaidOver
from headwater.model.ports import ByteSource


class Overlay(LaidOver):
    """``blocks``: number of a block → (where its content stands, in bytes; the first four bytes it really has, or b'').

    jbd2 blanks the first four bytes of a journalled block that would look like its own headers. ``journal``: where those
    places count, if not on the volume itself; such bytes then have no place on the volume.
    """

    def __init__(
        self,
        source: ByteSource,
        block_size: int,
        blocks: Mapping[int, tuple[int, bytes]],
        journal: ByteSource | None = None,
    ) -> None:
        super().__init__(source)
        self._journal = source if journal is None else journal
        self._size = block_size
        self._numbers = sorted(blocks)
        self._blocks = blocks
        self._from = np.array(self._numbers, np.int64)
        self._to = np.array([blocks[n][0] for n in self._numbers], np.int64)

    def pread(self, offset: int, length: int) -> bytes:
        data = self._source.pread(offset, length)
        if not data:
            return data
        first = bisect.bisect_left(self._numbers, offset // self._size)
        last = (offset + len(data) - 1) // self._size
        if first == len(self._numbers) or self._numbers[first] > last:
            return data
        result = bytearray(data)
        for number in self._numbers[first : bisect.bisect_right(self._numbers, last)]:
            place, front = self._blocks[number]
            held = self._journal.pread(place, self._size).ljust(self._size, b"\0")
            held = front + held[len(front) :]
            start = number * self._size
            low, high = max(offset, start), min(offset + len(data), start + self._size)
            result[low - offset : high - offset] = held[low - start : high - start]
        return bytes(result)

    def located(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where on the volume the byte at each place really stands, −1 for nowhere; negative places stay as they are."""
        if not len(self._from):
            return places
        block = places // self._size
        index = np.minimum(np.searchsorted(self._from, block), len(self._from) - 1)
        if self._journal is not self._source:
            return np.where(self._from[index] == block, -1, places)
        return np.where(self._from[index] == block, self._to[index] + places % self._size, places)

    def ranges(self, offset: int, length: int) -> list[tuple[int, int]]:
        """(offset, length) on the volume, in order, of what :meth:`pread` returns; [] where a part stands elsewhere."""
        found: list[tuple[int, int]] = []
        end = offset + length
        at = offset
        index = bisect.bisect_left(self._numbers, offset // self._size)
        while at < end:
            start = self._numbers[index] * self._size if index < len(self._numbers) else end
            if start > at:
                stop = min(start, end)
                found.append((at, stop - at))
                at = stop
                continue
            if self._journal is not self._source:
                return []
            stop = min(start + self._size, end)
            found.append((int(self._to[index]) + at - start, stop - at))
            at = stop
            index += 1
        return found


class Patched(LaidOver):
    """A volume with stretches of bytes replaced by what playing a log back made of them; they stand nowhere as they are."""

    def __init__(self, source: ByteSource, patches: Mapping[int, bytes]) -> None:
        """``patches``: where on the volume each begins → its bytes; they do not overlap."""
        super().__init__(source)
        self._starts = sorted(patches)
        self._data = [patches[n] for n in self._starts]
        self._longest = max(map(len, self._data), default=0)

    def _touched(self, offset: int, length: int) -> range:
        low = bisect.bisect_right(self._starts, offset - self._longest)
        return range(low, bisect.bisect_left(self._starts, offset + length))

    def pread(self, offset: int, length: int) -> bytes:
        data = self._source.pread(offset, length)
        touched = self._touched(offset, len(data))
        if not data or not touched:
            return data
        result = bytearray(data)
        for index in touched:
            start, new = self._starts[index], self._data[index]
            low, high = max(offset, start), min(offset + len(data), start + len(new))
            if low < high:
                result[low - offset : high - offset] = new[low - start : high - start]
        return bytes(result)

    def untouched(self, offset: int, length: int) -> bool:
        """Whether the volume itself holds these bytes as they are read here."""
        return not any(self._starts[n] + len(self._data[n]) > offset for n in self._touched(offset, length))
