# SPDX-License-Identifier: Apache-2.0
"""Log records of NTFS ($LogFile): restart pages, record pages, and what each record would do and undo.

A log sequence number holds the place of its own record, so every record is found by itself: wherever eight bytes name
their own offset, and the head behind them fits. Pages whose write was torn are told by their fixups. Layout: the Linux
NTFS project, https://flatcap.github.io/linux-ntfs/ntfs/files/logfile.html, and layout.h and logfile.h of ntfs-3g, whose
structures carry the same names.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from headwater.formats.ntfs import fixed_up
from headwater.model.kinds import GapReason
from headwater.model.records import Gap

PAGE = 4096
_FIRST = 2 * PAGE  # behind the two restart pages
_HEAD = 48
_CLIENT = 32
_DATA_MOST = 1 << 20  # bytes of one record
_CLAIMED_MOST = 4  # times the log: what all its records may claim together; honest ones do not overlap but by remains
_RESTART = struct.Struct("<QHHHHIHHQIHH")
_RECORD = struct.Struct("<QQQIHHIIH")
_OPERATION = struct.Struct("<10H")
OPERATIONS = (
    "Noop", "CompensationLogRecord", "InitializeFileRecordSegment", "DeallocateFileRecordSegment",
    "WriteEndOfFileRecordSegment", "CreateAttribute", "DeleteAttribute", "UpdateResidentValue",
    "UpdateNonresidentValue", "UpdateMappingPairs", "DeleteDirtyClusters", "SetNewAttributeSizes",
    "AddIndexEntryRoot", "DeleteIndexEntryRoot", "AddIndexEntryAllocation", "DeleteIndexEntryAllocation",
    "WriteEndOfIndexBuffer", "SetIndexEntryVcnRoot", "SetIndexEntryVcnAllocation", "UpdateFileNameRoot",
    "UpdateFileNameAllocation", "SetBitsInNonresidentBitMap", "ClearBitsInNonresidentBitMap", "HotFix",
    "EndTopLevelAction", "PrepareTransaction", "CommitTransaction", "ForgetTransaction",
    "OpenNonresidentAttribute", "OpenAttributeTableDump", "AttributeNamesDump", "DirtyPageTableDump",
    "TransactionTableDump", "UpdateRecordDataRoot", "UpdateRecordDataAllocation", "UpdateRelativeDataInIndex",
    "UpdateRelativeDataInAllocation", "ZeroEndOfFileRecord",
)  # fmt: skip


class Restart(NamedTuple):
    """One restart page. ``clean``: the volume was dismounted cleanly, by its flag or by having no client."""

    at: int
    current: int
    clean: bool
    shift: int  # bits of a sequence number that count the log's rounds
    size: int
    data_at: int  # where records begin in a page
    version: tuple[int, int]
    page: int


class LogRecord(NamedTuple):
    """One record. ``at`` and ``length``: its span in $LogFile, page heads within it included.

    ``kind``: 1 an operation, 2 a checkpoint. ``vcn`` and ``block`` (512 bytes each, within the cluster) name the target;
    ``slack``: it stands behind the end of its page's newest records, from an earlier round. ``lcns``: the clusters of the
    target on the volume, as they were then.
    """

    at: int
    length: int
    lsn: int
    previous: int
    undo_next: int
    kind: int
    transaction: int
    redo_op: int
    undo_op: int
    redo: bytes
    undo: bytes
    target: int
    offset: int
    attribute_offset: int
    block: int
    vcn: int
    slack: bool
    lcns: tuple[int, ...] = ()


def operation(code: int) -> str:
    """The name of an operation code."""
    return OPERATIONS[code] if code < len(OPERATIONS) else f"0x{code:x}"


def restart_of(raw: bytes, at: int) -> Restart | None:
    """A restart page; None where none stands, or a torn one."""
    if raw[:4] != b"RSTR" or len(raw) < 72:
        return None
    try:
        raw = fixed_up(raw)
    except ValueError:
        return None
    page, log_page, area = struct.unpack_from("<IIH", raw, 16)
    minor, major = struct.unpack_from("<hh", raw, 26)
    if area + _RESTART.size > len(raw) or log_page != PAGE:
        return None
    current, _, _, in_use, flags, bits, _, _, size, _, _, data_at = _RESTART.unpack_from(raw, area)
    if not 0 < bits < 64 or not 40 <= data_at < PAGE or data_at & 7:
        return None
    return Restart(at, current, in_use == 0xFFFF or bool(flags & 2), bits, size, data_at, (major, minor), page)


class Log:
    """A log read through ``pread``; pages are kept as they are asked for, a few at a time."""

    def __init__(self, pread: Callable[[int, int], bytes], size: int) -> None:
        self._pread, self.size = pread, size
        first = restart_of(pread(0, PAGE), 0)
        second = PAGE if first is None else max(512, min(first.page, 65536))
        self.restarts = [r for r in (first, restart_of(pread(second, PAGE), second)) if r is not None]
        self.gaps: list[Gap] = []
        self.lost = 0
        self.slack = 0
        self._claimed = 0
        self._held: tuple[int, bytes] = (-1, b"")
        newest = max(self.restarts, key=lambda r: r.current, default=None)
        self.shift = newest.shift if newest is not None else _bits_for(size)
        self.data_at = newest.data_at if newest is not None else 64
        self._mask = (1 << 64 - self.shift) - 1
        # pages that hold copies of the newest ones: two, from version 2 on (Windows 8, while mounted) 32
        self._copies = _FIRST + (32 if newest is not None and newest.version[0] >= 2 else 2) * PAGE
        self._tails = dict(self._tail(at) for at in range(_FIRST, self._copies, PAGE))

    def _tail(self, at: int) -> tuple[int, int]:
        """The log's first pages are copies of pages at its end that may not be in their place yet: (place, copy)."""
        page = self.page(at)
        return (int.from_bytes(page[8:16], "little") if page else -1), at

    def page(self, at: int) -> bytes:
        """One record page with its fixups undone; empty where none stands there, or a torn one."""
        if self._held[0] == at:
            return self._held[1]
        raw = self._pread(at, PAGE)
        found = b""
        if raw[:4] == b"RCRD" and len(raw) == PAGE:
            try:
                found = fixed_up(raw)
            except ValueError:
                found = b""
        self._held = (at, found)
        return found

    def records(self) -> Iterator[LogRecord]:
        """Every record that can be found, in order of place; pages that cannot be read become ``gaps``."""
        for at in range(_FIRST, self.size - PAGE + 1, PAGE):
            page = self.page(at)
            if not page:
                self._note(at)
                continue
            # the two pages behind the restart pages are copies that name their own place
            own = struct.unpack_from("<Q", page, 8)[0] if at < self._copies else at
            end = struct.unpack_from("<H", page, 24)[0]
            begin = self.data_at
            words = np.frombuffer(page, "<u8", (PAGE - begin) // 8, begin)
            places = (words & np.uint64(self._mask)) << np.uint64(3)
            wanted = np.arange(own + begin, own + PAGE, 8, dtype=np.uint64)
            after = 0
            for index in np.flatnonzero((places == wanted) & (words != 0)).tolist():
                place = begin + 8 * index
                if place < after:
                    continue  # within the record before
                record = self._record(at, page, place, end)
                if record is not None:
                    after = place + record.length
                    self._claimed += record.length
                    yield record
            if self._claimed > _CLAIMED_MOST * self.size and at + PAGE < self.size:
                why = "its records claim more bytes than a log of this size holds"
                self.gaps.append(Gap(at + PAGE, self.size - at - PAGE, GapReason.LIMIT, why))
                return

        rest = self.size % PAGE
        if rest:
            self.gaps.append(Gap(self.size - rest, rest, GapReason.TRUNCATED, "less than a page of the log"))

    def record_at(self, place: int) -> LogRecord | None:
        """The record that begins at a place in $LogFile, read anew; None where none does."""
        at = place - place % PAGE
        page = self.page(at)
        return self._record(at, page, place - at, struct.unpack_from("<H", page, 24)[0]) if page else None

    def _note(self, at: int) -> None:
        raw = self._pread(at, PAGE)
        if raw.strip(b"\xff") == b"" or raw.strip(b"\0") == b"":
            self.slack += len(raw)
            return
        why = "a torn page of the log" if raw[:4] == b"RCRD" else "no page of the log"
        self.gaps.append(Gap(at, len(raw), GapReason.NOT_THIS_FORMAT, why))

    def _record(self, at: int, page: bytes, place: int, end: int) -> LogRecord | None:
        if place + _HEAD > PAGE:
            return None
        lsn, previous, undo_next, length, _, _, kind, transaction, _ = _RECORD.unpack_from(page, place)
        if kind not in (1, 2) or not 0 < length <= _DATA_MOST or length & 7:
            return None
        data, span = self._data(at, page, place + _HEAD, length)
        if data is None:
            self.lost += 1
            return None
        if kind == 2 or len(data) < _CLIENT:
            return LogRecord(
                at + place, span + _HEAD, lsn, previous, undo_next, kind, transaction, 0, 0, data, b"", 0, 0, 0, 0, 0,
                place > end > 0,
            )  # fmt: skip
        redo_op, undo_op, redo_at, redo_n, undo_at, undo_n, target, clusters, offset, within = _OPERATION.unpack_from(
            data, 0
        )
        block, _, vcn = struct.unpack_from("<HHQ", data, 20)
        if redo_op >= 64 or undo_op >= 64 or redo_at + redo_n > len(data) or undo_at + undo_n > len(data):
            return None
        return LogRecord(
            at + place, span + _HEAD, lsn, previous, undo_next, kind, transaction, redo_op, undo_op,
            data[redo_at : redo_at + redo_n], data[undo_at : undo_at + undo_n], target, offset, within, block, vcn,
            place > end > 0, struct.unpack_from(f"<{clusters}Q", data, _CLIENT) if _CLIENT + 8 * clusters <= len(data) else (),
        )  # fmt: skip

    def _data(self, at: int, page: bytes, place: int, length: int) -> tuple[bytes | None, int]:
        """``length`` bytes from a place, over as many pages as it takes, and the span that they cover."""
        parts = [page[place : place + length]]
        got, span = len(parts[0]), len(parts[0])
        while got < length:
            at += PAGE
            if at + PAGE > self.size:
                return None, 0  # it goes on at the log's beginning, which newer rounds overwrite first
            page = self._newest(at)
            if not page:
                return None, 0
            more = page[self.data_at : self.data_at + length - got]
            parts.append(more)
            got += len(more)
            span += self.data_at + len(more)
        return b"".join(parts), span

    def _newest(self, at: int) -> bytes:
        """The page at a place, or its copy where that one ends in a later record."""
        page = self.page(at)
        copy = self.page(self._tails[at]) if at in self._tails else b""
        return copy if copy and (not page or copy[32:40][::-1] > page[32:40][::-1]) else page


def _bits_for(size: int) -> int:
    """Bits of a sequence number beyond those that name a place in a log of this size."""
    return 64 - max(1, (max(size, PAGE) - 1).bit_length() - 3)
