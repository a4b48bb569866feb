# SPDX-License-Identifier: Apache-2.0
"""Logs and shell histories that were deleted or cut to nothing, as the file system's journal remembers them.

Needs:      fs.recovered; fs.macb for rotated neighbours.
Technique:  T1070.002 clear Linux or Mac system logs; T1070.003 clear command history.
Says:       which record was deleted or truncated, when, how large it was, and how much of it could be recovered.
False when: a log is rotated by copying and truncating, an account was removed with its home.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from headwater.detect.frames import state, take
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.ports import Events, Settings

RULE = Rule(
    id="destroyed-records",
    version="1",
    author="Headwater",
    title=Text("日志或命令历史被删除、截断", "A log or history was deleted or truncated"),
    stage=Stage.COVER,
    techniques=("T1070.002", "T1070.003"),
    severity=Severity.MEDIUM,
)
CLAIMS = (
    "kind",
    "file_path",
    "reason",
    "size",
    "name_claim",
    "metadata_claim",
    "content_claim",
    "blocks",
    "blocks_free",
)
_PREFIX = lazy_regex(r"^/\$(?:Truncated|Earlier-\d+)(?=/)")
_HISTORY = lazy_regex(r"/\.(?:bash|zsh|sh|mysql|psql|python|rediscli)_history$|/\.viminfo$|/\.lesshst$")
_LOG = lazy_regex(
    r"/var/log/(?:.*/)?(?:auth\.log|secure|syslog|messages|cron|wtmp|btmp|lastlog|faillog|kern\.log|maillog|audit\.log"
    r"|[^/]*access[^/]*\.?log|[^/]*error[^/]*\.?log|dpkg\.log|history\.log|[^/]+\.journal)$|/www/wwwlogs/[^/]+\.log$"
)
_CLAIM = {
    "whole": ("内容已完整恢复", "its content was recovered whole"),
    "part": ("内容部分恢复，其余已被其他文件占用", "part of its content was recovered, the rest belongs to other files by now"),
    "none": ("内容所在的块已被占用，未能恢复", "its blocks belong to other files by now, nothing was recovered"),
    "empty": ("当时为空文件", "it was empty"),
}  # fmt: skip


def _plain(path: str) -> str:
    while match := _PREFIX.match(path):
        path = path[match.end() :]
    return path


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """Findings in order of source and path."""
    rows = take(
        events, kinds=[EventKind.STATE_RECOVERED], header=["file_path", "host"], own=CLAIMS[2:],
        where=pl.col("file_path").str.contains(r"history$|/\.viminfo$|/\.lesshst$|/var/log/|/www/wwwlogs/"),
    )  # fmt: skip
    told = [_plain(str(p)) for p in rows["file_path"].to_list()]
    kept = [bool(_HISTORY.search(p) or _LOG.search(p)) for p in told]
    rows = rows.with_columns(pl.Series("told", told, dtype=pl.String)).filter(pl.Series(kept, dtype=pl.Boolean))
    if rows.is_empty():
        return
    bases = rows["told"].unique().sort().to_list()
    near = pl.any_horizontal(*(pl.col("file_path").str.starts_with(b) for b in bases[:200]))
    names = take(events, feeds=["fs.macb"], header=["file_path"], own=["allocated"], where=near)
    there = set(names.filter(pl.col("allocated").cast(pl.Boolean).fill_null(False))["file_path"].to_list())
    for part in rows.sort("source", "told", "offset").partition_by("source", "path", "told", maintain_order=True):
        yield _finding(events, part, there)


def _finding(events: Events, part: pl.DataFrame, there: set[str]) -> Finding:
    row = part.sort("size", descending=True).row(0, named=True)
    path, history = str(row["told"]), bool(_HISTORY.search(str(row["told"])))
    rotated = any(name != path and re.match(re.escape(path) + r"[.-]\d", name) for name in there)
    journal = path.endswith(".journal")
    zh = "被删除" if row["reason"] == "deleted" else "被截断"
    en = "was deleted" if row["reason"] == "deleted" else "was truncated"
    claim = _CLAIM.get(str(row["content_claim"]), ("", ""))
    zh = f"{path} {zh}（原 {row['size']} 字节），{claim[0]}"
    en = f"{path} {en} ({row['size']} bytes before); {claim[1]}"
    if rotated or journal:
        zh += "；存在其轮转文件，也可能是轮转所为" if rotated else "；也可能是系统按容量清理"
        en += (
            "; a rotated file stands beside it, so rotation may have done it"
            if rotated
            else "; the journal's own limits may have done it"
        )
    high = not rotated and not journal and row["size"] and row["size"] > 0
    times = part["ts"].drop_nulls().to_list()
    return state(
        events, RULE, part.drop("told"), CLAIMS, Text(zh + "。", en + "."),
        severity=Severity.MEDIUM if high else Severity.LOW, confidence=Confidence.MEDIUM if high else Confidence.LOW,
        facts={"reason": str(row["reason"]), "path": path, "size": row["size"], "history": history,
               "content": str(row["content_claim"])},
        moments=times, limit=20,
    )  # fmt: skip
