# SPDX-License-Identifier: Apache-2.0
"""Reads VHDX images: fixed, dynamic and differencing, sectors of 512 and 4096 bytes, a log played back in memory.

Specification: Microsoft, [MS-VHDX]. All numbers are little-endian. Of the two headers the valid one with the higher
sequence number counts, of the two region tables the first valid one. A block whose state is *undefined* is listed in
``bad``; *unmapped* and *zero* blocks are zeros by the format.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.formats.sources import FileSource
from headwater.formats.vhdx_log import Played, checksum, replay
from headwater.formats.virtual_blocks import MEDIUM_MOST, BlockMedium, Numbers, Run, faults_in, stretches
from headwater.formats.virtual_files import Reference, SetFiles
from headwater.model.errors import AcquireError
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

_HEADERS, _REGIONS = (64 << 10, 128 << 10), (192 << 10, 256 << 10)
_HEADER = struct.Struct("<4sIQ16s16s16sHHIQ")
_BAT = uuid.UUID("2dc27766-f623-4200-9d64-115e9bfd4a08").bytes_le
_METADATA = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le
_PARAMETERS = uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le
_SIZE = uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8").bytes_le
_SECTOR = uuid.UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f").bytes_le
_LOCATOR = uuid.UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c").bytes_le
_VHDX_PARENT = uuid.UUID("b04aefb7-d19e-4a81-b789-25b8e9445913").bytes_le
_MIB = 1 << 20
_CHUNK_BITS = 1 << 23  # sectors that one sector bitmap block tells of
_BITMAPS = 64
_NOT_PRESENT, _UNDEFINED, _ZERO, _UNMAPPED, _FULL, _PARTIAL = 0, 1, 2, 3, 6, 7
_OLD_UNMAPPED = 5  # of version 0.95


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand (bytes), over a source in which the log has been played back."""

    source: ByteSource
    bat: int
    bat_length: int
    size: int
    block: int
    sector: int
    parent: dict[str, str] | None
    data_identity: bytes
    creator: str
    warnings: tuple[str, ...]


def read_layout(own: ByteSource, name: str) -> Layout:
    """The headers, the log, the regions and the metadata.

    Raises:
        AcquireError: HW2007 a required region or item that no reader here knows; HW2042 neither header, neither
            region table or no metadata can be read, or their values cannot be.
    """
    warnings: list[str] = []
    headers = [h for h in (_header(own, at) for at in _HEADERS) if h is not None]
    if not headers:
        raise AcquireError("HW2042", name, what="neither header of the VHDX can be read")
    _, _, sequence, _, data_identity, log_identity, log_version, version, log_length, log_at = max(
        headers, key=lambda h: int(h[2])
    )
    if len(headers) == 1 and sequence > 1:
        warnings.append("one of the two headers is broken")
    if version != 1:
        raise AcquireError("HW2007", name, what=f"VHDX version {version}")
    source: ByteSource = own
    if any(log_identity):
        if log_version:
            raise AcquireError("HW2007", name, what=f"VHDX log version {log_version}")
        writes, doubt = replay(own, log_at, log_length, log_identity)
        source = Played(own, writes)
        warnings.append(f"the file was not closed; its log was played back in memory: {len(writes)} writes")
        warnings.extend([doubt] if doubt else [])
    regions = _regions(source, name)
    if _BAT not in regions or _METADATA not in regions:
        raise AcquireError("HW2042", name, what="the VHDX names no block table or no metadata")
    items = _items(source, *regions[_METADATA], name)
    parameters, size, sector = items.get(_PARAMETERS, b""), items.get(_SIZE, b""), items.get(_SECTOR, b"")
    if len(parameters) < 8 or len(size) < 8 or len(sector) < 4:
        raise AcquireError("HW2042", name, what="an item of the metadata is missing")
    block, flags = struct.unpack_from("<II", parameters)
    sector_size, total = int.from_bytes(sector[:4], "little"), int.from_bytes(size[:8], "little")
    if sector_size not in (512, 4096) or not _MIB <= block <= 256 * _MIB or block & (block - 1) or total > MEDIUM_MOST:
        raise AcquireError("HW2042", name, what="the metadata hold impossible values")
    parent = _locator(items.get(_LOCATOR, b"")) if flags & 2 else None
    creator = own.pread(8, 512).decode("utf-16-le", "replace").split("\0", 1)[0]
    return Layout(source, *regions[_BAT], total, block, sector_size, parent, data_identity, creator, tuple(warnings))


def _header(source: ByteSource, at: int) -> tuple[Any, ...] | None:
    raw = source.pread(at, 4096)
    if len(raw) < 4096 or raw[:4] != b"head" or checksum(raw) != int.from_bytes(raw[4:8], "little"):
        return None
    return _HEADER.unpack_from(raw)


def _regions(source: ByteSource, name: str) -> dict[bytes, tuple[int, int]]:
    for at in _REGIONS:
        raw = source.pread(at, 64 << 10)
        if len(raw) < 64 << 10 or raw[:4] != b"regi" or checksum(raw) != int.from_bytes(raw[4:8], "little"):
            continue
        found: dict[bytes, tuple[int, int]] = {}
        for number in range(min(int.from_bytes(raw[8:12], "little"), 2047)):
            identity, offset, length, required = struct.unpack_from("<16sQII", raw, 16 + number * 32)
            if identity not in (_BAT, _METADATA) and required & 1:
                raise AcquireError("HW2007", name, what=f"VHDX with region {uuid.UUID(bytes_le=identity)}")
            if offset % _MIB == 0:
                found.setdefault(identity, (offset, length))
        return found
    raise AcquireError("HW2042", name, what="neither region table of the VHDX can be read")


def _items(source: ByteSource, at: int, length: int, name: str) -> dict[bytes, bytes]:
    raw = source.pread(at, min(length, 64 << 10))
    if raw[:8] != b"metadata" or len(raw) < 32 or faults_in(source, at, len(raw)):
        raise AcquireError("HW2042", name, what="the metadata table of the VHDX cannot be read")
    found: dict[bytes, bytes] = {}
    for number in range(min(int.from_bytes(raw[10:12], "little"), (len(raw) - 32) // 32)):
        identity, offset, size, flags = struct.unpack_from("<16sIII", raw, 32 + number * 32)
        if size <= _MIB and offset + size <= length:
            found.setdefault(identity, source.pread(at + offset, size))
        if flags & 4 and not flags & 1 and identity not in _KNOWN:
            raise AcquireError("HW2007", name, what=f"VHDX with item {uuid.UUID(bytes_le=identity)}")
    return found


_KNOWN = frozenset(
    {
        _PARAMETERS, _SIZE, _SECTOR, _LOCATOR,
        uuid.UUID("beca12ab-b2e6-4523-93ef-c309e000c746").bytes_le,  # identifier of the disk (page 83)
        uuid.UUID("cda348c7-445d-4471-9cc9-e9885251c556").bytes_le,  # physical sector size
    }
)  # fmt: skip


def _locator(raw: bytes) -> dict[str, str]:
    """The parent locator's keys and values."""
    if len(raw) < 20 or raw[:16] != _VHDX_PARENT:
        return {}
    found: dict[str, str] = {}
    for number in range(min(int.from_bytes(raw[18:20], "little"), 100)):
        if 20 + number * 12 + 12 > len(raw):
            break
        key_at, value_at, key_length, value_length = struct.unpack_from("<IIHH", raw, 20 + number * 12)
        key = raw[key_at : key_at + key_length].decode("utf-16-le", "replace")
        found[key] = raw[value_at : value_at + value_length].decode("utf-16-le", "replace")
    return found


class VhdxMedium(BlockMedium):
    """The medium in a VHDX image; ``identity`` is what a child of it names (its data write identifier)."""

    kind = "vhdx"

    def __init__(self, own: FileSource, layout: Layout) -> None:
        super().__init__(own, layout.size, layout.sector)
        self._source = layout.source
        self.identity = layout.data_identity
        self._layout = layout
        self._ratio = _CHUNK_BITS * layout.sector // layout.block
        self._numbers = Numbers(layout.source, 8, "little")
        self._bitmaps: dict[int, npt.NDArray[np.uint8] | str] = {}
        kind = "differencing" if layout.parent is not None else "fixed or dynamic"
        self.notes = {"format": f"VHDX {kind}", "creator": layout.creator, "block_size": str(layout.block)}
        self.warnings = [Gap(0, 0, GapReason.NOT_REPLAYED, f"{own.name}: {words}") for words in layout.warnings]

    def _entry(self, index: int) -> int | None:
        if (index + 1) * 8 > self._layout.bat_length:
            return None
        return self._numbers.at(self._layout.bat + index * 8)

    def runs(self, offset: int, length: int) -> Iterator[Run]:
        """See :class:`BlockMedium`."""
        end = offset + length
        block = self._layout.block
        while offset < end:
            number, inside = divmod(offset, block)
            take = min(block - inside, end - offset)
            entry = self._entry(number + number // self._ratio)
            if entry is None:
                yield Run("lost", take, detail="an entry of the block table cannot be read")
            else:
                yield from self._block(entry & 7, (entry >> 20) * _MIB, number, inside, take)
            offset += take

    def _block(self, state: int, place: int, number: int, inside: int, take: int) -> Iterator[Run]:
        if state == _FULL:
            yield Run("plain", take, self._source, place + inside)
        elif state == _PARTIAL and self.beneath is not None:
            yield from self._sectors(place, number, inside, take)
        elif state == _NOT_PRESENT:
            yield Run("beneath" if self.beneath is not None else "zero", take)
        elif state in (_ZERO, _UNMAPPED, _OLD_UNMAPPED):
            yield Run("zero", take)
        elif state == _UNDEFINED:
            yield Run("lost", take, detail="the block table says that the content of a block is undefined")
        else:
            yield Run("lost", take, detail=f"a block is in state {state}, which means nothing here")

    def _sectors(self, place: int, number: int, inside: int, take: int) -> Iterator[Run]:
        """A block of a differencing image, by the bitmap of its sectors: the lowest bit is the first."""
        bitmap = self._bitmap(number)
        if isinstance(bitmap, str):
            yield Run("lost", take, detail=bitmap)
            return
        size = self._layout.sector
        first, skip = divmod(inside, size)
        for held, count in stretches(bitmap, first, -(-(skip + take) // size)):
            length = min(count * size - skip, take)
            if held:
                yield Run("plain", length, self._source, place + inside)
            else:
                yield Run("beneath", length)
            inside += length
            take -= length
            skip = 0

    def _bitmap(self, number: int) -> npt.NDArray[np.uint8] | str:
        if number not in self._bitmaps:
            if len(self._bitmaps) >= _BITMAPS:
                self._bitmaps.clear()
            self._bitmaps[number] = self._load_bitmap(number)
        return self._bitmaps[number]

    def _load_bitmap(self, number: int) -> npt.NDArray[np.uint8] | str:
        chunk, inside = divmod(number, self._ratio)
        entry = self._entry((chunk + 1) * self._ratio + chunk)
        length = self._layout.block // self._layout.sector // 8
        if entry is None or entry & 7 != _FULL:
            return "the sector bitmap of a block is not there"
        at = (entry >> 20) * _MIB + inside * length
        raw = self._source.pread(at, length)
        if len(raw) < length or faults_in(self._source, at, length):
            return "the sector bitmap of a block cannot be read"
        return np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")


def _reference(parent: dict[str, str]) -> Reference:
    names = tuple(parent[key] for key in ("relative_path", "absolute_win32_path", "volume_path") if parent.get(key))
    return Reference("parent", names, "vhdx")


def references(source: ByteSource, name: str) -> tuple[Reference, ...]:
    """The parent of a differencing VHDX.

    Raises:
        AcquireError: as :func:`read_layout`.
    """
    layout = read_layout(source, name)
    return (_reference(layout.parent),) if layout.parent is not None else ()


def open_vhdx(own: FileSource, files: SetFiles) -> BlockMedium:
    """The medium in a VHDX image.

    Raises:
        AcquireError: as :func:`read_layout`; HW2040 its parent is missing; HW2041 the parent is another one.
    """
    layout = read_layout(own, own.name)
    medium = VhdxMedium(own, layout)
    if layout.parent is not None:
        reference = _reference(layout.parent)
        medium.beneath = files.parent(reference, medium.size)
        medium.notes["backing_file"] = reference.said
        identity = getattr(medium.beneath, "identity", None)
        stated = [_guid(layout.parent.get(key, "")) for key in ("parent_linkage", "parent_linkage2")]
        if identity is not None and identity not in stated:
            files.differs(own.name, f"{reference.said}: {uuid.UUID(bytes_le=identity)}")
            detail = f"{own.name}: the parent has another identifier"
            medium.warnings.append(Gap(0, 0, GapReason.UNREADABLE, detail))
    return medium


def _guid(text: str) -> bytes:
    try:
        return uuid.UUID(text).bytes_le
    except ValueError:
        return b""
