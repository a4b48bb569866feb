# SPDX-License-Identifier: Apache-2.0
"""The journal of ext3 and ext4 (jbd2), played back in memory: which blocks its committed transactions replace.

Layout and recovery: https://docs.kernel.org/filesystems/ext4/journal.html and the kernel's fs/jbd2/recovery.c for the
order of things: scan to the last whole transaction, collect revocations, then take each block's last copy that no
later transaction revoked. Big-endian. A checksum that does not fit ends the scan (descriptor, commit) or leaves the
block out (data), as in the kernel; both are told.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from headwater.formats.crc32c import crc32c, crc32c_blocks
from headwater.model.ports import ByteSource

MAGIC = 0xC03B3998
_DESCRIPTOR, _COMMIT, _SUPER_1, _SUPER_2, _REVOKE = 1, 2, 3, 4, 5
_INCOMPAT_64BIT, _INCOMPAT_CSUM_2, _INCOMPAT_CSUM_3, _INCOMPAT_FAST = 0x2, 0x8, 0x10, 0x20
_KNOWN = 0x3F
_ESCAPED, _SAME_UUID, _LAST = 1, 2, 8
_LANES = 2048
_HEADER = struct.Struct(">III")


class NotJournal(ValueError):
    """The bytes are no journal that can be played back, and why."""


@dataclass(slots=True)
class Replay:
    """What a journal says. ``blocks``: number of a block on the volume → (journal block, was escaped)."""

    blocks: dict[int, tuple[int, bool]] = field(default_factory=dict)
    transactions: int = 0
    first: int = 0
    last: int = 0
    revoked: int = 0
    faults: list[str] = field(default_factory=list)
    fast: range = range(
        0
    )  # the journal's blocks that hold fast commits, where there may be some after the last transaction
    expected: int = 0  # the transaction that such fast commits belong to
    committed: list[int] = field(default_factory=list)  # commit times, ns since 1970


@dataclass(frozen=True, slots=True)
class _Tag:
    block: int
    journal: int  # where in the journal the copy stands
    sequence: int
    escaped: bool
    checksum: int | None


@dataclass(frozen=True, slots=True)
class Copy:
    """A block of the volume as some transaction wrote it. ``place``: index of the journal's block that holds it."""

    sequence: int
    block: int
    place: int
    escaped: bool


@dataclass(slots=True)
class History:
    """All copies that still stand in a journal, by transaction, also of transactions long since on the disk.

    ``commits``: when each transaction was committed, ns since 1970. ``checked``: each copy has the checksum that its tag
    states; without checksums a copy is believed where no later record of the journal stands in its place.
    """

    copies: list[Copy] = field(default_factory=list)
    commits: dict[int, int] = field(default_factory=dict)
    checked: bool = False
    left_out: int = 0


class _Journal:
    def __init__(self, source: ByteSource, places: Sequence[int], block_size: int) -> None:
        """``places``: where each block of the journal begins on ``source``, in bytes."""
        self._source = source
        self._places = places
        self._size = block_size
        head = self.block(0)
        magic, kind, _ = _HEADER.unpack_from(head, 0)
        if magic != MAGIC or kind not in (_SUPER_1, _SUPER_2):
            raise NotJournal("its superblock is not one")
        size, length, self.first, self.sequence, self.start = struct.unpack_from(">IIIII", head, 12)
        self.incompat = struct.unpack_from(">I", head, 40)[0] if kind == _SUPER_2 else 0
        if size != block_size or self.incompat & ~_KNOWN:
            raise NotJournal("it has another block size, or features that are not known")
        self.end = min(length, len(places))
        self.lost = max(0, length - len(places))
        self.fast = 0
        if self.incompat & _INCOMPAT_FAST:
            self.fast = struct.unpack_from(">I", head, 0x54)[0] or 256
            self.end -= min(self.fast, self.end)
        if not 0 < self.first < self.end or (self.start and not self.first <= self.start < self.end):
            raise NotJournal("its bounds cannot be")
        self.checked = bool(self.incompat & (_INCOMPAT_CSUM_2 | _INCOMPAT_CSUM_3))
        self.seed = crc32c(0xFFFFFFFF, head[48:64]) if self.checked else 0

    def block(self, number: int) -> bytes:
        return self._source.pread(self._places[number], self._size).ljust(self._size, b"\0")

    def after(self, number: int, count: int = 1) -> int:
        number += count
        return number - (self.end - self.first) if number >= self.end else number

    def intact(self, data: bytes, at: int) -> bool:
        """Whether the checksum at ``at`` fits a descriptor, revocation or commit block."""
        if not self.checked:
            return True
        stated = int.from_bytes(data[at : at + 4], "big")
        return crc32c(self.seed, data[:at] + bytes(4) + data[at + 4 :]) == stated

    def tags(self, data: bytes, number: int, sequence: int) -> list[_Tag]:
        """The tags of a descriptor block; the copies follow it in the journal one by one."""
        three = bool(self.incompat & _INCOMPAT_CSUM_3)
        wide = bool(self.incompat & _INCOMPAT_64BIT)
        step = 16 if three else 8 + 4 * wide + 2 * bool(self.incompat & _INCOMPAT_CSUM_2)
        end = self._size - 4 * self.checked
        found: list[_Tag] = []
        at = 12
        while at + step <= end:
            if three:
                block, flags, high, check = struct.unpack_from(">IIII", data, at)
                checksum = check
            else:
                block, check, flags = struct.unpack_from(">IHH", data, at)
                high = struct.unpack_from(">I", data, at + 8)[0] if wide else 0
                checksum = check if self.incompat & _INCOMPAT_CSUM_2 else None
            number = self.after(number)
            if wide:
                block |= high << 32
            found.append(_Tag(block, number, sequence, bool(flags & _ESCAPED), checksum))
            at += step + (0 if flags & _SAME_UUID else 16)
            if flags & _LAST:
                break
        return found

    def revoked(self, data: bytes) -> list[int]:
        size = 8 if self.incompat & _INCOMPAT_64BIT else 4
        end = min(int.from_bytes(data[12:16], "big"), self._size - 4 * self.checked)
        return [int.from_bytes(data[at : at + size], "big") for at in range(16, end - size + 1, size)]

    def bad_copies(self, tags: list[_Tag]) -> set[int]:
        """Indexes of the tags whose copies do not have the checksum that the tag states."""
        bad: set[int] = set()
        for start in range(0, len(tags), _LANES):
            part = tags[start : start + _LANES]
            seeds = {n: crc32c(self.seed, n.to_bytes(4, "big")) for n in {t.sequence for t in part}}
            raw = b"".join(self.block(t.journal) for t in part)
            rows = np.frombuffer(raw, np.uint8).reshape(len(part), self._size)
            sums = crc32c_blocks(np.array([seeds[t.sequence] for t in part], np.uint32), rows)
            mask = 0xFFFFFFFF if self.incompat & _INCOMPAT_CSUM_3 else 0xFFFF
            for index, (tag, value) in enumerate(zip(part, (sums & np.uint32(mask)).tolist())):
                if tag.checksum is not None and value != tag.checksum:
                    bad.add(start + index)
        return bad


def replay(source: ByteSource, places: Sequence[int], block_size: int) -> Replay:
    """Play back a journal whose blocks begin at ``places`` (bytes on ``source``), in memory.

    Raises:
        NotJournal: there is nothing that could be played back.
    """
    if not places:
        raise NotJournal("it is empty")
    journal = _Journal(source, places, block_size)
    result = Replay(first=journal.sequence, last=journal.sequence)
    if not journal.start:
        return result
    if journal.lost:
        result.faults.append(
            f"its last {journal.lost} of {journal.lost + len(places)} blocks are not there, and what they held"
        )
    tags, revoked, end = _scan(journal, result)
    bad = journal.bad_copies(tags) if journal.checked else set()
    if bad:
        result.faults.append(f"{len(bad)} of {len(tags)} journalled blocks have a wrong checksum and were left out")
    for index, tag in enumerate(tags):
        if index in bad:
            continue
        if tag.block in revoked and _not_before(revoked[tag.block], tag.sequence):
            result.revoked += 1
            continue
        result.blocks[tag.block] = (tag.journal, tag.escaped)
    # the block between the ring and the fast commits is in neither (j_last and j_fc_first of the kernel)
    result.fast, result.expected = range(journal.end + 1, min(journal.end + journal.fast, len(places))), end
    return result


def _not_before(a: int, b: int) -> bool:
    """Whether sequence ``a`` is ``b`` or later; they wrap around at 32 bits."""
    return (a - b) & 0xFFFFFFFF < 0x80000000


def _scan(journal: _Journal, result: Replay) -> tuple[list[_Tag], dict[int, int], int]:
    """The tags of all whole transactions in order, the last revocation of each block, the sequence after the last."""
    tags: list[_Tag] = []
    revoked: dict[int, int] = {}
    open_tags: list[_Tag] = []
    open_revoked: list[int] = []
    number, sequence = journal.start, journal.sequence
    left = journal.end - journal.first
    while left > 0:
        data = journal.block(number)
        magic, kind, held = _HEADER.unpack_from(data, 0)
        if magic != MAGIC or held != sequence:
            break
        tail = len(data) - 4
        if kind == _DESCRIPTOR:
            if not journal.intact(data, tail):
                result.faults.append(f"transaction {sequence}: a descriptor has a wrong checksum; the scan ends there")
                break
            found = journal.tags(data, number, sequence)
            open_tags.extend(found)
            number = journal.after(number, len(found) % (journal.end - journal.first))
            left -= len(found)
        elif kind == _REVOKE:
            if journal.intact(data, tail):
                open_revoked.extend(journal.revoked(data))
            else:
                result.faults.append(f"transaction {sequence}: a revocation has a wrong checksum and was left out")
        elif kind == _COMMIT:
            if not journal.intact(data, 16):
                result.faults.append(f"transaction {sequence}: its commit has a wrong checksum; the scan ends there")
                break
            tags.extend(open_tags)
            revoked.update(dict.fromkeys(open_revoked, sequence))
            open_tags, open_revoked = [], []
            result.transactions += 1
            result.last = sequence
            seconds, nanos = struct.unpack_from(">QI", data, 48)
            if 0 < seconds < 1 << 33:
                result.committed.append(seconds * 1_000_000_000 + min(nanos, 999_999_999))
            sequence = (sequence + 1) & 0xFFFFFFFF
        else:
            break
        number = journal.after(number)
        left -= 1
    return tags, revoked, sequence


def history(source: ByteSource, places: Sequence[int], block_size: int) -> History:
    """Every copy of a block that the journal still holds, oldest transaction first, whatever was played back since.

    The journal is a ring: a descriptor may still stand whose copies were written over. Such copies are left out by their
    checksum, or, without checksums, from the first block on that is a record of another transaction.

    Raises:
        NotJournal: it is none.
    """
    if not places:
        raise NotJournal("it is empty")
    journal = _Journal(source, places, block_size)
    found = History(checked=journal.checked)
    tags: list[_Tag] = []
    heads: dict[int, int] = {}
    for number in range(journal.first, journal.end):
        data = journal.block(number)
        magic, kind, sequence = _HEADER.unpack_from(data, 0)
        if magic != MAGIC:
            continue
        heads[number] = sequence
        if kind == _COMMIT and journal.intact(data, 16):
            seconds, nanos = struct.unpack_from(">QI", data, 48)
            if 0 < seconds < 1 << 33:
                found.commits[sequence] = seconds * 1_000_000_000 + min(nanos, 999_999_999)
        elif kind == _DESCRIPTOR and journal.intact(data, len(data) - 4):
            tags.extend(journal.tags(data, number, sequence)[: journal.end - journal.first])
    bad = journal.bad_copies(tags) if journal.checked else {n for n, t in enumerate(tags) if t.journal in heads}
    found.left_out = len(bad)
    good = [t for n, t in enumerate(tags) if n not in bad]
    newest = max((t.sequence for t in good), default=0)
    good.sort(key=lambda t: ((t.sequence - newest - 1) & 0xFFFFFFFF, t.journal))
    found.copies = [Copy(t.sequence, t.block, t.journal, t.escaped) for t in good]
    return found
