# SPDX-License-Identifier: Apache-2.0
"""The files that find listed with ``-ls`` (live.find).

Reads:  /@command/find-*.stdout of a live collection.
Time:   the file's modification as printed, a wall clock of the system's zone to the minute, or to the day where it is older
        than half a year; a line without a year gets the last such day before the command was started, so it needs its .json.
Format: find(1) -ls: inode, blocks, mode, links, owner, group, size, date, name; odd bytes as octal escapes.
Limits: what the server's own find was let see, of one file system where ``-xdev`` was given.
"""

from __future__ import annotations

import re

import polars as pl

from headwater.examine.lines import LineGrammar
from headwater.examine.parsers._live import CONTEXT as CONTEXT
from headwater.examine.parsers._live import captured
from headwater.examine.parsers._live_columns import Columns, numbered, table
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.paths import encode_name
from headwater.model.records import File, own_column

FEED = "live.find"
VERSION = 1
READS = ("/@command/find-*.stdout",)
_ROW = (
    r"^\s*(?P<inode>\d{1,19})\s+(?P<blocks>\d{1,18})\s+(?P<permissions>[bcdlpsD-][rwxsStTl-]{9})[.+@]?\s+(?P<links>\d{1,9})\s+"
    r"(?P<owner>\S+)\s+(?P<group>\S+)\s+(?P<size>\d{1,18}|\d+,\s*\d+)\s+"
    r"(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\s+(?P<day>\d{1,2})\s+(?:(?P<hour>\d\d):(?P<minute>\d\d)|(?P<year>\d{4}))"
    r"\s(?P<file_path>.*?)(?: -> (?P<target>.*))?$"
)
_OWN = {
    "inode": pl.Int64, "blocks": pl.Int64, "permissions": pl.String, "links": pl.Int64, "group": pl.String, "size": pl.Int64,
    "target": pl.String, "time_text": pl.String,
}  # fmt: skip
_MONTHS = {
    m: n for n, m in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)
}
_ESCAPE = lazy_regex(rb"\\([0-3][0-7]{2}|.)", re.DOTALL)
_LETTERS = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_HALF_A_DAY = 14 * 3600 * 1_000_000_000  # a zone is at most so far ahead of UTC


def _named(text: str) -> str:
    """A name as find escapes it, in the grammar of paths; bytes that were no UTF-8 came here as escapes too."""

    def plain(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return bytes([int(code, 8)]) if len(code) == 3 else _LETTERS.get(code, code)

    return encode_name(_ESCAPE.sub(plain, text.encode("utf-8", "surrogateescape")))


def _paths(column: pl.Series) -> pl.Series:
    """The escapes of names undone; most names have none and cost nothing."""
    odd = column.str.contains("\\\\|[%!\x00-\x1f\x7f]").fill_null(False)
    if not odd.any():
        return column
    rows = odd.arg_true()
    return column.clone().scatter(rows, [_named(t) for t in column.gather(rows).to_list()])


def _moment(year: pl.Expr) -> pl.Expr:
    at = pl.datetime(year, "m", "day", pl.col("hour").fill_null(0), pl.col("minute").fill_null(0), time_unit="ns")
    valid = pl.col("day").is_between(1, 28) | (pl.col("day").is_between(29, 31) & _real(year))
    return pl.when(valid & year.is_between(1970, 2200)).then(at).otherwise(None).cast(pl.Int64)


def _real(year: pl.Expr) -> pl.Expr:
    leap = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    long = pl.when(pl.col("m") == 2).then(pl.lit(28) + leap.cast(pl.Int64))
    return pl.col("day") <= long.when(pl.col("m").is_in([4, 6, 9, 11])).then(30).otherwise(31)


def _finish(found: pl.DataFrame, file: File) -> Columns:
    taken, _ = captured(file)
    frame = numbered(found, ["inode", "blocks", "links", "size", "day", "hour", "minute", "year"]).with_columns(
        pl.col("month").replace_strict(_MONTHS, return_dtype=pl.Int64).alias("m")
    )
    stated = _moment(pl.col("year"))
    if taken is None:
        reckoned = pl.lit(None, dtype=pl.Int64)
    else:
        latest = taken + _HALF_A_DAY
        this = pl.lit(1970 + latest // 31_556_952_000_000_000, dtype=pl.Int64)
        now = _moment(this)
        reckoned = pl.when(now <= latest).then(now).otherwise(_moment(this - 1))
    clock = pl.concat_str(found["hour"], found["minute"], separator=":")
    text = pl.concat_str(found["month"], found["day"], pl.coalesce(found["year"], clock), separator=" ")
    yearless = pl.col("year").is_null()
    frame = frame.with_columns(pl.when(yearless).then(reckoned).otherwise(stated).alias("t"))
    frame = frame.with_columns(
        pl.when(pl.col("t").is_null()).then(pl.lit(str(TimeBasis.NONE)))
        .when(yearless).then(pl.lit(str(TimeBasis.YEAR_ASSUMED)))
        .otherwise(pl.lit(str(TimeBasis.ZONE_ASSUMED))).alias("basis"),
        pl.when(pl.col("t").is_null()).then(pl.lit("logged")).otherwise(pl.lit("modified")).alias("t_kind"),
        pl.when(pl.col("t").is_null() | pl.col("hour").is_null()).then(text).alias("time_text"),
    )  # fmt: skip
    return {
        "t_recorded": frame["t"], "t_basis": frame["basis"], "t_kind": frame["t_kind"], "user": frame["owner"],
        "file_path": _paths(frame["file_path"]), **{own_column(n): frame[n] for n in _OWN},
    }  # fmt: skip


GRAMMAR = LineGrammar(
    shapes=(table(_ROW, EventKind.STATE_LISTED, _finish, taken=False),), own={own_column(n): t for n, t in _OWN.items()}
)
