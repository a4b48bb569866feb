# SPDX-License-Identifier: Apache-2.0
"""The times that a tree itself records (MACB) as events by column: feed ``fs.macb``, one row for each time.

The place of an event is the record that holds the time: the inode of ext and XFS, the MFT record of NTFS, as (offset,
length) on the volume, so that the bytes can be shown and :func:`verify_inode` can derive the time from them again.
Where a tree cannot tell that place (FAT, ISO 9660, HFS, archives, folders), offset is the number of the entry in the
listing and length is 0: such a row cites the listing and not bytes.

A link that has no time at all (one of /proc in a live collection) is one row of kind ``state.listed``: where it points is
all that it says.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headwater.examine.batch import HEAD_SCHEMA
from headwater.examine.filled import filled
from headwater.formats.inode_records import decode_record
from headwater.formats.trees import Entry, Tree
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.records import own_column

FEED = "fs.macb"
VERSION = 2

# field of Entry, kind of the event, t_kind; the order is that of an entry's rows
TIMES: tuple[tuple[str, EventKind, str], ...] = (
    ("modified", EventKind.FILE_MODIFIED, "modified"),
    ("accessed", EventKind.FILE_ACCESSED, "accessed"),
    ("changed", EventKind.FILE_CHANGED, "changed"),
    ("created", EventKind.FILE_CREATED, "created"),
    ("deleted", EventKind.FILE_DELETED, "deleted"),
)
_FIELDS = {name: index for index, name in enumerate(Entry._fields)}
_LOCAL_TIME = ("fat", "exfat")  # these record the wall clock of whoever wrote, without a zone


def macb_batches(tree: Tree, entries_per_batch: int = 50_000) -> Iterator[tuple[pl.DataFrame, list[Entry]]]:
    """Batches of at most ``entries_per_batch`` entries: their events, and the entries themselves (timeless ones too).

    The frame has the columns of :data:`headwater.examine.batch.HEAD_SCHEMA`, ``path`` (empty: the caller puts the
    volume's layer there), and the own columns inode, mode, uid, gid, size, allocated, target,
    capabilities (as getcap(8) writes them; of ext, XFS and tar). ``ordinal`` counts the
    rows on one record over the whole listing, so hard links to one inode are told apart.
    """
    places = _Places()
    entries = iter(tree.entries())
    first = 0
    while True:
        batch = list(islice(entries, entries_per_batch))
        if not batch:
            return
        yield _frame(tree, batch, first, places), batch
        first += len(batch)


class _Places:
    """How many rows have stood on each record so far: sorted offsets and counts, merged batch by batch."""

    def __init__(self) -> None:
        self._offsets = np.empty(0, np.int64)
        self._counts = np.empty(0, np.int64)

    def before(self, offsets: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The first ordinal of each entry, given where each stands and how many rows it has; notes them as well."""
        order = np.argsort(offsets, kind="stable")
        at, count = offsets[order], rows[order]
        total = np.cumsum(count) - count
        new = np.ones(len(at), np.bool_)
        new[1:] = at[1:] != at[:-1]
        starts = np.flatnonzero(new)
        group = np.cumsum(new) - 1
        unique = at[starts]
        earlier = np.zeros(len(unique), np.int64)
        if len(self._offsets):
            index = np.minimum(np.searchsorted(self._offsets, unique), len(self._offsets) - 1)
            earlier = np.where(self._offsets[index] == unique, self._counts[index], 0)
        ordinals = np.empty(len(at), np.int64)
        ordinals[order] = total - total[starts][group] + earlier[group]
        self._note(unique, np.add.reduceat(count, starts) + earlier)
        return ordinals

    def _note(self, unique: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        keep = ~np.isin(self._offsets, unique, assume_unique=True)
        offsets = np.concatenate((self._offsets[keep], unique))
        order = np.argsort(offsets, kind="stable")
        self._offsets = offsets[order]
        self._counts = np.concatenate((self._counts[keep], counts))[order]


def _where(tree: Tree, inodes: NDArray[np.int64], first: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    listed = np.arange(first, first + len(inodes), dtype=np.int64)
    spans = getattr(tree, "record_spans", None)
    if spans is None:
        return listed, np.zeros(len(inodes), np.int64)
    offsets, lengths = spans(inodes)
    return np.where(offsets < 0, listed, offsets), np.where(offsets < 0, 0, lengths)


def _int64(values: tuple[Any, ...]) -> pl.Series:
    return pl.Series(values, dtype=pl.Int64, strict=False)


def _capabilities(tree: Tree, batch: list[Entry]) -> pl.Series:
    """What each file may do without being root, where its attributes say so and the tree reads them."""
    tells = getattr(tree, "capabilities", None)
    found: dict[int, str] = tells(batch) if tells is not None else {}
    if not found:
        return filled(None, len(batch), pl.String)
    return pl.Series([found.get(n) for n in range(len(batch))], dtype=pl.String)


def _frame(tree: Tree, batch: list[Entry], first: int, places: _Places) -> pl.DataFrame:
    columns = list(zip(*batch))
    times = pl.DataFrame({name: _int64(columns[_FIELDS[name]]) for name, _, _ in TIMES})
    there = times.select(pl.all().is_not_null()).to_numpy()
    values = times.fill_null(0).to_numpy()
    target = pl.Series(columns[_FIELDS["target"]], dtype=pl.String)
    timeless = ~there.any(axis=1) & target.is_not_null().to_numpy()
    there = np.column_stack((there, timeless))
    values = np.column_stack((values, np.zeros(len(batch), np.int64)))
    # row-major: an entry's times follow each other
    entry, which = np.nonzero(there)
    inodes = _int64(columns[_FIELDS["inode"]]).fill_null(0).to_numpy()
    offsets, lengths = _where(tree, inodes, first)
    counts = there.sum(axis=1).astype(np.int64)
    ordinals = places.before(offsets, counts)
    within = np.arange(len(entry)) - np.repeat(np.cumsum(counts) - counts, counts)
    kinds = pl.Series([*(str(kind) for _, kind, _ in TIMES), str(EventKind.STATE_LISTED)])
    words = pl.Series([*(word for _, _, word in TIMES), "listed"])
    stated = pl.Series(which < len(TIMES))
    basis = TimeBasis.ZONE_ASSUMED if tree.kind.startswith(_LOCAL_TIME) else TimeBasis.UTC
    height = len(entry)
    own = pl.DataFrame(
        {
            "file_path": pl.Series(columns[_FIELDS["path"]], dtype=pl.String),
            own_column("inode"): pl.Series(inodes),
            own_column("mode"): _int64(columns[_FIELDS["mode"]]),
            own_column("uid"): _int64(columns[_FIELDS["uid"]]),
            own_column("gid"): _int64(columns[_FIELDS["gid"]]),
            own_column("size"): _int64(columns[_FIELDS["size"]]),
            own_column("allocated"): pl.Series(columns[_FIELDS["allocated"]], dtype=pl.Boolean),
            own_column("target"): target,
            own_column("capabilities"): _capabilities(tree, batch),
        }
    )[entry]
    known: dict[str, Any] = {
        "t_recorded": pl.Series(values[entry, which]).set(~stated, None),
        "t_basis": filled(str(basis), height).set(~stated, str(TimeBasis.NONE)),
        "t_kind": words[which],
        "kind": kinds[which],
        "file_path": own["file_path"],
        "offset": pl.Series(offsets[entry]),
        "length": pl.Series(lengths[entry]),
        "ordinal": pl.Series(ordinals[entry] + within),
    }
    head = {name: known[name] if name in known else filled(None, height, dtype) for name, dtype in HEAD_SCHEMA.items()}
    head["path"] = filled("", height)
    return pl.DataFrame(head).hstack(own.drop("file_path").get_columns())


def verify_inode(kind: str, record: bytes) -> dict[str, int | None]:
    """What an inode or MFT record says, from its bytes alone: t_kind → ns since 1970, and mode, uid, gid, size.

    ``kind`` is the tree's kind; ``record`` the bytes at an event's place. A value that this record does not hold
    is missing. Pure, so a claim can be derived again from the bytes that it cites.

    Raises:
        ValueError: the bytes are no such record, or the kind has none.
    """
    return decode_record(kind, record)
