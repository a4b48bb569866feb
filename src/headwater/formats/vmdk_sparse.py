# SPDX-License-Identifier: Apache-2.0
"""One sparse extent of a VMDK: a hosted one (KDMV, plain or stream-optimised) or one of ESX (COWD).

A grain directory points at grain tables, these at grains. Specification: VMware, "Virtual Disk Format 5.0", chapters
"Hosted Sparse Extents", "ESX Server Sparse Extents" and "Stream-Optimized Compressed Sparse Extents". All numbers are
little-endian, places are sectors of 512 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from headwater.formats.compressed import inflate_zlib
from headwater.formats.virtual_blocks import MEDIUM_MOST, Numbers, Run, faults_in
from headwater.formats.virtual_marks import ESX, HOSTED
from headwater.formats.vmdk_scan import Found, walk
from headwater.model.errors import AcquireError
from headwater.model.ports import ByteSource

_SECTOR = 512
_HEADER = struct.Struct("<4sIIQQQQIQQQB4sH")
_ZEROED, _COMPRESSED, _MARKERS = 1 << 2, 1 << 16, 1 << 17
_AT_END = 0xFFFF_FFFF_FFFF_FFFF
_GRAIN_MOST = 64 << 20
_MARKER = 12
_FOOTER = 3


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes and places in bytes; ``directories``: the grain directory and, behind it, its redundant copy.

    ``begin``: where the grains begin. ``cut``: a stream without its footer, whose directory nobody knows.
    """

    size: int
    grain: int
    per_table: int
    directories: tuple[int, ...]
    zeroed: bool
    compressed: bool
    markers: bool
    descriptor: tuple[int, int]
    unclean: bool
    begin: int = 0
    cut: bool = False


def read_layout(source: ByteSource, name: str) -> Layout:
    """The header of a sparse extent.

    Raises:
        AcquireError: HW2007 a version or compression that no reader here knows; HW2042 values that cannot be.
    """
    head = source.pread(0, _SECTOR)
    if head.startswith(ESX):
        return _esx(head, name)
    found = _hosted(head, name)
    if found.directories[0] == _AT_END * _SECTOR:
        tail = source.pread(max(0, source.size - 3 * _SECTOR), 3 * _SECTOR)
        kind = int.from_bytes(tail[12:16], "little")
        if len(tail) < 3 * _SECTOR or kind != _FOOTER or tail[_SECTOR : _SECTOR + 4] != HOSTED:
            if not (found.markers and found.compressed):
                raise AcquireError("HW2042", name, what="an image without its footer: it is cut off")
            return replace(found, cut=True)
        # the descriptor stands behind the first header, not behind the footer's copy of it
        found = _hosted(tail[_SECTOR : 2 * _SECTOR], name, found.descriptor)
    return found


def _hosted(head: bytes, name: str, descriptor: tuple[int, int] | None = None) -> Layout:
    if len(head) < _HEADER.size:
        raise AcquireError("HW2042", name, what="the header is cut off")
    (_, version, flags, capacity, grain, desc_at, desc_size, per_table, second, first, begin, unclean, _, method) = (
        _HEADER.unpack_from(head)
    )
    if version not in (1, 2, 3) or (flags & _COMPRESSED and method != 1):
        raise AcquireError("HW2007", name, what=f"VMDK version {version}, compression {method}")
    if not 1 <= per_table <= 4096 or not 1 <= grain <= _GRAIN_MOST // _SECTOR or capacity * _SECTOR > MEDIUM_MOST:
        raise AcquireError("HW2042", name, what="the header holds impossible values")
    # the redundant directory counts only where the flags say that there is one
    places = (first, second) if flags & 2 and second not in (0, _AT_END, first) else (first,)
    return Layout(
        capacity * _SECTOR, grain * _SECTOR, per_table, tuple(p * _SECTOR for p in places), bool(flags & _ZEROED),
        bool(flags & _COMPRESSED), bool(flags & _MARKERS),
        descriptor or (desc_at * _SECTOR, desc_size * _SECTOR), bool(unclean), begin * _SECTOR,
    )  # fmt: skip


def _esx(head: bytes, name: str) -> Layout:
    if len(head) < 32:
        raise AcquireError("HW2042", name, what="the header is cut off")
    version, _, capacity, grain, directory, count = struct.unpack_from("<IIIIII", head, 4)
    if version != 1:
        raise AcquireError("HW2007", name, what=f"VMDK COWD version {version}")
    if not 1 <= grain <= _GRAIN_MOST // _SECTOR or count > -(-capacity // (grain * 4096)):
        raise AcquireError("HW2042", name, what="the header holds impossible values")
    return Layout(capacity * _SECTOR, grain * _SECTOR, 4096, (directory * _SECTOR,), False, False, False, (0, 0), False)


class SparseExtent:
    """The grains of one extent; ``number`` tells its units apart from those of other extents."""

    def __init__(self, source: ByteSource, layout: Layout, number: int) -> None:
        self.source = source
        self.scanned: Found | None = None
        if layout.cut:
            self.scanned = walk(source, layout.begin, layout.grain)
            if self.scanned.directory:
                layout = replace(layout, directories=(self.scanned.directory,))
                self.scanned = None
        self.layout = layout
        self._number = number
        self._numbers = Numbers(source, 4, "little")

    def runs(self, offset: int, length: int, nothing: Run) -> Iterator[Run]:
        """Runs that tile ``length`` bytes of the extent from ``offset``; ``nothing`` stands where no grain is."""
        layout = self.layout
        if self.scanned is not None:
            yield from self._from_markers(self.scanned, offset, length)
            return
        end = offset + length
        span = layout.grain * layout.per_table
        while offset < end:
            index, inside = divmod(offset, span)
            stop = min(end, offset - inside + span)
            table = self._table(index)
            if table is None:
                yield Run("lost", stop - offset, detail="an entry of the grain directory cannot be read")
            elif table == 0:
                yield nothing._replace(length=stop - offset)
            else:
                yield from self._grains(table, offset, stop, inside, nothing)
            offset = stop

    def _from_markers(self, found: Found, offset: int, length: int) -> Iterator[Run]:
        """Runs of a stream that was cut off: what is not found may have stood behind the cut."""
        end = offset + length
        while offset < end:
            number, skip = divmod(offset, self.layout.grain)
            take = min(self.layout.grain - skip, end - offset)
            sector = found.sector_of(number)
            if sector:
                yield Run("packed", take, None, skip, (self._number, sector, offset - skip))
            else:
                yield Run(
                    "lost", take, detail="the stream is cut off: no grain for this place was found before its end"
                )
            offset += take

    def _table(self, index: int) -> int | None:
        """Where a grain table stands; the redundant directory is asked where the first cannot be read."""
        for directory in self.layout.directories:
            entry = self._numbers.at(directory + index * 4)
            if entry is not None:
                return entry * _SECTOR
        return None

    def _grains(self, table: int, offset: int, stop: int, inside: int, nothing: Run) -> Iterator[Run]:
        layout = self.layout
        while offset < stop:
            index, skip = divmod(inside, layout.grain)
            take = min(layout.grain - skip, stop - offset)
            entry = self._numbers.at(table + index * 4)
            if entry is None:
                yield Run("lost", take, detail="an entry of a grain table cannot be read")
            elif entry == 0:
                yield nothing._replace(length=take)
            elif entry == 1 and layout.zeroed:
                yield Run("zero", take)
            elif layout.compressed:
                yield Run("packed", take, None, skip, (self._number, entry, offset - skip))
            else:
                yield Run("plain", take, self.source, entry * _SECTOR + skip)
            offset += take
            inside += take

    def unpack(self, key: tuple[int, ...]) -> bytes | str:
        """A compressed grain: its sector in the file and its place in the extent, checked against its marker."""
        _, sector, start = key
        grain = self.layout.grain
        at = sector * _SECTOR
        length = 2 * grain
        if self.layout.markers:
            marker = self.source.pread(at, _MARKER)
            if len(marker) < _MARKER or faults_in(self.source, at, _MARKER):
                return "the marker of a compressed grain cannot be read"
            place, length = struct.unpack("<QI", marker)
            at += _MARKER
            if place * _SECTOR != start:
                return "the marker of a compressed grain names another place"
            if not 0 < length <= 2 * grain + 1024:
                return "the marker of a compressed grain states an impossible length"
        data = self.source.pread(at, length)
        if faults_in(self.source, at, length):
            return "a compressed grain cannot be read"
        content = inflate_zlib(data, grain)
        if content is None or len(content) < min(grain, self.layout.size - start):
            return "a compressed grain does not decode"
        return content.ljust(grain, b"\0")
