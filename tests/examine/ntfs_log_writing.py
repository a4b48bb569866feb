# SPDX-License-Identifier: Apache-2.0
"""Writes small $LogFile images after the documented layout: restart pages, record pages with fixups, records."""

from __future__ import annotations

import struct

from headwater.formats.ntfs import FILETIME_1970

PAGE = 4096
HEAD = 64
SHIFT = 40
NOON = 1_760_000_000 * 10_000_000 + FILETIME_1970
ROOT = 5 | 5 << 48


def fixups(page: bytes, at: int) -> bytes:
    """A page with its update sequence taken out to ``at``."""
    held = bytearray(page)
    struct.pack_into("<HH", held, 4, at, len(page) // 512 + 1)
    held[at : at + 2] = b"\x07\0"
    for n in range(1, len(page) // 512 + 1):
        held[at + 2 * n : at + 2 * n + 2] = held[n * 512 - 2 : n * 512]
        held[n * 512 - 2 : n * 512] = b"\x07\0"
    return bytes(held)


def restart(current: int, size: int, clean: bool) -> bytes:
    page = bytearray(PAGE)
    struct.pack_into("<4s4xQIIHhh", page, 0, b"RSTR", 0, PAGE, PAGE, 48, 1, 1)
    in_use = 0xFFFF if clean else 0
    struct.pack_into("<QHHHHIHHQIHH", page, 48, current, 1, 0xFFFF, in_use, 0, SHIFT, 224, 64, size, 0, 48, HEAD)
    return fixups(bytes(page), 30)


def file_name(parent: int, name: str, tick: int, space: int = 1) -> bytes:
    raw = name.encode("utf-16-le")
    times = [NOON + tick] * 4
    return struct.pack("<Q4qqqII", parent, *times, 4096, 17, 0x20, 0) + bytes((len(raw) // 2, space)) + raw


def index_entry(inode: int, parent: int, name: str, tick: int = 0, space: int = 1) -> bytes:
    key = file_name(parent, name, tick, space)
    length = (16 + len(key) + 7) & ~7
    return (struct.pack("<QHHI", inode | 1 << 48, length, len(key), 0) + key).ljust(length, b"\0")


class Writer:
    """Puts records one behind the other, in rounds of a log of ``pages`` record pages; a record may cross pages."""

    def __init__(self, pages: int, round_: int = 1) -> None:
        self.size = (4 + pages) * PAGE
        self._round = round_
        self._pages = [bytearray(PAGE) for _ in range(pages)]
        self._page, self._at = 0, HEAD
        self.last = 0

    def put(
        self, redo_op: int, undo_op: int, redo: bytes = b"", undo: bytes = b"", *, previous: int = 0, target: int = 24,
        vcn: int = 0, block: int = 0, kind: int = 1,
    ) -> int:  # fmt: skip
        """One record; returns its sequence number."""
        begin = 32
        middle = begin + ((len(redo) + 7) & ~7)
        data = struct.pack("<10H", redo_op, undo_op, begin, len(redo), middle, len(undo), target, 0, 0, 0)
        data = (data + struct.pack("<HHQ", block, 0, vcn)).ljust(begin, b"\0") + redo.ljust(middle - begin, b"\0")
        data += undo.ljust((len(undo) + 7) & ~7, b"\0")
        if self._at + 48 > PAGE:
            self._page, self._at = self._page + 1, HEAD
        lsn = self._round << 64 - SHIFT | ((4 + self._page) * PAGE + self._at) >> 3
        raw = struct.pack("<QQQIHHIIH6x", lsn, previous, previous, len(data), 0, 0, kind, 24, 0) + data
        self.last = lsn
        while raw:
            taken = raw[: PAGE - self._at]
            self._pages[self._page][self._at : self._at + len(taken)] = taken
            raw, self._at = raw[len(taken) :], self._at + len(taken)
            if self._at >= PAGE:
                self._page, self._at = self._page + 1, HEAD
        return lsn

    def image(self, clean: bool = True) -> bytes:
        """The whole log."""
        heads = restart(self.last, self.size, clean) * 2 + b"\xff" * (2 * PAGE)
        pages = []
        for number, page in enumerate(self._pages):
            if number > self._page or (number == self._page and self._at == HEAD):
                pages.append(b"\xff" * PAGE)
                continue
            end = self._at if number == self._page else PAGE
            struct.pack_into("<4s4xQIHHH6xQ", page, 0, b"RCRD", self.last, 1, 1, 1, end, self.last)
            pages.append(fixups(bytes(page), 40))
        return heads + b"".join(pages)


def file_record(number: int, name: str, parent: int, tick: int) -> bytes:
    """A record of $MFT as the log holds it: one name, nothing else."""
    value = file_name(parent, name, tick)
    length = (24 + len(value) + 7) & ~7
    attribute = struct.pack("<IIBBHHHIHH", 0x30, length, 0, 0, 0, 0, 0, len(value), 24, 0) + value
    head = struct.pack("<4sHHQHHHHIIQHHI", b"FILE", 48, 3, 0, 1, 1, 56, 1, 0, 1024, 0, 1, 0, number)
    return head.ljust(56, b"\0") + attribute.ljust(length, b"\0") + b"\xff\xff\xff\xff\0\0\0\0"


def story() -> bytes:
    """A file is made, written to, renamed and deleted; an entry of the change journal; one record over two pages."""
    log = Writer(6)
    first = log.put(0, 3, vcn=10, block=2)
    first = log.put(14, 15, index_entry(41, ROOT, "账目.xlsx", 10), previous=first, vcn=0)
    first = log.put(2, 0, file_record(41, "账目.xlsx", ROOT, 10), previous=first, vcn=10, block=2)
    log.put(27, 1, previous=first)
    log.put(8, 8, bytes(range(256)) * 20, b"", vcn=7)  # over more than one page
    log.put(20, 20, struct.pack("<4q", *[NOON + 20] * 4) + bytes(24), bytes(56))
    first = log.put(15, 14, b"", index_entry(41, ROOT, "账目.xlsx", 20))
    first = log.put(14, 15, index_entry(41, ROOT, "账目.xlsx.locked", 30), previous=first)
    first = log.put(14, 15, index_entry(41, ROOT, "ACCOUN~1.LOC", 30, 2), previous=first)
    log.put(27, 1, previous=first)
    name = "账目.xlsx.locked".encode("utf-16-le")
    usn = struct.pack("<IHHQQqqIIIIHH", 88, 2, 0, 41 | 1 << 48, ROOT, 4096, NOON + 40, 0x2000, 0, 0, 32, len(name), 60)
    log.put(8, 0, (usn + name).ljust(88, b"\0"))
    log.put(0, 0, struct.pack("<QQ", 1, first), kind=2)
    first = log.put(13, 12, b"", index_entry(41, ROOT, "账目.xlsx.locked", 50))
    first = log.put(3, 2, b"", file_record(41, "账目.xlsx.locked", ROOT, 50), previous=first, vcn=10, block=2)
    log.put(27, 1, previous=first)
    return log.image()
