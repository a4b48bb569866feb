# SPDX-License-Identifier: Apache-2.0
"""OLE compound files: a small file system in one file, of which jump lists, thumbnails and installers are made.

Source: [MS-CFB], https://learn.microsoft.com/openspecs/windows_protocols/ms-cfb/. Numbers are little-endian, times FILETIME in UTC.
Chains of sectors are followed once: a sector that a chain meets again, or that another stream has already, ends the chain there.
Every byte of a stream keeps its place in the file, so that what it says can be cited.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate

MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")
_HEAD = 512
_ENTRY = 128
_IN_HEAD = 109  # sectors of the allocation table that the header names
_LAST_SECTOR = 0xFFFFFFFA  # numbers above it are marks: free, end of chain, table
_END = 0xFFFFFFFE
_ENTRIES_MOST = 100_000
_TABLE_MOST = 1 << 22  # sectors: 2 GiB of them with 512 bytes each
STORAGE, STREAM, ROOT = 1, 2, 5

Pread = Callable[[int, int], bytes]


class NotCompound(ValueError):
    """The bytes are no compound file; the text says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the directory. ``offset``: where it stands; times are FILETIMEs, 0 where not set."""

    number: int
    offset: int
    name: str
    kind: int
    start: int
    size: int
    created: int
    modified: int


@dataclass(frozen=True, slots=True)
class Content:
    """A stream's bytes; ``pieces``: (place in the file, length) in order; ``fault``: why it is shorter than its entry says."""

    data: bytes
    pieces: tuple[tuple[int, int], ...]
    fault: str = ""
    _begins: tuple[int, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_begins", tuple(accumulate((n for _, n in self.pieces), initial=0)))

    def places(self, at: int, length: int) -> tuple[tuple[int, int], ...]:
        """Where these bytes of the stream stand in the file, as runs in order."""
        found = []
        for index in range(max(0, bisect_right(self._begins, at) - 1), len(self.pieces)):
            (place, size), begin = self.pieces[index], self._begins[index]
            if begin >= at + length:
                break
            first, last = max(at, begin), min(at + length, begin + size)
            if first < last:
                found.append((place + first - begin, last - first))
        return tuple(found)


@dataclass(slots=True)
class Compound:
    """An opened compound file; ``faults``: (offset, length, why) of its own structures."""

    pread: Pread
    size: int
    sector: int
    mini: int
    cutoff: int
    table: array[int]
    mini_table: array[int] = field(default_factory=lambda: array("I"))
    entries: tuple[Entry, ...] = ()
    faults: list[tuple[int, int, str]] = field(default_factory=list)
    _held: set[int] = field(default_factory=set)
    _mini_held: set[int] = field(default_factory=set)
    _mini_stream: Content = field(default_factory=lambda: Content(b"", ()))

    def streams(self) -> Iterator[Entry]:
        """The streams in the order of the directory, wherever in its tree they hang."""
        return (entry for entry in self.entries if entry.kind == STREAM)

    def read(self, entry: Entry, most: int) -> Content:
        """At most ``most`` bytes of a stream. Each stream is to be read once: its sectors are then its own."""
        want = min(entry.size, most)
        if not want:
            return Content(b"", ())
        if entry.size < self.cutoff:
            return self._read_mini(entry.start, want)
        return self._read(entry.start, want)

    def _chain(self, start: int, most: int, table: array[int], held: set[int]) -> tuple[list[int], str]:
        """The sectors of a chain, at most so many, and why it is broken where it is."""
        chain: list[int] = []
        at = start
        while len(chain) < most:
            if at >= len(table):
                return chain, "its chain of sectors ends early" if at == _END else "its chain leaves the file"
            if at in held:
                return chain, "its chain of sectors runs in a circle or into another stream"
            held.add(at)
            chain.append(at)
            at = table[at]
        return chain, ""

    def _read(self, start: int, want: int) -> Content:
        chain, fault = self._chain(start, -(-want // self.sector), self.table, self._held)
        runs = _runs(((number + 1) * self.sector, self.sector) for number in chain)
        data = bytearray()
        pieces: list[tuple[int, int]] = []
        for place, length in runs:
            part = self.pread(place, min(length, want - len(data), max(0, self.size - place)))
            if not part:
                fault = fault or "its sectors lie behind the end of the file"
                break
            data += part
            pieces.append((place, len(part)))
            if len(part) < min(length, want - len(data) + len(part)):
                fault = fault or "its sectors lie behind the end of the file"
                break
        return Content(bytes(data), tuple(pieces), fault)

    def _read_mini(self, start: int, want: int) -> Content:
        chain, fault = self._chain(start, -(-want // self.mini), self.mini_table, self._mini_held)
        whole = self._mini_stream
        data = bytearray()
        pieces: list[tuple[int, int]] = []
        for at, length in _runs((number * self.mini, self.mini) for number in chain):
            length = min(length, want - len(data))
            part = whole.data[at : at + length]
            data += part
            pieces += whole.places(at, len(part))
            if len(part) < length:
                fault = fault or "its sectors lie behind the end of the short streams"
                break
        return Content(bytes(data), tuple(_runs(iter(pieces))), fault)


def _runs(parts: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Neighbours joined."""
    last: tuple[int, int] | None = None
    for place, length in parts:
        if last is not None and sum(last) == place:
            last = (last[0], last[1] + length)
            continue
        if last is not None:
            yield last
        last = (place, length)
    if last is not None:
        yield last


def open_compound(pread: Pread, size: int, streams_most: int = 1 << 28) -> Compound:
    """Reads the header, the tables and the directory; NotCompound where there is no header of one.

    ``streams_most``: bytes of short streams that are held at most.
    """
    head = pread(0, _HEAD)
    if head[:8] != MAGIC or len(head) < _HEAD:
        raise NotCompound("no header of a compound file")
    version, order, shift, mini_shift = struct.unpack_from("<HHHH", head, 26)
    if order != 0xFFFE or shift not in (9, 12) or not 3 <= mini_shift <= shift:
        raise NotCompound(f"a compound file with sectors of 2^{shift} and 2^{mini_shift} bytes")
    directory, _, cutoff, mini_first, mini_count, more, more_count = struct.unpack_from("<4x7I", head, 44)
    sector = 1 << shift
    found = Compound(pread, size, sector, 1 << mini_shift, cutoff, array("I"))
    named = [n for n in struct.unpack_from(f"<{_IN_HEAD}I", head, 76) if n <= _LAST_SECTOR]
    named += _more_tables(found, more, more_count)
    found.table = _table(found, named)
    found._held.update(named)
    _directory(found, directory, 8 if version >= 4 else 4)
    if mini_count and mini_first <= _LAST_SECTOR:
        content = found._read(mini_first, min(mini_count, len(found.table)) * sector)
        found.mini_table = _numbers(content.data)
        if content.fault:
            found.faults.append((60, 8, f"the table of short sectors: {content.fault}"))
    root = next((e for e in found.entries if e.kind == ROOT), None)
    if root is not None and root.size:
        found._mini_stream = found._read(root.start, min(root.size, streams_most, size))
        if found._mini_stream.fault or len(found._mini_stream.data) < root.size:
            why = found._mini_stream.fault or "longer than the file or the limit"
            found.faults.append((root.offset, _ENTRY, f"the short streams: {why}"))
    return found


def _numbers(data: bytes) -> array[int]:
    """Little-endian 32-bit numbers; an odd end is left out."""
    return array("I", struct.unpack(f"<{len(data) // 4}I", data[: len(data) & ~3]))


def _more_tables(file: Compound, at: int, count: int) -> list[int]:
    """Sectors of the allocation table that stand in a chain of their own, behind the header's."""
    found: list[int] = []
    each = file.sector // 4 - 1
    for _ in range(min(count, file.size // file.sector)):
        if at > _LAST_SECTOR or at in file._held or len(found) * file.sector * (each + 1) > file.size:
            break  # tables for more sectors than the file has need not be read
        file._held.add(at)
        data = file.pread((at + 1) * file.sector, file.sector)
        if len(data) < file.sector:
            break
        numbers = _numbers(data)
        found += [n for n in numbers[:each] if n <= _LAST_SECTOR]
        at = numbers[each]
    else:
        return found
    file.faults.append((68, 8, "the chain of allocation tables is broken"))
    return found


def _table(file: Compound, named: list[int]) -> array[int]:
    """The allocation table, no longer than the file has sectors."""
    sectors = min(file.size // file.sector, _TABLE_MOST)
    table = array("I")
    for number in named:
        if len(table) >= sectors:
            break
        data = file.pread((number + 1) * file.sector, file.sector)
        if len(data) < file.sector:
            file.faults.append((0, _HEAD, f"sector {number} of the allocation table lies behind the end of the file"))
            table.extend([_LAST_SECTOR + 1] * (file.sector // 4))
            continue
        table.extend(_numbers(data))
    return table


def _directory(file: Compound, start: int, size_bytes: int) -> None:
    """The entries of the directory in their order; a chain that breaks is a fault."""
    per = file.sector // _ENTRY
    most = min(len(file.table), _ENTRIES_MOST // per)
    chain, fault = file._chain(start, most, file.table, file._held)
    if fault and (not chain or file.table[chain[-1]] != _END):
        file.faults.append((48, 4, f"the directory: {fault}"))
    entries = []
    for index, number in enumerate(chain):
        place = (number + 1) * file.sector
        data = file.pread(place, file.sector)
        for row in range(len(data) // _ENTRY):
            entry = _entry(data[row * _ENTRY : (row + 1) * _ENTRY], index * per + row, place + row * _ENTRY, size_bytes)
            if entry is not None:
                entries.append(entry)
    file.entries = tuple(entries)


def _entry(raw: bytes, number: int, offset: int, size_bytes: int) -> Entry | None:
    length, kind = struct.unpack_from("<HB", raw, 64)
    if kind not in (STORAGE, STREAM, ROOT):
        return None
    name = raw[: min(length, 64) & ~1].decode("utf-16-le", "backslashreplace").partition("\0")[0]
    created, modified, start = struct.unpack_from("<QQI", raw, 100)
    size = int.from_bytes(raw[120 : 120 + size_bytes], "little")
    return Entry(number, offset, name, kind, start, size, created, modified)


@dataclass(frozen=True, slots=True)
class Claimed:
    """Stretches of a file that streams hold, for telling what stands outside them."""

    starts: list[int]
    ends: list[int]

    @staticmethod
    def of(pieces: Iterator[tuple[int, int]]) -> Claimed:
        ordered = sorted(pieces)
        return Claimed([p for p, _ in ordered], [p + n for p, n in ordered])

    def __contains__(self, offset: int) -> bool:
        at = bisect_right(self.starts, offset) - 1
        return at >= 0 and offset < self.ends[at]

    def next_start(self, offset: int, end: int) -> int:
        """Where the next held stretch behind a place begins, at most ``end``."""
        at = bisect_right(self.starts, offset)
        return min(end, self.starts[at]) if at < len(self.starts) else end
