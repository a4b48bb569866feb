# SPDX-License-Identifier: Apache-2.0
"""The access lines of web servers: common and combined format, with a virtual host in front and anything behind.

``[vhost] peer ident user [time] "request" status bytes ["referer" "agent" [more …]]``. Inside quotes Apache writes ``\\"``
and nginx ``\\x22``; a server that escapes nothing is read by taking the request to end where status and size follow.

Formats: https://httpd.apache.org/docs/2.4/mod/mod_log_config.html#formats (common, combined, vhost_combined),
https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format (combined); field names: Sigma's webserver taxonomy.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from headwater.examine import line_words
from headwater.examine.line_blocks import Lines
from headwater.examine.line_templates import equal, run_of_digits
from headwater.examine.line_time import clf
from headwater.examine.line_views import (
    Bytes,
    Flags,
    Ints,
    constant,
    find,
    find_back,
    numbers,
    places,
    words,
    words_from,
)
from headwater.examine.lines import Context, Cut
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind, Outcome, TimeBasis

OWN = {
    "cs-method": pl.String,
    "cs-uri": pl.String,
    "cs-uri-stem": pl.String,
    "cs-uri-query": pl.String,
    "cs-version": pl.String,
    "sc-status": pl.Int64,
    "sc-bytes": pl.Int64,
    "cs-referer": pl.String,
    "cs-user-agent": pl.String,
    "x-forwarded-for": pl.String,
    "time-taken": pl.String,
    "cs-host": pl.String,
    "ident": pl.String,
    "rhost": pl.String,
    "request": pl.String,  # where it is no request line: a TLS probe, "-", garbage
    "extra": pl.String,
}
_ADDRESS = r"^(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F.]*)$"
_FORWARDED = r'^"((?:(?:[0-9a-fA-F:.]+|unknown)(?:, ?)?)+|-)"(?: (.*))?$'
_UNESCAPED = r'^(.*?)" (?:[0-9]{3}|-) (?:[0-9]+|-)(?: |$)'
_MOST_BACKSLASHES = 64
_VERSION = np.uint64(int.from_bytes(b" HTTP/1.", "little"))
_NOBODY = np.uint64(int.from_bytes(b" - - [", "little"))  # between the peer and the time, in most lines
_ANSWER = np.uint64(int.from_bytes(b'" \0\0\0 ', "little"))  # a closing quote and the places of the status
_ANSWER_MASK = np.uint64(int.from_bytes(b"\xff\xff\0\0\0\xff", "little"))
_SPACE, _QUOTE, _BACKSLASH, _DASH, _QUESTION, _OPEN = 32, 34, 92, 45, 63, 91


class _Quotes:
    """All quotes of a block, and for each of its lines the number of the quote that comes next."""

    def __init__(self, data: Bytes, at: Ints) -> None:
        self.places = np.concatenate([[-1], np.flatnonzero(data == _QUOTE), [len(data), len(data)]])
        self.last = len(self.places) - 1
        self.next = np.searchsorted(self.places, at)

    def take(self, rows: Flags) -> None:
        self.next = self.next[rows]

    def first(self, at: Ints) -> Ints:
        """The first quote from each position on; mostly it is the next one or the one behind it, seldom looked for."""
        for step in (0, 1):
            number = np.minimum(self.next + step, self.last)
            wrong = np.flatnonzero((self.places[number] < at) | (self.places[number - 1] >= at))
            if 2 * len(wrong) < len(at):
                break
        number[wrong] = np.searchsorted(self.places, at[wrong])
        self.next = np.minimum(number + 1, self.last)
        return self.places[number]


def _quoted(lines: Lines, at: Ints, quotes: _Quotes) -> Ints:
    """The position of the quote that ends what begins at ``at``: the first that has no odd run of backslashes before it."""
    stop = np.minimum(quotes.first(at), lines.end)
    rows = np.flatnonzero((lines.data[np.maximum(stop - 1, 0)] == _BACKSLASH) & (stop < lines.end) & (stop > at))
    for _ in range(_MOST_BACKSLASHES):
        if not len(rows):
            break
        run = np.zeros(len(rows), dtype=np.int64)
        going = np.ones(len(rows), dtype=np.bool_)
        for k in range(1, _MOST_BACKSLASHES):
            place = stop[rows] - k
            going = going & (place >= at[rows]) & (lines.data[np.maximum(place, 0)] == _BACKSLASH)
            if not going.any():
                break
            run += going
        rows = rows[run % 2 == 1]
        some = lines.take(rows)
        behind = np.searchsorted(quotes.places, stop[rows] + 1)
        stop[rows] = np.minimum(quotes.places[behind], some.end)
        rows = rows[stop[rows] < some.end]
    return stop


def _status_and_size(lines: Lines, quote: Ints) -> tuple[Flags, Ints, Ints, Ints]:
    """Of ``" 200 1234`` at a closing quote: whether it is that, the status, the size, its end; -1 stands for a dash."""
    data = lines.data
    at = np.minimum(quote, lines.end)
    head, behind = words_from(data, at, 2)
    ok, status = line_words.three_digits(head >> np.uint64(16))
    ok &= (head & _ANSWER_MASK) == _ANSWER
    count, size = line_words.decimal((head >> np.uint64(48)) | (behind << np.uint64(16)))
    end = at + 6 + count
    odd = np.flatnonzero(~ok | (count == 0) | (count == 8))
    if len(odd):
        ok[odd], status[odd], size[odd], end[odd] = _odd_status(lines.take(odd), at[odd])
    ok &= (end <= lines.end) & (quote < lines.end)
    end = np.minimum(end, lines.end)
    ok &= (end == lines.end) | (data[end] == _SPACE)
    return ok, status, size, end


def _odd_status(lines: Lines, quote: Ints) -> tuple[Flags, Ints, Ints, Ints]:
    """The same where a dash stands for the status or the size, or the size is of eight digits or more."""
    data = lines.data
    first = np.minimum(quote + 2, lines.end)
    status_end, status = run_of_digits(data, first, lines.end, 1)
    dash = (status_end == first) & (data[first] == _DASH)
    status_end = status_end + dash
    ok = (data[quote] == _QUOTE) & (data[np.minimum(quote + 1, lines.end)] == _SPACE)
    ok &= dash | (status_end - first == 3)
    second = np.minimum(status_end + 1, lines.end)
    size_end, size = run_of_digits(data, second, lines.end, 1)
    no_size = (size_end == second) & (data[second] == _DASH)
    size_end = size_end + no_size
    ok &= (data[status_end] == _SPACE) & (size_end > second)
    return ok, np.where(dash, -1, status), np.where(no_size, -1, size), size_end


def _dash(data: Bytes, low: Ints, high: Ints) -> Flags:
    is_dash: Flags = (high == low + 1) & (data[low] == _DASH)
    return is_dash


def _spelt(lines: Lines, bracket: Ints) -> tuple[Flags, Ints, Ints, Ints, Ints, Ints, Ints]:
    """Whether a virtual host stands in front, and the bounds of peer, ident and user."""
    data, start = lines.data, lines.start
    stops = []
    at = start
    for _ in range(3):
        stops.append(np.minimum(lines.find(np.minimum(at, lines.end), " "), bracket))
        at = np.minimum(stops[-1] + 1, bracket)
    first, second, third = stops
    # the ident is a dash; where it is one token later, the first token is the virtual host
    hosted = ~_dash(data, np.minimum(first + 1, bracket), second) & _dash(data, np.minimum(second + 1, bracket), third)
    low = np.where(hosted, first + 1, start)
    peer_end = np.where(hosted, second, first)
    ident_end = np.where(hosted, third, second)
    user = np.minimum(ident_end + 1, bracket)
    ident = np.minimum(peer_end + 1, bracket)
    return hosted, low, peer_end, ident, ident_end, user, np.maximum(bracket - 1, user)


def _peer(lines: Lines, usual: Ints, bracket: Ints) -> dict[str, pl.Series]:
    """Virtual host, peer, ident and user from what stands before the bracketed time; ``usual`` is the first space."""
    data, start = lines.data, lines.start
    low, peer_end = start, np.minimum(usual, bracket)
    ident, ident_end = usual + 1, usual + 2
    user, user_end = usual + 3, usual + 4
    hosted = np.zeros(len(lines), dtype=np.bool_)
    nobody = line_words.masked(line_words.word(data, usual), 6) == _NOBODY
    other = np.flatnonzero(~(nobody & (bracket == usual + 5)))
    if len(other):
        low, peer_end, ident, ident_end, user, user_end = (
            x.copy() for x in (low, peer_end, ident, ident_end, user, user_end)
        )
        found = _spelt(lines.take(other), bracket[other])
        for whole, part in zip((hosted, low, peer_end, ident, ident_end, user, user_end), found):
            whole[other] = part
    columns = {"src_ip": lines.column(low, peer_end)}
    for name, begin, end in (("user", user, user_end), ("ident", ident, ident_end)):
        given = (end > begin) & ~_dash(data, begin, end)
        if given.any():
            columns[name] = lines.column(begin, end, given)
    if hosted.any():
        columns["cs-host"] = lines.column(start, np.maximum(low - 1, start), hosted)
    if not line_words.ipv4(data, low, peer_end).all():
        said = columns["src_ip"]
        address = said.str.contains(_ADDRESS)
        bare = said.str.replace(r"^([0-9.]+):[0-9]+$|^\[([0-9a-fA-F:.]+)\](?::[0-9]+)?$", "$1$2")
        address = bare.str.contains(_ADDRESS)
        columns["rhost"] = said.set(address, None)
        columns["src_ip"] = bare.set(~address, None)
    return columns


def _first_inside(places: Ints, low: Ints, high: Ints) -> Ints:
    """For each stretch, which follow each other, the first of the places in it, or its end."""
    found = high.copy()
    row = np.searchsorted(low, places, side="right") - 1
    inside = (row >= 0) & (places < high[row])
    found[row[inside][::-1]] = places[inside][
        ::-1
    ]  # of several values for one row the last one counts, which is the first
    return found


def _request(lines: Lines, low: Ints, high: Ints) -> dict[str, pl.Series]:
    """The parts of ``GET /a?b HTTP/1.1``; what is no such thing is kept whole."""
    method_end = np.minimum(lines.find(low, " "), high)
    version = np.maximum(high - 8, low)
    usual = words(lines.data, 8)[version - 1] == _VERSION
    other = np.flatnonzero(~(usual & (version > method_end)))
    version[other] = find_back(lines.data, high[other], _SPACE, low[other])
    proper = (method_end > low) & (version > method_end + 1) & equal(lines.data, version, b"HTTP/") & (version < high)
    letter = lines.data[low]
    proper &= (letter >= 65) & (letter <= 90)
    # HTTP/0.9 and servers that leave the version out: a method and a path are enough
    short = (
        ~proper & (method_end > low) & (method_end + 1 < high) & (lines.data[np.minimum(method_end + 1, high)] == 47)
    )
    short &= (letter >= 65) & (letter <= 90)
    fits = proper | short
    uri = np.minimum(method_end + 1, high)
    uri_end = np.maximum(np.where(proper, version - 1, high), uri)
    mark = _first_inside(places(lines.data, _QUESTION), uri, uri_end)
    every = None if fits.all() else fits
    columns = {
        "cs-method": lines.column(low, method_end, every),
        "cs-uri": lines.column(uri, uri_end, every),
        "cs-uri-stem": lines.column(uri, mark, every),
        "cs-uri-query": lines.column(np.minimum(mark + 1, uri_end), uri_end, fits & (mark < uri_end)),
        "cs-version": lines.column(version, high, None if proper.all() else proper),
    }
    if every is not None:
        columns["request"] = lines.column(low, high, ~fits)
    return columns


def _behind(lines: Lines, at: Ints, quotes: _Quotes) -> dict[str, pl.Series]:
    """Referer, user agent and what a server's own format puts behind them; ``at`` is the end of the size."""
    data, end = lines.data, lines.end

    def text(low: Ints, high: Ints, there: Flags) -> pl.Series:
        low = np.minimum(low, high)
        empty = (high == low) | ((high == low + 1) & (data[low] == _DASH))
        return lines.column(low, high, there & ~empty)

    columns: dict[str, pl.Series] = {}
    going = np.ones(len(lines), dtype=np.bool_)
    for name in ("cs-referer", "cs-user-agent"):
        low = np.minimum(at + 2, end)
        opened = going & (data[np.minimum(at + 1, end)] == _QUOTE) & (low <= end) & (at + 1 < end)
        stop = _quoted(lines, low, quotes)
        closed = opened & (stop < end)
        # cut off before its closing quote, a field still says what it says
        columns[name] = text(low, stop, opened)
        at = np.where(closed, stop + 1, np.where(opened, end, at))
        going = closed
    low = np.minimum(at + 1, end)
    more = low < end
    if not more.any():
        return columns
    return columns | behind_agent(lines.column(low, end, more))


def behind_agent(extra: pl.Series) -> dict[str, pl.Series]:
    """What a server's own format puts behind the agent: forwarded addresses, the time taken, or anything else."""
    forwarded = extra.str.extract_groups(_FORWARDED).struct.unnest()
    given, rest = forwarded.to_series(0), forwarded.to_series(1)
    columns = {"x-forwarded-for": given.set((given == "-").fill_null(False), None)}
    extra = rest.zip_with(given.is_not_null(), extra)
    seconds = extra.str.contains(r"^[0-9]+\.[0-9]+$").fill_null(False)
    columns["time-taken"] = extra.set(~seconds, None)
    columns["extra"] = extra.set(seconds, None)
    return columns


_OUTCOMES = pl.Series([str(Outcome.SUCCESS), str(Outcome.FAILURE), None], dtype=pl.String)
_BASES = pl.Series([str(TimeBasis.ZONE_ASSUMED), str(TimeBasis.ZONE_GIVEN)], dtype=pl.String)


def header(ns: Ints, zoned: Flags, status: Ints) -> dict[str, pl.Series]:
    """Kind, time, basis and outcome of requests; a status below 0 is none."""
    outcome = np.where(status < 0, 2, status >= 400).astype(np.uint32)
    return {
        "kind": constant(str(EventKind.WEB_REQUEST), len(ns)),
        "t_recorded": pl.Series(ns),
        "t_basis": _BASES.gather(pl.Series(zoned.astype(np.uint32))),
        "outcome": _OUTCOMES.gather(pl.Series(outcome)),
    }


def _end_of_request(lines: Lines, low: Ints, quotes: _Quotes) -> tuple[Ints, tuple[Flags, Ints, Ints, Ints]]:
    """Where the request's closing quote stands, the one that status and size follow; and those."""
    quote = _quoted(lines, low, quotes)
    answer = _status_and_size(lines, quote)
    wrong = np.flatnonzero(~answer[0])
    if not len(wrong):
        return quote, answer
    some = lines.take(wrong)
    inside = some.column(low[wrong], some.end).str.extract(_UNESCAPED, 1)
    found = inside.is_not_null().to_numpy()
    rows = wrong[found]
    quote[rows] = low[rows] + inside.filter(found).str.len_bytes().to_numpy().astype(np.int64)
    for whole, part in zip(answer, _status_and_size(lines.take(rows), quote[rows])):
        whole[rows] = part
    return quote, answer


def access_shape(lines: Lines, context: Context) -> Cut:
    data = lines.data
    space = lines.find(lines.start, " ")
    bracket = np.minimum(space + 5, lines.end)
    other = np.flatnonzero(line_words.masked(line_words.word(data, space), 6) != _NOBODY)
    if len(other):
        bracket[other] = find(data, space[other], _OPEN, lines.end[other])
    times = clf(data, bracket + 1)
    low = times.end + 3
    fits = times.ok & (bracket > lines.start) & (low <= lines.end)
    fits &= equal(data, np.where(fits, times.end, 0), b'] "')
    if not fits.any():
        return Cut.none(lines)
    rows = np.flatnonzero(fits)
    mine, space, bracket, low = lines.take(rows), space[rows], bracket[rows], low[rows]
    quotes = _Quotes(data, low)
    quote, (ok, status, size, size_end) = _end_of_request(mine, low, quotes)
    if not ok.any():
        return Cut.none(lines)
    if not ok.all():
        fits[rows[~ok]] = False
        rows, mine, space, bracket, low = rows[ok], mine.take(ok), space[ok], bracket[ok], low[ok]
        quote, status, size, size_end = quote[ok], status[ok], size[ok], size_end[ok]
        quotes.take(ok)
    columns = header(times.ns[rows], times.zoned[rows], status)
    columns |= {"sc-status": numbers(status, status >= 0), "sc-bytes": numbers(size, size >= 0)}
    columns |= _peer(mine, space, bracket) | _request(mine, low, quote) | _behind(mine, size_end, quotes)
    return Cut(fits, columns)


_LINE = lazy_regex(rb'\S+ [^\n]*?\[[0-3][0-9]/[A-Z][a-z]{2}/[0-9]{4}:[0-2][0-9]:[0-5][0-9]:[0-6][0-9][^\]\n]{0,8}\] "')


def access_share(head: bytes) -> float:
    """Which share of the lines at a file's beginning are access lines."""
    lines = [line for line in head.split(b"\n")[:40] if line.strip()]
    if len(lines) > 1 and not head.endswith(b"\n"):
        lines.pop()
    return sum(1 for line in lines if _LINE.match(line)) / len(lines) if lines else 0.0
