# SPDX-License-Identifier: Apache-2.0
"""Superblocks of Linux md arrays: what each member says of its array and of its own place in it.

Layout: the kernel's include/uapi/linux/raid/md_p.h and md(4). Version 0.90 stands in the last 64 KiB of a member that
begin on a multiple of 64 KiB, 1.0 at its end, 1.1 at its beginning, 1.2 at 4 KiB. A superblock counts only if its
checksum fits. Arrays of Intel and DDF firmware have metadata of another kind and are not recognised here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from headwater.model.ports import ByteSource

MAGIC = 0xA92B4EFC
SECTOR = 512
SPARE, FAULTY, JOURNAL = 0xFFFF, 0xFFFE, 0xFFFD

_RECOVERY, _RESHAPE, _BAD_BLOCKS, _REPLACEMENT, _BACKWARDS = 2, 4, 8, 16, 32
_NEW_OFFSET, _RECOVERY_BITMAP, _JOURNAL, _LAYOUT_0 = 64, 128, 512, 4096
_MAX_DISKS = 1920  # what the roles in one 4 KiB superblock have room for
_OLD_SIZE = 4096
_OLD_RESERVED = 65_536
_HEAD = struct.Struct("<IIII16s32sQiIQII")
_BAD_SECTORS = 1 << 14


@dataclass(frozen=True, slots=True)
class Reshape:
    """An array on its way to another shape.

    ``position``: bytes of the array, where the new shape meets the old. ``disks``: the change of their number.
    ``shift``: by how much this member's data begin later in the new shape. ``backwards``: the new shape is behind.
    """

    position: int
    disks: int
    level: int
    layout: int
    chunk: int
    shift: int
    backwards: bool


@dataclass(frozen=True, slots=True)
class MdMember:
    """One member as its own superblock describes it. Sizes and offsets in bytes.

    ``role`` is its place in the array, or :data:`SPARE`, :data:`FAULTY`, :data:`JOURNAL`. ``roles``: by number of
    device, as this superblock knows them. ``synced``: up to where on the member it is up to date, None for all of it.
    ``lost``: (offset, length) from the beginning of its data that the kernel noted as bad. ``resynced``: up to where
    copies and parity agree. ``layout_known``: False where a RAID 0 does not say how its zones are laid out.
    """

    holder: str
    offset: int
    source: ByteSource
    version: str
    uuid: str
    name: str
    level: int
    layout: int
    chunk: int
    disks: int
    size: int
    number: int
    role: int
    roles: tuple[int, ...]
    events: int
    data_offset: int
    data_size: int
    synced: int | None
    resynced: int | None
    reshape: Reshape | None
    journalled: bool
    layout_known: bool
    lost: tuple[tuple[int, int], ...] = ()


def member(holder: str, offset: int, source: ByteSource) -> MdMember | None:
    """The member that a source is, None if it is none; ``holder`` and ``offset``: its name and place on the medium."""
    sectors = source.size // SECTOR
    for version, at in (("1.2", 8), ("1.1", 0), ("1.0", (sectors - 16) & ~7)):
        if at >= 0:
            found = _new(holder, offset, source, version, at)
            if found is not None:
                return found
    at = (source.size & ~(_OLD_RESERVED - 1)) - _OLD_RESERVED
    return _old(holder, offset, source, at) if at >= 0 else None


def marked(source: ByteSource) -> int | None:
    """Where the mark of a superblock stands, whatever follows it; None where there is none."""
    sectors = source.size // SECTOR
    old = (source.size & ~(_OLD_RESERVED - 1)) - _OLD_RESERVED
    for at in (8 * SECTOR, 0, ((sectors - 16) & ~7) * SECTOR, old):
        if at >= 0 and source.pread(at, 4) in (MAGIC.to_bytes(4, "little"), MAGIC.to_bytes(4, "big")):
            return at
    return None


def _folded(words: int) -> int:
    return ((words & 0xFFFFFFFF) + (words >> 32)) & 0xFFFFFFFF


def _new(holder: str, offset: int, source: ByteSource, version: str, sector: int) -> MdMember | None:
    raw = source.pread(sector * SECTOR, 4096)
    if len(raw) < 256 or struct.unpack_from("<II", raw) != (MAGIC, 1):
        return None
    _, _, features, _, uuid, name, _, level, layout, size, chunk, disks = _HEAD.unpack_from(raw)
    position, delta, new_layout, new_chunk = struct.unpack_from("<QiII", raw, 104)
    data_offset, data_size, own, recovery, number = struct.unpack_from("<QQQQI", raw, 128)
    events, resync, checksum, most = struct.unpack_from("<QQII", raw, 200)
    if own != sector or most > _MAX_DISKS or 256 + most * 2 > len(raw):
        return None
    held = raw[:216] + bytes(4) + raw[220 : 256 + most * 2]
    total = sum(struct.unpack_from(f"<{len(held) // 4}I", held))
    total += int.from_bytes(held[len(held) // 4 * 4 :], "little")
    if _folded(total) != checksum:
        return None
    roles = struct.unpack_from(f"<{most}H", raw, 256)
    role = roles[number] if number < most else SPARE
    reshape = None
    if features & _RESHAPE:
        new_level, shift = struct.unpack_from("<i", raw, 100)[0], struct.unpack_from("<i", raw, 124)[0]
        back = delta < 0 or bool(features & _BACKWARDS)
        move = shift * SECTOR if features & _NEW_OFFSET else 0
        reshape = Reshape(position * SECTOR, delta, new_level, new_layout, new_chunk * SECTOR, move, back)
    synced = recovery * SECTOR if features & _RECOVERY and role != JOURNAL else None
    if features & (_RECOVERY_BITMAP | _REPLACEMENT):
        synced = 0  # being brought back, or a copy in the making: its superblock does not say how far it got
    there = source.size // SECTOR
    return MdMember(
        holder, offset, source, version, uuid.hex(), name.split(b"\0")[0].decode("utf-8", "surrogateescape"), level,
        layout, chunk * SECTOR, disks, size * SECTOR, number, role, roles, events,
        data_offset * SECTOR, min(data_size, max(there, data_offset)) * SECTOR, synced,
        None if resync == (1 << 64) - 1 else resync * SECTOR, reshape, bool(features & _JOURNAL),
        level != 0 or bool(features & _LAYOUT_0), _bad_blocks(source, raw, sector, data_offset, features),
    )  # fmt: skip


def _bad_blocks(source: ByteSource, raw: bytes, at: int, data: int, features: int) -> tuple[tuple[int, int], ...]:
    """The member's own list of sectors that could not be written: what stands there is older than the array."""
    shift, size, where = struct.unpack_from("<BHi", raw, 185)
    if not features & _BAD_BLOCKS or not size or shift > 20 or at + where < 0:
        return ()
    found = []
    table = source.pread((at + where) * SECTOR, min(size * SECTOR, _BAD_SECTORS))
    for (entry,) in struct.iter_unpack("<Q", table[: len(table) // 8 * 8]):
        if entry == (1 << 64) - 1:
            break
        first, count = (entry >> 10) << shift, (entry & 0x3FF) << shift
        if count and first >= data:  # counted from the beginning of the member
            found.append(((first - data) * SECTOR, count * SECTOR))
    return tuple(found)


def _old(holder: str, offset: int, source: ByteSource, at: int) -> MdMember | None:
    raw = source.pread(at, _OLD_SIZE)
    if len(raw) < _OLD_SIZE:
        return None
    order = "<" if raw[:4] == MAGIC.to_bytes(4, "little") else ">"
    words = struct.unpack(f"{order}1024I", raw)
    if words[:2] != (MAGIC, 0) or words[2] not in (90, 91):
        return None
    if _folded(sum(words) - words[38]) != words[38]:
        return None
    low, high = (39, 40) if order == "<" else (40, 39)
    uuid = struct.pack(">4I", words[5], *words[13:16]).hex()  # as mdadm prints it, whatever the byte order
    level = words[7] - (1 << 32) if words[7] >> 31 else words[7]
    disks = words[10]
    roles = tuple(_old_role(words[128 + n * 32 : 160 + n * 32]) for n in range(27))
    mine = _old_role(words[992:1024])
    reshape = None
    if words[2] == 91:
        position = struct.unpack_from(f"{order}Q", raw, 176)[0]
        change = words[47] - (1 << 32) if words[47] >> 31 else words[47]
        reshape = Reshape(position * SECTOR, change, words[46], words[48], words[49], 0, change < 0)
    return MdMember(
        holder, offset, source, "0.90", uuid, str(words[11]), level, words[64], words[65], disks,
        words[8] * 1024, words[992] if words[992] < 27 else 0, mine, roles, words[high] << 32 | words[low], 0, at,
        None, None, reshape, False, level != 0,
    )  # fmt: skip


def _old_role(disk: tuple[int, ...]) -> int:
    """From (number, major, minor, place, state …); state: 0 faulty, 1 active, 2 in sync, 3 removed."""
    place, state = disk[3], disk[4]
    if state & 9:
        return FAULTY
    return place if state & 6 == 6 and place < 27 else SPARE
