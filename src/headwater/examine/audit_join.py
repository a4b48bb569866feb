# SPDX-License-Identifier: Apache-2.0
"""Processes that were created, joined from the audit records of one serial: a second, derived set of events.

A derived event stands on the bytes of its EXECVE line (of its SYSCALL line where there is none) as ordinal 1 and cites all
its records in ``records``: "offset+length,…". Its partners are, for each type, the nearest record of the same time and
serial within :data:`WINDOW` events; so what is joined depends on the file alone and not on how it was cut into blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from headwater.examine.audit_fields import EXEC_CALLS
from headwater.examine.batch import HEAD_SCHEMA, Batch
from headwater.model.kinds import EventKind, Outcome, TimeBasis
from headwater.model.records import own_column

WINDOW = 256  # events; the records of one serial stand within a few lines of each other
_PROCESSES = 65_536  # how many pids are remembered for naming parents
_SLIM = (
    *("row", "offset", "length", "t_recorded", "serial", "type", "host", "user", "outcome", "pid", "command_line"),
    *("auid", "uid", "euid", "gid", "ppid", "ses", "tty", "exe", "comm", "cwd", "key", "arch", "syscall_number"),
    *("auid_name", "uid_name", "euid_name"),
)
_FROM_CALL = ("auid", "uid", "euid", "gid", "ppid", "ses", "tty", "exe", "comm", "key", "auid_name", "euid_name")


# program, command line, and the place of the event that said so
_Program = tuple[str | None, str | None, str | None]


@dataclass(slots=True)
class _Join:
    """What is remembered from block to block: rows near the end, and the last program of each pid."""

    tail: pl.DataFrame | None = None
    rows: int = 0
    programs: dict[int, _Program] = field(default_factory=dict)


def _slim(events: pl.DataFrame, first: int) -> pl.DataFrame:
    """The rows that a join can need, numbered from ``first`` on among all events of the file."""
    frame = events.with_columns(pl.int_range(first, first + events.height, dtype=pl.Int64).alias("row"))
    frame = frame.select([pl.col(c) if c in frame.columns else pl.lit(None).alias(c) for c in _SLIM])
    return frame.filter(pl.col("type").is_in(["SYSCALL", "EXECVE", "CWD", "PROCTITLE"]))


def _executes() -> pl.Expr:
    calls = pl.lit(False)
    for arch, numbers in EXEC_CALLS.items():
        calls |= (pl.col("arch") == arch) & pl.col("syscall_number").is_in(numbers)
    return calls & (pl.col("outcome") == Outcome.SUCCESS.value)


def _nearest(anchors: pl.DataFrame, near: pl.DataFrame, kind: str, columns: Iterable[str]) -> pl.DataFrame:
    """For each anchor the nearest record of a type with its time and serial, its columns under ``kind.``."""
    names = ["row", "offset", "length", *columns]
    right = near.filter(pl.col("type") == kind).select(
        "t_recorded", "serial", pl.col("row").alias("at"), *[pl.col(c).alias(f"{kind}.{c}") for c in names]
    )
    return anchors.join_asof(
        right.sort("at"),
        left_on="row",
        right_on="at",
        by=["t_recorded", "serial"],
        strategy="nearest",
        tolerance=WINDOW - 1,
        check_sortedness=False,
    ).drop("at", strict=False)


def _anchors(near: pl.DataFrame, low: int, high: int) -> pl.DataFrame:
    """EXECVE rows, and calls of execve that succeeded and have none; rows ``low`` to ``high``."""
    here = pl.col("row").is_between(low, high, closed="left")
    lines = near.filter(here & (pl.col("type") == "EXECVE")).sort("row")
    calls = near.filter(here & (pl.col("type") == "SYSCALL") & _executes()).sort("row")
    alone = _nearest(calls, near, "EXECVE", []).filter(pl.col("EXECVE.row").is_null())
    return pl.concat([lines, alone.select(lines.columns)]).sort("row")


def _joined(near: pl.DataFrame, low: int, high: int) -> pl.DataFrame:
    found = _anchors(near, low, high)
    if found.is_empty():
        return found
    found = _nearest(found, near, "SYSCALL", ["pid", "user", "outcome", *_FROM_CALL])
    found = _nearest(found, near, "CWD", ["cwd"])
    found = _nearest(found, near, "PROCTITLE", ["command_line"])
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


def _parents(frame: pl.DataFrame, join: _Join) -> pl.DataFrame:
    """The program that each parent was running, where an earlier event of this file says it; remembers each new one."""
    programs = join.programs
    parents = []
    nothing: _Program = (None, None, None)
    for offset, length, pid, ppid, image, line in frame.select(
        "offset", "length", "pid", "ppid", "Image", "CommandLine"
    ).iter_rows():
        parents.append(nothing if ppid is None else programs.get(ppid, nothing))
        if pid is not None:
            programs.pop(pid, None)
            programs[pid] = (image, line, f"{offset}+{length}")
            if len(programs) > _PROCESSES:
                del programs[next(iter(programs))]
    names = ("ParentImage", "ParentCommandLine", "parent_record")
    return pl.DataFrame(parents, schema=dict.fromkeys(names, pl.String), orient="row")


def _derived(found: pl.DataFrame, join: _Join) -> pl.DataFrame:
    """The events of processes, each with its parent's program."""
    line = pl.when(pl.col("type") == "EXECVE").then("command_line").otherwise("PROCTITLE.command_line")
    image, pid, ppid = pl.col("SYSCALL.exe"), pl.col("SYSCALL.pid"), pl.col("SYSCALL.ppid")
    frame = found.select(
        "offset",
        "length",
        "t_recorded",
        "host",
        "serial",
        *[pl.col(f"SYSCALL.{name}").alias(name) for name in _FROM_CALL],
        ordinal=pl.lit(1, dtype=pl.Int64),
        t_basis=pl.lit(TimeBasis.UTC.value),
        t_kind=pl.lit("logged"),
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
    return frame.hstack(_parents(frame, join))


def _finished(batch: Batch, near: pl.DataFrame, low: int, join: _Join) -> Batch:
    """The batch with its derived events among its own, and without columns in which it says nothing."""
    events = batch.events
    silent = [
        c for c, n in zip(events.columns, events.null_count().row(0)) if n == len(events) and c not in HEAD_SCHEMA
    ]
    events = events.drop(silent)
    found = _joined(near, low, low + events.height)
    if found.height:
        extra = _derived(found, join)
        extra = extra.drop([c for c, n in zip(extra.columns, extra.null_count().row(0)) if n == len(extra)])
        events = pl.concat([events, extra], how="diagonal_relaxed")
        events = events[events.select(pl.arg_sort_by("offset", "ordinal")).to_series()]
    return replace(batch, events=events)


def with_processes(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The batches of a file's lines, with derived events added; holds back what a later line can still complete."""
    join = _Join()
    waiting: list[tuple[Batch, pl.DataFrame, int]] = []
    for batch in batches:
        waiting.append((batch, _slim(batch.events, join.rows), join.rows))
        join.rows += batch.events.height
        while waiting and join.rows - waiting[0][2] - waiting[0][0].events.height >= WINDOW:
            yield _next(waiting, join)
    while waiting:
        yield _next(waiting, join)


def _next(waiting: list[tuple[Batch, pl.DataFrame, int]], join: _Join) -> Batch:
    batch, _, low = waiting[0]
    frames = ([] if join.tail is None else [join.tail]) + [slim for _, slim, _ in waiting]
    near = pl.concat(frames, how="vertical_relaxed")
    done = _finished(batch, near, low, join)
    high = low + batch.events.height
    join.tail = near.filter(pl.col("row").is_between(high - WINDOW, high, closed="left"))
    waiting.pop(0)
    return done
