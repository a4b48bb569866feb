# SPDX-License-Identifier: Apache-2.0
"""The log of XFS: its records from tail to head, and the transactions in them that were committed.

Layout: "XFS Algorithms & Data Structures", chapter "Journaling Log"; the order of recovery is the kernel's
fs/xfs/xfs_log_recover.c. Headers are big-endian, the items of transactions in the byte order of the machine that wrote
them (little-endian here; another one is refused). The first word of every sector was replaced by the cycle's number
when it was written: the true words stand in the record's headers. A record counts only if its checksum fits (version 5),
or every sector carries its cycle (version 4).
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from headwater.formats.crc32c import crc32c, crc32c_blocks
from headwater.formats.xfs_layout import XfsSuper
from headwater.model.ports import ByteSource

_MAGIC = 0xFEEDBABE
_SECTOR = 512
_CHUNK = 1 << 20
_START, _COMMIT, _CONTINUE, _CONTINUED, _END, _UNMOUNT = 1, 2, 4, 8, 16, 32
_LITTLE = 1
_HEAD_BYTES = 328  # what the checksum takes of a header (324 where 32-bit x86 wrote it)
_EXTENSION_BYTES = 260
_TRANSACTION = 0x5452414E
_CLIENT = 0x69
_TRIES = 16
_MOST_REGION = 1 << 20
_MOST_BYTES = 512 << 20
_MOST_OPEN = 2_000_000  # regions of transactions that were begun and not committed yet: even empty ones take memory
_LANES = 2048
_ROUNDS_MOST = 40  # so often the ring may be read as records: true ones lie beside one another


class NotLog(ValueError):
    """The log cannot be played back, and why."""


@functools.cache
def _shifts() -> tuple[list[int], ...]:
    """What a checksum becomes over a sector of zeros, by each of its four bytes: checksums are linear."""
    seeds = np.array([value << 8 * place for place in range(4) for value in range(256)], np.uint32)
    table = crc32c_blocks(seeds, np.zeros((1024, _SECTOR), np.uint8)).tolist()
    return tuple(table[256 * place : 256 * place + 256] for place in range(4))


def _shifted(value: int) -> int:
    one, two, three, four = _shifts()
    return one[value & 255] ^ two[value >> 8 & 255] ^ three[value >> 16 & 255] ^ four[value >> 24]


@dataclass(frozen=True, slots=True)
class Record:
    """One record: ``block`` in the log, ``headers`` and ``length`` of its data in sectors."""

    block: int
    lsn: int
    tail: int
    headers: int
    sectors: int
    operations: int


@dataclass(slots=True)
class Region:
    """Bytes that one operation logged; ``place``: where they stand on the volume if they do so as they are, else −1."""

    data: bytes
    place: int
    grown: bytearray | None = None  # as long as parts may still come, of which there may be very many


Item = list[Region]


@dataclass(slots=True)
class Transaction:
    """``lsn``: of the record in which it began; ``items``: each its regions, the first of which says what it is."""

    lsn: int
    items: list[Item] = field(default_factory=list)
    head: bytes = b""
    whole: bool = True


class Log:
    """The log of a volume as a ring of sectors.

    Raises:
        NotLog: it lies elsewhere, or beyond the volume.
    """

    def __init__(self, source: ByteSource, head: XfsSuper) -> None:
        if not head.log_start:
            raise NotLog("it lies on another device")
        self.start, self.size = head.place(head.log_start), head.log_blocks * head.block_size
        self._source, self._checked = source, head.version == 5
        self.sectors = self.size // _SECTOR
        self._left = _ROUNDS_MOST * self.sectors
        self._sums: dict[int, list[int]] = {}
        if not self.sectors or self.start + self.size > source.size:
            raise NotLog("it reaches beyond the volume")

    def read(self, block: int, count: int) -> bytes:
        """``count`` sectors from ``block``, around the end of the ring."""
        block %= self.sectors
        first = min(count, self.sectors - block)
        data = self._source.pread(self.start + block * _SECTOR, first * _SECTOR)
        if count > first:
            data += self._source.pread(self.start, (count - first) * _SECTOR)
        return data

    def place(self, block: int) -> int:
        return self.start + block % self.sectors * _SECTOR

    def record(self, block: int) -> Record | None:
        """The record that begins at a sector; None where none does, or its checksum does not fit."""
        raw = self.read(block, 1)
        magic, cycle, version, length, lsn, tail = struct.unpack_from(">IIIIQQ", raw)
        if magic != _MAGIC or lsn != cycle << 32 | block % self.sectors or version not in (1, 2):
            return None
        size = struct.unpack_from(">I", raw, 320)[0]
        headers = max(1, -(-size // 32768)) if version == 2 else 1
        sectors = -(-length // _SECTOR)
        if headers > 64 or headers + sectors > self.sectors or sectors > headers * 64:
            return None
        self._left -= headers + sectors
        if self.spent:
            raise NotLog("its records lie over one another")
        data = self.read(block, headers + sectors)
        if not self._fits(data, block, headers, length, cycle):
            return None
        if struct.unpack_from(">I", raw, 300)[0] != _LITTLE:
            raise NotLog("a machine of another byte order wrote it")
        return Record(block % self.sectors, lsn, tail, headers, sectors, struct.unpack_from(">I", raw, 40)[0])

    def _fits(self, data: bytes, block: int, headers: int, length: int, cycle: int) -> bool:
        stated = struct.unpack_from("<I", data, 32)[0]
        if not self._checked or not stated:  # mkfs.xfs leaves the sum of its one record at 0, and the kernel takes it
            words = np.frombuffer(data, ">u4")[headers * 128 :: 128]
            return bool((words == cycle).all())
        for front in (_HEAD_BYTES, 324):
            held = crc32c(0xFFFFFFFF, data[:32] + bytes(4) + data[36:front])
            # of the headers that the size of the log's buffer asks for, those count that this record's length fills
            for index in range(1, -(-length // 32768)):
                held = crc32c(held, data[index * _SECTOR : index * _SECTOR + _EXTENSION_BYTES])
            for number in range(block + headers, block + headers + length // _SECTOR):
                held = _shifted(held) ^ self._sum(number % self.sectors)
            tail = data[headers * _SECTOR + length // _SECTOR * _SECTOR : headers * _SECTOR + length]
            if crc32c(held, tail) ^ 0xFFFFFFFF == stated:
                return True
        return False

    def _sum(self, block: int) -> int:
        """The checksum of one sector, from zero; made for a stretch of sectors at once, which is far cheaper."""
        stretch = block // _LANES
        sums = self._sums.get(stretch)
        if sums is None:
            count = min(_LANES, self.sectors - stretch * _LANES)
            rows = np.frombuffer(self.read(stretch * _LANES, count), np.uint8).reshape(count, _SECTOR)
            if len(self._sums) >= 64:
                self._sums.clear()
            self._sums[stretch] = sums = crc32c_blocks(0, rows).tolist()
        return sums[block % _LANES]

    @property
    def spent(self) -> bool:
        """Whether more was to be read as records than a ring can hold."""
        return self._left < 0

    def candidates(self) -> list[int]:
        """Sectors that carry the magic of a record, by the number that they give it, the latest first."""
        found: list[tuple[int, int]] = []
        for at in range(0, self.size, _CHUNK):
            data = self._source.pread(self.start + at, min(_CHUNK, self.size - at))
            words = np.frombuffer(data, ">u4", count=len(data) // _SECTOR * 128)[::128]
            for sector in np.flatnonzero(words == _MAGIC).tolist():
                lsn = struct.unpack_from(">Q", data, sector * _SECTOR + 16)[0]
                if lsn & 0xFFFFFFFF == at // _SECTOR + sector:
                    found.append((lsn, at // _SECTOR + sector))
        return [block for _, block in sorted(found, reverse=True)]


def records(log: Log) -> tuple[list[Record], list[str]]:
    """The records that recovery would read, from tail to head, and words for what was left aside.

    Raises:
        NotLog: no stretch of whole records leads from a tail to a head.
    """
    faults: list[str] = []
    for block in log.candidates()[:_TRIES]:
        last = log.record(block)
        if last is None:
            faults.append("its last record is not whole and was left aside, as a torn write is")
            continue
        chain = _chain(log, last)
        if chain is not None:
            return chain, list(dict.fromkeys(faults))
        faults.append("between its tail and its head a record is broken; what was written after it was left aside")
    raise NotLog("no stretch of whole records is in it")


def _chain(log: Log, last: Record) -> list[Record] | None:
    found: list[Record] = []
    block = last.tail & 0xFFFFFFFF
    if block >= log.sectors:
        return None
    walked = 0
    while walked <= log.sectors:
        record = log.record(block)
        if record is None or record.lsn > last.lsn or (found and record.lsn <= found[-1].lsn):
            return None
        found.append(record)
        if record.block == last.block:
            return found
        walked += record.headers + record.sectors
        block = (record.block + record.headers + record.sectors) % log.sectors
    return None


def is_clean(log: Log, last: Record) -> bool:
    """Whether the last record is that of an unmount."""
    raw = log.read(last.block + last.headers, 1)
    return last.operations == 1 and len(raw) >= 12 and bool(raw[9] & _UNMOUNT)


def transactions(log: Log, chain: list[Record]) -> Iterator[Transaction]:
    """The committed transactions in the order of their commits.

    Raises:
        NotLog: operations that do not fit into their records.
    """
    open_now: dict[int, Transaction] = {}
    total = held = 0
    for record in chain:
        data = _unpacked(log, record)
        at = 0
        for _ in range(record.operations):
            if at + 12 > len(data):
                raise NotLog("a record has less in it than it says")
            tid, length, client, flags = struct.unpack_from(">IIBB", data, at)
            at += 12
            if at + length > len(data):
                raise NotLog("an operation reaches beyond its record")
            region = Region(data[at : at + length], _on_volume(log, record, at, length))
            at += length
            total += length
            if total > _MOST_BYTES:
                raise NotLog(f"it holds more than {_MOST_BYTES >> 20} MiB")
            if held + len(open_now) > _MOST_OPEN:
                raise NotLog(f"more than {_MOST_OPEN} pieces of transactions are open at once")
            if flags & _UNMOUNT or client != _CLIENT:
                continue
            if flags & _START:
                held -= _count(open_now.get(tid))
                open_now[tid] = Transaction(record.lsn)
                continue
            found = open_now.get(tid)
            if found is None:
                continue  # it began before the tail: what it did is in its place already
            if flags & _COMMIT:
                held -= _count(found)
                yield _closed(open_now.pop(tid))
            else:
                held += _take(found, region, bool(flags & _CONTINUED))


def _closed(found: Transaction) -> Transaction:
    """A transaction to which nothing more comes."""
    for item in found.items:
        for region in item:
            if region.grown is not None:
                region.data, region.grown = bytes(region.grown), None
    return found


def _count(found: Transaction | None) -> int:
    """Of how many regions a transaction is."""
    return sum(map(len, found.items)) if found is not None else 0


def _unpacked(log: Log, record: Record) -> bytes:
    """The data of a record with the true first words of its sectors."""
    raw = log.read(record.block, record.headers + record.sectors)
    heads, data = raw[: record.headers * _SECTOR], bytearray(raw[record.headers * _SECTOR :])
    for index in range(record.sectors):
        header, word = divmod(index, 64)
        at = (44 if header == 0 else header * _SECTOR + 4) + word * 4
        data[index * _SECTOR : index * _SECTOR + 4] = heads[at : at + 4]
    return bytes(data)


def _on_volume(log: Log, record: Record, at: int, length: int) -> int:
    """Where these bytes stand on the volume as they are: in one sector, behind its first word, which was replaced."""
    if not length or at % _SECTOR < 4 or at % _SECTOR + length > _SECTOR:
        return -1
    return log.place(record.block + record.headers + at // _SECTOR) + at % _SECTOR


def _take(found: Transaction, region: Region, more: bool) -> int:
    """Put a region where it belongs: the transaction's own head, the end of the last one, or the next item.

    Returns how many regions that makes more.
    """
    if not found.items and len(found.head) < 16:
        found.head += region.data
        if len(found.head) >= 16 and struct.unpack_from("<I", found.head)[0] != _TRANSACTION:
            found.whole = False
        return 0
    if more:
        last = found.items[-1][-1] if found.items else None
        if last is None or len(last.grown or last.data) + len(region.data) > _MOST_REGION:
            found.whole = False
            return 0
        last.grown = bytearray(last.data) if last.grown is None else last.grown
        last.grown += region.data
        last.place = -1
        return 0
    if found.items and len(found.items[-1]) < _regions(found.items[-1]):
        found.items[-1].append(region)
    else:
        found.items.append([region])
    return 1


def _regions(item: Item) -> int:
    head = item[0].grown or item[0].data
    return int.from_bytes(head[2:4], "little") if len(head) >= 4 else 0
