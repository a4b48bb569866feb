# SPDX-License-Identifier: Apache-2.0
"""Deleted and truncated files of XFS, out of its log, its freed inodes and the free space of its directories.

Name, metadata and content are three claims (:class:`Recovered`):

- name: from the log's copies of directories' parts (``log``), else from what still stands in a directory's free space or in
  the freed blocks of one (``directory``); its folder by where that directory is now, else by the old names;
- metadata: the inode as the log has it (``log``), else its record: whole where its chunk was given back, else without mode,
  owner and size, which freeing clears (``record``);
- content: the blocks of the extents in the log, of those that stand behind a freed inode's core, or of the leaves of its
  extent tree, as far as the trees of free space say that nobody has them; the rest is zeros and a stated range.

Limits: where only the freed record is left the length is known to the block; the log overwrites itself; blocks that were
given away and freed again cannot be told; SSDs that were told of free blocks (TRIM) and thin volumes give zeros. Realtime
files are left out. In version 4 a directory's blocks do not name their owner: told are those of directories in use and
the first block of each; records of inodes do not name their number, which is that of their place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headwater.formats.block_claims import BlockClaims
from headwater.formats.ext_content import Run
from headwater.formats.free_space import FreeSpace
from headwater.formats.patterns import lazy_regex
from headwater.formats.record_places import in_turn
from headwater.formats.slack_names import NameAlone, names_alone
from headwater.formats.sources import Bad, ChainSource, Piece
from headwater.formats.trees import Coverage, Entry
from headwater.formats.xfs_content import runs_in
from headwater.formats.xfs_freed import Record, record_of, search_free, split, stale_runs
from headwater.formats.xfs_history import Key, LogHistory, OldInode, OldName, read_log
from headwater.formats.xfs_inode import FORMAT_EXTENTS, FORMAT_LOCAL
from headwater.formats.xfs_log import NotLog
from headwater.model.kinds import GapReason
from headwater.model.paths import encode_name
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

if TYPE_CHECKING:
    from headwater.formats.xfs import XfsTree

FILES_MOST = 200_000
RUNS_MOST = 4_000
_DEPTH = 256
_FOLDER = (b"XDB", b"XDD", b"XD2")
_LAST = (1 << 63) - 1
_KEY = lazy_regex(r"\d+\.\d+:(\d{1,18});((?:\d+\+\d+@(?:\d+|-),?)*)")
_RUN = lazy_regex(r"(\d+)\+(\d+)@(\d+|-)")
_KINDS: dict[int, Literal["file", "dir", "link"]] = {0x8: "file", 0x4: "dir", 0xA: "link"}
_NAMED: dict[int, Literal["file", "dir", "link"]] = {1: "file", 2: "dir", 7: "link"}


@dataclass(frozen=True, slots=True)
class Recovered:
    """One file that is not there any more, and how much of it can be claimed.

    ``transaction``: sequence number in the log (cycle << 32 | block), where the log has it. ``bound``: the length is known to
    the block alone. ``place``: of the inode in the log or of its freed record, on the volume.
    """

    entry: Entry
    reason: str
    generation: int
    place: int
    record_size: int
    name_claim: str
    metadata_claim: str
    blocks: int
    free: int
    transaction: int | None
    gone: int | None
    bound: bool
    seen: int | None = None


class _Past(NamedTuple):
    """A file that is not there any more: its state in the log, its record; ``rank`` orders files by when they ended."""

    key: Key
    state: OldInode | None
    there: Record | None
    reason: str
    runs: list[Run]
    bound: bool
    rank: int


class DeletedTree:
    """The deleted files of one volume; log and free space are read when it is first listed."""

    kind = "xfs"
    view = "deleted"

    def __init__(self, tree: XfsTree, base: ByteSource) -> None:
        self._tree, self._base = tree, base
        self._head = tree.head
        self._warnings: list[Gap] = []
        self._found: dict[str, Recovered] | None = None
        self._paths: dict[int, str | None] = {}
        self._names: dict[int, list[OldName]] = {}
        self._claims = BlockClaims()
        self.beside: Callable[[int, bytes], None] | None = None  # is given the free space as it is read

    @property
    def warnings(self) -> Sequence[Gap]:
        return tuple(self._warnings)

    def entries(self) -> Iterator[Entry]:
        """What was recovered, in order of inode number."""
        for found in self.recovered():
            yield found.entry

    def recovered(self) -> list[Recovered]:
        """The recovered files with their claims, in order of inode number and generation."""
        if self._found is None:
            self._found = {}
            for found in self._recover():
                if len(self._found) >= FILES_MOST:
                    text = f"more than {FILES_MOST} deleted files; the rest is not listed"
                    self._warnings.append(Gap(0, 0, GapReason.LIMIT, text))
                    break
                self._found[found.entry.key] = found
        return list(self._found.values())

    def names_alone(self) -> Iterator[NameAlone]:
        """Deleted names of which nothing else is left."""
        tree = self._tree
        claimed = {found.entry.path for found in self.recovered()}

        def inode(number: int) -> tuple[int, int]:
            return max(0, self._head.inode_place(number)), self._head.inode_size

        return names_alone(tree.alone(), claimed, lambda number: tree.folder_parts(number, self._base), inode, "xfs")

    def _recover(self) -> Iterator[Recovered]:
        head = self._head
        try:
            told = read_log(self._base, head, self._tree.folder_blocks() if head.version == 4 else None)
        except NotLog as error:
            told = LogHistory()
            self._warnings.append(Gap(0, 0, GapReason.NOT_THIS_FORMAT, f"deleted files: the log: {error}"))
        for fault in dict.fromkeys(told.faults):
            self._warnings.append(Gap(0, 0, GapReason.NOT_THIS_FORMAT, f"deleted files: a stretch of the log: {fault}"))
        ranges = [
            (at, n) for at, n, what in self._tree.coverage() if what == "unallocated" and at + n <= self._base.size
        ]
        free = FreeSpace(ranges, head.block_size)
        held = search_free(self._base, head, free, self.beside)
        for name in (*self._slack(), *held.names):
            told.name(name)
        self._names = told.names
        records: dict[Key, Record] = {(r.row.number, r.generation): r for r in held.records}
        for row, raw, place in self._tree.freed():
            record = record_of(row, raw, place)
            records[row.number, record.generation] = record
        taken: dict[str, int] = {}
        for one in self._ranked(told, records, held.leaves, free):
            made = self._make(one, free, taken)
            if made is not None:
                yield made

    def _ranked(
        self, told: LogHistory, records: dict[Key, Record], leaves: dict[int, list[Run]], free: FreeSpace
    ) -> list[_Past]:
        """Every file that is not there any more with its extents, whose blocks are put down as its own until a later one's."""
        found: list[_Past] = []
        for key in sorted({*told.states, *records}):
            state, there = told.states.get(key), records.get(key)
            reason = self._reason(state, there, free) if state is not None else "deleted"
            if reason is None:
                continue
            runs, bound = self._runs(state, there, leaves.get(key[0], []))
            # a record without a state in the log is the last that its number had
            found.append(_Past(key, state, there, reason, runs, bound, state.lsn if state is not None else _LAST))
            for run in runs:
                self._claims.add(run.physical, run.blocks, found[-1].rank)
        return found

    def _slack(self) -> Iterator[OldName]:
        """The names that stand in the free space of directories in use."""
        for parent, name in self._tree.slack_names():
            yield OldName(name.inode, parent, name.name, name.kind, -1)

    def _reason(self, state: OldInode, there: Record | None, free: FreeSpace) -> str | None:
        """Why an old state is of interest; None where the file is still there as it was."""
        if there is not None:
            return "deleted"
        now = self._tree.row(state.number)
        place = self._head.inode_place(state.number)
        if now is None or not now.mode or bool(free.holds(place - place % self._head.block_size, 1)[0]):
            return "deleted"
        if int.from_bytes(self._tree.raw(state.number)[92:96], "big") != state.generation:
            return "deleted"
        return "truncated" if now.size < state.size and now.mode >> 12 == 0x8 else None

    def _runs(self, state: OldInode | None, there: Record | None, leaves: list[Run]) -> tuple[list[Run], bool]:
        """The extents of the content, and whether they alone tell its length."""
        if state is not None and state.format == FORMAT_EXTENTS:
            return runs_in(state.fork[: len(state.fork) // 16 * 16]), False
        if state is not None and state.format == FORMAT_LOCAL:
            return [], False
        runs = sorted(leaves) if leaves else []
        if not runs and there is not None:
            runs = stale_runs(there.raw, self._head)
        bound = state is None and (there is None or not there.row.mode)
        return runs, bound

    def _make(self, one: _Past, free: FreeSpace, taken: dict[str, int]) -> Recovered | None:
        key, state, there, reason, runs, bound, rank = one
        number, generation = key
        row = state.row(self._head.inode_size) if state is not None else there.row if there is not None else None
        if row is None or number in self._head.special:
            return None
        name = self._name(key, state)
        size = self._head.block_size
        kind = _KINDS.get(row.mode >> 12) if row.mode else _NAMED.get(name.kind if name else 0, "file")
        if kind is None or (not runs and name is None and not row.mode):
            return None  # a number that was never given out, or of which nothing is left
        if runs and kind == "file" and bound and self._base.pread(self._head.place(runs[0].physical), 3) in _FOLDER:
            kind = "dir"
        length = max((r.logical + r.blocks for r in runs), default=0) * size if bound else row.size
        held, blocks, unused = self._freed(runs, free, -(-length // size) if kind == "file" else 0, rank)
        if reason == "truncated" and not unused:
            return None
        path = self._path(key, name, reason, taken)
        gone = there.row.changed if there is not None and not there.row.mode else None
        known = state is not None or bool(row.mode)
        times = (row.modified, row.accessed, row.changed, row.created) if known else (None, None, None, None)
        target = encode_name(state.fork[: row.size]) if state is not None and kind == "link" and state.fork else None
        entry = Entry(
            path, kind, length if kind != "dir" else 0, row.mode, row.uid if known else None, row.gid if known else None,
            number, False, *times, gone, target,
            f"{number}.{generation}:{length if kind == 'file' else 0};" + ",".join(held),
        )  # fmt: skip
        in_log = state is not None and state.place >= 0
        place = state.place if state is not None and in_log else there.place if there is not None else -1
        if place < 0:
            place, in_log = self._head.inode_place(number), False
        claim = "none" if name is None else "log" if name.lsn >= 0 else "directory"
        return Recovered(
            entry, reason, generation, place, (176 if self._head.version == 5 else 96) if in_log else self._head.inode_size, claim,
            "log" if state is not None else "record", blocks, unused, state.lsn if state else None, gone, bound,
        )  # fmt: skip

    def _freed(self, runs: Sequence[Run], free: FreeSpace, most: int, rank: int) -> tuple[list[str], int, int]:
        """The runs as parts of a key, those in use by now marked, with how many blocks there are and are still free."""
        held: list[str] = []
        blocks = unused = 0
        for run in runs:
            count = min(run.blocks, most - run.logical)
            if count <= 0 or len(held) >= RUNS_MOST:
                break
            if not run.physical:
                continue  # never written
            mine = ~self._claims.later(run.physical, count, rank)
            for logical, length, place in split(free, self._head, run._replace(blocks=count), mine):
                held.append(f"{logical}+{length}@{place if place >= 0 else '-'}")
                unused += length if place >= 0 else 0
            blocks += count
        return held, blocks, unused

    def _name(self, key: Key, state: OldInode | None) -> OldName | None:
        """The name that an inode bore: the last that the log shows before it was freed, else one that still stands."""
        number = key[0]
        names = [n for n in self._names.get(number & 0xFFFFFFFF, ()) if n.inode in (number, number & 0xFFFFFFFF)]
        end = state.gone if state is not None else None
        borne = [n for n in names if n.lsn >= 0 and (end is None or n.lsn <= end)]
        if state is not None and borne:
            # a name that was first seen after the inode's last state is that of a later file, unless there is no other
            return max(borne, key=lambda n: n.lsn)
        return names[-1] if names else None

    def _path(self, key: Key, name: OldName | None, reason: str, taken: dict[str, int]) -> str:
        if name is None:
            path = f"/$Unnamed/inode-{key[0]}-{key[1]}"
        else:
            folder = self._folder(name.parent)
            path = f"{folder if folder is not None else f'/$Unknown/inode-{name.parent}'}/{encode_name(name.name)}"
        if reason == "truncated":
            path = "/$Truncated" + path
        earlier = taken.get(path, 0)
        taken[path] = earlier + 1
        return f"/$Earlier-{earlier}{path}" if earlier else path

    def _folder(self, number: int) -> str | None:
        """The path of a directory: by what is there now, else by the old names; None where neither tells."""
        parts: list[str] = []
        at = number
        for _ in range(_DEPTH):
            known = self._tree.folders().get(at)
            if known is not None:
                return known + "".join("/" + part for part in reversed(parts))
            names = [n for n in self._names.get(at & 0xFFFFFFFF, ()) if n.kind in (0, 2)]
            if not names:
                return None
            parts.append(encode_name(names[-1].name))
            at = names[-1].parent
        return None

    def open(self, key: str) -> ByteSource:
        """The content that was recovered; blocks that another file has by now are zeros and stand in ``bad``.

        Raises:
            KeyError: no such key.
        """
        pieces, bad = self._pieces(key)
        return ChainSource(pieces, extra=bad)

    def extents(self, key: str) -> tuple[tuple[int, int], ...]:
        """Ranges on the volume that hold what was recovered."""
        return tuple((p.offset, p.length) for p in self._pieces(key)[0] if p.source is not None)

    def _pieces(self, key: str) -> tuple[list[Piece], list[Bad]]:
        match = _KEY.fullmatch(key)
        if match is None:
            raise KeyError(key)
        size = min(int(match.group(1)), self._base.size + (1 << 40))
        pieces: list[Piece] = []
        bad: list[Bad] = []
        block, at = self._head.block_size, 0
        for run in _RUN.finditer(match.group(2)):
            start, length = int(run.group(1)) * block, int(run.group(2)) * block
            if start < at or start >= size:
                continue
            pieces.append(Piece(None, 0, start - at))
            length = min(length, size - start)
            if run.group(3) == "-":
                pieces.append(Piece(None, 0, length))
                bad.append((start, length, GapReason.OVERWRITTEN, "these blocks belong to a later file"))
            else:
                pieces.append(Piece(self._base, int(run.group(3)), length))
            at = start + length
        if at < size:
            pieces.append(Piece(None, 0, size - at))
            bad.append((at, size - at, GapReason.OVERWRITTEN, "where this part stood is not known any more"))
        return pieces, bad

    def record_spans(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(offset, length) on the volume of the records that the claims stand on; offset -1 where there is none."""
        return in_turn(((r.entry.inode, r.place, r.record_size) for r in self.recovered()), numbers)

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        """Nothing: the volume's own tree tells what its blocks are."""
        return iter(())
