# SPDX-License-Identifier: Apache-2.0
"""Where a volume as its blocks record it and as its journal makes it differ; feed ``fs.replayed``, one row for each file.

A volume that was not cleanly unmounted has two truths: what stands in its blocks, and what the next mount makes of it.
The trees and all other feeds show the second. A row says what the first has otherwise: ``difference`` is
``only-recorded`` (the journal removes it), ``only-replayed`` (its blocks do not have it yet), ``renamed``, or ``changed``
with the columns that differ twice, as recorded and as it is then (``now_…``). It stands on the inode's record on the
volume where it is recorded, in the journal where it is not; it has no time of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from headwater.examine.batch import HEAD_SCHEMA
from headwater.examine.opening import View
from headwater.formats.filesystems import open_filesystem
from headwater.formats.trees import Entry, Tree
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.records import own_column

FEED = "fs.replayed"
REPLAYED = 1 << 27  # the ordinal of the first such row on a record
FILES_MOST = 3_000_000  # names of one view that are held
ROWS_MOST = 200_000
_COMPARED = ("size", "mode", "uid", "gid", "modified", "changed", "created", "deleted", "target")

_OWN: dict[str, Any] = {
    own_column(name): dtype
    for name, dtype in (
        ("difference", pl.String), ("now_path", pl.String), ("inode", pl.Int64), ("directory", pl.Boolean),
        ("size", pl.Int64), ("now_size", pl.Int64), ("mode", pl.Int64), ("now_mode", pl.Int64),
        ("uid", pl.Int64), ("now_uid", pl.Int64), ("modified", pl.Int64), ("now_modified", pl.Int64),
        ("changed", pl.Int64), ("now_changed", pl.Int64), ("differs", pl.String),
    )
}  # fmt: skip


class Differing(NamedTuple):
    """One file: ``before`` as it is recorded, ``after`` as it is once the journal is played back."""

    what: str
    before: Entry | None
    after: Entry | None
    fields: tuple[str, ...]  # that differ, of those that both have


def recorded_tree(view: View) -> Tree | None:
    """The volume of a replayed view as its blocks record it; None for a view that nothing was played back into."""
    if view.derived or view.volume is None or getattr(view.tree, "view", "") != "replayed":
        return None
    return open_filesystem(view.volume, play=False)


def differences(before: Tree, after: Tree) -> Iterator[Differing]:
    """Files in use that are not the same in both trees; by path, those as recorded first."""
    old, new = _held(before), _held(after)
    gone = {path: entry for path, entry in old.items() if path not in new}
    come = {path: entry for path, entry in new.items() if path not in old}
    by_file: dict[tuple[int, int | None], list[Entry]] = {}
    for entry in come.values():
        by_file.setdefault((entry.inode, entry.created), []).append(entry)
    moved: set[str] = set()
    for path in sorted(old):
        entry = old[path]
        if path not in gone:
            fields = _fields(entry, new[path])
            if fields or entry.inode != new[path].inode:
                yield Differing("changed", entry, new[path], (*fields, *_inode(entry, new[path])))
            continue
        now = by_file.get((entry.inode, entry.created))
        if now:
            other = now.pop(0)
            moved.add(other.path)
            yield Differing("renamed", entry, other, _fields(entry, other))
        else:
            yield Differing("only-recorded", entry, None, ())
    for path in sorted(come):
        if path not in moved:
            yield Differing("only-replayed", None, come[path], ())


def _held(tree: Tree) -> Mapping[str, Entry]:
    """Files in use by path; a file's further streams have paths of their own."""
    found: dict[str, Entry] = {}
    for entry in tree.entries():
        if entry.allocated:
            found.setdefault(entry.path, entry)
            if len(found) >= FILES_MOST:
                break
    return found


def _fields(before: Entry, after: Entry) -> tuple[str, ...]:
    return tuple(name for name in _COMPARED if getattr(before, name) != getattr(after, name))


def _inode(before: Entry, after: Entry) -> tuple[str, ...]:
    return ("inode",) if before.inode != after.inode else ()


def frame_of(view: View) -> pl.DataFrame | None:
    """The differences of one view as events; None where there are none. At most :data:`ROWS_MOST` rows, by path."""
    recorded = recorded_tree(view)
    if recorded is None:
        return None
    rows: list[dict[str, Any]] = []
    places: dict[int, int] = {}
    for each in differences(recorded, view.tree):
        tree, entry = (recorded, each.before) if each.before is not None else (view.tree, each.after)
        if entry is None or len(rows) >= ROWS_MOST:
            break
        offset, length = _place(tree, entry.inode)
        earlier = places.get(offset, 0)
        places[offset] = earlier + 1
        rows.append(_row(each, entry, (offset, length, REPLAYED + earlier)))
    if not rows:
        return None
    schema = {**HEAD_SCHEMA, **_OWN}
    columns = {name: pl.Series(name, [row.get(name) for row in rows], dtype=dtype) for name, dtype in schema.items()}
    return pl.DataFrame(columns).with_columns(pl.lit(view.name or "/", dtype=pl.String).alias("path"))


def _row(each: Differing, entry: Entry, place: tuple[int, int, int]) -> dict[str, Any]:
    before, after = each.before, each.after
    row = {
        "t_basis": str(TimeBasis.NONE), "t_kind": "recorded" if before is not None else "replayed",
        "kind": str(EventKind.STATE_REPLAYED), "file_path": entry.path,
        "offset": place[0], "length": place[1], "ordinal": place[2],
        own_column("difference"): each.what, own_column("now_path"): after.path if after is not None else None,
        own_column("inode"): entry.inode, own_column("directory"): entry.kind == "dir",
        own_column("differs"): ",".join(each.fields) or None,
    }  # fmt: skip
    for name in ("size", "mode", "uid", "modified", "changed"):
        row[own_column(name)] = getattr(before, name) if before is not None else None
        row[own_column(f"now_{name}")] = getattr(after, name) if after is not None else None
    return row


def _place(tree: Tree, inode: int) -> tuple[int, int]:
    spans = getattr(tree, "record_spans", None)
    if spans is None:
        return 0, 0
    offsets, lengths = spans(np.array([inode], np.int64))
    return (int(offsets[0]), int(lengths[0])) if int(offsets[0]) >= 0 else (0, 0)
