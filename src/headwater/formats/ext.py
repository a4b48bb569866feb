# SPDX-License-Identifier: Apache-2.0
"""ext2, ext3 and ext4 as a tree: an iterative walk over directories, then the inodes that no name leads to.

Directories are walked by inode with a stack of our own, each once, so neither depth nor cycles can hide anything or
run for ever. After the names come the inodes without one, as ``/$OrphanFiles/OrphanFile-<inode>`` (The Sleuth Kit's
names for them): deleted files whose record still stands, and files that were open when they were deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from headwater.formats.attributes import attributes, capabilities_of, stated
from headwater.formats.ext_content import Contents
from headwater.formats.ext_coverage import coverage
from headwater.formats.ext_deleted import DeletedTree
from headwater.formats.ext_directories import Name, Names, names_in
from headwater.formats.ext_fast_view import Fast, Patched
from headwater.formats.ext_inode import FLAG_EA_INODE, FLAG_ENCRYPT, FLAG_INDEX, FLAG_INLINE, InodeTable, Row
from headwater.formats.ext_journal import journal_places, view_of
from headwater.formats.ext_layout import ROOT_INODE, NotExt, read_groups, read_superblock
from headwater.formats.overlay import Overlay
from headwater.formats.slack_names import NAMES_MOST, Part, Slack
from headwater.formats.sources import MemorySource
from headwater.formats.trees import Coverage, Entry, EntryKind
from headwater.formats.walking import MAX_WARNINGS, Bounds
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
# Entry without the Python frame of its constructor: it is called once for every name
_ENTRY: Callable[[tuple[object, ...]], Entry] = partial(tuple.__new__, Entry)
_ORPHANS = "/$OrphanFiles"
_GONE = "gone"
_LEFT_MOST = 200_000
_REUSED = (0, 0, GapReason.OVERWRITTEN, "the inode of this deleted name belongs to another file by now, or to none")


class ExtTree:
    """One ext volume; ``view`` says whether it is shown clean, with its journal played back, or as recorded.

    ``source`` may be an overlay of the journal's blocks: places are then those where the bytes really stand.
    """

    def __init__(self, source: ByteSource, notes: Sequence[Gap] = (), fast: Fast | None = None) -> None:
        self._source = source
        self._fast = fast or Fast()
        self.block = read_superblock(source)
        self.groups, gaps = read_groups(source, self.block)
        self.groups = self._fast.groups or self.groups
        self._inodes = InodeTable(source, self.block, self.groups)
        self._contents = Contents(source, self.block, self._inodes)
        self._contents.fixed = self._fast.maps
        self._warnings: list[Gap] = [*notes, *gaps]
        self._dropped = 0
        self.kind = self.block.kind
        self.inode_size = self.block.inode_size
        self.view = "clean"
        self.notes: tuple[str, ...] = ()
        self.deleted: DeletedTree | None = None  # the files that its journal remembers
        self.alone: list[Slack] = []  # deleted names whose inode is another file's, once they were listed
        self.left: list[Entry] | None = None  # deleted files whose inode's record still stands, once it was listed

    @property
    def warnings(self) -> Sequence[Gap]:
        far = sum(self._inodes.lost_times.values())
        more = []
        if far:
            more.append(Gap(0, 0, GapReason.UNSUPPORTED, f"{far} times lie after 2262-04-11 and are not shown"))
        if self._dropped:
            more.append(Gap(0, 0, GapReason.LIMIT, f"{self._dropped} more warnings of this volume are not listed"))
        return (*self._warnings, *more)

    def _warn(self, number: int, reason: GapReason, detail: str) -> None:
        if len(self._warnings) >= MAX_WARNINGS:
            self._dropped += 1
            return
        place = self._inodes.place(number) if 1 <= number <= self._inodes.last else 0
        self._warnings.append(Gap(place, self.inode_size, reason, f"inode {number}: {detail}"))

    def entries(self) -> Iterator[Entry]:
        """Every name, a directory's before those of the directories in it; then the inodes without a name."""
        walk = _Walk(self)
        self.left, self.alone = [], []
        for entry in chain(walk.run(), self._orphans(walk)):
            if not entry.allocated and entry.key != _GONE and len(self.left) < _LEFT_MOST:
                self.left.append(entry)
            yield entry

    def _orphans(self, walk: _Walk) -> Iterator[Entry]:
        special = self.block.special
        for group, part in self._inodes.stretches():
            for number in self._inodes.unnamed(group, part, walk.seen):
                row = self._inodes.get(number)
                if row is None or walk.seen[number] or number < self.block.first_inode or number in special:
                    continue
                if row.flags & FLAG_EA_INODE:
                    continue
                path = f"{_ORPHANS}/OrphanFile-{number}"
                live = self._inodes.in_use(number)
                walk.seen[number] = True
                yield self.entry(path, row, live)
                if row.mode & 0xF000 == 0x4000:
                    walk.push(number, path, 2, live)
                    yield from walk.drain()

    def entry(self, path: str, row: Row, live: bool) -> Entry:
        """The entry of an inode under a path."""
        number, mode, uid, gid, size, _, _, _, _, modified, accessed, changed, created, deleted = row
        kind = _KINDS.get(mode >> 12, "other")
        target = self._target(row) if kind == "link" else None
        times = (modified, accessed, changed, created, deleted)
        return _ENTRY((path, kind, size, mode, uid, gid, number, live, *times, target, str(number)))

    def _target(self, row: Row) -> str | None:
        if row.flags & FLAG_ENCRYPT or row.size > 65536:
            return None
        data = self._contents.open(row).pread(0, row.size)
        return encode_name(data) if data.strip(b"\0") else None

    def gone(self, path: str, name: Name) -> Entry:
        """A deleted name whose inode is another file's by now, or unknown: the name is all that is left."""
        kind = _NAMED[name.kind] if name.kind < len(_NAMED) else "other"
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
        if key == _GONE:
            return ()
        found = self._contents.extents(self._row(key))
        if isinstance(self._source, Overlay):
            return tuple(r for offset, length in found for r in self._source.ranges(offset, length))
        return found

    def _row(self, key: str) -> Row:
        row = self._inodes.get(int(key)) if key.isascii() and key.isdigit() else None
        if row is None:
            raise KeyError(key)
        return row

    def record_spans(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(offset, length) on the volume of the inode records; offset -1 where there is no such inode."""
        own = places = self._inodes.places(numbers)
        lengths = np.full(len(numbers), self.inode_size, np.int64)
        if isinstance(self._source, Overlay):
            places = self._source.located(own)
        if isinstance(self._source, Patched):
            lengths = self._source.lengths(own, self.inode_size)
        return places, lengths

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        """Ranges of the volume by the block bitmaps; superblocks, descriptors, bitmaps, inode tables are metadata."""
        return coverage(self._source, self.block, self.groups)

    def directory(self, row: Row) -> Iterator[tuple[bytes, bool]]:
        """The blocks of a directory's content, with whether each is one of a hash tree's directory."""
        if row.number in self._fast.fresh:
            return
        if row.flags & FLAG_INLINE:
            data = self._contents.open(row).pread(0, min(row.size, self.inode_size))
            # the first four bytes are the parent's inode; the rest goes on in the extended attribute
            yield data[4:60], False
            if len(data) > 60:
                yield data[60:], False
            return
        found = self._contents.map(row)
        for text in dict.fromkeys(found.faults):
            self._warn(row.number, GapReason.NOT_THIS_FORMAT, text)
        size = self.block.block_size
        indexed = bool(row.flags & FLAG_INDEX)
        blocks = (row.size + size - 1) // size
        for run in found.runs:
            for index in range(run.logical, min(run.logical + run.blocks, blocks)):
                if run.physical:
                    data = self._source.pread((run.physical + index - run.logical) * size, size)
                    if len(data) < size:
                        self._warn(
                            row.number, GapReason.TRUNCATED, "a directory block lies beyond the end of the volume"
                        )
                        return
                    yield data, indexed

    def folder_parts(self, number: int, base: ByteSource) -> list[Part]:
        """The blocks of a directory in use as they stand on the volume, with the names in use in them."""
        row, size = self.row(number), self.block.block_size
        if row is None or row.number in self._fast.fresh or row.flags & FLAG_INLINE:
            return []
        indexed, most = bool(row.flags & FLAG_INDEX), -(-row.size // size)
        parts: list[Part] = []
        for run in self._contents.map(row).runs:
            for index in range(max(0, min(run.blocks, most - run.logical)) if run.physical else 0):
                place = (run.physical + index) * size
                data = base.pread(place, size)
                live = {n.name: n.inode for n in names_in(data, self.block, indexed).names if n.live}
                parts.append(Part(place, data, live))
        return parts

    def names(self, row: Row) -> Iterator[Names]:
        """The names of a directory, block by block, then those that fast commits added."""
        for data, indexed in self.directory(row):
            found = names_in(data, self.block, indexed)
            yield found._replace(names=self._fast.now(row.number, found.names))
        if more := self._fast.more(row.number):
            yield Names(more, 0)

    def capabilities(self, entries: Sequence[Entry]) -> dict[int, str]:
        """The capabilities of those entries that have some, by their place among them."""
        apart, block = lru_cache(256)(self._source.pread), self.block.block_size
        found = {}
        for n, entry in enumerate(entries):
            if stated(entry, self._inodes.capable, lambda i: bool((row := self.row(i)) and row.acl)):
                value = attributes(self.kind, self.raw(entry.inode), apart, block).values.get(b"security.capability")
                if value is not None and (text := capabilities_of(value)):
                    found[n] = text
        return found

    # what recovery and the walk need
    @property
    def volume(self) -> ByteSource:
        """What the tree is read from, the journal's blocks over it where they were played back."""
        return self._source

    def raw(self, number: int) -> bytes:
        """The record of an inode as it stands; empty outside the volume."""
        return self._inodes.raw(number) if 1 <= number <= self.last else b""

    def name_of_directory(self, number: int) -> tuple[int, bytes] | None:
        """(inode of the folder it lies in, its name) of a directory that is in use; None for anything else."""
        row = self.row(number)
        if row is None or row.mode & 0xF000 != 0x4000 or not self.in_use(number):
            return None
        first = next((data for data, _ in self.directory(row)), b"")
        if row.flags & FLAG_INLINE:
            parent = int.from_bytes(self._contents.open(row).pread(0, 4), "little")
        elif first[20:22] == b"..":
            parent = int.from_bytes(first[12:16], "little")
        else:
            return None
        above = self.row(parent)
        if parent == number or above is None or above.mode & 0xF000 != 0x4000:
            return None
        for found in self.names(above):
            for name in found.names:
                if name.live and name.inode == number:
                    return parent, name.name
        return None

    def row(self, number: int) -> Row | None:
        return self._inodes.get(number)

    def in_use(self, number: int) -> bool:
        return self._inodes.in_use(number)

    @property
    def last(self) -> int:
        return self._inodes.last

    def warn(self, number: int, reason: GapReason, detail: str) -> None:
        """Note something about an inode that the listing could not show."""
        self._warn(number, reason, detail)


class _Walk:
    """One listing: the stack of directories still to read, and which inodes a name has led to."""

    def __init__(self, tree: ExtTree) -> None:
        self._tree = tree
        self.seen = bytearray(tree.last + 1)
        self._walked = bytearray(tree.last + 1)
        self._stack: list[tuple[int, str, int, bool]] = []
        # blocks are not shared: directories cannot have more of them than the volume
        self._budget = tree.block.blocks + 1024
        self._bounds = Bounds()

    def run(self) -> Iterator[Entry]:
        root = self._tree.row(ROOT_INODE)
        if root is None or root.mode & 0xF000 != 0x4000:
            self._tree.warn(ROOT_INODE, GapReason.NOT_THIS_FORMAT, "the root directory is not one")
            return
        self.seen[ROOT_INODE] = True
        yield self._tree.entry("/", root, True)
        self.push(ROOT_INODE, "", 0, True)
        yield from self.drain()

    def push(self, number: int, path: str, depth: int, live: bool) -> None:
        """Remember a directory for later, unless it was walked, or lies too deep."""
        if self._walked[number]:
            if live:
                self._tree.warn(number, GapReason.NOT_THIS_FORMAT, "a directory with two names; listed under the first")
            return
        why = self._bounds.refuse(path, depth)
        if why:
            self._tree.warn(number, GapReason.LIMIT, why)
            return
        self._walked[number] = True
        self._stack.append((number, path, depth, live))

    def drain(self) -> Iterator[Entry]:
        stack = self._stack
        tree = self._tree
        while stack:
            number, path, depth, live = stack.pop()
            row = tree.row(number)
            if row is None:
                continue
            below = len(stack)
            for found in tree.names(row):
                self._budget -= 1
                if self._budget < 0:
                    tree.warn(number, GapReason.LIMIT, "directories claim more blocks than the volume has")
                    return
                if found.broken:
                    text = f"{found.broken} bytes of a directory block are no records"
                    tree.warn(number, GapReason.NOT_THIS_FORMAT, text)
                yield from self._names(number, found, path, depth, live)
            stack[below:] = stack[below:][::-1]  # the first directory named is read next

    def _names(self, folder: int, found: Names, path: str, depth: int, parent_live: bool) -> Iterator[Entry]:
        tree = self._tree
        row_of, make, seen = tree.row, tree.entry, self.seen
        for name in found.names:
            number = name.inode
            full = f"{path}/{encode_name(name.name)}"
            row = row_of(number)
            if name.live and parent_live:
                if row is None:
                    tree.warn(number, GapReason.NOT_THIS_FORMAT, f"{full} names an inode that is empty or not there")
                    yield tree.gone(full, name)
                    continue
                seen[number] = True
                yield make(full, row, True)
                if row.mode & 0xF000 == 0x4000:
                    self.push(number, full, depth + 1, True)
            elif row is None or not number or tree.in_use(number):
                gone = tree.gone(full, name)
                if parent_live and not name.live and len(tree.alone) < NAMES_MOST:
                    tree.alone.append(Slack(folder, name, gone))
                yield gone
            else:
                seen[number] = True
                yield make(full, row, False)
                if row.mode & 0xF000 == 0x4000:
                    self.push(number, full, depth + 1, False)


def open_ext(source: ByteSource, play: bool = True, others: Sequence[ByteSource] = ()) -> ExtTree:
    """The tree of an ext volume, with its journal played back in memory where it was not cleanly unmounted.

    ``play`` False: as it was recorded, with a gap that says that the tree is stale. ``others``: volumes beside it, one of
    which may be its journal.

    Raises:
        NotExt: the superblock cannot be.
    """
    found = view_of(source, read_superblock(source), play, others)
    try:
        tree = ExtTree(found.source, found.gaps, found.fast)
    except NotExt:
        # the journal holds a superblock that cannot be: what is recorded is all there is
        found = view_of(source, read_superblock(source), False)
        tree = ExtTree(source, found.gaps)
    tree.view, tree.notes = found.view, found.notes
    places = journal_places(source, tree.block)
    if places:
        tree.deleted = DeletedTree(tree, source, places)
    return tree
