# SPDX-License-Identifier: Apache-2.0
"""The entries of an NTFS volume, out of the columns of its $MFT: one for each name and each named stream."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headwater.formats.ntfs_content import reparse_of
from headwater.formats.ntfs_index import slack_entry
from headwater.formats.ntfs_paths import ORPHANS, ROOT, Folders, full_paths, shown
from headwater.formats.ntfs_records import BROKEN, DIRECTORY, FREE, LIVE, Ints
from headwater.formats.ntfs_table import TIMES, Table, nanoseconds
from headwater.formats.trees import Entry, EntryKind
from headwater.model.kinds import GapReason
from headwater.model.paths import encode_name

if TYPE_CHECKING:
    from headwater.formats.ntfs_tree import NtfsTree

_BATCH = 50_000
_RESERVED = 24  # records of the file system itself
_LINKS = (0xA000000C, 0xA0000003)  # symbolic link, mount point (junction)
_MODES = {"dir": 0o040000, "file": 0o100000, "link": 0o120000}
_WHY = {
    1: (GapReason.NOT_THIS_FORMAT, "no MFT record stands here"),
    2: (GapReason.NOT_THIS_FORMAT, "a torn MFT record: its sectors are of different writes"),
    3: (GapReason.UNREADABLE, "an MFT record that the system itself marked as bad"),
}
_CUT = (GapReason.NOT_THIS_FORMAT, "an MFT record whose attributes end in what cannot be one")
_FIELD = {name: n for n, name in enumerate(TIMES)}


class Columns:
    """What a listing needs of each record, computed once."""

    def __init__(self, table: Table) -> None:
        streams = table.streams
        main = np.array([not text for text in streams.text], np.bool_)
        self.sizes = np.zeros(table.count, np.int64)
        self.sizes[streams.owner[main][::-1]] = streams.size[main][::-1]
        self.named = np.flatnonzero(~main)
        self.holder = streams.at // table.size  # the record that holds each stream's first part
        self.main = np.arange(table.count)
        self.main[streams.owner[main][::-1]] = self.holder[main][::-1]
        self.content = np.zeros(table.count, np.bool_)
        self.content[streams.owner] = True
        times, there = nanoseconds(table.times)
        there &= table.standard[:, None]
        self.times = [
            _optional(times[:, _FIELD[n]], there[:, _FIELD[n]]) for n in ("modified", "accessed", "changed", "created")
        ]
        self.link = np.isin(table.reparse, _LINKS)


def _optional(values: Ints, there: NDArray[np.bool_]) -> NDArray[Any]:
    found = values.astype(object)
    found[~there] = None
    return found


def stream_key(owner: int, holder: int, name: str) -> str:
    """The key of a stream: its file's record, the record that holds its beginning where that is another, its name."""
    at = f"{owner}@{holder}" if holder != owner else str(owner)
    return f"{at}:{name}" if name else at


class Listing:
    """One listing of a volume."""

    def __init__(self, tree: NtfsTree) -> None:
        self._tree = tree
        self.table = tree.table
        self.folders = Folders(self.table)
        self.columns = Columns(self.table)

    def entries(self) -> Iterator[Entry]:
        """Every entry, see :class:`headwater.formats.ntfs_tree.NtfsTree`."""
        yield from self.of(np.arange(self.table.count))
        self._warn()
        for found in self._tree.slack:
            yield slack_entry(self._tree, self.folders, found)

    def of(self, records: Ints) -> Iterator[Entry]:
        """The entries of these records, in order of record number; a file's names, then its named streams."""
        wanted = np.zeros(self.table.count, np.bool_)
        wanted[records] = True
        names, streams = self.table.names, self.table.streams
        rows = shown(self.table, self.folders.chosen)
        rows = rows[wanted[names.owner[rows]]]
        nameless = self._nameless()
        nameless = nameless[wanted[nameless]]
        named = self.columns.named[wanted[streams.owner[self.columns.named]]]
        owners = np.concatenate((names.owner[rows], nameless, streams.owner[named]))
        which = np.concatenate((rows, np.full(len(nameless), -1, np.int64), -2 - named))
        order = np.lexsort((np.arange(len(owners)), which <= -2, owners))
        for at in range(0, len(order), _BATCH):
            part = order[at : at + _BATCH]
            yield from self._batch(owners[part], which[part])

    def _nameless(self) -> Ints:
        """Records that have something but no name; those of the file system itself only where they hold content."""
        table = self.table
        wanted = (self.folders.chosen < 0) & (table.base == 0) & np.isin(table.state, (LIVE, FREE))
        own = np.arange(table.count) < _RESERVED
        wanted &= np.where(own, self.columns.sizes > 0, self.columns.content | table.standard)
        return np.flatnonzero(wanted).astype(np.int64)

    def path_of(self, owner: int) -> str:
        """The path of a record's first name, or that of a record without one."""
        row = int(self.folders.chosen[owner])
        if owner == ROOT:
            return "/"
        if row < 0:
            return f"{ORPHANS}/Record-{owner}"
        return full_paths(self.table, self.folders, np.array([row], np.int64))[0][0]

    def _batch(self, owners: Ints, which: Ints) -> Iterator[Entry]:
        table, columns = self.table, self.columns
        named = which >= 0
        paths = [""] * len(owners)
        held, _ = full_paths(table, self.folders, which[named])
        for index, path in zip(np.flatnonzero(named).tolist(), held, strict=True):
            paths[index] = path
        keys = [str(n) for n in owners.tolist()]
        for index in np.flatnonzero(columns.main[owners] != owners).tolist():
            keys[index] += f"@{columns.main[owners[index]]}"
        kinds: list[EntryKind] = np.where(table.flags[owners] & DIRECTORY, "dir", "file").tolist()
        sizes = columns.sizes[owners].tolist()
        targets: list[str | None] = [None] * len(owners)
        for index in np.flatnonzero(columns.link[owners] & (which >= -1)).tolist():
            kinds[index], targets[index] = "link", self._target(int(owners[index]))
        for index in np.flatnonzero((which < 0) | (owners == ROOT)).tolist():
            paths[index] = self.path_of(int(owners[index]))
            if which[index] <= -2:
                row = -2 - int(which[index])
                stream = table.streams.text[row]
                paths[index] += f":{stream}"
                kinds[index], sizes[index], keys[index] = (
                    "file",
                    int(table.streams.size[row]),
                    f"{keys[index]}:{stream}",
                )
        count = len(owners)
        nothing = [None] * count
        return map(
            Entry._make,
            zip(
                paths, kinds, sizes, [_MODES[kind] for kind in kinds], nothing, nothing, owners.tolist(),
                (table.state[owners] == LIVE).tolist(), *(t[owners].tolist() for t in columns.times), nothing, targets, keys,
                strict=True,
            ),
        )  # fmt: skip

    def _target(self, number: int) -> str | None:
        return link_target(reparse_of(self._tree.mft, self._tree.mft.file(number)))

    def _warn(self) -> None:
        table, tree = self.table, self._tree
        for state, (reason, text) in _WHY.items():
            for first, last in _stretches(np.flatnonzero((table.state == BROKEN) & (table.why == state))):
                self._note(first, last, reason, text)
        for first, last in _stretches(np.flatnonzero(table.cut)):
            self._note(first, last, *_CUT)
        for number, why in self.folders.refused:
            self._note(number, number, GapReason.LIMIT, why)
        for number in self.folders.loops:
            self._note(number, number, GapReason.NOT_THIS_FORMAT, "a folder that lies in itself")
        if tree.mft.length // tree.boot.record > table.count:
            text = f"$MFT has more records than the {table.count} that are read"
            tree.note(0, 0, GapReason.LIMIT, text)

    def _note(self, first: int, last: int, reason: GapReason, text: str) -> None:
        place = max(0, self._tree.mft.place(first))
        length = (last - first + 1) * self._tree.boot.record
        label = f"record {first}" if first == last else f"records {first} to {last}"
        self._tree.note(place, length, reason, f"{label}: {text}")


def _stretches(numbers: Ints) -> Iterator[tuple[int, int]]:
    """First and last of each unbroken stretch of sorted numbers."""
    if not len(numbers):
        return
    breaks = [0, *(np.flatnonzero(np.diff(numbers) != 1) + 1).tolist(), len(numbers)]
    for low, high in pairwise(breaks):
        yield int(numbers[low]), int(numbers[high - 1])


def link_target(reparse: bytes) -> str | None:
    """Where a symbolic link or mount point leads, as its substitute name says; None where it cannot be read.

    Source: [MS-FSCC] 2.1.2.4 and 2.1.2.5.
    """
    if len(reparse) < 16:
        return None
    tag, _, _, start, length = struct.unpack_from("<IHHHH", reparse, 0)
    if tag not in _LINKS:
        return None
    base = 20 if tag == _LINKS[0] else 16
    held = reparse[base + start : base + start + length]
    if len(held) < length or not length:
        return None
    text = held[: length & ~1].decode("utf-16-le", "surrogatepass")
    return encode_name(text.encode("utf-8", "surrogatepass"))
