# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S108 (paths that are looked for, not used)
"""Programs that logs saw running from memory, from /dev/shm, or from a file that was already deleted.

Needs:      process.create with its image (linux.audit), ``_EXE`` of linux.journal. The same of a live system: ``hidden-program``.
Technique:  T1620 reflective code loading (memfd); T1070.004 file deletion; T1036.005 a place where no program belongs.
Says:       which account ran what, and how the kernel named the program's file: in memory alone, deleted from a temporary folder, or
            in /dev/shm. It does not say what the program did; its content is only in memory, if anywhere.
False when: container engines run themselves from memory (runc, crun and conmon are passed over); a build or test program deletes itself;
            a database or a browser keeps a helper in /dev/shm.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.commands import excerpt, quoted
from headwater.detect.frames import account_zh, one, state, take
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="memory-program",
    version="1",
    author="Headwater",
    title=Text("自内存或已删除文件运行的程序", "A program that ran from memory or from a deleted file"),
    stage=Stage.COVER,
    techniques=("T1620", "T1070.004", "T1036.005"),
    severity=Severity.HIGH,
)
CLAIMS = ("kind", "user", "uid", "Image", "_EXE", "CommandLine", "command_line")
_OWN = ("Image", "_EXE", "CommandLine", "uid")
_ENGINES = r"^/memfd:(?:runc_cloned:|crun|lxc|conmon)|^/(?:proc/self|proc/\d+)/(?:exe|fd/\d+) ?(?:\(deleted\))?$"
_TEMPORARY = r"^/(?:tmp|var/tmp|dev/shm|run/user)/|/\.[A-Za-z0-9_]"
_WORDS = {
    "memory": ("只存在于内存中（memfd）", "is in memory alone (memfd)", "T1620", Severity.HIGH),
    "deleted": ("运行时其文件已自临时或隐藏目录删除", "had been deleted from a temporary or hidden folder", "T1070.004", Severity.HIGH),
    "shm": ("位于 /dev/shm", "lies in /dev/shm", "T1036.005", Severity.MEDIUM),
}  # fmt: skip
_MOST = 100


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """By source, program and account; each program and account once, at most 100."""
    rows = pl.concat([_audited(events), _journaled(events)], how="diagonal_relaxed")
    image = pl.col("image")
    rows = rows.filter(~image.str.contains(_ENGINES)).with_columns(
        pl.when(image.str.starts_with("/memfd:")).then(pl.lit("memory"))
        .when(image.str.ends_with("(deleted)") & image.str.contains(_TEMPORARY)).then(pl.lit("deleted"))
        .when(image.str.starts_with("/dev/shm/")).then(pl.lit("shm"))
        .alias("reason")
    ).drop_nulls("reason")  # fmt: skip
    rows = rows.with_columns(pl.coalesce(pl.col("user"), pl.col("uid").cast(pl.String)).alias("who"))
    rows = rows.sort("source", "image", "who", "ts", "path", "offset", nulls_last=True)
    for part in rows.partition_by("source", "image", "who", maintain_order=True)[:_MOST]:
        yield _finding(events, part)


def _audited(events: Events) -> pl.DataFrame:
    image = pl.col("Image").cast(pl.String)
    rows = take(
        events, kinds=[EventKind.PROCESS_CREATE], header=["user", "host", "command_line"], own=_OWN,
        where=image.str.starts_with("/memfd:") | image.str.starts_with("/dev/shm/") | image.str.ends_with("(deleted)"),
    )  # fmt: skip
    return rows.with_columns(pl.col("Image").cast(pl.String).alias("image"), pl.col("uid").cast(pl.String))


def _journaled(events: Events) -> pl.DataFrame:
    """Messages by programs whose file the journal names so; of the kinds that are no process, else they would count twice."""
    if "linux.journal" not in events.feeds():
        return _audited(events).head(0)
    image = pl.col("_EXE").cast(pl.String)
    rows = take(
        events, feeds=["linux.journal"], header=["user", "host", "command_line"], own=_OWN,
        where=image.str.starts_with("/memfd:") | image.str.starts_with("/dev/shm/") | image.str.ends_with("(deleted)"),
    )  # fmt: skip
    return rows.with_columns(pl.col("_EXE").cast(pl.String).alias("image"), pl.col("uid").cast(pl.String))


def _finding(events: Events, part: pl.DataFrame) -> Finding:
    reason, image = str(part["reason"][0]), str(part["image"][0])
    zh_why, en_why, technique, severity = _WORDS[reason]
    lines = (
        pl.concat([part["CommandLine"].cast(pl.String), part["command_line"]])
        .drop_nulls()
        .unique(maintain_order=True)
        .to_list()
    )
    who, count = part["who"][0], part.height
    zh = f"日志记载{account_zh(who)}运行程序 {excerpt(image)}（{count} 条记录），该程序{zh_why}"
    en = (
        f"Logs say that {who or 'an account not recorded'} ran {excerpt(image)} ({count} records); the program {en_why}"
    )
    if lines:
        zh, en = f"{zh}；命令行：{quoted(lines, 'zh')}", f"{en}; command lines: {quoted(lines, 'en')}"
    rule = Rule(
        RULE.id, RULE.version, RULE.author, RULE.title, RULE.stage,
        (technique, *(t for t in RULE.techniques if t != technique)), severity,
    )  # fmt: skip
    return state(
        events, rule, part, CLAIMS, Text(zh + "。", en + "."), severity=severity,
        confidence=Confidence.HIGH if severity is Severity.HIGH else Confidence.MEDIUM,
        facts={"reason": reason, "program": image, "records": count}, limit=20, user=one(part, "user"),
    )  # fmt: skip
