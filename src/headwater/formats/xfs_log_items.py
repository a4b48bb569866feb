# SPDX-License-Identifier: Apache-2.0
"""Plays committed transactions of an XFS log back in memory, item by item, as the kernel would on the next mount.

Items and their order: the kernel's fs/xfs/xfs_buf_item_recover.c, xfs_inode_item_recover.c, xfs_icreate_item.c and
``xlog_recover_reorder_trans``. A buffer or inode whose own sequence number on the volume is not older than the
transaction is left as it is; buffers that were cancelled later are not played back. Intents that were not finished
are given back for :mod:`headwater.formats.xfs_finish`. Checksums of changed blocks are not made anew, for nothing here
reads them. Quota is left out.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from headwater.formats.xfs_finish import INTENTS
from headwater.formats.xfs_layout import XfsSuper
from headwater.formats.xfs_log import Item, NotLog, Transaction
from headwater.model.ports import ByteSource

_INODE, _BUF, _CREATE = 0x123B, 0x123C, 0x123F
_DONE = {kind + 1: kind for kind in INTENTS}
_INODE_BUF, _CANCEL, _QUOTA = 1, 2, 0x1C
_DATA, _EXTENTS, _ROOT = 0x2, 0x4, 0x8
_ATTRIBUTE_DATA, _ATTRIBUTE_EXTENTS, _ATTRIBUTE_ROOT = 0x40, 0x80, 0x100
_SECTOR, _CHUNK = 512, 128
_MOST_BLOCKS_BYTES = 256 << 20
_LOOKS_MOST = 20_000_000
# magic of a block of version 5: (offset of its sequence number, offset of the file system's UUID)
_LSN: dict[bytes, tuple[int, int]] = {
    **dict.fromkeys((b"AB3B", b"AB3C", b"IAB3", b"FIB3", b"RMB3", b"R3FC"), (24, 32)),
    **dict.fromkeys((b"BMA3",), (32, 40)),
    b"XAGF": (208, 64), b"XAFL": (24, 8), b"XAGI": (320, 296), b"XFSB": (240, 32),
    b"XSLM": (48, 16), b"XARM": (48, 16), b"XDB3": (16, 24), b"XDD3": (16, 24), b"XDF3": (16, 24),
}  # fmt: skip
_LSN_TREE = (b"\x3d\xf1", b"\x3d\xff", b"\x3e\xbe", b"\x3b\xee")
_CORE = struct.Struct("<HHbbHIIIHHQ3QqQIIHBbIHHIIIQQQI12sQQ16s")
_CORE_DISK = struct.Struct(">" + _CORE.format[1:])
_CORE_OLD = 96


@dataclass(slots=True)
class Played:
    """``blocks``: number of a block → its content after playback; ``inodes``: number → where its log copy stands."""

    blocks: dict[int, bytearray] = field(default_factory=dict)
    inodes: dict[int, int] = field(default_factory=dict)
    transactions: int = 0
    first: int = 0
    last: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    intents: list[tuple[int, bytes]] = field(
        default_factory=list
    )  # (kind, item) of what was begun and not ended, in order
    faults: list[str] = field(default_factory=list)


class _Player:
    def __init__(self, source: ByteSource, head: XfsSuper, uuids: Sequence[bytes]) -> None:
        self._source, self._head, self._uuids = source, head, uuids
        self.result = Played()
        self.cancelled: Counter[tuple[int, int]] = Counter()
        self._intents: dict[tuple[int, int], bytes] = {}
        self._budget = _MOST_BLOCKS_BYTES
        self._spans: list[tuple[int, int]] | None = None  # what is cancelled somewhere, in sectors, once all is counted
        self._reach: list[int] = []
        self._looks = 0

    def read(self, offset: int, length: int) -> bytes:
        size = self._head.block_size
        return b"".join(
            bytes(self._block(at // size)[max(offset, at) - at : min(offset + length, at + size) - at])
            for at in range(offset // size * size, offset + length, size)
        )

    def write(self, offset: int, data: bytes) -> None:
        size = self._head.block_size
        end = offset + len(data)
        for at in range(offset // size * size, end, size):
            block = self._block(at // size, keep=True)
            low, high = max(offset, at), min(end, at + size)
            block[low - at : high - at] = data[low - offset : high - offset]

    def _block(self, number: int, keep: bool = False) -> bytearray:
        held = self.result.blocks.get(number)
        if held is None:
            size = self._head.block_size
            held = bytearray(self._source.pread(number * size, size).ljust(size, b"\0"))
            if keep:
                self._budget -= size
                if self._budget < 0:
                    raise NotLog(f"it changes more than {_MOST_BLOCKS_BYTES >> 20} MiB")
                self.result.blocks[number] = held
        return held

    def fits(self, offset: int, length: int) -> bool:
        return offset >= 0 and 0 < length <= 1 << 20 and offset + length <= self._head.blocks * self._head.block_size

    def play(self, found: Transaction) -> None:
        """One transaction, its items in the order of recovery."""
        if not found.whole:
            self.result.faults.append("a transaction without a head was left out")
            return
        ranked = sorted(found.items, key=_rank)
        for item in ranked:
            kind = _word(item, 0)
            if len(item) < _word(item, 2):
                self.result.faults.append("an item that is not whole was left out")
            elif kind == _BUF:
                self._buffer(item, found.lsn)
            elif kind == _INODE:
                self._inode(item, found.lsn)
            elif kind == _CREATE:
                self._create(item)
            elif kind in INTENTS or kind in _DONE:
                self._intent(kind, item)
            else:
                self.result.skipped[f"type {kind:#x}"] += 1
        self.result.transactions += 1
        self.result.first = self.result.first or found.lsn
        self.result.last = found.lsn

    def _buffer(self, item: Item, lsn: int) -> None:
        raw = item[0].data
        if len(raw) < 20:
            return
        flags, length, block, words = struct.unpack_from("<HHqI", raw, 4)
        if flags & _CANCEL:
            if self.cancelled[block, length] > 0:
                self.cancelled[block, length] -= 1
            return
        if self.cancelled[block, length] > 0 or flags & (_QUOTA | _INODE_BUF):
            return  # an inode buffer carries nothing but the chain of unlinked inodes
        offset, size = block * _SECTOR, length * _SECTOR
        if not self.fits(offset, size) or len(raw) < 20 + words * 4 or words * 32 * _CHUNK > 1 << 21:
            self.result.faults.append("a buffer that cannot be was left out")
            return
        if self._newer(self.read(offset, min(size, _SECTOR)), lsn):
            self.result.skipped["newer on the volume"] += 1
            return
        regions = iter(item[1:])
        for first, count in chunks_of(raw[20 : 20 + words * 4]):
            done = 0
            while done < count:  # a long run may have been cut into several regions
                region = next(regions, None)
                if region is None:
                    return
                take = min((count - done) * _CHUNK, len(region.data), size - (first + done) * _CHUNK)
                if take <= 0:
                    return
                self.write(offset + (first + done) * _CHUNK, region.data[:take])
                done += max(1, take // _CHUNK)

    def _newer(self, block: bytes, lsn: int) -> bool:
        """Whether the block on the volume already has what the transaction did (version 5)."""
        if self._head.version != 5:
            return False
        place = _LSN.get(block[:4])
        if place is None and block[8:10] in _LSN_TREE:
            place = (24, 32)
        if place is None or block[place[1] : place[1] + 16] not in self._uuids:
            return False
        held = int.from_bytes(block[place[0] : place[0] + 8], "big")
        return held not in (0, (1 << 64) - 1) and held >= lsn

    def _inode(self, item: Item, lsn: int) -> None:
        raw = item[0].data
        if len(raw) < 52 or len(item) < 2:
            return
        wide = len(raw) >= 56
        fields = struct.unpack_from("<I", raw, 4)[0]
        number, block, length = (
            (*struct.unpack_from("<Q", raw, 16), *struct.unpack_from("<qi", raw, 40))
            if wide
            else (*struct.unpack_from("<Q", raw, 12), *struct.unpack_from("<qi", raw, 36))
        )
        place = self._head.inode_place(number)
        size = self._head.inode_size
        if self.cancelled[block, length] > 0:
            return
        core = item[1].data
        if place < 0 or not self.fits(place, size) or len(core) < _CORE_OLD or core[:2] != b"NI":
            self.result.faults.append("an inode that cannot be was left out")
            return
        old = self.read(place, size)
        held = int.from_bytes(old[112:120], "big")
        if core[4] >= 3 and old[:2] == b"IN" and old[4] >= 3 and held not in (0, (1 << 64) - 1) and held >= lsn:
            self.result.skipped["newer on the volume"] += 1
            return
        made = bytearray(old)
        made[: len(core[:176])] = core_to_disk(core[:176], lsn)
        forks = item[2:]
        start = 176 if core[4] >= 3 else 100
        fork = start + core[82] * 8 if core[82] else size
        if fields & (_DATA | _EXTENTS | _ROOT) and forks:
            _fork(made, start, fork, forks[0].data, bool(fields & _ROOT), self._head.version)
            forks = forks[1:]
        if fields & (_ATTRIBUTE_DATA | _ATTRIBUTE_EXTENTS | _ATTRIBUTE_ROOT) and forks:
            _fork(made, fork, size, forks[0].data, bool(fields & _ATTRIBUTE_ROOT), self._head.version)
        if fields & 0x10 and wide:  # the number of a device, in the disk's own order
            made[start : start + 4] = raw[24:28][::-1]
        self.write(place, bytes(made))
        self.result.inodes[number] = item[1].place

    def _create(self, item: Item) -> None:
        """Inodes that were made all at once: empty records."""
        raw = item[0].data
        if len(raw) < 28:
            return
        group, block, count, size, length, generation = struct.unpack_from(">6I", raw, 4)
        head = self._head
        start = (group * head.ag_blocks + block) * head.block_size
        if size != head.inode_size or count * size != length * head.block_size or not self.fits(start, count * size):
            self.result.faults.append("a chunk of new inodes that cannot be was left out")
            return
        if self._cancels(start // _SECTOR):
            return
        first = ((group << head.ag_block_bits) + block) << head.inode_bits
        records = bytearray(count * size)
        for index in range(count):
            at = index * size
            records[at : at + 6] = b"IN\0\0" + bytes((3 if head.version == 5 else 2, 0))
            struct.pack_into(">II", records, at + 92, generation, 0xFFFFFFFF)
            if head.version == 5:
                struct.pack_into(">Q", records, at + 152, first + index)
                records[at + 160 : at + 176] = self._uuids[0]
            self.result.inodes[first + index] = -1
        self.write(start, bytes(records))

    def _cancels(self, sector: int) -> bool:
        """Whether a buffer that holds this sector is still to be cancelled.

        Raises:
            NotLog: so many that were cancelled lie over one another that looking through them has no end.
        """
        if self._spans is None:
            self._spans = sorted((at, at + n) for at, n in self.cancelled)
            self._reach = list(accumulate((end for _, end in self._spans), max))
        index = bisect_right(self._spans, (sector, 1 << 64)) - 1
        while index >= 0 and self._reach[index] > sector:  # none before reaches so far
            begin, end = self._spans[index]
            if end > sector and self.cancelled[begin, end - begin] > 0:
                return True
            index -= 1
            self._looks += 1
            if self._looks > _LOOKS_MOST:
                raise NotLog("too many cancelled buffers lie over one another")
        return False

    def _intent(self, kind: int, item: Item) -> None:
        """Notes an intent, or takes it off when it was done; both name it by a number at the same place."""
        raw = item[0].data
        if len(raw) < 16:
            return
        name = struct.unpack_from("<Q", raw, 8)[0]
        if kind in INTENTS:
            self._intents.pop((kind, name), None)  # a number is given out again once its intent has ended
            self._intents[kind, name] = raw
        else:
            self._intents.pop((_DONE[kind], name), None)

    def finish(self) -> Played:
        self.result.intents = [(kind, raw) for (kind, _), raw in self._intents.items()]
        self.result.faults = list(dict.fromkeys(self.result.faults))
        return self.result


def _word(item: Item, at: int) -> int:
    return int.from_bytes(item[0].data[at : at + 2], "little")


def _rank(item: Item) -> int:
    """Buffers and new inodes first, then everything else, then inode buffers, then cancellations."""
    kind = _word(item, 0)
    flags = _word(item, 4) if kind == _BUF else 0
    if kind == _CREATE or (kind == _BUF and not flags & (_CANCEL | _INODE_BUF)):
        return 0
    if kind != _BUF:
        return 1
    return 3 if flags & _CANCEL else 2


def chunks_of(bitmap: bytes) -> Iterator[tuple[int, int]]:
    """(first, count) of the runs of set bits, words little-endian."""
    bits = int.from_bytes(bitmap, "little")
    at = 0
    while bits:
        low = (bits & -bits).bit_length() - 1
        bits >>= low
        at += low
        count = (~bits & (bits + 1)).bit_length() - 1
        yield at, count
        bits >>= count
        at += count


def core_to_disk(core: bytes, lsn: int) -> bytes:
    """An inode's core as the disk has it: every number the other way around, times as they are kept there."""
    full = core.ljust(176, b"\0")
    values = list(_CORE.unpack(full))
    big = core[4] >= 3 and bool(struct.unpack_from("<Q", full, 120)[0] & 8)
    if not big:  # two numbers of 32 bits, seconds first, not one of 64
        for index in (11, 12, 13, 32):
            values[index] = (values[index] & 0xFFFFFFFF) << 32 | values[index] >> 32
    if core[4] >= 3:
        values[28] = lsn
    else:
        values[10] = (values[10] >> 48) & 0xFFFF  # only the last two of these eight bytes are a number
    return _CORE_DISK.pack(*values)[: len(core)]


def _fork(made: bytearray, start: int, end: int, data: bytes, root: bool, version: int) -> None:
    """Lay a fork into an inode; the root of a tree loses the head that it has in memory."""
    room = max(0, min(end, len(made)) - start)
    if root:
        header = 72 if version == 5 else 24
        level, count = struct.unpack_from(">HH", data.ljust(8, b"\0"), 4)
        memory, disk = max(0, (len(data) - header) // 16), max(0, (room - 4) // 16)
        count = min(count, memory, disk)
        keys = data[header : header + 8 * count]
        pointers = data[header + 8 * memory : header + 8 * memory + 8 * count]
        data = struct.pack(">HH", level, count) + keys.ljust(8 * disk, b"\0") + pointers
    data = data[:room]
    made[start : start + len(data)] = data


def play(
    source: ByteSource, head: XfsSuper, uuids: Sequence[bytes], found: Callable[[], Iterator[Transaction]]
) -> Played:
    """Play transactions back: once over them for what was cancelled, once to apply them.

    Raises:
        NotLog: operations that do not fit, or more changes than are kept in memory.
    """
    player = _Player(source, head, uuids)
    for one in found():
        for item in one.items:
            raw = item[0].data
            if len(raw) >= 20 and _word(item, 0) == _BUF and _word(item, 4) & _CANCEL:
                _, length, block = struct.unpack_from("<HHq", raw, 4)
                player.cancelled[block, length] += 1
    for one in found():
        player.play(one)
    return player.finish()
