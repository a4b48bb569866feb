# SPDX-License-Identifier: Apache-2.0
"""The memory of processes and the files behind it, as the kernel tells of it (live.proc_maps).

Reads:  /proc/*/maps of a live collection.
Time:   none; the file states no time.
Format: proc(5) /proc/pid/maps: range, permissions, offset, device, inode, name; ``(deleted)`` where the file is gone.
Limits: a name with a line feed stands as ``\\012``; a process may have been given other memory a moment later.
"""

from __future__ import annotations

import polars as pl

from headwater.examine.filled import filled
from headwater.examine.lines import LineGrammar
from headwater.examine.parsers._live import pid_of
from headwater.examine.parsers._live_columns import Columns, numbered, table
from headwater.model.kinds import EventKind
from headwater.model.records import File, own_column

FEED = "live.proc_maps"
VERSION = 1
READS = ("/proc/*/maps",)
_ROW = (
    r"^(?P<first>[0-9a-f]{1,16})-(?P<last>[0-9a-f]{1,16}) (?P<permissions>[r-][w-][x-][ps]) (?P<at>[0-9a-f]{1,16}) "
    r"(?P<device>[0-9a-f]{2,5}:[0-9a-f]{2,7}) (?P<inode>\d{1,19})(?:\s+(?P<name>\S.*))?\s*$"
)
_OWN = {
    "first": pl.String, "last": pl.String, "permissions": pl.String, "at": pl.String, "device": pl.String,
    "inode": pl.Int64, "name": pl.String, "deleted": pl.Boolean,
}  # fmt: skip
_DELETED = " (deleted)"


def _finish(found: pl.DataFrame, file: File) -> Columns:
    name = pl.col("name")
    frame = numbered(found, ["inode"]).with_columns(
        pl.when(name.str.starts_with("/")).then(name.str.strip_suffix(_DELETED)).alias("file_path"),
        name.str.ends_with(_DELETED).alias("deleted"),
    )
    pid = filled(pid_of(file), frame.height, pl.Int64)
    return {"pid": pid, "file_path": frame["file_path"], **{own_column(n): frame[n] for n in _OWN}}


GRAMMAR = LineGrammar(
    shapes=(table(_ROW, EventKind.STATE_MAPPING, _finish, taken=False),),
    own={own_column(n): t for n, t in _OWN.items()},
)
