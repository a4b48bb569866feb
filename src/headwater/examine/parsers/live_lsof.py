# SPDX-License-Identifier: Apache-2.0
"""The files and sockets that lsof told processes to hold open (live.lsof).

Reads:  /@command/lsof-*.stdout of a live collection; lsof_*.txt of UAC.
Time:   the start of the command, UTC, where its .json states it.
Format: lsof(8) without ``-F``: command, process, thread and its name where asked, user, descriptor, type, device, size
        or offset, node, name; blanks in a command are written ``\\x20``. Sockets are ``state.socket``.
Limits: what the server's own lsof chose to show; a cell that lsof left blank is told by its neighbours' form.
"""

from __future__ import annotations

import polars as pl

from headwater.examine.lines import LineGrammar
from headwater.examine.parsers._live import CONTEXT as CONTEXT
from headwater.examine.parsers._live_columns import Columns, numbered, table
from headwater.model.kinds import EventKind
from headwater.model.records import File, own_column

FEED = "live.lsof"
VERSION = 1
READS = ("/@command/lsof-*.stdout", "/live_response/process/lsof_*.txt")
_ROW = (
    r"^(?P<process>\S+)\s+(?P<pid>\d{1,10})\s+(?:(?P<tid>\d{1,10})\s+(?P<task>\S+)\s+)?(?P<user>\S+)\s+"
    r"(?P<fd>NOFD|cwd|rtd|txt|mem|DEL|ltx|err|jld|pd|m86|mmap|tr|Lnn|v86|\d+[a-zA-Z ]{0,3}?|\d+[rwu-][a-zA-Z]?)"
    r"(?:\s+(?P<type>[A-Za-z][A-Za-z0-9_]*|0[0-7]{2,3}))?"
    r"(?:\s+(?P<device>\d+,\d+|0x[0-9a-f]+|\d+))?(?:\s+(?P<size>\d+|0t\d+|0x[0-9a-f]+))?"
    r"(?:\s+(?P<node>\d+|TCP|UDP|UDPLITE|ICMP|ICMPV6|SCTP|RAW|\d+/\d+))?"
    r"(?:\s+(?P<name>[^\s0-9].*?|\d+\.\d.*?))?\s*$"
)
_DELETED = " (deleted)"
_REMARK = r" \((?:deleted|(?:readlink|opendir|stat|fstat): [^)]*)\)$"
_OWN = {
    "tid": pl.Int64, "task": pl.String, "fd": pl.String, "type": pl.String, "device": pl.String, "size": pl.String,
    "node": pl.String, "name": pl.String, "protocol": pl.String, "state": pl.String, "deleted": pl.Boolean,
    "local_address": pl.String, "local_port": pl.Int64, "remote_address": pl.String, "remote_port": pl.Int64,
    "inode": pl.Int64,
}  # fmt: skip
_ENDS = (
    r"^(?:\[(?P<la6>[^\]]*)\]|(?P<la>[^:\[\]>]*)):(?P<lp>\*|\d+|[a-z][a-z0-9-]*)"
    r"(?:->(?:\[(?P<ra6>[^\]]*)\]|(?P<ra>[^:\[\]]*)):(?P<rp>\d+|[a-z][a-z0-9-]*))?(?: \((?P<state>[A-Z_0-9]+)\))?$"
)


def _finish(found: pl.DataFrame, file: File) -> Columns:
    network = pl.col("node").is_in(["TCP", "UDP", "UDPLITE", "SCTP", "RAW"]).fill_null(False)
    ends = pl.col("name").str.extract_groups(_ENDS)
    name = pl.col("name")
    deleted = name.str.ends_with(_DELETED)
    path = pl.when(name.str.starts_with("/")).then(name.str.replace(_REMARK, ""))
    # of a deleted mapping lsof knows no size: the one number is the node
    swap = (pl.col("fd") == "DEL") & pl.col("node").is_null()
    found = found.with_columns(
        pl.when(swap).then(None).otherwise(pl.col("size")).alias("size"),
        pl.when(swap).then(pl.col("size")).otherwise(pl.col("node")).alias("node"),
    )
    frame = numbered(found, ["pid", "tid"]).with_columns(
        ends.alias("ends"), network.alias("network"), deleted.alias("deleted"), path.alias("file_path")
    )
    frame = frame.with_columns(
        pl.when("network").then(pl.col("node").str.to_lowercase()).alias("protocol"),
        *(
            pl.when("network")
            .then(pl.coalesce(pl.col("ends").struct.field(f"{side}a6"), pl.col("ends").struct.field(f"{side}a")))
            .alias(f"{word}_address")
            for side, word in (("l", "local"), ("r", "remote"))
        ),
        *(
            pl.when("network")
            .then(pl.col("ends").struct.field(f"{side}p").cast(pl.Int64, strict=False))
            .alias(f"{word}_port")
            for side, word in (("l", "local"), ("r", "remote"))
        ),
        pl.when("network").then(pl.col("ends").struct.field("state")).alias("state"),
        pl.when("network").then(pl.col("device").cast(pl.Int64, strict=False)).alias("inode"),
    ).with_columns(
        pl.when("network")
        .then(pl.lit(str(EventKind.STATE_SOCKET)))
        .otherwise(pl.lit(str(EventKind.STATE_LISTED)))
        .alias("k")
    )
    return {
        **{n: frame[n] for n in ("process", "pid", "user", "file_path")},
        "dst_ip": frame["remote_address"],
        **{own_column(n): frame[n] for n in _OWN},
        "kind": frame["k"],
    }


_shape = table(_ROW, EventKind.STATE_LISTED, _finish)
GRAMMAR = LineGrammar(
    shapes=(_shape,),
    own={own_column(n): t for n, t in _OWN.items()},
    skips=(
        (b"COMMAND ", "header line"),
        (b"lsof: ", "a warning of lsof"),
        (b"      Output information", "a warning of lsof"),
    ),
)
