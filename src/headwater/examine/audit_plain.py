# SPDX-License-Identifier: Apache-2.0
"""Audit lines cut, typed and joined to processes by NumPy, shape by shape, where there is no compiled scanner.

As :mod:`headwater.examine.audit_quick`, what is taken is certain: a line without a usual head, a line whose shape few others have, and
a line with a value that is odd are read by :mod:`headwater.examine.audit_lines`, and their values are put into the same columns. Where
many are odd the whole block is read that way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from headwater.examine import audit_header, audit_processes
from headwater.examine.audit_columns import name_of
from headwater.examine.audit_fields import ARGUMENTS, ENCODED, EXEC_CALLS, KNOWN, NUMBERS, UNKNOWN
from headwater.examine.audit_gathered import Gathered
from headwater.examine.audit_join import PARTS
from headwater.examine.audit_lines import audit_shape
from headwater.examine.audit_marks import Heads, Marks, heads_of
from headwater.examine.audit_quick import Rows, cut_of, kinds_of, odd_lines
from headwater.examine.audit_shapes import Shape, shapes_of
from headwater.examine.audit_values import Number, Text, equals, numbers_of, text_of, views_from
from headwater.examine.line_blocks import Lines
from headwater.examine.line_near import Near
from headwater.examine.line_views import Flags, Ints
from headwater.examine.lines import Cut
from headwater.model.kinds import Outcome

_MOST_ODD = 4  # one line in so many
_INTEGERS = frozenset((*NUMBERS, "pid"))
_CODED, _ARGUMENTS = frozenset(ENCODED), frozenset(ARGUMENTS)
_GOOD = 1


class _Reader:
    """Reads the shapes of one block into columns."""

    def __init__(self, lines: Lines, heads: Heads, rows: Rows, number: Ints) -> None:
        self._lines, self._heads, self._number = lines, heads, number
        self.columns = Gathered(lines.data, len(rows.line))
        self.operation = np.zeros(len(rows.line), dtype=np.uint8)
        self.runs = np.zeros(len(rows.line), dtype=np.bool_)
        self.taken = np.zeros(len(rows.line), dtype=np.bool_)

    def _values(self, shape: Shape) -> tuple[dict[str, Text | Number], Flags]:
        """The values of all keys, and the rows in which none is odd."""
        data, given = self._lines.data, dict[str, Text | Number]()
        good = np.ones(len(shape.rows), dtype=np.bool_)
        for key, start, end, wide in zip(shape.layout.keys, shape.start, shape.end, shape.wide):
            name = KNOWN[key]
            if name == "msg":
                continue
            if name in _INTEGERS:
                given[name], odd = numbers_of(data, start, end, wide)
            else:
                coded = name in _CODED or (shape.type == "EXECVE" and name in _ARGUMENTS)
                given[name], odd = text_of(data, start, end, wide, coded, UNKNOWN.get(name), self.columns.pool)
            if odd is not None:
                good &= ~odd
        if not audit_header.certain(given):
            good[:] = False
        return given, good

    def read(self, shape: Shape) -> None:
        """Takes in the rows of a shape, but for those with an odd value."""
        given, good = self._values(shape)
        if not good.all():
            if not good.any():
                return
            shape = shape.pick(good)
            given, good = self._values(shape)
            if not good.all():
                raise AssertionError("a value that was certain is odd")
        rows, count, columns = self._number[shape.rows], len(shape.rows), self.columns
        other = shape.layout.other
        columns.outcome[rows] = outcome = audit_header.outcome_of(given, other, count)
        if other is not None:
            columns.add("other", rows, Text(columns.texts(pl.Series([other]))))
        self.operation[rows] = audit_header.operation_of(given, count)
        if shape.type == "SYSCALL":
            self.runs[rows] = _runs(given) & (outcome == _GOOD)
        self.taken[rows] = True
        for key, value in given.items():
            columns.add(name_of(key), rows, value)
        for name, text in audit_header.header_of(shape.type, given, count, self._lines.data, columns.pool).items():
            columns.add(name, rows, text)
        self._head(shape.rows, rows)

    def _head(self, lines: Ints, rows: Ints) -> None:
        """Type and host."""
        data = self._lines.data
        low, high = (place[lines[:1]] for place in self._heads.kind)
        self.columns.add("type", rows, Text(views_from(data, low, high, 0)))
        start, end = (place[lines] for place in self._heads.host)
        there = end > start
        if there.any():
            self.columns.add("host", rows, Text(views_from(data, start, end, 0), there))


def _runs(given: Mapping[str, Text | Number]) -> Flags:
    """Which calls run a program."""
    arch, number = given.get("arch"), given.get("syscall")
    if not isinstance(arch, Text) or not isinstance(number, Number):
        return np.zeros(1, dtype=np.bool_)
    found = np.zeros(1, dtype=np.bool_)
    for text, calls in EXEC_CALLS.items():
        found = found | (equals(arch, text.encode()) & np.isin(number.values, calls))
    return found


def _odd_runs(given: Mapping[str, pl.Series]) -> Flags:
    """As :func:`_runs`, of calls that succeeded among rows that the other way of reading gave."""
    if "arch" not in given or "syscall_number" not in given:
        return np.zeros(1, dtype=np.bool_)
    asked = zip(*(given[name].to_list() for name in ("arch", "syscall_number", "outcome")))
    return np.array([done == Outcome.SUCCESS.value and n in EXEC_CALLS.get(arch, ()) for arch, n, done in asked])


def _rows(lines: Lines, heads: Heads) -> Rows:
    """The lines that are audit records."""
    mine = heads.ok.copy()
    odd = np.flatnonzero(~mine)
    if len(odd):
        mine[odd] = audit_shape(lines.take(odd).gathered()).fits
    line = np.flatnonzero(mine)
    sure = heads.ok[line]
    spans = np.zeros((0, 4), dtype=np.int64)
    ns, serial, body = (
        np.where(sure, of[line], other) for of, other in ((heads.ns, 0), (heads.serial, 0), (heads.body, -1))
    )
    codes = np.where(sure, heads.codes[line], 0)
    count = len(line)
    return Rows(
        line, spans, ns, serial, body, codes, list(heads.types), np.zeros(count, dtype=np.uint32), np.arange(count)
    )


def plain_rows(near: Near, memory: dict[str, Any]) -> Cut | None:
    """The events of the lines of ``near`` that are its own, and those derived from them; None where too many lines are odd."""
    lines = near.lines
    marks = Marks(lines.data)
    heads = heads_of(lines, marks)
    most = len(lines) // _MOST_ODD
    if len(lines) - np.count_nonzero(heads.ok) > most:
        return None
    shapes = list(shapes_of(lines, heads, marks))
    if not shapes or len(lines) - sum(len(shape.rows) for shape in shapes) > most:
        return None
    rows = _rows(lines, heads)
    number = np.zeros(len(lines), dtype=np.int64)
    number[rows.line] = np.arange(len(rows.line))
    reader = _Reader(lines, heads, rows, number)
    for shape in shapes:
        reader.read(shape)
    rows.kind = kinds_of(rows, reader.columns.outcome, reader.operation)
    odd = np.flatnonzero(~reader.taken)
    if len(odd):
        reader.runs[odd] = _odd_runs(odd_lines(lines, rows, reader.columns, odd))
    derived = audit_processes.derive(near, rows, reader.columns, rows.part(PARTS), reader.runs, memory)
    return cut_of(near, rows, reader.columns, derived)
