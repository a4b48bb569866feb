# SPDX-License-Identifier: Apache-2.0
"""Processes joined from audit records by the compiled scanner; :mod:`headwater.examine.audit_join` says what, and is the other way."""

from __future__ import annotations

import functools
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headwater.examine.audit_columns import COUNTED, FIXED, Columns
from headwater.examine.audit_fields import EXEC_CALLS
from headwater.examine.audit_join import EXECUTED
from headwater.examine.line_near import Near
from headwater.examine.line_views import Ints
from headwater.formats import compiled
from headwater.model.records import own_column

if TYPE_CHECKING:
    from headwater.examine.audit_quick import Rows

_ANCHOR, _CALL, _FOLDER, _TITLE = range(4)  # the partners of an event, as audit_join.c gives them
# what an event has of its call by the names of keys
FROM_CALL = ("auid", "uid", "euid", "gid", "ppid", "ses", "tty", "exe", "comm", "key", "AUID", "EUID")


@dataclass(frozen=True, slots=True)
class Derived:
    """Where each row moved, how many events were put behind it, and the row of each event's call (-1: none)."""

    moved: Ints
    extra: NDArray[np.int64]
    call: NDArray[np.int32]


@functools.cache
def _calls() -> NDArray[np.uint64]:
    pairs = [(int.from_bytes(arch.encode(), "little"), n) for arch, both in EXEC_CALLS.items() for n in both]
    return np.array(pairs, dtype=np.uint64)


class _Programs:
    """The last program of each process number, in C, until the file is read."""

    def __init__(self, library: Any) -> None:
        self.at = library.hw_programs_new()
        if not self.at:
            raise MemoryError("no room to remember programs")
        self._end = weakref.finalize(self, library.hw_programs_free, self.at)


def _pairs(columns: Columns) -> NDArray[np.int32]:
    """Which columns a derived event's values come from: (from, into, partner)."""

    def fixed(name: str) -> int:
        return FIXED.index(name)

    pairs = [(fixed("host"), fixed("host"), _ANCHOR)]
    for key in FROM_CALL:
        number = columns.of_key(key)
        if number >= 0:
            pairs.append((number, number, _CALL))
    exe, comm, cwd = (columns.of_key(key) for key in ("exe", "comm", "cwd"))
    pid, ppid = columns.of_key("pid"), columns.of_key("ppid")
    numbers = {name: columns.texts + k for k, name in enumerate(COUNTED)}
    pairs += [
        *((exe, fixed(name), _CALL) for name in ("Image", "file_path") if exe >= 0),
        *((comm, fixed(name), _CALL) for name in ("process",) if comm >= 0),
        *((cwd, n, _FOLDER) for n in (cwd, fixed("CurrentDirectory")) if cwd >= 0),
        *((fixed("user"), fixed(name), _CALL) for name in ("user", own_column("User"))),
        *((pid, n, _CALL) for n in (pid, numbers["ProcessId"]) if pid >= 0),
        *((ppid, n, _CALL) for n in (numbers["ParentProcessId"],) if ppid >= 0),
    ]
    return np.array(pairs, dtype=np.int32)


def _copy(library: Any, rows: int, columns: Columns, moved: Ints, partners: Any, pairs: Any) -> None:
    at = compiled.at
    places = np.array(columns.places(), dtype=np.uint64)
    compiled.checked(
        library.hw_audit_copy(
            at(places), rows, columns.stride, at(moved), at(partners), len(partners), at(pairs), len(pairs)
        )
    )


def derive(
    library: Any, near: Near, rows: Rows, columns: Columns, part: NDArray[np.uint8], memory: dict[str, Any]
) -> Derived:
    """Finds the processes of the lines from ``low`` to ``high``, moves the rows to where they leave just room for these, and fills in
    what is known of each."""
    count, at = len(rows.line), compiled.at
    offset, length = near.offset[rows.line], near.length[rows.line]
    slots = 1 << (2 * count + 1).bit_length()
    links, partners = np.empty((2, count), dtype=np.int32), np.empty((columns.stride - count, 4), dtype=np.int32)
    table = np.zeros(slots, dtype=np.int32)
    given = (rows.ns, rows.serial, rows.line, offset, length, part, columns.outcome, _calls(), links[0], links[1])
    join = np.array([*columns.places(), *(at(a) for a in (*given, table, rows.stand, partners))], dtype=np.uint64)
    arch, number = columns.of_key("arch"), columns.of_key("syscall")
    found = compiled.checked(
        library.hw_audit_join(at(join), count, columns.stride, slots, near.low, near.high, arch, number)
    )
    partners = partners[:found]
    extra = np.zeros(count, dtype=np.int64)
    extra[partners[:, 0]] = 1
    moved = np.arange(count) + np.cumsum(extra) - extra
    if not (moved == rows.stand).all():  # a command without a process, or a call that is one by itself
        target = np.arange(int(rows.stand[-1]) + 1)
        target[rows.stand] = moved
        places = np.array(columns.places(), dtype=np.uint64)
        compiled.checked(library.hw_audit_move(at(places), len(target), columns.stride, at(target)))
    if not found:
        return Derived(moved, extra, partners[:, 1])
    _copy(library, count, columns, moved, partners, _pairs(columns))
    _lines(library, rows, columns, moved, partners, part)
    _name(library, columns, count, moved, offset, length, partners, memory)
    return Derived(moved, extra, np.ascontiguousarray(partners[:, 1]))


def _lines(library: Any, rows: Rows, columns: Columns, moved: Ints, partners: Any, part: NDArray[np.uint8]) -> None:
    """Command lines: those of the records of arguments, else of the title."""
    command = FIXED.index("command_line")
    into = [command, FIXED.index("CommandLine")]
    executed = part[partners[:, 0]] == EXECUTED
    for which, some in ((_ANCHOR, partners[executed]), (_TITLE, partners[~executed])):
        if len(some):
            pairs = np.array([(command, n, which) for n in into], dtype=np.int32)
            _copy(library, len(rows.line), columns, moved, np.ascontiguousarray(some), pairs)


def _name(
    library: Any,
    columns: Columns,
    rows: int,
    moved: Ints,
    offset: Ints,
    length: Ints,
    partners: Any,
    memory: dict[str, Any],
) -> None:
    """The records that each event was joined from, and the program of its parent."""
    at = compiled.at
    programs = memory.get("programs")
    if programs is None:
        programs = memory["programs"] = _Programs(library)
    texts = columns.buffers[:3]
    named = np.array(
        [*columns.places(), *map(at, texts), *map(len, texts), *map(at, (moved, offset, length, partners))],
        dtype=np.uint64,
    )
    size = library.hw_programs_name(programs.at, at(named), rows, columns.stride, len(partners))
    columns.name(library, programs.at, compiled.checked(size))
