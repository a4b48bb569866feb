# SPDX-License-Identifier: Apache-2.0
"""Finds LVM2 physical volumes and puts their logical volumes together.

Layout: lvm2 ``lib/format_text/layout.h`` and ``lib/label/label.h``: a label in one of the first four sectors leads to
metadata areas, each a ring of text whose header names the current one; lvmsystemid and lvm.conf do not matter here.
What its segments are is read by :mod:`headwater.formats.lvm_segments`; what is not read there, and the parts on
physical volumes that are not here, are zeros and listed as ``bad``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headwater.formats.lvm_segments import Refused, Resolver, Special
from headwater.formats.lvm_snapshot import snapshot
from headwater.formats.lvm_text import Tree, number, parse, subtree
from headwater.formats.lvm_thin import thin
from headwater.formats.sources import Bad, ChainSource, Piece
from headwater.model.kinds import GapReason
from headwater.model.paths import encode_name
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

_SECTOR = 512
_CRC_START = 0xF597A6CF  # lvm2 lib/misc/crc.h INITIAL_CRC
_MAGIC = b" LVM2 x[5A%r0N*>"
_TEXT = 8 << 20
_AREAS = 16
_VOLUMES = 4096
_POOLS = frozenset({"thin-pool", "cache-pool"})


@dataclass(frozen=True, slots=True)
class PhysicalVolume:
    """A physical volume: the name of the partition it is, where that lies on the medium, and the group it belongs to.

    ``metadata`` is None where no area holds text that can be read.
    """

    holder: str
    offset: int
    source: ByteSource
    uuid: str
    group: str
    metadata: Tree | None


@dataclass(frozen=True, slots=True)
class LogicalVolume:
    """``offset`` on the medium, −1 where it is not one run of it; ``thin``: its blocks come out of a pool."""

    holder: str
    group: str
    name: str
    offset: int
    source: ByteSource
    thin: bool = False


def _crc(data: bytes) -> int:
    return zlib.crc32(data, _CRC_START ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def physical_volume(holder: str, offset: int, source: ByteSource) -> PhysicalVolume | None:
    """The physical volume that a source is, None if it is none."""
    head = source.pread(0, 4 * _SECTOR)
    for at in range(0, len(head) - _SECTOR + 1, _SECTOR):
        label = head[at : at + _SECTOR]
        if label.startswith(b"LABELONE") and label[24:32] == b"LVM2 001":
            break
    else:
        return None
    start = int.from_bytes(label[20:24], "little")
    if _crc(label[20:]) != int.from_bytes(label[16:20], "little") or not 32 <= start <= _SECTOR - 72:
        return PhysicalVolume(holder, offset, source, "", "", None)
    uuid = label[start : start + 32].decode("ascii", "replace")
    best: tuple[int, str, Tree] | None = None
    for area in _metadata_areas(label[start + 40 :]):
        found = _metadata(source, area)
        if found is not None and (best is None or found[0] > best[0]):
            best = found
    return PhysicalVolume(holder, offset, source, uuid, best[1] if best else "", best[2] if best else None)


def _metadata_areas(pairs: bytes) -> list[int]:
    """Offsets of the metadata areas: the second list of (offset, size) pairs, each list ended by zeros."""
    lists: list[list[int]] = [[]]
    for offset, size in struct.iter_unpack("<QQ", pairs[: len(pairs) // 16 * 16]):
        if offset or size:
            lists[-1].append(offset)
        elif len(lists) == 2:
            break
        else:
            lists.append([])
    return lists[1][:_AREAS] if len(lists) > 1 else []


def _metadata(source: ByteSource, area: int) -> tuple[int, str, Tree] | None:
    """Sequence number, group name and content of an area's current text, if all its checksums fit."""
    head = source.pread(area, _SECTOR)
    if len(head) < _SECTOR or head[4:20] != _MAGIC or _crc(head[4:]) != int.from_bytes(head[:4], "little"):
        return None
    start, size = struct.unpack_from("<QQ", head, 24)
    at, length, checksum, ignored = struct.unpack_from("<QQII", head, 40)
    if ignored & 1 or not 0 < length <= min(size, _TEXT) or not _SECTOR <= at < size:
        return None
    text = source.pread(start + at, min(length, size - at))
    if len(text) < length:  # the ring goes on behind its header
        text += source.pread(start + _SECTOR, length - len(text))
    if _crc(text) != checksum:
        return None
    tree = parse(text.rstrip(b"\0"))
    groups = [(name, value) for name, value in (tree or {}).items() if isinstance(value, dict)]
    if len(groups) != 1:
        return None
    name, group = groups[0]
    return number(group, "seqno"), name, group


def logical_volumes(held: Sequence[PhysicalVolume], warnings: list[Gap]) -> Iterator[LogicalVolume]:
    """The visible logical volumes of all groups that these physical volumes hold, by group and name as recorded."""
    groups: dict[str, PhysicalVolume] = {}
    for pv in held:
        if pv.metadata is None:
            detail = f"{pv.holder or 'the medium'}: an LVM2 physical volume without metadata that can be read"
            warnings.append(Gap(pv.offset, pv.source.size, GapReason.UNREADABLE, detail))
            continue
        key = str(pv.metadata.get("id", pv.group))
        newest = groups.get(key)
        if newest is None or number(pv.metadata, "seqno") > number(newest.metadata or {}, "seqno"):
            # volumes are named behind the first holder, whichever of them has the newest metadata
            groups[key] = pv
    for newest in groups.values():
        meta = newest.metadata or {}
        here = _present(meta, held)
        resolver = Resolver(
            meta, {name: (pv.source, start) for name, (pv, start) in here.items()}, Special(thin, snapshot)
        )
        first = next((pv.holder for pv, _ in here.values()), newest.holder)
        for name in resolver.visible()[:_VOLUMES]:
            found = _assemble(newest.group, first, resolver, name, held, warnings)
            if found is not None:
                yield found


def _present(meta: Tree, held: Sequence[PhysicalVolume]) -> dict[str, tuple[PhysicalVolume, int]]:
    """By its name in the metadata: each physical volume that is here, and where its extents begin in it."""
    by_uuid = {pv.uuid: pv for pv in held if pv.uuid}
    found: dict[str, tuple[PhysicalVolume, int]] = {}
    for name, value in subtree(meta, "physical_volumes").items():
        if isinstance(value, dict):
            pv = by_uuid.get(str(value.get("id", "")).replace("-", ""))
            if pv is not None:
                found[name] = (pv, number(value, "pe_start") * _SECTOR)
    return found


def _assemble(
    label: str, holder: str, resolver: Resolver, name: str, held: Sequence[PhysicalVolume], warnings: list[Gap]
) -> LogicalVolume | None:
    """A visible volume; None for what is only a pool of others."""
    segments = resolver.segments(name)
    if {str(s.get("type", "")).split("+")[0] for s in segments} & _POOLS:
        return None
    seen = len(resolver.failures)
    try:
        if segments and segments[0].get("type") == "snapshot":
            name = str(segments[0].get("cow_store", name))  # shown under the name of its store, which is hidden
            source: ByteSource = snapshot(resolver, segments[0], resolver.open(name))
        else:
            source = resolver.open(name)
    except Refused as error:
        extents = max(
            (number(s, "start_extent") + number(s, "extent_count") for s in resolver.segments(name)), default=0
        )
        lost: Bad = (0, extents * resolver.extent, error.reason, error.detail)
        resolver.failures.append((name, lost))
        source = ChainSource((Piece(None, 0, lost[1]),), extra=(lost,))
    for which, (_, length, reason, detail) in resolver.failures[seen:]:
        warnings.append(Gap(0, length, reason, f"{label}/{which}: {detail}"))
    group = encode_name(label.encode("utf-8", "surrogateescape")).replace("/", "%2F")
    plain = encode_name(name.encode("utf-8", "surrogateescape")).replace("/", "%2F")
    thinly = any(s.get("type") == "thin" for s in segments)
    return LogicalVolume(holder, group, plain, _one_run(source, held), source, thinly)


def _one_run(source: ByteSource, held: Sequence[PhysicalVolume]) -> int:
    """Where a volume begins on the medium if it is one run of it, −1 if it is not."""
    if not isinstance(source, ChainSource) or source.bad:
        return -1
    at = 0
    starts: set[int] = set()
    offsets = {id(pv.source): pv.offset for pv in held}
    for piece, offset, length in source.parts(0, source.size):
        below = offsets.get(id(piece), -1)
        if below < 0:
            return -1
        starts.add(below + offset - at)
        at += length
    return starts.pop() if len(starts) == 1 and at == source.size else -1
