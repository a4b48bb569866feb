# SPDX-License-Identifier: Apache-2.0
"""What the records of $LogFile mean: names that came and went, records that were made and freed, journal entries.

A log record states an operation and its reversal, not a time. Times come from what it carries: a directory entry holds a
copy of the file's times, an entry of the change journal its own. Records of one transaction are linked; a name that goes
and one that comes for the same file within it are a rename.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from headwater.formats.ntfs import filetime_ns
from headwater.formats.ntfs_log import LogRecord, operation
from headwater.formats.ntfs_names import one_name
from headwater.formats.usn_journal import REASONS
from headwater.model.kinds import EventKind, TimeBasis
from headwater.model.records import Event, Value

INITIALIZE, DEALLOCATE = 2, 3
_ADD, _DELETE = (12, 14), (13, 15)
_NAME_UPDATE = (19, 20)
_NONRESIDENT = 8
_RECORD_TARGETS = frozenset({2, 3, 4, 5, 6, 7, 9, 11, 12, 13, 17, 19, 33, 35, 37})  # operations on a record of $MFT
_MASK = (1 << 48) - 1
_DOS = 2
_SPACES = ("posix", "win32", "dos", "win32+dos")
_CLUSTERS = tuple(1 << n for n in range(9, 22))


class Name(NamedTuple):
    """A $FILE_NAME out of a directory entry or a record; times are FILETIMEs: created, modified, changed, accessed."""

    record: int
    sequence: int
    parent: int
    parent_sequence: int
    times: tuple[int, int, int, int]
    size: int
    space: int
    text: str


def name_in(value: bytes, reference: int) -> Name | None:
    """The $FILE_NAME that ``value`` is, of the file that ``reference`` names; None where it cannot be one."""
    if len(value) < 66:
        return None
    parent, *times = struct.unpack_from("<Q4q", value, 0)
    size = struct.unpack_from("<q", value, 48)[0]
    units, space = value[64], value[65]
    if not units or space > 3 or 66 + 2 * units > len(value) or parent & _MASK == 0 or min(times) < 0 or size < 0:
        return None
    text = one_name(value[66 : 66 + 2 * units])
    held = (times[0], times[1], times[2], times[3])
    return Name(reference & _MASK, reference >> 48, parent & _MASK, parent >> 48, held, size, space, text)


def entry_name(entry: bytes) -> Name | None:
    """The name that an entry of a directory's index ($I30) holds; None for entries of other indexes."""
    if len(entry) < 16 + 66:
        return None
    reference, length, key = struct.unpack_from("<QHH", entry, 0)
    if key < 66 or length < 16 + key or length > len(entry) + 8:
        return None
    return name_in(entry[16 : 16 + key], reference)


def record_names(record: bytes) -> list[Name]:
    """The names in a record of $MFT as the log holds it (its fixups not applied), DOS names last."""
    if record[:4] != b"FILE" or len(record) < 48:
        return []
    number = int.from_bytes(record[44:48], "little") | int.from_bytes(record[16:18], "little") << 48
    at = int.from_bytes(record[20:22], "little")
    found: list[Name] = []
    while at + 24 <= len(record):
        kind, length = struct.unpack_from("<II", record, at)
        if kind == 0xFFFFFFFF or length < 24 or length & 7 or at + length > len(record):
            break
        if kind == 0x30 and not record[at + 8]:
            size, start = struct.unpack_from("<IH", record, at + 16)
            name = name_in(record[at + start : at + min(start + size, length)], number)
            if name is not None:
                found.append(name)
        at += length
    return sorted(found, key=lambda name: name.space == _DOS)


def cluster_of(records: Sequence[LogRecord], size: int) -> int | None:
    """Bytes of a cluster, by the records of $MFT that the log holds with their numbers; None where they do not agree."""
    told = [
        (r.vcn, r.block, int.from_bytes(r.redo[44:48], "little"))
        for r in records
        if r.redo_op == INITIALIZE and r.redo[:4] == b"FILE" and r.redo[4:6] == b"\x30\0"
    ]
    fits = [c for c in _CLUSTERS if told and all((vcn * c + block * 512) // size == n for vcn, block, n in told)]
    return fits[0] if len(fits) == 1 else None


class Meanings:
    """The records of one log in order of sequence number; what each means beside its operations."""

    def __init__(self, records: Sequence[LogRecord], cluster: int | None, record_size: int) -> None:
        self.records = sorted(records, key=lambda r: r.lsn)
        self._cluster = cluster if cluster is not None else cluster_of(self.records, record_size)
        self._size = record_size
        self._root: dict[int, int] = {}
        self._came: set[tuple[int, int]] = set()
        self._went: set[tuple[int, int]] = set()
        self.names: dict[int, Name] = {}
        for record in self.records:
            root = self._root[record.lsn] = self._root.get(record.previous, record.lsn)
            name = self._name(record)
            if name is None:
                continue
            self.names[record.lsn] = name
            if record.redo_op in _ADD:
                self._came.add((root, name.record))
            elif record.redo_op in _DELETE:
                self._went.add((root, name.record))

    @staticmethod
    def _name(record: LogRecord) -> Name | None:
        if record.redo_op in _ADD:
            return entry_name(record.redo)
        if record.redo_op in _DELETE:
            return entry_name(record.undo)
        for op, data in ((record.redo_op, record.redo), (record.undo_op, record.undo)):
            if op == INITIALIZE and data:
                return next(iter(record_names(data)), None)
        return None

    def target(self, record: LogRecord) -> int | None:
        """The record of $MFT that the operation is on, where that can be told."""
        op = record.redo_op if record.redo_op in _RECORD_TARGETS else record.undo_op
        if self._cluster is None or op not in _RECORD_TARGETS:
            return None
        return (record.vcn * self._cluster + record.block * 512) // self._size

    def said(self, record: LogRecord) -> tuple[EventKind, str | None]:
        """What happened, and in the words of the change journal; LOG_MESSAGE for an operation that says no more."""
        name = self.names.get(record.lsn)
        root = self._root[record.lsn]
        if name is not None and name.space == _DOS:
            return EventKind.LOG_MESSAGE, None  # the short name of a file whose long one has a record of its own
        if name is not None and record.redo_op in _ADD:
            renamed = (root, name.record) in self._went
            return (EventKind.FILE_RENAMED, "RENAME_NEW_NAME") if renamed else (EventKind.FILE_CREATED, "FILE_CREATE")
        if name is not None and record.redo_op in _DELETE:
            renamed = (root, name.record) in self._came
            return (EventKind.FILE_RENAMED, "RENAME_OLD_NAME") if renamed else (EventKind.FILE_DELETED, "FILE_DELETE")
        if record.redo_op in _NAME_UPDATE and len(record.redo) >= 56:
            return EventKind.FILE_CHANGED, None
        return EventKind.LOG_MESSAGE, None

    def moment(self, record: LogRecord, kind: EventKind) -> int | None:
        """When, ns since 1970: by the copy of the file's times that the record carries; None where it carries none."""
        name = self.names.get(record.lsn)
        if name is not None and kind is EventKind.FILE_CREATED:
            return filetime_ns(name.times[0])
        if name is not None and kind is EventKind.FILE_RENAMED and record.redo_op in _ADD:
            return filetime_ns(name.times[2])
        if kind is EventKind.FILE_CHANGED:
            held = struct.unpack_from("<4q", record.redo, 0)
            return filetime_ns(held[2]) if min(held) > 0 else None
        return None


def journal_entry(record: LogRecord) -> tuple[Name, int, int, int] | None:
    """(name, reason, time as FILETIME, USN) of an entry that was written to the change journal; None for other writes."""
    data = record.redo
    if record.redo_op != _NONRESIDENT or len(data) < 60 or record.attribute_offset or data[4:8] != b"\x02\0\0\0":
        return None
    length, _, _, file, parent, usn, time, reason, _, _, _, size, start = struct.unpack_from("<IHHQQqqIIIIHH", data, 0)
    if length > len(data) or length & 7 or start < 60 or start + size > length or size & 1 or usn < 0:
        return None
    text = one_name(data[start : start + size])
    return Name(file & _MASK, file >> 48, parent & _MASK, parent >> 48, (0, 0, 0, 0), 0, 0, text), reason, time, usn


def reason_words(reason: int) -> str:
    """Reasons of the change journal as words."""
    return "|".join(word for bit, word in REASONS if reason & bit)


def fields_of(record: LogRecord, name: Name | None, target: int | None, reason: str | None) -> dict[str, Value]:
    """The own columns of one record."""
    return {
        "lsn": record.lsn, "transaction": record.transaction, "redo": operation(record.redo_op),
        "undo": operation(record.undo_op), "reason": reason, "record": target, "vcn": record.vcn,
        "slack": record.slack, "inode": name.record if name else None, "sequence": name.sequence if name else None,
        "parent": name.parent if name else None, "parent_sequence": name.parent_sequence if name else None,
        "name": name.text if name else None,
        "name_space": _SPACES[name.space] if name else None, "size": name.size if name else None,
    }  # fmt: skip


def checkpoint(record: LogRecord) -> Event:
    """A checkpoint: where replaying would begin."""
    fields: dict[str, Value] = {"lsn": record.lsn, "redo": "Checkpoint", "slack": record.slack}
    if len(record.redo) >= 16:
        fields["replay_from_lsn"] = struct.unpack_from("<Q", record.redo, 8)[0]
    return Event(record.at, record.length, EventKind.LOG_MESSAGE, fields=fields)


def events(meanings: Meanings, path_of: object) -> Iterator[Event]:
    """One event for each record, in order of sequence number."""
    find = path_of if callable(path_of) else None
    for record in meanings.records:
        if record.kind == 2:
            yield checkpoint(record)
            continue
        kind, reason = meanings.said(record)
        name, moment = meanings.names.get(record.lsn), meanings.moment(record, kind)
        entry = journal_entry(record)
        fields = fields_of(record, entry[0] if entry else name, meanings.target(record), reason)
        if entry is not None:
            name, kind, moment = entry[0], EventKind.FILE_CHANGED, filetime_ns(entry[2])
            fields |= {"reason": reason_words(entry[1]), "usn": entry[3]}
        path = None
        if name is not None:
            path = find(record.at, name) if find is not None else name.text
        yield Event(
            record.at, record.length, kind, moment, TimeBasis.UTC if moment is not None else TimeBasis.NONE,
            file_path=path, fields={k: v for k, v in fields.items() if v is not None},
        )  # fmt: skip
