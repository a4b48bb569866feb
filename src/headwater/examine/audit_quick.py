# SPDX-License-Identifier: Apache-2.0
"""Audit lines cut, typed and joined to processes by the compiled scanner; :mod:`headwater.examine.audit_lines` is the other way.

1. The heads of all lines: host, type, time, serial.
2. The few distinct types say what their records mean for the header: whose account it is, whether arguments follow.
3. The words of all lines become columns of their keys, and with (2) columns of the header. A line that the scanner does not take is
   read by the other way, and its values are put into the same columns.
4. Records of one serial are joined; rows move apart to make room for the derived events (:mod:`headwater.examine.audit_derived`).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headwater.examine import audit_derived
from headwater.examine.audit_columns import OUTCOMES, Columns
from headwater.examine.audit_fields import (
    ABOUT_ACCOUNT,
    ARGUMENTS,
    BY_ACCOUNT,
    ENCODED,
    KINDS,
    KNOWN,
    NUMBERS,
    UNKNOWN,
)
from headwater.examine.audit_gathered import Gathered
from headwater.examine.audit_join import CALL, EXECUTED, PARTS
from headwater.examine.audit_lines import audit_shape
from headwater.examine.audit_tokens import key_table
from headwater.examine.line_blocks import Lines
from headwater.examine.line_near import Near
from headwater.examine.line_views import Flags, Ints, constant, picked
from headwater.examine.lines import Cut
from headwater.examine.message_phrases import numbered_names
from headwater.formats import compiled
from headwater.model.kinds import EventKind, TimeBasis

_NAMED = (
    *("msg", "op", "res", "success", "UID", "AUID", "ID", "acct", "addr", "comm", "exe", "cmd", "proctitle", "name"),
    *("auid", "ses", "old-auid", "old-ses", *ARGUMENTS),
)
_AS_IT_IS, _INTEGER, _ENCODED, _ARGUMENT, _NO_COLUMN = range(5)
_ACTS, _ABOUT, _PATH, _EXECUTES = 1, 2, 4, 8
_PUBKEY, _ADDS = 2, 4  # of the operation, as audit.c flags it
_BAD = 2
_KIND_NAMES = tuple(EventKind)
_KIND_TEXTS = tuple(k.value for k in _KIND_NAMES)


def _sort(key: str) -> int:
    if key == "msg":
        return _NO_COLUMN
    if key in NUMBERS or key == "pid":
        return _INTEGER
    if key in ENCODED:
        return _ENCODED
    return _ARGUMENT if key in ARGUMENTS else _AS_IT_IS


@functools.cache
def _constants() -> tuple[NDArray[Any], ...]:
    """What audit.c is given of keys: the table of slots, the sort of each, those it knows by name, and signs for nothing."""
    unknown = np.zeros((len(KNOWN), 8), dtype=np.uint8)
    for key, sign in UNKNOWN.items():
        unknown[KNOWN.index(key), : 1 + len(sign)] = [len(sign), *sign.encode()]
    sorts = np.array([_sort(key) for key in KNOWN], dtype=np.uint8)
    return (*key_table(), sorts, np.array([KNOWN.index(k) for k in _NAMED], dtype=np.int32), unknown)


@dataclass(slots=True)
class Rows:
    """The lines that are audit records, in order: which of the lines near they are, and what their heads say."""

    line: Ints
    spans: Ints  # of host and type, four places a row
    ns: Ints
    serial: Ints
    body: Ints  # where the words begin; -1 where the other way has to read the line
    codes: Ints  # the number of the type
    types: list[str]
    kind: NDArray[np.uint32]
    stand: Ints  # the row of the columns that each gets, so that commands have room for their processes behind them

    def part(self, parts: dict[str, int]) -> NDArray[np.uint8]:
        """A number for each row by its type, 0 for other types."""
        return np.array([parts.get(name, 0) for name in self.types], dtype=np.uint8)[self.codes]


def _rows(library: Any, lines: Lines) -> Rows:
    count, at = len(lines), compiled.at
    spans = np.empty((count, 4), dtype=np.int64)
    ns, serial, body = (np.empty(count, dtype=np.int64) for _ in range(3))
    start, end = compiled.whole(lines.start), compiled.whole(lines.end)
    made = (at(array) for array in (spans, ns, serial, body))
    compiled.checked(library.hw_audit_heads(at(lines.data), len(lines.data), at(start), at(end), count, *made))
    mine = body >= 0
    odd = np.flatnonzero(~mine)
    if len(odd):
        mine[odd] = audit_shape(lines.take(odd)).fits
        spans[body < 0] = 0
    line = np.flatnonzero(mine) if not mine.all() else np.arange(count)
    if len(line) < count:
        spans, ns, serial, body = spans[line], ns[line], serial[line], body[line]
    types = numbered_names(lines.data, spans[:, 2], spans[:, 3]) if len(line) else None
    if types is None:  # more types than there can be
        body[:] = -1
        types = np.zeros(len(line), dtype=np.int64), [""]
    return Rows(line, spans, ns, serial, body, *types, np.zeros(len(line), dtype=np.uint32), np.arange(len(line)))


def _meaning(kind: str) -> int:
    found = _ACTS if kind in BY_ACCOUNT else _ABOUT if kind in ABOUT_ACCOUNT else 0
    return found | (_PATH if kind == "PATH" else 0) | (_EXECUTES if kind == "EXECVE" else 0)


def kinds_of(rows: Rows, outcome: NDArray[np.uint8], op: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """The kind of every record by its type, by whether it failed, and by what was done."""
    log, names, codes = EventKind.LOG_MESSAGE, rows.types, rows.codes
    usual = np.array([_KIND_NAMES.index(KINDS.get(n, (log, None))[0]) for n in names], dtype=np.uint32)
    other = [KINDS.get(n, (log, None))[1] for n in names]
    failing = np.array([u if k is None else _KIND_NAMES.index(k) for u, k in zip(usual, other)], dtype=np.uint32)
    failed = outcome == _BAD
    found = np.where(failed, failing[codes], usual[codes])
    for name, which, kind in (
        ("ADD_USER", (op != 0) & (op & _ADDS == 0), EventKind.ACCOUNT_CHANGE),
        ("USER_AUTH", failed & (op & _PUBKEY != 0), EventKind.AUTH_PROBE),
    ):
        if name in names:
            found = np.where(which & (codes == names.index(name)), np.uint32(_KIND_NAMES.index(kind)), found)
    return found.astype(np.uint32)


def _words(library: Any, lines: Lines, rows: Rows, columns: Columns) -> Flags:
    """Fills the columns with the words of all rows; which rows were taken."""
    count, at = len(rows.line), compiled.at
    fits = np.empty(count, dtype=np.bool_)
    outcome, op = columns.outcome, np.zeros(count, dtype=np.uint8)
    work = np.zeros(library.hw_audit_room(0), dtype=np.uint8)
    known = [at(array) for array in _constants()]
    own = (columns.number, columns.pool, outcome, op, compiled.whole(rows.spans), rows.stand)
    places = np.array([*known, *columns.places(), *map(at, own)], dtype=np.uint64)
    end = compiled.whole(lines.end[rows.line])
    flags = np.array([_meaning(name) for name in rows.types], dtype=np.uint8)[rows.codes]
    compiled.checked(
        library.hw_audit_words(
            at(lines.data), len(lines.data), at(rows.body), at(end), count, columns.stride, at(flags), columns.room,
            at(fits), at(places), at(work),
        )
    )  # fmt: skip
    rows.kind = kinds_of(rows, outcome[:count], op)
    return fits


def odd_lines(lines: Lines, rows: Rows, columns: Columns | Gathered, odd: Ints) -> Mapping[str, pl.Series]:
    """The rows that were not taken, read by the other way, in the same columns; what that gave."""
    given = audit_shape(lines.take(rows.line[odd]).gathered()).columns
    names = given["type"].to_list()
    for name in dict.fromkeys(names):
        if name not in rows.types:
            rows.types.append(name)
    number = {name: k for k, name in enumerate(rows.types)}
    rows.codes[odd] = [number[name] for name in names]
    rows.ns[odd], rows.serial[odd] = given["t_recorded"].to_numpy(), given["serial"].to_numpy()
    rows.kind[odd] = [_KIND_TEXTS.index(kind) for kind in given["kind"].to_list()]
    columns.outcome[odd] = [OUTCOMES.index(outcome) for outcome in given["outcome"].to_list()]
    known = {"t_recorded", "t_basis", "kind", "outcome", "serial", "event_code", "provider"}
    for name, values in given.items():
        if name not in known and values.null_count() < len(values):
            columns.put(name, rows.stand[odd], values)
    columns.seal()
    return given


def quick_rows(library: Any, near: Near, memory: dict[str, Any]) -> Cut:
    """The events of the lines of ``near`` that are its own, and those derived from them."""
    lines = near.lines
    rows = _rows(library, lines)
    part = rows.part(PARTS)
    ahead = (part == EXECUTED) & (rows.line >= near.low) & (rows.line < near.high)
    rows.stand = rows.stand + np.cumsum(ahead) - ahead
    if (rows.body < 0).any():  # whose types are not known yet: each may give an event
        part = np.ones(len(rows.line), dtype=np.uint8)
    room = len(rows.line) + int(np.count_nonzero((part == CALL) | (part == EXECUTED)))
    columns = Columns(library, lines.data, len(rows.line), room + 1)
    fits = _words(library, lines, rows, columns)
    if not fits.all():
        odd_lines(lines, rows, columns, np.flatnonzero(~fits))
        part = rows.part(PARTS)
    derived = audit_derived.derive(library, near, rows, columns, part, memory)
    return cut_of(near, rows, columns, derived)


def cut_of(near: Near, rows: Rows, columns: Columns | Gathered, derived: audit_derived.Derived) -> Cut:
    """The rows of lines from ``low`` to ``high`` and the derived events on them, as columns."""
    low, high = (int(k) for k in np.searchsorted(rows.line, (near.low, near.high)))
    fits = np.zeros(near.high - near.low, dtype=np.bool_)
    fits[rows.line[low:high] - near.low] = True
    # for each event the row that it stands on
    count = high - low + int(derived.extra[low:high].sum())
    if count == high - low:
        base, ordinal = np.arange(low, high), np.zeros(count, dtype=np.int64)
    else:
        base = np.repeat(np.arange(low, high), derived.extra[low:high] + 1)
        ordinal = np.zeros(count, dtype=np.int64)
        ordinal[1:] = base[1:] == base[:-1]
    first = int(derived.moved[low]) if high > low else 0
    made = columns.series(first, count, len(rows.line) + int(derived.extra.sum()))
    kind, outcome = rows.kind[base], columns.outcome[base]
    here = np.flatnonzero(ordinal)
    kind[here] = _KIND_NAMES.index(EventKind.PROCESS_CREATE)
    outcome[here] = np.where(derived.call >= 0, columns.outcome[derived.call], 0)
    columns_of_all = {
        "t_recorded": pl.Series(rows.ns[base]),
        "t_basis": constant(TimeBasis.UTC.value, count),
        "kind": picked(_KIND_TEXTS, kind),
        "outcome": picked(OUTCOMES, outcome),
        "provider": constant("auditd", count),
        "serial": pl.Series(rows.serial[base]),
    }
    if "type" in made:
        made["event_code"] = made["type"]
    return Cut(fits, {**made, **columns_of_all}, rows.line[base] - near.low, ordinal)
