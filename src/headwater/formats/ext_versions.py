# SPDX-License-Identifier: Apache-2.0
"""When an ext volume was written, and what of its inodes its journal still tells: for the question whether it was touched.

The superblock says when the volume was made, mounted, written and checked; the journal when transactions were
committed, and, block for block, what stood in the inode tables after each. On a volume that was cleanly unmounted the
last copy of such a block and the block itself are the same: a difference was written past the kernel (debugfs, a hex
editor, or a file system check). Layouts: https://docs.kernel.org/filesystems/ext4/globals.html and …/inodes.html.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from headwater.formats.crc32c import crc32c, crc32c_blocks
from headwater.formats.ext_history import block_content
from headwater.formats.ext_inode import InodeTable, Row, decode_inodes
from headwater.formats.ext_layout import (
    INCOMPAT_CSUM_SEED,
    INCOMPAT_LARGEDIR,
    RO_METADATA_CSUM,
    SUPERBLOCK_AT,
    SUPERBLOCK_SIZE,
    Groups,
    Superblock,
)
from headwater.formats.jbd2 import Copy, History, history
from headwater.model.ports import ByteSource

VERSIONS_MOST = 20_000  # states of inodes handed out for one volume
DIFFERING_MOST = 5_000
SECOND = 1_000_000_000
# fields of the superblock that are times: name → (offset of the low 32 bits, of the high 8 bits where there are any)
_TIMES: dict[str, tuple[int, int | None]] = {
    "mounted": (44, 0x275), "written": (48, 0x274), "checked": (64, 0x277), "made": (264, 0x276),
    "first_error": (0x198, 0x278), "last_error": (0x1CC, 0x279),
}  # fmt: skip
_FIELDS = ("mode", "uid", "gid", "size", "links", "flags", "blocks", "modified", "changed", "created", "deleted")


@dataclass(frozen=True, slots=True)
class State:
    """What one transaction left of an inode that it changed; ``fields``: name → (before, after), where before is known."""

    inode: int
    sequence: int
    committed: int | None  # ns since 1970
    place: int  # of the record on the volume, in the journal
    fields: dict[str, tuple[int | None, int | None]]


@dataclass(frozen=True, slots=True)
class Differing:
    """An inode that is not what its last transaction left; ``fields``: name → (in the journal, on the volume)."""

    inode: int
    committed: int | None
    place: int
    in_journal: int
    fields: dict[str, tuple[int | None, int | None]]


@dataclass(slots=True)
class Told:
    """What the journal tells. ``commits``: (sequence, ns), oldest first; ``more``: what was left out over a limit."""

    commits: list[tuple[int, int]] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    differing: list[Differing] = field(default_factory=list)
    compared: int = 0  # blocks of inode tables that were held against the volume
    checked: bool = False
    more: int = 0


def superblock_times(source: ByteSource) -> tuple[dict[str, int], int]:
    """The superblock's own times (ns since 1970; those that are zero are left out) and how often it was mounted."""
    raw = source.pread(SUPERBLOCK_AT, SUPERBLOCK_SIZE).ljust(SUPERBLOCK_SIZE, b"\0")
    found = {}
    for name, (low, high) in _TIMES.items():
        seconds = int.from_bytes(raw[low : low + 4], "little") | (raw[high] << 32 if high is not None else 0)
        if seconds:
            found[name] = seconds * SECOND
    return found, int(struct.unpack_from("<H", raw, 52)[0])


def read_journal(
    source: ByteSource, places: Sequence[int], block: Superblock, groups: Groups, since: int, *, clean: bool
) -> Told:
    """What the journal tells of inodes: states that transactions committed after ``since`` (ns) left, and, where the
    volume is ``clean``, inodes that are not what their last transaction left.

    Raises:
        NotJournal: there is no journal that could be read.
    """
    found = history(source, places, block.block_size)
    told = Told(sorted(found.commits.items(), key=lambda c: c[1]), checked=found.checked)
    last: dict[int, tuple[Copy, bytes]] = {}  # block of an inode table → its newest copy so far
    for copy, group, part in _of_tables(found, block, groups):
        data = block_content(source, places, copy, block.block_size)
        committed = found.commits.get(copy.sequence)
        if committed is not None and committed > since:
            before = last[copy.block][1] if copy.block in last else None
            _states(told, block, copy, data, before, committed, places[copy.place], _first(block, group, part))
        last[copy.block] = (copy, data)
    if clean:
        for number in sorted(last):
            copy, data = last[number]
            told.compared += 1
            now = source.pread(number * block.block_size, block.block_size)
            if now != data:
                _differing(told, block, groups, copy, (data, now), found.commits.get(copy.sequence), places[copy.place])
    return told


def _of_tables(found: History, block: Superblock, groups: Groups) -> Iterator[tuple[Copy, int, int]]:
    """The copies of blocks of inode tables, each with its group and which block of the group's table it is."""
    per_table = -(-block.inodes_per_group * block.inode_size // block.block_size)
    order = np.argsort(groups.inode_table, kind="stable")
    ordered = np.asarray(groups.inode_table)[order]
    for copy in found.copies:
        index = int(np.searchsorted(ordered, copy.block, side="right")) - 1
        if index >= 0 and copy.block - int(ordered[index]) < per_table:
            yield copy, int(order[index]), copy.block - int(ordered[index])


def _first(block: Superblock, group: int, part: int) -> int:
    return group * block.inodes_per_group + part * (block.block_size // block.inode_size) + 1


def _rows(block: Superblock, data: bytes, first: int) -> dict[int, Row]:
    rows, _ = decode_inodes(data, block.inode_size, first, bool(block.incompat & INCOMPAT_LARGEDIR))
    return {row.number: row for row in rows}


def _changed(before: Row | None, after: Row | None) -> dict[str, tuple[int | None, int | None]]:
    """The fields that differ; the time of access is no change."""
    found = {}
    for name in _FIELDS:
        one = getattr(before, name) if before is not None else None
        two = getattr(after, name) if after is not None else None
        if one != two:
            found[name] = (one, two)
    return found


def _states(
    told: Told, block: Superblock, copy: Copy, data: bytes, before: bytes | None, committed: int, place: int, first: int
) -> None:
    if before == data:
        return
    earlier = _rows(block, before, first) if before is not None else {}
    for number, row in _rows(block, data, first).items():
        known = earlier.get(number)
        if before is not None:
            fields = _changed(known, row)
        else:  # what stood there before this transaction is no longer in the journal
            fields = {"changed": (None, row.changed)}
        if not fields or (before is None and (row.changed or 0) < committed - 60 * SECOND):
            continue  # a neighbour in the same block
        if len(told.states) >= VERSIONS_MOST:
            told.more += 1
            continue
        at = place + (number - first) * block.inode_size
        told.states.append(State(number, copy.sequence, committed, at, fields))


def _differing(
    told: Told,
    block: Superblock,
    groups: Groups,
    copy: Copy,
    both: tuple[bytes, bytes],
    committed: int | None,
    place: int,
) -> None:
    per_table = -(-block.inodes_per_group * block.inode_size // block.block_size)
    group = next(
        g for g, at in enumerate(groups.inode_table.tolist()) if 0 <= copy.block - at < per_table
    )  # fmt: skip
    first = _first(block, group, copy.block - int(groups.inode_table[group]))
    size = block.inode_size
    journalled, now = _rows(block, both[0], first), _rows(block, both[1], first)
    for index in range(block.block_size // size):
        if both[0][index * size : (index + 1) * size] == both[1][index * size : (index + 1) * size]:
            continue
        number = first + index
        fields = _changed(journalled.get(number), now.get(number))
        if not fields and _only_access(both[0], both[1], index * size):
            continue
        if len(told.differing) >= DIFFERING_MOST:
            told.more += 1
            continue
        at = copy.block * block.block_size + index * size
        told.differing.append(
            Differing(number, committed, at, place + index * size, fields or {"content": (None, None)})
        )


def _only_access(one: bytes, two: bytes, at: int) -> bool:
    """Whether two records differ in the time of access and their checksum alone."""

    def without(data: bytes) -> bytes:
        record = bytearray(data[at : at + 256])
        for low, high in ((8, 12), (124, 126), (130, 132), (140, 144)):
            record[low:high] = bytes(high - low)
        return bytes(record)

    return without(one) == without(two)


def wrong_checksums(source: ByteSource, block: Superblock, groups: Groups) -> list[tuple[int, int]] | None:
    """(inode, place) of the inodes in use whose checksum does not fit; None where the volume keeps none.

    The checksum runs over the file system's seed, the inode's number, its generation and the record with the checksum
    itself as zero.
    """
    if not block.ro_compat & RO_METADATA_CSUM:
        return None
    raw = source.pread(SUPERBLOCK_AT, SUPERBLOCK_SIZE)
    seed = (
        int.from_bytes(raw[0x270:0x274], "little")
        if block.incompat & INCOMPAT_CSUM_SEED
        else crc32c(0xFFFFFFFF, block.uuid)
    )
    table = InodeTable(source, block, groups)
    found: list[tuple[int, int]] = []
    for group, part in table.stretches():
        number, records = table.records(group, part)
        for wrong in _wrong(records, block.inode_size, number, seed):
            if len(found) < DIFFERING_MOST and table.in_use(wrong):
                found.append((wrong, table.place(wrong)))
    return found


def _wrong(records: bytes, size: int, first: int, seed: int) -> list[int]:
    """The numbers among consecutive records whose checksum does not fit; records never used hold none."""
    rows = np.frombuffer(records, np.uint8)[: len(records) // size * size].reshape(-1, size).copy()
    used = np.flatnonzero(rows.any(axis=1))
    if not len(used):
        return []
    rows = rows[used]
    stated = rows[:, 124:126].copy().view("<u2")[:, 0].astype(np.uint32)
    rows[:, 124:126] = 0
    wide = np.zeros(len(rows), np.bool_)
    if size > 128:
        wide = rows[:, 128:130].copy().view("<u2")[:, 0] >= 4
        high = rows[:, 130:132].copy().view("<u2")[:, 0].astype(np.uint32)
        stated |= np.where(wide, high << np.uint32(16), np.uint32(0))
        rows[wide, 130:132] = 0
    numbers = (used + first).astype("<u4").view(np.uint8).reshape(-1, 4)
    heads = np.concatenate((numbers, rows[:, 100:104]), axis=1)
    sums = crc32c_blocks(crc32c_blocks(seed, heads), rows)
    sums = np.where(wide, sums, sums & np.uint32(0xFFFF))
    return [int(n) for n in used[sums != stated] + first]
