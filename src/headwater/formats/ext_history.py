# SPDX-License-Identifier: Apache-2.0
"""What a journal's old copies say of inodes and names: the last state of each before it was deleted."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from headwater.formats.ext_directories import names_in
from headwater.formats.ext_inode import Row, decode_inodes
from headwater.formats.ext_layout import INCOMPAT_FILETYPE, INCOMPAT_LARGEDIR, Groups, Superblock
from headwater.formats.jbd2 import MAGIC, Copy, history
from headwater.model.ports import ByteSource

_EXTENT_NODE = b"\x0a\xf3"
_DOT = struct.Struct("<IHBB")


@dataclass(frozen=True, slots=True)
class OldState:
    """An inode as one transaction left it; ``place``: where its record stands on the volume, in the journal."""

    row: Row
    generation: int
    sequence: int
    place: int
    record: bytes


@dataclass(frozen=True, slots=True)
class OldName:
    parent: int
    name: bytes
    sequence: int


@dataclass(slots=True)
class Old:
    """``last``: (inode, generation) → its last state with a link. ``nodes``: blocks of extent trees, for an overlay."""

    checked: bool
    left_out: int
    commits: dict[int, int]
    last: dict[tuple[int, int], OldState] = field(default_factory=dict)
    unlinked: dict[tuple[int, int], int] = field(default_factory=dict)
    names: dict[int, list[OldName]] = field(default_factory=dict)  # of each inode, oldest first
    nodes: dict[int, tuple[int, bytes]] = field(default_factory=dict)

    def states(self) -> Iterator[OldState]:
        """Every generation of each inode, in order of number and age; sequences may have begun anew from 0."""
        oldest = min(self.commits, default=0)
        if self.commits and not _later(max(self.commits), oldest):
            oldest = max(self.commits)  # they have: what is large is old
        yield from sorted(self.last.values(), key=lambda s: (s.row.number, s.sequence - oldest & 0xFFFFFFFF))

    def name_of(self, state: OldState) -> OldName | None:
        """The name that the inode bore when it was as in ``state``; None where no copy tells.

        Creating and renaming write the inode in the same transaction, so a name of a later one is another time's, or
        that of another file to which the number was given since.
        """
        borne = [name for name in self.names.get(state.row.number, ()) if _later(state.sequence, name.sequence)]
        return borne[-1] if borne else None

    def folder_name(self, number: int) -> OldName | None:
        """The last name that a directory bore."""
        names = self.names.get(number)
        return names[-1] if names else None

    def gone(self, state: OldState) -> int | None:
        """When the first transaction that shows the inode without a link was committed."""
        sequence = self.unlinked.get((state.row.number, state.generation))
        return None if sequence is None else self.commits.get(sequence)

    def deletion(self, state: OldState) -> int | None:
        """The time of deletion as far as the journal tells."""
        return self.gone(state)


def _later(a: int, b: int) -> bool:
    return (a - b) & 0xFFFFFFFF < 0x80000000


def read_history(source: ByteSource, places: Sequence[int], block: Superblock, groups: Groups) -> Old:
    """Read all old copies; ``source`` is the volume as recorded, ``places`` where its journal's blocks begin.

    Raises:
        NotJournal: there is no journal that could be read.
    """
    found = history(source, places, block.block_size)
    old = Old(found.checked, found.left_out, found.commits)
    per_table = -(-block.inodes_per_group * block.inode_size // block.block_size)
    tables = np.asarray(groups.inode_table)
    order = np.argsort(tables, kind="stable")
    ordered = tables[order]
    folders: dict[int, int] = {}  # block → directory that it is known to belong to
    waiting: list[tuple[Copy, bytes]] = []
    for copy in found.copies:
        index = int(np.searchsorted(ordered, copy.block, side="right")) - 1
        data = block_content(source, places, copy, block.block_size)
        if index >= 0 and copy.block - int(ordered[index]) < per_table:
            group, part = int(order[index]), copy.block - int(ordered[index])
            _inodes(old, copy, data, places[copy.place], block, group, part)
        elif data[:2] == _EXTENT_NODE and data[2:4] != b"\0\0":
            old.nodes[copy.block] = (places[copy.place], b"")
        else:
            owner = _owner(data, block)
            if owner:
                folders[copy.block] = owner
            waiting.append((copy, data))
    _claim_blocks(old, block, folders)
    for copy, data in waiting:
        parent = folders.get(copy.block)
        if parent:
            _names(old, copy, data, parent, block)
    return old


def block_content(source: ByteSource, places: Sequence[int], copy: Copy, size: int) -> bytes:
    """A block of the volume as a transaction wrote it."""
    data = source.pread(places[copy.place], size).ljust(size, b"\0")
    return MAGIC.to_bytes(4, "big") + data[4:] if copy.escaped else data


def _inodes(old: Old, copy: Copy, data: bytes, place: int, block: Superblock, group: int, part: int) -> None:
    size = block.inode_size
    first = group * block.inodes_per_group + part * (block.block_size // size) + 1
    rows, _ = decode_inodes(data, size, first, bool(block.incompat & INCOMPAT_LARGEDIR))
    for row in rows:
        at = (row.number - first) * size
        record = data[at : at + size]
        generation = int.from_bytes(record[100:104], "little")
        key = (row.number, generation)
        if row.links and row.mode and row.deleted is None:
            held = old.last.get(key)
            # a file that shrinks on its way out keeps its larger state
            if held is None or row.size >= held.row.size or key in old.unlinked:
                old.last[key] = OldState(row, generation, copy.sequence, place + at, record)
            old.unlinked.pop(key, None)
        elif key in old.last:
            old.unlinked.setdefault(key, copy.sequence)


def _owner(data: bytes, block: Superblock) -> int:
    """The inode of the directory whose first block this is, by its names ``.`` and ``..``; 0 where it is none."""
    inode, length, size, kind = _DOT.unpack_from(data, 0)
    if length != 12 or size != 1 or data[8:9] != b"." or not 0 < inode <= block.inodes:
        return 0
    parent, length, size, _ = _DOT.unpack_from(data, 12)
    typed = bool(block.incompat & INCOMPAT_FILETYPE)
    good = size == 2 and data[20:22] == b".." and 0 < parent <= block.inodes and (kind == 2 or not typed)
    return inode if good and length >= 12 else 0


def _claim_blocks(old: Old, block: Superblock, folders: dict[int, int]) -> None:
    """The further blocks of directories whose old inodes are known: those mapped inside the inode itself."""
    for (number, _), state in old.last.items():
        if state.row.mode >> 12 != 0x4:
            continue
        raw = state.record[40:100]
        if raw[:2] == _EXTENT_NODE and raw[6:8] == b"\0\0":
            entries = min(int.from_bytes(raw[2:4], "little"), 4)
            for at in range(12, 12 + 12 * entries, 12):
                _, length, high, low = struct.unpack_from("<IHHI", raw, at)
                if 0 < length <= 32768:
                    for n in range(min(length, 1024)):
                        folders.setdefault((high << 32 | low) + n, number)
        elif raw[:2] != _EXTENT_NODE:
            for n in np.frombuffer(raw[:48], "<u4").tolist():
                if n:
                    folders.setdefault(int(n), number)


def _names(old: Old, copy: Copy, data: bytes, parent: int, block: Superblock) -> None:
    # the root of a hash tree hides behind a ".." that takes the rest of its block
    root = _owner(data, block) and int.from_bytes(data[16:18], "little") >= block.block_size - 12
    found = names_in(data, block, bool(root) or not _owner(data, block))
    if found.broken:
        return
    for name in found.names:
        if name.live and name.inode:
            borne = old.names.setdefault(name.inode, [])
            if not borne or (borne[-1].parent, borne[-1].name) != (parent, name.name):
                borne.append(OldName(parent, name.name, copy.sequence))
