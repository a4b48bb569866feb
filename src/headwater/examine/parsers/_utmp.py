# SPDX-License-Identifier: Apache-2.0
"""Fixed records of utmp(5) as columns, shared by the parsers of wtmp, btmp and utmp.

Four layouts are met: 384 bytes (x86, x86-64, 32-bit time) and 400 bytes (aarch64, s390x and others: 64-bit time), each
in either byte order. Which one a file has is decided by its first records. https://man7.org/linux/man-pages/man5/utmp.5.html
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from headwater.examine.batch import HEAD_SCHEMA, Batch, merge_gaps
from headwater.examine.filled import filled
from headwater.examine.line_views import PADDING, constant, numbers
from headwater.examine.parsers._utmp_fields import Fields, Rows, quick_fields, six_text
from headwater.model.kinds import EventKind, GapReason, Outcome, TimeBasis
from headwater.model.records import Event, File, Gap, own_column

_RECORDS_PER_BATCH = 65_536
_SAMPLE = 64
EMPTY, RUN_LVL, BOOT_TIME, NEW_TIME, OLD_TIME, INIT, LOGIN, USER, DEAD, ACCOUNTING = range(10)

_KINDS: dict[int, EventKind] = {
    BOOT_TIME: EventKind.SYSTEM_BOOT,
    NEW_TIME: EventKind.SYSTEM_TIME,
    OLD_TIME: EventKind.SYSTEM_TIME,
    USER: EventKind.SESSION_OPEN,
    DEAD: EventKind.SESSION_CLOSE,
}
_KIND_NAMES = tuple(EventKind)
_KIND_OF_TYPE = np.array([_KIND_NAMES.index(_KINDS.get(n, EventKind.LOG_MESSAGE)) for n in range(10)], dtype="u4")
_BASES = pl.Series([TimeBasis.NONE.value, TimeBasis.UTC.value], dtype=pl.String)
_ADDRESS_STARTS = frozenset("0123456789abcdefABCDEF:")
# sshd, login and pam write failed logins as LOGIN_PROCESS or USER_PROCESS; in btmp all of these mean the same.
_FAILURES = (INIT, LOGIN, USER)


def _layout(order: str, wide: bool) -> np.dtype[Any]:
    """One record of utmp(5), written as its specification writes it."""
    long, time = (f"{order}i8", f"{order}i8") if wide else (f"{order}i4", f"{order}u4")
    fields = [
        ("type", f"{order}u2"),
        ("pad", "V2"),
        ("pid", f"{order}i4"),
        ("line", "S32"),
        ("id", "S4"),
        ("user", "S32"),
        ("host", "S256"),
        ("termination", f"{order}i2"),
        ("exit", f"{order}i2"),
        ("session", long),
        ("sec", time),
        ("usec", f"{order}i8" if wide else f"{order}i4"),
        ("addr", "V16"),
        ("unused", "V24" if wide else "V20"),
    ]
    return np.dtype(fields)


LAYOUTS: tuple[np.dtype[Any], ...] = (_layout("<", False), _layout("<", True), _layout(">", False), _layout(">", True))


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs between wtmp, btmp and utmp: whether a login record means a login that failed."""

    failures: bool = False


def _plausible(records: Any) -> Any:
    """Per record: a known type, microseconds in range, a time, and names without control characters."""
    known = (records["type"] <= ACCOUNTING) & (records["usec"] >= 0) & (records["usec"] < 1_000_000)
    timed = (records["sec"] > 0) & (records["sec"] < 2**32)
    named = np.ones(len(records), dtype=bool)
    for name in ("line", "user"):
        text = _bytes(records, name)
        ended = np.logical_or.accumulate(text == 0, axis=1)
        named &= ~(((text < 0x20) | (text == 0x7F)) & ~ended).any(axis=1)
    return known & timed & named


def layout_of(head: bytes) -> np.dtype[Any] | None:
    """The layout in which most of the first records make sense; None where none does."""
    best: np.dtype[Any] | None = None
    most = 0.0
    for layout in LAYOUTS:
        count = min(len(head) // layout.itemsize, _SAMPLE)
        if count:
            records = np.frombuffer(head, dtype=layout, count=count)
            used = _used(records)
            good = int((_plausible(records) & used).sum())
            share = good / max(1, int(used.sum()))
            if share > most and (share >= 0.5 or count > 8):
                best, most = layout, share
    return best


def recognised(head: bytes) -> bool:
    """Whether these first bytes are login records beyond reasonable doubt: at least one, and all that are not zeros."""
    layout = layout_of(head)
    if layout is None:
        return False
    records = np.frombuffer(head, dtype=layout, count=len(head) // layout.itemsize)
    return bool((_plausible(records) | ~_used(records)).all())


def failures_only(head: bytes) -> bool:
    """Whether these are login records of failed logins alone, as sshd writes them to btmp: line ssh:notty."""
    layout = layout_of(head) if recognised(head) else None
    if layout is None:
        return False
    records = np.frombuffer(head, dtype=layout, count=len(head) // layout.itemsize)
    records = records[_used(records)]
    return bool(np.isin(records["type"], _FAILURES).all() and (records["line"] == b"ssh:notty").all())


def _bytes(records: Any, name: str) -> Any:
    """A text field of all records as a matrix of bytes."""
    width = records.dtype[name].itemsize
    return np.ascontiguousarray(records[name]).view("u1").reshape(-1, width)


def _used(records: Any) -> Any:
    """Per record: whether any byte of it is set (both sizes are multiples of 8)."""
    used = records["type"] != 0
    untyped = np.flatnonzero(~used)
    if len(untyped):
        rest = records[untyped].view("u8").reshape(len(untyped), -1)
        used[untyped] = np.bitwise_or.reduce(rest, axis=1) != 0
    return used


def addresses(chosen: Rows) -> pl.Series:
    """ut_addr_v6 as text; IPv4 where the last three words are zero (utmp(5)); null where all are."""
    quads = np.ascontiguousarray(chosen.field("addr")).view("u4").reshape(-1, 4)
    six = quads[:, 1:].any(axis=1)
    # few addresses stand in many records: each one's text is written once
    unique, place = np.unique(np.where(six, 0, quads[:, 0]), return_inverse=True)
    octets = unique.view("u1").reshape(-1, 4).tolist()
    texts = [f"{a}.{b}.{c}.{d}" if a or b or c or d else None for a, b, c, d in octets]
    out = pl.Series(texts, dtype=pl.String).gather(place)
    if six.any():
        where = np.flatnonzero(six)
        out = out.scatter(where, [six_text(quads[i].tobytes()) for i in where.tolist()])
    return out


def _address_in(host: str) -> str | None:
    """The host text where it is itself an address (a zone such as ``%eth0`` is left out)."""
    try:
        return str(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return None


def _with_host_addresses(found: pl.Series, hosts: pl.Series) -> pl.Series:
    """The addresses, and where there is none, the host text if that is an address."""
    where = (found.is_null() & hosts.is_not_null()).arg_true()
    if where.is_empty():
        return found
    asked = hosts.gather(where)
    unique = asked.unique()
    table = {h: a for h in unique.to_list() if h[:1] in _ADDRESS_STARTS and (a := _address_in(h)) is not None}
    if not table:
        return found
    return found.scatter(where, asked.replace_strict(table, default=None, return_dtype=pl.String))


def _kinds(types: Any, pids: Any, users: pl.Series, dialect: Dialect) -> tuple[pl.Series, pl.Series]:
    """Kind and outcome of every record, as places in two small tables."""
    kinds = _KIND_OF_TYPE[types]
    outcomes = (types == USER).astype("u4")
    levels = types == RUN_LVL
    if levels.any():
        # the run level stands in the low byte of ut_pid as a character; systemd names the user "shutdown" instead
        level = pids & 0xFF
        down = (users == "shutdown").fill_null(False).to_numpy() | (level == ord("0")) | (level == ord("6"))
        kinds = np.where(levels & down, np.uint32(_KIND_NAMES.index(EventKind.SYSTEM_SHUTDOWN)), kinds)
    if dialect.failures:
        failed = np.isin(types, _FAILURES)
        kinds = np.where(failed, np.uint32(_KIND_NAMES.index(EventKind.AUTH_FAILURE)), kinds)
        outcomes = np.where(failed, np.uint32(2), outcomes)
    names = pl.Series([k.value for k in _KIND_NAMES], dtype=pl.String)
    ends = pl.Series([None, Outcome.SUCCESS.value, Outcome.FAILURE.value], dtype=pl.String)
    return names.gather(kinds), ends.gather(outcomes)


def _times(chosen: Rows) -> tuple[Any, Any]:
    """Nanoseconds since 1970 UTC, and the mask of the records that hold a time."""
    sec = chosen.field("sec").astype("i8")
    usec = chosen.field("usec").astype("i8")
    stated = ((sec != 0) | (usec != 0)) & (sec >= 0) & (sec < 2**33)
    fraction = np.where((usec >= 0) & (usec < 1_000_000), usec, 0)
    return np.where(stated, np.where(stated, sec, 0) * 1_000_000_000 + fraction * 1_000, 0), stated


def _fields(chosen: Rows, before: int | None) -> Fields:
    """The fields of the records; where it was built, by the compiled scanner."""
    quick = quick_fields(chosen, before)
    if quick is not None:
        return quick
    ns, stated = _times(chosen)
    times = numbers(ns, stated)
    last = times.fill_null(strategy="forward").shift(1)
    if before is not None and len(chosen.rows):
        last = last.fill_null(before)
    whole = {n: chosen.field(n).astype("i8") for n in ("type", "pid", "termination", "exit", "session")}
    texts = {n: chosen.text(n) for n in ("line", "user", "host")}
    return Fields(ns, stated, (times < last).fill_null(False), addresses(chosen), whole, texts)


def frame(chosen: Rows, base: int, dialect: Dialect, before: int | None) -> pl.DataFrame:
    """The events of these records; ``base`` is where the block begins, ``before`` the time of what precedes it (ns)."""
    height = len(chosen.rows)
    fields = _fields(chosen, before)
    whole, texts = fields.whole, fields.texts
    kind, outcome = _kinds(whole["type"], whole["pid"], texts["user"], dialect)
    size = chosen.records.dtype.itemsize
    known: dict[str, pl.Series] = {
        "t_recorded": numbers(fields.ns, fields.stated),
        "t_basis": _BASES.gather(fields.stated.astype("u4")),
        "t_kind": constant("logged", height),
        "kind": kind,
        "outcome": outcome,
        "user": texts["user"],
        "src_ip": _with_host_addresses(fields.address, texts["host"]),
        "pid": pl.Series(whole["pid"]),
        "offset": pl.Series(base + chosen.rows * size, dtype=pl.Int64),
        "length": filled(size, height, pl.Int64),
        "ordinal": filled(0, height, pl.Int64),
    }
    columns = {
        name: known[name] if name in known else filled(None, height, dtype) for name, dtype in HEAD_SCHEMA.items()
    }
    for name, series in (
        ("line", texts["line"]),
        ("ut_type", pl.Series(whole["type"])),
        ("host_text", texts["host"]),
        ("session", pl.Series(whole["session"])),
        ("exit_termination", pl.Series(whole["termination"])),
        ("exit_status", pl.Series(whole["exit"])),
        ("backward", fields.backward),
    ):
        columns[own_column(name)] = series
    return pl.DataFrame(columns)


def _runs(mask: Any) -> Iterator[tuple[int, int]]:
    """(first, end) of each run of true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.view("i1"), [0]))))
    for first, end in edges.reshape(-1, 2).tolist():
        yield int(first), int(end)


def _read(file: File, at: int, length: int, size: int) -> tuple[bytes, int, list[Gap]]:
    """Bytes with padding behind them, how many they are, and a Gap for each record that cannot be read (zeros then)."""
    try:
        data = file.pread(at, length + PADDING)
        got = min(length, len(data))
        return data if len(data) == length + PADDING else data[:got] + bytes(PADDING), got, []
    except OSError:
        parts: list[bytes] = []
        gaps: list[Gap] = []
        for here in range(at, at + length, size):
            piece = min(size, at + length - here)
            try:
                parts.append(file.pread(here, piece).ljust(piece, b"\0"))
            except OSError as fault:
                parts.append(bytes(piece))
                gaps.append(Gap(here, piece, GapReason.UNREADABLE, f"input/output error {fault.errno}"))
        return b"".join((*parts, bytes(PADDING))), length, gaps


def batches(file: File, dialect: Dialect) -> Iterator[Batch]:
    """The whole file as batches that tile it; records that are no event are gaps with their reason."""
    head, got, _ = _read(file, 0, min(file.size, 400 * _SAMPLE), 384)
    layout = layout_of(head[:got]) or LAYOUTS[0]
    size = layout.itemsize
    step = size * _RECORDS_PER_BATCH
    before: int | None = None
    for at in range(0, file.size, step):
        end = min(at + step, file.size)
        data, got, gaps = _read(file, at, end - at, size)
        whole = got // size
        records = np.frombuffer(data, dtype=layout, count=whole)
        bad = np.zeros(whole, dtype=bool)
        for gap in gaps:
            if (gap.offset - at) // size < whole:
                bad[(gap.offset - at) // size] = True
        used = _used(records)
        good = used & ~bad & (records["type"] <= ACCOUNTING)
        empty = np.flatnonzero(good & (records["type"] == EMPTY))
        if len(empty):
            good[empty] = _plausible(records[empty])  # bytes out of step mostly read as type 0
        for mask, reason, detail in (
            (~used & ~bad, GapReason.OVERWRITTEN, "overwritten with zeros"),
            (used & ~bad & ~good, GapReason.NOT_THIS_FORMAT, "no login record"),
        ):
            gaps += [Gap(at + a * size, (b - a) * size, reason, detail) for a, b in _runs(mask)]
        if at + whole * size < end and not any(g.offset == at + whole * size for g in gaps):
            gaps.append(Gap(at + whole * size, end - at - whole * size, GapReason.TRUNCATED, "part of a record"))
        block = np.frombuffer(data, dtype=np.uint8)
        events = frame(Rows(block, records, np.flatnonzero(good)), at, dialect, before)
        newest = events["t_recorded"].drop_nulls()
        before = int(newest[-1]) if len(newest) else before
        yield Batch(at, end, events, merge_gaps(gaps))
    if file.size == 0:
        nothing = Rows(np.zeros(PADDING, dtype=np.uint8), np.zeros(0, dtype=layout), np.zeros(0, dtype=np.int64))
        yield Batch(0, 0, frame(nothing, 0, dialect, None))


def records_of(file: File, dialect: Dialect) -> Iterator[Event | Gap]:
    """The same as :func:`batches`, one record at a time, for a caller that wants records."""
    names = {name.removeprefix("own."): name for name in ("line", "ut_type", "host_text", "session")}
    names |= {n: n for n in ("exit_termination", "exit_status", "backward")}
    for batch in batches(file, dialect):
        gaps = list(batch.gaps)
        for row in batch.events.iter_rows(named=True):
            while gaps and gaps[0].offset < row["offset"]:
                yield gaps.pop(0)
            yield Event(
                row["offset"],
                row["length"],
                EventKind(row["kind"]),
                t_recorded=row["t_recorded"],
                t_basis=TimeBasis(row["t_basis"]),
                outcome=Outcome(row["outcome"]) if row["outcome"] else None,
                user=row["user"],
                src_ip=row["src_ip"],
                pid=row["pid"],
                fields={name: row[column] for name, column in names.items()},
            )
        yield from gaps
