# SPDX-License-Identifier: Apache-2.0
"""What a live collection says of a running system, view by view: its tools, /proc, and the kernel past the C library.

A view is one output: the rows of one path. What a tool leaves out is proved by what other views hold; the finding cites
those rows, and of the tool's output the neighbours between which the missing row would stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import polars as pl

from headwater.detect.frames import STAND, names, take
from headwater.model.kinds import EventKind
from headwater.model.paths import file_layer
from headwater.model.ports import Events

TOOLS = ("live.ps", "live.top")
PID_CLAIMS = ("kind", "pid", "process", "command_line", "ppid", "listed", "fact")
LINK_CLAIMS = ("kind", "file_path", "target")
TEMPORARY = r"^/(?:tmp|var/tmp|dev/shm|run/shm|dev/mqueue)/"
HIDDEN = r"/\.[^/]+|/\s"
# version managers, environments and editors keep programs below dotted names
USUAL_HIDDEN = (
    r"/\.(?:pyenv|rbenv|nodenv|nvm|jenv|goenv|asdf|sdkman|cargo|rustup|conda|bun|deno|dotnet|npm|yarn|pnpm|vscode-server"
    r"|cursor-server|vscode|venv|virtualenvs?|tox|nox|pixi|node_modules|local/(?:bin|lib|pipx|share/(?:uv|pnpm|code-server)))/"
)
SYSTEM = r"^/(?:usr/(?:s?bin|lib|lib32|lib64|libexec)|s?bin|lib|lib32|lib64)/"
DELETED = " (deleted)"
_CONTAINER = r"docker|containerd|kubepods|libpod|/lxc|crio|podman"
_HEADER = ["user", "pid", "process", "command_line"]


def collected(events: Events) -> bool:
    """Whether the case holds a live collection at all."""
    return any(feed.startswith("live.") for feed in events.feeds())


def feeds(events: Events, *wanted: str) -> list[str]:
    """Those of these feeds that hold something."""
    return [f for f in events.feeds() if f in wanted]


def rows(
    events: Events, wanted: Sequence[str], own: Sequence[str], kind: EventKind, where: pl.Expr | None = None,
    *, whole: bool = True,
) -> pl.DataFrame:  # fmt: skip
    """Rows of these feeds and kind in order of source, path and place; an empty frame where there are none.

    ``whole``: outputs that were ended before they had said all are left out, for whoever asks what one lacks: that proves
    nothing. False where each row speaks for itself: what a cut output does say, it says.
    """
    held = feeds(events, *wanted)
    own = [*own, "incomplete"]
    found = take(events, kinds=[kind], feeds=held or ["live."], header=[*_HEADER, "t_kind"], own=own, where=where)
    if whole:
        found = found.filter(pl.col("incomplete").is_null())
    found = found.drop("incomplete")
    return found.sort("source", "path", "offset", "ordinal")


def cut(events: Events) -> set[int]:
    """The sources whose stream is not whole: what its last part would have told is not there."""
    gaps = cast(pl.LazyFrame, events.gaps())
    ends = gaps.filter((pl.col("feed") == "fs.macb") & pl.col("detail").str.contains(r"^(?:no record of )?the stream"))
    return {int(s) for s in ends.select("source").unique().collect()["source"].to_list()}


def links(events: Events, pattern: str) -> pl.DataFrame:
    """The links of /proc whose path fits, one row each: ``pid`` of the path, ``target``."""
    found = take(
        events, feeds=["fs.macb"], header=["file_path", "host"], own=["target"],
        where=pl.col("file_path").str.starts_with("/proc/") & pl.col("file_path").str.contains(pattern),
    )  # fmt: skip
    found = found.filter(pl.col("target").is_not_null()).unique(
        ["source", "path", "file_path"], keep="first", maintain_order=True
    )
    number = pl.col("file_path").str.extract(r"^/proc/(\d+)/", 1).cast(pl.Int64, strict=False)
    return found.with_columns(number.alias("pid")).sort("source", "pid", "file_path")


def programs(events: Events) -> pl.DataFrame:
    """The program of each process, by its exe link: ``target`` without the mark, and ``gone`` where it is deleted."""
    found = links(events, r"^/proc/\d+/exe$")
    return found.with_columns(
        pl.col("target").str.strip_suffix(DELETED).alias("program"),
        pl.col("target").str.ends_with(DELETED).alias("gone"),
    )


def facts(events: Events, *wanted: str) -> pl.DataFrame:
    """Facts of /proc of each process: status, stat, cmdline, cgroup …"""
    own = ["fact", "ppid", "kernel_thread", "state", "value", "program"]
    return rows(events, ["live.proc_pid"], own, EventKind.STATE_PROCESS, pl.col("fact").is_in(wanted))


def contained(events: Events) -> set[tuple[int, int]]:
    """The processes (source, number) that a container engine's control group holds: their paths are of another root."""
    found = facts(events, "cgroup").filter(pl.col("value").str.contains(_CONTAINER))
    return set(found.select("source", "pid").drop_nulls().iter_rows())


def sightings(events: Events) -> dict[tuple[int, int], int]:
    """When each process (source, number) was last read from /proc, UTC ns, where the collection states it."""
    found = take(
        events, kinds=[EventKind.FILE_ACCESSED], feeds=["fs.macb"], header=["file_path"],
        where=pl.col("file_path").str.starts_with("/proc/") & pl.col("file_path").str.contains(r"^/proc/\d+/(?:stat|status)$"),
    )  # fmt: skip
    number = pl.col("file_path").str.extract(r"^/proc/(\d+)/", 1).cast(pl.Int64, strict=False)
    last = found.group_by("source", number.alias("pid")).agg(pl.col("ts").max())
    return {(int(s), int(p)): int(t) for s, p, t in last.drop_nulls().iter_rows()}


def read_at(events: Events, path: str) -> dict[int, int]:
    """When a file of this path in its tree was read, by source."""
    found = take(
        events, kinds=[EventKind.FILE_ACCESSED], feeds=["fs.macb"], header=["file_path"], where=pl.col("file_path") == path
    )  # fmt: skip
    return {int(s): int(t) for s, t in found.group_by("source").agg(pl.col("ts").max()).drop_nulls().iter_rows()}


def odd_place(path: pl.Expr) -> pl.Expr:
    """Whether a program's path lies in a temporary or hidden folder; version managers' folders are usual."""
    return path.str.contains(TEMPORARY) | (path.str.contains(HIDDEN) & ~path.str.contains(USUAL_HIDDEN))


def starts(events: Events) -> dict[tuple[int, int], int]:
    """When each process (source, number) began, UTC ns, where its record and the boot's time are known."""
    found = facts(events, "stat").filter(pl.col("t_kind") == "started").select("source", "pid", "ts").drop_nulls()
    return {(int(s), int(p)): int(t) for s, p, t in found.iter_rows()}


def of_pids(frame: pl.DataFrame, source: int, pids: Iterable[int]) -> pl.DataFrame:
    """The rows of these processes of one source."""
    return frame.filter((pl.col("source") == source) & pl.col("pid").is_in(list(pids)))


def neighbours(view: pl.DataFrame, column: str, value: int | str) -> pl.DataFrame:
    """Of one output the rows just below and above a value that it lacks; the first row where there are none."""
    ordered = view.drop_nulls(column).sort(column, "offset", "ordinal")
    below = ordered.filter(pl.col(column) < value).tail(1)
    above = ordered.filter(pl.col(column) > value).head(1)
    near = pl.concat([below, above])
    return near if near.height else view.head(1)


def by_view(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The rows of one source by the path of the output that they stand in."""
    return {str(part["path"][0]): part for part in frame.partition_by("path", maintain_order=True)}


def called(paths: Iterable[str], language: str) -> str:
    """Outputs by the names that a reader knows: ``ps-ef``, ``/proc/net/tcp``, ``raw /proc/net/tcp``."""
    said = []
    for path in sorted({file_layer(p) for p in paths}):
        name = path.removeprefix("/@command/").removesuffix(".stdout")
        if path.startswith("/@raw/"):
            if path == "/@raw/pids.txt":
                said.append("逐个进程号探测" if language == "zh" else "the probe of every number")
                continue
            inner = path.removeprefix("/@raw/").removeprefix("files").removesuffix(".txt")
            name = f"{inner}（直接系统调用）" if language == "zh" else f"{inner} by system call"
        said.append(name)
    return names(said[:6], len(said), language)


def first_time(frame: pl.DataFrame) -> int | None:
    """The earliest time of some rows, UTC ns."""
    times = frame["ts"].drop_nulls()
    return int(times.min()) if len(times) else None  # type: ignore[arg-type]


def plain(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """A frame cut to what a citation needs and these columns."""
    wanted = dict.fromkeys([*STAND, "kind", "host", "user", *columns])
    return frame.select([c for c in wanted if c in frame.columns])
