# SPDX-License-Identifier: Apache-2.0
"""The whole of $MFT as columns: records, their standard information, every name and every data stream.

Attributes in extension records are given to the base record that the extension names, where the sequence numbers agree,
so that no attribute list is needed to read a table. Times stay FILETIMEs here (100 ns since 1601, UTC), in the order
created, modified, changed (the record), accessed. Layout: https://flatcap.github.io/linux-ntfs/ntfs/attributes/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headwater.formats.ntfs import FILETIME_1970
from headwater.formats.ntfs_names import names_at
from headwater.formats.ntfs_records import BROKEN, EMPTY, FREE, Attributes, Block, Ints, decode, take

STANDARD, ATTRIBUTE_LIST, FILE_NAME, DATA, REPARSE = 0x10, 0x20, 0x30, 0x80, 0xC0
TIMES = ("created", "modified", "changed", "accessed")
RECORDS_MOST = 16_000_000
_BLOCK = 8 << 20
_MASK = np.uint64((1 << 48) - 1)
_LAST = (1 << 63) // 100 - 1


@dataclass(frozen=True, slots=True)
class Names:
    """One row for each $FILE_NAME. ``owner``: the file's record; ``at``: the attribute's place in $MFT."""

    owner: Ints
    at: Ints
    parent: Ints
    parent_sequence: Ints
    times: Ints  # (rows, 4)
    flags: Ints
    space: Ints  # 0 POSIX, 1 Win32, 2 DOS, 3 both
    text: list[str]


@dataclass(frozen=True, slots=True)
class Streams:
    """One row for the first part of each $DATA. ``size`` in bytes as stated; ``text``: its name, empty for the file's own."""

    owner: Ints
    at: Ints
    size: Ints
    flags: Ints
    resident: NDArray[np.bool_]
    text: list[str]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns by record number, and the rows of names and streams in order of owner.

    ``times``: (records, 4) of $STANDARD_INFORMATION, 0 where there is none; ``reparse``: the tag, 0 for none.
    """

    size: int  # of one record, bytes
    state: NDArray[np.uint8]
    why: NDArray[np.uint8]
    cut: NDArray[np.bool_]
    lsn: Ints
    sequence: Ints
    links: Ints
    flags: Ints
    base: NDArray[np.uint64]
    standard: NDArray[np.bool_]
    times: Ints
    attributes: Ints
    security: Ints
    usn: Ints
    reparse: Ints
    names: Names
    streams: Streams

    @property
    def count(self) -> int:
        return len(self.state)


def nanoseconds(times: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Nanoseconds since 1970 of FILETIMEs, and which are recorded at all (not 0) and fit into int64."""
    good = (times != 0) & (times >= FILETIME_1970 - _LAST) & (times <= FILETIME_1970 + _LAST)
    return np.where(good, times - FILETIME_1970, 0) * 100, good


def record_size(head: bytes) -> int:
    """The size of the records of a $MFT, by the allocated size that its first FILE record states; 0 where none does."""
    for size in (1024, 4096, 512, 2048):
        for at in range(0, len(head) - 48, size):
            if head[at : at + 4] == b"FILE":
                stated = int.from_bytes(head[at + 28 : at + 32], "little")
                return stated if stated in (512, 1024, 2048, 4096) else 0
    return 0


def blocks(pread: Callable[[int, int], bytes], length: int, size: int) -> Iterator[Block]:
    """The records of ``length`` bytes of $MFT in blocks of some 8 MiB."""
    step = _BLOCK // size * size
    end = min(length // size, RECORDS_MOST) * size
    for at in range(0, end, step):
        raw = pread(at, min(step, end - at))
        if len(raw) < size:
            return
        yield decode(raw, size, at // size)


def read_table(pread: Callable[[int, int], bytes], length: int, size: int) -> Table:
    """Read all of $MFT: ``pread`` and ``length`` of its stream, ``size`` of one record, all in bytes."""
    parts = _Parts(size)
    for block in blocks(pread, length, size):
        parts.add(block)
    return parts.table()


class _Parts:
    """What the blocks gave so far; rows keep their holder until all records are known."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.heads: list[tuple[NDArray[np.generic], ...]] = []
        self.standard: list[tuple[Ints, ...]] = []
        self.names: list[tuple[Ints, ...]] = []
        self.streams: list[tuple[Ints, ...]] = []
        self.reparse: list[tuple[Ints, Ints]] = []
        self.name_texts: list[str] = []
        self.stream_texts: list[str] = []

    def add(self, block: Block) -> None:
        """Take in one block, in order."""
        self.heads.append(
            (block.state, block.why, block.cut, block.lsn, block.sequence, block.links, block.flags, block.base)
        )
        of = block.attributes
        self._standard(block, of, np.flatnonzero((of.type == STANDARD) & of.resident & (of.size >= 36)))
        self._names(block, of, np.flatnonzero((of.type == FILE_NAME) & of.resident & (of.size >= 66)))
        self._streams(block, of, np.flatnonzero((of.type == DATA) & (of.lowest == 0)))
        chosen = np.flatnonzero((of.type == REPARSE) & of.resident & (of.size >= 8))
        self.reparse.append((of.row[chosen] + block.first, take(block.data, of.content[chosen], 4)))

    def _standard(self, block: Block, of: Attributes, chosen: Ints) -> None:
        at = of.content[chosen]
        times = np.stack([take(block.data, at + 8 * n, 8) for n in range(4)], axis=1)
        flags = take(block.data, at + 32, 4)
        long = of.size[chosen] >= 72
        security, usn = np.zeros(len(at), np.int64), np.zeros(len(at), np.int64)
        security[long] = take(block.data, at[long] + 52, 4)
        usn[long] = take(block.data, at[long] + 64, 8)
        self.standard.append((of.row[chosen] + block.first, times, flags, security, usn))

    def _names(self, block: Block, of: Attributes, chosen: Ints) -> None:
        at = of.content[chosen]
        units = block.data[at + 64].astype(np.int64)
        fits = (66 + 2 * units <= of.size[chosen]) & (units > 0)
        chosen, at, units = chosen[fits], at[fits], units[fits]
        reference = take(block.data, at, 8).view(np.uint64)
        times = np.stack([take(block.data, at + 8 + 8 * n, 8) for n in range(4)], axis=1)
        self.name_texts += names_at(block.data.view("<u2"), (at + 66) // 2, units)
        self.names.append(
            (
                of.row[chosen] + block.first, of.at[chosen] + block.first * block.size,
                (reference & _MASK).astype(np.int64), (reference >> np.uint64(48)).astype(np.int64), times,
                take(block.data, at + 56, 4), block.data[at + 65].astype(np.int64),
            )
        )  # fmt: skip

    def _streams(self, block: Block, of: Attributes, chosen: Ints) -> None:
        texts = [""] * len(chosen)
        named = np.flatnonzero(of.name_length[chosen] > 0)
        which = chosen[named]
        held = names_at(block.data.view("<u2"), of.name_at[which] // 2, of.name_length[which])
        for index, text in zip(named.tolist(), held, strict=True):
            texts[index] = text
        self.stream_texts += texts
        self.streams.append(
            (
                of.row[chosen] + block.first, of.at[chosen] + block.first * block.size, of.size[chosen],
                of.flags[chosen], of.resident[chosen].astype(np.int64),
            )
        )  # fmt: skip

    def table(self) -> Table:
        """The columns of all blocks, extension records resolved."""
        if not self.heads:
            self.add(decode(b"", self.size, 0))
        state, why, cut, lsn, sequence, links, flags, base = (np.concatenate(p) for p in zip(*self.heads, strict=True))
        count = len(state)
        owner = owners(state, sequence, base)
        standard = np.zeros(count, np.bool_)
        times, attributes = np.zeros((count, 4), np.int64), np.zeros(count, np.int64)
        security, usn, tags = np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
        rows, held, words, ids, numbers = (np.concatenate(p) for p in zip(*self.standard, strict=True))
        rows = owner[rows]
        for column, values in ((times, held), (attributes, words), (security, ids), (usn, numbers)):
            column[rows[::-1]] = values[::-1]  # the first counts where a record has several
        standard[rows] = True
        places, found = (np.concatenate(p) for p in zip(*self.reparse, strict=True))
        tags[owner[places]] = found
        return Table(
            self.size, state, why, cut, lsn, sequence, links, flags, base, standard, times, attributes, security, usn,
            tags, self._all_names(owner), self._all_streams(owner),
        )  # fmt: skip

    def _all_names(self, owner: Ints) -> Names:
        holder, at, parent, sequence, times, flags, space = (np.concatenate(p) for p in zip(*self.names, strict=True))
        owned = owner[holder]
        order = np.argsort(owned, kind="stable")
        texts = self.name_texts
        if (order[1:] < order[:-1]).any():
            texts = [texts[i] for i in order.tolist()]
        return Names(
            owned[order], at[order], parent[order], sequence[order], times[order], flags[order], space[order], texts
        )

    def _all_streams(self, owner: Ints) -> Streams:
        holder, at, size, flags, resident = (np.concatenate(p) for p in zip(*self.streams, strict=True))
        owned = owner[holder]
        order = np.argsort(owned, kind="stable")
        texts = [self.stream_texts[i] for i in order.tolist()]
        return Streams(owned[order], at[order], size[order], flags[order], resident[order] != 0, texts)


def owners(state: NDArray[np.uint8], sequence: Ints, base: NDArray[np.uint64]) -> Ints:
    """The record that each record's attributes belong to: its base where it is an extension of one that fits, else itself.

    Freeing a record raises its sequence number by one, so a deleted file's base may be one ahead of the reference.
    """
    numbers = np.arange(len(state), dtype=np.int64)
    target = (base & _MASK).astype(np.int64)
    wanted = (base >> np.uint64(48)).astype(np.int64)
    extension = np.flatnonzero((base != 0) & (target < len(state)) & (state != EMPTY) & (state != BROKEN))
    if len(extension):
        to = target[extension]
        now = sequence[to]
        fits = (now == wanted[extension]) | (
            (state[to] == FREE) & (state[extension] == FREE) & (now == wanted[extension] + 1)
        )
        fits &= (base[to] == 0) & (state[to] != BROKEN) & (state[to] != EMPTY)
        numbers[extension[fits]] = to[fits]
    return numbers
