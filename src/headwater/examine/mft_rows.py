# SPDX-License-Identifier: Apache-2.0
"""Events of $MFT by column: for each name of a file one row for each distinct one of its eight times; feed ``windows.mft``.

``si`` and ``fn`` say which times of $STANDARD_INFORMATION and of that $FILE_NAME a row's moment is, as the letters M
(modified), A (accessed), C (record changed), B (created, "born"): programs set the first at will, the second is
Windows's own copy, so a row with one and not the other is where both disagree. Alternate data streams have a row each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headwater.examine.batch import HEAD_SCHEMA
from headwater.examine.filled import filled
from headwater.formats.ntfs_paths import ORPHANS, Folders, full_paths, shown
from headwater.formats.ntfs_records import BROKEN, DIRECTORY, EMPTY, LIVE, Ints
from headwater.formats.ntfs_table import Table, nanoseconds, owners
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.records import own_column

_LETTERS = "BMCA"  # in the order of a table's times: created, modified, changed, accessed
_ORDER = (1, 3, 2, 0)  # in which letters are shown: M A C B
_KINDS = (
    ("created", EventKind.FILE_CREATED),
    ("modified", EventKind.FILE_MODIFIED),
    ("changed", EventKind.FILE_CHANGED),
    ("accessed", EventKind.FILE_ACCESSED),
)
_SPACES = ("posix", "win32", "dos", "win32+dos")


def _words(mask: int) -> str:
    return "".join(_LETTERS[n] if mask >> n & 1 else "." for n in _ORDER)


_MASKS = pl.Series([None, *(_words(mask) for mask in range(1, 16))], dtype=pl.String)  # none: no such time


class Rows:
    """The rows of one table, given out by ranges of records."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.folders = Folders(table)
        self.owner = owners(table.state, table.sequence, table.base)
        rows = shown(table, self.folders.chosen)
        own = np.flatnonzero((self.owner == np.arange(table.count)) & (table.state != EMPTY) & (table.state != BROKEN))
        has_stream = np.zeros(table.count, np.bool_)
        has_stream[table.streams.owner] = True
        self.alone = own[(self.folders.chosen[own] < 0) & (table.standard[own] | has_stream[own])]
        main = np.array([not text for text in table.streams.text], np.bool_)
        self.sizes = np.zeros(table.count, np.int64)
        self.sizes[table.streams.owner[main][::-1]] = table.streams.size[main][::-1]
        self.streams = np.flatnonzero(~main)
        self.lines = np.concatenate((rows, np.full(len(self.alone), -1, np.int64)))
        self.records = np.concatenate((table.names.owner[rows], self.alone))
        order = np.argsort(self.records, kind="stable")
        self.lines, self.records = self.lines[order], self.records[order]

    def without_rows(self) -> NDArray[np.bool_]:
        """Which records have no row of their own."""
        found = np.ones(self.table.count, np.bool_)
        found[self.records] = False
        found[self.table.streams.owner[self.streams]] = False
        return found

    def frame(self, first: int, last: int) -> pl.DataFrame:
        """The rows of records ``first`` up to ``last``, not included, in order of record."""
        low, high = np.searchsorted(self.records, (first, last))
        lines, records = self.lines[low:high], self.records[low:high]
        paths = self._paths(lines, records)
        entry, mask, moment, timed = _moments(self._times(lines, records))
        streams = self.streams
        chosen = streams[(self.table.streams.owner[streams] >= first) & (self.table.streams.owner[streams] < last)]
        extra = self._stream_paths(chosen, records, paths)
        owner = np.concatenate((records[entry], self.table.streams.owner[chosen]))
        line = np.concatenate((lines[entry], np.full(len(chosen), -1, np.int64)))
        mask = np.concatenate((mask, np.zeros(len(chosen), np.int64)))
        size = np.concatenate((self.sizes[records[entry]], self.table.streams.size[chosen]))
        stream = np.zeros(len(owner), np.bool_)
        stream[len(entry) :] = True
        order = np.argsort(owner, kind="stable")
        path = pl.concat((pl.Series(paths, dtype=pl.String)[entry], pl.Series(extra, dtype=pl.String)))[order]
        moments = np.concatenate((moment, np.zeros(len(chosen), np.int64)))
        there = np.concatenate((timed, np.zeros(len(chosen), np.bool_)))
        return self._columns(
            owner[order], line[order], mask[order], moments[order], there[order], size[order], stream[order], path
        )

    def _times(self, lines: Ints, records: Ints) -> Ints:
        """(rows, 8) FILETIMEs: those of the standard information, then those of the name; 0 for none."""
        table = self.table
        own = np.where(table.standard[records][:, None], table.times[records], 0)
        named = np.zeros((len(lines), 4), np.int64)
        held = lines >= 0
        named[held] = table.names.times[lines[held]]
        return np.concatenate((own, named), axis=1)

    def _paths(self, lines: Ints, records: Ints) -> list[str]:
        paths = [""] * len(lines)
        held = np.flatnonzero(lines >= 0)
        found, _ = full_paths(self.table, self.folders, lines[held])
        for index, path in zip(held.tolist(), found, strict=True):
            paths[index] = path
        for index in np.flatnonzero(lines < 0).tolist():
            paths[index] = f"{ORPHANS}/Record-{records[index]}"
        for index in np.flatnonzero(records == 5).tolist():
            paths[index] = "/"
        return paths

    def _stream_paths(self, chosen: Ints, records: Ints, paths: list[str]) -> list[str]:
        found = []
        for row in chosen.tolist():
            owner = int(self.table.streams.owner[row])
            at = int(np.searchsorted(records, owner))
            base = paths[at] if at < len(records) and records[at] == owner else f"{ORPHANS}/Record-{owner}"
            found.append(f"{base}:{self.table.streams.text[row]}")
        return found

    def _columns(
        self, owner: Ints, line: Ints, mask: Ints, moment: Ints, timed: NDArray[np.bool_], size: Ints,
        stream: NDArray[np.bool_], path: pl.Series,
    ) -> pl.DataFrame:  # fmt: skip
        table, height = self.table, len(owner)
        both = (mask & 15) | (mask >> 4)
        rank = np.select([both & 1 != 0, both & 2 != 0, both & 4 != 0, both & 8 != 0], [0, 1, 2, 3], 4)
        kind = pl.Series([*(str(k) for _, k in _KINDS), str(EventKind.STATE_STREAM)])[rank]
        word = pl.Series([*(w for w, _ in _KINDS), "state"])[rank]
        named = line >= 0
        held = np.where(named, line, 0)
        names = table.names
        nothing = np.zeros(height, np.int64)
        parent, sequence, space = (
            (names.parent[held], names.parent_sequence[held], names.space[held])
            if len(names.owner)
            else (nothing, nothing, nothing)
        )
        starts = np.flatnonzero(np.diff(owner, prepend=-1))
        ordinal = np.arange(height) - np.repeat(starts, np.diff(starts, append=height))
        absent = pl.Series(~named)
        own: dict[str, Any] = {
            "inode": owner, "sequence": table.sequence[owner], "parent": _null(parent, absent),
            "parent_sequence": _null(sequence, absent),
            "name_space": pl.Series(_SPACES)[np.minimum(space, 3)].zip_with(~absent, pl.Series([None], dtype=pl.String)),
            "si": _MASKS[mask & 15], "fn": _MASKS[mask >> 4], "size": size,
            "allocated": table.state[owner] == LIVE, "directory": table.flags[owner] & DIRECTORY != 0,
            "stream": stream, "links": table.links[owner], "attributes": table.attributes[owner],
            "security_id": _said(table.security[owner]), "lsn": _said(table.lsn[owner]),
            "usn": _said(table.usn[owner]), "reparse": _said(table.reparse[owner]),
        }  # fmt: skip
        there = pl.Series(timed)
        known: dict[str, Any] = {
            "t_recorded": _null(moment, ~there),
            "t_basis": pl.Series([str(TimeBasis.NONE), str(TimeBasis.UTC)])[timed.astype(np.int64)],
            "t_kind": word, "kind": kind, "file_path": path,
            "offset": owner * table.size, "length": np.full(height, table.size, np.int64), "ordinal": ordinal,
        }  # fmt: skip
        head = {
            name: known[name] if name in known else filled(None, height, dtype) for name, dtype in HEAD_SCHEMA.items()
        }
        return pl.DataFrame(head | {own_column(name): values for name, values in own.items()})


def _null(values: Ints, absent: pl.Series) -> pl.Series:
    return pl.Series(values).zip_with(~absent, pl.Series([None], dtype=pl.Int64))


def _said(values: Ints) -> pl.Series:
    """Values of which 0 means that none was recorded."""
    return _null(values, pl.Series(values == 0))


def _moments(times: Ints) -> tuple[Ints, Ints, Ints, NDArray[np.bool_]]:
    """(row, which of the eight times as bits, moment in ns, whether it is recorded), one for each distinct time of a row.

    A row without any recorded time gives one without a moment.
    """
    values, good = nanoseconds(times)
    first, bits = [], []
    for column in range(8):
        mask: Ints = np.zeros(len(values), np.int64)
        for other in range(8):
            mask |= ((values[:, other] == values[:, column]) & good[:, other]).astype(np.int64) << other
        first.append(good[:, column] & (mask & ((1 << column) - 1) == 0))
        bits.append(mask)
    new, masks = np.stack(first, axis=1), np.stack(bits, axis=1)
    new[:, 0] |= ~good.any(axis=1)
    row, at = np.nonzero(new)
    timed = good[row, at]
    return row, np.where(timed, masks[row, at], 0), values[row, at], timed
