# SPDX-License-Identifier: Apache-2.0
"""Paths of what the NTFS change journal names, as they were when each record was written.

A record has a name and its folder's record number. The folder's own name stands in the journal's records of that folder
(the latest one before, or the first one after), else in $MFT where the sequence number fits, and so on up to the root.
A folder that neither tells stands under ``/$Unknown/RECORD-SEQUENCE``.
"""

from __future__ import annotations

import bisect

import numpy as np

from headwater.formats.ntfs_paths import ROOT, Folders
from headwater.formats.ntfs_records import Ints
from headwater.formats.ntfs_table import Table
from headwater.formats.usn_journal import NEW_NAME, Changes

UNKNOWN = "/$Unknown"
_DEPTH = 256
_FOLDERS_MOST = 2_000_000  # records of directories that are kept


def key_of(record: int, sequence: int) -> int:
    """One number for a reference, as the journal itself packs it."""
    return record | sequence << 48


class FolderNames:
    """The names that folders had, by the journal and by $MFT."""

    def __init__(self, table: Table | None) -> None:
        self._folders = Folders(table) if table is not None else None
        self._table = table
        self._history: dict[int, list[tuple[int, str, int]]] = {}
        self._renames: list[int] = []
        self._held = 0
        self._known: dict[tuple[int, int], str] = {}

    def note(self, changes: Changes) -> None:
        """Take in the records of directories, in order of place."""
        rows = zip(
            changes.at.tolist(), changes.inode.tolist(), changes.sequence.tolist(), changes.parent.tolist(),
            changes.parent_sequence.tolist(), changes.reason.tolist(), changes.names, strict=True,
        )  # fmt: skip
        for at, record, sequence, parent, above, reason, name in rows:
            held = self._history.setdefault(key_of(record, sequence), [])
            if held and held[-1][1:] == (name, key_of(parent, above)):
                continue
            self._held += 1
            if self._held > _FOLDERS_MOST:
                return
            held.append((at, name, key_of(parent, above)))
            if reason & NEW_NAME:
                self._renames.append(at)

    def paths(self, at: Ints, parent: Ints, sequence: Ints) -> list[str]:
        """The path of the folder of each record, with a slash behind it."""
        epoch = np.searchsorted(np.array(self._renames, np.int64), at, side="right")
        keys = parent | sequence << 48
        order = np.lexsort((keys, epoch))
        epochs, sorted_keys = epoch[order], keys[order]
        new = np.ones(len(order), np.bool_)
        new[1:] = (epochs[1:] != epochs[:-1]) | (sorted_keys[1:] != sorted_keys[:-1])
        group = np.cumsum(new) - 1
        first = order[new]
        found = [
            self._path(key, int(e), place) + "/"
            for key, e, place in zip(keys[first].tolist(), epoch[first].tolist(), at[first].tolist(), strict=True)
        ]
        index = np.empty(len(order), np.int64)
        index[order] = group
        return [found[i] for i in index.tolist()]

    def _path(self, key: int, epoch: int, at: int) -> str:
        parts: list[str] = []
        chain: list[int] = []
        end = ""
        while key & (1 << 48) - 1 != ROOT:
            held = self._known.get((key, epoch))
            if held is not None:
                end = held
                break
            step = self._step(key, at)
            if step is None or key in chain or len(chain) >= _DEPTH:
                end = f"{UNKNOWN}/{key & (1 << 48) - 1}-{key >> 48 & 0xFFFF}"
                break
            chain.append(key)
            parts.append(step[0])
            key = step[1]
        for child, name in zip(reversed(chain), reversed(parts), strict=True):
            end = f"{end}/{name}"
            self._known[child, epoch] = end
        return end

    def _step(self, key: int, at: int) -> tuple[str, int] | None:
        """(name, key of the folder above) of a folder at a place of the journal."""
        held = self._history.get(key)
        if held:
            index = bisect.bisect_right(held, at, key=lambda row: row[0])
            _, name, above = held[max(0, index - 1)]
            return name, above
        table, folders = self._table, self._folders
        if table is None or folders is None:
            return None
        record, sequence = key & (1 << 48) - 1, key >> 48 & 0xFFFF
        if not folders.fits(np.array([record]), np.array([sequence]))[0] or folders.chosen[record] < 0:
            return None
        row = int(folders.chosen[record])
        names = table.names
        return names.text[row], key_of(int(names.parent[row]), int(names.parent_sequence[row]))
