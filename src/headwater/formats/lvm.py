# SPDX-License-Identifier: Apache-2.0
"""Finds LVM2 physical volumes and puts their linear logical volumes together.

Layout: lvm2 ``lib/format_text/layout.h`` and ``lib/label/label.h``: a label in one of the first four sectors leads to
metadata areas, each a ring of text whose header names the current one; lvmsystemid and lvm.conf do not matter here.
Linear volumes (also over several physical volumes) are readable; striped, mirrored, RAID, thin, cached and snapshot
volumes, and the parts on physical volumes that are not here, are zeros and listed as ``bad``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from headwater.formats.lvm_text import Tree, parse
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
_SEGMENTS = 65_536


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
    """``offset`` on the medium, −1 where it is not one run of it."""

    holder: str
    group: str
    name: str
    offset: int
    source: ByteSource


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
    return _number(group, "seqno"), name, group


def _number(tree: Mapping[str, object], key: str) -> int:
    value = tree.get(key)
    return value if isinstance(value, int) and 0 <= value < 1 << 62 else 0


def _tree(tree: Mapping[str, object], key: str) -> Tree:
    value = tree.get(key)
    return value if isinstance(value, dict) else {}


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
        if newest is None or _number(pv.metadata, "seqno") > _number(newest.metadata or {}, "seqno"):
            # volumes are named behind the first holder, whichever of them has the newest metadata
            groups[key] = pv
    for newest in groups.values():
        meta = newest.metadata or {}
        here = _present(meta, held)
        for name, volume in list(_tree(meta, "logical_volumes").items())[:_VOLUMES]:
            if isinstance(volume, dict) and "VISIBLE" in _words(volume.get("status")):
                yield _assemble(newest, meta, here, name, volume, warnings)


def _words(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _present(meta: Tree, held: Sequence[PhysicalVolume]) -> dict[str, tuple[PhysicalVolume, int]]:
    """By its name in the metadata: each physical volume that is here, and where its extents begin in it."""
    by_uuid = {pv.uuid: pv for pv in held if pv.uuid}
    found: dict[str, tuple[PhysicalVolume, int]] = {}
    for name, value in _tree(meta, "physical_volumes").items():
        if isinstance(value, dict):
            pv = by_uuid.get(str(value.get("id", "")).replace("-", ""))
            if pv is not None:
                found[name] = (pv, _number(value, "pe_start") * _SECTOR)
    return found


def _assemble(
    newest: PhysicalVolume,
    meta: Tree,
    here: Mapping[str, tuple[PhysicalVolume, int]],
    name: str,
    volume: Tree,
    warnings: list[Gap],
) -> LogicalVolume:
    extent = _number(meta, "extent_size") * _SECTOR
    segments = [value for key, value in volume.items() if key.startswith("segment") and isinstance(value, dict)]
    segments = sorted(segments[:_SEGMENTS], key=lambda s: _number(s, "start_extent"))
    pieces: list[Piece] = []
    bad: list[Bad] = []
    places: list[int] = []
    at = 0
    for segment in segments:
        start, length = _number(segment, "start_extent") * extent, _number(segment, "extent_count") * extent
        if start > at:  # extents that no segment describes
            bad.append((at, start - at, GapReason.UNREADABLE, "no segment describes these extents"))
            pieces.append(Piece(None, 0, start - at))
            at = start
        pv, offset, why = _segment(segment, here, extent)
        if pv is None:
            bad.append((at, length, *why))
            pieces.append(Piece(None, 0, length))
        else:
            pieces.append(Piece(pv.source, offset, length))
            places.append(pv.offset + offset - at)
        at += length
    label = f"{newest.group}/{name}"
    for _, length, reason, detail in bad:
        warnings.append(Gap(0, length, reason, f"{label}: {detail}"))
    one_run = len(set(places)) == 1 and not bad
    first = next((here[pv][0].holder for pv in here), newest.holder)
    source = ChainSource(pieces, extra=bad)
    group = encode_name(newest.group.encode("utf-8", "surrogateescape")).replace("/", "%2F")
    plain = encode_name(name.encode("utf-8", "surrogateescape")).replace("/", "%2F")
    return LogicalVolume(first, group, plain, places[0] if one_run else -1, source)


def _segment(
    segment: Tree, here: Mapping[str, tuple[PhysicalVolume, int]], extent: int
) -> tuple[PhysicalVolume | None, int, tuple[GapReason, str]]:
    """The physical volume and offset in it of a linear segment; otherwise None and why."""
    kind = str(segment.get("type", ""))
    stripes = _words(segment.get("stripes"))
    if kind not in ("striped", "linear") or _number(segment, "stripe_count") != 1 or len(stripes) != 2:
        return None, 0, (GapReason.UNSUPPORTED, f"a segment of type {kind} is not linear")
    name, first = stripes
    if not isinstance(first, int) or str(name) not in here:
        return None, 0, (GapReason.UNREADABLE, f"physical volume {name} is not on this medium")
    pv, start = here[str(name)]
    return pv, start + first * extent, (GapReason.UNREADABLE, "")
