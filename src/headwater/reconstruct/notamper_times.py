# SPDX-License-Identifier: Apache-2.0
"""Layer 3: every time of a file that is later than the baseline, each with its standing.

1. A time of access is told and never decides.
2. A time within ε of T0 could be on either side; one within an act of the ledger belongs to that act.
3. A modification or creation later than T0 whose inode did not change after T0 was set by hand earlier, or is a forgery
   of the change time: the change time decides, the contradiction is told in layer 4.
4. While the system is shown to have run: its own places, logs by their lines, and a folder by what happened in it then.
5. A folder that was written by routine before T0 and still is: cannot be decided. All else is unexplained.
"""

from __future__ import annotations

from typing import cast

import polars as pl

from headwater.model.nouns import Span, Text
from headwater.model.ports import Events
from headwater.reconstruct.notamper_terms import SECOND, Example, Operation, Question, Sign, Standing, listed
from headwater.reconstruct.notamper_usual import LOGS, PLACES

DAY = 86_400 * SECOND
_ROUTINE = 3  # different hours of the week before T0 in which a folder was written
_CLOSE = 2 * SECOND
_KEYS = ["path", "inode"]
_KINDS = {"modified": ("内容", "content"), "changed": ("元数据", "metadata"), "created": ("新建", "created"),
          "journal": ("变更日志", "change journal"), "deleted": ("删除", "deleted"), "accessed": ("访问", "accessed")}  # fmt: skip


def file_times(events: Events, question: Question) -> pl.DataFrame:
    """All times of the file systems of the item: path, file_path, folder, inode, mode, t_kind, ts, offset, length."""
    frame = events.scan(feeds=["fs.macb"], columns=("inode", "mode", "allocated"))
    frame = frame.filter((pl.col("source") == question.source) & pl.col("ts").is_not_null())
    names = [c for c in ("inode", "own.inode") if c in frame.collect_schema().names()][:1]
    modes = [c for c in ("mode", "own.mode") if c in frame.collect_schema().names()][:1]
    found = frame.select(
        "path", "file_path", pl.col(names[0]).cast(pl.Int64, strict=False).alias("inode"),
        pl.col(modes[0]).cast(pl.Int64, strict=False).alias("mode"), "t_kind", "ts", "offset", "length",
    ).collect()  # fmt: skip
    folder = pl.col("file_path").str.replace(r"/[^/]*$", "")
    whole = pl.when(pl.col("path").is_in(["", "/"])).then(pl.col("file_path"))
    return cast(pl.DataFrame, found).with_columns(
        folder.alias("folder"), whole.otherwise(pl.concat_str("path", pl.lit("!"), "file_path")).alias("whole")
    )


def journalled(events: Events, question: Question) -> pl.DataFrame:
    """What a change journal (NTFS) notes, in the columns of :func:`file_times`; empty where there is none."""
    none = pl.lit(None, dtype=pl.Int64)
    rows = events.scan(feeds=["windows.usnjrnl"]).filter(
        (pl.col("source") == question.source) & pl.col("ts").is_not_null() & pl.col("file_path").is_not_null()
    )
    found = rows.select(
        "path", "file_path", none.alias("inode"), none.alias("mode"), pl.lit("journal").alias("t_kind"), "ts", "offset",
        "length", pl.col("file_path").str.replace(r"/[^/]*$", "").alias("folder"), pl.col("file_path").alias("whole"),
    )  # fmt: skip
    return cast(pl.DataFrame, found.collect())


def judged(times: pl.DataFrame, question: Question, operation: Operation, logs: pl.DataFrame) -> pl.DataFrame:
    """The times later than T0 − ε with ``standing``, ``zh`` and ``en`` (why).

    ``logs``: whole path, ``consistent`` (bool) and the words for it, of logs whose lines were held against their times.
    """
    base = question.baseline
    late = times.filter(pl.col("ts") > base.t0 - base.epsilon)
    changed = times.filter(pl.col("t_kind") == "changed").group_by(_KEYS).agg(pl.col("ts").max().alias("ctime"))
    late = late.join(changed, on=_KEYS, how="left", maintain_order="left")
    late = late.join(
        logs.select("whole", "consistent", "log_zh", "log_en"), on="whole", how="left", maintain_order="left"
    )
    routine = _routine(times, question)
    late = late.with_columns(
        ((pl.col("mode") // 4096) == 4).fill_null(False).alias("is_folder"),
        pl.col("folder").is_in(routine.implode()).alias("routine"),
    )
    rules = [*_first_rules(question), *(_running_rules(question, operation) if operation.running else ())]
    standing, zh, en = _chained(rules)
    late = late.with_columns(standing, zh, en)
    return _folders(late) if operation.running else late


Rule = tuple[pl.Expr, Standing, pl.Expr | str, pl.Expr | str]


def _first_rules(question: Question) -> list[Rule]:
    base = question.baseline
    at, kind = pl.col("ts"), pl.col("t_kind")
    rules: list[Rule] = [
        (kind == "accessed", Standing.REPORTED, "访问时间", "time of access"),
        ((kind == "modified") & (pl.col("ctime") <= base.t0 + base.epsilon).fill_null(False) & (at > base.t0),
         Standing.REPORTED, "修改时间晚于基准时间，而元数据变更时间不晚：此前已被设成未来的时间",
         "modified later than the baseline by its own word, while its metadata did not change later: set ahead before"),
        (kind.is_in(["changed", "created"]) & (at > question.acquired + base.epsilon), Standing.UNDECIDED,
         "晚于提取完成的时间，主机时钟不准或时间被设置", "later than the acquisition: the host's clock was wrong or the time was set"),
        ((kind == "modified") & (at > question.acquired + base.epsilon), Standing.REPORTED,
         "修改时间晚于提取", "modification time later than the acquisition"),
    ]  # fmt: skip
    for act in question.acts:
        inside = (at >= act.first - base.epsilon) & (at <= act.last + base.epsilon)
        rules.append((inside, Standing.AUTHORISED, f"{act.words}（{act.cite}）", f"{act.words} ({act.cite})"))
    rules.append(
        (
            at <= base.t0 + base.epsilon,
            Standing.UNDECIDED,
            "在基准时间的不确定度之内",
            "within the baseline's uncertainty",
        )
    )
    return rules


def _running_rules(question: Question, operation: Operation) -> list[Rule]:
    base = question.baseline
    while_running = pl.col("ts") <= (operation.last or base.t0) + base.epsilon + 60 * SECOND
    name = pl.col("file_path")
    known = pl.col("consistent").fill_null(False)
    rules: list[Rule] = [
        (while_running & known, Standing.AUTONOMOUS, pl.col("log_zh"), pl.col("log_en")),
        (pl.col("consistent").is_not_null() & ~known, Standing.UNEXPLAINED, pl.col("log_zh"), pl.col("log_en")),
    ]
    for pattern, words in PLACES:
        rules.append((while_running & name.str.contains(pattern), Standing.AUTONOMOUS, words.zh, words.en))
    for place in question.services:
        inside = (name == place) | name.str.starts_with(place.rstrip("/") + "/")
        said = (
            f"检验人陈述由运行中的服务写入：{place}",
            f"written by a running service, by the examiner's word: {place}",
        )
        rules.append((while_running & inside, Standing.AUTONOMOUS, *said))
    unnamed = name.str.starts_with("/$OrphanFiles/") | name.str.contains(r"^/\$(?:Unnamed|Unknown)/")
    rules.append(
        (
            while_running & unnamed,
            Standing.UNDECIDED,
            "运行期间删除而名称不可考的文件",
            "deleted while running, its name unknown",
        )
    )
    rules.append(
        (while_running & name.str.contains(LOGS) & pl.col("consistent").is_null(), Standing.UNDECIDED,
         "日志，但其内容不能与时间对照", "a log whose content could not be held against its times")
    )  # fmt: skip
    rules.append(
        (while_running & pl.col("routine"), Standing.UNDECIDED, "所在目录在基准时间前后均有例行写入",
         "in a folder that was written by routine before the baseline and since")
    )  # fmt: skip
    return rules


def _chained(rules: list[Rule]) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """The rules as three columns; the first that fits counts, and what none fits is unexplained."""

    def text(value: pl.Expr | str) -> pl.Expr:
        return pl.lit(value) if isinstance(value, str) else value

    standing = pl.lit(str(Standing.UNEXPLAINED))
    zh, en = (
        pl.lit("基准时间之后的改动，没有记录或惯常活动可以解释"),
        pl.lit("a change after the baseline that nothing explains"),
    )
    for when, what, words_zh, words_en in reversed(rules):
        there = when.fill_null(False)
        standing = pl.when(there).then(pl.lit(str(what))).otherwise(standing)
        zh = pl.when(there).then(text(words_zh)).otherwise(zh)
        en = pl.when(there).then(text(words_en)).otherwise(en)
    return standing.alias("standing"), zh.alias("zh"), en.alias("en")


def _routine(times: pl.DataFrame, question: Question) -> pl.Series:
    """Folders in which files were written in several different hours of the week before T0."""
    t0 = question.baseline.t0
    week = times.filter(
        pl.col("t_kind").is_in(["modified", "created"]) & (pl.col("ts") < t0) & (pl.col("ts") > t0 - 7 * DAY)
    )
    hours = week.group_by("folder").agg((pl.col("ts") // (3600 * SECOND)).n_unique().alias("hours"))
    return hours.filter(pl.col("hours") >= _ROUTINE)["folder"]


def _folders(late: pl.DataFrame) -> pl.DataFrame:
    """A folder's own times follow from what happened in it: explained where an explained file's time is the same."""
    own = late.filter(pl.col("is_folder") & (pl.col("standing") == str(Standing.UNEXPLAINED)))
    if own.is_empty():
        return late
    inside = late.filter(pl.col("standing") == str(Standing.AUTONOMOUS)).select(
        "path", pl.col("folder").alias("file_path"), pl.col("ts").alias("inner")
    )
    near = own.join(inside, on=["path", "file_path"]).filter((pl.col("ts") - pl.col("inner")).abs() <= _CLOSE)
    keys = ["path", "file_path", "t_kind", "ts"]
    late = late.join(near.select(keys).unique().with_columns(pl.lit(True).alias("follows")), on=keys, how="left")
    follows = pl.col("follows").fill_null(False)
    return late.with_columns(
        pl.when(follows).then(pl.lit(str(Standing.AUTONOMOUS))).otherwise("standing").alias("standing"),
        pl.when(follows).then(pl.lit("目录内的自主活动")).otherwise("zh").alias("zh"),
        pl.when(follows).then(pl.lit("autonomous activity within the folder")).otherwise("en").alias("en"),
    ).drop("follows")


def signs(late: pl.DataFrame, question: Question) -> list[Sign]:
    """The judged times as signs: one for each standing and reason, with the files and what of them changed."""
    detail = _details(question)
    found = []
    order = ["standing", "zh", "en"]
    for group in late.sort(*order, "whole", "ts").partition_by(order, maintain_order=True):
        files = group.group_by("whole", "path", "inode", maintain_order=True).agg(
            pl.col("t_kind").unique(maintain_order=True), pl.col("ts").max(), pl.col("offset").first(),
            pl.col("length").first(),
        )  # fmt: skip
        examples = []
        for row in files.head(400).iter_rows(named=True):
            what = ", ".join(_KINDS.get(k, (k, k))[1] for k in row["t_kind"])
            more = detail.get((row["path"], row["inode"]), "")
            span = Span(question.source, row["path"], row["offset"] or 0, row["length"] or 0)
            examples.append(Example(str(row["whole"]), f"{what}{'; ' if more else ''}{more}", row["ts"], span))
        standing = Standing(group["standing"][0])
        zh, en = str(group["zh"][0]), str(group["en"][0])
        text = Text(f"{files.height} 个文件：{zh}", f"{files.height} files: {en}")
        first, last = cast(int, group["ts"].min()), cast(int, group["ts"].max())
        found.append(Sign(3, "file-times", standing, text, files.height, first, last, listed(examples)))
    return found


def _details(question: Question) -> dict[tuple[str, int], str]:
    """What the journal tells of a change, by view and inode: ``mode 0100644 → 0100600``."""
    found: dict[tuple[str, int], list[str]] = {}
    for volume in question.volumes:
        for inode, _, _, fields in volume.states:
            said = found.setdefault((volume.view or "/", inode), [])
            for name, (before, after) in fields.items():
                if name in {"mode", "uid", "gid", "size", "links"} and before is not None and len(said) < 6:
                    form = oct if name == "mode" else str
                    said.append(f"{name} {form(before)} → {form(after) if after is not None else '—'}")
    return {key: "; ".join(said) for key, said in found.items() if said}
