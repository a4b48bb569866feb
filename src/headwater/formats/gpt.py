# SPDX-License-Identifier: Apache-2.0
"""Reads a GUID partition table, from its backup where the primary is broken (UEFI 2.10 §5.3)."""

from __future__ import annotations

import struct
import uuid
import zlib
from typing import NamedTuple

from headwater.formats.mbr import sector_size_of
from headwater.formats.partitions import Partition, Scan, faults
from headwater.model.kinds import GapReason
from headwater.model.paths import encode_name
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

LOST_REASON = GapReason.UNREADABLE
_ENTRIES = 4 << 20
_UNUSED = bytes(16)


class _Header(NamedTuple):
    where: int
    backup: int
    entries: int
    number: int
    entry_size: int
    entries_crc: int


def _header(source: ByteSource, where: int, unit: int) -> _Header | None:
    """The header at byte ``where`` if signature, checksum and own address fit."""
    data = source.pread(where, unit)
    if len(data) < 92 or not data.startswith(b"EFI PART"):
        return None
    size = int.from_bytes(data[12:16], "little")
    if not 92 <= size <= len(data):
        return None
    covered = data[:16] + bytes(4) + data[20:size]
    mine, backup, _, _ = struct.unpack_from("<QQQQ", data, 24)
    if zlib.crc32(covered) != int.from_bytes(data[16:20], "little") or mine * unit != where:
        return None
    at, number, entry_size, crc = struct.unpack_from("<QIII", data, 72)
    if entry_size < 128 or entry_size % 8 or number * entry_size > _ENTRIES:
        return None
    return _Header(where, backup * unit, at * unit, number, entry_size, crc)


def _table(source: ByteSource, header: _Header | None) -> bytes | None:
    """The entries of a header if their checksum fits."""
    if header is None:
        return None
    data = source.pread(header.entries, header.number * header.entry_size)
    return data if zlib.crc32(data) == header.entries_crc else None


def scan(source: ByteSource) -> Scan | None:
    """The partitions of a GPT; None where neither copy can be read. Sectors of 512 and 4,096 bytes are tried."""
    units = dict.fromkeys((sector_size_of(source), 512, 4096))
    for unit in units:
        primary = _header(source, unit, unit)
        last = source.size // unit * unit - unit
        backups = dict.fromkeys([last] if primary is None else [primary.backup, last])
        backup = next((h for w in backups if w > unit and (h := _header(source, w, unit))), None)
        first_table, second_table = _table(source, primary), _table(source, backup)
        table, used = (first_table, primary) if first_table is not None else (second_table, backup)
        if table is None or used is None:
            continue
        warnings: list[Gap] = []
        if first_table is None:
            detail = "the primary GPT is broken; the backup at the end of the medium is used"
            warnings.append(Gap(unit, unit, GapReason.UNREADABLE, detail))
        elif second_table is None:
            warnings.append(Gap(last, unit, GapReason.UNREADABLE, "the backup GPT is missing or broken"))
        elif first_table != second_table:
            detail = "the two copies of the GPT differ; the primary is used"
            warnings.append(Gap(last, unit, GapReason.NOT_THIS_FORMAT, detail))
        partitions = _partitions(table, used.entry_size, unit, warnings)
        warnings.extend(faults(partitions, source.size))
        metadata = [(0, unit, "protective MBR")]
        for header, what in ((primary, "GPT"), (backup, "backup GPT")):
            if header is not None:
                metadata.append((header.where, unit, f"{what} header"))
                metadata.append((header.entries, header.number * header.entry_size, f"{what} entries"))
        return Scan("gpt", tuple(partitions), tuple(metadata), tuple(warnings))
    return None


def _partitions(table: bytes, entry_size: int, unit: int, warnings: list[Gap]) -> list[Partition]:
    found: list[Partition] = []
    for index in range(len(table) // entry_size):
        entry = table[index * entry_size : (index + 1) * entry_size]
        if entry[:16] == _UNUSED:
            continue
        first, last = struct.unpack_from("<QQ", entry, 32)
        if not 0 < first <= last < 1 << 54:
            warnings.append(Gap(unit, unit, GapReason.NOT_THIS_FORMAT, f"entry {index + 1} of the GPT is impossible"))
            continue
        label = entry[56:128].decode("utf-16-le", "replace").partition("\0")[0]
        kind = str(uuid.UUID(bytes_le=entry[:16])).upper()
        name = encode_name(label.encode("utf-8", "replace"))
        own = str(uuid.UUID(bytes_le=entry[16:32]))
        found.append(Partition(f"p{index + 1}", first * unit, (last - first + 1) * unit, kind, name, own))
    return found
