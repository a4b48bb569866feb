# SPDX-License-Identifier: Apache-2.0
"""Requests as Microsoft IIS logged them in the W3C extended format (windows.iis).

Reads:  **/LogFiles/W3SVC*/*.log and FTPSVC; or content that begins with its directives.
Time:   UTC, whole seconds, whatever the host's zone; without a date column the day of the last ``#Date:`` above.
Format: columns as the last ``#Fields:`` above names them; names are Sigma's, ``cs(User-Agent)`` as cs-user-agent.
Limits: spaces are logged as ``+``, which is kept; without a ``#Fields:`` above a line is a gap; lines are buffered by the
        kernel for up to a minute before they are written.

Source: https://www.w3.org/TR/WD-logfile.html, https://learn.microsoft.com/windows/win32/http/w3c-logging
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from headwater.examine import line_time, line_words
from headwater.examine.batch import Batch
from headwater.examine.line_views import Flags, Ints, column, constant
from headwater.examine.parsers._records import event
from headwater.examine.parsers._spaced import Cut, Judged, Values, addresses, spaced_batches
from headwater.examine.parsers._text import Line, lines
from headwater.examine.parsers._when import NONE, SECOND, iso
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Skip, Value, own_column

FEED = "windows.iis"
VERSION = 1
READS = (
    "/LogFiles/W3SVC*/*.log",
    "/LogFiles/**/u_ex*.log",
    "/LogFiles/FTPSVC*/*.log",
    "/u_ex*.log",
)
_HEADER = {"c-ip": "src_ip", "s-ip": "dst_ip", "cs-username": "user", "s-computername": "host"}
_NAMED = {
    "cs(user-agent)": "cs-user-agent",
    "cs(referer)": "cs-referer",
    "cs(cookie)": "cs-cookie",
    "x-forwarded-for": "x-forwarded-for",
}
_NUMBERS = frozenset(
    {"sc-status", "sc-bytes", "cs-bytes", "s-port", "c-port", "sc-win32-status", "sc-substatus", "time-taken"}
)
_DAY = lazy_regex(r"#Date: (\d{4}-\d\d-\d\d)")
_PLAIN = lazy_regex(r"[A-Za-z0-9()_-]{1,100}")
_OF_HEADER = frozenset({*_HEADER.values(), "date", "time"})
_NO_ADDRESS = {"src_ip": "rhost", "dst_ip": "dst_host"}  # as event() names what is none
_MADE = frozenset({*_NO_ADDRESS.values(), "time_text", "cs-uri", "pid_text"})
_LAST_DAY = 9_000_000_000 * SECOND  # well below what 64 bits of nanoseconds hold


def _event(line: Line, names: Sequence[str], values: Sequence[str], day: str | None) -> Event:
    fields: dict[str, Value] = {}
    for name, text in zip(names, values):
        if text == "-":
            continue
        fields[_field(name)] = (
            int(text) if name.lower() in _NUMBERS and text.isascii() and text.isdigit() and len(text) < 19 else text
        )
    date, clock = str(fields.pop("date", day) or ""), str(fields.pop("time", "") or "")
    when = iso(f"{date} {clock}", TimeBasis.UTC) if date and clock else NONE
    if when[0] is None and clock:
        fields["time_text"] = f"{date} {clock}".strip()
    status = fields.get("sc-status")
    outcome = None if not isinstance(status, int) else Outcome.FAILURE if status >= 400 else Outcome.SUCCESS
    stem, query = fields.get("cs-uri-stem"), fields.get("cs-uri-query")
    if stem is not None:
        fields["cs-uri"] = f"{stem}?{query}" if query is not None else stem
    return event(line, when, K.WEB_REQUEST, outcome, fields, provider="iis")


def _field(name: str) -> str:
    """What a column is called here."""
    lower = name.lower()
    kept = lower if lower.startswith(("cs-", "sc-", "s-", "c-", "time")) else name
    return _HEADER.get(lower) or _NAMED.get(lower) or kept


class _Requests:
    """What the directives above a line say, and the records of lines by it."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.day: str | None = None
        self._day_ns: int | None = None
        self._fields: dict[str, int] = {}  # of regular lines: field to column

    def record(self, line: Line) -> Record:
        text = line.text
        if text.startswith("#"):
            date = _DAY.match(text)
            self.day = date.group(1) if date else self.day
            self.names = text[8:].split() if text.startswith("#Fields:") else self.names
            self._plan()
            return Skip(line.offset, line.length, "a directive")
        if not text.strip():
            return Skip(line.offset, line.length, "blank line")
        names = self.names
        values = text.rstrip(" ").split(" ")
        values = values if len(values) == len(names) else text.split()  # some modules write a space too many
        if not names or len(values) != len(names):
            detail = "another number of columns" if names else "no #Fields above this line"
            return Gap(line.offset, line.length, GapReason.NOT_THIS_FORMAT, detail)
        return _event(line, names, values, self.day)

    def _plan(self) -> None:
        """Whether lines under these directives can be read by columns: usual names, each once, and a time to be had."""
        fields = {_field(name): k for k, name in enumerate(self.names)}
        plain = all(_PLAIN.fullmatch(name) and own_column(name) == name for name in fields if name not in _OF_HEADER)
        self._day_ns = iso(f"{self.day} 00:00:00", TimeBasis.UTC)[0] if self.day and self.day.isascii() else None
        timed = fields.get("time", 0) == fields.get("date", -1) + 1 or "date" not in fields
        dated = "date" in fields or (self._day_ns is not None and 0 <= self._day_ns < _LAST_DAY)
        fits = plain and timed and dated and "time" in fields and len(fields) == len(self.names) > 2
        self._fields = fields if fits and not _MADE & fields.keys() else {}

    def steers(self, cut: Cut) -> Flags:
        found: Flags = cut.data[cut.start] == ord("#")
        return found

    def width(self) -> int:
        return len(self._fields)

    def judge(self, values: Values) -> Judged:
        clock = self._fields["time"]
        fits = values.end[clock] - values.start[clock] == 8
        if "date" in self._fields:
            date = self._fields["date"]
            times = line_time.iso(values.data, values.start[date], "- ")
            return Judged(fits & times.ok & (values.end[date] - values.start[date] == 10), times.ns)
        ok, second = line_words.clock(line_words.word(values.data, values.start[clock]))
        return Judged(fits & ok, second * SECOND + (self._day_ns or 0))

    def columns(self, values: Values, time: Ints) -> dict[str, pl.Series]:
        rows = len(time)
        made = {
            "t_recorded": pl.Series(time),
            "t_basis": constant(TimeBasis.UTC.value, rows),
            "t_kind": constant("logged", rows),
            "kind": constant(K.WEB_REQUEST.value, rows),
            "provider": constant("iis", rows),
        }
        uri = self._uri(values)
        for name, k in self._fields.items():
            if name in ("src_ip", "dst_ip"):
                made[name], made[_NO_ADDRESS[name]] = addresses(values.text(k))
            elif name in _NUMBERS:
                made[name] = values.number(k)
            elif name not in ("date", "time"):
                made[name] = values.text(k)
        if uri is not None:
            made["cs-uri"] = uri
        if "sc-status" in self._fields:
            k = self._fields["sc-status"]
            ok, status = values.whole(k)
            outcome = pl.Series(
                np.where(status >= 400, Outcome.FAILURE.value, Outcome.SUCCESS.value).astype(object), dtype=pl.String
            )
            made["outcome"] = outcome.set(pl.Series(~ok), None)
        return made

    def _uri(self, values: Values) -> pl.Series | None:
        """Stem and query as one text; where they stand beside each other, the space between becomes the question mark."""
        stem, query = self._fields.get("cs-uri-stem"), self._fields.get("cs-uri-query")
        if stem is None:
            return None
        if query is None:
            return values.text(stem)
        there, asked = values.there(stem), values.there(query)
        if query != stem + 1:
            both = pl.select(pl.concat_str(values.text(stem), pl.lit("?"), values.text(query))).to_series()
            return both.zip_with(pl.Series(asked), values.text(stem))
        values.data[values.end[stem][asked]] = ord("?")
        end = np.where(asked, values.end[query], values.end[stem])
        return column(values.data, values.start[stem], end, there)


def parse(file: File) -> Iterator[Record]:
    """Line by line: what :func:`batches` says in columns."""
    requests = _Requests()
    for line in lines(file):
        yield line if isinstance(line, Gap) else requests.record(line)


def batches(file: File) -> Iterator[Batch]:
    """The same by columns, where the lines are regular."""
    return spaced_batches(file, _Requests())


def recognise(head: bytes) -> bool:
    return head.startswith((b"#Software: Microsoft Internet Information", b"#Software: Microsoft HTTP Server"))
