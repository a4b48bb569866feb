# SPDX-License-Identifier: Apache-2.0
"""Turns the segments of LVM2 logical volumes into bytes: linear, striped, mirrors, RAID, thin volumes, snapshots.

Types and their words: lvm2 ``lib/metadata/segtype.h``, ``lib/*/*.c`` (import functions); the layouts of RAID segments
are those of the kernel's dm-raid (drivers/md/dm-raid.c ``raid_types``), which hands them to md. Everything hidden that a
volume is built of (images, pools, stores) is a logical volume of the same group, resolved by name, to a bounded depth.
Cached, writecached, VDO and integrity segments are not read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from headwater.formats.lvm_text import Tree, number, subtree, words
from headwater.formats.mdraid_geometry import ZONES_ALTERNATE, Geometry, Unfit, geometry
from headwater.formats.mdraid_source import ArraySource, Leg
from headwater.formats.sources import Bad, ChainSource, Piece
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource

_SECTOR = 512
_DEPTH = 8
_SEGMENTS = 65_536
_NEVER = 1 << 63
# name of the segment type: (level, layout) of md
_RAID: dict[str, tuple[int, int]] = {
    "raid0": (0, ZONES_ALTERNATE), "raid0_meta": (0, ZONES_ALTERNATE), "raid1": (1, 0), "raid4": (5, 4),
    "raid5": (5, 2), "raid5_ls": (5, 2), "raid5_la": (5, 0), "raid5_ra": (5, 1), "raid5_rs": (5, 3), "raid5_n": (5, 5),
    "raid6": (6, 8), "raid6_zr": (6, 8), "raid6_nr": (6, 9), "raid6_nc": (6, 10), "raid6_n_6": (6, 5),
    "raid6_ls_6": (6, 18), "raid6_rs_6": (6, 19), "raid6_la_6": (6, 16), "raid6_ra_6": (6, 17),
    "raid10": (10, 0), "raid10_near": (10, 0),
}  # fmt: skip
_DM_RAID = 0x64526D44
Locate = Mapping[str, tuple[ByteSource, int]]


class Refused(ValueError):
    """A segment that is not read, with the reason for a gap."""

    def __init__(self, reason: GapReason, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class Special(NamedTuple):
    """Readers of what is more than a map: thin volumes and snapshots; each given the resolver and a segment."""

    thin: Callable[[Resolver, Tree, int], ByteSource]
    snapshot: Callable[[Resolver, Tree, ByteSource], ByteSource]


class Resolver:
    """Opens the logical volumes of one group by name; ``here``: physical volume → (source, where its extents begin)."""

    def __init__(self, group: Tree, here: Locate, special: Special) -> None:
        self.extent = number(group, "extent_size") * _SECTOR
        self._volumes = subtree(group, "logical_volumes")
        self._here, self._special = here, special
        self._open: dict[str, ChainSource] = {}
        self._depth = 0
        self.failures: list[tuple[str, Bad]] = []
        self.pools: dict[str, object] = {}

    def visible(self) -> list[str]:
        """The volumes that the group shows, in the order of its text."""
        found = [(n, v) for n, v in self._volumes.items() if isinstance(v, dict)]
        return [name for name, volume in found if "VISIBLE" in words(volume.get("status"))]

    def volume(self, name: str) -> Tree:
        """The section of a volume.

        Raises:
            Refused: there is none.
        """
        found = self._volumes.get(name)
        if not isinstance(found, dict):
            raise Refused(GapReason.NOT_THIS_FORMAT, f"the group has no volume {name}")
        return found

    def segments(self, name: str) -> list[Tree]:
        """The segments of a volume by their place in it."""
        found = [v for k, v in self.volume(name).items() if k.startswith("segment") and isinstance(v, dict)]
        return sorted(found[:_SEGMENTS], key=lambda s: number(s, "start_extent"))

    def open(self, name: str) -> ChainSource:
        """A volume's bytes; segments that cannot be had are zeros and bad, and noted in ``failures``.

        Raises:
            Refused: no such volume, or volumes that are built of each other too deep.
        """
        if name in self._open:
            return self._open[name]
        if self._depth >= _DEPTH:
            raise Refused(GapReason.LIMIT, f"volume {name} is built of others more than {_DEPTH} deep")
        self._depth += 1
        try:
            self._open[name] = found = self._chain(name)
        finally:
            self._depth -= 1
        return found

    def _chain(self, name: str) -> ChainSource:
        pieces: list[Piece] = []
        bad: list[Bad] = []
        at = 0
        for segment in self.segments(name):
            start, length = number(segment, "start_extent") * self.extent, number(segment, "extent_count") * self.extent
            if start > at:
                bad.append((at, start - at, GapReason.UNREADABLE, "no segment describes these extents"))
                pieces.append(Piece(None, 0, start - at))
                at = start
            try:
                pieces.append(self._piece(segment, length))
            except Refused as error:
                bad.append((at, length, error.reason, error.detail))
                pieces.append(Piece(None, 0, length))
            except Unfit as error:
                bad.append((at, length, GapReason.UNSUPPORTED, str(error)))
                pieces.append(Piece(None, 0, length))
            at += length
        self.failures.extend((name, one) for one in bad)
        return ChainSource(pieces, extra=bad)

    def _piece(self, segment: Tree, length: int) -> Piece:
        kind = str(segment.get("type", "")).split("+")[0]
        if kind in ("striped", "linear"):
            return self._striped(segment, length)
        if kind == "mirror":
            return self._mirror(segment, length)
        if kind in _RAID:
            return self._raid(kind, segment, length)
        if kind == "thin":
            return Piece(self._special.thin(self, segment, length), 0, length)
        if kind == "zero":
            return Piece(None, 0, length)
        if kind == "error":
            raise Refused(GapReason.UNREADABLE, "the volume itself answers these extents with errors")
        if kind == "cache" and _cache_through(self, segment):
            return Piece(self.open(str(segment.get("origin"))), 0, length)
        raise Refused(GapReason.UNSUPPORTED, f"a segment of type {kind} is not read")

    def _area(self, name: object, first: object) -> tuple[ByteSource, int]:
        """A physical volume or hidden volume, and the byte in it at which an area begins."""
        if not isinstance(first, int) or not 0 <= first < 1 << 40:
            raise Refused(GapReason.NOT_THIS_FORMAT, "an area without a place")
        if str(name) in self._here:
            source, start = self._here[str(name)]
            return source, start + first * self.extent
        if str(name) in self._volumes:
            return self.open(str(name)), first * self.extent
        raise Refused(GapReason.UNREADABLE, f"physical volume {name} is not on this medium")

    def _striped(self, segment: Tree, length: int) -> Piece:
        areas = words(segment.get("stripes"))
        count = number(segment, "stripe_count")
        if len(areas) != 2 * count or not count:
            raise Refused(GapReason.NOT_THIS_FORMAT, "stripes that do not fit their number")
        if count == 1:
            source, start = self._area(areas[0], areas[1])
            return Piece(source, start, length)
        chunk = number(segment, "stripe_size") * _SECTOR
        share = length // count
        legs = [self._leg(areas[2 * n], areas[2 * n + 1], share) for n in range(count)]
        if any(leg is None for leg in legs):
            raise Refused(GapReason.UNREADABLE, "a physical volume of a striped segment is not on this medium")
        shape = geometry(0, ZONES_ALTERNATE, count, share, chunk, [share] * count)
        return Piece(ArraySource(shape, legs, length), 0, length)

    def _leg(self, name: object, first: object, share: int) -> Leg | None:
        try:
            source, start = self._area(name, first)
        except Refused as error:
            if error.reason != GapReason.UNREADABLE:
                raise
            return None
        return Leg(source, start, share, _NEVER, ())

    def _mirror(self, segment: Tree, length: int) -> Piece:
        areas = words(segment.get("mirrors"))
        legs = [self._leg(areas[n], areas[n + 1], length) for n in range(0, len(areas) - 1, 2)]
        if not any(legs):
            raise Refused(GapReason.UNREADABLE, "no copy of a mirror is on this medium")
        return Piece(ArraySource(geometry(1, 0, len(legs), length, 0, ()), legs, length), 0, length)

    def _raid(self, kind: str, segment: Tree, length: int) -> Piece:
        level, layout = _RAID[kind]
        names = [str(n) for n in words(segment.get("raids") or segment.get("raid0_lvs"))]
        pairs: list[tuple[str, str]] = [("", n) for n in names]
        if segment.get("raids") is not None:
            pairs = list(zip(names[::2], names[1::2]))
        if "reshape_count" in segment or "data_offset" in segment:
            raise Refused(GapReason.UNSUPPORTED, "a RAID segment that is being reshaped is not read")
        disks = len(pairs)
        chunk = number(segment, "stripe_size") * _SECTOR
        copies = number(segment, "data_copies") or 2
        if level == 10:
            layout = 1 << 8 | copies
        share = _share(level, disks, copies, length)
        stale = self._stale([meta for meta, _ in pairs])
        legs = [None if n in stale else self._image(image, share) for n, (_, image) in enumerate(pairs)]
        shape: Geometry = geometry(level, layout, disks, share, chunk, [share] * disks)
        return Piece(ArraySource(shape, legs, length), 0, length)

    def _image(self, name: str, share: int) -> Leg | None:
        source = self.open(name)
        lost = tuple((at, size) for at, size, _, _ in source.bad)
        return None if lost and lost[0] == (0, source.size) else Leg(source, 0, min(share, source.size), _NEVER, lost)

    def _stale(self, metas: Sequence[str]) -> set[int]:
        """The images that dm-raid's own records say have failed or lag behind."""
        said: dict[int, tuple[int, int]] = {}
        for n, name in enumerate(metas):
            raw = self.open(name).pread(0, 32) if name else b""
            if len(raw) == 32:
                magic, _, _, place, events, failed = struct.unpack("<IIiiQQ", raw)
                if magic == _DM_RAID and place == n:
                    said[n] = (events, failed)
        if not said:
            return set()
        events, failed = max(said.values())
        lagging = {n for n, (count, _) in said.items() if count + 1 < events}
        return lagging | {n for n in range(min(64, len(metas))) if failed >> n & 1}


def _share(level: int, disks: int, copies: int, length: int) -> int:
    """How much of each image a segment uses."""
    if level == 1:
        return length
    if level == 10:
        return -(-length * copies // max(1, disks))
    return -(-length // max(1, disks - {0: 0, 5: 1, 6: 2}[level]))


def _cache_through(resolver: Resolver, segment: Tree) -> bool:
    """Whether the origin of a cache holds everything: only where writes go through."""
    try:
        pools = resolver.segments(str(segment.get("cache_pool")))
    except Refused:
        pools = []
    mode = segment.get("cache_mode") or (pools[0].get("cache_mode") if pools else None)
    return mode == "writethrough"
