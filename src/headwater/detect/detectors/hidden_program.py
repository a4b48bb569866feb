# SPDX-License-Identifier: Apache-2.0
"""Running programs that no file stands behind any more, that lie where none belongs, or that pass for the kernel's own.

Needs:      the exe links of /proc in a live collection (fs.macb), live.proc_pid for names and command lines.
Technique:  T1620 reflective code loading (memfd); T1070.004 file deletion; T1036.004 masquerading as a task or service;
            T1036.005 match a legitimate location.
Says:       which process runs which program, and that it was deleted, is in memory alone, in a temporary or hidden folder, or
            bears a kernel thread's name.
False when: a service runs on after its package was upgraded (told as low); container engines run themselves from memory; build and
            test programs run from temporary folders.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from headwater.detect.commands import excerpt
from headwater.detect.frames import state
from headwater.detect.live_view import (
    LINK_CLAIMS,
    PID_CLAIMS,
    SYSTEM,
    collected,
    contained,
    facts,
    odd_place,
    of_pids,
    programs,
    starts,
)
from headwater.model.kinds import Confidence, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

RULE = Rule(
    id="hidden-program",
    version="1",
    author="Headwater",
    title=Text(
        "正在运行而文件已不在、藏匿或冒名的程序", "A running program that is gone, hidden or under a false name"
    ),
    stage=Stage.COVER,
    techniques=("T1620", "T1070.004", "T1036.004", "T1036.005"),
    severity=Severity.HIGH,
)
MOST = 100
_KERNEL = (
    r"^\[?(?:kworker/|ksoftirqd/|kthreadd\]?$|migration/|rcu_|kswapd\d|watchdog/|kdevtmpfs|khugepaged|jbd2/|scsi_eh_)"
)
# container engines copy themselves into memory so that a container cannot overwrite them (runc, CVE-2019-5736)
_ENGINES = r"^/memfd:runc_cloned:|^/memfd:(?:crun|lxc|conmon)"
_REASONS: dict[str, tuple[str, str, str, Severity]] = {
    "memory": ("只存在于内存中（memfd），磁盘上从无此文件", "lives in memory alone (memfd); no disk ever held it", "T1620", Severity.HIGH),
    "false-name": (
        "以内核线程的名义出现，却是用户空间的程序", "bears the name of a kernel thread and is a program", "T1036.004", Severity.HIGH,
    ),
    "deleted-odd": (
        "程序文件已被删除，其所在为临时或隐藏目录", "its file was deleted from a temporary or hidden folder", "T1070.004", Severity.HIGH,
    ),
    "odd-place": ("程序位于临时或隐藏目录", "its program lies in a temporary or hidden folder", "T1036.005", Severity.MEDIUM),
    "deleted": ("程序文件已被删除", "its file was deleted", "T1070.004", Severity.MEDIUM),
    "replaced": (
        "程序文件已被替换或删除；软件包升级后未重启的服务即是如此",
        "its file was replaced or deleted, as is usual of a service not restarted after an upgrade", "T1070.004", Severity.LOW,
    ),
}  # fmt: skip


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """By source and process; processes of one program and reason are one finding."""
    if not collected(events):
        return
    every = programs(events)
    stated = facts(events, "status", "cmdline")
    inside, began = contained(events), starts(events)
    every = _reasoned(every, stated)
    for part in every.filter(pl.col("reason").is_not_null()).partition_by(
        "source", "target", "reason", maintain_order=True
    )[:MOST]:
        yield _finding(events, part, stated, inside, began)


def _reasoned(every: pl.DataFrame, stated: pl.DataFrame) -> pl.DataFrame:
    """Each exe link with the reason to tell of it, or null."""
    status = stated.filter(pl.col("fact") == "status").select("source", "pid", "process").unique(["source", "pid"])
    line = stated.filter(pl.col("fact") == "cmdline").select("source", "pid", pl.col("program").alias("argument"))
    joined = every.join(status, on=["source", "pid"], how="left", maintain_order="left")
    joined = joined.join(line.unique(["source", "pid"]), on=["source", "pid"], how="left", maintain_order="left")
    program, gone = pl.col("program"), pl.col("gone")
    odd = odd_place(program)
    posing = pl.col("process").str.contains(_KERNEL) | pl.col("argument").str.contains(_KERNEL)
    memory = program.str.starts_with("/memfd:")
    return joined.with_columns(
        pl.when(program.str.contains(_ENGINES)).then(None)
        .when(memory).then(pl.lit("memory"))
        .when(posing.fill_null(False)).then(pl.lit("false-name"))
        .when(gone & odd).then(pl.lit("deleted-odd"))
        .when(gone & program.str.contains(SYSTEM)).then(pl.lit("replaced"))
        .when(gone).then(pl.lit("deleted"))
        .when(odd).then(pl.lit("odd-place"))
        .alias("reason")
    )  # fmt: skip


def _finding(
    events: Events,
    part: pl.DataFrame,
    stated: pl.DataFrame,
    inside: set[tuple[int, int]],
    began: dict[tuple[int, int], int],
) -> Finding:
    reason, target, source = str(part["reason"][0]), str(part["target"][0]), int(part["source"][0])
    zh_why, en_why, technique, severity = _REASONS[reason]
    pids = part["pid"].drop_nulls().to_list()
    known = of_pids(stated, source, pids)
    name = next(iter(known["process"].drop_nulls()), "?")
    line = next(iter(known["command_line"].drop_nulls()), "")
    if pids and all((source, p) in inside for p in pids):
        zh_why, en_why = zh_why + "；进程在容器中", en_why + "; the process is in a container"
        severity = Severity.LOW if severity != Severity.HIGH else Severity.MEDIUM
    many = len(pids)
    zh = (
        f"进程 {pids[0]}（{name}" + (f"，命令行“{excerpt(str(line))}”" if line else "") + f"）正运行 {target}：{zh_why}"
    )
    en = (
        f"Process {pids[0]} ({name}"
        + (f", command line {excerpt(str(line))!r}" if line else "")
        + f") runs {target}: {en_why}"
    )
    if many > 1:
        zh, en = f"{zh}；另有 {many - 1} 个进程运行同一程序", f"{en}; {many - 1} more processes run the same program"
    rule = Rule(
        RULE.id, RULE.version, RULE.author, RULE.title, RULE.stage,
        (technique, *(t for t in RULE.techniques if t != technique)), severity,
    )  # fmt: skip
    values: dict[str, Value] = {"reason": reason, "program": target, "pid": pids[0], "processes": many}
    sure = reason in ("memory", "false-name", "deleted-odd")
    return state(
        events, rule, part, LINK_CLAIMS, Text(zh + "。", en + "."), severity=severity,
        confidence=Confidence.HIGH if sure else Confidence.MEDIUM if severity != Severity.LOW else Confidence.LOW,
        facts=values, more=[(known, PID_CLAIMS)], limit=20, moments=[began[source, p] for p in pids if (source, p) in began],
    )  # fmt: skip
