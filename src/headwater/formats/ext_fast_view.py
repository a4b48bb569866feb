# SPDX-License-Identifier: Apache-2.0
"""The fast commits of an ext4 volume played over it in memory: inodes, names and extents as the next mount would have them.

The kernel plays them back in this order too (fs/ext4/fast_commit.c): each record is idempotent, and a name or an inode
that is there already is left as it is. Inodes are taken as the commits hold them and are cited from there. The times
that a folder gets only by being played back into (the kernel writes its own clock's) are not made up here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from headwater.formats.ext_content import Contents, Run, tidy
from headwater.formats.ext_directories import Name, names_in
from headwater.formats.ext_fast import ADD_RANGE, CREAT, DEL_RANGE, INODE, LINK, UNLINK, Change, dentry
from headwater.formats.ext_inode import FLAG_EXTENTS, FLAG_INDEX, FLAG_INLINE, InodeTable
from headwater.formats.ext_layout import GROUP_BLOCK_UNINIT, GROUP_INODE_UNINIT, Groups, Superblock
from headwater.formats.overlay import Overlay
from headwater.model.ports import ByteSource

_UNWRITTEN = 32768
_KINDS = {0x8: 1, 0x4: 2, 0x2: 3, 0x6: 4, 0x1: 5, 0xC: 6, 0xA: 7}
_MAP = slice(40, 100)
_MARKS_MOST = 200_000  # stretches of bitmaps that are changed: what is in use is told, not what is read
_RUNS_MOST = 10_000_000  # runs looked at for all changes of ranges: a hostile file has very many
_FOLDERS_MOST = 1 << 30  # bytes of folders read to tell what is there already
_NAMES_MOST = 2_000_000  # names of one folder that are held to tell what is there already


class Patched(Overlay):
    """A volume under its journal's blocks and, over those, ``changed`` blocks made of fast commits.

    ``records``: where an inode's record begins on the volume → (where the fast commit that replaces it stands, its length).
    """

    def __init__(
        self,
        source: ByteSource,
        block_size: int,
        blocks: Mapping[int, tuple[int, bytes]],
        changed: Mapping[int, bytearray],
        records: Mapping[int, tuple[int, int]],
        journal: ByteSource | None = None,
    ) -> None:
        super().__init__(source, block_size, blocks, journal)
        self._changed = {n: bytes(data) for n, data in changed.items()}
        self._records = records
        self._starts = np.array(sorted(records), np.int64)
        stands = [records[n][0] if self._journal is self._source else -1 for n in sorted(records)]
        self._stands = np.array(stands, np.int64)

    def pread(self, offset: int, length: int) -> bytes:
        data = super().pread(offset, length)
        size = self._size
        first, last = offset // size, (offset + max(len(data), 1) - 1) // size
        if last - first > len(self._changed):
            touched = [n for n in self._changed if first <= n <= last]
        else:
            touched = [n for n in range(first, last + 1) if n in self._changed]
        if not data or not touched:
            return data
        result = bytearray(data)
        for number in touched:
            low, high = max(offset, number * size), min(offset + len(data), (number + 1) * size)
            result[low - offset : high - offset] = self._changed[number][low - number * size : high - number * size]
        return bytes(result)

    def located(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        found = super().located(places)
        if not len(self._starts):
            return found
        index = np.minimum(np.searchsorted(self._starts, places), len(self._starts) - 1)
        return np.where(self._starts[index] == places, self._stands[index], found)

    def lengths(self, places: NDArray[np.int64], usual: int) -> NDArray[np.int64]:
        """How long the record at each place is where it really stands; a fast commit holds no unused end."""
        return np.array([self._records.get(int(p), (0, usual))[1] for p in places], np.int64)

    def ranges(self, offset: int, length: int) -> list[tuple[int, int]]:
        index = int(np.searchsorted(self._starts, offset, side="right")) - 1
        if index >= 0:
            start = int(self._starts[index])
            stands, size = self._records[start]
            if offset + length <= start + size:
                if self._journal is not self._source:
                    return []
                return [(stands + offset - start, length)]
        return super().ranges(offset, length)


@dataclass(slots=True)
class Fast:
    """What the fast commits change beside blocks: ``maps`` of contents, names ``added`` to and ``hidden`` in folders,
    folders that are ``fresh`` (made since: what stands in their blocks is not theirs yet)."""

    maps: dict[int, list[Run]] = field(default_factory=dict)
    added: dict[int, dict[bytes, Name]] = field(default_factory=dict)
    hidden: dict[int, set[bytes]] = field(default_factory=dict)
    fresh: set[int] = field(default_factory=set)
    groups: Groups | None = None
    commits: int = 0
    inodes: int = 0
    left_out: int = 0  # records that could not be applied

    def now(self, folder: int, names: Sequence[Name]) -> list[Name]:
        """The names of a folder, with those that were removed since shown as deleted."""
        hidden = self.hidden.get(folder)
        if not hidden:
            return list(names)
        return [n._replace(live=False) if n.live and n.name in hidden else n for n in names]

    def more(self, folder: int) -> list[Name]:
        """The names that were added to a folder."""
        return list(self.added.get(folder, {}).values())


class _Player:
    def __init__(self, base: Overlay, block: Superblock, groups: Groups) -> None:
        self._base, self._block = base, block
        self._flags, self._unused = groups.flags.copy(), groups.unused.copy()
        self._groups = replace(groups, flags=self._flags, unused=self._unused)
        self._table = InodeTable(base, block, groups)
        self._contents = Contents(base, block, self._table)
        self._held: dict[int, set[bytes]] = {}
        self._marks = self._looked = self._read = 0
        self.blocks: dict[int, bytearray] = {}
        self.records: dict[int, tuple[int, int]] = {}
        self.fast = Fast(groups=self._groups)

    def run(self, changes: Sequence[Change]) -> None:
        for tag, value, place in changes:
            if tag == INODE:
                good = self._inode(value, place)
            elif tag in (ADD_RANGE, DEL_RANGE):
                good = self._range(tag, value)
            else:
                good = self._name(tag, *dentry(value))
            self.fast.left_out += not good
        self.fast.inodes = len(self.records)

    # inodes
    def _raw(self, number: int) -> bytearray:
        """The record as it is by now."""
        size = self._block.inode_size
        at, within = divmod(self._table.place(number), self._block.block_size)
        return self._changed(at)[within : within + size]

    def _changed(self, number: int) -> bytearray:
        if number not in self.blocks:
            size = self._block.block_size
            self.blocks[number] = bytearray(self._base.pread(number * size, size).ljust(size, b"\0"))
        return self.blocks[number]

    def _store(self, number: int, record: bytes | bytearray) -> None:
        at, within = divmod(self._table.place(number), self._block.block_size)
        self._changed(at)[within : within + len(record)] = record

    def _there(self, number: int) -> bool:
        return 1 <= number <= self._table.last

    def _inode(self, value: bytes, place: int) -> bool:
        number = int.from_bytes(value[:4], "little")
        record = value[4 : 4 + self._block.inode_size]
        if not self._there(number):
            return False
        flags = int.from_bytes(record[32:36], "little")
        if flags & FLAG_EXTENTS:  # its extents come as records of their own
            self._map(number)
        self._store(number, record)
        self._use(number, True)
        self.records[self._table.place(number)] = (place + 4, len(record))
        return True

    def _use(self, number: int, used: bool) -> None:
        group, index = divmod(number - 1, self._block.inodes_per_group)
        where = int(self._groups.inode_bitmap[group])
        self._unused[group] = min(int(self._unused[group]), self._block.inodes_per_group - index - 1)
        self._bits(where, group, GROUP_INODE_UNINIT, (index, index), used)

    def _bits(self, where: int, group: int, uninit: int, which: tuple[int, int], used: bool) -> None:
        """Set or clear the bits of a bitmap from the first to the last of ``which``."""
        if not 0 < where < self._block.blocks or which[1] // 8 >= self._block.block_size:
            return
        if self._flags[group] & uninit:
            self.blocks[where] = bytearray(self._block.block_size)
            self._flags[group] &= ~uninit
        held = self._changed(where)
        low, high = which[0] // 8, which[1] // 8 + 1
        bits = np.unpackbits(np.frombuffer(bytes(held[low:high]), np.uint8), bitorder="little")
        bits[which[0] - 8 * low : which[1] + 1 - 8 * low] = used
        held[low:high] = np.packbits(bits, bitorder="little").tobytes()

    # contents
    def _map(self, number: int) -> list[Run]:
        runs = self.fast.maps.get(number)
        if runs is None:
            row = self._table.get(number)
            whole = row is not None and row.flags & FLAG_EXTENTS and row.links
            runs = list(self._contents.map(row).runs) if row is not None and whole else []
            self.fast.maps[number] = runs
        return runs

    def _range(self, tag: int, value: bytes) -> bool:
        number, first = struct.unpack_from("<II", value, 0)
        if not self._there(number):
            return False
        if tag == ADD_RANGE:
            length, high, low = struct.unpack_from("<HHI", value, 8)
            unwritten = length > _UNWRITTEN
            length -= _UNWRITTEN * unwritten
            physical = high << 32 | low
            if not length or physical + length > self._block.blocks:
                return False
            self._mark(physical, length, True)
            added = [Run(first, 0 if unwritten else physical, length)]
        else:
            length = struct.unpack_from("<I", value, 8)[0]
            added = []
        if int.from_bytes(self._raw(number)[:2], "little") >> 12 == 0x4:
            return True  # a folder's names are records of their own
        kept: list[Run] = []
        self._looked += len(self._map(number))
        if self._looked > _RUNS_MOST:
            return False
        for run in self._map(number):
            kept.extend(_without(run, first, first + length))
            if tag == DEL_RANGE and run.physical:
                low, high = max(run.logical, first), min(run.logical + run.blocks, first + length)
                self._mark(run.physical + low - run.logical, high - low, False)
        self.fast.maps[number] = tidy([*kept, *added], self._block.blocks, [])
        return True

    def _mark(self, first: int, count: int, used: bool) -> None:
        block = self._block
        at, end = max(first, block.first_block), min(first + count, block.blocks)
        while at < end:
            group, index = divmod(at - block.first_block, block.blocks_per_group)
            if group >= self._groups.count or self._marks >= _MARKS_MOST:
                return
            stop = min(end, block.first_block + (group + 1) * block.blocks_per_group)
            last = (stop - 1 - block.first_block) % block.blocks_per_group // block.cluster_ratio
            where = int(self._groups.block_bitmap[group])
            self._bits(where, group, GROUP_BLOCK_UNINIT, (index // block.cluster_ratio, last), used)
            self._marks += 1
            at = stop

    # names
    def _name(self, tag: int, parent: int, number: int, name: bytes) -> bool:
        if not self._there(parent) or not self._there(number) or b"/" in name or b"\0" in name:
            return False
        added, hidden = self.fast.added.setdefault(parent, {}), self.fast.hidden.setdefault(parent, set())
        held = self._names(parent)
        if held is None:
            return False
        there = name in added or (name not in hidden and name in held)
        raw = self._raw(number)
        folder = raw[1] >> 4 == 0x4
        links = int.from_bytes(raw[26:28], "little")
        if tag == UNLINK:
            if not there:
                return True
            if added.pop(name, None) is None:
                hidden.add(name)
            self._links(number, 0 if folder else max(0, links - 1))
            return True
        if tag == CREAT:
            self._use(number, True)
            if folder and number not in self.fast.fresh:
                self.fast.fresh.add(number)
                self.fast.maps[number] = []
        if not there:
            added[name] = Name(number, name, _KINDS.get(raw[1] >> 4, 0), True)
            if tag == LINK or not links:
                self._links(number, links + 1)
        return True

    def _links(self, number: int, links: int) -> None:
        raw = self._raw(number)
        raw[26:28] = min(links, 0xFFFF).to_bytes(2, "little")
        self._store(number, raw)
        if not links:
            self._use(number, False)
            if int.from_bytes(raw[32:36], "little") & FLAG_EXTENTS:
                for run in self._map(number):
                    if run.physical:
                        self._mark(run.physical, run.blocks, False)

    def _names(self, parent: int) -> set[bytes] | None:
        """The names that a folder has on the volume; None where the folders together are too large to look."""
        if parent in self._held:
            return self._held[parent]
        found: set[bytes] = set()
        row = self._table.get(parent)
        if row is not None and parent not in self.fast.fresh:
            size = self._block.block_size
            if row.flags & FLAG_INLINE:
                data = self._contents.open(row).pread(4, min(row.size, size))
                parts: Iterable[bytes] = (data[:56], data[56:])
            else:
                file = self._contents.open(row)
                end = min(row.size, self._base.size)
                self._read += end
                if self._read > _FOLDERS_MOST:
                    return None
                parts = (file.pread(at, size) for at in range(0, end, size))
            for part in parts:
                names = names_in(part, self._block, bool(row.flags & FLAG_INDEX)).names
                found.update(n.name for n in names if n.live)
                if len(found) > _NAMES_MOST:
                    break
        self._held[parent] = found
        return found


def _without(run: Run, first: int, end: int) -> list[Run]:
    """What is left of a run outside blocks ``first`` to ``end``."""
    found = []
    if run.logical < first:
        found.append(Run(run.logical, run.physical, min(run.blocks, first - run.logical)))
    stop = run.logical + run.blocks
    if stop > end:
        low = max(run.logical, end)
        found.append(Run(low, run.physical + low - run.logical if run.physical else 0, stop - low))
    return found


def play_fast(
    source: ByteSource,
    block: Superblock,
    groups: Groups,
    blocks: Mapping[int, tuple[int, bytes]],
    changes: Sequence[Change],
    journal: ByteSource | None = None,
) -> tuple[Patched, Fast]:
    """The volume with its journal's ``blocks`` and its fast commits over it, and what those change beside blocks."""
    player = _Player(Overlay(source, block.block_size, blocks, journal), block, groups)
    player.run(changes)
    return Patched(source, block.block_size, blocks, player.blocks, player.records, journal), player.fast
