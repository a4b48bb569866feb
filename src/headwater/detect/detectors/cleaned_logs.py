# SPDX-License-Identifier: Apache-2.0
"""Cleaned logs: zeroed login records, missing rotations, missing logs, histories and logs linked to nothing.

Needs:      gaps of linux.wtmp and linux.btmp; fs.macb for names, links and sizes; log.cleared.
Technique:  T1070.002 clear system logs; T1070.003 clear command history.
Says:       where records were overwritten with zeros between others; which number of a rotation is not there.
False when: a crash left zeros at the end of a file (told as low); a collector left files out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from headwater.detect.frames import gap_citations, names, state, take
from headwater.detect.system_view import within
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, EventKind, GapReason, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.paths import file_layer
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="cleaned-logs",
    version="2",
    author="Headwater",
    title=Text("日志或历史记录被清理", "Logs or histories were cleaned"),
    stage=Stage.COVER,
    techniques=("T1070.002",),
    severity=Severity.HIGH,
)
HISTORY = Rule(
    id="history-to-nothing",
    version="1",
    author="Headwater",
    title=Text("命令历史被指向空设备", "A shell history linked to nothing"),
    stage=Stage.COVER,
    techniques=("T1070.003",),
    severity=Severity.MEDIUM,
)
_ZEROED = ("linux.wtmp", "linux.btmp")
_LISTED = 8  # numbers in a sentence; the facts have all
_SECURITY = lazy_regex(r"/(?:auth\.log|secure|syslog|messages|wtmp|btmp|audit\.log|lastlog|daemon\.log|kern\.log)$")
_ROTATED = lazy_regex(r"^(/(?:var/log|www/wwwlogs)/.+?)\.(\d{1,3})(?:\.(?:gz|xz|bz2|zst))?$")
_HISTORY = r"/\.(?:bash|zsh|sh|ash|mysql|python|lesshst)_?(?:history)?$"
CLAIMS = ("kind", "file_path", "target", "size", "allocated")


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Zeroed records, then rotations, links and cleared logs, each by source and path."""
    yield from _zeroed(events)
    files = take(
        events,
        kinds=[EventKind.FILE_MODIFIED, EventKind.FILE_CHANGED],
        header=["file_path", "host"],
        own=["size", "allocated", "target"],
        where=pl.col("file_path").str.contains(r"^/(?:var/log|www/wwwlogs)/|history$"),
    )
    there = files.filter((pl.col("allocated").cast(pl.String) != "false").fill_null(True))
    for part in there.with_columns(within()).partition_by("source", "within", maintain_order=True):
        yield from _rotations(events, part.drop("within"), files)
        yield from _links(events, part)
    cleared = take(events, kinds=[EventKind.LOG_CLEARED], header=["user", "host"], own=["message"])
    for part in cleared.partition_by("source", "path", maintain_order=True):
        text = Text(
            f"{file_layer(part['path'][0])} 记载日志被清除 {part.height} 次。",
            f"{file_layer(part['path'][0])} records that a log was cleared {part.height} times.",
        )
        yield state(
            events, RULE, part, ("kind", "user", "message"), text,
            severity=Severity.MEDIUM, confidence=Confidence.HIGH, facts={"reason": "cleared"},
        )  # fmt: skip


def _zeroed(events: Events) -> Iterator[Finding]:
    gaps = events.gaps().collect().filter(
        (pl.col("reason") == GapReason.OVERWRITTEN.value) & pl.col("feed").is_in(list(_ZEROED))
    )  # fmt: skip
    if gaps.is_empty():
        return
    records = take(events, feeds=list(_ZEROED), header=["user", "src_ip"], own=["line"])
    for part in gaps.sort("source", "path", "offset").partition_by("source", "path", maintain_order=True):
        path, source = part["path"][0], part["source"][0]
        own = records.filter((pl.col("path") == path) & (pl.col("source") == source)).sort("offset")
        last = own["offset"].max()
        inner = part.filter(pl.col("offset") < pl.lit(last)) if last is not None else part.head(0)
        size = int(part["length"].sum())
        name = file_layer(path)
        if inner.height:
            size = int(inner["length"].sum())
            start = int(inner["offset"][0])
            zh = f"{name} 中有 {size} 字节的登录记录被零覆写（起于偏移 {start}），"
            zh += "其后的记录完好，符合用清理工具抹除登录记录的特征。"
            en = f"In {name} {size} bytes of login records are overwritten with zeros (from offset {start})"
            en += " before intact records, as log cleaners leave them."
            around = pl.concat(
                [own.filter(pl.col("offset") < start).tail(1), own.filter(pl.col("offset") > start).head(1)]
            )
            severity, confidence = Severity.HIGH, Confidence.HIGH
        else:
            zh = f"{name} 末尾有 {size} 字节为零，其后再无记录；异常断电也会如此，不能据此认定被清理。"
            en = f"{name} ends in {size} zero bytes; a power failure leaves the same, so this alone proves no cleaning."
            around, severity, confidence = own.tail(1), Severity.LOW, Confidence.LOW
        yield state(
            events, RULE, around, ("kind", "user", "line", "src_ip"), Text(zh, en),
            severity=severity, confidence=confidence, gaps=gap_citations(inner if inner.height else part),
            # the neighbours' times bound the records that are gone, not the act of cleaning
            facts={"reason": "zeroed", "bytes": size, "path": name}, user=None, src_ip=None, moments=(),
        )  # fmt: skip


def _rotations(events: Events, there: pl.DataFrame, every: pl.DataFrame) -> Iterator[Finding]:
    """Numbers of a rotation that are not there though higher ones are, and logs gone beside their rotations."""
    numbers: dict[str, set[int]] = {}
    for path in there["file_path"].unique().to_list():
        match = _ROTATED.match(path)
        if match:
            numbers.setdefault(match.group(1), set()).add(int(match.group(2)))
    paths = set(there["file_path"].to_list())
    for base, held in sorted(numbers.items()):
        # logrotate counts from 1 (or 0 with "start 0"): https://man7.org/linux/man-pages/man8/logrotate.8.html
        missing = sorted(set(range(1, max(held))) - held)
        security = bool(_SECURITY.search(base))
        gone = security and base not in paths and max(held) < 100
        if not missing and not gone:
            continue
        rows = there.filter(pl.col("file_path").str.contains(rf"^{re.escape(base)}\.\d"))
        rows = rows.unique(["file_path"], keep="first", maintain_order=True).sort("file_path")
        parts_zh, parts_en = [], []
        if missing:
            some, be = [f".{n}" for n in missing[:_LISTED]], "is" if len(missing) == 1 else "are"
            parts_zh.append(f"{base} 的轮转文件缺少 {names(some, len(missing), 'zh')}，而编号更大的 .{max(held)} 仍在")
            parts_en.append(
                f"of the rotations of {base}, {names(some, len(missing), 'en')} {be} missing while .{max(held)} is there"
            )
        if gone:
            parts_zh.append(f"{base} 本身不存在，而其轮转文件仍在")
            parts_en.append(f"{base} itself is gone while its rotations are there")
        en = "; ".join(parts_en)
        yield state(
            events, RULE, rows, CLAIMS, Text("；".join(parts_zh) + "。", en[0].upper() + en[1:] + "."),
            severity=Severity.MEDIUM if security else Severity.LOW,
            confidence=Confidence.MEDIUM if security else Confidence.LOW,
            facts={"reason": "rotation", "path": base, "missing": ",".join(map(str, missing))}, moments=(),
        )  # fmt: skip


def _links(events: Events, there: pl.DataFrame) -> Iterator[Finding]:
    linked = there.filter((pl.col("target").cast(pl.String) == "/dev/null").fill_null(False))
    for row in linked.unique("file_path", keep="first", maintain_order=True).iter_slices(1):
        path = str(row["file_path"][0])
        history = path.endswith("history")
        if not history and not _SECURITY.search(path):
            continue
        zh = f"{path} 是指向 /dev/null 的链接，此后的{'命令历史' if history else '日志'}不会留存。"
        en = f"{path} is a link to /dev/null: what was written to it since is not kept."
        yield state(
            events, HISTORY if history else RULE, row, CLAIMS, Text(zh, en),
            severity=Severity.MEDIUM if history else Severity.HIGH, confidence=Confidence.HIGH,
            facts={"reason": "link", "path": path},
        )  # fmt: skip
