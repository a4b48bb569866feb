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
from headwater.examine.audit_values import Views, halves
from headwater.examine.line_near import Near
from headwater.examine.line_views import PADDING, Bytes, Flags, Ints
from headwater.model.records import own_column

if TYPE_CHECKING:
    from headwater.examine.audit_quick import Rows

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
    programs: Programs = memory.setdefault("programs", Programs())
    if programs.room(len(here), int(events.weight.sum())):
        events.parents_at_once(programs)
    else:
        events.parents_one_by_one(programs)


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

    def _numbers(self, name: str) -> tuple[Ints, Flags]:
        column = self.columns.new(name, self.total, False)
        return column.values[self.here].view(np.int64), column.there[self.here]

    def _programs(self, which: Ints) -> list[Program]:
        """Programs of some events."""
        rows = self.here[which]
        texts = [
            self.columns.some(c, some).to_list()
            for c, some in ((self.image, rows), (self.line, rows), (self.own, which))
        ]
        return list(zip(*texts, self.weight[which].tolist()))

    def parents_at_once(self, programs: Programs) -> None:
        """As :meth:`parents_one_by_one`, where no program is forgotten meanwhile."""
        which = np.flatnonzero(self.has_pid)
        which = which[np.argsort(self.pid[which], kind="stable")]
        pids = self.pid[which]
        new = np.concatenate([[0], pids[1:] != pids[:-1]])[: len(pids)]
        group = np.cumsum(new)
        codes = group * len(self.here) + which
        asks = np.flatnonzero(self.has_ppid)
        at = np.minimum(np.searchsorted(pids, self.ppid[asks]), max(len(pids) - 1, 0))
        parent = np.full(len(asks), -1, dtype=np.int64)
        if len(pids):
            mine = group[at]
            before = np.searchsorted(codes, mine * len(self.here) + asks) - 1
            good = (pids[at] == self.ppid[asks]) & (before >= 0)
            good &= group[np.maximum(before, 0)] == mine
            parent = np.where(good, which[np.maximum(before, 0)], -1)
        known = parent >= 0
        children, parents = asks[known], parent[known]
        for name, column, rows in (
            ("ParentImage", self.image, self.here[parents]),
            ("ParentCommandLine", self.line, self.here[parents]),
            ("parent_record", self.own, parents),
        ):
            has = column.there[rows]
            self.columns.new(name, self.total, True).put(self.here[children[has]], column.values[rows[has]])
        others = asks[~known]
        found = [programs.held.get(ppid) for ppid in self.ppid[others].tolist()]
        self._put(others.tolist(), found)
        if len(pids):
            last = which[np.concatenate([new[1:] == 1, [True]])]
            last.sort()
            programs.remember_all(self.pid[last].tolist(), self._programs(last))

    def parents_one_by_one(self, programs: Programs) -> None:
        """The program that each parent was running, where an earlier event of this file says it; remembers each new one."""
        every = np.arange(len(self.here))
        found: list[Program | None] = []
        for pid, has_pid, ppid, has_ppid, program in zip(
            self.pid.tolist(), self.has_pid.tolist(), self.ppid.tolist(), self.has_ppid.tolist(), self._programs(every)
        ):
            found.append(programs.held.get(ppid) if has_ppid else None)
            if has_pid:
                programs.remember(pid, program)
        self._put(every.tolist(), found)

    def _put(self, children: list[int], found: list[Program | None]) -> None:
        """The programs of parents that stand in no row of this block."""
        named = [(child, program) for child, program in zip(children, found) if program is not None]
        for k, name in enumerate(("ParentImage", "ParentCommandLine", "parent_record")):
            some = [(child, program[k]) for child, program in named if program[k] is not None]
            if some:
                rows = self.here[np.array([child for child, _ in some])]
                texts = pl.Series([text for _, text in some], dtype=pl.String)
                self.columns.new(name, self.total, True).put(rows, self.columns.texts(texts))
