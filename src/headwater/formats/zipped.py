# SPDX-License-Identifier: Apache-2.0
"""Lists a zip archive and reads its members in place.

Format: PKWARE APPNOTE 6.3.10, with zip64. Names are bytes. A DOS time is local time without a zone: it is no time in
UTC and is left out; ``modified`` comes from the extra fields that state UTC (0x5455 extended timestamp, 0x000a NTFS)
where they are. Encrypted members are a gap; stored, deflate, bzip2, zstd and xz members are read, others are a gap.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from isal import isal_zlib

from headwater.formats.compressed import Layer, Limits
from headwater.formats.folders import kind_of_mode
from headwater.formats.members import Namesakes, member_path
from headwater.formats.sources import ChainSource, Piece, window
from headwater.formats.spooled import spooled
from headwater.formats.trees import Coverage, Entry, EntryKind
from headwater.model.kinds import GapReason
from headwater.model.paths import encode_name
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

_ENTRIES = 5_000_000
_END = 22
_COMMENT = 65_535
_LINK = 4096
_CRC_STEP = 1 << 20
_METHODS: dict[int, Layer] = {8: "deflate", 12: "bz2", 93: "zst", 95: "xz"}
_FILETIME_EPOCH = 11_644_473_600  # seconds from 1601 to 1970


class _Member(NamedTuple):
    """One entry of the central directory."""

    name: bytes
    made_by: int
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    attributes: int
    header: int
    extra: bytes


class ZipTree:
    """The members of a zip archive in the order of its directory; ``key`` is where its directory entry stands."""

    kind = "zip"

    def __init__(self, source: ByteSource, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._warnings: list[Gap] = []
        self._shift = 0  # bytes before the archive's own beginning (a self-extractor's stub)

    @property
    def warnings(self) -> Sequence[Gap]:
        """Damage met so far, and members that cannot be read; offsets in the archive file."""
        return tuple(self._warnings)

    def entries(self) -> Iterator[Entry]:
        self._warnings = []
        found = self._directory()
        if found is None:
            detail = "no central directory: the archive is cut off or broken, and its members are not listed"
            self._warnings.append(Gap(0, self._source.size, GapReason.TRUNCATED, detail))
            return
        at, end, count = found
        names = Namesakes()
        listed = 0
        while at < end and listed < _ENTRIES:
            read = self._read(at)
            if read is None:
                self._warnings.append(Gap(at, end - at, GapReason.UNREADABLE, "the central directory is broken here"))
                return
            member, after = read
            yield self._entry(member, at, names)
            at, listed = after, listed + 1
        if at < end:
            self._warnings.append(Gap(at, end - at, GapReason.LIMIT, f"more than {_ENTRIES} members"))
        elif listed != count:
            detail = f"the archive states {count} members and lists {listed}"
            self._warnings.append(Gap(end, _END, GapReason.NOT_THIS_FORMAT, detail))

    def _directory(self) -> tuple[int, int, int] | None:
        """Where the central directory begins and ends, and how many entries it should have (APPNOTE 4.3.14–16)."""
        size = self._source.size
        tail = self._source.pread(max(0, size - _END - _COMMENT), _END + _COMMENT)
        base = size - len(tail)
        place = tail.rfind(b"PK\x05\x06")
        while place >= 0:
            record = tail[place : place + _END]
            if len(record) == _END:
                count, length, offset = struct.unpack_from("<HII", record, 10)
                end = base + place
                if 0xFFFF in (count,) or 0xFFFFFFFF in (length, offset):
                    count, length, offset, end = self._zip64(end) or (count, length, offset, end)
                start = end - length
                if start >= 0 and (length == 0 or self._source.pread(start, 4) == b"PK\x01\x02"):
                    self._shift = start - offset
                    if self._shift < 0:
                        self._shift = 0
                    return start, end, count
            place = tail.rfind(b"PK\x05\x06", 0, place)
        return None

    def _zip64(self, end: int) -> tuple[int, int, int, int] | None:
        locator = self._source.pread(end - 20, 20) if end >= 20 else b""
        if locator[:4] != b"PK\x06\x07":
            return None
        where = int.from_bytes(locator[8:16], "little")
        for at in (where, end - 20 - 56):  # the second: behind a stub the stated offset is too small
            record = self._source.pread(at, 56) if at >= 0 else b""
            if record[:4] == b"PK\x06\x06" and len(record) == 56:
                count, length, offset = struct.unpack_from("<QQQ", record, 32)
                return count, length, offset, at
        return None

    def _read(self, at: int) -> tuple[_Member, int] | None:
        """The directory entry at ``at`` and where the next one stands (APPNOTE 4.3.12)."""
        head = self._source.pread(at, 46)
        if len(head) < 46 or head[:4] != b"PK\x01\x02":
            return None
        made_by, _, flags, method = struct.unpack_from("<HHHH", head, 4)
        crc, packed, size, name_length, extra_length, comment = struct.unpack_from("<IIIHHH", head, 16)
        attributes, header = struct.unpack_from("<II", head, 38)
        rest = self._source.pread(at + 46, name_length + extra_length)
        name, extra = rest[:name_length], rest[name_length:]
        wide = _extra(extra, 0x0001)
        values: list[int] = []
        for value in (size, packed, header):  # zip64 holds only those that do not fit, in this order
            if value == 0xFFFFFFFF and len(wide) >= 8:
                value, wide = int.from_bytes(wide[:8], "little"), wide[8:]
            values.append(value)
        size, packed, header = values
        member = _Member(name, made_by >> 8, flags, method, crc, packed, size, attributes, header, extra)
        return member, at + 46 + name_length + extra_length + comment

    def _entry(self, member: _Member, at: int, names: Namesakes) -> Entry:
        # only hosts 3 (Unix) and 19 (OS X) put a mode into the upper half of the attributes
        mode = member.attributes >> 16 if member.made_by in (3, 19) else 0
        kind: EntryKind = kind_of_mode(mode) if mode & 0o170000 else "file"
        if member.name.endswith((b"/", b"\\")) or (member.made_by not in (3, 19) and member.attributes & 0x10):
            kind = "dir"
        path = names.of(member_path(member.name))
        why = self._refused(member)
        if why is not None and kind == "file":
            gap = Gap(member.header + self._shift, member.packed, why[0], f"{path}: {why[1]}")
            self._warnings.append(gap)
        modified, accessed, created = _times(member.extra)
        uid, gid = _owner(member.extra)
        return Entry(
            path=path,
            kind=kind,
            size=member.size if kind == "file" else 0,
            mode=mode,
            uid=uid,
            gid=gid,
            inode=0,
            allocated=True,
            modified=modified,
            accessed=accessed,
            changed=None,
            created=created,
            deleted=None,
            target=self._target(member) if kind == "link" else None,
            key=str(at),
        )

    def _target(self, member: _Member) -> str | None:
        if member.size > _LINK or self._refused(member) is not None:
            return None
        content = self._content(member)
        return encode_name(content.pread(0, _LINK))

    @staticmethod
    def _refused(member: _Member) -> tuple[GapReason, str] | None:
        if member.flags & 0x2041 or member.method == 99:  # encrypted, strongly, its directory too; AES
            return GapReason.ENCRYPTED, "the member is encrypted"
        if member.method and member.method not in _METHODS:
            return GapReason.UNSUPPORTED, f"zip compression method {member.method} is not supported"
        return None

    def open(self, key: str) -> ByteSource:
        """The member's bytes as far as they can be had; what of its stated size cannot be is listed in ``bad``.

        Where its checksum does not fit, all of it is listed there beside the bytes, which are given all the same.
        """
        if self._shift == 0 and not self._warnings:
            self._directory()  # a fresh tree learns of a stub here
        read = self._read(int(key)) if key.isdigit() and len(key) < 19 else None
        if read is None:
            raise KeyError(key)
        return self._content(read[0])

    def _content(self, member: _Member) -> ByteSource:
        why = self._refused(member)
        if why is not None:
            return ChainSource((), extra=((0, member.size, *why),))
        start = member.header + self._shift
        local = self._source.pread(start, 30)
        if len(local) < 30 or local[:4] != b"PK\x03\x04":
            detail = "the member's own header is missing"
            return ChainSource((), extra=((0, member.size, GapReason.UNREADABLE, detail),))
        name_length, extra_length = struct.unpack_from("<HH", local, 26)
        packed = window(self._source, start + 30 + name_length + extra_length, member.packed)
        if member.method == 0:
            return _checked(packed, member, ())
        content = spooled(packed, _METHODS[member.method], self._limits)
        gap = content.gap
        lost = ((content.size, member.size - content.size, gap.reason, gap.detail),) if gap else ()
        return _checked(content, member, lost)

    def extents(self, key: str) -> tuple[tuple[int, int], ...]:
        """Always (): a member is rarely stored as it is."""
        return ()

    def coverage(self) -> Iterator[tuple[int, int, Coverage]]:
        """Nothing: an archive is no medium."""
        return iter(())


def _checked(content: ByteSource, member: _Member, lost: Sequence[tuple[int, int, GapReason, str]]) -> ChainSource:
    """The content to its stated size, with ``bad`` where it is cut off or its CRC-32 does not fit.

    Content that cannot be checked is given as it is: what a checksum over the whole tells is that some byte is wrong.
    """
    size = content.size
    if size < member.size:
        reason, detail = (lost[0][2], lost[0][3]) if lost else (GapReason.TRUNCATED, "the member ends early")
        # the stated size is not made up with zeros: a hostile one has no end
        bad = ((size, member.size - size, reason, detail),)
        return ChainSource((Piece(content, 0, size),), (content,), bad)
    crc = at = 0
    while at < size:
        block = content.pread(at, _CRC_STEP)
        if not block:
            break
        crc = isal_zlib.crc32(block, crc)
        at += len(block)
    piece = Piece(content, 0, size)
    if crc != member.crc or size != member.size:
        return ChainSource(
            (piece,), (content,), ((0, size, GapReason.UNREADABLE, "the member's checksum does not fit"),)
        )
    return ChainSource((piece,), (content,))


def _extra(extra: bytes, wanted: int) -> bytes:
    """The data of one extra field, empty where it is not there."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == wanted:
            return extra[at + 4 : at + 4 + length]
        at += 4 + length
    return b""


def _times(extra: bytes) -> tuple[int | None, int | None, int | None]:
    """(modified, accessed, created) in nanoseconds UTC, from the extra fields that state UTC."""
    ntfs = _extra(extra, 0x000A)
    if len(ntfs) >= 32 and ntfs[4:8] == b"\x01\0\x18\0":
        modified, accessed, created = struct.unpack_from("<QQQ", ntfs, 8)
        return _filetime(modified), _filetime(accessed), _filetime(created)
    unix = _extra(extra, 0x5455)
    if len(unix) >= 5 and unix[0] & 1:
        return int(struct.unpack_from("<i", unix, 1)[0]) * 1_000_000_000, None, None
    return None, None, None


def _filetime(value: int) -> int | None:
    return (value - _FILETIME_EPOCH * 10_000_000) * 100 if 0 < value < 1 << 62 else None


def _owner(extra: bytes) -> tuple[int | None, int | None]:
    """uid and gid from extra field 0x7875 (Info-ZIP new Unix)."""
    data = _extra(extra, 0x7875)
    if len(data) < 3 or data[0] != 1 or len(data) < 3 + data[1]:
        return None, None
    rest = data[2 + data[1] :]
    if len(rest) < 1 + rest[0]:
        return None, None
    return int.from_bytes(data[2 : 2 + data[1]], "little"), int.from_bytes(rest[1 : 1 + rest[0]], "little")
