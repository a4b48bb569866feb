# SPDX-License-Identifier: Apache-2.0
"""FAT, exFAT, ISO 9660, HFS+ and UFS as a tree, through The Sleuth Kit (pytsk3) over a byte source.

The walk is our own, iterative and by inode; The Sleuth Kit reads directories and attributes. It is C code: hostile
bytes may crash it, so it belongs in a confined child. FAT records local wall-clock time without a zone: its times are
that wall clock, counted as if it were UTC. Of the content of deleted FAT and exFAT files the directory tells the first
cluster and the length alone: what The Sleuth Kit finds by assuming that the clusters that are free now followed each
other. What another file has by now is zeros and said to be.
"""

from __future__ import annotations

import calendar
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytsk3

from headwater.formats.fat_deleted import NAMES_MOST, DeletedNames, Recovered, affordable, unclaimed
from headwater.formats.fat_past import cluster_of, past_content
from headwater.formats.free_space import FreeSpace
from headwater.formats.sources import Bad, BadRanges, ChainSource, MemorySource, Piece, RangeSource
from headwater.formats.stated_size import beyond
from headwater.formats.trees import Coverage, Entry, EntryKind
from headwater.formats.tsk_state import DATA, STATE_ERRORS, coverage_of, journal_gaps
from headwater.formats.ufs_guard import Sized
from headwater.formats.walking import MAX_WARNINGS, Bounds
from headwater.model.kinds import GapReason
from headwater.model.paths import encode_name
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

_KINDS: dict[int, EntryKind] = {1: "file", 2: "dir", 3: "fifo", 4: "char", 5: "block", 6: "link", 8: "socket"}
_TYPE_BITS = {"file": 0o100000, "dir": 0o040000, "link": 0o120000}
_VIRTUAL_DIR = 11
_ALLOCATED = 1
_SPARSE_RUN, _FILLER_RUN = 2, 1
_UNIX = frozenset({"hfsplus", "hfsx", "hfs", "ufs1", "ufs2"})
_CHUNK = 1 << 20
_GONE = "gone"
_REUSED = (0, 0, GapReason.OVERWRITTEN, "the record of this deleted name belongs to another file by now, or to none")
_MAX_ENTRIES = 100_000_000
_ORPHANS = "/$OrphanFiles"
_ORPHANS_MOST = 2_000_000


class Image(pytsk3.Img_Info):
    """A byte source as The Sleuth Kit wants an image."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

    def read(self, offset: int, size: int) -> bytes:
        return self._source.pread(offset, size)

    def get_size(self) -> int:
        return self._source.size

    def close(self) -> None:
        return None


class AttributeSource(RangeSource):
    """One attribute of one file, read through The Sleuth Kit; what it cannot read is zeros and listed as bad."""

    def __init__(self, file: pytsk3.File, attribute: Any, size: int) -> None:
        self._file = file
        self._type, self._id = attribute.type, int(attribute.id)
        self._size = size
        self._bad = BadRanges()

    def _read(self, offset: int, length: int) -> bytes:
        parts = []
        while length:
            take = min(length, _CHUNK)
            try:
                data = self._file.read_random(offset, take, self._type, self._id)
            except STATE_ERRORS as error:
                data = b""
                self._bad.add(offset, take, GapReason.UNREADABLE, str(error)[:120])
            if len(data) < take:
                if data:
                    self._bad.add(offset + len(data), take - len(data), GapReason.UNREADABLE, "short read")
                data += bytes(take - len(data))
            parts.append(data)
            offset += take
            length -= take
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        return None


class TskTree:
    """One volume that The Sleuth Kit reads.

    Raises:
        OSError: The Sleuth Kit does not open it.
    """

    def __init__(self, source: ByteSource, kind: str) -> None:
        self._source = source
        self.kind = kind
        sized = Sized(source, kind) if kind.startswith("ufs") else None
        self._image = Image(sized or source)
        # a small FAT32 is one by its boot sector, as Linux has it, and not by the number of its clusters
        said = (pytsk3.TSK_FS_TYPE_FAT32,) if kind == "fat32" else ()
        self._fs = pytsk3.FS_Info(self._image, 0, *said)
        self._root = int(self._fs.info.root_inum)
        self._warnings: list[Gap] = [
            *beyond(source, kind),
            *journal_gaps(source, kind),
            *(sized.gaps if sized is not None else ()),
        ]
        self._dropped = 0
        self._endless = False
        self._unix = kind in _UNIX
        self._own_orphans = kind.startswith("ufs")
        self._local = kind.startswith(("fat", "exfat"))
        self._free: FreeSpace | None = None
        self._deleted_names: list[Entry] = []  # of the last listing, FAT and exFAT alone
        self._untold = False
        self.cluster = max(512, cluster_of(source, kind)) if self._local else 0  # bytes; 0: free ones are not told

    @property
    def warnings(self) -> Sequence[Gap]:
        if not self._dropped:
            return tuple(self._warnings)
        more = f"{self._dropped} more warnings of this volume are not listed"
        return (*self._warnings, Gap(0, 0, GapReason.LIMIT, more))

    def _warn(self, inode: int, reason: GapReason, detail: str) -> None:
        if len(self._warnings) >= MAX_WARNINGS:
            self._dropped += 1
            return
        self._warnings.append(Gap(0, 0, reason, f"record {inode}: {detail}"))

    def entries(self) -> Iterator[Entry]:
        """Every name, a directory's before those of the directories in it; orphans under ``/$OrphanFiles``."""
        bounds = Bounds()
        self._deleted_names = []
        walked = {self._root}
        seen = {self._root}
        stack: list[tuple[int, str, int, bool]] = [(self._root, "", 0, True)]
        count = 0
        root = self._meta(self._root)
        if root is not None:
            yield self._entry("/", "dir", self._root, True, root)
        while stack:
            inode, path, depth, live = stack.pop()
            below: list[tuple[int, str, int, bool]] = []
            for file in self._files(inode):
                count += 1
                if count > _MAX_ENTRIES:
                    self._warn(inode, GapReason.LIMIT, f"more than {_MAX_ENTRIES} names")
                    return
                entry = self._of(file, path, live)
                if entry is None:
                    continue
                seen.add(entry.inode)
                if self._local and not entry.allocated:
                    self._keep_deleted(entry)
                yield entry
                if entry.kind != "dir" or entry.key == _GONE or entry.inode in walked:
                    continue
                if self._own_orphans and entry.path == _ORPHANS:
                    continue
                why = bounds.refuse(entry.path, depth + 1)
                if why:
                    self._warn(entry.inode, GapReason.LIMIT, why)
                    continue
                walked.add(entry.inode)
                below.append((entry.inode, entry.path, depth + 1, entry.allocated))
            stack.extend(reversed(below))
        if self._own_orphans:
            yield from self._unnamed(seen)

    def _keep_deleted(self, entry: Entry) -> None:
        if len(self._deleted_names) < NAMES_MOST:
            self._deleted_names.append(entry)
        elif not self._untold:
            self._untold = True
            self._warnings.append(unclaimed(NAMES_MOST))

    def recovered(self) -> Sequence[Recovered]:
        """What can be claimed of each deleted name that the last listing met; FAT and exFAT alone, nothing for others."""
        if not self._deleted_names:
            return ()
        names = DeletedNames(self._source, self.kind, self.cluster)
        found = []
        most = affordable(self._deleted_names, self._source.size, self.cluster)
        if most < len(self._deleted_names) and unclaimed(most) not in self._warnings:
            self._warnings.append(unclaimed(most))
        for entry in self._deleted_names[:most]:
            pieces: Sequence[Piece] = ()
            if entry.kind == "file" and entry.size and entry.key != _GONE:
                pieces = self._past_of(entry.key)
            each = names.claim(entry, pieces)
            if each is not None:
                found.append(each)
        return found

    def _past_of(self, key: str) -> Sequence[Piece]:
        try:
            file, attribute = self._attribute(key)
        except (LookupError, *STATE_ERRORS):
            return ()
        past = self._past(file, attribute) if attribute is not None else None
        return past[0] if past is not None else ()

    def _unnamed(self, seen: set[int]) -> Iterator[Entry]:
        """Free inodes that no name leads to; The Sleuth Kit's own search for them does not end on some broken UFS."""
        first, last = int(self._fs.info.first_inum), int(self._fs.info.last_inum)
        if last > _ORPHANS_MOST:
            self._warn(0, GapReason.LIMIT, f"inodes beyond {_ORPHANS_MOST} were not looked at for files without a name")
        for inode in range(first, min(last, _ORPHANS_MOST)):
            meta = None if inode in seen else self._meta(inode)
            if meta is None or int(meta.flags) & _ALLOCATED or not (int(meta.size) > 0 and int(meta.mtime)):
                continue
            yield self._entry(f"{_ORPHANS}/OrphanFile-{inode}", _KINDS.get(int(meta.type), "other"), inode, False, meta)

    def _files(self, inode: int) -> Iterator[pytsk3.File]:
        if not self._bounded(inode):
            return
        try:
            files = iter(self._fs.open_dir(inode=inode))
        except STATE_ERRORS as error:
            self._warn(inode, GapReason.NOT_THIS_FORMAT, f"a directory that cannot be read: {str(error)[:160]}")
            return
        while True:
            try:
                file = next(files)
            except StopIteration:
                return
            except STATE_ERRORS as error:
                self._warn(
                    inode, GapReason.NOT_THIS_FORMAT, f"a directory entry that cannot be read: {str(error)[:160]}"
                )
                return
            yield file

    def _bounded(self, inode: int) -> bool:
        """Whether a directory can be read in the end: The Sleuth Kit reads as many blocks as a directory's size says."""
        meta = self._meta(inode)
        if meta is not None and int(meta.type) != _VIRTUAL_DIR and not 0 <= int(meta.size) <= self._source.size:
            self._warn(inode, GapReason.NOT_THIS_FORMAT, "a directory larger than its volume; it was not read")
            self._endless = True
        elif meta is not None and int(meta.type) == _VIRTUAL_DIR and self._endless:
            # the search for what no name leads to would read every directory again, that one too
            self._warn(inode, GapReason.LIMIT, "what no name leads to was not looked for")
        else:
            return True
        return False

    def _meta(self, inode: int) -> Any:
        try:
            return self._fs.open_meta(inode).info.meta
        except STATE_ERRORS:
            return None

    def _of(self, file: pytsk3.File, parent: str, parent_live: bool) -> Entry | None:
        """The entry of one name; None for the directory itself and its parent."""
        name, meta = file.info.name, file.info.meta
        if name is None or name.name in (b".", b"..", None):
            return None
        path = f"{parent}/{encode_name(name.name)}"
        live = parent_live and bool(int(name.flags) & _ALLOCATED)
        inode = int(name.meta_addr)
        kind = _KINDS.get(int(name.type), "other")
        if meta is None and not live:
            # pytsk3 gives no record where the sequence numbers differ; deletion itself raises the record's by one
            file = self._deleted(inode, int(name.meta_seq)) or file
            meta = file.info.meta
        if meta is None or (parent_live and not live and int(meta.flags) & _ALLOCATED):
            return self._gone(path, kind, inode)
        kind = "dir" if int(meta.type) == _VIRTUAL_DIR else _KINDS.get(int(meta.type), "other")
        return self._entry(path, kind, inode, live, meta)

    def _deleted(self, inode: int, sequence: int) -> pytsk3.File | None:
        """The free record that a deleted name led to, where its sequence number says that it was not used since."""
        try:
            file = self._fs.open_meta(inode)
        except STATE_ERRORS:
            return None
        meta = file.info.meta
        if meta is None or int(meta.flags) & _ALLOCATED or int(meta.seq) not in (sequence, sequence + 1):
            return None
        return file

    def _entry(self, path: str, kind: EntryKind, inode: int, live: bool, meta: Any) -> Entry:
        times = self._times(meta)
        uid, gid = (int(meta.uid), int(meta.gid)) if self._unix else (None, None)
        mode = int(meta.mode) | _TYPE_BITS.get(kind, 0)
        link = meta.link if kind == "link" else None
        target = (
            encode_name(link.encode("utf-8", "surrogateescape") if isinstance(link, str) else link) if link else None
        )
        return Entry(path, kind, int(meta.size), mode, uid, gid, inode, live, *times, None, target, str(inode))

    def _times(self, meta: Any) -> tuple[int | None, int | None, int | None, int | None]:
        return tuple(  # type: ignore[return-value]
            self._time(int(getattr(meta, name)), int(getattr(meta, f"{name}_nano")))
            for name in ("mtime", "atime", "ctime", "crtime")
        )

    def _time(self, seconds: int, nanos: int) -> int | None:
        if not seconds:
            return None
        if self._local:
            # The Sleuth Kit put the wall clock through this process's zone; this takes it out again
            seconds = calendar.timegm(time.localtime(seconds))
        return seconds * 1_000_000_000 + min(max(nanos, 0), 999_999_999)

    def _gone(self, path: str, kind: EntryKind, inode: int) -> Entry:
        return Entry(path, kind, 0, 0, None, None, inode, False, None, None, None, None, None, None, _GONE)

    def _attribute(self, key: str) -> tuple[pytsk3.File, Any]:
        """The file and the attribute that a key names (for an inode alone, its default data attribute)."""
        parts = key.split(":")
        if len(parts) not in (1, 3) or not all(p.isascii() and p.isdigit() for p in parts):
            raise KeyError(key)
        if not int(self._fs.info.first_inum) <= int(parts[0]) <= int(self._fs.info.last_inum):
            raise KeyError(key)
        file = self._fs.open_meta(int(parts[0]))
        attributes = list(file)
        for attribute in attributes:
            kind, number = int(attribute.info.type), int(attribute.info.id)
            wanted = kind in DATA and attribute.info.name is None
            if (kind, number) == (int(parts[1]), int(parts[2])) if len(parts) == 3 else wanted:
                return file, attribute
        if len(parts) == 3:
            raise KeyError(key)
        return file, None

    def open(self, key: str) -> ByteSource:
        """The content of an entry; a directory or an empty file has none.

        Raises:
            KeyError: the tree never gave out this key.
        """
        if key == _GONE:
            return MemorySource(b"", (_REUSED,))
        try:
            file, attribute = self._attribute(key)
        except LookupError:
            raise
        except STATE_ERRORS as error:
            # it was listed by its name, but its record cannot be read
            return MemorySource(
                b"", ((0, 0, GapReason.UNREADABLE, str(error)[:120] or "a record that cannot be read"),)
            )
        if attribute is None:
            return MemorySource(b"")
        past = self._past(file, attribute)
        if past is not None:
            return ChainSource(past[0], extra=past[1])
        return AttributeSource(file, attribute.info, max(0, int(attribute.info.size)))

    def extents(self, key: str) -> tuple[tuple[int, int], ...]:
        """Ranges on the volume that hold the content, in order; () for content inside a record."""
        if key == _GONE:
            return ()
        try:
            file, attribute = self._attribute(key)
        except LookupError:
            raise
        except STATE_ERRORS:
            return ()
        if attribute is None:
            return ()
        past = self._past(file, attribute)
        if past is not None:
            return tuple((piece.offset, piece.length) for piece in past[0] if piece.source is not None)
        return tuple(self._runs(attribute))

    def _runs(self, attribute: Any) -> Iterator[tuple[int, int]]:
        block = int(self._fs.info.block_size)
        left = int(attribute.info.size)
        for run in attribute:
            length = min(int(run.len) * block, left)
            left -= length
            if length > 0 and not int(run.flags) & (_SPARSE_RUN | _FILLER_RUN):
                yield int(run.addr) * block, length

    def _past(self, file: pytsk3.File, attribute: Any) -> tuple[list[Piece], list[Bad]] | None:
        """The content of a deleted file in FAT or exFAT as pieces, with what another file has by now; None for others."""
        meta = file.info.meta
        if not self._local or meta is None or int(meta.flags) & _ALLOCATED:
            return None
        if self._free is None:
            ranges = [(at, size) for at, size, what in self.coverage() if what == "unallocated"]
            self._free = FreeSpace(ranges, self.cluster)
        size = min(max(0, int(attribute.info.size)), self._source.size)
        return past_content(self._source, self._free, list(self._runs(attribute)), size)

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        """Used and free clusters (FAT, exFAT); nothing for the others."""
        return coverage_of(self._source, self.kind)
