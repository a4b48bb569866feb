# SPDX-License-Identifier: Apache-2.0
"""Logins, failed logins and sessions of Dovecot in logs of its own (mail.dovecot).

Reads:  /var/log/dovecot*.log and /var/log/dovecot/*.log: where ``log_path`` says so; through syslog they are in mail.log.
Time:   wall clock without year and zone: the year is inferred for the file.
Format: ``Mmm dd HH:MM:SS service(user)<pid><session>: Level: text``, Dovecot 2 with its default log_timestamp.
Limits: a failed login is told when its connection ends, once for all its attempts; a log_timestamp of one's own is a gap.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from headwater.examine.filled import filled
from headwater.examine.line_blocks import Lines
from headwater.examine.line_time import YearlessTimes, bsd
from headwater.examine.line_views import numbers
from headwater.examine.lines import Context, Cut, LineGrammar, groups
from headwater.examine.messages import OWN, classified
from headwater.model.kinds import TimeBasis

FEED = "mail.dovecot"
VERSION = 1
READS = ("/var/log/dovecot*", "/var/log/dovecot/*", "/var/log/mail/dovecot*.log*")
_TIME = 16  # bytes of ``Mmm dd HH:MM:SS`` and the blank behind
_LINE = (
    r"^(?P<part>[a-z][a-z0-9_-]*)(?:\((?P<who>[^)]{0,400})\))?(?:<(?P<pid>[0-9]{1,9})>)?(?:<(?P<session>[^>]{0,100})>)?: "
    r"(?P<level>Debug|Info|Warning|Error|Fatal|Panic): "
)


def _shape(lines: Lines, context: Context) -> Cut:
    times = bsd(lines.data, lines.start)
    if context.years is None or not times.ok.any():
        return Cut.none(lines)
    known, ns = context.years.nanoseconds(times)
    fits, got = groups(lines, lines.start + _TIME, times.ok, _LINE)
    if not fits.any():
        return Cut.none(lines)
    mine, known = lines.take(fits), known[fits]
    bases = pl.Series([str(TimeBasis.NONE), str(TimeBasis.YEAR_ASSUMED)], dtype=pl.String)
    process = filled("dovecot", got.height)
    columns = {"process": process, "provider": process}
    columns |= classified(process, Lines(mine.data, mine.start + _TIME, mine.end))
    named = got["who"].str.contains(r"^[^,]*[^,0-9][^,]*$").fill_null(False)  # of a worker it is its number
    user = got["who"].set(~named, None)
    columns["user"] = columns["user"].fill_null(user) if "user" in columns else user
    columns["pid"] = got["pid"].cast(pl.Int64, strict=False)
    columns |= {"part": got["part"], "session": got["session"], "severity_text": got["level"].str.to_lowercase()}
    columns["t_recorded"] = numbers(ns[fits], known)
    columns["t_basis"] = bases.gather(pl.Series(known.astype(np.uint32)))
    if not known.all():
        columns["time_text"] = mine.column(mine.start, mine.start + _TIME - 1, ~known)
    return Cut(fits, columns)


def _times(lines: Lines) -> YearlessTimes:
    return bsd(lines.data, lines.start)


_FIELDS = {"part": pl.String, "session": pl.String, "severity_text": pl.String, "time_text": pl.String}
GRAMMAR = LineGrammar(shapes=(_shape,), own={**OWN, **_FIELDS}, yearless=_times)
