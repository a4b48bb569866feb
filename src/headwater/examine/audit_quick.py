# SPDX-License-Identifier: Apache-2.0
"""Audit lines cut and typed by the compiled scanner; what it does not take is left to :mod:`headwater.examine.audit_lines`.

1. The heads of all lines: host, type, time, serial.
2. The few distinct types say what their records mean for the header: whose account it is, whether arguments follow.
3. The words of all lines become columns of their keys, and with (2) columns of the header.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headwater.examine.audit_fields import (
    ABOUT_ACCOUNT,
    ARGUMENTS,
    BY_ACCOUNT,
    ENCODED,
    KINDS,
    KNOWN,
    NUMBERS,
    STORED,
    UNKNOWN,
)
from headwater.examine.audit_tokens import key_table
from headwater.examine.line_blocks import Lines
from headwater.examine.line_views import PADDING, Flags, Ints, Texts, constant
from headwater.examine.lines import Context, Cut
from headwater.examine.message_phrases import numbered_names
from headwater.formats import compiled
from headwater.model.kinds import EventKind, Outcome, TimeBasis
from headwater.model.records import own_column

_FIXED = ("user", "target_user", "src_ip", "process", "command_line", "file_path")  # in the order of audit.c
_NAMED = (
    *("msg", "op", "res", "success", "UID", "AUID", "ID", "acct", "addr", "comm", "exe", "cmd", "proctitle", "name"),
    *("auid", "ses", "old-auid", "old-ses", *ARGUMENTS),
)
_AS_IT_IS, _INTEGER, _ENCODED, _ARGUMENT, _NO_COLUMN = range(5)
_ACTS, _ABOUT, _PATH, _EXECUTES = 1, 2, 4, 8
_PUBKEY, _ADDS = 2, 4  # of the operation, as audit.c flags it
_GOOD, _BAD = 1, 2
_KIND_NAMES = tuple(EventKind)
_OUTCOMES = pl.Series([None, Outcome.SUCCESS.value, Outcome.FAILURE.value], dtype=pl.String)


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


@dataclass(frozen=True, slots=True)
class _Heads:
    """The heads of the lines that have one, in order."""

    rows: Ints
    spans: Ints  # of host and type, four places a line
    ns: Ints
    serial: Ints
    body: Ints


def _heads(library: Any, lines: Lines) -> _Heads:
    count, at = len(lines), compiled.at
    spans = np.empty((count, 4), dtype=np.int64)
    ns, serial, body = (np.empty(count, dtype=np.int64) for _ in range(3))
    start, end = compiled.whole(lines.start), compiled.whole(lines.end)
    made = (at(array) for array in (spans, ns, serial, body))
    compiled.checked(library.hw_audit_heads(at(lines.data), len(lines.data), at(start), at(end), count, *made))
    rows = np.flatnonzero(body >= 0)
    return _Heads(rows, spans[rows], ns[rows], serial[rows], body[rows])


def _meaning(kind: str) -> int:
    found = _ACTS if kind in BY_ACCOUNT else _ABOUT if kind in ABOUT_ACCOUNT else 0
    return found | (_PATH if kind == "PATH" else 0) | (_EXECUTES if kind == "EXECVE" else 0)


def _kinds(codes: Ints, names: list[str], outcome: NDArray[np.uint8], op: NDArray[np.uint8]) -> pl.Series:
    """The kind of every record by its type, by whether it failed, and by what was done."""
    log = EventKind.LOG_MESSAGE
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
    return pl.Series([k.value for k in _KIND_NAMES], dtype=pl.String).gather(pl.Series(found.astype(np.uint32)))


@dataclass(slots=True)
class _Words:
    """What audit.c gave back: which of the lines fit, and the columns under construction."""

    fits: Flags
    taken: int
    texts: Texts
    values: Ints
    column: NDArray[np.int32]
    outcome: NDArray[np.uint8]
    op: NDArray[np.uint8]

    def columns(self, first_counted: int) -> dict[str, pl.Series]:
        """The header's columns and those of the keys."""
        made = {name: self.texts.column(k, self.taken) for k, name in enumerate(_FIXED) if self.texts.has(k)}
        for key in np.flatnonzero(self.column).tolist():
            number = int(self.column[key]) - 1
            if not self.texts.has(number):
                continue
            name = "pid" if KNOWN[key] == "pid" else own_column(STORED.get(KNOWN[key], KNOWN[key]))
            if number < first_counted:
                made[name] = self.texts.column(number, self.taken)
            else:
                made[name] = self.texts.numbers(number, self.values[number - first_counted, : self.taken])
        return made


def _words(library: Any, lines: Lines, heads: _Heads, flags: NDArray[np.uint8], most: int, counted: int) -> _Words:
    count, at = len(heads.rows), compiled.at
    room = 2 * len(lines.data)  # nothing decoded or joined is longer than what it is made of
    pool = np.zeros(room + PADDING, dtype=np.uint8)
    texts = Texts(lines.data, count, [""] * most, pool, counted)
    fits = np.empty(count, dtype=np.bool_)
    values = np.zeros((counted, count), dtype=np.int64)
    column = np.zeros(library.hw_audit_room(3), dtype=np.int32)
    outcome, op = np.zeros(count, dtype=np.uint8), np.zeros(count, dtype=np.uint8)
    work = np.zeros(library.hw_audit_room(0), dtype=np.uint8)
    known = [at(array) for array in _constants()]
    places = np.array([*known, *texts.places(), *map(at, (values, column, pool, outcome, op))], dtype=np.uint64)
    end = compiled.whole(lines.end[heads.rows])
    taken = compiled.checked(
        library.hw_audit_words(
            at(lines.data),
            len(lines.data),
            at(heads.body),
            at(end),
            count,
            at(flags),
            room,
            at(fits),
            at(places),
            at(work),
        )
    )
    return _Words(fits, taken, texts, values, column, outcome[:taken], op[:taken])


def quick_audit_shape(lines: Lines, context: Context) -> Cut:
    """The lines that the compiled scanner takes; none where it was not built."""
    library = compiled.library()
    if library is None or not len(lines):
        return Cut.none(lines)
    heads = _heads(library, lines)
    types = numbered_names(lines.data, heads.spans[:, 2], heads.spans[:, 3]) if len(heads.rows) else None
    if types is None:
        return Cut.none(lines)
    codes, names = types
    flags = np.array([_meaning(name) for name in names], dtype=np.uint8)[codes]
    most, counted = library.hw_audit_room(1), library.hw_audit_room(2)
    words = _words(library, lines, heads, flags, most, counted)
    if not words.taken:
        return Cut.none(lines)
    chosen = words.fits
    spans = heads.spans[chosen]
    host, kind = spans[:, 1] > spans[:, 0], lines.column(spans[:, 2], spans[:, 3])
    columns = {
        **words.columns(most),
        "t_recorded": pl.Series(heads.ns[chosen]),
        "t_basis": constant(TimeBasis.UTC.value, words.taken),
        "kind": _kinds(codes[chosen], names, words.outcome, words.op),
        "outcome": _OUTCOMES.gather(pl.Series(words.outcome.astype(np.uint32))),
        "event_code": kind,
        "provider": constant("auditd", words.taken),
        "type": kind,
        "serial": pl.Series(heads.serial[chosen]),
    }
    if host.any():
        columns["host"] = lines.column(spans[:, 0], spans[:, 1], host)
    fits = np.zeros(len(lines), dtype=np.bool_)
    fits[heads.rows[chosen]] = True
    return Cut(fits, columns)
