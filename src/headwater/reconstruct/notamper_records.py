# SPDX-License-Identifier: Apache-2.0
"""Layer 4 in records: zeroed login records, cleared and holed event logs, numbers missing from journals.

Each anomaly is dated by the file that holds it: where that file's own change time lies before T0, so does the anomaly;
where the file changed after T0 with nothing to explain it, the anomaly is part of that change; else it cannot be
decided. In exported event logs record numbers have holes by nature (38 of 100 files) and prove nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import cast

import polars as pl

from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import GapReason
from headwater.model.nouns import Span, Text
from headwater.model.ports import Events
from headwater.reconstruct.notamper_terms import SECOND, Example, Question, Sign, Standing, listed

_LOGINS = ("linux.wtmp", "linux.btmp", "linux.utmp")
_LIVE = lazy_regex(r"/winevt/Logs/[^/]+\.evtx$", re.IGNORECASE)
_SESSIONS = ("auth.success", "session.open")
_NOT_PEOPLE = ("cron", "CRON", "crond", "systemd-user", "gdm-launch-environment", "atd")
# programs and records by which a person's way in is told: a login's process name, or the terminal line of wtmp
_EXAMPLES = 50


class Dated:
    """Dates an anomaly by the file that holds it: its change time, and how layer 3 judged the file."""

    def __init__(self, times: pl.DataFrame, late: pl.DataFrame, question: Question) -> None:
        base = question.baseline
        changed = times.filter(pl.col("t_kind") == "changed").group_by("whole").agg(pl.col("ts").max())
        self._changed = dict(changed.iter_rows())
        unexplained = late.filter(pl.col("standing") == str(Standing.UNEXPLAINED))
        self._unexplained = frozenset(unexplained["whole"].to_list())
        self._edge = base.t0 - base.epsilon

    def __call__(self, path: str) -> Standing:
        whole = re.sub(r"!(?:gz|xz|bz2|zst)$", "", path)
        at = self._changed.get(whole)
        if at is not None and at <= self._edge:
            return Standing.BEFORE
        return Standing.UNEXPLAINED if whole in self._unexplained else Standing.UNDECIDED


def signs(events: Events, question: Question, dated: Dated) -> Iterator[Sign]:
    """All anomalies of records, in a fixed order."""
    yield from _zeroed(events, question, dated)
    yield from _cleared(events, question)
    yield from _event_numbers(events, question, dated)
    yield from _journal_numbers(events, question, dated)
    yield from _holes(events, question, dated)
    yield from _backward(events, question)
    yield from _people(events, question)


def _one(rule: str, standing: Standing, text: Text, found: list[Example]) -> Sign:
    moments = [e.at for e in found if e.at is not None]
    return Sign(
        4, rule, standing, text, len(found), min(moments, default=None), max(moments, default=None), listed(found)
    )


def _grouped(rule: str, found: Mapping[Standing, list[Example]], zh: str, en: str) -> Iterator[Sign]:
    for standing, examples in found.items():
        yield _one(rule, standing, Text(f"{len(examples)} {zh}", f"{len(examples)} {en}"), examples)


def _gaps(events: Events, question: Question, feeds: tuple[str, ...]) -> pl.DataFrame:
    gaps = cast(pl.DataFrame, events.gaps().filter(pl.col("feed").is_in(list(feeds))).collect())
    return gaps.filter(pl.col("source") == question.source)


def _zeroed(events: Events, question: Question, dated: Dated) -> Iterator[Sign]:
    """Zeros between login records; at the end of a file a power failure leaves the same."""
    gaps = _gaps(events, question, _LOGINS).filter(pl.col("reason") == GapReason.OVERWRITTEN.value)
    if gaps.is_empty():
        return
    rows = events.scan(feeds=list(_LOGINS)).filter(pl.col("source") == question.source)
    last = dict(cast(pl.DataFrame, rows.group_by("path").agg(pl.col("offset").max()).collect()).iter_rows())
    found: dict[Standing, list[Example]] = {}
    for gap in gaps.sort("path", "offset").iter_rows(named=True):
        inner = gap["offset"] < (last.get(gap["path"]) or -1)
        standing = dated(gap["path"]) if inner else Standing.REPORTED
        span = Span(question.source, gap["path"], gap["offset"], gap["length"])
        found.setdefault(standing, []).append(Example(gap["path"], f"{gap['length']} zero bytes", None, span))
    yield from _grouped(
        "zeroed-logins", found, "处登录记录被零覆写", "stretches of login records are overwritten with zeros"
    )


def _cleared(events: Events, question: Question) -> Iterator[Sign]:
    base = question.baseline
    rows = events.scan(kinds=["log.cleared"]).filter(pl.col("source") == question.source)
    found: dict[Standing, list[Example]] = {}
    for row in (
        cast(pl.DataFrame, rows.select("path", "offset", "length", "ts").collect()).sort("path", "offset").iter_rows()
    ):
        path, offset, length, at = row
        standing = Standing.UNDECIDED if at is None else Standing.BEFORE
        if at is not None and at > base.t0 + base.epsilon:
            inside = any(a.first - base.epsilon <= at <= a.last + base.epsilon for a in question.acts)
            standing = Standing.AUTHORISED if inside else Standing.UNEXPLAINED
        found.setdefault(standing, []).append(
            Example(path, "log cleared", at, Span(question.source, path, offset, length))
        )
    yield from _grouped("log-cleared", found, "条记录载明日志被清除", "records say that a log was cleared")


def _event_numbers(events: Events, question: Question, dated: Dated) -> Iterator[Sign]:
    """Holes in the numbers of live event logs; an export is told apart by its place or by two times in its records."""
    feed = "windows.eventlog"
    if feed not in events.feeds():
        return
    frame = events.scan(feeds=[feed], columns=("EventRecordID", "t_written", "recovered")).filter(
        pl.col("source") == question.source
    )
    rows = cast(pl.DataFrame, frame.select("path", "offset", "EventRecordID", "t_written").collect())
    rows = rows.with_columns(pl.col("EventRecordID").cast(pl.Int64, strict=False).alias("n")).drop_nulls("n")
    found: dict[Standing, list[Example]] = {}
    exports = 0
    for part in rows.partition_by("path", maintain_order=True):
        path = str(part["path"][0])
        numbers = part["n"].unique().sort()
        missing = int(cast(int, numbers[-1])) - int(cast(int, numbers[0])) + 1 - len(numbers)
        if missing <= 0:
            continue
        if not _LIVE.search(path) or part["t_written"].null_count() < part.height // 2:
            exports += 1
            continue
        span = Span(question.source, path, int(part["offset"][0]), 0)
        found.setdefault(dated(path), []).append(Example(path, f"{missing} record numbers missing", None, span))
    yield from _grouped(
        "event-numbers", found, "个在用事件日志的记录号有缺", "live event logs lack record numbers"
    )  # fmt: skip
    if exports:
        text = Text(
            f"{exports} 个导出的事件日志记录号有缺，导出本来如此，不作为迹象",
            f"{exports} exported event logs lack record numbers, as exports do: no sign",
        )
        yield Sign(4, "event-numbers-export", Standing.REPORTED, text, exports)


def _journal_numbers(events: Events, question: Question, dated: Dated) -> Iterator[Sign]:
    """Sequence numbers within a journal file that no journal beside it has: journald numbers all its files together."""
    feed = "linux.journal"
    if feed not in events.feeds():
        return
    frame = events.scan(feeds=[feed], columns=("__SEQNUM",)).filter(pl.col("source") == question.source)
    rows = cast(pl.DataFrame, frame.select("path", "offset", pl.col("__SEQNUM").alias("n")).collect()).drop_nulls("n")
    folder = pl.col("path").str.replace(r"/[^/]*$", "")
    found: dict[Standing, list[Example]] = {}
    for part in rows.with_columns(folder.alias("folder")).partition_by("folder", maintain_order=True):
        numbers = part.sort("n").unique("n", keep="first", maintain_order=True)
        holes = numbers.with_columns(
            (pl.col("n") - pl.col("n").shift(1)).alias("step"), pl.col("path").shift(1).alias("was")
        )
        # between two files numbers are missing where old journals were removed by size or age, as they are by design
        inner = holes.filter((pl.col("step") > 1) & (pl.col("was") == pl.col("path")))
        for row in inner.head(_EXAMPLES).iter_rows(named=True):
            span = Span(question.source, row["path"], row["offset"], 0)
            what = f"{row['step'] - 1} sequence numbers before {row['n']} missing"
            found.setdefault(dated(row["path"]), []).append(Example(row["path"], what, None, span))
    yield from _grouped("journal-numbers", found, "处 journal 序号有缺", "holes in the sequence numbers of the journal")


def _holes(events: Events, question: Question, dated: Dated) -> Iterator[Sign]:
    """Zero bytes inside text logs: a crash leaves them too, so they count only in a file that changed unexplained."""
    gaps = cast(pl.DataFrame, events.gaps().collect())
    gaps = gaps.filter(
        (pl.col("source") == question.source) & (pl.col("reason") == GapReason.OVERWRITTEN.value)
        & ~pl.col("feed").is_in([*_LOGINS, "windows.eventlog", "fs.macb", "linux.journal"])
        & (pl.col("detail") == "zero bytes").fill_null(False)
    )  # fmt: skip
    found: dict[Standing, list[Example]] = {}
    for gap in gaps.sort("path", "offset").head(400).iter_rows(named=True):
        standing = dated(gap["path"])
        standing = Standing.REPORTED if standing is Standing.UNDECIDED else standing
        span = Span(question.source, gap["path"], gap["offset"], gap["length"])
        found.setdefault(standing, []).append(Example(gap["path"], f"{gap['length']} zero bytes", None, span))
    yield from _grouped("zero-holes", found, "处文本日志含零字节空洞", "holes of zero bytes in text logs")


def _backward(events: Events, question: Question) -> Iterator[Sign]:
    """Login records that run backwards by more than an hour: a clock, or records written over; told only."""
    rows = events.scan(feeds=["linux.wtmp"]).filter((pl.col("source") == question.source) & pl.col("ts").is_not_null())
    frame = cast(pl.DataFrame, rows.select("path", "offset", "length", "ts").collect()).sort("path", "offset")
    step = (pl.col("ts") - pl.col("ts").shift(1).over("path")) < -3600 * SECOND
    back = frame.filter(step.fill_null(False))
    found = [
        Example(
            r["path"],
            "earlier than the record before",
            r["ts"],
            Span(question.source, r["path"], r["offset"], r["length"]),
        )
        for r in back.head(_EXAMPLES).iter_rows(named=True)
    ]
    if found:
        text = Text(
            f"{back.height} 条登录记录早于其前一条", f"{back.height} login records are earlier than the one before"
        )
        yield _one("logins-backward", Standing.REPORTED, text, found)


def _people(events: Events, question: Question) -> Iterator[Sign]:
    """Persons who logged in after T0: what they did is not known from that, so the question stays open."""
    base = question.baseline
    rows = events.scan(kinds=list(_SESSIONS), columns=("service", "line")).filter(
        (pl.col("source") == question.source) & (pl.col("ts") > base.t0 + base.epsilon)
        & ~pl.col("service").cast(pl.String).is_in(list(_NOT_PEOPLE)).fill_null(False)
        & ~pl.col("process").is_in(list(_NOT_PEOPLE)).fill_null(False)
        & (pl.col("src_ip").is_not_null() | pl.col("line").cast(pl.String).str.contains(r"^(?:pts/|tty)").fill_null(False))
    )  # fmt: skip
    frame = cast(pl.DataFrame, rows.select("path", "offset", "length", "ts", "user", "src_ip").collect())
    found: dict[Standing, list[Example]] = {}
    for row in frame.sort("ts", "path", "offset").iter_rows(named=True):
        inside = any(a.first - base.epsilon <= row["ts"] <= a.last + base.epsilon for a in question.acts)
        who = " ".join(str(v) for v in (row["user"], row["src_ip"]) if v)
        example = Example(row["path"], who, row["ts"], Span(question.source, row["path"], row["offset"], row["length"]))
        found.setdefault(Standing.AUTHORISED if inside else Standing.UNDECIDED, []).append(example)
    yield from _grouped("logins-after", found, "条登录发生在基准时间之后", "logins happened after the baseline")
