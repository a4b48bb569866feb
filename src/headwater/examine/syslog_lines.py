# SPDX-License-Identifier: Apache-2.0
"""The lines of the syslog family: BSD and ISO heads, RFC 5424, and the grammar that all its feeds share.

Formats: RFC 3164 section 4.1 (``Mmm dd HH:MM:SS host tag[pid]: text``), rsyslog's RSYSLOG_FileFormat (the same with an
RFC 3339 time, the default of Debian 13 and of Ubuntu 24.04), RFC 5424; each may have a ``<priority>`` in front.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import polars as pl

from headwater.examine.line_blocks import Lines
from headwater.examine.line_time import Times, YearlessTimes, bsd, digits, iso, letters
from headwater.examine.line_views import MASK8, Flags, Ints, numbers, words_from
from headwater.examine.line_words import decimal_back, runs, word
from headwater.examine.lines import Context, Cut, LineGrammar
from headwater.examine.messages import OWN, classified
from headwater.formats import compiled
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import TimeBasis

_MOST_SPACES = 16
_TIME = 15  # bytes of ``Mmm dd HH:MM:SS``
_FRACTION = 9  # digits
# What stands in the host's place of logs that write the severity there.
_SEVERITIES = ("EMERG", "ALERT", "CRIT", "ERR", "ERROR", "WARNING", "WARN", "NOTICE", "INFO", "DEBUG")
# A host has the form of a name or an address, of more than digits, as a relay may chain them with a slash.
_HOST = r"^[A-Za-z0-9:](?:[A-Za-z0-9._:/-]{0,253}[A-Za-z0-9.])?$"
_MORE_THAN_DIGITS = r"[A-Za-z.:]"
# What syslogd, login and anacron write behind the host without a tag, and the facility and severity of BusyBox.
_UNTAGGED = (
    r"^(?:last message repeated |message repeated |syslogd |exiting on signal |-- |Job `"
    r"|[a-z0-9]{1,12}\.(?:emerg|alert|crit|err|warn|notice|info|debug) )"
)
_STRUCTURED = r'^((?:\[(?:[^\]"]|"(?:[^"\\]|\\.)*")*\])+)(?: |$)(?s:(.*))$'


def _behind_priority(lines: Lines) -> tuple[Ints, Flags, Ints]:
    """Where the line goes on behind ``<n>``, whether it has one, and n."""
    at = lines.start
    has = lines.data[at] == 60
    value = np.zeros(len(lines), dtype=np.int64)
    if not has.any():
        return at, has, value
    behind = at + 0
    found = np.zeros(len(lines), dtype=np.bool_)
    text = letters(lines.data, at, 5)
    for width in (1, 2, 3):
        ok, number = digits(text, 1, width)
        ok &= has & (text[1 + width] == 62) & (number <= 191)
        value = np.where(ok, number, value)
        behind = np.where(ok, at + width + 2, behind)
        found |= ok
    return behind, found, value


def _priority_columns(has: Flags, value: Ints) -> dict[str, pl.Series]:
    if not has.any():
        return {}
    return {"facility": numbers(value >> 3, has), "severity": numbers(value & 7, has)}


class _Heads(NamedTuple):
    """The times of BSD heads, where what is behind each begins, and the nanoseconds that it states below the second."""

    times: YearlessTimes
    behind: Ints
    below: Ints


def _heads(lines: Lines, at: Ints) -> _Heads:
    """``Mmm dd HH:MM:SS`` with a space behind it, or a fraction and a space, or a colon and a space (syslogd of macOS)."""
    data, below = lines.data, np.zeros(len(lines), dtype=np.int64)
    mark = data[at + _TIME]
    odd = (mark == 58) | (mark == 46)
    odd &= at + _TIME < lines.end
    if not odd.any():
        return _Heads(bsd(data, at), at + _TIME + 1, below)
    spaced = data.copy()  # the mark behind the time becomes the space that it stands for
    spaced[at[odd] + _TIME] = 32
    times = bsd(spaced, at)
    text = letters(data, at + _TIME + 1, _FRACTION + 1)
    length, going, value = np.zeros(len(lines), dtype=np.int64), mark == 46, below + 0
    for k in range(_FRACTION):
        going = going & (text[k] - np.uint8(48) <= 9)
        value = np.where(going, value * 10 + (text[k].astype(np.int64) - 48), value * 10)
        length += going
    end = at + _TIME + 1 + length
    ok = times.ok & (~odd | ((data[end] == 32) & (end < lines.end) & ((mark == 58) | (length > 0))))
    behind = np.where(odd, end + 1, at + _TIME + 1)
    return _Heads(YearlessTimes(ok, times.month, times.day, times.second), behind, np.where(mark == 46, value, 0))


def yearless_times(lines: Lines) -> YearlessTimes:
    at, _, _ = _behind_priority(lines)
    return _heads(lines, at).times


def _skip_spaces(lines: Lines, at: Ints) -> Ints:
    for _ in range(_MOST_SPACES):
        more = (lines.data[at] == 32) & (at < lines.end)
        if not more.any():
            break
        at = at + more
    return at


def _pid(lines: Lines, close: Ints, bracket: Flags) -> tuple[Flags, Ints, Ints]:
    """Where ``[digits]`` ends at ``close``: whether it does, where it opens, and the number (of up to seven digits)."""
    # the eight bytes before the bracket in one read; a syslog text never stands at the beginning of a block
    count, pid = decimal_back(word(lines.data, np.maximum(close - 8, 0)))
    opened = close - count - 1
    numbered = bracket & (count > 0) & (count < 8) & (lines.data[np.maximum(opened, 0)] == 91)
    return numbered, opened, pid


class _Tags(NamedTuple):
    """Where ``tag[pid]:`` stands in each line, whether it has one and a pid, the pid, and where the text begins."""

    at: Ints
    end: Ints
    tagged: Flags
    numbered: Flags
    pid: Ints
    text: Ints


def _tags(lines: Lines, at: Ints) -> _Tags:
    """The tags at ``at``; without one all of it is text."""
    data = lines.data
    at = _skip_spaces(lines, at)
    stop = lines.find(at, " ")
    nonempty = stop > at
    colon = nonempty & (data[stop - 1] == 58)
    close = stop - 1 - colon
    numbered, opened, pid = _pid(lines, close, nonempty & (data[close] == 93))
    numbered &= opened > at
    end = np.where(numbered, opened, stop - 1)
    tagged = (colon | numbered) & (end > at)
    text = _skip_spaces(lines, np.where(tagged, np.minimum(stop + 1, lines.end), at))
    return _Tags(at, end, tagged, tagged & numbered, pid, text)


def _hosts(lines: Lines, at: Ints, stop: Ints) -> Flags:
    """Which words [at, stop) may be a host: no tag, no dash, and a host's form."""
    last = lines.data[np.maximum(stop - 1, 0)]
    may = (stop > at) & (last != 58) & (last != 93) & (lines.data[at] != 45)
    # who wrote a line mostly wrote the one before it; a name over sixteen bytes is never taken for the one before
    low, high = words_from(lines.data, at, 2)
    size = stop - at
    low &= MASK8[np.clip(size, 0, 8)]
    high &= MASK8[np.clip(size - 8, 0, 8)]
    own = np.where(size > 16, -np.arange(len(size)), size)
    first, run = runs(may, own, low, high)
    at, stop, may = at[first], stop[first], may[first]
    words = lines.column(at, stop, None if may.all() else may)
    form = words.str.contains(_HOST) & words.str.contains(_MORE_THAN_DIGITS)
    fits: Flags = form.fill_null(False).to_numpy()[run]
    return fits


def _rest(lines: Lines, at: Ints) -> dict[str, pl.Series]:
    """Host, process, pid and text of what follows the time; ``at`` is the position behind the space.

    The first word is a host only where a tag stands behind it (or what syslogd itself writes without one): agents that
    write a time and a sentence would otherwise each bring hosts of their own.
    """
    data = lines.data
    library = compiled.library()
    if library is not None:
        return _quick_rest(library, lines, at)
    at = np.minimum(at, lines.end)
    stop = lines.find(at, " ")
    named = _hosts(lines, at, stop)
    tags = _tags(lines, np.where(named, np.minimum(stop + 1, lines.end), at))
    rows = np.flatnonzero(named & ~tags.tagged)
    if len(rows):
        some = lines.take(rows)
        named[rows] = some.column(tags.at[rows], some.end).str.contains(_UNTAGGED).to_numpy()
        rows = rows[~named[rows]]
        for whole, part in zip(tags, _tags(lines.take(rows), at[rows])):
            whole[rows] = part
    columns = {
        "host": lines.column(at, stop, None if named.all() else named),
        "process": lines.column(tags.at, tags.end, None if tags.tagged.all() else tags.tagged),
        "pid": numbers(tags.pid, tags.numbered),
    }
    return columns | classified(columns["process"], Lines(data, tags.text, lines.end))


def _quick_rest(library: Any, lines: Lines, at: Ints) -> dict[str, pl.Series]:
    """The same by the compiled scanner."""
    rows, place = len(lines), compiled.at
    host, host_end, tag, tag_end, pid, text = (np.empty(rows, dtype=np.int64) for _ in range(6))
    numbered = np.empty(rows, dtype=np.bool_)
    at, end = compiled.whole(at), compiled.whole(lines.end)
    made = (place(array) for array in (host, host_end, tag, tag_end, pid, numbered, text))
    compiled.checked(library.hw_heads(place(lines.data), len(lines.data), place(at), place(end), rows, *made))
    named, tagged = host_end >= 0, tag_end >= 0
    columns = {
        "host": lines.column(host, host_end, None if named.all() else named),
        "process": lines.column(tag, tag_end, None if tagged.all() else tagged),
        "pid": numbers(pid, numbered),
    }
    return columns | classified(columns["process"], Lines(lines.data, text, lines.end), (tag, tag_end))


def _basis(codes: Ints, *names: TimeBasis) -> pl.Series:
    return pl.Series([str(n) for n in names], dtype=pl.String).gather(pl.Series(codes.astype(np.uint32)))


def bsd_shape(lines: Lines, context: Context) -> Cut:
    """``Mmm dd HH:MM:SS host tag[pid]: text``, the year inferred for the file; the time perhaps with a fraction."""
    at, has, value = _behind_priority(lines)
    times, behind, below = _heads(lines, at)
    if not times.ok.any() or context.years is None:
        return Cut.none(lines)
    known, ns = context.years.nanoseconds(times)
    fits = times.ok
    known, ns, at = known[fits], ns[fits], at[fits]
    mine = lines.take(fits)
    columns = _rest(mine, behind[fits])
    columns["t_recorded"] = numbers(ns + below[fits], known)
    columns["t_basis"] = _basis(known.astype(np.int64), TimeBasis.NONE, TimeBasis.YEAR_ASSUMED)
    if not known.all():
        columns["time_text"] = mine.column(at, at + 15, ~known)
    return Cut(fits, columns | _priority_columns(has[fits], value[fits]))


def _dated(times: Times, fits: Flags) -> dict[str, pl.Series]:
    return {
        "t_recorded": pl.Series(times.ns[fits]),
        "t_basis": _basis(times.zoned[fits].astype(np.int64), TimeBasis.ZONE_ASSUMED, TimeBasis.ZONE_GIVEN),
    }


def iso_shape(lines: Lines, context: Context) -> Cut:
    """``2026-03-02T11:22:33.123456+08:00 host tag[pid]: text``."""
    at, has, value = _behind_priority(lines)
    times = iso(lines.data, at, "-T ")
    fits = times.ok & (lines.data[times.end] == 32) & (times.end < lines.end)
    if not fits.any():
        return Cut.none(lines)
    columns = _rest(lines.take(fits), times.end[fits] + 1) | _dated(times, fits)
    words = columns["host"].is_in(_SEVERITIES)
    if words.any():
        columns["severity_text"] = columns["host"].set(~words.fill_null(False), None)
        columns["host"] = columns["host"].set(words.fill_null(False), None)
    return Cut(fits, columns | _priority_columns(has[fits], value[fits]))


def protocol_shape(lines: Lines, context: Context) -> Cut:
    """RFC 5424: ``<priority>1 time host application process message-id structured-data text``; ``-`` is nothing."""
    at, has, value = _behind_priority(lines)
    times = iso(lines.data, at + 2, "-T")
    fits = has & (lines.data[at] == 49) & (lines.data[at + 1] == 32) & times.ok & (lines.data[times.end] == 32)
    if not fits.any():
        return Cut.none(lines)
    mine, here = lines.take(fits), times.end[fits] + 1
    tokens: list[pl.Series] = []
    for _ in range(4):
        here = np.minimum(here, mine.end)
        stop = mine.find(here, " ")
        given = (stop > here) & ~((stop == here + 1) & (mine.data[here] == 45))
        tokens.append(mine.column(here, stop, given))
        here = stop + 1
    here = np.minimum(here, mine.end)
    rest = mine.column(here, mine.end)
    parts = rest.str.extract_groups(_STRUCTURED).struct.unnest()
    structured, behind = parts.to_series(0), parts.to_series(1)
    plain = rest.str.strip_prefix("-").str.strip_prefix(" ")
    text = behind.zip_with(structured.is_not_null(), plain).str.strip_prefix("\ufeff").str.strip_chars_start(" ")
    texts = Lines(mine.data, mine.end - text.str.len_bytes().to_numpy().astype(np.int64), mine.end)
    pid = tokens[2].str.to_integer(strict=False)
    columns = {"host": tokens[0], "process": tokens[1], "pid": pid, "msgid": tokens[3]}
    columns |= classified(tokens[1], texts) | {"structured_data": structured}
    return Cut(fits, columns | _dated(times, fits) | _priority_columns(has[fits], value[fits]))


SYSLOG_OWN = {
    **OWN,
    "time_text": pl.String,
    "facility": pl.Int64,
    "severity": pl.Int64,
    "severity_text": pl.String,
    "msgid": pl.String,
    "structured_data": pl.String,
}
SYSLOG = LineGrammar(shapes=(bsd_shape, protocol_shape, iso_shape), own=SYSLOG_OWN, yearless=yearless_times)

_MONTH = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_HEAD = (
    rb"(?:<[0-9]{1,3}>)?(?:" + _MONTH + rb" [ 0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-6][0-9]"
    rb"|(?:1 )?[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9][^ ]*) [!-~]{1,255} "
)
_LINE = lazy_regex(_HEAD)
_AUTH = lazy_regex(_HEAD + rb"(?:sshd|sudo|su|login|systemd-logind|useradd|passwd|polkitd|gdm[a-z-]*)[^a-z0-9 ]")


def syslog_share(head: bytes) -> tuple[float, float]:
    """Which shares of the lines at a file's beginning look like syslog, and like its authentication messages."""
    lines = [line for line in head.split(b"\n")[:40] if line.strip()]
    if len(lines) > 1 and not head.endswith(b"\n"):
        lines.pop()
    if not lines:
        return 0.0, 0.0
    plain = sum(1 for line in lines if _LINE.match(line))
    auth = sum(1 for line in lines if _AUTH.match(line))
    return plain / len(lines), auth / len(lines)
