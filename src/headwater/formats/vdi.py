# SPDX-License-Identifier: Apache-2.0
"""Reads VDI images of VirtualBox: dynamic, fixed and differencing.

A differencing image names no file, only the identifier of its parent. Layout: VirtualBox's ``VDICore.h`` (header 1.1)
as restated in QEMU's documentation of the format; all numbers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from headwater.formats.sources import FileSource
from headwater.formats.virtual_blocks import MEDIUM_MOST, BlockMedium, Numbers, Run
from headwater.formats.virtual_files import Reference, SetFiles
from headwater.formats.virtual_marks import VDI_IDENTITY
from headwater.model.errors import AcquireError
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

_LINK = slice(0x1A8, 0x1B8)
_HEADER = 0x1C8
_KINDS = {1: "dynamic", 2: "fixed", 3: "undo", 4: "differencing"}
_NEVER, _ZERO = 0xFFFF_FFFF, 0xFFFF_FFFE
_BLOCK_MOST = 256 << 20


class VdiMedium(BlockMedium):
    """The medium in a VDI image; ``identity`` is what a child of it names."""

    kind = "vdi"

    def __init__(self, own: FileSource, head: bytes) -> None:
        type_ = struct.unpack_from("<I", head, 0x4C)[0]
        map_at, data_at = struct.unpack_from("<II", head, 0x154)
        sector, _, size, block, extra, blocks, allocated = struct.unpack_from("<IIQIIII", head, 0x168)
        impossible = (
            type_ not in _KINDS or size > MEDIUM_MOST or not 512 <= block <= _BLOCK_MOST or block & (block - 1)
            or extra > _BLOCK_MOST or map_at % 4
        )  # fmt: skip
        if impossible:
            raise AcquireError("HW2042", own.name, what="the header of the VDI holds impossible values")
        super().__init__(own, size, sector if sector in (512, 4096) else 512)
        self.identity = head[VDI_IDENTITY]
        self.link = head[_LINK]
        self.differencing = _KINDS[type_] in ("undo", "differencing")
        self._map, self._data, self._block, self._extra, self._blocks = map_at, data_at, block, extra, blocks
        self._numbers = Numbers(own, 4, "little")
        comment = head[0x54:0x154].split(b"\0", 1)[0].decode("utf-8", "backslashreplace")
        self.notes = {"format": f"VDI {_KINDS[type_]}", "unique_id": self.identity.hex()}
        self.notes |= {"comment": comment} if comment else {}
        if allocated > blocks:
            detail = f"{own.name}: more blocks are said to be allocated than there are"
            self.warnings.append(Gap(0, _HEADER, GapReason.NOT_THIS_FORMAT, detail))

    def runs(self, offset: int, length: int) -> Iterator[Run]:
        """See :class:`BlockMedium`."""
        end = offset + length
        while offset < end:
            index, inside = divmod(offset, self._block)
            take = min(self._block - inside, end - offset)
            entry = self._numbers.at(self._map + index * 4) if index < self._blocks else None
            if entry is None:
                yield Run("lost", take, detail="an entry of the block map cannot be read")
            elif entry == _NEVER:
                yield Run("beneath" if self.beneath is not None else "zero", take)
            elif entry == _ZERO:
                yield Run("zero", take)
            elif entry >= self._blocks:
                yield Run("lost", take, detail="an entry of the block map points beyond the last block")
            else:
                place = self._data + entry * (self._block + self._extra) + self._extra
                yield Run("plain", take, self.own, place + inside)
            offset += take


def _head(source: ByteSource, name: str) -> bytes:
    head = source.pread(0, _HEADER)
    if len(head) < _HEADER:
        raise AcquireError("HW2042", name, what="the header of the VDI is cut off")
    version = int.from_bytes(head[0x44:0x48], "little")
    if version >> 16 != 1:
        raise AcquireError("HW2007", name, what=f"VDI version {version >> 16}.{version & 0xFFFF}")
    return head


def references(source: ByteSource, name: str) -> tuple[Reference, ...]:
    """The parent of a differencing VDI, by its identifier.

    Raises:
        AcquireError: HW2007 an unknown version; HW2042 the header cannot be read.
    """
    head = _head(source, name)
    differencing = int.from_bytes(head[0x4C:0x50], "little") in (3, 4)
    return (Reference("parent", (), "vdi", head[_LINK]),) if differencing else ()


def open_vdi(own: FileSource, files: SetFiles) -> BlockMedium:
    """The medium in a VDI image.

    Raises:
        AcquireError: HW2007 an unknown version; HW2040 its parent is missing; HW2042 the structure is broken.
    """
    medium = VdiMedium(own, _head(own, own.name))
    for reference in references(own, own.name):
        medium.beneath = files.parent(reference, medium.size)
        medium.notes["backing_file"] = reference.said
    return medium
