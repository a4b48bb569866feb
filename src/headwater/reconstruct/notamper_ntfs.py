# SPDX-License-Identifier: Apache-2.0
"""What NTFS keeps twice: the times beside a file's name, and the change journal.

Tools that set times set those of $STANDARD_INFORMATION. Those of $FILE_NAME are written by the system alone, when a
file is made, renamed or moved, and $UsnJrnl notes each change when it happens. A file whose own change time lies before
T0 while either of the two speaks of it later had its times set back past the system. The other way about ($FILE_NAME
earlier) is what unpacking and copying do and says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import polars as pl

from headwater.model.nouns import Span, Text
from headwater.model.ports import Events
from headwater.reconstruct.notamper_terms import Example, Question, Sign, Standing, listed
from headwater.reconstruct.notamper_usual import PLACES

_MFT, _USN = "windows.mft", "windows.usnjrnl"
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
