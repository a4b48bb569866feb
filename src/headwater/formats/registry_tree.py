# SPDX-License-Identifier: Apache-2.0
"""The keys and values of a hive as columns, walked level by level from the root: no object per key, no recursion.

Keys stand in order of depth, the subkeys of one key side by side, and so do its values. Every list, key and value is taken
once: a second mention (a cycle, two keys with one list) is counted as lost, which also bounds the time on a hostile hive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headwater.formats.registry_layout import NOWHERE, Cells, Flags, Ints
from headwater.model.kinds import GapReason
from headwater.model.records import Gap

# What a cell is used for, by the structures that lead to it.
FREE, KEY, VALUE, LIST, DATA, SECURITY, CLASS = range(7)
NK, VK, SK = 0x6B6E, 0x6B76, 0x6B73  # signatures, as little-endian words
LI, LF, LH, RI, DB = 0x696C, 0x666C, 0x686C, 0x6972, 0x6264
NK_LEAST, VK_LEAST = 76, 20  # bytes before the name
DEPTH_MOST = 1024  # Windows allows 512 levels
INLINE = 0x8000_0000
BIG = 16_344  # data beyond this stands in segments, from version 1.4 on
_GAPS_MOST = 10_000


class Words:
    """A hive's bytes as numbers at aligned places."""

    def __init__(self, data: bytes) -> None:
        self.u4 = np.frombuffer(data, dtype="<u4", count=len(data) // 4)
        self.u2 = np.frombuffer(data, dtype="<u2", count=len(data) // 2)

    def long(self, places: Any) -> Ints:
        """The 32-bit number at each place (a multiple of four); a place behind the end has the last one."""
        found: Ints = self.u4.take(places >> 2, mode="clip").astype(np.int64)
        return found

    def short(self, places: Any) -> Ints:
        """The 16-bit number at each place (even); a place behind the end has the last one."""
        found: Ints = self.u2.take(places >> 1, mode="clip").astype(np.int64)
        return found


@dataclass(slots=True)
class Tree:
    """``key_*``: one entry per key; ``value_*``: one per value; cells are numbers in ``cells``.

    ``role`` and ``extent`` say of every cell what it is used for and how many of its bytes that use needs.
    """

    cells: Cells
    words: Words
    role: Any
    extent: Ints
    key_cell: Ints
    key_parent: Ints  # number of the key above, -1 for the root
    first_key: Ints
    keys_under: Ints
    first_value: Ints
    values_in: Ints
    value_cell: Ints
    value_key: Ints
    data_cell: Ints  # -1: inline, absent or lost
    data_shared: Flags  # another value has the same data cell and came first
    lost: int = 0  # keys and values that lists declare and that cannot be read
    gaps: list[Gap] = field(default_factory=list)


def _none() -> Ints:
    return np.empty(0, dtype=np.int64)


class _Walk:
    def __init__(self, cells: Cells, words: Words) -> None:
        self.cells, self.words = cells, words
        self.role = np.zeros(len(cells.starts), dtype=np.uint8)
        self.extent = np.zeros(len(cells.starts), dtype=np.int64)
        self.gaps: list[Gap] = []
        self.lost = 0

    def miss(self, places: Ints, detail: str) -> None:
        """Entries of lists that lead to nothing: each a gap of four bytes, and a record lost."""
        self.lost += len(places)
        room = max(_GAPS_MOST - len(self.gaps), 0)
        self.gaps += [Gap(int(p), 4, GapReason.NOT_THIS_FORMAT, detail) for p in places[:room].tolist()]

    def fresh(self, cell: Ints, role: int) -> Flags:
        """Which of these cells are in use, lead nowhere else yet, and stand here for the first time; takes them."""
        good = cell >= 0
        good[good] &= self.cells.used[cell[good]] & (self.role[cell[good]] == FREE)
        first = np.zeros(len(cell), dtype=bool)
        first[np.unique(cell, return_index=True)[1]] = True
        good &= first
        self.role[cell[good]] = role
        return good

    def body(self, cell: Ints) -> Ints:
        """Where the content of each cell begins in the file."""
        found: Ints = self.cells.starts[cell] + 4
        return found

    def elements(self, cell: Ints, count: Ints, head: int, step: int) -> tuple[Ints, Ints]:
        """Places of the elements of lists, and of which list each is; counts are cut to the room that there is."""
        room = (self.cells.sizes[cell] - 4 - head) // step
        kept = np.minimum(count, np.maximum(room, 0))
        self.extent[cell] = 4 + head + kept * step
        owner = np.repeat(np.arange(len(cell)), kept)
        number = np.arange(len(owner)) - np.repeat(np.cumsum(kept) - kept, kept)
        return self.body(cell)[owner] + head + number * step, owner

    def subkeys(self, lists: Ints, owner: Ints, whole: bool = True) -> tuple[Ints, Ints]:
        """Places of the list entries that name keys, and of which key each is; ``owner`` in ascending order."""
        if not len(lists):
            return _none(), _none()
        signature = self.words.short(self.body(lists))
        count = self.words.short(self.body(lists) + 2)
        places, owners, order = [], [], []
        for kinds, step in (((LF, LH), 8), ((LI,), 4)):
            chosen = np.flatnonzero(np.isin(signature, kinds))
            found, which = self.elements(lists[chosen], count[chosen], 4, step)
            places.append(found)
            owners.append(owner[chosen[which]])
            order.append(chosen[which])
        roots = np.flatnonzero(signature == RI) if whole else _none().astype(np.intp)
        known = np.isin(signature, (LF, LH, LI, *((RI,) if whole else ())))
        self.miss(self.body(lists[~known]), "no list of subkeys here")
        if len(roots):
            found, which = self.elements(lists[roots], count[roots], 4, 4)
            leaves = self.cells.at(self.words.long(found))
            good = self.fresh(leaves, LIST)
            self.miss(found[~good], "an index that leads to no list of subkeys")
            inner, of_list = self.subkeys(leaves[good], np.arange(int(good.sum())), False)
            places.append(inner)
            owners.append(owner[roots[which[good]]][of_list])
            order.append(roots[which[good]][of_list])
        sequence = np.argsort(np.concatenate(order), kind="stable")
        return np.concatenate(places)[sequence], np.concatenate(owners)[sequence]

    def keys(self, cell: Ints) -> Flags:
        """Which of these cells are keys; takes them and what their names need."""
        good = cell >= 0
        good[good] &= self.cells.sizes[cell[good]] >= 4 + NK_LEAST
        good[good] &= self.words.short(self.body(cell[good])) == NK
        need = np.zeros(len(cell), dtype=np.int64)
        need[good] = 4 + NK_LEAST + self.words.short(self.body(cell[good]) + 72)
        good[good] &= need[good] <= self.cells.sizes[cell[good]]
        good &= self.fresh(np.where(good, cell, -1), KEY)
        self.extent[cell[good]] = need[good]
        return good

    def beside(self, keys: Ints) -> None:
        """The security descriptors and class names of keys."""
        body = self.body(keys)
        security = self.cells.at(self.words.long(body + 44))
        security = np.unique(security[security >= 0])
        security = security[self.cells.used[security] & (self.words.short(self.body(security)) == SK)]
        security = security[self.role[security] == FREE]
        self.role[security] = SECURITY
        self.extent[security] = np.minimum(self.cells.sizes[security], 24 + self.words.long(self.body(security) + 16))
        classes, length = self.cells.at(self.words.long(body + 48)), self.words.short(body + 74)
        chosen = (length > 0) & (classes >= 0)
        classes, length = classes[chosen], length[chosen]
        good = self.fresh(classes, CLASS)
        self.extent[classes[good]] = np.minimum(self.cells.sizes[classes[good]], 4 + length[good])


def walk(cells: Cells, words: Words, root: int, version: tuple[int, int]) -> Tree:
    """The tree of a hive from its root cell; an empty one where that is no key."""
    w = _Walk(cells, words)
    level = cells.at(np.array([root], dtype=np.int64))
    parent = np.array([-1], dtype=np.int64)
    key_cell, key_parent = [], []
    total = 0
    entries: Ints = _none()
    for depth in range(DEPTH_MOST + 1):
        good = w.keys(level)
        if depth == 0:
            w.lost += int(not good.all())
        else:
            w.miss(entries[~good], "an entry of a list of subkeys that leads to no key of its own")
        level, parent = level[good], parent[good]
        if not len(level) or depth == DEPTH_MOST:
            w.lost += len(level)
            break
        key_cell.append(level)
        key_parent.append(parent)
        body = w.body(level)
        declared, at = words.long(body + 20), words.long(body + 28)
        chosen = np.flatnonzero((declared > 0) & (at != NOWHERE))
        lists = cells.at(at[chosen])
        ok = w.fresh(lists, LIST)
        w.miss(body[chosen[~ok]] + 28, "a key whose list of subkeys is not there")
        entries, owner = w.subkeys(lists[ok], chosen[ok])
        listed = np.bincount(owner, minlength=len(level)).astype(np.int64)
        w.lost += int(np.maximum(np.minimum(declared, 1 << 24) - listed, 0)[chosen[ok]].sum())
        parent = owner + total
        total += len(level)
        level = cells.at(words.long(entries))
    tree = _assembled(w, key_cell, key_parent)
    _values(w, tree, version)
    w.beside(tree.key_cell)
    tree.lost, tree.gaps = w.lost, w.gaps
    return tree


def _assembled(w: _Walk, key_cell: list[Ints], key_parent: list[Ints]) -> Tree:
    cell = np.concatenate(key_cell) if key_cell else _none()
    parent = np.concatenate(key_parent) if key_parent else _none()
    under = np.bincount(parent[1:], minlength=len(cell)).astype(np.int64) if len(cell) else _none()
    first = np.searchsorted(parent, np.arange(len(cell))).astype(np.int64)
    empty, no = _none(), np.zeros(0, dtype=bool)
    return Tree(w.cells, w.words, w.role, w.extent, cell, parent, first, under, empty, empty, empty, empty, empty, no)


def _values(w: _Walk, tree: Tree, version: tuple[int, int]) -> None:
    """The values of all keys at once, and the cells of their data."""
    body = w.body(tree.key_cell)
    flags, declared, at = w.words.short(body + 2), w.words.long(body + 36), w.words.long(body + 40)
    declared = np.where(flags & 0x40, 0, declared)  # a predefined handle stands there instead
    chosen = np.flatnonzero((declared > 0) & (at != NOWHERE))
    lists = w.cells.at(at[chosen])
    ok = w.fresh(lists, LIST)
    w.miss(body[chosen[~ok]] + 40, "a key whose list of values is not there")
    wanted = np.minimum(declared[chosen[ok]], 1 << 24)
    entries, owner = w.elements(lists[ok], wanted, 0, 4)
    w.lost += int(wanted.sum()) - len(entries)
    cell = w.cells.at(w.words.long(entries))
    good = cell >= 0
    good[good] &= w.cells.sizes[cell[good]] >= 4 + VK_LEAST
    good[good] &= w.words.short(w.body(cell[good])) == VK
    need = np.zeros(len(cell), dtype=np.int64)
    need[good] = 4 + VK_LEAST + w.words.short(w.body(cell[good]) + 2)
    good[good] &= need[good] <= w.cells.sizes[cell[good]]
    good &= w.fresh(np.where(good, cell, -1), VALUE)
    w.extent[cell[good]] = need[good]
    w.miss(entries[~good], "an entry of a list of values that leads to no value of its own")
    tree.value_cell, tree.value_key = cell[good], chosen[ok][owner[good]]
    tree.values_in = np.bincount(tree.value_key, minlength=len(tree.key_cell)).astype(np.int64)
    tree.first_value = np.searchsorted(tree.value_key, np.arange(len(tree.key_cell))).astype(np.int64)
    _data(w, tree, version)


def _data(w: _Walk, tree: Tree, version: tuple[int, int]) -> None:
    body = w.body(tree.value_cell)
    size, at = w.words.long(body + 4), w.words.long(body + 8)
    outside = (size > 0) & (size & INLINE == 0)
    data = np.where(outside, w.cells.at(at), -1)
    good = data >= 0
    good[good] &= w.cells.used[data[good]] & np.isin(w.role[data[good]], (FREE, DATA))
    data = np.where(good, data, -1)
    first = np.zeros(len(data), dtype=bool)
    first[np.unique(data, return_index=True)[1]] = True
    tree.data_cell, tree.data_shared = data, (data >= 0) & ~first
    w.role[data[good]] = DATA
    w.extent[data[good]] = np.minimum(w.cells.sizes[data[good]], 4 + size[good])
    big = good & (size > BIG) & (version >= (1, 4))
    big[big] &= w.words.short(w.body(data[big])) == DB
    for row in np.flatnonzero(big & first).tolist():
        segments = segments_of(w.cells, w.words, int(data[row]))
        w.extent[data[row]] = 12
        for cell in segments:
            if w.role[cell] == FREE:
                w.role[cell], w.extent[cell] = DATA, w.cells.sizes[cell]


def segments_of(cells: Cells, words: Words, cell: int) -> list[int]:
    """The list cell and the segment cells of a big data record, each once and in order; what is not there is left out."""
    here = np.array([cells.starts[cell] + 4], dtype=np.int64)
    count = int(words.short(here + 2)[0])
    listed = int(cells.at(words.long(here + 4))[0])
    if listed < 0 or not cells.used[listed]:
        return []
    count = min(count, (int(cells.sizes[listed]) - 4) // 4)
    found = cells.at(words.long(cells.starts[listed] + 4 + 4 * np.arange(count)))
    kept = [int(c) for c in dict.fromkeys(found.tolist()) if c >= 0 and cells.used[c]]
    return [listed, *kept]
