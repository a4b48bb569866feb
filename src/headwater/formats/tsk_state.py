# SPDX-License-Identifier: Apache-2.0
"""What a volume says of itself beside its files: where MFT records lie, used clusters, a journal not played back."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytsk3
from numpy.typing import NDArray

from headwater.formats import ntfs
from headwater.formats.trees import Coverage
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

# what pytsk3 raises for bytes that it cannot make sense of
STATE_ERRORS = (OSError, SystemError, RuntimeError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)
DATA = frozenset({1, 128, 4352})  # default, NTFS $DATA, HFS data fork
_LOG_HEAD = 65536 * 2
_BITMAP_CHUNK = 1 << 20


class MftPlaces:
    """Where the records of $MFT lie on the volume."""

    def __init__(self, fs: pytsk3.FS_Info, source: ByteSource) -> None:
        self._source = source
        boot = source.pread(0, 80)
        block = int(fs.info.block_size)
        per = struct.unpack_from("<b", boot, 64)[0]
        self.size = per * block if per > 0 else 1 << min(-per, 16)
        runs: list[tuple[int, int]] = []
        try:
            for attribute in fs.open_meta(0):
                if int(attribute.info.type) == 128 and attribute.info.name is None:
                    runs = [(int(r.addr) * block, int(r.len) * block) for r in attribute if not int(r.flags) & 3]
        except STATE_ERRORS:
            runs = []  # without the map no record has a known place, which callers are told as None
        self._starts = np.array([a for a, _ in runs], np.int64)
        self._ends = np.cumsum(np.array([n for _, n in runs], np.int64))

    def spans(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(offset, length) on the volume of each record; offset -1 where it has no place."""
        lengths = np.full(len(numbers), self.size, np.int64)
        if not len(self._starts):
            return np.full(len(numbers), -1, np.int64), lengths
        inside = np.maximum(numbers, 0) * self.size
        run = np.searchsorted(self._ends, inside, side="right")
        good = (numbers >= 0) & (run < len(self._ends))
        run = np.minimum(run, len(self._ends) - 1)
        before = np.where(run > 0, self._ends[run - 1], 0)
        # a record that crosses from one run into the next is not one range
        good &= inside + self.size <= self._ends[run]
        return np.where(good, self._starts[run] + inside - before, -1), lengths

    def place(self, number: int) -> tuple[int, int] | None:
        """(offset, length) on the volume of one record, None where it has no place."""
        if not 0 <= number < 1 << 48:
            return None
        offsets, lengths = self.spans(np.array([number], np.int64))
        return None if offsets[0] < 0 else (int(offsets[0]), int(lengths[0]))

    def record(self, number: int) -> bytes:
        """The bytes of one record; empty where it has no place."""
        place = self.place(number)
        return b"" if place is None else self._source.pread(*place)


def _attribute(fs: pytsk3.FS_Info, inode: int, kind: int, length: int) -> bytes:
    """The beginning of an unnamed attribute of a file; empty where it cannot be read."""
    try:
        file = fs.open_meta(inode)
        for attribute in file:
            info = attribute.info
            if int(info.type) == kind and info.name is None:
                return file.read_random(0, min(length, int(info.size)), info.type, int(info.id))
    except STATE_ERRORS:
        return b""
    return b""


def journal_gaps(fs: pytsk3.FS_Info, source: ByteSource, kind: str) -> Iterator[Gap]:
    """A gap where the volume was not cleanly dismounted and its journal holds what is not in the tree."""
    if kind == "ntfs":
        if log_is_clean(fs) is False:
            text = "the volume was not cleanly dismounted: $LogFile holds changes that are not in this tree"
            yield Gap(0, source.size, GapReason.NOT_REPLAYED, text)
        elif ntfs.volume_dirty(_attribute(fs, 3, 0x70, 64)):
            text = "the volume is marked dirty: its last changes may be missing from this tree"
            yield Gap(0, source.size, GapReason.NOT_REPLAYED, text)
    elif kind in ("hfsplus", "hfsx"):
        # TN1150, volume header: bit 8 unmounted, bit 13 journaled
        attributes = int.from_bytes(source.pread(1028, 4), "big")
        if attributes & 0x2000 and not attributes & 0x100:
            yield Gap(
                0, source.size, GapReason.NOT_REPLAYED, "the volume was not cleanly unmounted; its journal is not read"
            )


def log_is_clean(fs: pytsk3.FS_Info) -> bool | None:
    """Whether $LogFile says that the volume was cleanly dismounted; None where it cannot be told."""
    log = _attribute(fs, 2, 128, _LOG_HEAD)
    return ntfs.log_clean(log) if log else None


def coverage_of(fs: pytsk3.FS_Info, source: ByteSource, kind: str) -> Iterator[tuple[int, int, Coverage]]:
    """Ranges (offset, length, what) of used and free clusters where the volume tells them."""
    try:
        if kind == "ntfs":
            yield from _ntfs_coverage(fs)
        elif kind.startswith("fat"):
            yield from _fat_coverage(source, kind)
    except STATE_ERRORS:
        return


def _ranges(used: NDArray[Any], at: int, unit: int) -> Iterator[tuple[int, int, Coverage]]:
    edges = [0, *(np.flatnonzero(np.diff(used.astype(np.int8))) + 1).tolist(), len(used)]
    for begin, end in pairwise(edges):
        if end > begin:
            yield at + begin * unit, (end - begin) * unit, "allocated" if used[begin] else "unallocated"


def _ntfs_coverage(fs: pytsk3.FS_Info) -> Iterator[tuple[int, int, Coverage]]:
    block = int(fs.info.block_size)
    clusters = int(fs.info.block_count)
    file = fs.open_meta(6)
    size = (clusters + 7) // 8
    held: tuple[int, int, Coverage] | None = None
    for at in range(0, size, _BITMAP_CHUNK):
        raw = file.read_random(at, min(_BITMAP_CHUNK, size - at))
        bits = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")[: clusters - at * 8]
        for offset, length, what in _ranges(bits, at * 8 * block, block):
            if held is not None and held[2] == what:
                held = (held[0], held[1] + length, what)
                continue
            if held is not None:
                yield held
            held = (offset, length, what)
    if held is not None:
        yield held


def _fat_coverage(source: ByteSource, kind: str) -> Iterator[tuple[int, int, Coverage]]:
    """By the first file allocation table; an entry of 0 is a free cluster (Microsoft, fatgen103)."""
    head = source.pread(0, 512)
    sector, cluster, reserved, fats, root, total16, _, per_fat = struct.unpack_from("<HBHBHHBH", head, 11)
    total = total16 or struct.unpack_from("<I", head, 32)[0]
    per_fat = per_fat or struct.unpack_from("<I", head, 36)[0]
    frame = (reserved + fats * per_fat) * sector + (root * 32 + sector - 1) // sector * sector
    yield 0, frame, "metadata"
    clusters = (min(total * sector, source.size) - frame) // (cluster * sector)
    raw = np.frombuffer(source.pread(reserved * sector, min(per_fat * sector, (clusters + 2) * 4)), np.uint8)
    if kind == "fat32":
        entries = raw[: len(raw) // 4 * 4].view("<u4") & 0x0FFFFFFF
    elif kind == "fat16":
        entries = raw[: len(raw) // 2 * 2].view("<u2").astype(np.uint32)
    else:
        triple = raw[: len(raw) // 3 * 3].reshape(-1, 3).astype(np.uint32)
        pair = np.stack((triple[:, 0] | (triple[:, 1] & 15) << 8, triple[:, 1] >> 4 | triple[:, 2] << 4), axis=1)
        entries = pair.reshape(-1)
    yield from _ranges(entries[2 : clusters + 2] != 0, frame, cluster * sector)
