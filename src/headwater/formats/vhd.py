# SPDX-License-Identifier: Apache-2.0
"""Reads VHD images: fixed, dynamic and differencing.

The footer at the end of the file stands a second time at the beginning of a dynamic one; whichever checks is believed.
A differencing image says of each sector whether it holds it. Specification: Microsoft, "Virtual Hard Disk Image
Format Specification 1.0" (2006). All numbers are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from headwater.formats.sources import FileSource
from headwater.formats.virtual_blocks import BlockMedium, Numbers, Run, faults_in, stretches
from headwater.formats.virtual_files import Reference, SetFiles
from headwater.formats.virtual_marks import VHD
from headwater.model.errors import AcquireError
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

_DYNAMIC = b"cxsparse"
_SECTOR = 512
_FOOTER = 512
_HEADER = 1024
_UNUSED = 0xFFFF_FFFF
_KINDS = {2: "fixed", 3: "dynamic", 4: "differencing"}
_SIZE_MOST = 1 << 48
_BLOCK_MOST = 256 << 20
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_BITMAPS = 64


@dataclass(frozen=True, slots=True)
class Footer:
    """``size``: the medium's in bytes. ``at``: where the footer that is believed stands. ``doubts``: what is wrong."""

    kind: str
    size: int
    header_at: int
    identity: bytes
    created: str
    creator: str
    at: int
    doubts: tuple[str, ...]


def _sum_fits(raw: bytes, place: int) -> bool:
    """The checksum at ``place``: the complement of the sum of all other bytes."""
    total = sum(raw) - sum(raw[place : place + 4])
    return ~total & 0xFFFF_FFFF == int.from_bytes(raw[place : place + 4], "big")


def read_footer(source: ByteSource, name: str) -> Footer:
    """The footer whose checksum fits: the one at the end, or its copy at the beginning.

    Where neither fits, one that is otherwise whole is believed, and a doubt says so.

    Raises:
        AcquireError: HW2042 neither can be read.
    """
    places = [source.size - _FOOTER, 0]
    if source.size % _SECTOR == _SECTOR - 1:
        places.insert(0, source.size - _FOOTER + 1)  # Virtual PC before 2004 wrote 511 bytes
    found: list[tuple[bytes, int]] = []
    for place in places:
        raw = source.pread(place, _FOOTER).ljust(_FOOTER, b"\0") if place >= 0 else b""
        if raw[:8] == VHD:
            found.append((raw, place))
    if not found:
        raise AcquireError("HW2042", name, what="neither footer of the VHD can be read")
    sound = [(raw, place) for raw, place in found if _sum_fits(raw, 64)]
    doubts: list[str] = []
    if not sound:
        doubts.append("the checksum of no footer fits: what it says is doubtful")
    elif sound[0] != found[0]:
        doubts.append("the checksum of the footer at the end does not fit; its copy at the beginning is used")
    elif sound[0][1] == 0:
        doubts.append("the footer at the end is missing; its copy at the beginning is used")
    raw, place = (sound or found)[0]
    return _footer(raw, place, tuple(doubts), name)


def _footer(raw: bytes, at: int, doubts: tuple[str, ...], name: str) -> Footer:
    header_at, seconds = struct.unpack_from(">QI", raw, 16)
    size, kind = int.from_bytes(raw[48:56], "big"), int.from_bytes(raw[60:64], "big")
    if kind not in _KINDS or not 0 < size <= _SIZE_MOST:
        raise AcquireError("HW2042", name, what=f"VHD type {kind}, {size} bytes")
    created = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    creator = raw[28:32].rstrip(b"\0 ").decode("ascii", "backslashreplace")
    return Footer(_KINDS[kind], size, header_at, raw[68:84], created, creator, at, doubts)


class VhdMedium(BlockMedium):
    """The medium in a VHD image; ``identity`` is what a child of it names."""

    kind = "vhd"

    def __init__(self, own: FileSource, footer: Footer) -> None:
        super().__init__(own, footer.size)
        self.identity = footer.identity
        self._fixed = footer.kind == "fixed"
        self._differencing = footer.kind == "differencing"
        self.notes = {
            "format": f"VHD {footer.kind}", "created": footer.created, "creator": footer.creator,
            "unique_id": footer.identity.hex(),
        }  # fmt: skip
        self.warnings = [Gap(footer.at, _FOOTER, GapReason.UNREADABLE, f"{own.name}: {d}") for d in footer.doubts]
        self._table = self._count = 0
        self._block = _SECTOR
        self._numbers = Numbers(own, 4, "big")
        self._bitmaps: dict[int, npt.NDArray[np.uint8] | None] = {}

    def lay_out(self, header: bytes, name: str) -> None:
        """Take the block table's place from the dynamic header.

        Raises:
            AcquireError: HW2042 values that cannot be.
        """
        table, _, count, block = struct.unpack_from(">QIII", header, 16)
        if table % _SECTOR or block % _SECTOR or not 0 < block <= _BLOCK_MOST or block & (block - 1):
            raise AcquireError("HW2042", name, what="the dynamic header holds impossible values")
        self._table, self._count, self._block = table, count, block
        self._bitmap_size = -(-block // _SECTOR // 8 // _SECTOR) * _SECTOR
        if not _sum_fits(header, 36):
            detail = f"{name}: the checksum of the dynamic header does not fit"
            self.warnings.append(Gap(0, _HEADER, GapReason.UNREADABLE, detail))

    def runs(self, offset: int, length: int) -> Iterator[Run]:
        """See :class:`BlockMedium`."""
        if self._fixed:
            yield Run("plain", length, self.own, offset)
            return
        end = offset + length
        while offset < end:
            index, inside = divmod(offset, self._block)
            take = min(self._block - inside, end - offset)
            entry = self._numbers.at(self._table + index * 4) if index < self._count else None
            if entry is None:
                yield Run("lost", take, detail="an entry of the block table cannot be read")
            elif entry == _UNUSED:
                yield Run("beneath" if self.beneath is not None else "zero", take)
            elif not self._differencing:
                yield Run("plain", take, self.own, entry * _SECTOR + self._bitmap_size + inside)
            else:
                yield from self._sectors(entry * _SECTOR, inside, take)
            offset += take

    def _sectors(self, block: int, inside: int, take: int) -> Iterator[Run]:
        """A block of a differencing image, by the bitmap of its sectors: the highest bit is the first."""
        bitmap = self._bitmap(block)
        if bitmap is None:
            yield Run("lost", take, detail="the sector bitmap of a block cannot be read")
            return
        first, skip = divmod(inside, _SECTOR)
        for held, count in stretches(bitmap, first, -(-(skip + take) // _SECTOR)):
            length = min(count * _SECTOR - skip, take)
            if held:
                yield Run("plain", length, self.own, block + self._bitmap_size + inside)
            else:
                yield Run("beneath", length)
            inside += length
            take -= length
            skip = 0

    def _bitmap(self, block: int) -> npt.NDArray[np.uint8] | None:
        if block not in self._bitmaps:
            if len(self._bitmaps) >= _BITMAPS:
                self._bitmaps.clear()
            raw = self.own.pread(block, self._bitmap_size)
            broken = len(raw) < self._bitmap_size or faults_in(self.own, block, self._bitmap_size)
            self._bitmaps[block] = None if broken else np.unpackbits(np.frombuffer(raw, np.uint8))
        return self._bitmaps[block]


def _header(source: ByteSource, footer: Footer, name: str) -> bytes:
    raw = source.pread(footer.header_at, _HEADER)
    if len(raw) < _HEADER or raw[:8] != _DYNAMIC:
        raise AcquireError("HW2042", name, what="the dynamic header of the VHD cannot be read")
    return raw


def _parent(source: ByteSource, header: bytes) -> Reference:
    """The parent by its locators (relative before absolute), then by the name in the header."""
    located: dict[bytes, str] = {}
    for at in range(576, 768, 24):
        code, _, length, _, place = struct.unpack_from(">4sIIIQ", header, at)
        if code in (b"W2ru", b"W2ku") and 0 < length <= 65_536:
            located[code] = source.pread(place, length).decode("utf-16-le", "replace").rstrip("\0")
    stated = header[64:576].decode("utf-16-be", "replace").split("\0", 1)[0]
    names = (located.get(b"W2ru", ""), stated, located.get(b"W2ku", ""))
    return Reference("parent", tuple(dict.fromkeys(n for n in names if n)), "vhd")


def references(source: ByteSource, name: str) -> tuple[Reference, ...]:
    """The parent of a differencing VHD.

    Raises:
        AcquireError: HW2042 the footer or header cannot be read.
    """
    footer = read_footer(source, name)
    return (_parent(source, _header(source, footer, name)),) if footer.kind == "differencing" else ()


def open_vhd(own: FileSource, files: SetFiles) -> BlockMedium:
    """The medium in a VHD image.

    Raises:
        AcquireError: HW2040 its parent is missing; HW2041 the parent is another one; HW2042 the structure is broken.
    """
    footer = read_footer(own, own.name)
    medium = VhdMedium(own, footer)
    if footer.kind == "fixed":
        return medium
    header = _header(own, footer, own.name)
    medium.lay_out(header, own.name)
    if footer.kind == "differencing":
        reference = _parent(own, header)
        medium.beneath = files.parent(reference, medium.size)
        medium.notes["backing_file"] = reference.said
        identity = getattr(medium.beneath, "identity", None)
        if identity is not None and identity != header[40:56]:
            files.differs(own.name, f"{reference.said}: {identity.hex()}, {header[40:56].hex()} is stated")
            detail = f"{own.name}: the parent has another identifier"
            medium.warnings.append(Gap(0, 0, GapReason.UNREADABLE, detail))
    return medium
