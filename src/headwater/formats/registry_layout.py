# SPDX-License-Identifier: Apache-2.0
"""The fixed structures of a Windows registry hive (regf): base block, hive bins, cells, and the map of its cells.

A hive is a base block of 4,096 bytes and bins that follow each other; a bin has a header of 32 bytes and cells. All numbers
are little-endian, times are FILETIME in UTC; offsets within a hive count from the end of the base block.
https://github.com/msuhanov/regf/blob/master/Windows%20registry%20file%20format%20specification.md
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.model.kinds import GapReason
from headwater.model.records import Gap

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

MAGIC = b"regf"
BIN_MAGIC = b"hbin"
BASE = 4096  # size of the base block, and what a bin's size is a multiple of
BIN_HEADER = 32
NOWHERE = 0xFFFF_FFFF
FILETIME_EPOCH = 116_444_736_000_000_000
EARLIEST = FILETIME_EPOCH - 92_233_720_368_547_758  # the FILETIMEs that fit nanoseconds since 1970 in 64 bits
LATEST = FILETIME_EPOCH + 92_233_720_368_547_758
_HEAD = struct.Struct("<4sIIQIIIIIII64s")


@dataclass(frozen=True, slots=True)
class BaseBlock:
    """``sound``: its checksum holds. ``dirty``: a write was begun and not ended, so that the log files count."""

    primary: int
    secondary: int
    written: int  # FILETIME
    version: tuple[int, int]
    file_type: int  # 0 a hive, 1 and 2 an old log, 6 a new one
    root: int  # offset of the root key's cell in the bins
    bins_size: int
    name: str  # the end of the path at which the hive was loaded
    sound: bool

    @property
    def dirty(self) -> bool:
        return not self.sound or self.primary != self.secondary


def checksum(data: bytes) -> int:
    """The XOR of the first 127 words; 0 and -1 stand for 1 and -2."""
    total = int(np.bitwise_xor.reduce(np.frombuffer(data, dtype="<u4", count=127)))
    return {0: 1, NOWHERE: NOWHERE - 1}.get(total, total)


def base_block(data: bytes) -> BaseBlock | None:
    """The base block at the start of a hive or log; None where there is none."""
    if len(data) < 512 or not data.startswith(MAGIC):
        return None
    _, primary, secondary, written, major, minor, kind, _, root, size, _, name = _HEAD.unpack_from(data)
    text = name.decode("utf-16-le", "replace").partition("\0")[0]
    sound = struct.unpack_from("<I", data, 508)[0] == checksum(data)
    return BaseBlock(primary, secondary, written, (major, minor), kind, root, size, text, sound)


def nanoseconds(filetime: int) -> int | None:
    """A FILETIME as nanoseconds since 1970; None where it does not fit or was never set."""
    return (filetime - FILETIME_EPOCH) * 100 if EARLIEST <= filetime <= LATEST else None


@dataclass(slots=True)
class Cells:
    """Every cell of a hive in order: where it starts in the file, its size with its header, whether it is in use.

    ``skips``: (bytes, reason) of what is no cell; ``gaps``: what cannot be cut into cells.
    """

    starts: Ints
    sizes: Ints
    used: Flags
    gaps: list[Gap]
    skips: list[tuple[int, str]]

    def at(self, offsets: Any) -> Ints:
        """The number of the cell at each offset of the bins (as keys and values state it), -1 where none starts there."""
        if not len(self.starts):
            return np.full(len(offsets), -1, dtype=np.int64)
        wanted = np.asarray(offsets, dtype=np.int64) + BASE
        place = np.minimum(np.searchsorted(self.starts, wanted), len(self.starts) - 1)
        found: Ints = np.where(self.starts[place] == wanted, place, -1)
        return found

    def holding(self, places: Any) -> Ints:
        """The number of the cell in which each place of the file lies (-1: before the first)."""
        found: Ints = np.searchsorted(self.starts, np.asarray(places, dtype=np.int64), side="right") - 1
        return found


def cells_of(data: bytes, bins_size: int) -> Cells:
    """Cut the bins into cells; ``bins_size`` as the base block states it, ``data`` padded to whole words or not."""
    words = memoryview(data)[: len(data) & ~3].cast("i")  # little-endian machines only, as all of numpy's users here
    starts: list[int] = []
    sizes: list[int] = []
    gaps: list[Gap] = []
    skips: list[tuple[int, str]] = [(min(BASE, len(data)), "base block")]
    at, stated = BASE, BASE + bins_size
    while at < len(data):
        if data[at : at + 4] != BIN_MAGIC:
            after = _next_bin(data, at)
            if at >= stated and after == len(data):
                skips.append((after - at, "padding behind the last bin"))
            else:
                gaps.append(Gap(at, after - at, GapReason.NOT_THIS_FORMAT, "no hive bin where one should be"))
            at = after
            continue
        size = words[(at >> 2) + 2] if at + 12 <= len(data) else 0
        end = at + size
        if size < BASE or size % BASE or end > len(data):
            end = _next_bin(data, at)
        skips.append((min(BIN_HEADER, end - at), "header of a bin"))
        _cut(words, at + BIN_HEADER, end, starts, sizes, gaps)
        at = end
    if len(data) < stated:
        detail = f"the base block counts {bins_size} bytes of bins, the file has {max(len(data) - BASE, 0)}"
        gaps.append(Gap(len(data), 0, GapReason.TRUNCATED, detail))
    signed = np.array(sizes, dtype=np.int64)
    return Cells(np.array(starts, dtype=np.int64), np.abs(signed), signed < 0, gaps, skips)


def _next_bin(data: bytes, at: int) -> int:
    """Where the next bin begins: a signature at a place that a bin may have, else the end."""
    found = data.find(BIN_MAGIC, at + 1)
    while found >= 0 and found % BASE:
        found = data.find(BIN_MAGIC, found + 1)
    return found if found >= 0 else len(data)


def _cut(words: memoryview[int], at: int, end: int, starts: list[int], sizes: list[int], gaps: list[Gap]) -> None:
    """The cells of one bin; the rest of it is a gap where a size cannot be."""
    last = min(end, len(words) * 4)
    while at < last:
        size = words[at >> 2]
        length = -size if size < 0 else size
        if length < 8 or length & 7 or at + length > end:
            break
        starts.append(at)
        sizes.append(size)
        at += length
    if at < end:
        reason = GapReason.OVERWRITTEN if at < last and words[at >> 2] == 0 else GapReason.NOT_THIS_FORMAT
        gaps.append(Gap(at, end - at, reason, "a cell of an impossible size: the rest of its bin"))
