# SPDX-License-Identifier: Apache-2.0
"""Files that the kernel, or the raw disk of the same host, has and the server's own ls leaves out.

Needs:      live.ls, with live.raw_names of the same collection, or fs.macb of an image of the same host (its /etc/machine-id
            holds the same by fs.content).
Technique:  T1564.001 hidden files; T1014 rootkit; T1574.006 a preloaded library that answers for readdir.
Says:       which name which listing leaves out; that it was there before ls by the file's own times, where they are known.
False when: it was made between the two listings; folders where files come and go weigh less; a file system mounted over a folder of
            the image is left out of the comparison.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.frames import state, take
from headwater.detect.live_view import collected, neighbours, plain, rows
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

RULE = Rule(
    id="hidden-file",
    version="1",
    author="Headwater",
    title=Text("被隐藏的文件", "A hidden file"),
    stage=Stage.COVER,
    techniques=("T1564.001", "T1014", "T1574.006"),
    severity=Severity.HIGH,
)
CLAIMS = ("kind", "file_path", "folder", "name", "inode")
TIMES = ("kind", "file_path", "inode")
_NUMBERS = ("/proc", "/sys/module")  # what is listed there are processes and modules: other detectors compare them
_BUSY = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/dev")  # noqa: S108 - names of folders to compare
_MADE = [EventKind.FILE_CREATED, EventKind.FILE_CHANGED]
MOST = 50


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """By source and path: what system calls show first, then what the disk shows."""
    if not collected(events):
        return
    own = ["folder", "name", "inode", "listed_ns"]
    listed = _listings(events, "live.ls", own)
    if listed.is_empty():
        return
    raw = _listings(events, "live.raw_names", own)
    for source in listed["source"].unique().sort().to_list():
        mine = listed.filter(pl.col("source") == source)
        held = raw.filter(pl.col("source") == source)
        yield from _past_library(events, mine, held)
        yield from _on_disk(events, mine, held, source)


def _listings(events: Events, feed: str, own: list[str]) -> pl.DataFrame:
    found = take(
        events, kinds=[EventKind.STATE_LISTED], feeds=[feed], header=["file_path"], own=[*own, "incomplete"],
        where=pl.col("file_path").is_not_null() & pl.col("folder").is_not_null() & ~pl.col("folder").is_in(_NUMBERS),
    )  # fmt: skip
    return found.filter(pl.col("incomplete").is_null()).drop("incomplete").sort("source", "path", "offset")


def _past_library(events: Events, mine: pl.DataFrame, held: pl.DataFrame) -> Iterator[Finding]:
    folders = mine.select("folder").unique()
    lacking = held.join(folders, on="folder", how="semi").join(mine, on="file_path", how="anti")
    lacking = lacking.sort("file_path").unique("file_path", keep="first", maintain_order=True)
    if lacking.is_empty():
        return
    source = lacking["source"][0]
    times = take(
        events, kinds=_MADE, feeds=["fs.macb"], header=["file_path"], own=["inode"],
        where=pl.col("file_path").is_in(lacking["file_path"].to_list()) & (pl.col("source") == source),
    )  # fmt: skip
    for row in lacking.head(MOST).iter_slices(1):
        path, folder = str(row["file_path"][0]), str(row["folder"][0])
        view = mine.filter(pl.col("folder") == folder)
        stood = times.filter(pl.col("file_path") == path)
        weight = _weigh(folder, stood, view)
        if weight is None:
            continue
        zh = f"{path} 在绕过 C 库的系统调用清单中存在，而服务器自身 ls 对 {folder} 的输出中没有{_proof(weight, 'zh')}。"
        en = f"{path} stands in the listing by system call and not in what the server's own ls printed of {folder}"
        values: dict[str, Value] = {"reason": "library", "path": path, "folder": folder, "hidden": lacking.height}
        yield state(
            events, RULE, plain(row, CLAIMS), CLAIMS, Text(zh, f"{en}{_proof(weight, 'en')}."), severity=weight[0],
            confidence=weight[1], facts=values, more=[(stood, TIMES), (plain(_near(view, row), CLAIMS), CLAIMS)],
            moments=stood["ts"].drop_nulls().to_list(),
        )  # fmt: skip


def _near(view: pl.DataFrame, row: pl.DataFrame) -> pl.DataFrame:
    return neighbours(view, "name", str(row["name"][0]))


def _weigh(folder: str, stood: pl.DataFrame, view: pl.DataFrame) -> tuple[Severity, Confidence] | None:
    """How far it is proved that the file was there when ls ran; None where it was made or changed afterwards."""
    made, ran = stood["ts"].drop_nulls(), view["listed_ns"].cast(pl.Int64, strict=False).max()
    if len(made) and isinstance(ran, int):
        return (Severity.HIGH, Confidence.HIGH) if int(made.max()) <= ran else None  # type: ignore[arg-type]
    if folder.startswith(_BUSY):
        return Severity.MEDIUM, Confidence.LOW
    return Severity.HIGH, Confidence.MEDIUM


def _proof(weight: tuple[Severity, Confidence], language: str) -> str:
    if weight[1] == Confidence.HIGH:
        zh, en = "；其自身时间早于 ls 的运行，当时已经存在", "; by its own times it was there before ls ran"
    elif weight[1] == Confidence.LOW:
        zh, en = (
            "；该目录中文件常有增减，它可能在两份清单之间产生",
            "; files come and go there, so it may have been made between the two",
        )
    else:
        return ""
    return zh if language == "zh" else en


def _same_host(events: Events, source: int) -> list[int]:
    """The other sources whose /etc/machine-id holds the same as this one's."""
    ids = take(
        events, kinds=[EventKind.STATE_FILE], header=["file_path", "hash"], where=pl.col("file_path") == "/etc/machine-id"
    ).drop_nulls("hash")  # fmt: skip
    mine = ids.filter(pl.col("source") == source)["hash"].to_list()
    others = ids.filter((pl.col("source") != source) & pl.col("hash").is_in(mine))
    return [int(s) for s in others["source"].unique().sort().to_list()]


def _on_disk(events: Events, mine: pl.DataFrame, held: pl.DataFrame, source: int) -> Iterator[Finding]:
    """Names in the same folders of the disk, by our own reader, that neither ls nor the running kernel showed."""
    images = _same_host(events, source)
    folders = _unmounted(events, mine["folder"].unique().sort().to_list(), source)
    ran = _ran(events, source)
    if not images or not folders or ran is None:
        return
    parent = pl.col("file_path").str.extract(r"^(.*)/[^/]+$", 1)
    disk = take(
        events, kinds=[EventKind.FILE_CHANGED], feeds=["fs.macb"], header=["file_path"], own=["inode", "allocated"],
        where=pl.col("source").is_in(images) & pl.when(parent == "").then(pl.lit("/")).otherwise(parent).is_in(folders),
    )  # fmt: skip
    there = disk.filter((pl.col("allocated").cast(pl.String) != "false").fill_null(True) & (pl.col("ts") < ran))
    lacking = there.join(mine, on="file_path", how="anti")
    for row in (
        lacking.sort("source", "file_path")
        .unique(["source", "file_path"], keep="first", maintain_order=True)
        .head(MOST)
        .iter_slices(1)
    ):
        path = str(row["file_path"][0])
        folder, _, name = path.rpartition("/")
        view = mine.filter(pl.col("folder") == (folder or "/"))
        kernel = bool(held["file_path"].eq(path).any())
        zh = f"原始磁盘（检材 {row['source'][0]}）上有 {path}，其状态变更时间早于现场 ls 的运行，而 ls 的输出中没有"
        en = f"The raw disk (evidence {row['source'][0]}) has {path}, last changed before ls ran on the live system, and ls left it out"
        if not kernel and held["folder"].eq(folder or "/").any():
            zh, en = zh + "，运行中内核的清单中也没有", en + ", as did the running kernel's own listing"
        near = neighbours(view, "name", name)
        yield state(
            events, RULE, row, TIMES, Text(zh + "。", en + "."), severity=Severity.HIGH, confidence=Confidence.MEDIUM,
            facts={"reason": "disk", "path": path}, more=[(plain(near, CLAIMS), CLAIMS)],
        )  # fmt: skip


def _ran(events: Events, source: int) -> int | None:
    """When the collection's commands were run, by the earliest time that any of them states."""
    kinds = [EventKind.STATE_PROCESS, EventKind.STATE_SOCKET, EventKind.STATE_HOST, EventKind.STATE_MOUNT]
    found = take(
        events, kinds=kinds, feeds=[f for f in events.feeds() if f.startswith("live.")],
        where=(pl.col("source") == source) & (pl.col("t_kind") == "captured"),
    )["ts"].drop_nulls()  # fmt: skip
    return int(found.min()) if len(found) else None  # type: ignore[arg-type]


def _unmounted(events: Events, folders: list[str], source: int) -> list[str]:
    """The folders that lie on the root file system, by the collection's own mounts; none where those are not known."""
    mounts = rows(events, ["live.mounts"], ["file_system"], EventKind.STATE_MOUNT, pl.col("source") == source)
    taken = take(events, kinds=[EventKind.STATE_MOUNT], header=["file_path"], where=pl.col("source") == source)
    if mounts.is_empty():
        return []
    points = {str(p).rstrip("/") for p in taken["file_path"].drop_nulls().to_list()} - {""}
    return [f for f in folders if not any(f == p or f.startswith(p + "/") for p in points)]
