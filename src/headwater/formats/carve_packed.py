# SPDX-License-Identifier: Apache-2.0
"""Walks over archives in free space: ZIP and what is made of it, gzip, tar, ar, 7z, RAR 4 and 5.

Formats: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT; RFC 1952; POSIX.1-2017 pax (ustar);
https://py7zr.readthedocs.io/en/latest/archive_format.html; https://www.rarlab.com/technote.htm (blocks of RAR 5).
"""

from __future__ import annotations

import zlib

from headwater.formats.carve_walk import STEPS_MOST, Stretch, Walked, number

_READ = 1 << 16
_LOCAL, _CENTRAL, _LAST, _LAST64, _WHERE64, _DESCRIPTOR = (
    b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08",
)  # fmt: skip
_METHODS = frozenset((0, 8, 9, 12, 14, 93, 95, 98, 99))
_UNPACKED_MOST = 1 << 30
_SEARCH_MOST = 64 << 20
_MADE_OF = (
    (b"word/", "docx"), (b"xl/", "xlsx"), (b"ppt/", "pptx"), (b"AndroidManifest.xml", "apk"), (b"WEB-INF/", "war"),
    (b"META-INF/MANIFEST.MF", "jar"), (b"mimetype", "odt"),
)  # fmt: skip


def zipped(data: Stretch) -> Walked | None:
    """A ZIP: members, central directory, and the end that must name the directory's place."""
    at, members = 0, 0
    names: list[bytes] = []
    for _ in range(STEPS_MOST):
        head = data.at(at, 30)
        if head[:4] != _LOCAL or len(head) < 30 or number(head, 4, 2) > 63 or number(head, 8, 2) not in _METHODS:
            break
        name, extra = number(head, 26, 2), number(head, 28, 2)
        named = data.at(at + 30, min(name, 256))
        if not named or min(named) < 0x20:
            break
        if len(names) < 64:
            names.append(named)
        body = at + 30 + name + extra
        size = number(head, 18, 4)
        if size == 0xFFFFFFFF:
            size = _wide(data.at(at + 30 + name, extra))
        after = body + size
        if number(head, 6, 2) & 8 and not size:
            after = _described(data, body)
        if after < 0 or after > data.size:
            data.short, members, at = True, members + 1, data.size
            break
        members, at = members + 1, after
    ending = next((e for part, e in _MADE_OF if any(n.startswith(part) for n in names)), "zip")
    if data.at(at, 4) == _CENTRAL:
        end = _directory(data, at)
        if end:
            return Walked("zip", ending, end, True, "structure")
    if not members:
        return None
    return Walked("zip", ending, at, False, "structure", f"{members} members; the directory behind them is not there")


def _wide(extra: bytes) -> int:
    """The packed size out of the ZIP64 part of an extra field."""
    at = 0
    while at + 4 <= len(extra):
        if number(extra, at, 2) == 1:
            return number(extra, at + 12, 8)
        at += 4 + number(extra, at + 2, 2)
    return 0


def _described(data: Stretch, body: int) -> int:
    """Where a member whose size stands behind it ends; -1 where no descriptor with its own size is found."""
    at, kept = body, b""
    while at - body < _SEARCH_MOST:
        part = data.at(at, _READ)
        if not part:
            return -1
        joined, base = kept + part, at - len(kept)
        found = joined.find(_DESCRIPTOR)
        while found >= 0:
            if found + 16 > len(joined):
                break
            size = base + found - body
            if number(joined, found + 8, 4) == size & 0xFFFFFFFF:
                wide = number(joined, found + 8, 8) == size and number(joined, found + 12, 4) == 0
                return base + found + (24 if wide and data.at(base + found + 24, 2) == b"PK" else 16)
            found = joined.find(_DESCRIPTOR, found + 1)
        kept, at = joined[-24:], at + len(part)
    return -1


def _directory(data: Stretch, start: int) -> int:
    """The end of an archive whose directory begins at ``start``; 0 where it does not fit."""
    at = start
    for _ in range(STEPS_MOST):
        head = data.at(at, 46)
        if head[:4] == _CENTRAL and len(head) == 46:
            at += 46 + number(head, 28, 2) + number(head, 30, 2) + number(head, 32, 2)
        elif head[:4] == _LAST64:
            at += 12 + number(head, 4, 8)
        elif head[:4] == _WHERE64:
            at += 20
        elif head[:4] == _LAST:
            place = number(head, 16, 4)
            return at + 22 + number(head, 20, 2) if place in (start, 0xFFFFFFFF) else 0
        else:
            return 0
    return 0


def gzip(data: Stretch) -> Walked | None:
    """A gzip file, member by member, by unpacking it: each member's CRC-32 must fit."""
    head = data.at(0, 10)
    if len(head) < 10 or head[2] != 8 or head[3] & 0xE0:
        return None
    at, made = 0, 0
    for _ in range(STEPS_MOST):
        length, out, whole = _member(data, at, _UNPACKED_MOST - made)
        made += out
        if not whole:
            if at:
                break
            if out < 64:
                return None
            return Walked("gzip", "gz", length, False, "structure", "it cannot be unpacked to its end")
        at += length
        if data.at(at, 4)[:3] != b"\x1f\x8b\x08":
            break
    return Walked("gzip", "gz", at, True, "checksum")


def _member(data: Stretch, start: int, most: int) -> tuple[int, int, bool]:
    """(bytes taken, bytes made, whether its checksum fits)."""
    machine = zlib.decompressobj(31)
    at, made = start, 0
    while made <= most:
        part = data.at(at, _READ)
        if not part:
            break
        at += len(part)
        try:
            while part and not machine.eof and made <= most:
                out = len(machine.decompress(part, 1 << 20))
                data.pay(out)
                made += out
                part = machine.unconsumed_tail
        except zlib.error:
            return at - start, made, False
        if machine.eof:
            return at - start - len(machine.unused_data), made, True
    return at - start, made, False


def tar(data: Stretch) -> Walked | None:
    """A tar archive, header by header, to its two blocks of zeros."""
    at = members = 0
    for _ in range(STEPS_MOST):
        head = data.at(at, 512)
        if len(head) < 512:
            break
        if not head.strip(b"\0"):
            whole = not data.at(at + 512, 512).strip(b"\0")
            return Walked("tar", "tar", min(at + 1024, data.size), whole, "structure") if members else None
        size = _tar_size(head)
        if size < 0:
            break
        after = at + 512 + (size + 511) // 512 * 512
        if after > data.size:
            data.short = True
            break
        at, members = after, members + 1
    return Walked("tar", "tar", at, False, "structure", f"{members} members; no end follows") if members else None


def _tar_size(head: bytes) -> int:
    """The size in a header whose checksum fits; -1 where it does not."""
    try:
        stated = int(head[148:156].strip(b" \0") or b"x", 8)
        size = number(head, 125, 11, "big") if head[124] & 0x80 else int(head[124:136].strip(b" \0") or b"0", 8)
    except ValueError:
        return -1
    if sum(head) - sum(head[148:156]) + 8 * 32 != stated or size > 1 << 50:
        return -1
    return 0 if head[156:157] in b"123456" and head[156] else size


def seven_zip(data: Stretch) -> Walked | None:
    """A 7z archive: its first header says where the last one lies, and both have a CRC-32."""
    head = data.at(0, 32)
    if len(head) < 32 or zlib.crc32(head[12:32]) != number(head, 8, 4):
        return None
    place, size, stated = number(head, 12, 8), number(head, 20, 8), number(head, 28, 4)
    if not size or size > 64 << 20 or place > 1 << 50:
        return None
    fits = zlib.crc32(data.at(32 + place, size)) == stated
    if fits:
        return Walked("7z", "7z", 32 + place + size, True, "structure")
    return Walked("7z", "7z", min(data.size, 32 + place), False, "structure", "its last header is not where it says")


def rar(data: Stretch) -> Walked | None:
    """A RAR archive, block by block."""
    five = data.at(6, 2) == b"\x01\x00"
    at = 8 if five else 7
    first = at
    for _ in range(STEPS_MOST):
        found = _rar5(data.at(at, 512)) if five else _rar4(data.at(at, 512))
        if found is None:
            break
        length, last = found
        at += length
        if last:
            return Walked("rar", "rar", min(at, data.size), at <= data.size, "structure")
        if at > data.size:
            data.short = True
            break
    if at == first:
        return None
    return Walked("rar", "rar", min(at, data.size), False, "structure", "its next block is not one")


def _rar4(head: bytes) -> tuple[int, bool] | None:
    size, flags = number(head, 5, 2), number(head, 3, 2)
    if len(head) < 7 or not 0x72 <= head[2] <= 0x7B or not 7 <= size <= len(head):
        return None
    if zlib.crc32(head[2:size]) & 0xFFFF != number(head, 0, 2) and head[2] != 0x7B:
        return None
    return size + (number(head, 7, 4) if flags & 0x8000 else 0), head[2] == 0x7B


def _rar5(head: bytes) -> tuple[int, bool] | None:
    size, at = _vint(head, 4)
    end = at + size
    if not size or end > len(head) or zlib.crc32(head[4:end]) != number(head, 0, 4):
        return None
    kind, at = _vint(head, at)
    flags, at = _vint(head, at)
    if flags & 1:
        _, at = _vint(head, at)
    content = _vint(head, at)[0] if flags & 2 else 0
    return end + content, kind == 5


def _vint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 63, 7):
        byte = data[at] if at < len(data) else 0
        value, at = value | (byte & 0x7F) << shift, at + 1
        if not byte & 0x80:
            break
    return value, at


def ar(data: Stretch) -> Walked | None:
    """An ar archive (a Debian package), member by member; the format has no end mark."""
    at, members = 8, 0
    package = data.at(8, 13) == b"debian-binary"
    for _ in range(STEPS_MOST):
        head = data.at(at, 60)
        size = head[48:58].strip()
        if head[58:60] != b"`\n" or not size.isdigit():
            break
        after = at + 60 + int(size) + (int(size) & 1)
        if after > data.size:
            data.short = True
            break
        at, members = after, members + 1
    if not members:
        return None
    whole = not data.short and not data.at(at, -at % data.unit).strip(b"\0")
    return Walked(
        "ar", "deb" if package else "a", at, whole, "structure", "" if whole else "its next member is not there"
    )
