# SPDX-License-Identifier: Apache-2.0
"""Deleted and truncated files of ext3 and ext4, out of the journal's old copies of inode and directory blocks.

Deleting a file wipes the extents in its inode, which is why readers of the inode table find nothing. The transactions
before the deletion still stand in the journal until it wraps, and they hold the inode block as it was, and the
directory block with the name. Name, metadata and content are three claims (:class:`Recovered`):

- name: from a copy of the directory's block that pairs it with the inode; its folder by where that directory is now;
- metadata: the inode as the last transaction before the deletion wrote it, with its checksum where the journal has them;
- content: the blocks that this inode mapped, as long as the block bitmap says that they are free; what was given to
  another file since, or to a later deleted one that the journal remembers, is zeros and a stated range. That a block was
  given away and freed again by a file that nothing remembers cannot be told.

Limits: what the journal has overwritten since; SSDs that were told of free blocks (TRIM) and thin volumes give zeros.
Idea: B. Carrier, File System Forensic Analysis, 2005, ch. 14; layout: https://docs.kernel.org/filesystems/ext4/.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from headwater.formats.block_claims import BlockClaims
from headwater.formats.ext_content import Contents, Run
from headwater.formats.ext_coverage import blocks_in_use
from headwater.formats.ext_history import Old, OldState, read_history
from headwater.formats.ext_inode import Row
from headwater.formats.jbd2 import NotJournal
from headwater.formats.overlay import Overlay
from headwater.formats.patterns import lazy_regex
from headwater.formats.record_places import in_turn
from headwater.formats.slack_names import NameAlone, names_alone
from headwater.formats.sources import Bad, ChainSource, Piece
from headwater.formats.trees import Coverage, Entry
from headwater.model.kinds import GapReason
from headwater.model.paths import encode_name
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

if TYPE_CHECKING:
    from headwater.formats.ext import ExtTree

RUNS_MOST = 4_000  # of one file, in its key
FILES_MOST = 200_000
_DEPTH = 256
_RUN = lazy_regex(r"(\d+)\+(\d+)@(\d+|-)")
_HELD = lazy_regex(r"(\d+);(?:i@(\d+)|((?:\d+\+\d+@(?:\d+|-),?)*))")
_KINDS: dict[int, Literal["file", "dir", "link"]] = {0x8: "file", 0x4: "dir", 0xA: "link"}


class _OneInode:
    """An inode table of one record: the old one."""

    def __init__(self, state: OldState) -> None:
        self._state = state

    def raw(self, number: int) -> bytes:
        return self._state.record

    def place(self, number: int) -> int:
        return self._state.place


@dataclass(frozen=True, slots=True)
class Recovered:
    """One file that is not there any more, and how much of it can be claimed.

    ``reason``: ``deleted``, or ``truncated`` (the file is there, shorter than it was). ``blocks`` of content, of which
    ``free`` are not in use by another file. ``seen`` and ``gone``: commit times of the transaction that holds the old
    state, and of the first one that shows the deletion, ns since 1970. ``ground``: ``journal``, or ``record`` where nothing is
    left but the inode's own record, whose name, if there is one, still stands in its directory's slack.
    """

    entry: Entry
    reason: str
    generation: int
    transaction: int
    place: int  # of the old inode record on the volume
    record_size: int
    named: bool
    checked: bool
    blocks: int
    free: int
    seen: int | None
    gone: int | None
    ground: str = "journal"


class DeletedTree:
    """The deleted files of one volume as a tree of their own; the journal is read when it is first listed."""

    view = "deleted"

    def __init__(self, tree: ExtTree, base: ByteSource, places: Sequence[int]) -> None:
        self._tree, self._base, self.places = tree, base, tuple(places)
        self._block = tree.block
        self.kind = tree.kind
        self.inode_size = tree.inode_size
        self.notes: tuple[str, ...] = ()
        self.reaches_back: int | None = None  # time of the oldest transaction that the journal still holds, ns
        self._warnings: list[Gap] = []
        self._found: dict[str, Recovered] | None = None
        self._maps: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._paths: dict[int, str | None] = {}
        self._claims = BlockClaims()

    @property
    def warnings(self) -> Sequence[Gap]:
        return tuple(self._warnings)

    def entries(self) -> Iterator[Entry]:
        """What was recovered, in order of inode number."""
        for found in self.recovered():
            yield found.entry

    def recovered(self) -> list[Recovered]:
        """The recovered files with their claims, in order of inode number."""
        if self._found is None:
            self._found = {r.entry.key: r for r in self._recover()}
        return list(self._found.values())

    def _recover(self) -> Iterator[Recovered]:
        try:
            old = read_history(self._base, self.places, self._block, self._tree.groups)
        except NotJournal as error:
            self._warnings.append(Gap(0, 0, GapReason.NOT_THIS_FORMAT, f"deleted files: the journal: {error}"))
            return
        self.reaches_back = min(old.commits.values(), default=None)
        if old.left_out:
            text = f"deleted files: {old.left_out} old copies in the journal were overwritten since and were left out"
            self._warnings.append(Gap(0, 0, GapReason.OVERWRITTEN, text))
        nodes = Overlay(self._base, self._block.block_size, old.nodes)
        taken: dict[str, int] = {}
        known: set[int] = set()
        count = 0
        past = [(state, reason) for state in old.states() if (reason := self._reason(state, old)) is not None]
        for state, _ in past:
            for run in self._runs(state, nodes):
                self._claims.add(run.physical, run.blocks, state.sequence)
        for state, reason in past:
            made = self._make(state, old, nodes, reason, taken)
            if made is None:
                continue
            count += 1
            if count > FILES_MOST:
                text = f"more than {FILES_MOST} deleted files; the rest is not listed"
                self._warnings.append(Gap(0, 0, GapReason.LIMIT, text))
                return
            known.add(state.row.number)
            yield made
        yield from self._left(known, taken)

    def _left(self, known: set[int], taken: dict[str, int]) -> Iterator[Recovered]:
        """Deleted files of which the journal says nothing and whose inode's record still stands in its table.

        ext4 wipes size and extents when it deletes, ext2 and ext3 keep more: what is left is what is claimed.
        """
        if self._tree.left is None:
            deque(self._tree.entries(), maxlen=0)
        for entry in self._tree.left or ():
            row = self._tree.row(entry.inode)
            if row is None or entry.inode in known or entry.kind not in ("file", "dir", "link"):
                continue
            known.add(entry.inode)
            raw = self._tree.raw(entry.inode)
            generation, size = int.from_bytes(raw[100:104], "little"), self._block.block_size
            state = OldState(row, generation, 0, int(self._tree.record_spans(np.array([row.number]))[0][0]), raw)
            held, blocks, free = self._freed(self._runs(state, self._volume()), -(-row.size // size), 0)
            named = not entry.path.startswith("/$OrphanFiles/")
            path = self._free_path(entry.path if named else f"/$Unnamed/inode-{row.number}-{generation}", taken)
            entry = entry._replace(
                path=path, key=f"{row.number}.{generation}:{row.size if blocks else 0};" + ",".join(held)
            )
            yield Recovered(
                entry, "deleted", generation, 0, state.place, self.inode_size, named, False, blocks, free, None,
                row.deleted, "record",
            )  # fmt: skip

    def names_alone(self) -> Iterator[NameAlone]:
        """Deleted names of which nothing else is left."""
        tree = self._tree
        claimed = {found.entry.path for found in self.recovered()}
        if tree.left is None:
            deque(tree.entries(), maxlen=0)

        def inode(number: int) -> tuple[int, int]:
            return int(tree.record_spans(np.array([number]))[0][0]), self.inode_size

        return names_alone(tree.alone, claimed, lambda number: tree.folder_parts(number, self._base), inode, "ext")

    def _volume(self) -> Overlay:
        return Overlay(self._base, self._block.block_size, {})

    def _reason(self, state: OldState, old: Old) -> str | None:
        """Why the state is of interest; None where the file is still there as it was."""
        number = state.row.number
        now = self._tree.raw(number)
        same = int.from_bytes(now[100:104], "little") == state.generation
        if not self._tree.in_use(number) or not same:
            return "deleted"
        row = self._tree.row(number)
        if row is None or row.links == 0:
            return "deleted"
        return "truncated" if row.size < state.row.size and state.row.mode >> 12 == 0x8 else None

    def _make(self, state: OldState, old: Old, nodes: Overlay, reason: str, taken: dict[str, int]) -> Recovered | None:
        row = state.row
        kind = _KINDS.get(row.mode >> 12)
        if kind is None or row.number < self._block.first_inode:
            return None
        contents = Contents(nodes, self._block, _OneInode(state))
        size = self._block.block_size
        if kind == "dir" or not row.size:
            key, blocks, free = f"{row.size if kind != 'dir' else 0};", 0, 0
        else:
            pieces, _ = contents.pieces(row)
            inside = [
                p for p in pieces if p.source is not None and state.place <= p.offset < state.place + self.inode_size
            ]
            if inside:
                key, blocks, free = f"{min(row.size, sum(p.length for p in inside))};i@{inside[0].offset}", 1, 1
            else:
                runs = [r for r in contents.map(row).runs if r.logical * size < row.size]
                held, blocks, free = self._freed(runs, -(-row.size // size), state.sequence)
                key = f"{row.size};" + ",".join(held)
        if reason == "truncated" and not free:
            return None  # its blocks serve another file, or were not given back: nothing to show
        path = self._path(state, old, reason, taken)
        times = (row.modified, row.accessed, row.changed, row.created, old.deletion(state))
        entry = Entry(
            path, kind, row.size, row.mode, row.uid, row.gid, row.number, False, *times,
            _target(contents, row) if kind == "link" else None, f"{row.number}.{state.generation}:{key}",
        )  # fmt: skip
        named = old.name_of(state) is not None
        return Recovered(
            entry, reason, state.generation, state.sequence, state.place, self.inode_size, named, old.checked, blocks, free,
            old.commits.get(state.sequence), old.gone(state),
        )  # fmt: skip

    def _runs(self, state: OldState, nodes: Overlay) -> list[Run]:
        """The blocks that an old inode mapped, as far as its size reaches."""
        size = self._block.block_size
        if state.row.mode >> 12 != 0x8 or not state.row.size:
            return []
        runs = Contents(nodes, self._block, _OneInode(state)).map(state.row).runs
        return [run for run in runs if run.logical * size < state.row.size]

    def _freed(self, runs: Sequence[Run], most: int, rank: int) -> tuple[list[str], int, int]:
        """The runs as parts of a key, those in use by now marked, with how many blocks there are and are still free."""
        held: list[str] = []
        blocks = free = 0
        for run in runs:
            count = min(run.blocks, most - run.logical)
            if count <= 0 or len(held) >= RUNS_MOST:
                break
            if not run.physical:
                held.append(f"{run.logical}+{count}@0")
                continue
            used = blocks_in_use(self._tree.volume, self._block, self._tree.groups, run.physical, count, self._maps)
            used |= self._claims.later(run.physical, count, rank)
            edges = [0, *(np.flatnonzero(np.diff(used)) + 1).tolist(), count]
            for low, high in pairwise(edges):
                taken = bool(used[low])
                held.append(f"{run.logical + low}+{high - low}@{'-' if taken else run.physical + low}")
                free += 0 if taken else high - low
            blocks += count
        return held, blocks, free

    def _path(self, state: OldState, old: Old, reason: str, taken: dict[str, int]) -> str:
        number = state.row.number
        name = old.name_of(state)
        if name is None:
            path = f"/$Unnamed/inode-{number}-{state.generation}"
        else:
            folder = self._folder(name.parent, old)
            path = f"{folder if folder is not None else f'/$Unknown/inode-{name.parent}'}/{encode_name(name.name)}"
        if reason == "truncated":
            path = "/$Truncated" + path
        return self._free_path(path, taken)

    def _free_path(self, path: str, taken: dict[str, int]) -> str:
        earlier = taken.get(path, 0)
        taken[path] = earlier + 1
        return f"/$Earlier-{earlier}{path}" if earlier else path

    def _folder(self, number: int, old: Old) -> str | None:
        """The path of a directory: by what is there now, else by the old names; None where neither tells."""
        parts: list[str] = []
        at = number
        for _ in range(_DEPTH):
            if at == 2:
                break
            if at in self._paths:
                known = self._paths[at]
                if known is None:
                    return None
                parts.append(known.removeprefix("/"))
                break
            step = self._tree.name_of_directory(at)
            if step is None:
                name = old.folder_name(at)
                step = (name.parent, name.name) if name is not None else None
            if step is None:
                self._paths[number] = None
                return None
            parts.append(encode_name(step[1]))
            at = step[0]
        else:
            return None
        path = "/" + "/".join(reversed(parts)) if parts else ""
        self._paths[number] = path
        return path

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
        head, _, rest = key.partition(":")
        match = _HELD.fullmatch(rest)
        if match is None or not re.fullmatch(r"\d+\.\d+", head):
            raise KeyError(key)
        size = min(int(match.group(1)), self._base.size + (1 << 40))
        if match.group(2) is not None:
            return [Piece(self._base, int(match.group(2)), min(size, self.inode_size))], []
        pieces: list[Piece] = []
        bad: list[Bad] = []
        block, at = self._block.block_size, 0
        for run in _RUN.finditer(match.group(3) or ""):
            start, length = int(run.group(1)) * block, int(run.group(2)) * block
            if start < at or start >= size:
                continue
            if start > at:
                pieces.append(Piece(None, 0, start - at))
            length = min(length, size - start)
            if run.group(3) == "-":
                pieces.append(Piece(None, 0, length))
                bad.append((start, length, GapReason.OVERWRITTEN, "these blocks belong to a later file"))
            else:
                place = int(run.group(3))
                pieces.append(Piece(self._base if place else None, place * block, length))
            at = start + length
        if at < size:
            pieces.append(Piece(None, 0, size - at))
            bad.append((at, size - at, GapReason.OVERWRITTEN, "where this part stood is not known any more"))
        return pieces, bad

    def record_spans(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(offset, length) on the volume of the old inode records in the journal; offset -1 where there is none."""
        return in_turn(((r.entry.inode, r.place, r.record_size) for r in self.recovered()), numbers)

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        """Nothing: the volume's own tree tells what its blocks are."""
        return iter(())


def _target(contents: Contents, row: Row) -> str | None:
    data = contents.open(row).pread(0, min(row.size, 4096))
    return encode_name(data) if data.strip(b"\0") else None
