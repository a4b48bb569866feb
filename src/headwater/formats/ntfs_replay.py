# SPDX-License-Identifier: Apache-2.0
"""$LogFile of NTFS played back in memory: what the next mount of a volume that was not cleanly dismounted would make of it.

1. The newest restart page names the last checkpoint; its tables name the pages that were not yet written then, each
   with the oldest record that may be missing in it, and the transactions under way.
2. Redo: from the oldest such record on, in order, each operation on its record, buffer or clusters. File records and
   index buffers carry the number of the last record that they hold: what they hold already is passed over.
3. Undo: transactions that neither committed nor ended, backwards along their own chain.

The log's end is where the next record does not follow on the one before. An operation that cannot be applied is
counted with its name. Sources: as in :mod:`headwater.formats.ntfs_log`.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from headwater.formats import ntfs_redo
from headwater.formats.ntfs import fixed_up
from headwater.formats.ntfs_log import PAGE, Log, LogRecord, operation
from headwater.formats.ntfs_log_index import Records
from headwater.formats.ntfs_redo import INDEX_OPS, INITIALIZE, QUIET_OPS, RECORD_OPS, Refused
from headwater.model.ports import ByteSource

UNITS_MOST = 200_000  # records, buffers and pages of the volume that are changed …
UNITS_HELD = 128 << 20  # … and their bytes
TRANSACTIONS_MOST = 65_536  # under way at once
_TABLE_HEAD = 24
_ALLOCATED = 0xFFFFFFFF
_COMPENSATION, _COMMIT, _FORGET = 1, 26, 27
_DIRTY_PAGES, _TRANSACTIONS = 31, 32
_SECTOR = 512
_RECORD_HEAD = 48
_FIRST_PAGES = 40  # the first page of records is one of these


class NotReplayable(ValueError):
    """The log cannot be played back, and why."""


@dataclass(slots=True)
class Unit:
    """A file record, an index buffer or a page of clusters, with its fixups undone; ``parts``: (place, length)."""

    parts: tuple[tuple[int, int], ...]
    data: bytearray
    guarded: bool  # it has fixups and the number of the last record that it holds
    lsn: int = 0
    changed: bool = False


@dataclass(slots=True)
class Played:
    """What playing the log back gave. ``units`` by their first place on the volume."""

    units: dict[int, Unit] = field(default_factory=dict)
    first: int = 0
    last: int = 0
    applied: int = 0
    held: int = 0  # operations that the volume holds already
    undone: int = 0
    transactions: int = 0  # that were not finished, and were undone
    left_out: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin: the checkpoint, the oldest record missing in each page that was not written, open transactions."""

    redo: int
    checkpoint: int
    dirty: Mapping[tuple[int, int], int]  # (attribute, first cluster of the page) → number of a record
    open: Mapping[int, int]  # transaction → its last record


def start_of(log: Log, pread: bytes, records: Mapping[int, LogRecord]) -> Start:
    """The start that the newest restart page names. ``pread``: the log's two restart pages.

    Raises:
        NotReplayable: there is none, it leaves its page, or its checkpoint is not in the log any more.
    """
    newest = max(log.restarts, key=lambda r: r.current, default=None)
    if newest is None:
        raise NotReplayable("it has no restart page")
    raw = fixed_up(pread[newest.at : newest.at + PAGE])  # as much of it as was read when it was found sound
    area = struct.unpack_from("<H", raw, 24)[0]
    client = area + struct.unpack_from("<H", raw, area + 22)[0]
    if client + 16 > len(raw):
        raise NotReplayable("its restart page names no checkpoint")
    at = struct.unpack_from("<Q", raw, client + 8)[0]
    record = records.get(at)
    if record is None or record.kind != 2 or len(record.redo) < 48:
        raise NotReplayable("the checkpoint that it names is not there any more")
    major, _, begin, _, _, dirty_at, open_at = struct.unpack_from("<IIQQQQQ", record.redo, 0)
    dirty = _dirty_pages(_table(records, dirty_at, _DIRTY_PAGES), major)
    under_way = _transactions(_table(records, open_at, _TRANSACTIONS))
    oldest = min([begin, *(lsn for lsn in dirty.values() if lsn)])
    return Start(oldest, begin, dirty, under_way)


def _table(records: Mapping[int, LogRecord], lsn: int, code: int) -> bytes:
    if not lsn:
        return b""
    record = records.get(lsn)
    if record is None or record.redo_op != code:
        raise NotReplayable("a table of its checkpoint is not there any more")
    return record.redo


def _entries(table: bytes) -> list[tuple[int, bytes]]:
    """(place in the table, entry) of the entries in use."""
    if len(table) < _TABLE_HEAD:
        return []
    size, count = struct.unpack_from("<HH", table, 0)
    if size < 16:
        return []
    ends = range(_TABLE_HEAD, min(_TABLE_HEAD + size * count, len(table) - size + 1), size)
    return [(at, table[at : at + size]) for at in ends if int.from_bytes(table[at : at + 4], "little") == _ALLOCATED]


def _dirty_pages(table: bytes, major: int) -> dict[tuple[int, int], int]:
    at = 16 if major else 20
    found = {}
    for _, entry in _entries(table):
        if len(entry) >= at + 16:
            vcn, lsn = struct.unpack_from("<QQ", entry, at)
            found[(struct.unpack_from("<I", entry, 4)[0], vcn)] = lsn
    return found


def _transactions(table: bytes) -> dict[int, int]:
    return {
        at: struct.unpack_from("<Q", entry, 16)[0] for at, entry in _entries(table) if len(entry) >= 40 and entry[4]
    }


class _Player:
    def __init__(self, volume: ByteSource, cluster: int, record: int) -> None:
        self._volume, self._cluster, self._record = volume, cluster, record
        self.played = Played()
        self._undone: set[int] = set()
        self._bytes = 0

    def place(self, record: LogRecord) -> int:
        """Where on the volume the target of a record begins; −1 where it names none that can be."""
        within = record.block * _SECTOR
        index = within // self._cluster
        if index >= len(record.lcns):
            return -1
        at = record.lcns[index] * self._cluster + within % self._cluster
        return at if 0 < at < self._volume.size else -1

    def _parts(self, record: LogRecord, size: int) -> tuple[tuple[int, int], ...]:
        """``size`` bytes from the target on, over as many of the record's clusters as they take."""
        parts: list[tuple[int, int]] = []
        at = record.block * _SECTOR
        end = at + size
        while at < end:
            index, within = divmod(at, self._cluster)
            if index >= len(record.lcns):
                break
            place, length = record.lcns[index] * self._cluster + within, min(self._cluster - within, end - at)
            if parts and parts[-1][0] + parts[-1][1] == place:
                parts[-1] = (parts[-1][0], parts[-1][1] + length)
            else:
                parts.append((place, length))
            at += length
        return tuple(parts)

    def _read(self, parts: Sequence[tuple[int, int]]) -> bytes:
        return b"".join(self._volume.pread(at, n).ljust(n, b"\0") for at, n in parts)

    def unit(self, record: LogRecord, code: int, operand: bytes) -> Unit:
        """The target of an operation as it is by now.

        Raises:
            Refused: it names nothing that can be read.
        """
        at = self.place(record)
        if at < 0:
            raise Refused("it names no cluster of the volume")
        known = self.played.units.get(at)
        if known is not None:
            return known
        if len(self.played.units) >= UNITS_MOST or self._bytes >= UNITS_HELD:
            raise Refused("more is changed than is kept")
        unit = self._load(record, code, operand)
        self._bytes += len(unit.data)
        self.played.units[at] = unit
        return unit

    def _load(self, record: LogRecord, code: int, operand: bytes) -> Unit:
        whole = len(record.lcns) * self._cluster
        if code in RECORD_OPS:
            parts = self._parts(record, self._record)
            return self._guarded(parts, b"FILE", made=code == INITIALIZE)
        head = self._read(self._parts(record, 40))
        made = operand[:4] == b"INDX" and not record.offset + record.attribute_offset
        if code in INDEX_OPS or made or head[:4] == b"INDX":
            source = operand if made else head
            size = struct.unpack_from("<I", source.ljust(40, b"\0"), 32)[0] + 24
            if size < _SECTOR or size > 65536 or size & (size - 1):
                size = max(PAGE, self._cluster)
            return self._guarded(self._parts(record, size), b"INDX", made=made)
        parts = self._parts(record, min(max(PAGE, self._cluster), whole) - record.block * _SECTOR)
        return Unit(parts, bytearray(self._read(parts)), False)

    def _guarded(self, parts: tuple[tuple[int, int], ...], mark: bytes, *, made: bool) -> Unit:
        raw = self._read(parts)
        good = raw[:4] == mark
        if good:
            try:
                raw = fixed_up(raw)
            except ValueError as error:
                good = False
                if not made:
                    raise Refused("its target is torn") from error
        if not good and not made:
            raise Refused(f"its target is no {mark.decode()} record")
        lsn = int.from_bytes(raw[8:16], "little") if good else 0
        return Unit(parts, bytearray(raw), True, lsn)

    def redo(self, record: LogRecord) -> None:
        code = record.redo_op
        try:
            unit = self.unit(record, code, record.redo)
            if unit.guarded and record.lsn <= unit.lsn:
                self.played.held += 1
                return
            ntfs_redo.apply(unit.data, record, code, record.redo)
        except Refused as error:
            self.played.left_out[f"{operation(code)}: {error}"] += 1
            return
        self._hold(unit, record.lsn)
        self.played.applied += 1

    def _hold(self, unit: Unit, lsn: int) -> None:
        unit.lsn, unit.changed = lsn, True
        if unit.guarded and len(unit.data) >= 16:
            unit.data[8:16] = lsn.to_bytes(8, "little")

    def _fault(self, words: str) -> None:
        if words not in self.played.faults:
            self.played.faults.append(words)

    def undo(self, records: Mapping[int, LogRecord], lsn: int) -> None:
        """Undo a transaction from its last record backwards."""
        while lsn:
            record = records.get(lsn)
            if record is None:
                self._fault("a record of a transaction that was not finished is not there any more")
                return
            if lsn in self._undone:
                self._fault("two transactions that were not finished share their records")
                return
            self._undone.add(lsn)
            if record.redo_op != _COMPENSATION and record.undo_op not in QUIET_OPS:
                try:
                    unit = self.unit(record, record.undo_op, record.undo)
                    ntfs_redo.apply(unit.data, record, record.undo_op, record.undo)
                    unit.changed = True
                    self.played.undone += 1
                except Refused as error:
                    self.played.left_out[f"undo {operation(record.undo_op)}: {error}"] += 1
            if record.undo_next >= lsn:
                return  # a chain that does not go back
            lsn = record.undo_next


def play_log(
    volume: ByteSource, log: Log, records: Mapping[int, LogRecord], start: Start, cluster: int, record_size: int
) -> Played:
    """Redo, then undo, over the bytes of a volume with clusters and file records of these sizes."""
    player = _Player(volume, cluster, record_size)
    played = player.played
    active = dict(start.open)
    for record in _chain(records, start.redo, log, played.faults):
        played.first, played.last = played.first or record.lsn, record.lsn
        if record.kind != 1:
            continue
        if record.redo_op in (_COMMIT, _FORGET):
            active.pop(record.transaction, None)
        elif record.transaction and record.lsn >= start.checkpoint:
            if record.transaction in active or len(active) < TRANSACTIONS_MOST:
                active[record.transaction] = record.lsn
            else:
                played.left_out["transactions: more are under way than are kept"] += 1
        if record.redo_op in QUIET_OPS or not _due(record, start):
            continue
        player.redo(record)
    for transaction in sorted(active, key=lambda t: -active[t]):
        before = played.undone
        player.undo(records, active[transaction])
        played.transactions += played.undone > before
    return played


def _due(record: LogRecord, start: Start) -> bool:
    """Whether the page of a record may lack it: what was written before the checkpoint is not touched."""
    if record.lsn >= start.checkpoint:
        return True
    oldest = start.dirty.get((record.target, record.vcn))
    return oldest is not None and record.lsn >= oldest


def _chain(records: Mapping[int, LogRecord], first: int, log: Log, faults: list[str]) -> Iterator[LogRecord]:
    """The records from ``first`` on, each following on the one before; what lies behind a break is not played back."""
    numbers = records.since(first) if isinstance(records, Records) else iter(sorted(n for n in records if n >= first))
    before: LogRecord | None = None
    for lsn in numbers:
        record = records[lsn]
        if before is not None and not follows(before, lsn, log):
            behind = sum(
                r.kind == 1 and r.redo_op not in QUIET_OPS for r in chain([record], map(records.__getitem__, numbers))
            )
            if behind:  # a clean dismount leaves a last mark elsewhere, which changes nothing
                faults.append(f"its records break off after {before.lsn}; {behind} operations behind it were left out")
            return
        yield record
        before = record


def follows(record: LogRecord, lsn: int, log: Log) -> bool:
    """Whether the record of a number stands right behind another: numbers count eight bytes of the log each.

    At the log's end it goes on in the next round, behind the pages that are kept for copies (two or 32).
    """
    bits = 64 - log.shift
    place = (record.lsn & (1 << bits) - 1) * 8
    end = place + record.length
    if end % PAGE == 0 or PAGE - end % PAGE < _RECORD_HEAD:
        end += -end % PAGE + log.data_at
    if end < log.size:
        return lsn == (record.lsn >> bits << bits) + end // 8
    there = (lsn & (1 << bits) - 1) * 8
    return lsn >> bits == (record.lsn >> bits) + 1 and there % PAGE == log.data_at and there < _FIRST_PAGES * PAGE


def on_volume(unit: Unit) -> bytes:
    """The bytes of a unit as they would be written: with fixups."""
    if not unit.guarded:
        return bytes(unit.data)
    data = bytearray(unit.data)
    at, count = struct.unpack_from("<HH", data, 4)
    if count < 2 or at + 2 * count > len(data) or (count - 1) * _SECTOR > len(data):
        return bytes(data)
    for sector in range(1, count):
        end = sector * _SECTOR
        data[at + 2 * sector : at + 2 * sector + 2] = data[end - 2 : end]
        data[end - 2 : end] = data[at : at + 2]
    return bytes(data)


def patches_of(played: Played) -> dict[int, bytes]:
    """What was changed, as it would be written: place on the volume → bytes."""
    found: dict[int, bytes] = {}
    for unit in played.units.values():
        if unit.changed:
            data, at = on_volume(unit), 0
            for place, length in unit.parts:
                found[place] = data[at : at + length]
                at += length
    return found
