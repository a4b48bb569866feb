# SPDX-License-Identifier: Apache-2.0
"""A shadow copy of an NTFS volume as a tree of what is different now: files since deleted, changed, renamed, replaced.

Every record of the copy's $MFT is held against the volume's own; a file whose records are the same, byte for byte, and
whose clusters lie in no block that the stores kept, is the same file and is not listed again. Of files that are listed,
those whose content is the same (by runs and kept blocks, else by comparing the bytes) stand in ``passed_over``: their
metadata differ and are shown, their content was examined with the volume itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headwater.formats.ntfs_content import WOF_STREAM
from headwater.formats.ntfs_file import Stream, joined
from headwater.formats.ntfs_listing import Listing
from headwater.formats.ntfs_paths import ROOT, Folders, full_paths
from headwater.formats.ntfs_records import LIVE, Ints
from headwater.formats.ntfs_table import owners
from headwater.formats.shadow_copies import StoreSource
from headwater.formats.sources import ChainSource, Piece
from headwater.formats.trees import Coverage, Entry
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

if TYPE_CHECKING:
    from headwater.formats.ntfs_tree import NtfsTree

_STEP = 4 << 20
_COMPARED_MOST = 64 << 20  # bytes of one file that are compared; a larger one with other runs counts as changed
_ALL_COMPARED = 2 << 30
_SYSTEM = 24  # records of the file system itself, which always change
_JOURNAL = ":$J"
_STORE = "{3808876b-c176-4e48-b7ae-04046e6cc752}"  # in the names of the files that hold shadow copies
_PAGE = 4096


class Difference(NamedTuple):
    """One file of the copy that is not the same now.

    ``what``: ``deleted``, ``replaced`` (another file has its path), ``renamed``, ``changed`` or ``renamed+changed``; a
    file of which times alone differ is no difference. ``now``: its path on the volume, None where it is gone; ``place``
    of its record on the copy.
    """

    entry: Entry
    what: str
    now: str | None
    now_size: int | None
    place: int
    record_size: int


class ShadowTree:
    """What a shadow copy has that the volume has not, or not so."""

    kind = "ntfs"
    view = "shadow copy"

    def __init__(self, tree: NtfsTree, live: NtfsTree, source: StoreSource) -> None:
        self._tree, self._live, self._source = tree, live, source
        self.created = source.created
        self.passed_over: set[str] = set()
        self.not_content = tree.not_content
        self.differences: list[Difference] = []
        self._compared = 0
        self._blocks: Ints | None = None
        self.same = 0  # files that are the same in both

    @property
    def warnings(self) -> Sequence[Gap]:
        return self._tree.warnings

    def entries(self) -> Iterator[Entry]:
        """The files in use in the copy that differ, by record number."""
        self.differences, self.passed_over, self._compared = [], set(), 0
        listing = Listing(self._tree)
        table = listing.table
        other = self._different()
        live = (table.state == LIVE) & (table.base == 0)
        self.same = int((live & ~other).sum())
        now = Folders(self._live.table)
        taken = self._paths_now(now)
        for entry in listing.of(np.flatnonzero(live & other)):
            found, examined = self._judge(entry, now, taken)
            if found is not None:
                self.differences.append(found)
            if not examined:
                self.passed_over.add(entry.path)
            yield entry
        self._tree.release()  # a volume may have dozens of copies

    def _different(self) -> NDArray[np.bool_]:
        """Which records of the copy differ from the volume's, in their own bytes or in blocks that the stores kept."""
        table, size = self._tree.table, self._tree.boot.record
        mine, theirs = self._tree.mft_source(), self._live.mft_source()
        found = np.ones(table.count, np.bool_)
        step = _STEP // size * size
        for at in range(0, min(mine.size, theirs.size, table.count * size), step):
            a, b = mine.pread(at, step), theirs.pread(at, step)
            rows = min(len(a), len(b)) // size
            left = np.frombuffer(a, "<u8", rows * size // 8).reshape(rows, -1)
            right = np.frombuffer(b, "<u8", rows * size // 8).reshape(rows, -1)
            found[at // size : at // size + rows] = (left != right).any(axis=1)
        owner = owners(table.state, table.sequence, table.base)
        for number in owner[found]:
            found[number] = True
        elsewhere = np.zeros(table.count, np.bool_)
        elsewhere[table.streams.owner[~table.streams.resident]] = True
        for number in np.flatnonzero(~found & elsewhere & (table.state == LIVE) & (table.base == 0)).tolist():
            streams = [p for p in self._tree.mft.file(number) if p.type == 0x80 and p.resident is None]
            if streams and any(self._kept(joined([p])) for p in streams):
                found[number] = True
        return found

    def _kept(self, stream: Stream) -> bool:
        """Whether a part of the stream lies in blocks that changed since the copy was made."""
        if self._blocks is None:
            self._blocks = np.array(self._source.changed_blocks(), np.int64)
        size, cluster = self._source.block, self._tree.boot.cluster
        for run in stream.runs:
            if run.physical < 0:
                continue
            low, high = run.physical * cluster, (run.physical + run.length) * cluster
            index = int(np.searchsorted(self._blocks, low - size, side="right"))
            if index < len(self._blocks) and self._blocks[index] < high:
                return True
        return False

    def _paths_now(self, now: Folders) -> set[str]:
        table = self._live.table
        rows = np.flatnonzero(table.state[table.names.owner] == LIVE)
        return set(full_paths(table, now, rows)[0])

    def _judge(self, entry: Entry, now: Folders, taken: set[str]) -> tuple[Difference | None, bool]:
        """How an entry differs, None where there is nothing to tell; and whether its content is to be examined."""
        mine, live = self._tree.table, self._live.table
        number = entry.inode
        if number < _SYSTEM or entry.path.startswith("/$Extend") or _STORE in entry.path:
            return None, entry.path.endswith(_JOURNAL)  # the file system's own, and the stores of the copies
        place = self._tree.mft.place(number)
        there = number < live.count and live.state[number] == LIVE
        if not there or live.sequence[number] != mine.sequence[number]:
            what = "replaced" if entry.path in taken else "deleted"
            return Difference(entry, what, None, None, place, mine.size), True
        stream = entry.key.partition(":")[2]
        rows = np.flatnonzero(live.names.owner == number) if number != ROOT else np.empty(0, np.int64)
        paths = full_paths(live, now, rows)[0] or ["/"]
        renamed = entry.path not in paths and not stream
        changed, size = self._changed(entry, stream) if entry.kind == "file" else (False, None)
        words = [word for word, said in (("renamed", renamed), ("changed", changed)) if said]
        if not words:
            return None, False
        found = Difference(entry, "+".join(words), paths[0] if renamed else entry.path, size, place, mine.size)
        return found, changed

    def _changed(self, entry: Entry, name: str) -> tuple[bool, int | None]:
        """Whether the content is another now, and its size now."""
        _, before = self._tree.stream(entry.key)
        parts = self._live.mft.file(entry.inode)
        after = [a for a in parts if a.type == 0x80 and a.name == name]
        if not before or not after:
            return bool(before) != bool(after), None
        old, new = joined(before), joined(after)
        if old.size != new.size:
            return True, new.size
        if old.resident is not None or new.resident is not None:
            return old.resident != new.resident, new.size
        packed = any(a.name == WOF_STREAM for a in parts)
        if old.runs == new.runs and not packed and not self._kept(old):
            return False, new.size
        self._compared += old.size
        if old.size > _COMPARED_MOST or self._compared > _ALL_COMPARED:
            return True, new.size
        key = f"{entry.inode}:{name}" if name else str(entry.inode)
        a, b = self._tree.open(entry.key), self._live.open(key)
        return any(a.pread(at, _STEP) != b.pread(at, _STEP) for at in range(0, old.size, _STEP)), new.size

    def open(self, key: str) -> ByteSource:
        """The content as the copy has it; of the change journal only what the volume's own has given back.

        Raises:
            KeyError: no such key.
        """
        source = self._tree.open(key)
        if not key.endswith(_JOURNAL) or not isinstance(source, ChainSource):
            return source
        try:
            now = self._live.open(key)
        except KeyError:
            return source
        held = now.stored() if isinstance(now, ChainSource) else ()
        if not held or held[0][0] >= source.size:
            return source
        first = held[0][0]
        if source.pread(first, _PAGE) != now.pread(first, _PAGE):
            return source  # another journal
        return ChainSource((Piece(source, 0, first), Piece(None, 0, source.size - first)))

    def extents(self, key: str) -> tuple[tuple[int, int], ...]:
        """Ranges on the copy that hold the content."""
        return self._tree.extents(key)

    def record_spans(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(offset, length) on the copy of the MFT records."""
        return self._tree.record_spans(numbers)

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        """Nothing: the copy's blocks lie in a file of the volume."""
        return iter(())


def shadow_tree(tree: object, live: object, source: object) -> ShadowTree | None:
    """The tree of differences of a copy that was opened as ``tree``; None where either is no NTFS volume that was read."""
    from headwater.formats.ntfs_tree import NtfsTree

    if not isinstance(tree, NtfsTree) or not isinstance(live, NtfsTree) or not isinstance(source, StoreSource):
        return None
    if tree.boot.record != live.boot.record or tree.boot.cluster != live.boot.cluster:
        tree.note(0, 0, GapReason.UNSUPPORTED, "a copy of a volume of another geometry: it is listed whole")
        return None
    return ShadowTree(tree, live, source)
