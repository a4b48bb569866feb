# SPDX-License-Identifier: Apache-2.0
"""Every change that the NTFS change journal holds: created, written, renamed, deleted (windows.usnjrnl).

Reads:  /$Extend/$UsnJrnl:$J of a volume, and $J collected as a file; beside it $MFT for the names of folders.
Time:   FILETIME of the record, UTC, 100 ns, by the clock of the host that wrote it; records of version 4 have none.
Format: USN_RECORD_V2 to _V4, https://learn.microsoft.com/windows/win32/api/winioctl/ns-winioctl-usn_record_v2.
Limits: reasons add up until a file is closed: ``reason`` is as recorded, ``kind`` says what is new in it; who made a
        change is not recorded; what Windows gave back at the journal's beginning is a hole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from headwater.examine.batch import HEAD_SCHEMA, Batch, Skipped, merge_gaps
from headwater.examine.filled import filled
from headwater.examine.usn_paths import FolderNames
from headwater.formats.ntfs_paths import ROOT
from headwater.formats.ntfs_records import Ints
from headwater.formats.ntfs_table import nanoseconds, read_table, record_size
from headwater.formats.usn_journal import (
    CLOSE,
    CREATE,
    DATA,
    DELETE,
    NEW_NAME,
    OLD_NAME,
    REASONS,
    SOURCES,
    Changes,
    stretches,
)
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.paths import file_layer
from headwater.model.records import File, own_column

FEED = "windows.usnjrnl"
VERSION = 1
READS = ("/$Extend/$UsnJrnl:$J", "/$J", "/$UsnJrnl*$J", "/$UsnJrnl", "/UsnJrnl*")
_KINDS = (
    (DELETE, EventKind.FILE_DELETED),
    (CREATE, EventKind.FILE_CREATED),
    (OLD_NAME | NEW_NAME, EventKind.FILE_RENAMED),
    (DATA, EventKind.FILE_MODIFIED),
)


def recognise(head: bytes) -> bool:
    length, version = int.from_bytes(head[:4], "little"), int.from_bytes(head[4:8], "little")
    name = {2: 58, 3: 74}.get(version)
    return (
        name is not None and 60 <= length <= 1024 and not length & 7 and head[name : name + 2] == bytes((name + 2, 0))
    )


def beside(path: str) -> tuple[str, ...]:
    folder = file_layer(path).rpartition("/")[0]
    above = folder.rpartition("/")[0]
    return (f"{above}/$MFT", f"{folder}/$MFT") if folder.endswith("/$Extend") else (f"{folder}/$MFT", f"{above}/$MFT")


def batches(file: File) -> Iterator[Batch]:
    """Batches in the order of the journal, each of some 8 MiB."""
    names = FolderNames(next((_table(other) for other in file.beside.values()), None))
    for part in stretches(file.pread, file.size, file.held, directories=True):
        names.note(part.changes)
    still_open: dict[int, int] = {}
    for part in stretches(file.pread, file.size, file.held):
        skips: dict[str, tuple[int, int]] = {}
        for skip in part.skips:
            count, size = skips.get(skip.reason, (0, 0))
            skips[skip.reason] = (count + 1, size + skip.length)
        skipped = tuple(Skipped(reason, *found) for reason, found in sorted(skips.items()))
        yield Batch(part.start, part.end, _frame(part.changes, names, still_open), merge_gaps(part.gaps), skipped)


def _table(file: File) -> Any:
    size = record_size(file.pread(0, 65536))
    return read_table(file.pread, file.size, size) if size else None


def _new(changes: Changes, still_open: dict[int, int]) -> Ints:
    """What is new in each record's reasons since the file was opened; ``still_open`` goes on to the next batch."""
    key = changes.inode | changes.sequence << 48
    order = np.argsort(key, kind="stable")
    reason = changes.reason[order]
    before = np.zeros(len(order), np.int64)
    sorted_key = key[order]
    same = sorted_key[1:] == sorted_key[:-1]
    before[1:] = np.where(same, reason[:-1], 0)
    heads = np.flatnonzero(np.concatenate(([True], ~same))) if len(order) else order
    for index, held in zip(heads.tolist(), sorted_key[heads].tolist(), strict=True):
        before[index] = still_open.pop(held, 0)
    tails = np.flatnonzero(np.concatenate((~same, [True]))) if len(order) else order
    tails = tails[reason[tails] & CLOSE == 0]
    still_open.update(zip(sorted_key[tails].tolist(), reason[tails].tolist(), strict=True))
    before = np.where(before & CLOSE, 0, before)
    found = np.empty(len(order), np.int64)
    found[order] = reason & ~before
    return found


def _words(values: Ints, table: tuple[tuple[int, str], ...]) -> pl.Series:
    """Flags as words joined by ``|``; what the table does not know as one hexadecimal number; null for 0."""
    unique, inverse = np.unique(values, return_inverse=True)
    known = sum(bit for bit, _ in table)
    texts: list[str | None] = []
    for value in unique.tolist():
        parts = [word for bit, word in table if value & bit]
        if value & ~known:
            parts.append(hex(value & ~known))
        texts.append("|".join(parts) or None)
    return pl.Series(texts, dtype=pl.String)[inverse]


def _kinds(new: Ints) -> pl.Series:
    rank = np.full(len(new), len(_KINDS), np.int64)
    rank[new == CLOSE] = len(_KINDS) + 1
    for index, (bits, _) in reversed(tuple(enumerate(_KINDS))):
        rank[new & bits != 0] = index
    return pl.Series([*(str(k) for _, k in _KINDS), str(EventKind.FILE_CHANGED), str(EventKind.FILE_CLOSED)])[rank]


def _frame(changes: Changes, names: FolderNames, still_open: dict[int, int]) -> pl.DataFrame:
    height = len(changes.at)
    moment, timed = nanoseconds(changes.time)
    timed &= changes.version != 4
    folders = names.paths(changes.at, changes.parent, changes.parent_sequence)
    named = pl.Series(changes.names, dtype=pl.String)
    whole = pl.Series([a + b for a, b in zip(folders, changes.names, strict=True)], dtype=pl.String)
    whole = pl.Series(["/"]).new_from_index(0, height).zip_with(pl.Series(changes.inode == ROOT), whole)
    none = pl.Series([None], dtype=pl.Int64)
    four = pl.Series(changes.version == 4)
    known: dict[str, Any] = {
        "t_recorded": pl.Series(moment).zip_with(pl.Series(timed), none),
        "t_basis": pl.Series([str(TimeBasis.NONE), str(TimeBasis.UTC)])[timed.astype(np.int64)],
        "t_kind": filled("logged", height),
        "kind": _kinds(_new(changes, still_open)),
        "file_path": whole.zip_with(~four, pl.Series([None], dtype=pl.String)),
        "offset": changes.at, "length": changes.length, "ordinal": np.zeros(height, np.int64),
    }  # fmt: skip
    own: dict[str, Any] = {
        "usn": changes.usn, "inode": changes.inode, "sequence": changes.sequence, "parent": changes.parent,
        "parent_sequence": changes.parent_sequence, "name": named, "reason": _words(changes.reason, REASONS),
        "reason_code": changes.reason, "source_info": _words(changes.source, SOURCES),
        "security_id": pl.Series(changes.security).zip_with(pl.Series(changes.security != 0), none),
        "attributes": pl.Series(changes.attributes).zip_with(~four, none), "record_version": changes.version,
    }  # fmt: skip
    head = {name: known[name] if name in known else filled(None, height, dtype) for name, dtype in HEAD_SCHEMA.items()}
    return pl.DataFrame(head | {own_column(name): values for name, values in own.items()})
