# SPDX-License-Identifier: Apache-2.0
"""Reads VMDK disks: monolithic and split, sparse, flat and stream-optimised, COWD, and chains of parents.

Extents and parents are taken only from files that are already open (:mod:`headwater.formats.virtual_files`); a parent
must carry the content identifier that its child states. Specification: VMware, "Virtual Disk Format 5.0".
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator

from headwater.formats import vmdk_descriptor as descriptors
from headwater.formats.sources import FileSource
from headwater.formats.virtual_blocks import BlockMedium, Run
from headwater.formats.virtual_files import Reference, SetFiles
from headwater.formats.virtual_marks import ESX, HOSTED
from headwater.formats.vmdk_descriptor import Descriptor, Extent
from headwater.formats.vmdk_sparse import SparseExtent, read_layout
from headwater.model.errors import AcquireError
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

_FLAT = ("FLAT", "VMFS", "VMFSRDM", "VMFSRAW")
_SPARSE = ("SPARSE", "VMFSSPARSE")
_ALONE = "an extent without its descriptor: a parent may hold this"


class VmdkMedium(BlockMedium):
    """The medium in a VMDK: its extents, one behind the other."""

    kind = "vmdk"

    def __init__(
        self, own: FileSource, descriptor: Descriptor | None, parts: list[tuple[int, Run | SparseExtent]]
    ) -> None:
        super().__init__(own, sum(length for length, _ in parts))
        self.cid = descriptor.cid if descriptor else None
        self._parts = [part for _, part in parts]
        self._starts: list[int] = []
        at = 0
        for length, _ in parts:
            self._starts.append(at)
            at += length
        self._ends = [*self._starts[1:], at]
        self._alone = descriptor is None
        values = descriptor.values if descriptor else {}
        kept = (
            "createType",
            "ddb.adapterType",
            "ddb.virtualHWVersion",
            "ddb.uuid",
            "ddb.longContentID",
            "CID",
            "parentCID",
        )
        self.notes = {"format": "VMDK"} | {key: values[key] for key in kept if key in values}
        if values.get("parentFileNameHint"):
            self.notes["backing_file"] = values["parentFileNameHint"]
        words: list[tuple[GapReason, str]] = []
        if self._alone:
            words.append((GapReason.UNREADABLE, "a sparse extent without the descriptor of its disk"))
        if any(isinstance(part, SparseExtent) and part.layout.unclean for part in self._parts):
            words.append((GapReason.NOT_REPLAYED, "an extent is marked as not closed cleanly"))
        if any(isinstance(part, SparseExtent) and part.layout.cut for part in self._parts):
            words.append((GapReason.TRUNCATED, "a stream without its footer: its grains were found by their markers"))
        self.warnings = [Gap(0, 0, reason, f"{own.name}: {detail}") for reason, detail in words]

    def runs(self, offset: int, length: int) -> Iterator[Run]:
        """See :class:`BlockMedium`."""
        end = offset + length
        index = bisect.bisect_right(self._starts, offset) - 1
        while offset < end:
            inside = offset - self._starts[index]
            take = min(end, self._ends[index]) - offset
            part = self._parts[index]
            if isinstance(part, Run):
                yield part._replace(length=take, offset=part.offset + inside if part.how == "plain" else 0)
            else:
                held = max(0, min(take, part.layout.size - inside))
                yield from part.runs(inside, held, self._nothing())
                if held < take:
                    yield Run("lost", take - held, detail="the extent is shorter than the descriptor says")
            offset += take
            index += 1

    def _nothing(self) -> Run:
        if self.beneath is not None:
            return Run("beneath", 0)
        return Run("lost", 0, detail=_ALONE) if self._alone else Run("zero", 0)

    def unpack(self, key: tuple[int, ...]) -> bytes | str:
        """See :class:`BlockMedium`; the key's first number is the extent's."""
        part = self._parts[key[0]]
        assert isinstance(part, SparseExtent)
        return part.unpack(key)


def read_descriptor(source: ByteSource, name: str) -> Descriptor | None:
    """The descriptor of a disk, from a text file or out of a sparse extent; None where that holds none.

    Raises:
        AcquireError: HW2007, HW2042 as the header or the descriptor says.
    """
    head = source.pread(0, 4)
    if head == ESX:
        return None
    if head == HOSTED:
        at, length = read_layout(source, name).descriptor
        if not at or not length:
            return None
        raw = source.pread(at, min(length, descriptors.TEXT_MOST))
        return descriptors.parse(raw, name) if raw.strip(b"\0") else None
    return descriptors.parse(source.pread(0, descriptors.TEXT_MOST), name)


def references(source: ByteSource, name: str) -> tuple[Reference, ...]:
    """The files that a VMDK needs besides itself: extents in their order, then the parent.

    Raises:
        AcquireError: as :func:`read_descriptor`.
    """
    descriptor = read_descriptor(source, name)
    if descriptor is None:
        return ()
    found: dict[str, Reference] = {}
    if source.pread(0, 4) != HOSTED:
        for extent in descriptor.extents:
            if extent.name and extent.type != "ZERO" and extent.access != "NOACCESS":
                found.setdefault(extent.name, Reference("extent", (extent.name,), "raw"))
    parents = (Reference("parent", (descriptor.parent,) if descriptor.parent else ()),) if descriptor.has_parent else ()
    return (*found.values(), *parents)


def open_vmdk(own: FileSource, files: SetFiles) -> BlockMedium:
    """The medium in a VMDK, given by its descriptor or by the one file that holds it.

    Raises:
        AcquireError: as :func:`read_descriptor`; HW2007 an extent of a kind that no reader here knows; HW2040 an
            extent or the parent is missing; HW2041 the parent is another one.
    """
    descriptor = read_descriptor(own, own.name)
    parts: list[tuple[int, Run | SparseExtent]]
    if own.pread(0, 4) in (HOSTED, ESX):
        layout = read_layout(own, own.name)
        parts = [(layout.size, SparseExtent(own, layout, 0))]
    elif descriptor is None or not descriptor.extents:
        raise AcquireError("HW2042", own.name, what="the descriptor names no extent")
    else:
        held: dict[str, ByteSource] = {}
        parts = [_part(e, number, files, held, own.name) for number, e in enumerate(descriptor.extents)]
    medium = VmdkMedium(own, descriptor, parts)
    if descriptor is not None and descriptor.has_parent:
        reference = Reference("parent", (descriptor.parent,) if descriptor.parent else ())
        medium.beneath = files.parent(reference, medium.size)
        cid = getattr(medium.beneath, "cid", None)
        if cid is not None and cid != descriptor.parent_cid:
            files.differs(own.name, f"{descriptor.parent}: CID {cid:08x}, {descriptor.parent_cid:08x} is stated")
            medium.warnings.append(Gap(0, 0, GapReason.UNREADABLE, f"{own.name}: the parent has another CID"))
    return medium


def _part(
    extent: Extent, number: int, files: SetFiles, held: dict[str, ByteSource], name: str
) -> tuple[int, Run | SparseExtent]:
    if extent.access == "NOACCESS":
        return extent.length, Run("lost", 0, detail="an extent that the descriptor gives no access to")
    if extent.type == "ZERO":
        return extent.length, Run("zero", 0)
    if extent.type not in (*_FLAT, *_SPARSE):
        raise AcquireError("HW2007", name, what=f"VMDK {extent.type}")
    if extent.name not in held:
        reference = Reference("extent", (extent.name,), "raw")
        held[extent.name] = files.extent(reference, extent.offset + extent.length)
    source = held[extent.name]
    if extent.type in _FLAT:
        return extent.length, Run("plain", 0, source, extent.offset)
    if source.pread(0, 4) not in (HOSTED, ESX):
        detail = f"the extent {extent.name} is no sparse extent"
        return extent.length, Run("lost", 0, detail=detail)
    try:
        return extent.length, SparseExtent(source, read_layout(source, extent.name), number)
    except AcquireError as error:  # one broken extent costs its own bytes, not the disk
        detail = f"the extent {extent.name} cannot be opened: {error.names['what']}"
        return extent.length, Run("lost", 0, detail=detail)
