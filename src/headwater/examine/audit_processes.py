# SPDX-License-Identifier: Apache-2.0
"""Processes joined from audit records that were read shape by shape; :mod:`headwater.examine.audit_join` says what is joined with what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headwater.examine.audit_columns import name_of
from headwater.examine.audit_derived import FROM_CALL, Derived
from headwater.examine.audit_gathered import Column, Gathered
from headwater.examine.audit_join import CALL, EXECUTED, FOLDER, TITLE, Program, Programs, Records
from headwater.examine.audit_programs import Table, programs_of, table_of
from headwater.examine.audit_values import Views, halves
from headwater.examine.line_near import Near
from headwater.examine.line_views import PADDING, Bytes, Flags, Ints
from headwater.model.records import own_column

if TYPE_CHECKING:
    from headwater.examine.audit_quick import Rows

PARENTS = 3  # the buffer of parents' texts
_ANCHOR, _CALL, _FOLDER, _TITLE = range(4)
_FAILED = 2
_COMMAS, _PLUS, _ZERO = 44, 43, 48


def _pairs() -> list[tuple[str, str, int]]:
    """Which columns a derived event's values come from: (from, into, partner)."""
    actor = own_column("User")
    return [
        ("host", "host", _ANCHOR),
        *((name_of(key), name_of(key), _CALL) for key in FROM_CALL),
        *(("exe", name, _CALL) for name in ("Image", "file_path")),
        ("comm", "process", _CALL),
        *(("cwd", name, _FOLDER) for name in ("cwd", "CurrentDirectory")),
        *(("user", name, _CALL) for name in ("user", actor)),
        *(("pid", name, _CALL) for name in ("pid", "ProcessId")),
        ("ppid", "ParentProcessId", _CALL),
    ]


def _partners(near: Near, rows: Rows, part: NDArray[np.uint8], runs: Flags, outcome: NDArray[np.uint8]) -> Ints:
    """For each derived event its rows: the one it stands on, those of its call, folder and title; -1 where there is none."""
    take = np.flatnonzero(part)
    if not len(take):
        return np.zeros((0, 4), dtype=np.int64)
    line = rows.line[take]
    records = Records(line, near.offset[line], rows.ns[take], rows.serial[take], part[take])
    calls = records.of(CALL, near.low, near.high)
    calls = calls[runs[take[calls]]]
    alone = calls[records.nearest(calls, EXECUTED) < 0]
    anchors = np.sort(np.concatenate([records.of(EXECUTED, near.low, near.high), alone]))
    found = np.stack([anchors, *(records.nearest(anchors, kind) for kind in (CALL, FOLDER, TITLE))], axis=1)
    found = np.where(found < 0, -1, take[found])
    call = found[:, _CALL]
    failed = (call >= 0) & (outcome[call] == _FAILED)
    return found[~failed] if failed.any() else found


def derive(
    near: Near, rows: Rows, columns: Gathered, part: NDArray[np.uint8], runs: Flags, memory: dict[str, Any]
) -> Derived:
    """Finds the processes of the lines from ``low`` to ``high``, puts all rows where these have just room behind theirs, and fills in
    what is known of each. ``runs``: the calls that ran a program."""
    count = len(rows.line)
    partners = _partners(near, rows, part, runs, columns.outcome)
    extra = np.zeros(count, dtype=np.int64)
    extra[partners[:, _ANCHOR]] = 1
    moved = np.arange(count) + np.cumsum(extra) - extra
    total = count + len(partners)
    columns.place(moved, total)
    if len(partners):
        _copy(columns, part, partners, moved, total)
        _name(near, rows, columns, partners, moved, total, memory)
    return Derived(moved, extra, partners[:, _CALL].astype(np.int32))


def _copy(columns: Gathered, part: NDArray[np.uint8], partners: Ints, moved: Ints, total: int) -> None:
    """Gives the events what their partners have."""
    here = moved[partners[:, _ANCHOR]] + 1
    known = [np.flatnonzero(partners[:, which] >= 0) for which in range(4)]
    places = [(here[some], moved[partners[some, which]]) for which, some in enumerate(known)]

    def put(name: str, into: str, there: Ints, source: Ints) -> None:
        column = columns.columns.get(name)
        if column is None:
            return
        has = column.there[source]
        if not has.all():
            there, source = there[has], source[has]
        if len(there):
            columns.new(into, total, column.text).put(there, column.values[source])

    for name, into, which in _pairs():
        put(name, into, *places[which])
    # command lines: those of the records of arguments, else of the title
    executed = part[partners[:, _ANCHOR]] == EXECUTED
    title = partners[:, _TITLE]
    for some, partner in ((executed, partners[:, _ANCHOR]), (~executed & (title >= 0), title)):
        for into in ("CommandLine", "command_line"):
            put("command_line", into, here[some], moved[partner[some]])


def _digits(values: Ints) -> tuple[Bytes, Flags]:
    """The decimal digits of each number, right-aligned, and which of them are written."""
    width = len(str(int(values.max(initial=0))))
    left = values.astype(np.uint32) if width < 10 else values.copy()
    made = np.empty((*values.shape, width), dtype=np.uint8)
    shown = np.empty(made.shape, dtype=np.bool_)
    for k in range(width - 1, -1, -1):
        shown[..., k] = left > 0
        rest = left // 10
        made[..., k] = left - rest * 10
        left = rest
    shown[..., width - 1] = True
    return made + np.uint8(_ZERO), shown


def _places(offset: Ints, length: Ints, there: Flags) -> tuple[Bytes, Ints, Ints]:
    """Places of several records a row as ``offset+length,…``, those that are there: the texts behind each other, with padding, and where
    each begins and ends."""
    first, second = _digits(offset), _digits(length)
    one = np.ones((*offset.shape, 1), dtype=np.uint8)
    made = np.concatenate([one * np.uint8(_COMMAS), first[0], one * np.uint8(_PLUS), second[0]], axis=-1)
    comma = np.cumsum(there, axis=1) > 1
    shown = np.concatenate([comma[..., None], first[1], one.astype(np.bool_), second[1]], axis=-1) & there[..., None]
    end = np.cumsum(np.count_nonzero(shown.reshape(len(shown), -1), axis=1))
    data = np.concatenate([made[shown], np.zeros(PADDING, dtype=np.uint8)])
    return data, np.concatenate([[0], end[:-1]]), end


def _name(
    near: Near, rows: Rows, columns: Gathered, partners: Ints, moved: Ints, total: int, memory: dict[str, Any]
) -> None:
    """The records that each event was joined from, and the program of its parent."""
    here = moved[partners[:, _ANCHOR]] + 1
    line = rows.line[partners]
    offset, length = np.where(partners < 0, -1, near.offset[line]), near.length[line]
    order = np.argsort(offset, axis=1, kind="stable")
    offset, length = (np.take_along_axis(table, order, axis=1) for table in (offset, length))
    there = offset >= 0
    there[:, 1:] &= offset[:, 1:] != offset[:, :-1]
    columns.new("records", total, True).put(here, columns.made(*_places(np.maximum(offset, 0), length, there)))
    line = rows.line[partners[:, :1]]
    own = columns.made(*_places(near.offset[line], near.length[line], np.ones(line.shape, dtype=np.bool_)))
    events = _Events(columns, here, own, total)
    table = table_of(memory)
    if table is not None and table.room(events.pid[events.last], int(events.weight.sum())):
        events.parents_at_once(table)
    else:
        events.parents_one_by_one(programs_of(memory))


class _Events:
    """Derived events in order: where they stand, their numbers and programs."""

    def __init__(self, columns: Gathered, here: Ints, own: Views, total: int) -> None:
        self.columns, self.here, self.total = columns, here, total
        self.own = Column(own, np.ones(len(here), dtype=np.bool_))
        self.image, self.line = (columns.new(name, total, True) for name in ("Image", "CommandLine"))
        self.pid, self.has_pid = self._numbers("ProcessId")
        self.ppid, self.has_ppid = self._numbers("ParentProcessId")
        sizes = [
            np.where(c.there[here], halves(c.values[here].view(np.complex128))[:, 0] & np.uint64(0xFFFFFFFF), 0)
            for c in (self.image, self.line)
        ]
        self.weight = (sizes[0] + sizes[1]).astype(np.int64)
        # events by their process numbers, in order within each; which are the last of theirs, in order
        which = np.flatnonzero(self.has_pid)
        self._which = which = which[np.argsort(self.pid[which], kind="stable")]
        new = np.ones(len(which) + 1, dtype=np.bool_)
        new[1:-1] = self.pid[which[1:]] != self.pid[which[:-1]]
        self._group = np.cumsum(new[:-1])
        self.last = np.sort(which[new[1:]])

    def _numbers(self, name: str) -> tuple[Ints, Flags]:
        column = self.columns.new(name, self.total, False)
        return column.values[self.here].view(np.int64), column.there[self.here]

    def _programs(self) -> list[Program]:
        """The programs of all events."""
        every = np.arange(len(self.here))
        places = ((self.image, self.here), (self.line, self.here), (self.own, every))
        texts = [self.columns.some(column, rows).to_list() for column, rows in places]
        return list(zip(*texts, self.weight.tolist()))

    def _before(self) -> Ints:
        """For each event the last before it that is its parent's, -1 where there is none."""
        which, group, count = self._which, self._group, len(self.here)
        pids = self.pid[which]
        at = np.minimum(np.searchsorted(pids, self.ppid), max(len(pids) - 1, 0))
        if not len(pids):
            return np.full(count, -1, dtype=np.int64)
        mine = group[at]
        before = np.searchsorted(group * count + which, mine * count + np.arange(count)) - 1
        good = self.has_ppid & (pids[at] == self.ppid) & (before >= 0)
        before = np.maximum(before, 0)
        return np.where(good & (group[before] == mine), which[before], -1)

    def parents_at_once(self, table: Table) -> None:
        """As :meth:`parents_one_by_one`, where no program is forgotten meanwhile."""
        parent = self._before()
        children = np.flatnonzero(parent >= 0)
        parents = parent[children]
        slots = np.where(self.has_ppid & (parent < 0), table.of(self.ppid), -1)
        others = np.flatnonzero(slots >= 0)
        self.columns.parents = table.text
        for number, (name, column, rows) in enumerate(
            (
                ("ParentImage", self.image, self.here[parents]),
                ("ParentCommandLine", self.line, self.here[parents]),
                ("parent_record", self.own, parents),
            )
        ):
            has = column.there[rows]
            made = self.columns.new(name, self.total, True)
            made.put(self.here[children[has]], column.values[rows[has]])
            there, views = table.views(number, slots[others], PARENTS)
            made.put(self.here[others[there]], views)
        last = self.last
        rows = self.here[last]
        known = ((self.image, rows), (self.line, rows), (self.own, last))
        texts = [(column.values[places].view(np.complex128), column.there[places]) for column, places in known]
        table.remember(self.pid[last], texts, self.columns.buffers())

    def parents_one_by_one(self, programs: Programs) -> None:
        """The program that each parent was running, where an earlier event of this file says it; remembers each new one."""
        found: list[Program | None] = []
        for pid, has_pid, ppid, has_ppid, program in zip(
            self.pid.tolist(), self.has_pid.tolist(), self.ppid.tolist(), self.has_ppid.tolist(), self._programs()
        ):
            found.append(programs.held.get(ppid) if has_ppid else None)
            if has_pid:
                programs.remember(pid, program)
        self._put(found)

    def _put(self, found: list[Program | None]) -> None:
        """The programs of parents."""
        named = [(child, program) for child, program in enumerate(found) if program is not None]
        for k, name in enumerate(("ParentImage", "ParentCommandLine", "parent_record")):
            some = [(child, program[k]) for child, program in named if program[k] is not None]
            if some:
                rows = self.here[np.array([child for child, _ in some])]
                texts = pl.Series([text for _, text in some], dtype=pl.String)
                self.columns.new(name, self.total, True).put(rows, self.columns.texts(texts))
