# SPDX-License-Identifier: Apache-2.0
"""Reads a master boot record and its chain of extended boot records.

An entry is 16 bytes: status, CHS of the first sector, type, CHS of the last, first sector and number of sectors as
32-bit little-endian. Sectors count from the beginning of the medium, in a logical partition from its own extended
boot record, and the link to the next one from the beginning of the extended partition.
"""

from __future__ import annotations

import struct

from headwater.formats.partitions import Partition, Scan, faults
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

_EXTENDED = (0x05, 0x0F, 0x85)
_LOGICAL = 128
# A boot sector of a file system on the whole medium also ends in 55 AA: these names tell it.
_BOOT_SECTORS = ((3, b"NTFS    "), (3, b"EXFAT   "), (3, b"-FVE-FS-"), (54, b"FAT"), (82, b"FAT32"), (3, b"MSWIN"))


def sector_size_of(source: ByteSource) -> int:
    """What the medium says of itself, 512 where it says nothing."""
    return int(getattr(source, "sector_size", 512) or 512)


def _entries(sector: bytes) -> list[tuple[int, int, int, int]] | None:
    """(status, type, first, count) of the four entries; None without the signature 55 AA."""
    if len(sector) < 512 or sector[510:512] != b"\x55\xaa":
        return None
    return [struct.unpack_from("<B3xB3xII", sector, 446 + 16 * index) for index in range(4)]


def scan(source: ByteSource) -> Scan | None:
    """The partitions of an MBR; None where the first sector holds none.

    A table is believed only if each entry's status is 0 or 80h and one entry at least lies on the medium: boot code
    of a file system would otherwise pass for one.
    """
    sector = source.pread(0, 512)
    entries = _entries(sector)
    if entries is None or any(sector[at : at + len(name)] == name for at, name in _BOOT_SECTORS):
        return None
    unit = sector_size_of(source)
    used = [(index, kind, first, count) for index, (_, kind, first, count) in enumerate(entries, 1) if kind and count]
    if any(status not in (0, 0x80) for status, _, _, _ in entries):
        return None
    if not any(0 < first * unit < source.size for _, _, first, _ in used) and not _protective(used):
        return None
    partitions: list[Partition] = []
    metadata = [(0, unit, "master boot record")]
    warnings: list[Gap] = []
    for index, kind, first, count in used:
        if kind in _EXTENDED:
            _logical(source, unit, first, partitions, metadata, warnings)
        else:
            partitions.append(Partition(f"p{index}", first * unit, count * unit, f"0x{kind:02x}", ""))
    # block/partitions/msdos.c of Linux: the disk's signature at 440, and the number, both in hexadecimal digits
    disk = struct.unpack_from("<I", sector, 440)[0]
    partitions = [p._replace(uuid=f"{disk:08x}-{int(p.name[1:]):02x}") for p in partitions]
    partitions.sort(key=lambda p: int(p.name[1:]))
    if not _protective(used):
        warnings.extend(faults(partitions, source.size))
    return Scan("mbr", tuple(partitions), tuple(metadata), tuple(warnings))


def _protective(used: list[tuple[int, int, int, int]]) -> bool:
    return any(kind == 0xEE for _, kind, _, _ in used)


def _logical(
    source: ByteSource,
    unit: int,
    extended: int,
    partitions: list[Partition],
    metadata: list[tuple[int, int, str]],
    warnings: list[Gap],
) -> None:
    """Follow the chain of extended boot records; one that was seen before, or too long a chain, ends it."""
    number = 5 + sum(int(p.name[1:]) >= 5 for p in partitions)
    seen: set[int] = set()
    at = extended
    while True:
        where = at * unit
        if at in seen or len(seen) >= _LOGICAL:
            warnings.append(Gap(where, unit, GapReason.LIMIT, "the chain of extended boot records does not end"))
            return
        seen.add(at)
        entries = _entries(source.pread(where, 512))
        if entries is None:
            warnings.append(Gap(where, unit, GapReason.UNREADABLE, "an extended boot record is broken"))
            return
        metadata.append((where, unit, "extended boot record"))
        (_, kind, first, count), (_, link, following, _) = entries[:2]
        if kind and count and kind not in _EXTENDED:
            offset = (at + first) * unit
            partitions.append(Partition(f"p{number}", offset, count * unit, f"0x{kind:02x}", ""))
            number += 1
        if link not in _EXTENDED or not following:
            return
        at = extended + following
