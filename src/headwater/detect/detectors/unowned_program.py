# SPDX-License-Identifier: Apache-2.0
"""Programs in the system's folders that no package brought, and programs that run as their owner: setuid and copies.

Needs:      linux.dpkg_files or linux.rpm; fs.content; fs.macb for modes and times.
Technique:  T1548.001 setuid and setgid; T1554 compromise host software binary.
Says:       which program lies in a system folder unowned, which file has the setuid bit without a package, whose copy it is.
False when: software was installed by hand or by its own installer into the system's folders.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.frames import state, take
from headwater.detect.package_view import Packages, packages
from headwater.detect.system_view import of_same_files, within
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="unowned-program",
    version="1",
    author="Headwater",
    title=Text("不属于任何软件包的程序或特权程序", "A program, or a setuid file, that no package brought"),
    stage=Stage.PERSIST,
    techniques=("T1554", "T1548.001"),
    severity=Severity.MEDIUM,
)
CLAIMS = ("kind", "file_path", "hash", "type")
TIMES = ("kind", "file_path", "mode", "uid")
MOST = 100
_SYSTEM = r"^/(?:usr/)?(?:s?bin|libexec|lib64|lib)/"
# what tools of the system itself make there: modules built on the spot, caches, the loader's own
_MADE = r"/modules/[^/]+/(?:updates|extra|weak-updates)/|/__pycache__/|/initramfs|/udev/hwdb"
_SETUID, _EXECUTE = 0o4000, 0o111


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Setuid files first, then unowned programs, each in order of source and path."""
    modes = take(
        events, kinds=[EventKind.FILE_CHANGED, EventKind.FILE_MODIFIED], header=["file_path"], own=["mode", "uid"],
        where=(pl.col("mode").cast(pl.Int64, strict=False).fill_null(0) & _SETUID) != 0,
    )  # fmt: skip
    modes = modes.with_columns(pl.col("mode").cast(pl.Int64, strict=False))  # text where no file system states it
    regular = modes.filter((pl.col("mode") & 0o170000).is_in([0, 0o100000]) & ((pl.col("mode") & _EXECUTE) != 0))
    view = packages(events)
    yield from _setuid(events, view, regular)
    if view is not None:
        yield from _unowned(events, view, regular)


def _setuid(events: Events, view: Packages | None, modes: pl.DataFrame) -> Iterator[Finding]:
    if modes.is_empty():
        return
    paths = modes["file_path"].unique().to_list()
    held = take(
        events, kinds=[EventKind.STATE_FILE], header=["file_path", "hash"], own=["type", "md5"],
        where=pl.col("file_path").is_in(paths),
    )  # fmt: skip
    held = of_same_files(held, modes)
    if view is not None:
        mine = view.unowned().select("source", "path")
        known = view.owned.select("source", within("system")).unique()
        elsewhere = held.with_columns(within()).join(known, on=["source", "within"], how="anti").filter(
            (pl.col("within") != "") & ~pl.col("file_path").str.contains(_SYSTEM)
        )  # fmt: skip
        mine = pl.concat([mine, elsewhere.select("source", "path")])  # containers without a package database
        held = held.join(mine, on=["source", "path"], how="semi", maintain_order="left")
    else:
        held = held.filter(~pl.col("file_path").str.contains(_SYSTEM))
    copies = view.held if view is not None else held.head(0)
    for at in range(min(held.height, MOST)):
        row = held.sort("source", "path")[at : at + 1]
        path = str(row["file_path"][0])
        same = copies.filter((pl.col("hash") == row["hash"][0]) & (pl.col("file_path") != path)).sort("file_path")
        times = of_same_files(modes, row)
        owner = times["uid"][0] if times.height else None
        zh, en = (
            f"{path} 带 setuid 位（属主 {owner}），不属于任何软件包",
            f"{path} is setuid (owner {owner}) and no package brought it",
        )
        if same.height:
            zh += f"；内容与 {same['file_path'][0]} 完全相同，即其副本"
            en += f"; it is a copy of {same['file_path'][0]}"
        high = bool(same.height) or owner == 0
        yield state(
            events, RULE, row, CLAIMS, Text(zh + "。", en + "."), severity=Severity.HIGH if high else Severity.MEDIUM,
            confidence=Confidence.HIGH if same.height else Confidence.MEDIUM,
            facts={"reason": "setuid", "path": path, "copy_of": str(same["file_path"][0]) if same.height else ""},
            more=[(times, TIMES), (same.head(1), CLAIMS)], limit=20, moments=times["ts"].drop_nulls().to_list(),
        )  # fmt: skip


def _unowned(events: Events, view: Packages, modes: pl.DataFrame) -> Iterator[Finding]:
    path = pl.col("file_path")
    programs = view.unowned().filter(
        path.str.contains(_SYSTEM) & (pl.col("type") == "elf") & ~path.str.contains(_MADE)
        & ~path.is_in(modes["file_path"].unique().to_list())
    )  # fmt: skip
    owned = view.held.filter(path.str.contains(_SYSTEM) & (pl.col("type") == "elf")).height
    if programs.height * 2 > owned:
        return  # the database knows less than half of the programs: it is not this system's whole record
    wanted = programs["file_path"].unique().to_list()
    times = take(
        events, kinds=[EventKind.FILE_CHANGED, EventKind.FILE_MODIFIED], header=["file_path"], own=["mode", "uid"],
        where=path.is_in(wanted),
    )  # fmt: skip
    parts = programs.sort("source", "path").partition_by("source", "hash", maintain_order=True)
    for part in parts[:MOST]:
        first = str(part["file_path"][0])
        mine = of_same_files(times, part)
        zh = f"{first} 位于系统程序目录而不属于任何软件包；软件包数据库与文件同盘，不是独立的佐证。"
        en = f"{first} lies in a system folder and no package brought it; the package database is no independent witness."
        yield state(
            events, RULE, part, CLAIMS, Text(zh, en), severity=Severity.LOW, confidence=Confidence.LOW,
            facts={"reason": "unowned", "path": first, "copies": part.height}, more=[(mine, TIMES)], limit=20,
            moments=mine["ts"].drop_nulls().to_list(),
        )  # fmt: skip
