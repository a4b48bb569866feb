# SPDX-License-Identifier: Apache-2.0
"""Processes that were created, joined from the audit records of one serial: a second, derived set of events.

A derived event stands on the bytes of its EXECVE line (of its SYSCALL line where there is none) as ordinal 1 and cites all
its records in ``records``: "offset+length,…". Its partners are, for each type, the nearest record of the same time and
serial fewer than :data:`WINDOW` lines and :data:`REACH` bytes away; so what is joined depends on the file alone and not on how
it was cut into blocks. The compiled scanner does the same in ``audit_join.c`` and ``audit_programs.c``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from headwater.examine.audit_fields import EXEC_CALLS
from headwater.examine.audit_lines import audit_shape
from headwater.examine.line_near import LINES as WINDOW
from headwater.examine.line_near import REACH, Near
from headwater.examine.line_views import Flags, Ints
from headwater.examine.lines import Cut
from headwater.model.kinds import EventKind, Outcome, TimeBasis
from headwater.model.records import own_column

_ROW_BITS = 40
_FAR = 1 << 61
PROCESSES, REMEMBERED = 65_536, 64 << 20  # how many pids are remembered for naming parents, and bytes of their texts
CALL, EXECUTED, FOLDER, TITLE = 1, 2, 3, 4
PARTS = {"SYSCALL": CALL, "EXECVE": EXECUTED, "CWD": FOLDER, "PROCTITLE": TITLE}
_SLIM = (
    *("row", "offset", "length", "t_recorded", "serial", "type", "host", "user", "outcome", "pid", "command_line"),
    *("auid", "uid", "euid", "gid", "ppid", "ses", "tty", "exe", "comm", "cwd", "key", "arch", "syscall_number"),
    *("auid_name", "uid_name", "euid_name"),
)
_FROM_CALL = ("auid", "uid", "euid", "gid", "ppid", "ses", "tty", "exe", "comm", "key", "auid_name", "euid_name")


# program, command line, the place of the event that said so, and how many bytes the first two have
Program = tuple[str | None, str | None, str | None, int]


@dataclass(slots=True)
class Programs:
    """The last program of each pid that this file has named so far, those named last at the end."""

    held: dict[int, Program] = field(default_factory=dict)
    size: int = 0

    def remember(self, pid: int, program: Program) -> None:
        self._forget(pid)
        self.held[pid] = program
        self.size += program[3]
        while len(self.held) > PROCESSES or self.size > REMEMBERED:
            self._forget(next(iter(self.held)))

    def _forget(self, pid: int) -> None:
        gone = self.held.pop(pid, None)
        if gone is not None:
            self.size -= gone[3]


def _weight(program: tuple[str | None, str | None]) -> int:
    return sum(len(text.encode()) for text in program if text is not None)


def _slim(events: pl.DataFrame) -> pl.DataFrame:
    """The rows that a join can need."""
    frame = events.select([pl.col(c) if c in events.columns else pl.lit(None).alias(c) for c in _SLIM])
    return frame.filter(pl.col("type").is_in(list(PARTS)))


def _executes(calls: pl.DataFrame) -> Flags:
    """Which calls are of a program, and succeeded."""
    executes = pl.lit(False)
    for arch, numbers in EXEC_CALLS.items():
        executes |= (pl.col("arch") == arch) & pl.col("syscall_number").is_in(numbers)
    done = calls.select((executes & (pl.col("outcome") == Outcome.SUCCESS.value)).fill_null(False)).to_series()
    return done.to_numpy().astype(np.bool_)


class Records:
    """The records near a batch that take part, in order of row, and the partners of some among the others of their time and serial."""

    def __init__(self, row: Ints, offset: Ints, time: Ints, serial: Ints, part: NDArray[np.uint8]) -> None:
        self._row, self._offset, self._part = row, offset, part
        later = (time[1:] > time[:-1]) | ((time[1:] == time[:-1]) & (serial[1:] >= serial[:-1]))
        # stable: within one happening the rows stay in order
        self._order = np.arange(len(row)) if later.all() else np.lexsort((serial, time))
        time, serial = time[self._order], serial[self._order]
        new = np.concatenate([[0], (time[1:] != time[:-1]) | (serial[1:] != serial[:-1])])
        self._code = np.empty(len(row), dtype=np.int64)
        self._code[self._order] = np.cumsum(new) << _ROW_BITS | row[self._order]

    def of(self, part: int, low: int, high: int) -> Ints:
        """The places of the records of a part whose rows are ``low`` to ``high``."""
        return np.flatnonzero((self._part == part) & (self._row >= low) & (self._row < high))

    def nearest(self, anchors: Ints, part: int) -> Ints:
        """For each anchor the place of the nearest record of a part with its time and serial, the later of two; -1: none."""
        these = self._order[self._part[self._order] == part]
        codes = np.concatenate([[-_FAR], self._code[these], [2 * _FAR]])
        these = np.concatenate([[-1], these, [-1]])
        wanted = self._code[anchors]
        behind = np.searchsorted(codes, wanted)
        # records of another time or serial are farther than any row
        back, forth = wanted - codes[behind - 1], codes[behind] - wanted
        found = np.where(forth <= back, these[behind], these[behind - 1])
        reach = np.abs(self._offset[found] - self._offset[anchors])
        return np.where((np.minimum(forth, back) < WINDOW) & (reach < REACH), found, -1)


def _gathered(near: pl.DataFrame, places: Ints, columns: Iterable[str], prefix: str = "") -> list[pl.Series]:
    """Columns at these places, null where a place is -1."""
    where = pl.Series(np.maximum(places, 0).astype(np.uint32)).set(pl.Series(places < 0), None)
    return [near[c].gather(where).alias(prefix + c) for c in columns]


def _joined(near: pl.DataFrame, low: int, high: int) -> pl.DataFrame:
    """EXECVE records, and calls of execve that succeeded and have none, of rows ``low`` to ``high``, with their partners."""
    if near.is_empty():
        return near
    part = near["type"].replace_strict(PARTS, return_dtype=pl.UInt8).to_numpy()
    row, offset, time, serial = (near[c].to_numpy() for c in ("row", "offset", "t_recorded", "serial"))
    records = Records(row, offset, time, serial, part)
    calls = records.of(CALL, low, high)
    calls = calls[_executes(near[calls.tolist()])] if len(calls) else calls
    alone = calls[records.nearest(calls, EXECUTED) < 0]
    anchors = np.sort(np.concatenate([records.of(EXECUTED, low, high), alone]))
    if not len(anchors):
        return near.clear()
    columns = _gathered(
        near, anchors, ("row", "offset", "length", "t_recorded", "host", "serial", "type", "command_line")
    )
    for kind, names in (
        ("SYSCALL", ("pid", "user", "outcome", *_FROM_CALL)),
        ("CWD", ("cwd",)),
        ("PROCTITLE", ("command_line",)),
    ):
        partners = records.nearest(anchors, PARTS[kind])
        columns += _gathered(near, partners, ("row", "offset", "length", *names), f"{kind}.")
    found = pl.DataFrame(columns)
    return found.filter(pl.col("SYSCALL.outcome").is_null() | (pl.col("SYSCALL.outcome") != Outcome.FAILURE.value))


_PLACES = tuple(f"{kind}{part}" for kind in ("", "SYSCALL.", "CWD.", "PROCTITLE.") for part in ("offset", "length"))


def _cited(found: pl.DataFrame) -> pl.Series:
    """The places of all records of each derived event, in order of place, each once."""
    table = found.select(pl.col(_PLACES).fill_null(-1)).to_numpy().reshape(found.height, -1, 2)
    order = np.argsort(table[:, :, 0], axis=1, kind="stable")
    offset, length = (np.take_along_axis(table[:, :, k], order, axis=1) for k in (0, 1))
    there = offset >= 0
    there[:, 1:] &= offset[:, 1:] != offset[:, :-1]
    texts = [
        pl.DataFrame({"o": np.ascontiguousarray(offset[:, k]), "n": np.ascontiguousarray(length[:, k])}).select(
            pl.when(pl.Series(there[:, k])).then(pl.format("{}+{}", "o", "n")).alias(str(k))
        )
        for k in range(offset.shape[1])
    ]
    return (
        pl.concat(texts, how="horizontal").select(pl.concat_str(pl.all(), separator=",", ignore_nulls=True)).to_series()
    )


def _parents(frame: pl.DataFrame, programs: Programs) -> pl.DataFrame:
    """The program that each parent was running, where an earlier event of this file says it; remembers each new one."""
    parents = []
    nothing: Program = (None, None, None, 0)
    for offset, length, pid, ppid, image, line in frame.select(
        "offset", "length", "pid", "ppid", "Image", "CommandLine"
    ).iter_rows():
        parents.append((nothing if ppid is None else programs.held.get(ppid, nothing))[:3])
        if pid is not None:
            programs.remember(pid, (image, line, f"{offset}+{length}", _weight((image, line))))
    names = ("ParentImage", "ParentCommandLine", "parent_record")
    return pl.DataFrame(parents, schema=dict.fromkeys(names, pl.String), orient="row")


def _derived(found: pl.DataFrame, programs: Programs) -> pl.DataFrame:
    """The events of processes, each with its parent's program."""
    line = pl.when(pl.col("type") == "EXECVE").then("command_line").otherwise("PROCTITLE.command_line")
    image, pid, ppid = pl.col("SYSCALL.exe"), pl.col("SYSCALL.pid"), pl.col("SYSCALL.ppid")
    frame = found.select(
        "row",
        "offset",
        "length",
        "t_recorded",
        "host",
        "serial",
        *[pl.col(f"SYSCALL.{name}").alias(name) for name in _FROM_CALL],
        ordinal=pl.lit(1, dtype=pl.Int64),
        t_basis=pl.lit(TimeBasis.UTC.value),
        kind=pl.lit(EventKind.PROCESS_CREATE.value),
        provider=pl.lit("auditd"),
        outcome=pl.col("SYSCALL.outcome"),
        user=pl.col("SYSCALL.user"),
        pid=pid,
        process=pl.col("SYSCALL.comm"),
        command_line=line,
        file_path=image,
        records=_cited(found),
        cwd=pl.col("CWD.cwd"),
        Image=image,
        CommandLine=line,
        CurrentDirectory=pl.col("CWD.cwd"),
        **{own_column("User"): pl.col("SYSCALL.user")},
        ProcessId=pid,
        ParentProcessId=ppid,
    )
    return frame.hstack(_parents(frame, programs))


def joined_rows(near: Near, programs: Programs) -> Cut:
    """The events of the lines of ``near`` that are its own, and those derived from them; ``programs``: what the file has named so far."""
    cut = audit_shape(near.lines)
    rows = np.flatnonzero(cut.fits)
    events = pl.DataFrame({**cut.columns, "row": rows, "offset": near.offset[rows], "length": near.length[rows]})
    found = _joined(_slim(events), near.low, near.high) if events.height else events
    mine = events.filter(pl.col("row").is_between(near.low, near.high, closed="left"))
    if found.height:
        extra = _derived(found, programs)
        extra = extra.drop([c for c, n in zip(extra.columns, extra.null_count().row(0)) if n == len(extra)])
        mine = pl.concat([mine.with_columns(pl.lit(0, dtype=pl.Int64).alias("ordinal")), extra], how="diagonal_relaxed")
        mine = mine[mine.select(pl.arg_sort_by("row", "ordinal")).to_series()]
    line = mine["row"].to_numpy() - near.low
    ordinal = mine["ordinal"].to_numpy() if found.height else np.zeros(len(line), dtype=np.int64)
    columns = {name: mine[name] for name in mine.columns if name not in ("row", "offset", "length", "ordinal")}
    return Cut(cut.fits[near.low : near.high], columns, line, ordinal)
