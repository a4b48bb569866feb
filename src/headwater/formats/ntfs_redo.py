# SPDX-License-Identifier: Apache-2.0
"""What one operation of $LogFile does to the record, index buffer or clusters that it names; redo and undo alike.

An operation is applied to bytes whose fixups are undone. It is refused where those bytes are not what it expects: a log
is evidence too, and may lie. The operations and their operands: the Linux NTFS project, layout.h and logfile.h of
ntfs-3g, and the kernel's fs/ntfs3/fslog.c for what each does.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from headwater.formats.ntfs_log import LogRecord

RECORD_OPS = frozenset({2, 3, 4, 5, 6, 7, 9, 11, 12, 13, 17, 19, 33, 37})
INDEX_OPS = frozenset({14, 15, 16, 18, 20, 34})
RAW_OPS = frozenset({8, 21, 22})
# what changes nothing on the volume: transactions, tables, marks
QUIET_OPS = frozenset({0, 1, 10, 24, 25, 26, 27, 28, 29, 30, 31, 32})
INITIALIZE = 2
_INDEX_HEAD = 24  # of an index buffer, where its header of entries stands
_ROOT_HEAD = 16  # of the value of $INDEX_ROOT
_NAME_ATTRIBUTE = 0x30
_IN_USE = 1
_END = 0xFFFFFFFF


class Refused(ValueError):
    """The bytes are not what the operation expects."""


def _u16(data: bytearray, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def _u32(data: bytearray, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def _put(data: bytearray, at: int, value: int, size: int) -> None:
    if value < 0 or value >> 8 * size or at + size > len(data):
        raise Refused("a length that cannot be")
    data[at : at + size] = value.to_bytes(size, "little")


def _write(data: bytearray, at: int, new: bytes) -> None:
    if at < 0 or at + len(new) > len(data):
        raise Refused("it would write beyond its target")
    data[at : at + len(new)] = new


def _splice(data: bytearray, at: int, removed: int, new: bytes, end: int) -> None:
    """Put ``new`` in place of ``removed`` bytes at ``at`` among the ``end`` bytes in use; the whole keeps its size."""
    if not 0 <= at <= at + removed <= end <= len(data) or end - removed + len(new) > len(data):
        raise Refused("it would write beyond its target")
    rest = bytes(data[at + removed : end])
    data[at : at + len(new) + len(rest)] = new + rest


def _attribute(data: bytearray, record: LogRecord) -> int:
    """Where the attribute stands that an operation on a file record names."""
    at = record.offset
    if at < 42 or at & 7 or at + 24 > _used(data) or _u32(data, at) == _END or at + _u32(data, at + 4) > _used(data):
        raise Refused("no attribute stands where it names one")
    return at


def _used(data: bytearray) -> int:
    used = _u32(data, 24)
    if used > len(data):
        raise Refused("a record that says it is larger than it is")
    return used


def _grow(data: bytearray, at: int, size: int) -> None:
    """Make the attribute at ``at`` ``size`` bytes long, at its end."""
    old, used = _u32(data, at + 4), _used(data)
    if size >= old:
        _splice(data, at + old, 0, bytes(size - old), used)
    else:
        _splice(data, at + size, old - size, b"", used)
    _put(data, 24, used + size - old, 4)
    _put(data, at + 4, size, 4)


def _initialize(data: bytearray, record: LogRecord, operand: bytes) -> None:
    if operand[:4] != b"FILE":
        raise Refused("it makes no file record")
    _write(data, record.offset + record.attribute_offset, operand)


def _deallocate(data: bytearray, record: LogRecord, operand: bytes) -> None:
    if _u16(data, 22) & _IN_USE:
        _put(data, 16, (_u16(data, 16) + 1) & 0xFFFF or 1, 2)
    _put(data, 22, _u16(data, 22) & ~_IN_USE, 2)


def _end_of_record(data: bytearray, record: LogRecord, operand: bytes) -> None:
    _write(data, record.offset, operand)
    _put(data, 24, record.offset + len(operand), 4)


def _create(data: bytearray, record: LogRecord, operand: bytes) -> None:
    size = int.from_bytes(operand[4:8], "little")
    if len(operand) < 24 or size != len(operand) or record.offset < 42:
        raise Refused("it makes no attribute")
    used = _used(data)
    _splice(data, record.offset, 0, operand, used)
    _put(data, 24, used + size, 4)
    number = int.from_bytes(operand[14:16], "little")
    if number >= _u16(data, 40):
        _put(data, 40, number + 1, 2)
    _names(data, operand, 1)


def _names(data: bytearray, attribute: bytes | bytearray, by: int) -> None:
    """A record counts its names: each is an attribute of its own."""
    if int.from_bytes(attribute[:4], "little") == _NAME_ATTRIBUTE:
        _put(data, 18, max(0, _u16(data, 18) + by), 2)


def _delete(data: bytearray, record: LogRecord, operand: bytes) -> None:
    at = _attribute(data, record)
    size, used = _u32(data, at + 4), _used(data)
    _names(data, data[at : at + size], -1)
    _splice(data, at, size, b"", used)
    _put(data, 24, used - size, 4)


def _resident(data: bytearray, record: LogRecord, operand: bytes) -> None:
    at = _attribute(data, record)
    end = record.attribute_offset + len(operand)
    if data[at + 8]:
        raise Refused("the attribute is not resident")
    if len(record.redo) != len(record.undo) or end > _u32(data, at + 4):
        _grow(data, at, end + 7 & ~7)
        _put(data, at + 16, end - _u16(data, at + 20), 4)
    _write(data, at + record.attribute_offset, operand)


def _mapping(data: bytearray, record: LogRecord, operand: bytes) -> None:
    at = _attribute(data, record)
    if not data[at + 8]:
        raise Refused("the attribute is resident")
    _grow(data, at, record.attribute_offset + len(operand) + 7 & ~7)
    _write(data, at + record.attribute_offset, operand)
    pairs = bytes(data[at + _u16(data, at + 32) : at + _u32(data, at + 4)])
    first = int.from_bytes(data[at + 16 : at + 24], "little")
    _put(data, at + 24, (first + _clusters(pairs) - 1) & (1 << 64) - 1, 8)


def _clusters(pairs: bytes) -> int:
    """How many clusters mapping pairs name."""
    total = at = 0
    while at < len(pairs) and pairs[at]:
        length, place = pairs[at] & 15, pairs[at] >> 4
        total += int.from_bytes(pairs[at + 1 : at + 1 + length], "little")
        at += 1 + length + place
    return total


def _sizes(data: bytearray, record: LogRecord, operand: bytes) -> None:
    at = _attribute(data, record)
    if not data[at + 8] or len(operand) < 24:
        raise Refused("the attribute is resident")
    allocated, valid, size = (operand[n : n + 8] for n in (0, 8, 16))
    _write(data, at + 40, allocated + size + valid)
    if len(operand) >= 32 and _u16(data, at + 32) >= 72:
        _write(data, at + 64, operand[24:32])


def _root(data: bytearray, record: LogRecord) -> tuple[int, int]:
    """(where the attribute stands, where its header of entries stands) of $INDEX_ROOT."""
    at = _attribute(data, record)
    if data[at + 8] or _u32(data, at) != 0x90:
        raise Refused("the attribute is no index root")
    return at, at + _u16(data, at + 20) + _ROOT_HEAD


def _add_root(data: bytearray, record: LogRecord, operand: bytes) -> None:
    at, head = _root(data, record)
    size, used = _entry_size(operand), _used(data)
    place = at + record.attribute_offset
    if not head + 16 <= place <= head + _u32(data, head + 4):
        raise Refused("the place of the entry is outside the index")
    _splice(data, place, 0, operand[:size], used)
    _resize_root(data, at, head, size)


def _delete_root(data: bytearray, record: LogRecord, operand: bytes) -> None:
    at, head = _root(data, record)
    place = at + record.attribute_offset
    size = _entry_at(data, place, head)
    _splice(data, place, size, b"", _used(data))
    _resize_root(data, at, head, -size)


def _resize_root(data: bytearray, at: int, head: int, by: int) -> None:
    _put(data, 24, _u32(data, 24) + by, 4)
    _put(data, at + 4, _u32(data, at + 4) + by, 4)
    _put(data, at + 16, _u32(data, at + 16) + by, 4)
    _put(data, head + 4, _u32(data, head + 4) + by, 4)
    _put(data, head + 8, _u32(data, head + 8) + by, 4)


def _entry_size(entry: bytes) -> int:
    size = int.from_bytes(entry[8:10], "little")
    if size < 16 or size & 7 or size > len(entry):
        raise Refused("no index entry")
    return size


def _entry_at(data: bytearray, place: int, head: int) -> int:
    """The size of the entry that stands at a place of an index."""
    end = head + _u32(data, head + 4)
    if not head + 16 <= place <= end - 16 or end > len(data):
        raise Refused("the place of the entry is outside the index")
    size = _u16(data, place + 8)
    if size < 16 or size & 7 or place + size > end:
        raise Refused("no entry stands where it names one")
    return size


def _add_entry(data: bytearray, record: LogRecord, operand: bytes) -> None:
    size, place = _entry_size(operand), record.offset + record.attribute_offset
    end = _INDEX_HEAD + _u32(data, _INDEX_HEAD + 4)
    if not _INDEX_HEAD + 16 <= place <= end:
        raise Refused("the place of the entry is outside the index")
    _splice(data, place, 0, operand[:size], end)
    _put(data, _INDEX_HEAD + 4, end - _INDEX_HEAD + size, 4)


def _delete_entry(data: bytearray, record: LogRecord, operand: bytes) -> None:
    place = record.offset + record.attribute_offset
    size = _entry_at(data, place, _INDEX_HEAD)
    end = _INDEX_HEAD + _u32(data, _INDEX_HEAD + 4)
    _splice(data, place, size, b"", end)
    _put(data, _INDEX_HEAD + 4, end - _INDEX_HEAD - size, 4)


def _end_of_index(data: bytearray, record: LogRecord, operand: bytes) -> None:
    place = record.offset + record.attribute_offset
    _write(data, place, operand)
    _put(data, _INDEX_HEAD + 4, place + len(operand) - _INDEX_HEAD, 4)


def _within_entry(kind: str, rooted: bool) -> Callable[[bytearray, LogRecord, bytes], None]:
    """An operation on a part of an entry: the copy of a file's times and sizes, the buffer below it, or its data."""

    def apply(data: bytearray, record: LogRecord, operand: bytes) -> None:
        if rooted:
            at, head = _root(data, record)
        else:
            at, head = record.offset, _INDEX_HEAD
        place = at + record.attribute_offset
        size = _entry_at(data, place, head)
        if kind == "name":
            start = 24  # behind the entry's head and the parent's reference
        elif kind == "vcn":
            start = size - 8
        else:
            start = _u16(data, place)
        if start < 0 or start + len(operand) > size:
            raise Refused("it would write beyond the entry")
        _write(data, place + start, operand)

    return apply


def _zero_end(data: bytearray, record: LogRecord, operand: bytes) -> None:
    at = record.offset + record.attribute_offset
    if at < 42:
        raise Refused("it would wipe the record's head")
    data[at:] = bytes(max(0, len(data) - at))


def _value(data: bytearray, record: LogRecord, operand: bytes) -> None:
    _write(data, record.offset + record.attribute_offset, operand)


def _bits(used: bool) -> Callable[[bytearray, LogRecord, bytes], None]:
    def apply(data: bytearray, record: LogRecord, operand: bytes) -> None:
        if len(operand) < 8:
            raise Refused("no range of bits")
        first, count = struct.unpack_from("<II", operand, 0)
        start = record.offset * 8
        if (start + first + count + 7) // 8 > len(data):
            raise Refused("it would write beyond its target")
        bits = int.from_bytes(data, "little")
        mask = (1 << count) - 1 << start + first
        bits = bits | mask if used else bits & ~mask
        data[:] = bits.to_bytes(len(data), "little")

    return apply


_OPERATIONS: dict[int, Callable[[bytearray, LogRecord, bytes], None]] = {
    2: _initialize, 3: _deallocate, 4: _end_of_record, 5: _create, 6: _delete, 7: _resident, 8: _value, 9: _mapping,
    11: _sizes, 12: _add_root, 13: _delete_root, 14: _add_entry, 15: _delete_entry, 16: _end_of_index,
    17: _within_entry("vcn", True), 18: _within_entry("vcn", False), 19: _within_entry("name", True),
    20: _within_entry("name", False), 21: _bits(True), 22: _bits(False), 33: _within_entry("data", True),
    34: _within_entry("data", False), 37: _zero_end,
}  # fmt: skip


def apply(data: bytearray, record: LogRecord, code: int, operand: bytes) -> None:
    """Apply operation ``code`` of a record with its operand to ``data``, which stays as it was where it is refused.

    Raises:
        Refused: the bytes are not what it expects, or there is no such operation.
    """
    done = _OPERATIONS.get(code)
    if done is None:
        raise Refused("an operation that is not known")
    before = bytes(data)
    try:
        done(data, record, operand)
    except (Refused, struct.error, IndexError, OverflowError) as error:
        data[:] = before
        raise Refused(str(error)) from error
