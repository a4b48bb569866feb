# SPDX-License-Identifier: Apache-2.0
"""What a volume's shadow copies hold that the volume has not any more, or not so; feed ``fs.shadow``, one row for each.

A row stands on the file's record in the copy, with an ordinal from :data:`SHADOW` on, which no time of ``fs.macb`` has.
Its moment is that of the copy: then the file was there so. ``difference`` says what became of it since.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from headwater.examine.batch import HEAD_SCHEMA
from headwater.formats.ntfs_shadow import Difference, ShadowTree
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.records import own_column

FEED = "fs.shadow"
SHADOW = 1 << 28  # the ordinal of the first such row on a record

_OWN: dict[str, Any] = {
    own_column(name): dtype
    for name, dtype in (
        ("difference", pl.String), ("now_path", pl.String), ("size", pl.Int64), ("now_size", pl.Int64),
        ("inode", pl.Int64), ("modified", pl.Int64), ("directory", pl.Boolean),
    )
}  # fmt: skip


def differences_of(tree: object) -> Sequence[Difference]:
    """What a shadow copy's tree found, once it was listed; nothing for any other tree."""
    return tree.differences if isinstance(tree, ShadowTree) else ()


def frame(found: Sequence[Difference], view: str, created: int | None) -> pl.DataFrame:
    """The differences as events; ``view`` is the layer that the tree stands in, ``created`` the copy's time (ns, UTC)."""
    before: dict[int, int] = {}
    rows: list[dict[str, Any]] = []
    for each in found:
        earlier = before.get(each.place, 0)
        before[each.place] = earlier + 1
        rows.append(
            {
                "t_recorded": created, "t_basis": str(TimeBasis.NONE if created is None else TimeBasis.UTC),
                "t_kind": "copied", "kind": str(EventKind.STATE_SHADOW), "file_path": each.entry.path,
                "offset": each.place, "length": each.record_size, "ordinal": SHADOW + earlier,
                own_column("difference"): each.what, own_column("now_path"): each.now,
                own_column("size"): each.entry.size, own_column("now_size"): each.now_size,
                own_column("inode"): each.entry.inode, own_column("modified"): each.entry.modified,
                own_column("directory"): each.entry.kind == "dir",
            }
        )  # fmt: skip
    schema = {**HEAD_SCHEMA, **_OWN}
    columns = {name: pl.Series(name, [row.get(name) for row in rows], dtype=dtype) for name, dtype in schema.items()}
    return pl.DataFrame(columns).with_columns(pl.lit(view, dtype=pl.String).alias("path"))
