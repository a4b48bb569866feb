# SPDX-License-Identifier: Apache-2.0
"""The last program of each process number, in arrays: what :class:`headwater.examine.audit_join.Programs` holds, as long as none of it has
to be forgotten.

Texts stand in one array that is only ever added to; views into it stay good, and it is made anew where most of it is of programs that
nobody is any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headwater.examine import audit_join
from headwater.examine.audit_join import Programs
from headwater.examine.audit_values import Views, copied, halves, views_from
from headwater.examine.line_views import PADDING, Bytes, Flags, Ints

PIDS = 1 << 22  # pid_max of a 64-bit Linux is no more, include/linux/threads.h
_INLINE = 12
_ROOM = 1 << 16
_TEXTS = 3  # image, command line, place


def _nothing() -> Ints:
    return np.zeros(0, dtype=np.int64)


@dataclass(slots=True)
class Table:
    """For each process number that is known the slot of its program plus one; of each slot when it was named, and its texts."""

    slots: NDArray[np.int32] = field(default_factory=lambda: np.zeros(_ROOM, dtype=np.int32))
    pid: Ints = field(default_factory=_nothing)
    named: Ints = field(default_factory=_nothing)
    start: Ints = field(default_factory=lambda: np.zeros((_TEXTS, 0), dtype=np.int64))
    length: Ints = field(default_factory=lambda: np.zeros((_TEXTS, 0), dtype=np.int64))  # -1: none
    text: Bytes = field(default_factory=lambda: np.zeros(PADDING, dtype=np.uint8))
    used: int = 0
    count: int = 0  # how often programs were named

    @property
    def size(self) -> int:
        """Bytes of images and command lines."""
        return int(np.maximum(self.length[:2], 0).sum())

    def room(self, pids: Ints, size: int) -> bool:
        """Whether programs of so many bytes of different numbers make none forgotten."""
        if len(pids) and (int(pids.min()) < 0 or int(pids.max()) >= PIDS):
            return False
        new = int(np.count_nonzero(self.of(pids) < 0))
        return len(self.pid) + new <= audit_join.PROCESSES and self.size + size <= audit_join.REMEMBERED

    def of(self, pids: Ints) -> Ints:
        """The slots of numbers, -1 where nothing is known."""
        good = (pids >= 0) & (pids < len(self.slots))
        return np.where(good, self.slots[np.where(good, pids, 0)].astype(np.int64) - 1, -1)

    def views(self, which: int, slots: Ints, buffer: int) -> tuple[Flags, Views]:
        """Which slots have one of the texts, and views of those that do, in a buffer that :attr:`text` becomes."""
        there = self.length[which, slots] >= 0
        start, length = self.start[which, slots[there]], self.length[which, slots[there]]
        return there, views_from(self.text, start, start + length, buffer)

    def remember(self, pids: Ints, texts: list[tuple[Views, Flags]], buffers: list[Bytes]) -> None:
        """Takes programs of different numbers, in order; there is room. ``texts``: views of each, and which rows have one."""
        if len(pids) and int(pids.max()) >= len(self.slots):
            wide = np.zeros(1 << int(pids.max()).bit_length(), dtype=np.int32)
            wide[: len(self.slots)] = self.slots
            self.slots = wide
        new = pids[self.slots[pids] == 0]
        if len(new):
            self.slots[new] = np.arange(len(self.pid), len(self.pid) + len(new)) + 1
            self.pid = np.concatenate([self.pid, new])
            self.named = np.concatenate([self.named, np.zeros(len(new), dtype=np.int64)])
            self.start = np.concatenate([self.start, np.zeros((_TEXTS, len(new)), dtype=np.int64)], axis=1)
            self.length = np.concatenate([self.length, np.full((_TEXTS, len(new)), -1)], axis=1)
        slots = self.slots[pids].astype(np.int64) - 1
        self.named[slots] = self.count + np.arange(len(pids))
        self.count += len(pids)
        sizes = [np.where(there, halves(views)[:, 0].view(np.int64) & 0xFFFFFFFF, -1) for views, there in texts]
        self.length[:, slots] = sizes
        self._reserve(sum(int(np.maximum(size, 0).sum()) for size in sizes), slots)
        for which, ((views, _), size) in enumerate(zip(texts, sizes, strict=True)):
            whole = np.maximum(size, 0)
            end = self.used + np.cumsum(whole)
            self.start[which, slots] = end - whole
            _copied(self.text, end - whole, views, whole, buffers)
            self.used = int(end[-1]) if len(end) else self.used

    def _reserve(self, size: int, leaving: Ints) -> None:
        """Makes room for texts; where it has to be made, what nobody asks for any more is left behind (``leaving``: slots that are to
        get others)."""
        if self.used + size + PADDING <= len(self.text):
            return
        stays = np.ones(len(self.pid), dtype=np.bool_)
        stays[leaving] = False
        lengths = np.where(stays, np.maximum(self.length, 0), 0)
        held = int(lengths.sum())
        text = np.zeros(2 * (held + size) + _ROOM + PADDING, dtype=np.uint8)
        used = 0
        for which in range(_TEXTS):
            end = used + np.cumsum(lengths[which])
            start = end - lengths[which]
            copied(text, start, self.text, self.start[which], lengths[which])
            self.start[which] = start
            used += int(lengths[which].sum())
        self.text, self.used = text, used

    def programs(self) -> Programs:
        """The same, one by one."""
        made = Programs()
        for slot in np.argsort(self.named).tolist():
            texts = [
                None if n < 0 else self.text[at : at + n].tobytes().decode()
                for at, n in zip(self.start[:, slot].tolist(), self.length[:, slot].tolist())
            ]
            weight = int(np.maximum(self.length[:2, slot], 0).sum())
            made.remember(int(self.pid[slot]), (texts[0], texts[1], texts[2], weight))
        return made


def _copied(to: Bytes, at: Ints, views: Views, size: Ints, buffers: list[Bytes]) -> None:
    """Copies the texts of views to where ``at`` says; those of no bytes are left out."""
    inside = np.flatnonzero((size > 0) & (size <= _INLINE))
    copied(to, at[inside], views.view(np.uint8), 16 * inside + 4, size[inside])
    pairs = halves(views)[:, 1]
    buffer, place = pairs & np.uint64(0xFFFFFFFF), (pairs >> np.uint64(32)).view(np.int64)
    for number, data in enumerate(buffers):
        here = np.flatnonzero((size > _INLINE) & (buffer == np.uint64(number)))
        if len(here):
            copied(to, at[here], data, place[here], size[here])


def table_of(memory: dict[str, Any]) -> Table | None:
    """The table of a file; None where its programs are remembered one by one."""
    found = memory.setdefault("programs", Table())
    return found if isinstance(found, Table) else None


def programs_of(memory: dict[str, Any]) -> Programs:
    """The programs of a file one by one, from now on."""
    found = memory.get("programs")
    if not isinstance(found, Programs):
        found = memory["programs"] = found.programs() if isinstance(found, Table) else Programs()
    return found
