# SPDX-License-Identifier: Apache-2.0
"""Paths of NTFS files by their parents: what a name's folder is, how far that can be proved, and orphans.

A name states its folder's record and sequence number. The folder is found where that record is a folder of that
sequence number, or a deleted one of the next (deleting raises it by one). A chain that ends elsewhere, or in itself, is
an orphan's: it stands under ``/$OrphanFiles/RECORD-SEQUENCE``, so that files of one lost folder stay together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from headwater.formats.ntfs_records import DIRECTORY, FREE, LIVE, Ints
from headwater.formats.ntfs_table import Table
from headwater.formats.walking import MAX_DEPTH, Bounds

ROOT = 5
ORPHANS = "/$OrphanFiles"
_DOS = 2


class Folders:
    """The paths of folders, each found once; ``refused`` tells of those too deep, ``loops`` of chains that end in themselves."""

    def __init__(self, table: Table) -> None:
        self._table = table
        names = table.names
        self.chosen = best_names(names.owner, names.space, table.count)
        self._paths: dict[int, str] = {ROOT: ""}
        self._live: dict[int, bool] = {ROOT: True}
        self._bounds = Bounds()
        self.refused: list[tuple[int, str]] = []
        self.loops: list[int] = []

    def fits(self, record: Ints, sequence: Ints) -> NDArray[np.bool_]:
        """Whether each reference leads to the folder it was written for."""
        table = self._table
        inside: NDArray[np.bool_] = (record >= 0) & (record < table.count)
        at = np.where(inside, record, 0)
        if not table.count:
            return inside
        state, now = table.state[at], table.sequence[at]
        good: NDArray[np.bool_] = inside & (table.flags[at] & DIRECTORY != 0)
        good &= ((state == LIVE) & (now == sequence)) | ((state == FREE) & (now == sequence + 1))
        return good

    def path(self, record: int, sequence: int) -> tuple[str, bool]:
        """The path of the folder that a reference names, and whether it and all above it are in use.

        The root is the empty path. What is not that folder any more gives the path of an orphan.
        """
        if record == ROOT:
            return "", True
        if not self.fits(np.array([record]), np.array([sequence]))[0]:
            return f"{ORPHANS}/{record}-{sequence}", False
        return self._known(record)

    def _known(self, record: int) -> tuple[str, bool]:
        table, names = self._table, self._table.names
        chain: list[int] = []
        at, end, live = record, "", True
        walked: set[int] = set()
        while at not in self._paths:
            row = int(self.chosen[at])
            if at in walked or row < 0 or len(chain) > MAX_DEPTH:
                if at in walked:
                    self.loops.append(at)
                end, live = f"{ORPHANS}/{at}-{int(table.sequence[at])}", False
                break
            walked.add(at)
            chain.append(at)
            parent, sequence = int(names.parent[row]), int(names.parent_sequence[row])
            if parent != ROOT and not self.fits(np.array([parent]), np.array([sequence]))[0]:
                end, live = f"{ORPHANS}/{parent}-{sequence}", False
                break
            at = parent
        else:
            end, live = self._paths[at], self._live[at]
        for number in reversed(chain):
            text = f"{end}/{names.text[int(self.chosen[number])]}"
            why = self._bounds.refuse(text, text.count("/"))
            if why:
                self.refused.append((number, why))
                text = f"{ORPHANS}/{number}-{int(table.sequence[number])}"
            live = live and int(table.state[number]) == LIVE
            self._paths[number], self._live[number] = text, live
            end = text
        return self._paths.get(record, end), self._live.get(record, live)


def best_names(owner: Ints, space: Ints, count: int) -> Ints:
    """The row of each record's first name that is no DOS name, else of its DOS name; -1 for none."""
    chosen = np.full(count, -1, np.int64)
    rows = np.arange(len(owner), dtype=np.int64)
    for dos in (True, False):
        of = rows[(space == _DOS) == dos]
        chosen[owner[of][::-1]] = of[::-1]
    return chosen


def shown(table: Table, chosen: Ints) -> Ints:
    """The rows of names that are listed: all that are no DOS names, and DOS names that stand alone."""
    names = table.names
    rows = np.arange(len(names.owner), dtype=np.int64)
    listed: Ints = rows[(names.space != _DOS) | (chosen[names.owner] == rows)]
    return listed


def full_paths(table: Table, folders: Folders, rows: Ints) -> tuple[list[str], NDArray[np.bool_]]:
    """The paths of these names, and whether every folder above each is in use; one look for each folder."""
    names = table.names
    key = names.parent[rows].astype(np.uint64) | names.parent_sequence[rows].astype(np.uint64) << np.uint64(48)
    unique, inverse = np.unique(key, return_inverse=True)
    paths: list[str] = []
    lives: list[bool] = []
    look: Callable[[int, int], tuple[str, bool]] = folders.path
    for value in unique.tolist():
        path, live = look(value & (1 << 48) - 1, value >> 48)
        paths.append(path + "/")
        lives.append(live)
    texts = names.text
    made = [paths[i] + texts[row] for i, row in zip(inverse.tolist(), rows.tolist(), strict=True)]
    return made, np.array(lives, np.bool_)[inverse] if len(rows) else np.empty(0, np.bool_)
