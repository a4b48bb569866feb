# SPDX-License-Identifier: Apache-2.0
"""What NTFS keeps twice: the times beside a file's name, the change journal, and the log's numbers.

Tools that set times set those of $STANDARD_INFORMATION. Those of $FILE_NAME are written by the system alone, when a
file is made, renamed or moved, and $UsnJrnl notes each change when it happens. A file whose own change time lies before
T0 while either of the two speaks of it later had its times set back past the system. The other way about ($FILE_NAME
earlier) is what unpacking and copying do and says nothing.

Every record of $MFT holds the number of the last operation of $LogFile that changed it. The log dates some of its numbers
(it carries the change journal's entries): a record whose number is later than the first one dated after T0 was written
after T0, whatever its four times say. Moving a file's clusters or its folder's index does that too, so it is an anomaly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import polars as pl

from headwater.model.nouns import Span, Text
from headwater.model.ports import Events
from headwater.reconstruct.notamper_terms import Example, Question, Sign, Standing, listed
from headwater.reconstruct.notamper_usual import PLACES

_MFT, _USN, _LOG = "windows.mft", "windows.usnjrnl", "windows.logfile"
_OWN_RECORDS = 24  # of the file system itself
_EXAMPLES = 400


def signs(events: Events, question: Question, times: pl.DataFrame, *, running: bool) -> Iterator[Sign]:
    """Times of names, then entries of the change journal, of files that did not change after T0 by their own word.

    ``running``: the system's own places are left out, since its services restore times as they write.
    """
    feeds = events.feeds()
    if running:
        times = times.filter(~pl.any_horizontal(*(pl.col("file_path").str.contains(place) for place, _ in PLACES)))
    changed = times.filter(pl.col("t_kind") == "changed").group_by("file_path").agg(pl.col("ts").max().alias("own"))
    if _MFT in feeds:
        frame = events.scan(feeds=[_MFT], columns=("fn", "allocated"))
        frame = frame.filter(pl.col("fn").cast(pl.String).str.len_chars().fill_null(0) > 0)
        yield from _forged(
            _late(frame, question, changed), question, "name-times",
            "个文件的 $FILE_NAME 时间晚于基准时间，而其自身的变更时间更早：时间被伪造",
            "files have times beside their names after the baseline, and a change time of their own before it: forged",
        )  # fmt: skip
    if _USN in feeds:
        yield from _forged(
            _late(events.scan(feeds=[_USN]), question, changed), question, "change-journal",
            "个文件在 $UsnJrnl 中有基准时间之后的变更，而其自身的变更时间更早：时间被伪造",
            "files have changes after the baseline in $UsnJrnl, and a change time of their own before it: forged",
        )  # fmt: skip

    if {_MFT, _LOG} <= set(feeds):
        yield from _numbered(events, question, running=running)


def edge_of(events: Events, question: Question) -> dict[str, int]:
    """Per volume the number of the first operation that $LogFile dates after T0; volumes whose log dates them in another
    order (a clock that was set) are left out."""
    base = question.baseline
    rows = cast(pl.DataFrame, events.scan(feeds=[_LOG], columns=("lsn", "reason", "slack")).filter(
        (pl.col("source") == question.source) & pl.col("ts").is_not_null() & pl.col("reason").is_not_null()
    ).select("path", "ts", pl.col("lsn").cast(pl.Int64)).collect())  # fmt: skip
    rows = rows.with_columns(_volume())
    found: dict[str, int] = {}
    for (volume,), part in rows.group_by("volume", maintain_order=True):
        after = part.filter(pl.col("ts") > base.t0 + base.epsilon)
        before = part.filter(pl.col("ts") <= base.t0 - base.epsilon)
        first, last = after["lsn"].min(), before["lsn"].max()
        if first is not None and (last is None or cast(int, last) < cast(int, first)):
            found[str(volume)] = cast(int, first)
    return found


def _volume() -> pl.Expr:
    """The volume's layer of a path: everything before its last file."""
    return pl.col("path").str.replace(r"/[^!]*$", "").alias("volume")


def _numbered(events: Events, question: Question, *, running: bool) -> Iterator[Sign]:
    edges = edge_of(events, question)
    if not edges:
        return
    base = question.baseline
    rows = events.scan(feeds=[_MFT], columns=("lsn", "si", "inode", "allocated")).filter(
        (pl.col("source") == question.source) & (pl.col("inode").cast(pl.Int64) >= _OWN_RECORDS)
        & (pl.col("allocated").cast(pl.String) != "false") & ~pl.col("file_path").str.starts_with("/$").fill_null(True)
        & (pl.col("si").cast(pl.String).str.len_chars().fill_null(0) > 0)
    ).with_columns(_volume(), pl.col("lsn").cast(pl.Int64))  # fmt: skip
    first = pl.col("volume").replace_strict(edges, default=None, return_dtype=pl.Int64)
    found = rows.filter(pl.col("lsn") >= first).group_by("path", "offset", "length", "file_path").agg(
        pl.col("ts").max().alias("ts"), pl.col("lsn").max()
    ).filter(pl.col("ts") <= base.t0 - base.epsilon).collect()  # fmt: skip
    found = cast(pl.DataFrame, found).sort("file_path", "path")
    if running:
        found = found.filter(~pl.any_horizontal(*(pl.col("file_path").str.contains(place) for place, _ in PLACES)))
    if found.is_empty():
        return
    examples = [
        Example(str(r["file_path"]), f"$LogFile {r['lsn']}", r["ts"],
                Span(question.source, r["path"], r["offset"] or 0, r["length"] or 0))
        for r in found.head(_EXAMPLES).iter_rows(named=True)
    ]  # fmt: skip
    text = Text(
        f"{found.height} 个文件的 MFT 记录按 $LogFile 序号写于基准时间之后，而其四个时间都更早：时间被拨回，或仅簇的位置有变",
        f"{found.height} files have records of $MFT that by their numbers in $LogFile were written after the baseline, and four "
        "times before it: times set back, or clusters moved",
    )
    yield Sign(4, "log-numbers", Standing.UNDECIDED, text, found.height, None, None, listed(examples))


def _late(frame: pl.LazyFrame, question: Question, changed: pl.DataFrame) -> pl.DataFrame:
    """Rows later than T0 + ε of files that the volume has, and which by their own word last changed before T0."""
    base = question.baseline
    rows = frame.filter(
        (pl.col("source") == question.source)
        & (pl.col("ts") > base.t0 + base.epsilon)
        & (pl.col("ts") <= question.acquired + base.epsilon)
    )
    found = rows.select("path", "file_path", "offset", "length", "ts").collect()
    found = found.join(changed, on="file_path", how="inner", maintain_order="left")
    return found.filter(pl.col("own") <= base.t0 - base.epsilon).sort("file_path", "ts")


def _forged(rows: pl.DataFrame, question: Question, rule: str, zh: str, en: str) -> Iterator[Sign]:
    if rows.is_empty():
        return
    files = rows.unique("file_path", keep="first", maintain_order=True)
    examples = [
        Example(str(r["file_path"]), rule, r["ts"],
                Span(question.source, r["path"], r["offset"] or 0, r["length"] or 0))
        for r in files.head(_EXAMPLES).iter_rows(named=True)
    ]  # fmt: skip
    first, last = cast(int, rows["ts"].min()), cast(int, rows["ts"].max())
    text = Text(f"{files.height} {zh}", f"{files.height} {en}")
    yield Sign(4, rule, Standing.UNEXPLAINED, text, files.height, first, last, listed(examples))
