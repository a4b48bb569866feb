# SPDX-License-Identifier: Apache-2.0
"""One NTFS file opened by its record: its attributes, those in extension records too, and where their content stands.

This is the way to a single file's bytes; a listing of all files is read by column (:mod:`headwater.formats.ntfs_table`).
Extension records are found through $ATTRIBUTE_LIST, https://flatcap.github.io/linux-ntfs/ntfs/attributes/attribute_list.html.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from headwater.formats.ntfs import fixed_up
from headwater.formats.ntfs_names import one_name
from headwater.formats.ntfs_runs import RUNS_MOST, Boot, Run, decode_runs
from headwater.formats.patterns import lazy_regex
from headwater.model.ports import ByteSource

_HEAD = struct.Struct("<IIBBHHH")
_LIST = struct.Struct("<IHBBQQH")
_PART = struct.Struct("<QQHH")
_ATTRIBUTE_LIST = 0x20
_DATA = 0x80
LIST_MOST = 4 << 20  # bytes of an attribute list; Windows stops at 256 KiB
_EXTENSIONS_MOST = 20_000
# of a stream: its file's record, the record that holds its beginning where that is another, its name
KEY = lazy_regex(r"([0-9]{1,12})(?:@([0-9]{1,12}))?(?::(.+))?", re.DOTALL)


class Attribute(NamedTuple):
    """One attribute, or one part of a long one. ``at``: of a resident content, in the record ``record``."""

    type: int
    name: str
    flags: int
    record: int
    resident: bytes | None
    at: int
    lowest: int
    size: int
    initialized: int
    unit: int  # clusters that are compressed together; 0 for none
    runs: bytes


class Stream(NamedTuple):
    """A stream put together from its parts. ``gaps``: clusters (logical, length) that no part maps."""

    size: int
    initialized: int
    flags: int
    unit: int
    resident: bytes | None
    place: tuple[int, int] | None  # of a resident content: record, offset in it
    runs: list[Run]
    gaps: list[tuple[int, int]]
    broken: bool


def attributes_of(record: bytes, number: int) -> Iterator[Attribute]:
    """The attributes of one record whose fixups are undone; ends silently where no further one can be."""
    if len(record) < 48 or record[:4] != b"FILE":
        return
    at = int.from_bytes(record[20:22], "little")
    while at + 24 <= len(record):
        kind, length, elsewhere, units, name_at, flags, _ = _HEAD.unpack_from(record, at)
        if kind == 0xFFFFFFFF or length < 24 or length & 7 or at + length > len(record):
            return
        name = one_name(record[at + name_at : at + name_at + 2 * units]) if units and name_at < length else ""
        if not elsewhere:
            size, start = struct.unpack_from("<IH", record, at + 16)
            if start + size <= length:
                held = record[at + start : at + start + size]
                yield Attribute(kind, name, flags, number, held, at + start, 0, size, size, 0, b"")
        elif length >= 64:
            lowest, _, start, unit = _PART.unpack_from(record, at + 16)
            _, size, initialized = struct.unpack_from("<QQQ", record, at + 40)
            if start < length:
                runs = record[at + start : at + length]
                shift = 1 << (unit & 0xFF) if 0 < unit & 0xFF <= 8 else 0
                yield Attribute(kind, name, flags, number, None, 0, lowest, size, initialized, shift, runs)
        at += length


def joined(parts: list[Attribute]) -> Stream:
    """One stream out of its parts, which may come in any order."""
    parts = sorted(parts, key=lambda part: part.lowest)
    first = parts[0]
    if first.resident is not None:
        place = (first.record, first.at)
        return Stream(first.size, first.size, first.flags, 0, first.resident, place, [], [], False)
    runs: list[Run] = []
    gaps: list[tuple[int, int]] = []
    broken, at = first.lowest != 0, 0
    for part in parts:
        if part.resident is not None or part.lowest < at:
            continue
        if part.lowest > at:
            gaps.append((at, part.lowest - at))
        found, ended = decode_runs(part.runs, part.lowest)
        broken |= not ended
        runs.extend(found)
        at = found[-1].logical + found[-1].length if found else part.lowest
        if len(runs) > RUNS_MOST:
            broken = True
            break
    size = first.size if 0 <= first.size < 1 << 62 else 0
    return Stream(size, min(first.initialized, size), first.flags, first.unit, None, None, runs, gaps, broken)


class MftMap:
    """Where the records of $MFT stand on the volume, found from its own record or, where that is broken, the mirror's."""

    def __init__(self, source: ByteSource, boot: Boot) -> None:
        self._source, self.boot = source, boot
        self.size = boot.record
        self.from_mirror = False
        self.stream = Stream(0, 0, 0, 0, None, None, [], [], True)
        self._starts, self._ends = np.empty(0, np.int64), np.empty(0, np.int64)
        for cluster, mirror in ((boot.mft, False), (boot.mirror, True)):
            record = self._fixed(source.pread(cluster * boot.cluster, self.size))
            parts = [a for a in attributes_of(record, 0) if a.type == _DATA and not a.name]
            if parts and parts[0].resident is None:
                self._note(joined(parts))
                self.from_mirror = mirror
                self._extend(record, parts)
                return

    def _fixed(self, raw: bytes) -> bytes:
        try:
            return fixed_up(raw) if len(raw) == self.size else b""
        except ValueError:
            return b""

    def _note(self, stream: Stream) -> None:
        cluster = self.boot.cluster
        held = [r for r in stream.runs if r.physical >= 0]
        self.stream = stream
        self._logical = np.array([r.logical * cluster for r in held], np.int64)
        self._starts = np.array([r.physical * cluster for r in held], np.int64)
        self._ends = self._logical + np.array([r.length * cluster for r in held], np.int64)

    def _extend(self, record: bytes, parts: list[Attribute]) -> None:
        """Further parts of a map in pieces: each extension record stands where the parts before it say."""
        found = list(parts)
        for kind, name, number in listed(self, record, 0):
            if kind != _DATA or name or number == 0:
                continue
            more = [a for a in attributes_of(self.record(number), number) if a.type == _DATA and not a.name]
            found.extend(more)
            self._note(joined(found))

    @property
    def length(self) -> int:
        """Bytes of $MFT that are mapped and recorded."""
        end = int(self._ends.max()) if len(self._ends) else 0
        return min(self.stream.size, end)

    def spans(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(offset, length) on the volume of each record; offset -1 where it has no place in one piece."""
        lengths = np.full(len(numbers), self.size, np.int64)
        if not len(self._starts):
            return np.full(len(numbers), -1, np.int64), lengths
        inside = np.maximum(numbers, 0) * self.size
        run = np.clip(np.searchsorted(self._ends, inside, side="right"), 0, len(self._ends) - 1)
        good = (numbers >= 0) & (inside >= self._logical[run]) & (inside + self.size <= self._ends[run])
        return np.where(good, self._starts[run] + inside - self._logical[run], -1), lengths

    def place(self, number: int) -> int:
        """Where one record stands on the volume; -1 for nowhere."""
        at = number * self.size
        run = int(np.searchsorted(self._ends, at, side="right"))
        if number < 0 or run >= len(self._ends):
            return -1
        inside = at - int(self._logical[run])
        if inside < 0 or at + self.size > int(self._ends[run]):
            return -1
        return int(self._starts[run]) + inside

    def record(self, number: int) -> bytes:
        """One record with its fixups undone; empty where it cannot be read."""
        place = self.place(number)
        return self._fixed(self._source.pread(place, self.size)) if place >= 0 else b""

    def file(self, number: int) -> list[Attribute]:
        """All attributes of a file, those of its extension records included."""
        record = self.record(number)
        found = list(attributes_of(record, number))
        if any(a.type == _ATTRIBUTE_LIST for a in found):
            others = dict.fromkeys(n for _, _, n in listed(self, record, number) if n != number)
            for other in list(others)[:_EXTENSIONS_MOST]:
                more = self.record(other)
                base = int.from_bytes(more[32:38], "little") if len(more) >= 48 else -1
                if base == number:
                    found.extend(attributes_of(more, other))
        return found

    def read(self, stream: Stream, length: int) -> bytes:
        """The first bytes of a plain stream, for what is small: attribute lists, reparse points."""
        if stream.resident is not None:
            return stream.resident[:length]
        out = bytearray()
        cluster = self.boot.cluster
        for run in stream.runs:
            if run.logical * cluster != len(out) or len(out) >= length:
                break
            want = min(run.length * cluster, length - len(out))
            held = self._source.pread(run.physical * cluster, want) if run.physical >= 0 else b""
            out += held.ljust(want, b"\0")
        return bytes(out[: min(length, stream.size)])


def listed(mft: MftMap, record: bytes, number: int) -> Iterator[tuple[int, str, int]]:
    """(type, name, record) of every entry of a record's $ATTRIBUTE_LIST, in its order."""
    parts = [a for a in attributes_of(record, number) if a.type == _ATTRIBUTE_LIST]
    if not parts:
        return
    raw = mft.read(joined(parts), LIST_MOST)
    at = 0
    while at + 26 <= len(raw):
        kind, length, units, name_at, _, reference, _ = _LIST.unpack_from(raw, at)
        if length < 24 or at + length > len(raw):
            return
        name = one_name(raw[at + name_at : at + name_at + 2 * units]) if units else ""
        yield kind, name, reference & (1 << 48) - 1
        at += length
