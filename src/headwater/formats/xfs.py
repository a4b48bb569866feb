# SPDX-License-Identifier: Apache-2.0
"""XFS (versions 4 and 5) as a tree: an iterative walk over directories, then the inodes that no name leads to.

A log that was left dirty is played back in memory (:mod:`headwater.formats.xfs_log_view`); ``view`` and ``notes`` say
so, and where that cannot be done the warnings say that the tree is older than the last writes. Names are bytes; deleted
ones are listed where they still stand in a directory's free space, without the file they meant, because XFS clears an
inode when it is freed. Freed inodes keep their times, the last being that of the deletion: they are listed as
``/$OrphanFiles/OrphanFile-<inode>`` with kind ``other``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from headwater.formats.attributes import attributes, capabilities_of, stated
from headwater.formats.ext_directories import Name, Names
from headwater.formats.slack_names import Part, Slack
from headwater.formats.sources import MemorySource
from headwater.formats.trees import Coverage, Entry, EntryKind
from headwater.formats.walking import MAX_WARNINGS, Bounds
from headwater.formats.xfs_content import XfsContents
from headwater.formats.xfs_deleted import DeletedTree
from headwater.formats.xfs_directories import names_in_block, names_inside
from headwater.formats.xfs_inode import CHUNK, FORMAT_LOCAL, XfsInodes, XfsRow
from headwater.formats.xfs_layout import NotXfs, coverage, groups_there, read_super, short_leaves
from headwater.formats.xfs_log_view import Patched, view_of
from headwater.model.kinds import GapReason
from headwater.model.paths import encode_name
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

_KINDS: dict[int, EntryKind] = {
    0x1: "fifo",
    0x2: "char",
    0x4: "dir",
    0x6: "block",
    0x8: "file",
    0xA: "link",
    0xC: "socket",
}
_NAMED: tuple[EntryKind, ...] = ("other", "file", "dir", "char", "block", "fifo", "socket", "link")
_GONE = "gone"
_SLACK_MOST = 1_000_000
_FOLDER_BLOCKS_MOST = 1_000_000
_REUSED = (0, 0, GapReason.OVERWRITTEN, "the inode of this deleted name was cleared when it was freed")
_LEAF_AT = 1 << 35  # bytes: from here on a directory holds its index, no names


class XfsTree:
    """One XFS volume; ``view`` says whether it is shown clean, with its log played back, or as recorded.

    Raises:
        NotXfs: the superblock cannot be.
    """

    kind = "xfs"

    def __init__(self, source: ByteSource, play: bool = True) -> None:
        base = source
        found = view_of(source, read_super(source), play)
        try:
            self.head = read_super(found.source)
        except NotXfs:  # a log that would break the superblock is not to hide what is recorded
            found = view_of(source, read_super(source), False)
            self.head = read_super(source)
        self._source = source = found.source
        self.view, self.notes = found.view, found.notes
        self.inode_size = self.head.inode_size
        self._inodes = XfsInodes(source, self.head)
        self._contents = XfsContents(source, self.head, self._inodes, found.finished.maps)
        self._freed = found.finished.freed
        self._warnings: list[Gap] = [*found.gaps, *self._state()]
        self._dropped = 0
        self._folders: dict[int, str] = {}
        self._slack: list[tuple[int, Name]] = []
        self.deleted = DeletedTree(self, base)

    def _state(self) -> Iterator[Gap]:
        there, said = self._source.size, self.head.blocks * self.head.block_size
        if said > there:
            yield Gap(there, said - there, GapReason.TRUNCATED, "the file system is larger than the volume")

    @property
    def warnings(self) -> Sequence[Gap]:
        if not self._dropped:
            return tuple(self._warnings)
        more = f"{self._dropped} more warnings of this volume are not listed"
        return (*self._warnings, Gap(0, 0, GapReason.LIMIT, more))

    def _warn(self, number: int, reason: GapReason, detail: str) -> None:
        if len(self._warnings) >= MAX_WARNINGS:
            self._dropped += 1
            return
        place = max(0, self.head.inode_place(number))
        self._warnings.append(Gap(place, self.inode_size, reason, f"inode {number}: {detail}"))

    def entries(self) -> Iterator[Entry]:
        """Every name, a directory's before those of the directories in it; then the inodes without a name."""
        root = self._inodes.get(self.head.root)
        if root is None or root.mode & 0xF000 != 0x4000:
            self._warn(self.head.root, GapReason.NOT_THIS_FORMAT, "the root directory is not one")
            return
        seen = {root.number}
        walked = {root.number}
        bounds = Bounds()
        # directories' blocks are not shared: they cannot have more than the volume
        budget = self.head.blocks + 1024
        self._folders, self._slack = {}, []
        yield self._entry("/", root, True)
        stack: list[tuple[XfsRow, str, int]] = [(root, "", 0)]
        while stack:
            row, path, depth = stack.pop()
            self._folders[row.number] = path
            below: list[tuple[XfsRow, str, int]] = []
            for found in self._blocks(row):
                budget -= 1
                if budget < 0:
                    self._warn(row.number, GapReason.LIMIT, "directories claim more blocks than the volume has")
                    return
                if len(self._slack) < _SLACK_MOST:
                    self._slack.extend((row.number, name) for name in found.names if not name.live)
                for entry, child in self._named(found, path):
                    yield entry
                    if child is None:
                        continue
                    seen.add(child.number)
                    if child.mode & 0xF000 != 0x4000:
                        continue
                    if child.number in walked:
                        self._warn(child.number, GapReason.NOT_THIS_FORMAT, "a directory with two names")
                        continue
                    why = bounds.refuse(entry.path, depth + 1)
                    if why:
                        self._warn(child.number, GapReason.LIMIT, why)
                        continue
                    walked.add(child.number)
                    below.append((child, entry.path, depth + 1))
            stack.extend(reversed(below))
        yield from self._orphans(seen)

    def _blocks(self, row: XfsRow) -> Iterator[Names]:
        """The names of a directory, stretch by stretch."""
        types = self.head.file_types
        if row.format == FORMAT_LOCAL:
            found = names_inside(self._contents.fork(row)[1][: row.size], types)
            if found.broken:
                self._warn(row.number, GapReason.NOT_THIS_FORMAT, "names inside the inode that are no records")
            yield found
            return
        held = self._contents.map(row)
        for text in dict.fromkeys(held.faults):
            self._warn(row.number, GapReason.NOT_THIS_FORMAT, text)
        size = self.head.block_size
        per = self.head.directory_block // size
        numbers: dict[int, list[int]] = {}
        for run in held.runs:
            if run.logical * size >= _LEAF_AT or not run.physical:
                continue
            for index in range(min(run.blocks, self.head.blocks)):
                logical = run.logical + index
                numbers.setdefault(logical // per, []).append(run.physical + index)
                if len(numbers[logical // per]) == per:
                    data = b"".join(self._source.pread(self.head.place(b), size) for b in numbers.pop(logical // per))
                    found = names_in_block(data, types)
                    if found.broken:
                        text = f"{found.broken} bytes of a directory block are no records"
                        self._warn(row.number, GapReason.NOT_THIS_FORMAT, text)
                    yield found
        if numbers:
            self._warn(row.number, GapReason.NOT_THIS_FORMAT, "a directory block that is not whole")

    def _named(self, found: Names, path: str) -> Iterator[tuple[Entry, XfsRow | None]]:
        get = self._inodes.get
        for name in found.names:
            full = f"{path}/{encode_name(name.name)}"
            row = get(name.inode) if name.live else None
            if row is not None and row.mode:
                yield self._entry(full, row, True), row
                continue
            if name.live:
                self._warn(name.inode, GapReason.NOT_THIS_FORMAT, f"{full} names an inode that is free or not there")
            yield self._gone(full, name), None

    def _orphans(self, seen: set[int]) -> Iterator[Entry]:
        for first in self._chunks():
            yield from self._unnamed(first, seen)

    def _chunks(self) -> Iterator[int]:
        """The number of the first inode of every chunk that the groups' trees name."""
        head = self.head
        for group in range(groups_there(self._source, head)):
            base = group * head.ag_blocks * head.block_size
            agi = self._source.pread(base + 2 * head.sector_size, 64)
            if agi[:4] != b"XAGI":
                self._no_inodes(base)
                continue
            bits = head.ag_block_bits + head.inode_bits
            root = int.from_bytes(agi[20:24], "big")
            for leaf in short_leaves(self._source, head, group, root, (b"IABT", b"IAB3"), 4, 16):
                for first in np.frombuffer(leaf, ">u4")[::4].tolist():
                    yield group << bits | first - first % CHUNK

    def _no_inodes(self, place: int) -> None:
        gap = Gap(place, self.head.sector_size, GapReason.NOT_THIS_FORMAT, "no head of inodes here")
        if gap not in self._warnings:
            self._warnings.append(gap)

    def _unnamed(self, first: int, seen: set[int]) -> Iterator[Entry]:
        for number, row in list(self._inodes.chunk(first).items()):
            if number in seen or number in self.head.special or not (row.mode or (row.changed or 0) > 0):
                continue
            seen.add(number)
            yield self._entry(f"/$OrphanFiles/OrphanFile-{number}", row, bool(row.mode))

    def capabilities(self, entries: Sequence[Entry]) -> dict[int, str]:
        """The capabilities of those entries that have some, by their place among them."""
        found = {}

        def block(number: int, length: int) -> bytes:
            return self._source.pread(place, length) if (place := self.head.place(number)) >= 0 else b""

        for n, entry in enumerate(entries):
            if stated(entry, self._inodes.capable, lambda _: False):
                value = attributes(self.kind, self.raw(entry.inode), block, self.head.block_size).values.get(
                    b"security.capability"
                )
                if value is not None and (text := capabilities_of(value)):
                    found[n] = text
        return found

    # what recovery needs
    def row(self, number: int) -> XfsRow | None:
        """A decoded inode, in use or not."""
        return self._inodes.get(number)

    def raw(self, number: int) -> bytes:
        """The record of an inode as it stands."""
        return self._inodes.raw(number)

    def freed(self) -> Iterator[tuple[XfsRow, bytes, int]]:
        """The records of chunks in use that no file has: (row, bytes, place on the volume); never used ones left out."""
        for first in self._chunks():
            for number, row in list(self._inodes.chunk(first).items()):
                if not row.mode and (row.changed or 0) > 0 and number not in self.head.special:
                    yield row, self._inodes.raw(number), self.head.inode_place(number)

    def folders(self) -> dict[int, str]:
        """The path of every directory by its inode, the root's being empty; lists the volume where that was not done."""
        if not self._folders:
            deque(self.entries(), maxlen=0)
        return self._folders

    def folder_blocks(self) -> dict[int, int]:
        """Where on the volume each block of names of a directory in use begins, and its inode; bounded."""
        found: dict[int, int] = {}
        size, step = self.head.block_size, self.head.directory_block
        for number in self.folders():
            row = self._inodes.get(number)
            for run in self._contents.map(row).runs if row is not None else ():
                count = min(run.blocks * size // step, _FOLDER_BLOCKS_MOST - len(found))
                if run.physical and run.logical * size < _LEAF_AT:
                    begin = self.head.place(run.physical)
                    found.update((begin + index * step, number) for index in range(count))
        return found

    def folder_parts(self, number: int, base: ByteSource) -> list[Part]:
        """The blocks of names of a directory in use as they stand on the volume, with the names in use in them."""
        row, size, step = self._inodes.get(number), self.head.block_size, self.head.directory_block
        parts: list[Part] = []
        for run in self._contents.map(row).runs if row is not None and row.format != FORMAT_LOCAL else ():
            if not run.physical or run.logical * size >= _LEAF_AT:
                continue
            for index in range(min(run.blocks, self.head.blocks) * size // step):
                place = self.head.place(run.physical) + index * step
                data = base.pread(place, step)
                live = {n.name: n.inode for n in names_in_block(data, self.head.file_types).names if n.live}
                parts.append(Part(place, data, live))
        return parts

    def alone(self) -> list[Slack]:
        """The names in the free space of directories in use, as the listing tells them."""
        folders = self.folders()
        return [
            Slack(number, name, self._gone(f"{folders[number]}/{encode_name(name.name)}", name))
            for number, name in self._slack
        ]

    def slack_names(self) -> list[tuple[int, Name]]:
        """(inode of the directory, name) of the names in the free space of directories in use."""
        self.folders()
        return self._slack

    def _entry(self, path: str, row: XfsRow, live: bool) -> Entry:
        kind = _KINDS.get(row.mode >> 12, "other")
        target = None
        if kind == "link" and row.size <= 65536:
            data = self._contents.open(row).pread(0, row.size)
            target = encode_name(data) if data.strip(b"\0") else None
        times = (row.modified, row.accessed, row.changed, row.created, None)
        return Entry(
            path, kind, row.size, row.mode, row.uid, row.gid, row.number, live, *times, target, str(row.number)
        )

    def _gone(self, path: str, name: Name) -> Entry:
        kind = _NAMED[name.kind]
        return Entry(path, kind, 0, 0, None, None, name.inode, False, None, None, None, None, None, None, _GONE)

    def open(self, key: str) -> ByteSource:
        """The content of an entry; of a link, the bytes of its target.

        Raises:
            KeyError: the tree never gave out this key.
        """
        if key == _GONE:
            return MemorySource(b"", (_REUSED,))
        return self._contents.open(self._row(key))

    def extents(self, key: str) -> tuple[tuple[int, int], ...]:
        """Ranges on the volume that hold the content, in order."""
        found = () if key == _GONE else self._contents.extents(self._row(key))
        if isinstance(self._source, Patched) and not all(self._source.untouched(at, size) for at, size in found):
            return ()  # what is read here stands nowhere in one piece: part of it is in the log
        return found

    def _row(self, key: str) -> XfsRow:
        row = self._inodes.get(int(key)) if key.isascii() and key.isdigit() and len(key) < 20 else None
        if row is None:
            raise KeyError(key)
        return row

    def record_spans(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(offset, length) on the volume of the inode records; offset -1 where there is no such inode.

        Of an inode that playing the log back changed, this is its core in the log, -1 where that is not in one piece.
        """
        head = self.head
        bits = head.ag_block_bits + head.inode_bits
        group, inside = numbers >> bits, numbers & ((1 << bits) - 1)
        block = inside >> head.inode_bits
        good = (numbers > 0) & (group < head.ag_count) & (block < head.ag_blocks)
        at = (group * head.ag_blocks + block) * head.block_size + (
            inside & ((1 << head.inode_bits) - 1)
        ) * head.inode_size
        at, length = np.where(good, at, -1), np.full(len(numbers), head.inode_size, np.int64)
        if isinstance(self._source, Patched):
            for index, number in enumerate(numbers.tolist()):
                if number in self._source.inodes:
                    at[index], length[index] = self._source.inodes[number], self._source.record_length
        return at, length

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        """Ranges of the volume by the trees of free space."""
        return coverage(self._source, self.head, self._freed)
