# SPDX-License-Identifier: Apache-2.0
"""The log of a VHDX that was not closed: found, checked, and played back in memory over the file's bytes.

Specification: Microsoft, [MS-VHDX] 2.3 "Log". The active sequence is the valid run of entries that ends with the
highest sequence number and reaches back to the tail that its last entry names; a torn entry ends a run. Nothing is
written.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from headwater.formats.crc32c import crc32c, crc32c_blocks
from headwater.formats.sources import Bad
from headwater.model.ports import ByteSource

_UNIT = 4096
_ENTRY = struct.Struct("<4sIIIQII16sQQ")
_DESCRIPTOR = struct.Struct("<4sIQQQ")
_LOG_MOST = 64 << 20  # bytes of log that are looked at; writers make it 1 MiB
_ZEROS_MOST = 4096  # ranges of zeros in a sequence
_CRC_AT = 4
_ROW = 64


def checksum(data: bytes, place: int = _CRC_AT) -> int:
    """CRC-32C (RFC 3720) of a multiple of 64 bytes in which the four bytes at ``place`` count as zeros."""
    raw = np.frombuffer(data, np.uint8).copy()
    raw[place : place + 4] = 0
    total = 0xFFFF_FFFF
    one, two, three, four = _row_later()
    # the checksum is linear: that of two parts is the first's, carried over the second's length, xor the second's own
    for own in crc32c_blocks(0, raw.reshape(-1, _ROW)).tolist():
        total = own ^ one[total & 255] ^ two[total >> 8 & 255] ^ three[total >> 16 & 255] ^ four[total >> 24]
    return total ^ 0xFFFF_FFFF


@functools.cache
def _row_later() -> tuple[list[int], list[int], list[int], list[int]]:
    """What a checksum becomes over 64 bytes of zeros, by each of its bytes."""
    bits = [crc32c(1 << bit, bytes(_ROW)) for bit in range(32)]
    tables: list[list[int]] = []
    for byte in range(4):
        table = [0] * 256
        for value in range(256):
            for bit in range(8):
                if value >> bit & 1:
                    table[value] ^= bits[byte * 8 + bit]
        tables.append(table)
    return tables[0], tables[1], tables[2], tables[3]


class _Entry(NamedTuple):
    at: int
    length: int
    tail: int
    sequence: int
    descriptors: int
    flushed: int


class Write(NamedTuple):
    """``length`` bytes of the file from ``offset`` as the log has them; ``data`` empty: zeros."""

    offset: int
    length: int
    data: bytes


class _Log:
    """The circular log region of a file."""

    def __init__(self, source: ByteSource, offset: int, length: int, identity: bytes) -> None:
        self._source, self._offset, self._length, self._identity = source, offset, length, identity
        self._seen: dict[int, _Entry | None] = {}
        self._summed = 0

    def read(self, at: int, length: int) -> bytes:
        """Bytes of the log, round its end."""
        at %= self._length
        first = min(length, self._length - at)
        data = self._source.pread(self._offset + at, first)
        return data + self._source.pread(self._offset, length - first) if first < length else data

    def entry(self, at: int) -> _Entry | None:
        """The entry that begins here, if it is whole and of this log."""
        head = self.read(at, _UNIT)
        if head[:4] != b"loge" or len(head) < _UNIT:
            return None
        _, stated, length, tail, sequence, descriptors, _, identity, flushed, _ = _ENTRY.unpack_from(head)
        if identity != self._identity or length % _UNIT or not _UNIT <= length <= self._length:
            return None
        if tail % _UNIT or tail >= self._length or not sequence or descriptors * 32 + 64 > length:
            return None
        # sound entries do not overlap: what claims to is not followed for ever
        self._summed += length
        data = self.read(at, length) if self._summed <= 4 * self._length else b""
        if len(data) < length or checksum(data) != stated:
            return None
        return _Entry(at, length, tail, sequence, descriptors, flushed)

    def active(self) -> list[_Entry]:
        """The entries to play back, the oldest first."""
        best: list[_Entry] = []
        inside: set[int] = set()  # places within a run already followed: a run that begins there is a part of it
        for start in range(0, self._length, _UNIT):
            run: list[_Entry] = []
            at, total = start, 0
            while start not in inside and total < self._length:
                entry = self._known(at)
                if entry is None or (run and entry.sequence != run[-1].sequence + 1):
                    break
                run.append(entry)
                total += entry.length
                at = (at + entry.length) % self._length
            inside.update(e.at for e in run)
            # the run counts from where its last entry says that the tail is
            tails = [i for i, e in enumerate(run) if e.at == run[-1].tail]
            if tails and (not best or run[-1].sequence > best[-1].sequence):
                best = run[tails[0] :]
        return best

    def _known(self, at: int) -> _Entry | None:
        if at not in self._seen:
            self._seen[at] = self.entry(at)
        return self._seen[at]

    def writes(self, entry: _Entry) -> list[Write] | None:
        """What an entry writes; None where its descriptors contradict it."""
        data = self.read(entry.at, entry.length)
        heads = -(-(64 + entry.descriptors * 32) // _UNIT) * _UNIT
        found: list[Write] = []
        for number in range(entry.descriptors):
            kind, trailing, leading, offset, sequence = _DESCRIPTOR.unpack_from(data, 64 + number * 32)
            if sequence != entry.sequence or offset % _UNIT:
                return None
            if kind == b"zero":
                found.append(Write(offset, leading, b""))
                continue
            sector = data[heads : heads + _UNIT]
            heads += _UNIT
            high, low = sector[4:8], sector[-4:]
            whole = int.from_bytes(low, "little") | int.from_bytes(high, "little") << 32
            if kind != b"desc" or sector[:4] != b"data" or whole != entry.sequence:
                return None
            content = leading.to_bytes(8, "little") + sector[8:-4] + trailing.to_bytes(4, "little")
            found.append(Write(offset, _UNIT, content))
        return found


def replay(source: ByteSource, offset: int, length: int, identity: bytes) -> tuple[list[Write], str]:
    """The writes of the log's active sequence in order, and '' or in words why they are not all there."""
    if length > _LOG_MOST or not length or length % _UNIT or offset + length > source.size:
        return [], "the log lies where no log can be"
    log = _Log(source, offset, length, identity)
    found: list[Write] = []
    entries = log.active()
    for entry in entries:
        writes = log.writes(entry)
        if writes is None:
            return found, "an entry of the log contradicts itself"
        found.extend(writes)
        if sum(not write.data for write in found) > _ZEROS_MOST:
            return [], "the log zeroes more ranges than any log does"
        if entry.flushed > source.size:
            return found, "the file is shorter than its log says: it was cut"
    return found, "" if entries else "the log holds no entry that can be played back"


class Played:
    """A file with the writes of its log over it, in memory. Nothing is written anywhere."""

    def __init__(self, source: ByteSource, writes: Sequence[Write]) -> None:
        self._source = source
        self._units: dict[int, bytes] = {}
        self._zeros: list[tuple[int, int]] = []
        end = source.size
        for write in writes:
            end = max(end, write.offset + (write.length if write.data else 0))
            if write.data:
                self._units[write.offset // _UNIT] = write.data
            else:
                self._zeros.append((write.offset, write.length))
                for unit in [u for u in self._units if write.offset <= u * _UNIT < write.offset + write.length]:
                    del self._units[unit]
        self.size = end

    @property
    def bad(self) -> Sequence[Bad]:
        """What cannot be read of the file itself; what the log replaces is read from the log."""
        return [b for b in self._source.bad if not self._replaced(b[0], b[1])]

    def _replaced(self, offset: int, length: int) -> bool:
        units = range(offset // _UNIT, -(-(offset + length) // _UNIT))
        return len(units) <= len(self._units) and all(unit in self._units for unit in units)

    def pread(self, offset: int, length: int) -> bytes:
        """See :class:`headwater.model.ports.ByteSource`."""
        length = min(length, self.size - offset)
        if length <= 0 or offset < 0:
            return b""
        data = bytearray(self._source.pread(offset, length).ljust(length, b"\0"))
        for start, size in self._zeros:
            low, high = max(start, offset), min(start + size, offset + length)
            if low < high:
                data[low - offset : high - offset] = bytes(high - low)
        first, last = offset // _UNIT, (offset + length - 1) // _UNIT
        small = last - first < len(self._units)
        for unit in range(first, last + 1) if small else [u for u in self._units if first <= u <= last]:
            held = self._units.get(unit)
            if held is not None:
                low, high = max(offset, unit * _UNIT), min(offset + length, (unit + 1) * _UNIT)
                data[low - offset : high - offset] = held[low - unit * _UNIT : high - unit * _UNIT]
        return bytes(data)

    def close(self) -> None:
        """Nothing of its own to close."""
