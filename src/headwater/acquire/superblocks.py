# SPDX-License-Identifier: Apache-2.0
"""What a medium says of itself: its partition table, file systems, and the RAID, LVM or cipher that it is a part of.

Sources: Linux md_u.h (levels), cryptsetup's LUKS1 and LUKS2 on-disk formats, libblkid for
the places of the rest. Reads through a :class:`ByteSource` only; the medium is hostile, so the corridor runs this in a
confined child (``look`` is such a child's function), and what is broken is said, not raised.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from headwater.acquire.medium_said import Superblock
from headwater.acquire.system_files import inert_text
from headwater.formats.filesystems import identify
from headwater.formats.lvm import physical_volume
from headwater.formats.mdraid_super import FAULTY, JOURNAL, SECTOR, SPARE, marked, member
from headwater.formats.opened import OpenFile
from headwater.formats.sources import FileSource, window
from headwater.formats.volumes import volumes
from headwater.model.ports import ByteSource

_VOLUMES_MOST = 512
_LAYERS = frozenset({"md", "lvm2", "luks", "bitlocker", "vss"})  # what stands on volumes, as formats.stacking names it
_MD_LEVELS = {-1: "linear", -4: "multipath", -5: "faulty", 0: "raid0", 1: "raid1", 4: "raid4", 5: "raid5", 6: "raid6",
              10: "raid10"}  # fmt: skip

_MD_ROLES = {SPARE: "spare", FAULTY: "faulty", JOURNAL: "journal"}

# formats that identify() has no reason to know, since they hold no file system of their own: (kind, offset, signature);
# a negative offset counts from the end
_MEMBERS: tuple[tuple[str, int, bytes], ...] = (
    ("bcache", 4120, bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81")),
    ("drbd", -4096 + 60, bytes.fromhex("8374026b")),
    ("intel-raid", -1024, b"Intel Raid ISM Cfg Sig. "),
    ("ddf-raid", -512, bytes.fromhex("de11de11")),
    ("zfs", 128 << 10, struct.pack("<Q", 0x00BAB10C)),
    ("zfs", 132 << 10, struct.pack("<Q", 0x00BAB10C)),
    ("vmfs", 0x100000, bytes.fromhex("0dd001c0")),
)


def superblocks(source: ByteSource) -> tuple[str, tuple[Superblock, ...], tuple[str, ...]]:
    """(kind of partition table, what lies on each volume, warnings) of a medium."""
    warnings: list[str] = []
    try:
        table = volumes(source)
    except (ValueError, OSError, struct.error, OverflowError, IndexError, KeyError) as error:
        return "unreadable", (), (f"the partition table cannot be read: {type(error).__name__}: {error}",)
    warnings.extend(f"{g.detail} (offset {g.offset})" for g in table.warnings[:100])
    parts = [(v.name, v.offset, v.length, v.source) for v in table.volumes if v.name and v.type not in _LAYERS]
    found = [_one("", 0, source.size, source, warnings)]
    if table.kind != "none" and found[0].kind in ("unknown", "empty"):
        found = []  # the table's own sector, not a file system
    found.extend(_one(*part, warnings) for part in parts[:_VOLUMES_MOST])
    for layer in [v for v in table.volumes if v.type in _LAYERS][:_VOLUMES_MOST]:
        inner = _one(layer.name, layer.offset, layer.length, layer.source, warnings)
        said = {n: inert_text(v) for n, v in layer.facts} | dict(inner.details)
        found.append(replace(inner, kind=f"{layer.type}: {inner.kind}", details=said))
    if len(parts) > _VOLUMES_MOST:
        warnings.append(f"{len(parts) - _VOLUMES_MOST} more partitions were not looked at")
    for offset, length, _, detail in list(source.bad)[:100]:
        warnings.append(f"unreadable: {length} bytes at {offset}: {detail}")
    return table.kind, tuple(found), tuple(warnings)


def _one(name: str, offset: int, length: int, source: ByteSource, warnings: list[str]) -> Superblock:
    """What lies on one volume; a superblock that is broken is told by name and a warning."""
    try:
        for reader in (_md, _other_members):
            found = reader(source)
            if found is not None:
                return Superblock(name, offset, length, *found)
        kind = identify(source)
        details = _DETAILS.get(kind)
        member, said = details(source) if details else ("", {})
        return Superblock(name, offset, length, kind, member, said)
    except (ValueError, OSError, struct.error, OverflowError, IndexError, KeyError) as error:
        warnings.append(f"{name or 'medium'}: {type(error).__name__}: {error}")
        return Superblock(name, offset, length, "unreadable", "", {})


Found = tuple[str, str, dict[str, str]]


def _md(source: ByteSource) -> Found | None:
    """A Linux RAID member, as :mod:`headwater.formats.mdraid_super` reads it; one whose checksum does not fit is told."""
    found = member("", 0, source)
    if found is None:
        at = marked(source)
        return (
            None if at is None else ("mdraid", "", {"superblock": f"at {at}: its checksum or its place does not fit"})
        )
    said = {
        "version": found.version,
        "name": inert_text(found.name),
        "level": _level(found.level),
        "layout": str(found.layout),
        "chunk_sectors": str(found.chunk // SECTOR),
        "disks": str(found.disks),
        "data_offset_sectors": str(found.data_offset // SECTOR),
        "data_size_sectors": str(found.data_size // SECTOR),
        "device": str(found.number),
        "role": _MD_ROLES.get(found.role, str(found.role)),
        "events": str(found.events),
    }
    return "mdraid", str(uuid.UUID(hex=found.uuid)), said


def _level(number: int) -> str:
    return _MD_LEVELS.get(number, str(number))


def _other_members(source: ByteSource) -> Found | None:
    for kind, offset, signature in _MEMBERS:
        at = source.size + offset if offset < 0 else offset
        if at >= 0 and source.pread(at, len(signature)) == signature:
            return kind, kind, {}
    return None


def _lvm(source: ByteSource) -> tuple[str, dict[str, str]]:
    found = physical_volume("", 0, source)
    if found is None:
        return "", {}
    said = {"pv_uuid": inert_text(found.uuid)}
    if not found.group:
        said["metadata"] = "no readable metadata"
    return inert_text(found.group), said


def _luks(source: ByteSource) -> tuple[str, dict[str, str]]:
    """LUKS1 and LUKS2 headers, big-endian; the second copy of LUKS2 stands at 16 KiB."""
    head = source.pread(0, 512)
    if not head.startswith(b"LUKS\xba\xbe"):
        head = source.pread(0x4000, 512)
    version = int.from_bytes(head[6:8], "big")
    said = {"version": str(version), "uuid": inert_text(head[168:208].split(b"\0")[0])}
    if version == 2:
        said["label"] = inert_text(head[24:72].split(b"\0")[0])
    elif version == 1:
        said["cipher"] = inert_text(head[8:40].split(b"\0")[0] + b"-" + head[40:72].split(b"\0")[0])
    return "", said


def _ext(source: ByteSource) -> tuple[str, dict[str, str]]:
    """ext superblock: state 58, uuid 104, label 120, last mounted at 136."""
    block = source.pread(1024, 264)
    clean = struct.unpack_from("<H", block, 58)[0] & 1 and not struct.unpack_from("<I", block, 96)[0] & 4
    return "", {
        "uuid": str(uuid.UUID(bytes=block[104:120])),
        "label": inert_text(block[120:136].split(b"\0")[0]),
        "last_mounted": inert_text(block[136:200].split(b"\0")[0]),
        "state": "clean" if clean else "in use or not unmounted cleanly",
    }


def _btrfs(source: ByteSource) -> tuple[str, dict[str, str]]:
    block = source.pread(0x10000, 144)
    devices = struct.unpack_from("<Q", block, 136)[0]
    ident = str(uuid.UUID(bytes=block[32:48]))
    return (ident if devices > 1 else ""), {"uuid": ident, "devices": str(devices)}


def _xfs(source: ByteSource) -> tuple[str, dict[str, str]]:
    block = source.pread(0, 120)
    return "", {"uuid": str(uuid.UUID(bytes=block[32:48])), "label": inert_text(block[108:120].rstrip(b"\0"))}


_DETAILS: dict[str, Callable[[ByteSource], tuple[str, dict[str, str]]]] = {
    "lvm2": _lvm,
    "luks": _luks,
    "ext2": _ext,
    "ext3": _ext,
    "ext4": _ext,
    "btrfs": _btrfs,
    "xfs": _xfs,
}


def look(args: Mapping[str, Any], fds: Sequence[int]) -> Iterator[tuple[dict[str, Any], bytes]]:
    """A confined child's function: the superblocks behind the one descriptor; ``args``: size, and offset if a part."""
    source: ByteSource = FileSource(OpenFile(fds[0], "medium", int(args["size"])))
    if args.get("offset"):
        source = window(source, int(args["offset"]), int(args["size"]))
    table, found, warnings = superblocks(source)
    yield {"result": {"table": table, "superblocks": [asdict(s) for s in found], "warnings": list(warnings)}}, b""
