# SPDX-License-Identifier: Apache-2.0
"""What an XFS log still says of inodes and names: every record in it is read, not only those that recovery would read.

The log is a ring: what was written before stands in it until it comes round. An inode item holds the core and, where they
changed, the extents or the names inside; a buffer item the changed parts (128 bytes) of directory blocks, whose records
end with their own place in the block, so that each is told from noise. Layouts: xfs_log, xfs_log_items,
xfs_directories. The log has no clock: order is by sequence number, times are those in the inodes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from headwater.formats.xfs_directories import names_between, names_inside
from headwater.formats.xfs_inode import FORMAT_BTREE, FORMAT_EXTENTS, FORMAT_LOCAL, XfsRow, decode_chunk
from headwater.formats.xfs_layout import XfsSuper
from headwater.formats.xfs_log import Item, Log, NotLog, Record, transactions
from headwater.formats.xfs_log_items import chunks_of, core_to_disk
from headwater.model.ports import ByteSource

_INODE, _BUF = 0x123B, 0x123C
_DATA, _EXTENTS, _ROOT = 0x2, 0x4, 0x8
_INODE_BUF, _CANCEL, _QUOTA = 1, 2, 0x1C
_CHUNK, _SECTOR = 128, 512
_BLOCKS = (b"XDB3", b"XDD3", b"XD2B", b"XD2D")
NAMES_MOST = 1_000_000
STATES_MOST = 500_000
Key = tuple[int, int]


@dataclass(slots=True)
class OldInode:
    """An inode as a transaction left it while it had a name. ``core``: as on the disk; ``fork``: the data fork as logged
    for ``format``, or nothing; ``place``: of the core on the volume, −1 where it does not stand in one piece."""

    number: int
    generation: int
    size: int
    lsn: int
    place: int
    core: bytes
    format: int = 0
    fork: bytes = b""
    gone: int | None = None  # sequence number of the transaction that took its last name

    def row(self, inode_size: int) -> XfsRow:
        """The core, decoded."""
        rows = decode_chunk(self.core.ljust(inode_size, b"\0"), inode_size, 0)
        return rows[0]._replace(number=self.number)


@dataclass(frozen=True, slots=True)
class OldName:
    """``inode``: all of its number, or the lower 32 bits where the rest was overwritten; ``lsn``: −1 for the disk's own."""

    inode: int
    parent: int
    name: bytes
    kind: int
    lsn: int


@dataclass(slots=True)
class LogHistory:
    """``states`` by (inode, generation); ``names`` by the lower 32 bits of the inode, in order of sequence."""

    states: dict[Key, OldInode] = field(default_factory=dict)
    names: dict[int, list[OldName]] = field(default_factory=dict)
    records: int = 0
    oldest: int | None = None  # sequence number
    faults: list[str] = field(default_factory=list)
    _met: set[tuple[int, int, bytes]] = field(default_factory=set)

    def name(self, found: OldName) -> None:
        """Take in a name; the same name of the same inode counts once, when it was first seen."""
        low = found.inode & 0xFFFFFFFF
        key = (low, found.parent, found.name)
        if len(self._met) < NAMES_MOST and key not in self._met:
            self._met.add(key)
            self.names.setdefault(low, []).append(found)


def _chains(log: Log) -> Iterator[list[Record]]:
    """The whole records in order of sequence, cut where one does not follow the other."""
    chain: list[Record] = []
    for block in reversed(log.candidates()):
        try:
            record = log.record(block)
        except NotLog:
            record = None
        if record is None:
            continue
        last = chain[-1] if chain else None
        if last is not None and record.block != (last.block + last.headers + last.sectors) % log.sectors:
            yield chain
            chain = []
        chain.append(record)
    if chain:
        yield chain


def read_log(source: ByteSource, head: XfsSuper, owners: Mapping[int, int] | None = None) -> LogHistory:
    """All that the log's whole records say, from the oldest to the newest.

    ``owners``: place of a block of a directory in use → its inode, for those that do not say so themselves (version 4).

    Raises:
        NotLog: it lies elsewhere, or beyond the volume.
    """
    log = Log(source, head)
    found = LogHistory()
    reader = _Reader(source, head, found, owners or {})
    for chain in _chains(log):
        found.records += len(chain)
        if found.oldest is None:
            found.oldest = chain[0].lsn
        try:
            for one in transactions(log, chain):
                for item in one.items:
                    reader.item(item, one.lsn)
        except NotLog as error:
            found.faults.append(str(error))
    if log.spent:
        found.faults.append("so many of its records lie over one another that not all were read")
    return found


class _Reader:
    def __init__(self, source: ByteSource, head: XfsSuper, found: LogHistory, owners: Mapping[int, int]) -> None:
        self._source, self._head, self._found, self._now = source, head, found, owners
        self._owners: dict[int, int] = {}  # place of a directory block → its inode

    def item(self, item: Item, lsn: int) -> None:
        raw = item[0].data
        if len(raw) < 20 or len(item) < 2:
            return
        kind = int.from_bytes(raw[:2], "little")
        if kind == _INODE and len(raw) >= 52:
            self._inode(item, lsn)
        elif kind == _BUF:
            self._buffer(item, lsn)

    def _inode(self, item: Item, lsn: int) -> None:
        raw, logged = item[0].data, item[1].data
        number = struct.unpack_from("<Q", raw, 16 if len(raw) >= 56 else 12)[0]
        if len(logged) < 96 or logged[:2] != b"NI" or self._head.inode_place(number) < 0:
            return
        core = core_to_disk(logged[:176], lsn)
        mode, links = struct.unpack_from(">H", core, 2)[0], struct.unpack_from(">I", core, 16)[0]
        size, generation = struct.unpack_from(">q", core, 56)[0], struct.unpack_from(">I", core, 92)[0]
        # freeing an inode counts its generation up; the unlinking before may be in the same checkpoint
        key = (number, generation if mode else generation - 1 & 0xFFFFFFFF)
        held = self._found.states.get(key)
        if not mode or not links:
            if held is not None and held.gone is None:
                held.gone = lsn
            return
        fields = struct.unpack_from("<I", raw, 4)[0]
        fork = item[2].data if fields & (_DATA | _EXTENTS | _ROOT) and len(item) > 2 else b""
        if mode >> 12 == 0x4 and fork and core[5] == FORMAT_LOCAL:
            for name in names_inside(fork[:size], self._head.file_types).names:
                self._found.name(OldName(name.inode, number, name.name, name.kind, lsn))
        if held is None:
            if len(self._found.states) >= STATES_MOST:
                return
            held = OldInode(number, generation, -1, lsn, -1, core)
            self._found.states[key] = held
        held.gone = None
        if size < held.size:
            return  # what shrinks on its way out keeps its larger state
        held.size, held.lsn, held.place, held.core = size, lsn, item[1].place, core
        if fork.strip(b"\0") and core[5] in (FORMAT_LOCAL, FORMAT_EXTENTS, FORMAT_BTREE):
            held.format, held.fork = core[5], fork

    def _buffer(self, item: Item, lsn: int) -> None:
        raw = item[0].data
        flags, length, block, words = struct.unpack_from("<HHqI", raw, 4)
        size = length * _SECTOR
        if flags & (_CANCEL | _QUOTA | _INODE_BUF) or size != self._head.directory_block or words > 1024:
            return
        place = block * _SECTOR
        held = bytearray(size)
        pieces: list[tuple[int, int]] = []
        regions = iter(item[1:])
        for first, count in chunks_of(raw[20 : 20 + words * 4]):
            start, done = first * _CHUNK, 0
            while done < count * _CHUNK:
                region = next(regions, None)
                if region is None or start + done >= size:
                    break
                data = region.data[: size - start - done]
                held[start + done : start + done + len(data)] = data
                done += max(_CHUNK, len(data))
            pieces.append((start, min(size, start + done)))
        owner = self._owner(place, bytes(held[:64]))
        if not owner:
            return
        whole = bytes(held)
        for start, end in pieces:
            for name in names_between(whole, start, end, self._head.file_types):
                self._found.name(OldName(name.inode, owner, name.name, name.kind, lsn))

    def _owner(self, place: int, logged: bytes) -> int:
        """The directory that a block belongs to, by its own head: as logged, as logged before, or as it stands."""
        owner = owner_of(logged)
        if owner:
            self._owners[place] = owner
            return owner
        if place not in self._owners:
            stands = owner_of(self._source.pread(place, 64)) if 0 <= place < self._source.size else 0
            self._owners[place] = stands or self._now.get(place, 0)
        return self._owners[place]


def owner_of(block: bytes) -> int:
    """The inode whose directory a block is part of; 0 where it is none, or does not say.

    Version 5 says so itself; in version 4 the first block of a directory does, by the name that stands for itself.
    """
    if block[:4] in (b"XDB3", b"XDD3"):
        return int.from_bytes(block[40:48], "big")
    if block[:4] in (b"XD2B", b"XD2D") and block[24:26] == b"\x01.":
        return int.from_bytes(block[16:24], "big")
    return 0
