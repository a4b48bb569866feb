# SPDX-License-Identifier: Apache-2.0
"""Files of packages that hold something else than the package database states, and programs of packages that are gone.

Needs:      linux.dpkg_files, linux.dpkg_status or linux.rpm; fs.content; fs.macb for the file's times.
Technique:  T1554 compromise host software binary; T1556.003 pluggable authentication modules; T1574 hijack execution flow.
Says:       which file of which package differs, by digest, and when it was last changed.
            What is missing is told of whole systems alone: a live collection, or a tree that lacks most of its programs
            and shows no deletion of them, never held them.
False when: an administrator replaced a file by hand, a program updates itself, prelink rewrote a program.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.frames import names, state, take
from headwater.detect.package_view import Packages, absent, content_rows, differing, packages, replaced
from headwater.detect.system_view import of_same_files
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="package-file-changed",
    version="1",
    author="Headwater",
    title=Text("软件包文件被改动或缺失", "A file of a package was changed or is missing"),
    stage=Stage.PERSIST,
    techniques=("T1554",),
    severity=Severity.HIGH,
)
OWNED = ("kind", "file_path", "md5", "sha256", "package")
NOW = ("kind", "file_path", "md5", "hash", "type")
MOST = 100  # findings of changed files; the rest is counted
_PROGRAM = r"^/(?:usr/)?(?:s?bin|libexec|lib|lib32|lib64|libx32)/|/pam_[^/]+\.so$"
_PRELINK = "/etc/prelink.cache"
_WITNESS = (
    "软件包数据库与文件同在一块磁盘上，不是独立的佐证",
    "the package database lies on the same disk and is no independent witness",
)


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Changed files in order of source and path, then one finding of what is missing for each system."""
    view = packages(events)
    if view is None:
        return
    joined = view.joined()
    changed = differing(joined).sort("source", "path_now", "ordinal")
    for (_source, _system), part in changed.group_by(["source", "system"], maintain_order=True):
        known = joined.filter(
            (pl.col("source") == _source) & (pl.col("system") == _system) & pl.col("md5_now").is_not_null()
        ).height
        if part.height > 40 and part.height * 5 > known:
            yield _foreign(events, part, known)
            continue
        rows = part.unique(["source", "place"], keep="first", maintain_order=True)
        wanted = rows["file_path_now"].drop_nulls().to_list()
        mine = (pl.col("source") == _source) & (pl.col("system") == _system)
        prelinked = not view.held.filter(mine & (pl.col("file_path") == _PRELINK)).is_empty()
        times = take(
            events, kinds=[EventKind.FILE_MODIFIED, EventKind.FILE_CHANGED], header=["file_path"], own=["uid", "mode"],
            where=pl.col("file_path").is_in(wanted),
        )  # fmt: skip
        for at in range(min(rows.height, MOST)):
            yield _changed(events, rows[at : at + 1], times, max(0, rows.height - MOST), prelinked)
    yield from _missing(events, absent(joined), joined)
    yield from _replaced(events, view)


def _changed(events: Events, row: pl.DataFrame, times: pl.DataFrame, beyond: int, prelinked: bool) -> Finding:
    path, package, kind = str(row["file_path_now"][0]), row["package"][0], str(row["type"][0])
    mine = of_same_files(
        times, row.select("source", pl.col("path_now").alias("path"), pl.col("file_path_now").alias("file_path"))
    )
    prelinked = prelinked and kind == "elf"
    strong = bool(pl.Series([path]).str.contains(_PROGRAM)[0]) and kind in {"elf", "script"} and not prelinked
    zh = f"{path}（软件包 {package}）的内容与软件包数据库所记的校验值不同；{_WITNESS[0]}。"
    en = f"{path} (package {package}) differs from the digest in the package database; {_WITNESS[1]}."
    if prelinked:
        zh += f"该系统有 {_PRELINK}：prelink 会改写程序，须先还原（prelink --undo）再比对。"
        en += f" The system has {_PRELINK}: prelink rewrites programs, which must be undone before they are compared."
    return state(
        events, RULE, row, OWNED, Text(zh, en), severity=Severity.HIGH if strong else Severity.MEDIUM,
        confidence=Confidence.HIGH if strong else Confidence.MEDIUM,
        facts={"reason": "changed", "path": path, "package": package, "type": kind} | ({"beyond": beyond} if beyond else {}),
        more=[(content_rows(row), NOW), (mine, ("kind", "file_path", "uid", "mode"))], limit=20,
        moments=mine["ts"].drop_nulls().to_list(),
    )  # fmt: skip


def _foreign(events: Events, part: pl.DataFrame, known: int) -> Finding:
    zh = f"软件包数据库所记的 {known} 个文件中有 {part.height} 个不符：该数据库很可能不属于此系统，不能据此判断改动。"
    en = f"{part.height} of {known} files differ from the package database: it hardly belongs to this system and proves nothing."
    return state(
        events, RULE, part.head(20), OWNED, Text(zh, en), severity=Severity.LOW, confidence=Confidence.LOW,
        facts={"reason": "foreign", "differ": part.height, "known": known}, limit=20, moments=(),
    )  # fmt: skip


def _missing(events: Events, gone: pl.DataFrame, joined: pl.DataFrame) -> Iterator[Finding]:
    programs = gone.filter(pl.col("file_path").str.contains(_PROGRAM)).sort("source", "system", "file_path")
    for (_source, _system), part in programs.group_by(["source", "system"], maintain_order=True):
        whole = joined.filter((pl.col("source") == _source) & (pl.col("system") == _system)).height
        most = part.height * 2 > whole
        if _collected(events, int(str(_source))) or (most and not _deleted(events, int(str(_source)))):
            continue
        shown = part["file_path"].head(5).to_list()
        zh = f"软件包数据库所列程序目录中的 {part.height} 个文件不在（共列 {whole} 个）：{names(shown, part.height, 'zh')}"
        en = f"{part.height} files of program folders in the package database are not there ({whole} listed): "
        en += names(shown, part.height, "en")
        if most:
            zh += "；缺失过半，且有程序目录中的文件被删除的记录"
            en += "; more than half are gone, and deletions in program folders are on record"
        yield state(
            events, RULE, part.head(20), OWNED, Text(zh + "。", en + "."), severity=Severity.LOW,
            confidence=Confidence.LOW, facts={"reason": "missing", "files": part.height, "listed": whole}, limit=20,
            moments=(),
        )  # fmt: skip


def _collected(events: Events, source: int) -> bool:
    """Whether an item is a live collection: it holds outputs of a running system, and files only as they were asked for."""
    live = [
        f for f in events.feeds() if f.startswith("live.") and f != "live.firewall"
    ]  # that one reads rules in /etc too
    if not live:
        return False
    return bool(events.scan(feeds=live).filter(pl.col("source") == source).head(1).collect().height)


def _deleted(events: Events, source: int) -> bool:
    """Whether the item tells of files deleted from program folders."""
    rows = take(
        events, kinds=[EventKind.FILE_DELETED], header=["file_path"],
        where=(pl.col("source") == source) & pl.col("file_path").str.contains(_PROGRAM),
    )  # fmt: skip
    return rows.height > 0


def _replaced(events: Events, view: Packages) -> Iterator[Finding]:
    """Programs in the place of a package's own that an administrator's diversion moved away."""
    rows = replaced(view).filter(
        pl.col("file_path_now").str.contains(_PROGRAM) & pl.col("type").is_in(["elf", "script"])
    )
    for at in range(min(rows.height, MOST)):
        row = rows.sort("source", "path_now", "ordinal")[at : at + 1]
        path, target = str(row["file_path_now"][0]), str(row["target"][0])
        zh = f"{path} 由本机自设的 dpkg 转移（dpkg-divert --local）取代软件包的同名文件，原文件移至 {target}；不属于任何软件包。"
        en = f"{path} stands in the place of a package's file by a local diversion (dpkg-divert --local), which moved that to {target};"
        en += " no package brought it."
        yield state(
            events, RULE, row, ("kind", "file_path", "target"), Text(zh, en), severity=Severity.LOW,
            confidence=Confidence.LOW, facts={"reason": "diverted", "path": path, "target": target},
            more=[(content_rows(row), NOW)], limit=20, moments=(),
        )  # fmt: skip
