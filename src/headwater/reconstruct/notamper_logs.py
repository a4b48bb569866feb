# SPDX-License-Identifier: Apache-2.0
"""Logs held against their own times: did one grow by its own lines, or was it written when no line of it says so?

A log that grows is modified when its last line is written, and its file is not younger than its first line. A log from
which lines were taken out, or into which an editor wrote a copy, breaks one of the two. Zones and years that a log does
not state are assumptions: a difference of whole quarters of an hour is laid to them, not to a hand.
"""

from __future__ import annotations

from typing import cast

import polars as pl

from headwater.model.nouns import Text
from headwater.model.ports import Events
from headwater.reconstruct.notamper_terms import SECOND, Operation, Question
from headwater.reconstruct.notamper_usual import ROTATED

SLACK = 180 * SECOND  # buffers of loggers and web servers
_QUARTER = 900 * SECOND
_ZONES = 14 * 3600 * SECOND
_ASSUMED = ("zone-assumed", "year-assumed")
_SKIP = (
    "fs.macb", "fs.container", "fs.content", "fs.recovered", "file.compressed", "windows.mft", "windows.usnjrnl", "windows.logfile",
    "windows.sds", "windows.registry",
)  # fmt: skip
_JOURNALS = ("linux.journal", "windows.eventlog", "linux.audit")  # one of these alone shows that a system ran
_WITNESSES = (
    *_JOURNALS, "linux.syslog", "linux.auth", "linux.cron", "linux.kern", "linux.daemon", "linux.messages",
    "linux.secure", "web.access", "web.error",
)  # fmt: skip


def spans_of_logs(events: Events, question: Question) -> pl.DataFrame:
    """Per file that holds dated records: whole path, feed, first and last time by place, and whether zones are assumed."""
    feeds = [f for f in events.feeds() if f not in _SKIP and not f.startswith("state.")]
    empty = {"whole": pl.String, "feed": pl.String, "begins": pl.Int64, "ends": pl.Int64, "latest": pl.Int64,
             "records": pl.UInt32, "assumed": pl.Boolean}  # fmt: skip
    if not feeds:
        return pl.DataFrame(schema=empty)
    rows = events.scan(feeds=feeds).filter(
        (pl.col("source") == question.source) & pl.col("ts").is_not_null() & (pl.col("t_kind") == "logged")
    )
    found = rows.sort("path", "offset", "ordinal").group_by("path", "feed").agg(
        pl.col("ts").first().alias("begins"), pl.col("ts").last().alias("ends"), pl.col("ts").max().alias("latest"),
        pl.len().alias("records"), pl.col("t_basis").is_in(_ASSUMED).any().alias("assumed"),
    ).collect()  # fmt: skip
    layer = pl.col("path").str.replace(r"!(?:gz|xz|bz2|zst)$", "")
    return cast(pl.DataFrame, found).select(layer.alias("whole"), *list(empty)[1:]).sort("whole", "feed")


def _apart(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    """How far apart two times are, where a zone is assumed up to whole quarters of an hour."""
    plain = (one - other).abs()
    rest = plain % _QUARTER
    folded = pl.min_horizontal(rest, _QUARTER - rest)
    return pl.when(pl.col("assumed") & (plain <= _ZONES)).then(folded).otherwise(plain)


def against_times(spans: pl.DataFrame, times: pl.DataFrame) -> pl.DataFrame:
    """Each log: ``consistent``, with the words why, ``log_zh`` and ``log_en``."""

    def moment(kind: str) -> pl.DataFrame:
        of_kind = times.filter(pl.col("t_kind") == kind)
        return of_kind.group_by("whole").agg(pl.col("ts").max().alias(kind))

    files = spans.sort("whole", "records", descending=[False, True]).unique("whole", keep="first", maintain_order=True)
    for kind in ("modified", "changed", "created"):
        files = files.join(moment(kind), on="whole", how="left", maintain_order="left")
    names = set(spans["whole"].to_list())
    base = pl.col("whole").str.replace(ROTATED, "")
    rotated = pl.col("whole").str.contains(ROTATED) & base.is_in(sorted(names))
    late = _apart(pl.col("modified"), pl.col("ends")) > SLACK
    young = (pl.col("created") > pl.col("begins") + SLACK) & (_apart(pl.col("created"), pl.col("begins")) > SLACK)
    young = young.fill_null(False) & ~rotated
    words = {
        "cut": Text("最后一条记录的时间与文件修改时间不符：有记录被删去或内容被改写",
                    "written at a time that its last record does not bear out: records were taken out or rewritten"),
        "young": Text("文件的创建晚于其中最早的记录：内容是另行写入的副本",
                      "the file is younger than its first record: its content was written anew"),
        "grown": Text("日志随自身记录增长", "a log that grew by its own records"),
    }  # fmt: skip

    def chosen(language: str) -> pl.Expr:
        said = {name: pl.lit(getattr(text, language)) for name, text in words.items()}
        return pl.when(young).then(said["young"]).when(late.fill_null(False)).then(said["cut"]).otherwise(said["grown"])

    return files.with_columns(
        (~(young | late.fill_null(False))).alias("consistent"),
        chosen("zh").alias("log_zh"),
        chosen("en").alias("log_en"),
    )


def operation(events: Events, question: Question, spans: pl.DataFrame) -> Operation:
    """Whether the system ran after T0, by its own records, or by a person's recorded word."""
    base = question.baseline
    after, until = base.t0 + base.epsilon, question.acquired + 3600 * SECOND
    speak = spans.filter(pl.col("feed").is_in(_WITNESSES) & (pl.col("latest") > after) & (pl.col("latest") <= until))
    witnesses = tuple(sorted(set(speak["whole"].to_list())))
    last = cast(int | None, speak["latest"].max()) if speak.height else None
    kinds = ["system.boot"]
    boots = events.scan(kinds=kinds).filter((pl.col("source") == question.source) & (pl.col("ts") > after))
    started = tuple(sorted(set(cast(pl.DataFrame, boots.select("ts").collect())["ts"].to_list())))
    enough = len(witnesses) > 1 or bool(set(speak["feed"].to_list()) & set(_JOURNALS))
    if question.stated == "stopped":
        return Operation(
            False,
            last,
            started,
            witnesses,
            Text("检验人陈述：基准时间后未运行", "by the examiner's word it did not run"),
        )
    if question.stated == "running":
        words = Text("检验人或台账陈述：基准时间后仍在运行", "by the ledger or the examiner's word it ran on")
        return Operation(True, max(last or 0, question.acquired), started, witnesses, words)
    if enough:
        words = Text(
            f"{len(witnesses)} 个日志在基准时间后仍有记录：系统在运行",
            f"{len(witnesses)} logs go on after it: the system ran",
        )
        return Operation(True, last, started, witnesses, words)
    words = Text(
        "没有足够的记录表明系统在基准时间后运行", "there are not enough records to show that the system ran after it"
    )
    return Operation(False, last, started, witnesses, words)
