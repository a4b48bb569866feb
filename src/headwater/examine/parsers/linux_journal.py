# SPDX-License-Identifier: Apache-2.0
"""Entries of the systemd journal (linux.journal).

Reads:  /var/log/journal/**, /run/log/journal/**: *.journal and *.journal~, also of a system that was not shut down.
Time:   __REALTIME_TIMESTAMP of the entry, UTC, microseconds; the sender's own clock in _SOURCE_REALTIME_TIMESTAMP.
Format: https://systemd.io/JOURNAL_FILE_FORMAT/; fields keep their journald names, MESSAGE stands in ``message``.
Limits: seals are not verified; a field of more than 256 KiB is cut, which is a gap on its data object.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from headwater.examine.batch import HEAD_SCHEMA, Batch, Skipped, merge_gaps
from headwater.examine.filled import filled
from headwater.examine.journal_columns import Fields, Gathered, Spelled, fields_of, lines_of
from headwater.examine.line_views import numbers
from headwater.examine.messages import OWN, classified
from headwater.formats.journal import Journal, open_journal
from headwater.formats.journal_layout import SIGNATURE
from headwater.formats.journal_values import Rows, Values
from headwater.formats.journal_walk import Entries, walk
from headwater.model.kinds import EventKind, Outcome, TimeBasis
from headwater.model.records import Count, File, Gap, own_column

FEED = "linux.journal"
VERSION = 3
READS = ("/log/journal/**.journal", "/log/journal/**.journal~", "/system.journal", "/user-????.journal")
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


def _text(columns: dict[str, pl.Series], name: str, height: int) -> pl.Series:
    found = columns.get(name)
    return filled(None, height) if found is None else found


def _said(messages: Rows, senders: Rows, message: pl.Series, process: pl.Series) -> dict[str, pl.Series]:
    """What the messages say; where senders mostly repeat themselves, each of their messages is read once."""
    height = len(messages)
    pairs = messages << 32 | senders
    order = np.argsort(pairs, kind="stable")
    first = np.diff(pairs[order], prepend=-1) != 0
    some = order[first]
    if 2 * len(some) > height:
        return classified(process, lines_of(message))
    which = np.empty(height, dtype=np.uint32)
    which[order] = np.cumsum(first) - 1
    where = pl.Series(some.astype(np.uint32))
    found = classified(process.gather(where), lines_of(message.gather(where)))
    return {name: series.gather(pl.Series(which)) for name, series in found.items()}


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


def _frame(gathered: Gathered, names: dict[str, None], index_whole: bool) -> pl.DataFrame:
    height = gathered.height
    fields = fields_of(gathered, names)
    spelled = Spelled(gathered.values)
    none = np.zeros(height, dtype=np.int64)
    messages = fields.rows.pop("MESSAGE", none)
    named = fields.rows.get("SYSLOG_IDENTIFIER", none)
    senders = np.where(named != 0, named, fields.rows.get("_COMM", none))
    columns = {name: spelled.column(rows) for name, rows in fields.rows.items()}
    message, process = spelled.column(messages), spelled.column(senders)
    said = {name: _text({}, "", height) for name in ("user", "src_ip", "dst_ip", "command_line", "file_path")}
    said |= _said(messages, senders, message, process)
    kind, outcome = _kinds(said, columns, height)
    opened = kind.is_in([EventKind.SESSION_OPEN.value, EventKind.SESSION_CLOSE.value])
    user = said["user"].fill_null(_text(columns, "USER_ID", height).set(~opened, None))
    pid = _text(columns, "_PID", height).fill_null(_text(columns, "SYSLOG_PID", height))
    realtime = gathered.column("realtime")
    dated = (realtime > 0) & (realtime < 1 << 53)
    time = numbers(np.where(dated, realtime, 0).astype(np.int64) * 1000, dated)
    bases = pl.Series([TimeBasis.UTC.value, TimeBasis.NONE.value], dtype=pl.String)
    head: dict[str, pl.Series] = {
        "t_recorded": time,
        "t_basis": bases.gather(time.is_null().cast(pl.UInt32)),
        "t_kind": filled("logged", height),
        "kind": kind,
        "outcome": outcome,
        "host": _text(columns, "_HOSTNAME", height),
        "user": user,
        "src_ip": said["src_ip"],
        "dst_ip": said["dst_ip"],
        "pid": pid.cast(pl.Int64, strict=False),
        "process": said.get("process", process),
        "command_line": said["command_line"],
        "file_path": said["file_path"],
        "event_code": _text(columns, "MESSAGE_ID", height),
        "offset": pl.Series(gathered.column("offset")),
        "length": pl.Series(gathered.column("length")),
        "ordinal": filled(0, height, pl.Int64),
    }
    made = {
        name: head[name].alias(name) if name in head else filled(None, height, dtype).alias(name)
        for name, dtype in HEAD_SCHEMA.items()
    }
    made |= _own(columns, said, message)
    made |= _trusted(gathered, fields, index_whole)
    return pl.DataFrame([series.alias(name) for name, series in made.items()])


def _own(columns: dict[str, pl.Series], said: dict[str, pl.Series], message: pl.Series) -> dict[str, pl.Series]:
    """The own columns; no two differ by case alone, because SQL would take them for one."""
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
    return own


def _trusted(gathered: Gathered, fields: Fields, index_whole: bool) -> dict[str, pl.Series]:
    """What journald itself says of each entry, and what is odd about it."""
    own = {} if fields.other is None else {"other_fields": fields.other}
    for name, column in (("__SEQNUM", "seqnum"), ("__MONOTONIC_TIMESTAMP", "monotonic")):
        stated = gathered.column(column)
        small = stated < 1 << 63
        own[name] = numbers(np.where(small, stated, 0).astype(np.int64), small)
    own["__BOOT_ID"] = _boots(gathered)
    if fields.missing is not None:
        own["fields_missing"] = pl.Series(fields.missing, dtype=pl.Int64)
    listed = gathered.column("listed")
    if index_whole and not listed.all():
        own["unlisted"] = pl.Series(~listed)
    return own


def _boots(gathered: Gathered) -> pl.Series:
    """The boot of each entry; they come in runs."""
    boots = gathered.column("boot")
    changes = np.concatenate(([True], (boots[1:] != boots[:-1]).any(axis=1)))
    texts = pl.Series([boot.astype("<u8").tobytes().hex() for boot in boots[changes]], dtype=pl.String)
    return texts.gather(pl.Series((np.cumsum(changes) - 1).astype(np.uint32)))


def recognise(head: bytes) -> bool:
    return head.startswith(SIGNATURE)


class _Reader:
    """Batches of one journal, one behind the other."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.values = Values(journal)
        self.gathered = Gathered(self.values)
        self.names: dict[str, None] = {}
        self.start = self.total = self.told = 0

    def events(self) -> pl.DataFrame:
        """What was gathered; it is handed out once."""
        if not self.gathered.height:
            return pl.DataFrame(schema=HEAD_SCHEMA)
        events = _frame(self.gathered, self.names, self.journal.index_whole)
        self.gathered = Gathered(self.values)
        return events

    def _batch(self, end: int) -> Iterator[Batch]:
        if self.gathered.height:
            yield Batch(self.start, end, self.events())
            self.start = end

    def _take(self, entries: Entries) -> Iterator[Batch]:
        low, count = 0, len(entries.offset)
        step = count
        while low < count:
            found = self.values.resolve(entries, low, min(low + step, count))
            if found is None:  # so much to read that it is done entry by entry
                step = 1
                continue
            high = min(low + step, count)
            rows, codes = found
            while low < high:
                if self.gathered.full:
                    yield from self._batch(int(entries.offset[low]))
                before = low
                low = self.gathered.take(entries, low, high, rows, codes)
                taken = int(entries.counts[before:low].sum())
                rows, codes = rows[taken:], codes[taken:]
            if step == 1 and self.values.full and low < count:
                yield from self._renew(int(entries.offset[low]))

    def _renew(self, at: int) -> Iterator[Batch]:
        yield from self._batch(at)
        self.values = self.values.renewed()
        self.gathered = Gathered(self.values)

    def batches(self) -> Iterator[Batch]:
        """All but the last."""
        for objects in walk(self.journal):
            low = 0
            while low < len(objects.at):
                high = self.values.learn(objects, low)
                entries = objects.entries(self.journal, low, high)
                self.total += len(entries.offset)
                self.told += int(entries.length.sum())
                yield from self._take(entries)
                if self.values.full:
                    yield from self._renew(objects.end if high == len(objects.at) else int(objects.at[high]))
                low = high


def batches(file: File) -> Iterator[Batch]:
    """Entries in the order in which they stand; the last batch has the gaps, the slack and the count."""
    journal = open_journal(file.pread, file.size)
    if isinstance(journal, Gap):
        yield Batch(0, file.size, pl.DataFrame(schema=HEAD_SCHEMA), (journal,) if journal.length else ())
        return
    reader = _Reader(journal)
    yield from reader.batches()
    gaps = merge_gaps(journal.gaps)
    total = reader.total
    structure = file.size - reader.told - journal.slack - sum(g.length for g in gaps)
    skipped = (
        Skipped("journal structure: header, data, fields, index", 1, max(0, structure)),
        Skipped("allocated ahead", 1 if journal.slack else 0, journal.slack),
    )
    declared = max(total, journal.header.n_entries if journal.header.n_entries < 1 << 62 else 0)
    count = Count(declared, declared - total, journal.slack)
    yield Batch(reader.start, file.size, reader.events(), gaps, skipped, count)
