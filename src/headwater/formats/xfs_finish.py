# SPDX-License-Identifier: Apache-2.0
"""Finishes in memory what an XFS log begins and does not end, as far as contents and free space rest on it.

A change that takes several transactions writes down first what it is about to do. The next mount finishes, in the order of
the log, what has no note of its end; so here: extents to be freed are free, reference counts that reach nothing free their
blocks, maps of files are changed, contents exchanged. Blocks that were set aside for a copy on write and went to no file
are given back, as on every mount. Reverse mappings and attributes outside inodes are read by nothing here: counted only.
The trees on the volume are left as they are: what comes out is a list of ranges that are free as well, and new maps.

Layouts: "XFS Algorithms & Data Structures", log intent items and "Reference Count B+tree"; the kernel's xfs_extfree_item.c,
xfs_refcount_item.c, xfs_bmap_item.c, xfs_exchmaps.c for what finishing means. An exchange is ended as the log says; Linux
6.18 itself takes the sizes from the half-exchanged files then, and gives back what lies past a file's earlier end.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from headwater.formats.ext_content import Run
from headwater.formats.xfs_content import XfsContents
from headwater.formats.xfs_inode import FLAG_REALTIME, FORMAT_BTREE, FORMAT_EXTENTS, XfsInodes
from headwater.formats.xfs_layout import XfsSuper, groups_there, short_leaves
from headwater.model.ports import ByteSource

EFI, RUI, CUI, BUI, ATTRI, XMI = 0x1236, 0x1240, 0x1242, 0x1244, 0x1246, 0x1248
# kind of an intent: its name in words; each is ended by the kind one above it
INTENTS = {
    EFI: "extents to be freed",
    RUI: "reverse mappings",
    CUI: "reference counts",
    BUI: "maps of files",
    ATTRI: "attributes",
    XMI: "exchanged contents",
    0x124A: "realtime extents to be freed",
    0x124C: "realtime reverse mappings",
    0x124E: "realtime reference counts",
}
# what nothing that is read here rests on
NEEDLESS = frozenset((RUI, 0x124A, 0x124C, 0x124E))
_INCREASE, _DECREASE, _SET_ASIDE, _TAKEN_UP = 1, 2, 3, 4
_MAP, _UNMAP = 1, 2
_ATTRIBUTES, _UNWRITTEN, _REALTIME = 1 << 31, 1 << 30, 1 << 29
_EXCHANGE_SIZES, _EXCHANGE_WRITTEN = 2, 4
_EXCHANGE = struct.Struct("<QQIIQQQQqq")
_ASIDE = 1 << 31  # in the block number of a reference count: blocks set aside for a copy on write
_RANGES_MOST = 200_000
_COUNTS_MOST = 1_000_000
_RUNS_MOST = 2_000_000
_STEPS_MOST = 50_000_000  # runs gone through, over all intents: maps of millions of runs could be changed as often
_LONGEST = 1 << 54
Range = tuple[int, int]


@dataclass(slots=True)
class Finished:
    """``freed``: ranges in bytes that are free after it, in order; ``maps``: inode → the runs of its content;
    ``sizes``: inode → its size. ``done``, ``left``: how many of each kind were finished, or could not be."""

    freed: list[Range] = field(default_factory=list)
    maps: dict[int, list[Run]] = field(default_factory=dict)
    sizes: dict[int, int] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    aside: int = 0  # blocks that were set aside for a copy and given back


class _Refused(ValueError):
    """What an intent says cannot be."""


class _Finisher:
    def __init__(self, source: ByteSource, head: XfsSuper) -> None:
        self._source, self._head = source, head
        self._inodes = XfsInodes(source, head)
        self._contents = XfsContents(source, head, self._inodes)
        self._free: list[Range] = []
        self._counts: dict[int, list[tuple[int, int, int]]] = {}  # group → (first, behind, change)
        self._aside: dict[int, list[tuple[int, int, int]]] = {}
        self._ranges = self._runs = self._steps = 0
        self.result = Finished()

    def take(self, kind: int, raw: bytes) -> None:
        """One intent.

        Raises:
            _Refused: it names what the volume cannot have.
        """
        if kind == EFI:
            self._frees(raw)
        elif kind == CUI:
            self._changes(raw)
        elif kind == BUI:
            self._maps(raw)
        elif kind == XMI:
            self._exchange(raw)
        elif kind not in NEEDLESS:
            raise _Refused

    def _extents(self, raw: bytes, size: int) -> Iterator[tuple[int, ...]]:
        """The extents of an intent, of 12, 16 or 32 bytes each."""
        count = struct.unpack_from("<I", raw, 4)[0]
        if len(raw) < 16 + count * size:
            raise _Refused
        self._ranges += count
        if self._ranges > _RANGES_MOST:
            raise _Refused
        form = {12: "<QI", 16: "<QII", 32: "<QQQII"}[size]
        for index in range(count):
            yield struct.unpack_from(form, raw, 16 + index * size)

    def _within(self, block: int, count: int) -> tuple[int, int]:
        """(group, block in it) of an extent that the volume can have."""
        head = self._head
        group, inside = block >> head.ag_block_bits, block & ((1 << head.ag_block_bits) - 1)
        most = min(head.ag_blocks, head.blocks - group * head.ag_blocks)
        if not count or group >= head.ag_count or inside + count > most:
            raise _Refused
        return group, inside

    def _frees(self, raw: bytes) -> None:
        count = struct.unpack_from("<I", raw, 4)[0]
        # 32-bit machines leave out the padding
        size = 12 if len(raw) < 16 + count * 16 else 16
        found = [(self._within(block, n), n) for block, n, *_ in self._extents(raw, size)]
        base, block = self._head.ag_blocks, self._head.block_size
        self._free.extend(((group * base + inside) * block, n * block) for (group, inside), n in found)

    def _changes(self, raw: bytes) -> None:
        found = []
        for block, count, flags in self._extents(raw, 16):
            kind = flags & 0xFF
            if kind not in (_INCREASE, _DECREASE, _SET_ASIDE, _TAKEN_UP):
                raise _Refused
            found.append((kind, *self._within(block, count), count))
        for kind, group, inside, count in found:
            held = self._counts if kind in (_INCREASE, _DECREASE) else self._aside
            change = 1 if kind in (_INCREASE, _SET_ASIDE) else -1
            held.setdefault(group, []).append((inside, inside + count, change))

    def _map(self, number: int, generation: int | None = None) -> list[Run]:
        """The runs of a file as they are by now."""
        if number in self.result.maps:
            return self.result.maps[number]
        row = self._inodes.get(number)
        if row is None or not row.mode or row.format not in (FORMAT_EXTENTS, FORMAT_BTREE) or row.flags & FLAG_REALTIME:
            raise _Refused
        if generation is not None and int.from_bytes(self._inodes.raw(number)[92:96], "big") != generation:
            raise _Refused
        found = self._contents.map(row)
        self._runs += len(found.runs)
        if found.faults or self._runs > _RUNS_MOST:
            raise _Refused
        return found.runs

    def _walk(self, runs: int) -> None:
        """So many runs are about to be gone through."""
        self._steps += runs
        if self._steps > _STEPS_MOST:
            raise _Refused

    def _maps(self, raw: bytes) -> None:
        """Each file's map with extents taken out of it or put in."""
        made: dict[int, list[Run]] = {}
        for owner, block, at, count, flags in self._extents(raw, 32):
            if flags & _ATTRIBUTES:
                continue  # attributes in blocks of their own are not read here
            if flags & _REALTIME or flags & 0xFF not in (_MAP, _UNMAP) or at + count > _LONGEST:
                raise _Refused
            self._within(block, count)
            runs = made[owner] if owner in made else self._map(owner)
            self._walk(len(runs))
            runs = _without(runs, at, count)
            if flags & 0xFF == _MAP:
                runs.append(Run(at, 0 if flags & _UNWRITTEN else block, count))
            made[owner] = sorted(runs)
        self.result.maps.update(made)

    def _exchange(self, raw: bytes) -> None:
        """Two files that swap what they have from one place on."""
        if len(raw) < 16 + _EXCHANGE.size:
            raise _Refused
        one, two, *generations, at, other, count, flags, size, other_size = _EXCHANGE.unpack_from(raw, 16)
        if flags & 1:
            return  # attributes
        if at + count > _LONGEST or other + count > _LONGEST or one == two:
            raise _Refused
        mine, theirs = self._map(one, generations[0]), self._map(two, generations[1])
        self._walk(len(mine) + len(theirs))
        given, taken = _cut(mine, at, count), _cut(theirs, other, count)
        if flags & _EXCHANGE_WRITTEN:  # what the first never wrote stays where it is
            given = [run for run in given if run.physical]
            self._walk(len(given) * (len(mine) + len(theirs) + len(taken)))
            taken = [
                part
                for run in given
                for part in _cut(taken, run.logical - at + other, run.blocks)
            ]  # fmt: skip
            for run in given:
                mine, theirs = (
                    _without(mine, run.logical, run.blocks),
                    _without(theirs, run.logical - at + other, run.blocks),
                )
        else:
            mine, theirs = _without(mine, at, count), _without(theirs, other, count)
        mine = sorted([*mine, *(run._replace(logical=run.logical - other + at) for run in taken)])
        theirs = sorted([*theirs, *(run._replace(logical=run.logical - at + other) for run in given)])
        self.result.maps.update({one: mine, two: theirs})
        if flags & _EXCHANGE_SIZES and size >= 0 and other_size >= 0:
            self.result.sizes.update({one: size, two: other_size})

    def settle(self) -> Finished:
        """After the last intent: what is free by it."""
        base, size = self._head.ag_blocks, self._head.block_size
        for group in range(groups_there(self._source, self._head)):
            counts = self._recorded(group)
            if counts is None:
                if group in self._counts or group in self._aside:
                    self.result.left[INTENTS[CUI]] += 1
                continue
            start = group * base
            plain, aside = counts[counts[:, 0] < _ASIDE], counts[counts[:, 0] >= _ASIDE]
            for first, behind, count in _swept(self._counts.get(group, []), plain, 1):
                if count <= 0:
                    self._free.append(((start + first) * size, (behind - first) * size))
            aside = aside - np.array([_ASIDE, 0, 0])
            noted = [(int(a), int(a + n), 0) for a, n, _ in aside if n and a + n <= base]
            for first, behind, count in _swept([*self._aside.get(group, []), *noted], aside, 0):
                if count > 0:
                    self._free.append(((start + first) * size, (behind - first) * size))
                    self.result.aside += behind - first
        self.result.freed = _joined(self._free)
        return self.result

    def _recorded(self, group: int) -> NDArray[np.int64] | None:
        """(first, blocks, count) of a group's recorded reference counts, in order; None where they cannot be read."""
        head = self._head
        agf = self._source.pread(group * head.ag_blocks * head.block_size + head.sector_size, 96)
        if len(agf) < 96 or agf[:4] != b"XAGF":
            return None
        root = int.from_bytes(agf[88:92], "big")
        found, count = [np.empty((0, 3), np.int64)], 0
        if head.shared and root:
            for leaf in short_leaves(self._source, head, group, root, (b"R3FC", b"R3FC"), 4, 12):
                rows = np.frombuffer(leaf, ">u4", count=len(leaf) // 12 * 3).astype(np.int64).reshape(-1, 3)
                count += len(rows)
                if count > _COUNTS_MOST:
                    return None
                found.append(rows)
        rows = np.concatenate(found)
        return rows[np.argsort(rows[:, 0], kind="stable")]


def _without(runs: Sequence[Run], at: int, count: int) -> list[Run]:
    """Runs with ``count`` blocks of content from ``at`` on taken out."""
    kept: list[Run] = []
    for run in runs:
        end = run.logical + run.blocks
        if end <= at or run.logical >= at + count:
            kept.append(run)
            continue
        if run.logical < at:
            kept.append(run._replace(blocks=at - run.logical))
        if end > at + count:
            skip = at + count - run.logical
            kept.append(Run(at + count, run.physical + skip if run.physical else 0, run.blocks - skip))
    return kept


def _cut(runs: Sequence[Run], at: int, count: int) -> list[Run]:
    """The parts of runs that lie in ``count`` blocks of content from ``at`` on."""
    kept: list[Run] = []
    for run in runs:
        low, high = max(run.logical, at), min(run.logical + run.blocks, at + count)
        if low < high:
            kept.append(Run(low, run.physical + low - run.logical if run.physical else 0, high - low))
    return kept


def _swept(
    changes: Sequence[tuple[int, int, int]], rows: NDArray[np.int64], default: int
) -> Iterator[tuple[int, int, int]]:
    """(first, behind, count) of the stretches that changes touch: the recorded count, ``default`` where there is none, and
    what the changes make of it."""
    steps: Counter[int] = Counter()
    for first, behind, change in changes:
        steps[first] += change
        steps[behind] -= change
    starts, ends = rows[:, 0], rows[:, 0] + rows[:, 1]
    edges = np.unique(np.concatenate([starts, ends, np.array(list(steps), np.int64)]))
    held = 0
    for low, size in _joined([(first, behind - first) for first, behind, _ in changes]):
        points = edges[np.searchsorted(edges, low) : np.searchsorted(edges, low + size) + 1].tolist()
        for first, behind in pairwise(points):
            held += steps[first]
            index = int(np.searchsorted(starts, first, side="right")) - 1
            known = index >= 0 and first < ends[index]
            yield first, behind, (int(rows[index, 2]) if known else default) + held
        held = 0


def _joined(ranges: Sequence[Range]) -> list[Range]:
    """Ranges in order, those that touch or overlap made one."""
    found: list[Range] = []
    for at, size in sorted(ranges):
        if found and at <= found[-1][0] + found[-1][1]:
            last, length = found[-1]
            found[-1] = last, max(length, at + size - last)
        else:
            found.append((at, size))
    return found


def finish(source: ByteSource, head: XfsSuper, intents: Sequence[tuple[int, bytes]]) -> Finished:
    """What unfinished intents, in the order of the log, make of a volume on which its transactions were played back."""
    finisher = _Finisher(source, head)
    for kind, raw in intents:
        try:
            finisher.take(kind, raw)
        except (_Refused, struct.error):
            finisher.result.left[INTENTS[kind]] += 1
        else:
            finisher.result.done[INTENTS[kind]] += 1
    return finisher.settle()
