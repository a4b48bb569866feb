# SPDX-License-Identifier: Apache-2.0
"""Entries of the systemd journal (linux.journal).

Reads:  /var/log/journal/**, /run/log/journal/**: *.journal and *.journal~, also of a system that was not shut down.
Time:   __REALTIME_TIMESTAMP of the entry, UTC, microseconds; the sender's own clock in _SOURCE_REALTIME_TIMESTAMP.
Format: https://systemd.io/JOURNAL_FILE_FORMAT/; fields keep their journald names, MESSAGE stands in ``message``.
Limits: seals are not verified; a field of more than 256 KiB is cut, which is a gap on its data object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import polars as pl

from headwater.examine.batch import HEAD_SCHEMA, Batch, Skipped, merge_gaps
from headwater.examine.line_blocks import Lines
from headwater.examine.line_templates import REACH
from headwater.examine.line_views import PADDING
from headwater.examine.messages import OWN, classified
from headwater.formats.journal import Entry, Journal, open_journal
from headwater.formats.journal_layout import SIGNATURE
from headwater.model.kinds import EventKind, Outcome, TimeBasis
from headwater.model.records import Count, File, Gap, own_column

FEED = "linux.journal"
VERSION = 2
READS = ("/log/journal/**.journal", "/log/journal/**.journal~", "/system.journal", "/user-????.journal")
_ENTRIES = 20_000  # of one batch
_CELLS = 64 << 20  # characters of one batch, so that long messages cannot pile up
_ENTRY_CELLS = 4 << 20  # characters of one entry
_MOST_NAMES = 400  # field names that become columns; those beyond stand together in other_fields
_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
_INTEGERS = {
    *("PRIORITY", "SYSLOG_FACILITY", "SYSLOG_PID", "_PID", "_UID", "_GID"),
    *("_AUDIT_SESSION", "_AUDIT_LOGINUID", "_SOURCE_REALTIME_TIMESTAMP", "_SOURCE_MONOTONIC_TIMESTAMP"),
    *("_SYSTEMD_OWNER_UID", "ERRNO", "CODE_LINE", "LEADER"),
}
# What systemd itself says by number, https://github.com/systemd/systemd/blob/main/src/systemd/sd-messages.h
_MESSAGES: dict[str, tuple[EventKind, Outcome | None]] = {
    "8d45620c1a4348dbb17410da57c60c66": (EventKind.SESSION_OPEN, Outcome.SUCCESS),
    "3354939424b4456d9802ca8333ed424a": (EventKind.SESSION_CLOSE, None),
    "39f53479d3a045ac8e11786248231fbf": (EventKind.SERVICE_START, Outcome.SUCCESS),
    "9d1aaa27d60140bd96365438aad20286": (EventKind.SERVICE_STOP, None),
    "be02cf6855d2428ba40df7e9d022f03d": (EventKind.SERVICE_FAILURE, Outcome.FAILURE),
    "d9b373ed55a64feb8242e02dbe79a49c": (EventKind.SERVICE_FAILURE, Outcome.FAILURE),
    "98268866d1d54a499c4e98921d93bc40": (EventKind.SYSTEM_SHUTDOWN, None),
    "c7a787079b354eaaa9e77b371893cd27": (EventKind.SYSTEM_TIME, None),
}


class _Gathered:
    """Entries of one batch and their fields, column by column."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.missing: list[int] = []
        self.cells = 0
        self.columns: dict[str, tuple[list[int], list[str]]] = {}

    def take(self, journal: Journal, entry: Entry) -> None:
        row = len(self.entries)
        missing = cells = 0
        known = journal.fields
        columns = self.columns
        for place in entry.items:
            found = known.get(place) or journal.field(place)
            if found is None:
                missing += 1
                continue
            name, value = found
            if cells > _ENTRY_CELLS:
                missing += 1  # the same long field named again and again
                continue
            try:
                rows, values = columns[name]
            except KeyError:
                rows, values = columns[name] = ([], [])
            rows.append(row)
            values.append(value)
            cells += len(value)
        self.cells += cells
        self.entries.append(entry)
        self.missing.append(missing)


def _column(rows: list[int], values: list[str], height: int) -> pl.Series:
    """A field of all entries; one that stands more than once in an entry is joined by line feeds."""
    place = np.full(height, -1, dtype=np.int64)
    where = np.array(rows, dtype=np.int64)
    place[where] = np.arange(len(rows))
    if int((place >= 0).sum()) < len(rows):
        joined: dict[int, list[str]] = {}
        for row, value in zip(rows, values):
            joined.setdefault(row, []).append(value)
        return _column(list(joined), ["\n".join(parts) for parts in joined.values()], height)
    series = pl.Series(values, dtype=pl.String)
    if len(rows) == height:
        return series
    taken = series.gather(np.maximum(place, 0))
    return taken.set(pl.Series(place < 0), None)


def _fields(gathered: _Gathered, names: dict[str, None]) -> dict[str, pl.Series]:
    """The columns under their journald names; ``names`` are those that became columns in this file so far."""
    height = len(gathered.entries)
    columns: dict[str, pl.Series] = {}
    other: list[list[str]] = []
    for name in sorted(gathered.columns):
        rows, values = gathered.columns[name]
        fits = len(name) <= 64 and _NAME.fullmatch(name) is not None
        if fits and (name in names or len(names) < _MOST_NAMES):
            names[name] = None
            columns[name] = _column(rows, values, height)
            continue
        other = other or [[] for _ in range(height)]
        for row, value in zip(rows, values):
            other[row].append(f"{name}={value}")
    if other:
        columns["other_fields"] = pl.Series(["\n".join(o) if o else None for o in other], dtype=pl.String)
    return columns


def _text(columns: dict[str, pl.Series], name: str, height: int) -> pl.Series:
    found = columns.get(name)
    return pl.repeat(None, height, dtype=pl.String, eager=True) if found is None else found


def _lines(messages: pl.Series) -> Lines:
    """Messages side by side in one block, as the readers of message texts want them; sudo writes blanks first."""
    texts = [(m or "").lstrip(" ").encode() for m in messages.to_list()]
    ends = np.cumsum(np.array([len(t) for t in texts], dtype=np.int64)) + REACH
    starts = np.concatenate((np.array([REACH], dtype=np.int64), ends[:-1]))
    block = b"".join((bytes(REACH), *texts, bytes(PADDING)))
    return Lines(np.frombuffer(block, dtype=np.uint8), starts, ends)


def _kinds(said: dict[str, pl.Series], columns: dict[str, pl.Series], height: int) -> tuple[pl.Series, pl.Series]:
    """Kind and outcome: by the text where it says something, else by MESSAGE_ID, else by the transport."""
    kind, outcome = said["kind"], said["outcome"]
    silent = kind == EventKind.LOG_MESSAGE.value
    number = _text(columns, "MESSAGE_ID", height)
    known = silent & number.is_in(list(_MESSAGES)).fill_null(False)
    if known.any():
        kinds = {key: value[0].value for key, value in _MESSAGES.items()}
        ends = {key: value[1].value if value[1] else None for key, value in _MESSAGES.items()}
        by_number = number.replace_strict(kinds, default=None, return_dtype=pl.String)
        kind = by_number.zip_with(known, kind)
        outcome = number.replace_strict(ends, default=None, return_dtype=pl.String).zip_with(known, outcome)
    # each user has a systemd of their own, whose ending is not the machine's
    pids = _text(columns, "_PID", height).fill_null("1")
    theirs = (pids != "1") & kind.is_in([EventKind.SYSTEM_SHUTDOWN.value, EventKind.SYSTEM_BOOT.value])
    theirs &= (_text(columns, "_COMM", height) == "systemd").fill_null(False)
    if theirs.any():
        kind = kind.set(theirs, EventKind.LOG_MESSAGE.value)
    kernel = silent & ~known & (_text(columns, "_TRANSPORT", height) == "kernel").fill_null(False)
    return kind.set(kernel, EventKind.KERNEL_MESSAGE.value) if kernel.any() else kind, outcome


def _frame(gathered: _Gathered, names: dict[str, None], index_whole: bool) -> pl.DataFrame:
    entries = gathered.entries
    height = len(entries)
    columns = _fields(gathered, names)
    message = columns.pop("MESSAGE", _text({}, "", height))
    process = _text(columns, "SYSLOG_IDENTIFIER", height).fill_null(_text(columns, "_COMM", height))
    said = {name: _text({}, "", height) for name in ("user", "src_ip", "dst_ip", "command_line")}
    said |= classified(process, _lines(message))
    kind, outcome = _kinds(said, columns, height)
    opened = kind.is_in([EventKind.SESSION_OPEN.value, EventKind.SESSION_CLOSE.value])
    user = said["user"].fill_null(_text(columns, "USER_ID", height).set(~opened, None))
    pid = _text(columns, "_PID", height).fill_null(_text(columns, "SYSLOG_PID", height))
    times = [e.realtime * 1000 if 0 < e.realtime < 1 << 53 else None for e in entries]
    time = pl.Series(times, dtype=pl.Int64)
    bases = pl.Series([TimeBasis.UTC.value, TimeBasis.NONE.value], dtype=pl.String)
    head: dict[str, pl.Series] = {
        "t_recorded": time,
        "t_basis": bases.gather(time.is_null().cast(pl.UInt32)),
        "t_kind": pl.repeat("logged", height, dtype=pl.String, eager=True),
        "kind": kind,
        "outcome": outcome,
        "host": _text(columns, "_HOSTNAME", height),
        "user": user,
        "src_ip": said["src_ip"],
        "dst_ip": said["dst_ip"],
        "pid": pid.cast(pl.Int64, strict=False),
        "process": said.get("process", process),
        "command_line": said["command_line"],
        "event_code": _text(columns, "MESSAGE_ID", height),
        "offset": pl.Series([e.offset for e in entries], dtype=pl.Int64),
        "length": pl.Series([e.length for e in entries], dtype=pl.Int64),
        "ordinal": pl.repeat(0, height, dtype=pl.Int64, eager=True),
    }
    made = {
        name: head[name].alias(name) if name in head else pl.repeat(None, height, dtype=dtype, eager=True).alias(name)
        for name, dtype in HEAD_SCHEMA.items()
    }
    made |= _own(gathered, columns, said, message, index_whole)
    return pl.DataFrame([series.alias(name) for name, series in made.items()])


def _own(
    gathered: _Gathered,
    columns: dict[str, pl.Series],
    said: dict[str, pl.Series],
    message: pl.Series,
    index_whole: bool,
) -> dict[str, pl.Series]:
    """The own columns; no two differ by case alone, because SQL would take them for one."""
    entries = gathered.entries
    own: dict[str, pl.Series] = {"message": message}
    for name, dtype in OWN.items():
        if name == "message":
            continue
        series = said.get(name)
        twin = columns.pop(name.upper(), None)
        if twin is not None:
            twin = twin.cast(dtype, strict=False)
            series = twin if series is None else series.fill_null(twin)
        if series is not None and series.null_count() < len(series):
            own[own_column(name)] = series
    for name, series in columns.items():
        own[own_column(name)] = series.cast(pl.Int64, strict=False) if name in _INTEGERS else series
    own["__SEQNUM"] = pl.Series([e.seqnum if e.seqnum < 1 << 63 else None for e in entries], dtype=pl.Int64)
    own["__MONOTONIC_TIMESTAMP"] = pl.Series(
        [e.monotonic if e.monotonic < 1 << 63 else None for e in entries], dtype=pl.Int64
    )
    own["__BOOT_ID"] = pl.Series([e.boot_id.hex() for e in entries], dtype=pl.String)
    if any(gathered.missing):
        own["fields_missing"] = pl.Series(gathered.missing, dtype=pl.Int64)
    if index_whole and not all(e.listed for e in entries):
        own["unlisted"] = pl.Series([not e.listed for e in entries], dtype=pl.Boolean)
    return own


def recognise(head: bytes) -> bool:
    return head.startswith(SIGNATURE)


def batches(file: File) -> Iterator[Batch]:
    """Entries in the order in which they stand; the last batch has the gaps, the slack and the count."""
    empty = pl.DataFrame(schema=HEAD_SCHEMA)
    journal = open_journal(file.pread, file.size)
    if isinstance(journal, Gap):
        yield Batch(0, file.size, empty, (journal,) if journal.length else ())
        return
    gathered = _Gathered()
    names: dict[str, None] = {}
    start = total = told = 0
    for entry in journal.entries():
        if len(gathered.entries) >= _ENTRIES or gathered.cells >= _CELLS:
            yield Batch(start, entry.offset, _frame(gathered, names, journal.index_whole))
            start, gathered = entry.offset, _Gathered()
        gathered.take(journal, entry)
        total += 1
        told += entry.length
    events = _frame(gathered, names, journal.index_whole) if gathered.entries else empty
    gaps = merge_gaps(journal.gaps)
    structure = file.size - told - journal.slack - sum(g.length for g in gaps)
    skipped = (
        Skipped("journal structure: header, data, fields, index", 1, max(0, structure)),
        Skipped("allocated ahead", 1 if journal.slack else 0, journal.slack),
    )
    declared = max(total, journal.header.n_entries if journal.header.n_entries < 1 << 62 else 0)
    yield Batch(start, file.size, events, gaps, skipped, Count(declared, declared - total, journal.slack))
