# SPDX-License-Identifier: Apache-2.0
"""Deleted names of FAT and exFAT as claims: what the directory entry keeps, and how much of the content it can speak for.

A deleted entry keeps times, length and first cluster; FAT loses the first letter of the short name and the whole chain,
exFAT keeps the name, and the chain where the file lay in one piece (its NoFatChain flag). Formats: Microsoft, "FAT:
General Overview of On-Disk Format" 1.03 and "exFAT file system specification" 1.00, sections 7.4 to 7.7.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from headwater.formats.sources import Piece
from headwater.formats.trees import Entry
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

NAMES_MOST = 1_000_000
CLUSTERS_MOST = 1 << 26  # looked at for all deleted names together: each of a million could state the whole volume
_ENTRY = 32  # bytes of a directory entry in both
_FIRST = 3  # The Sleuth Kit's number of the first entry behind the allocation tables (tsk_fatfs.h, FATFS_FIRST_NORMINO)
_LONG = 0x0F  # the attributes of an entry that holds part of a long name
_GONE, _GONE_FILE, _GONE_STREAM = 0xE5, 0x05, 0x40
_ONE_PIECE = 2
_LOST_LETTER = "the first letter of its name is lost"
_GUESSED = "its clusters are taken to follow the first"
_WALL = "its times are wall clocks without a zone"


@dataclass(frozen=True, slots=True)
class Recovered:
    """One deleted name. ``place`` and ``record_size``: its entry (exFAT: entry set) on the volume, in bytes.

    ``blocks`` clusters of content by its length, of which ``free`` belong to no other file now; ``chained`` where the entry
    itself says that they follow each other, or there is but one.
    """

    entry: Entry
    place: int
    record_size: int
    blocks: int
    free: int
    chained: bool
    note: str
    name_claim: str = "record"
    metadata_claim: str = "record"
    reason: str = "deleted"
    generation: int | None = None
    transaction: int | None = None
    seen: int | None = None
    gone: int | None = None


def affordable(entries: Sequence[Entry], volume: int, cluster: int) -> int:
    """Of how many names, from the first on, all clusters may be looked at; ``volume``: its bytes, more no name can have."""
    left = CLUSTERS_MOST
    for number, entry in enumerate(entries):
        left -= min(entry.size, volume) // cluster + 1
        if left < 0:
            return number
    return len(entries)


def unclaimed(most: int) -> Gap:
    """That nothing is claimed of the names behind so many."""
    return Gap(
        0, 0, GapReason.LIMIT, f"deleted names beyond the first {most} are listed, and nothing more is claimed of them"
    )


class DeletedNames:
    """Finds the entries of deleted names on one volume by the numbers that The Sleuth Kit gives them."""

    def __init__(self, source: ByteSource, kind: str, cluster: int) -> None:
        self._source, self._exfat, self._cluster = source, kind == "exfat", cluster
        head = source.pread(0, 512)
        if self._exfat:
            self._base = struct.unpack_from("<I", head, 88)[0] << min(head[108], 12)
        else:
            sector, _, reserved, tables = struct.unpack_from("<HBHB", head, 11)
            size = struct.unpack_from("<H", head, 22)[0] or struct.unpack_from("<I", head, 36)[0]
            self._base = (reserved + tables * size) * sector

    def claim(self, entry: Entry, pieces: Sequence[Piece]) -> Recovered | None:
        """What is claimed of a name; ``pieces`` of its content. None where no entry of a deleted name stands there."""
        place = self._base + (entry.inode - _FIRST) * _ENTRY
        if place < self._base or place + _ENTRY > self._source.size:
            return None
        found = self._exfat_entry(place) if self._exfat else self._fat_entry(place)
        if found is None:
            return None
        begin, length, chained, lost = found
        blocks = 0 if entry.kind == "dir" else -(-entry.size // self._cluster)
        free = sum(-(-piece.length // self._cluster) for piece in pieces if piece.source is not None)
        chained = chained or blocks < 2
        notes = (_LOST_LETTER if lost else "", "" if chained or entry.kind == "dir" else _GUESSED, _WALL)
        return Recovered(entry, begin, length, blocks, min(free, blocks), chained, "; ".join(n for n in notes if n))

    def _fat_entry(self, place: int) -> tuple[int, int, bool, bool] | None:
        """Where its entry stands, how long it is, whether its chain is known, and whether a letter is lost."""
        raw = self._source.pread(place, _ENTRY)
        if len(raw) < _ENTRY or raw[0] != _GONE or raw[11] & 0x3F == _LONG:
            return None
        before = self._source.pread(place - _ENTRY, _ENTRY)
        long = len(before) == _ENTRY and before[0] == _GONE and before[11] & 0x3F == _LONG
        return place, _ENTRY, False, not long

    def _exfat_entry(self, place: int) -> tuple[int, int, bool, bool] | None:
        raw = self._source.pread(place, 2 * _ENTRY)
        if len(raw) < 2 * _ENTRY or raw[0] != _GONE_FILE or raw[_ENTRY] != _GONE_STREAM:
            return None
        length = _ENTRY * (1 + min(raw[1], 18))  # 7.4.2: 2 to 18 secondary entries
        return place, length, bool(raw[_ENTRY + 1] & _ONE_PIECE), False
