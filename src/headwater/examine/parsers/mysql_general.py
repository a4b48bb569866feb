# SPDX-License-Identifier: Apache-2.0
"""Connections and statements of MySQL's and MariaDB's general query log (mysql.general).

Reads:  /var/log/mysql/general*, query*.log, /var/lib/mysql/general*.log; elsewhere what begins with the server's banner and such
        records (its default is HOST.log in the data directory, Debian's mysql.log).
Time:   UTC (``Z``) since MySQL 5.7; the wall clock before and in MariaDB, where an empty time means the one above.
Format: ``time TAB thread command TAB argument``; statements of several lines are one record.
Limits: a Connect line is written before the password is judged, so it proves no login; user and address of a statement are
        those of its thread's last Connect line above it in the same file.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from headwater.examine.batch import HEAD_SCHEMA, Batch, frame_of, merge_gaps, skips_of
from headwater.examine.filled import filled
from headwater.examine.parsers._records import MOST_RECORD, Chunk, chunks, event, meaning, rule
from headwater.examine.parsers._slots import address
from headwater.examine.parsers._text import LINE_LIMIT, Line, Stretch, lines, lines_in, stretches
from headwater.examine.parsers._when import NONE, When, iso
from headwater.examine.parsers.mysql_error import _DENIED, when
from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import EventKind as K
from headwater.model.kinds import GapReason, Outcome, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "mysql.general"
VERSION = 3
READS = (
    "/var/log/mysql/general*",
    "/var/log/mysql/query*.log*",
    "/var/log/mysql/mysql-general*",
    "/var/lib/mysql/general*.log",
    "/www/server/data/general*.log",
)
_TIME = rb"(?:\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)|\d{6} {1,2}\d?\d:\d\d:\d\d|\t)\t *\d+ [A-Z]"
_STARTS = lazy_regex(_TIME)
_EVERY = lazy_regex(rb"(?m)^" + _TIME)
_PLAIN = lazy_regex(rb"\S+, Version: |Tcp port: |Time\s+Id +Command")
_PLAIN_SIGNS = (b", Version: ", b"Tcp port: ", b" Command")
_HEAD = lazy_regex(
    r"(?s)(?P<time>[^\t]*)\t+ *(?P<thread>\d+) (?P<command>[A-Z][A-Za-z]*(?: [A-Za-z]+)?)(?:[\t ]+(?P<argument>.*))?$"
)
_CONNECT = (
    rule(_DENIED, K.AUTH_FAILURE, Outcome.FAILURE),
    rule(r"^(?P<user>.*)@(?P<src_ip>[^@\s]*) (?:as \S* )?on ?(?P<database>\S*)", K.NETWORK_CONNECTION),
)
_SHELL = lazy_regex(r"(?i)\bsys_(?:exec|eval)\s*\(\s*['\"]([^'\"]*)")
_INTO = lazy_regex(r"(?i)\bINTO\s+(?:OUTFILE|DUMPFILE)\s+['\"]([^'\"]+)")
_MOST_THREADS = 10_000
_MOST = 50_000  # records of a batch


class _Sessions:
    def __init__(self) -> None:
        self.time: When = NONE
        self.peers: dict[str, dict[str, Value]] = {}

    def event(self, chunk: Chunk, found: re.Match[str]) -> Event:
        stated, thread, command = found["time"].strip(), found["thread"], found["command"]
        if stated:
            self.time = when(stated)
        argument = found["argument"] or ""
        fields: dict[str, Value] = {"thread": int(thread) if len(thread) < 19 else thread, "command": command}
        if stated and self.time[0] is None:
            fields["time_text"] = stated
        kind, outcome = K.LOG_MESSAGE, None
        if command == "Connect":
            kind, outcome, peer = meaning(_CONNECT, argument, kind)
            if outcome is None and len(self.peers) < _MOST_THREADS:
                self.peers[thread] = {k: peer.get(k) for k in ("user", "src_ip")}
            fields |= {"message": argument, **peer}
        else:
            fields |= {"statement": argument, **self.peers.get(thread, {})}
        if command == "Quit":
            kind = K.SESSION_CLOSE
            self.peers.pop(thread, None)
        shell, into = _SHELL.search(argument[:8192]), _INTO.search(argument[:8192])
        if shell:
            fields["command_line"], kind = shell.group(1), K.COMMAND_HISTORY
        if into:
            fields["file_path"] = into.group(1)
        return event(chunk, self.time, kind, outcome, fields, provider="mysqld")


def _made(sessions: _Sessions, parts: Iterable[Line | Gap]) -> Iterator[Event | Gap | Skip]:
    """Record by record."""
    for chunk in chunks(File.of(b""), _STARTS, _PLAIN, lambda _: iter(parts)):
        if not isinstance(chunk, Chunk):
            yield chunk
            continue
        found = _HEAD.match(chunk.text)
        if found is None:
            yield Gap(chunk.offset, chunk.length, GapReason.NOT_THIS_FORMAT, "the head of the record cannot be read")
        else:
            yield sessions.event(chunk, found)


def parse(file: File) -> Iterator[Record]:
    return _made(_Sessions(), lines(file))


def batches(file: File) -> Iterator[Batch]:
    """The same in columns, about a megabyte of whole records at a time, where these are regular."""
    sessions = _Sessions()
    held = Stretch(0, b"")
    parts = stretches(file)
    for part in parts:
        if not isinstance(part, Stretch):
            yield from _slowly(sessions, (held,), (part,))
            held = Stretch(part.offset + part.length, b"")
            continue
        held = held if held.raw else Stretch(part.offset, b"")
        raw = held.raw + part.raw
        cut = _last_start(raw, len(held.raw))
        if cut:
            yield from _window(sessions, Stretch(held.offset, raw[:cut]))
        held = Stretch(held.offset + cut, raw[cut:])
        if len(held.raw) > MOST_RECORD:
            break
    yield from _slowly(sessions, (held,), parts)


def _last_start(raw: bytes, since: int) -> int:
    """Where the last record begins, if that is not before ``since``; else 0."""
    at = len(raw)
    while at > max(since, 1):
        at = raw.rfind(b"\n", 0, at - 1) + 1
        if at >= max(since, 1) and _STARTS.match(raw, at):
            return at
    return 0


def _slowly(sessions: _Sessions, held: Iterable[Stretch], parts: Iterable[Stretch | Line | Gap]) -> Iterator[Batch]:
    """Batches of what is read record by record."""

    def each() -> Iterator[Line | Gap]:
        for part in itertools.chain(held, parts):
            if isinstance(part, Stretch):
                yield from lines_in(part)
            else:
                yield part

    records = _made(sessions, each())
    while some := list(itertools.islice(records, _MOST)):
        yield Batch(
            some[0].offset,
            some[-1].offset + some[-1].length,
            frame_of([r for r in some if isinstance(r, Event)]),
            merge_gaps(r for r in some if isinstance(r, Gap)),
            skips_of(r for r in some if isinstance(r, Skip)),
        )


def _window(sessions: _Sessions, here: Stretch) -> Iterator[Batch]:
    """Whole records, each at once; all of them the slow way where any is odd."""
    raw = here.raw
    rows = None
    if _STARTS.match(raw) and b"\0" not in raw and b"\r" not in raw and not _has_banner(raw):
        rows = _quickly(sessions, here)
    if rows is None:
        yield from _slowly(sessions, (here,), ())
        return
    frame = rows.frame()
    if rows.others:
        frame = pl.concat([frame, frame_of(rows.others)], how="diagonal_relaxed").sort("offset")
    yield Batch(here.offset, here.offset + len(raw), frame, rows.gaps)


def _has_banner(raw: bytes) -> bool:
    if not any(sign in raw for sign in _PLAIN_SIGNS):
        return False
    return any(_PLAIN.match(line) for line in raw.split(b"\n"))


@functools.lru_cache(maxsize=4096)
def _minute(text: str) -> int | None:
    """Nanoseconds of ``2026-03-02T11:22:``, UTC."""
    found, basis = iso(text + "00Z")
    return found if basis is TimeBasis.UTC else None


def _when(text: str) -> When:
    """As :func:`when`, sooner for the form that MySQL writes."""
    if len(text) == 27 and text[10] == "T" and text[19] == "." and text[26] == "Z":
        minute, digits = _minute(text[:17]), text[17:19] + text[20:26]
        if minute is not None and digits < "6" and digits.isdigit() and digits.isascii():
            return minute + int(digits) * 1000, TimeBasis.UTC
    return when(text)


@functools.lru_cache(maxsize=4096)
def _peer(user: str | None, host: str | None) -> tuple[str | None, str | None, str | None]:
    """User, address, and the host's name where it is no address."""
    found = address(host.removeprefix("::ffff:")) if host else None
    return user or None, found, None if found else host or None


_OWN = ("thread", "command", "statement", "rhost")
_FILLED = ("offset", "length", "kind", "t_recorded", "t_basis", "user", "src_ip", "command_line", "file_path", *_OWN)


@dataclass(slots=True)
class _Rows:
    """Values of :data:`_FILLED`, record by record, and what was made the slow way among them."""

    values: list[tuple[Any, ...]] = field(default_factory=list)
    others: list[Event] = field(default_factory=list)
    gaps: tuple[Gap, ...] = ()

    def frame(self) -> pl.DataFrame:
        columns = dict(zip(_FILLED, zip(*self.values))) if self.values else dict.fromkeys(_FILLED, ())
        height = len(self.values)
        same: dict[str, Any] = {"ordinal": 0, "t_kind": "logged", "provider": "mysqld"}
        made = {}
        for name, dtype in {**HEAD_SCHEMA, **dict.fromkeys(_OWN, pl.String), "thread": pl.Int64}.items():
            if name in columns:
                series = pl.Series(columns[name], dtype=dtype)
                if name not in _OWN or series.null_count() < height:
                    made[name] = series
            else:
                made[name] = filled(same.get(name), height, dtype)
        return pl.DataFrame(made)


def _quickly(sessions: _Sessions, here: Stretch) -> _Rows | None:
    """The records of a stretch that begins with one; None where it is to be read in the other way, and nothing is remembered."""
    raw = here.raw
    starts = [found.start() for found in _EVERY.finditer(raw)]
    ends = [*starts[1:], len(raw)]
    if max(high - low for low, high in zip(starts, ends)) > LINE_LIMIT:
        return None
    try:
        heads = [_HEAD.match(raw[low : high - 1].decode()) for low, high in zip(starts, ends)]
    except UnicodeDecodeError:
        return None
    said = [head and head.groups() for head in heads]
    if any(one and len(one[1]) > 18 for one in said):
        return None
    rows, peers, gaps = _Rows(), sessions.peers, []
    lower = raw.lower()
    special = b"sys_" in lower or b"outfile" in lower or b"dumpfile" in lower
    for low, high, head, one in zip(starts, ends, heads, said):
        offset, length = here.offset + low, high - low
        if head is None or one is None:
            gaps.append(Gap(offset, length, GapReason.NOT_THIS_FORMAT, "the head of the record cannot be read"))
            continue
        time, thread, command, argument = one
        if stated := time.strip():
            sessions.time = _when(stated)
        if command == "Connect" or (stated and sessions.time[0] is None):
            rows.others.append(sessions.event(Chunk(offset, length, head.string), head))
            continue
        peer = peers.get(thread)
        user, address_, name = (None, None, None) if peer is None else _peer(peer["user"], peer["src_ip"])
        kind, line, path = _MESSAGE, None, None
        if command == "Quit":
            kind = _CLOSED
            peers.pop(thread, None)
        if special and argument:
            shell, into = _SHELL.search(argument[:8192]), _INTO.search(argument[:8192])
            if shell:
                line, kind = shell.group(1) or None, _COMMAND
            path = into.group(1) if into else None
        rows.values.append(
            (
                offset, length, kind, sessions.time[0], sessions.time[1], user, address_, line, path,
                int(thread), command, argument or None, name,
            )
        )  # fmt: skip
    rows.gaps = merge_gaps(gaps)
    return rows


_MESSAGE, _CLOSED, _COMMAND = str(K.LOG_MESSAGE), str(K.SESSION_CLOSE), str(K.COMMAND_HISTORY)


def recognise(head: bytes) -> bool:
    """The server's banner and a record: MariaDB writes a tab behind ``Command``. The slow log has the same banner."""
    banner = head[:600]
    return (
        b"\nTime" in banner
        and b" Command" in banner
        and b"# User@Host: " not in head
        and _EVERY.search(head) is not None
    )
