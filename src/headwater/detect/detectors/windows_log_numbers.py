# SPDX-License-Identifier: Apache-2.0
"""What a Windows event log is by its record numbers: the log itself, an export or selection, cleared, or with holes.

Needs:      the numbers of windows.eventlog: that of the record in the file, and that which the event itself states.
Technique:  T1070.001 clear Windows event logs.
Says:       whether both numbers agree (the log itself) or differ (an export, numbered anew); whether the log begins with
            its own clearing; which numbers between the first and the last are not there.
False when: a collector's log of forwarded events is numbered apart from its events (said as such); a log that is being
            written is copied while it changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import polars as pl

from headwater.detect.frames import gap_citations, state
from headwater.detect.grouped import collected
from headwater.model.kinds import SEVERITY_ORDER, Confidence, EventKind, Severity, Stage
from headwater.model.nouns import Finding, Rule, Text
from headwater.model.paths import file_layer
from headwater.model.ports import Events, Settings
from headwater.model.records import Value

RULE = Rule(
    id="windows-log-numbers",
    version="1",
    author="Headwater",
    title=Text("事件日志的记录编号", "Record numbers of an event log"),
    stage=Stage.COVER,
    techniques=("T1070.001",),
    severity=Severity.INFO,
)
FEED = "windows.eventlog"
CLAIMS = ("kind", "event_code", "Channel", "RecordNumber", "EventRecordID", "user")
_FILE = ("source", "path")
_PLACE = ["source", "path", "offset", "ordinal"]
_WIDE = [
    *(
        "ts",
        *_PLACE,
        "length",
        "feed",
        "kind",
        "event_code",
        "host",
        "user",
        "Channel",
        "RecordNumber",
        "EventRecordID",
    ),
]
TOLD = 500  # files
_SHOWN, _CITED = 5, 20


@dataclass(frozen=True, slots=True)
class _Holes:
    """``missing`` numbers in ``stretches`` stretches; the first few as (first, last), and the rows beside them."""

    missing: int
    stretches: int
    first: tuple[tuple[int, int], ...]
    beside: pl.DataFrame


def detect(events: Events, settings: Settings) -> Iterator[Finding]:
    """One finding for each file of which there is something to say, by source and path."""
    if FEED not in events.feeds():
        return
    rows = _rows(events)
    number, stated = pl.col("RecordNumber"), pl.col("EventRecordID")
    files = collected(
        rows.group_by(*_FILE).agg(
            pl.len().alias("records"),
            (number != stated).sum().alias("differ"),
            number.min().alias("first"),
            number.max().alias("last"),
            number.n_unique().alias("numbers"),
            stated.min().alias("first_stated"),
            stated.max().alias("last_stated"),
            pl.struct("host", "Channel", "EventRecordID").n_unique().alias("stated"),
            pl.struct("host", "Channel").n_unique().alias("logs"),
        )
    )
    told = files.sort(*_FILE).head(TOLD)
    ends = _ends(rows, told)
    for said in told.iter_rows(named=True):
        found = _file(events, rows.filter(_of(said)), said, ends[said["source"], said["path"]])
        if found is not None:
            yield found


def _rows(events: Events) -> Any:
    """Records that are live in their file, with both numbers; what was recovered from slack bears no witness here."""
    rows = events.scan(feeds=[FEED], columns=("RecordNumber", "EventRecordID", "Channel", "recovered"))
    live = pl.col("recovered").cast(pl.String).fill_null("false") != "true"
    numbers = [pl.col(c).cast(pl.Int64, strict=False) for c in ("RecordNumber", "EventRecordID")]
    return rows.filter(live).with_columns(numbers).filter(pl.col("RecordNumber").is_not_null())


def _of(said: dict[str, Any]) -> Any:
    return (pl.col("source") == said["source"]) & (pl.col("path") == said["path"])


def _ends(rows: Any, told: pl.DataFrame) -> dict[Any, pl.DataFrame]:
    """The first and the last record of each file, in order of place: a query for each costs as much as one for all."""
    named = told.lazy().select(*_FILE, "first", "last")
    number = pl.col("RecordNumber")
    frame = rows.join(named, on=_FILE, how="inner").filter((number == pl.col("first")) | (number == pl.col("last")))
    return collected(frame.select(_WIDE)).sort(_PLACE).partition_by(*_FILE, as_dict=True)


def _holes(rows: Any, column: str, by: tuple[str, ...]) -> _Holes | None:
    """The numbers that are missing between the first and the last, in each log (``by``) of a file."""
    frame = collected(rows.select(*by, column, *_PLACE).drop_nulls(column)).sort(*by, column, *_PLACE, nulls_last=True)
    before = pl.col(column).shift(1).over(by) if by else pl.col(column).shift(1)
    frame = frame.with_columns(before.alias("before"), pl.col("offset").shift(1).alias("offset_before"))
    broken = frame.filter(pl.col(column) - pl.col("before") > 1)
    if broken.is_empty():
        return None
    missing = int((broken[column] - broken["before"] - 1).sum())
    spots = broken.head(_CITED // 2)
    places = [*spots["offset"].to_list(), *spots["offset_before"].to_list()]
    first = tuple((b + 1, a - 1) for b, a in broken.head(_SHOWN).select("before", column).iter_rows())
    return _Holes(missing, broken.height, first, collected(rows.filter(pl.col("offset").is_in(places)).select(_WIDE)))


def _told(holes: _Holes) -> str:
    shown = ", ".join(f"{a}–{b}" if a != b else f"{a}" for a, b in holes.first)
    return f"{shown}, …" if holes.stretches > len(holes.first) else shown


def _file(events: Events, rows: Any, said: dict[str, Any], ends: pl.DataFrame) -> Finding | None:
    """What is to be said of one file: nothing of a log whose numbers agree, run on, and do not begin with a clearing."""
    name = file_layer(said["path"])
    forwarded = "forwardedevents" in name.lower()
    renumbered = said["differ"] * 2 > said["records"]
    zh, en, severity = [], [], Severity.INFO
    facts: dict[str, Value] = {"records": said["records"], "first": said["first"], "last": said["last"]}
    parts, gaps = [ends.head(2)], cast("tuple[Any, ...]", ())
    facts["state"] = "log"
    if renumbered:
        facts["state"] = "forwarded" if forwarded else "export"
        span = f"{said['first_stated']}–{said['last_stated']}"
        own = f"{said['first']}–{said['last']}"
        what = ("转发事件的汇集日志", "a log of forwarded events") if forwarded else ("导出件", "an export")
        zh.append(f"文件内编号为 {own}，事件自载编号为 {span}，两者不一致：本文件是{what[0]}，不是原始日志本身")
        en.append(f"its records are numbered {own}, the events state {span}: it is {what[1]}, not the log itself")
    if renumbered and not forwarded and said["stated"] < said["last_stated"] - said["first_stated"] + said["logs"]:
        holes = _holes(rows, "EventRecordID", ("host", "Channel"))
        if holes is not None:
            facts |= {"not_exported": holes.missing}
            parts.append(holes.beside)
            zh.append(f"事件自载编号缺 {holes.missing} 个（{_told(holes)}），导出时经过筛选或原日志已缺")
            en.append(
                f"{holes.missing} of the numbers that events state are not there ({_told(holes)}): a selection, or gone before"
            )
    cleared = _cleared(ends, said)
    if cleared.height:
        facts["begins_with_clearing"] = True
        parts.append(cleared)
        zh.append("以日志清除事件开头，此前的事件不在其中")
        en.append("it begins with the clearing of the log, and nothing before it is there")
    if said["numbers"] < said["last"] - said["first"] + 1:
        holes = _holes(rows, "RecordNumber", ())
        if holes is not None:
            lost = collected(events.gaps().filter(_of(said)))
            gaps = gap_citations(lost, _CITED)
            facts |= {"missing": holes.missing, "unreadable": lost.height}
            parts.append(holes.beside)
            zh.append(
                f"文件内编号缺 {holes.missing} 个（{_told(holes)}）"
                + ("，文件有未能读出的部分" if gaps else "，而文件各部分均已读出")
            )
            en.append(
                f"{holes.missing} record numbers are missing ({_told(holes)})"
                + (
                    ", where parts of the file could not be read"
                    if gaps
                    else ", though every part of the file was read"
                )
            )
            severity = max(severity, Severity.INFO if gaps else Severity.LOW, key=lambda s: SEVERITY_ORDER[s])
    if not zh:
        return None
    cited = pl.concat(parts).unique(_PLACE, keep="first", maintain_order=True)
    return state(
        events, RULE, cited, CLAIMS, Text(f"{name}：{'；'.join(zh)}。", f"{name}: {'; '.join(en)}."),
        severity=severity, confidence=Confidence.HIGH if severity is Severity.INFO else Confidence.MEDIUM, facts=facts,
        gaps=gaps, limit=2 * _CITED, moments=[], user=None, src_ip=None,
    )  # fmt: skip


def _cleared(ends: pl.DataFrame, said: dict[str, Any]) -> pl.DataFrame:
    """The first record where it says that the very log was cleared (1102; 104 in the log that it names)."""
    first = ends.filter(pl.col("RecordNumber") == said["first"])
    own = (pl.col("kind") == EventKind.LOG_CLEARED.value) & (
        pl.col("event_code").is_in(["1102", "517"]) | (pl.col("Channel") == "System")
    )
    return first.filter(own)
