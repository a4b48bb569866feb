# SPDX-License-Identifier: Apache-2.0
"""Bolt files (bbolt): buckets of keys and values, buckets within buckets, read from a file that nobody closed.

Format: https://github.com/etcd-io/bbolt (page.go, node.go, bucket.go, db.go): pages of a size that the two meta pages say,
each with id, flags, count and overflow; a meta page ends in the FNV-1a of its 56 bytes, and the valid one with the higher
transaction number holds. All numbers are little-endian here, as every common machine writes them (the format has the order
of the machine). A page is never written in place, so a file copied from a running system is whole as of its last meta page.
What cannot be followed is left out and said in :attr:`Bolt.faults`; nothing raises after :func:`open_bolt`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Pread = Callable[[int, int], bytes]

MAGIC, VERSION = 0xED0CDAED, 2
DEEP = 64  # pages above each other in one bucket
PAGES_MOST = 1 << 20  # read in all, over the life of one reader
ITEMS_MOST = 4_000_000  # keys in all
VALUE_MOST = 16 << 20  # bytes of a page with its overflow
FAULTS_MOST = 50
_BRANCH, _LEAF, _META = 1, 2, 4
_PAGE = struct.Struct("<QHHI")
_METAS = struct.Struct("<IIIIQQQQQ")  # magic, version, page size, flags, root, sequence, freelist, pages, transaction
_LEAF_ITEM = struct.Struct("<IIII")
_BRANCH_ITEM = struct.Struct("<IIQ")
_BUCKET = struct.Struct("<QQ")
_SIZES = tuple(1 << power for power in range(9, 17))  # where the second meta page may stand if the first is lost


@dataclass(frozen=True, slots=True)
class Fault:
    """What could not be followed: where in the file, how many bytes, and why."""

    offset: int
    length: int
    reason: str


@dataclass(frozen=True, slots=True)
class Item:
    """A key with its value, or with the bucket under it; ``offset`` and ``length`` are the place of the value."""

    key: bytes
    value: bytes
    bucket: bool
    offset: int
    length: int


@dataclass(slots=True)
class Bolt:
    """One file as of its newest whole meta page; ``pages`` is how many it has, ``transaction`` the number of the last."""

    pread: Pread
    size: int
    page_size: int
    root: int
    transaction: int
    pages: int
    faults: list[Fault] = field(default_factory=list)
    read: int = 0
    told: int = 0

    def fault(self, offset: int, length: int, reason: str) -> None:
        """Note what could not be followed; the first ones are kept."""
        if len(self.faults) < FAULTS_MOST:
            self.faults.append(Fault(offset, length, reason))

    def items(self, bucket: Item | None = None) -> Iterator[Item]:
        """The keys of a bucket in their order; of the file's own top without one."""
        if bucket is None:
            yield from self._walk(self.root)
            return
        if not bucket.bucket or len(bucket.value) < _BUCKET.size:
            self.fault(bucket.offset, bucket.length, "no bucket, or a cut one")
            return
        (root, _) = _BUCKET.unpack_from(bucket.value)
        if root:
            yield from self._walk(root)
        else:  # small enough to stand within the value, as a page without a number
            yield from self._leaf(bucket.value[_BUCKET.size :], bucket.offset + _BUCKET.size)

    def at(self, *keys: bytes) -> Item | None:
        """The item that a row of keys leads to, each in the bucket of the one before."""
        found: Item | None = None
        for key in keys:
            if found is not None and not found.bucket:
                return None
            found = next((item for item in self.items(found) if item.key == key), None)
            if found is None:
                return None
        return found

    def _page(self, number: int) -> tuple[int, bytes] | None:
        """The flags and the bytes of a page with its overflow."""
        offset = number * self.page_size
        if number < 2 or number >= self.pages or self.read >= PAGES_MOST:
            self.fault(min(offset, self.size), 0, f"page {number} is outside the file, or too many were read")
            return None
        self.read += 1
        head = self.pread(offset, _PAGE.size) if offset < self.size else b""
        if len(head) < _PAGE.size:
            self.fault(min(offset, self.size), 0, f"page {number} lies behind the end: the file is cut")
            return None
        own, flags, _, overflow = _PAGE.unpack(head)
        length = (overflow + 1) * self.page_size
        if own != number or flags not in (_BRANCH, _LEAF) or length > VALUE_MOST:
            self.fault(offset, _PAGE.size, f"page {number} is not what it should be (number {own}, flags {flags:#x})")
            return None
        data = self.pread(offset, min(length, self.size - offset))
        if len(data) < length:
            self.fault(offset, len(data), f"page {number} is cut")
        return flags, data

    def _walk(self, root: int) -> Iterator[Item]:
        seen: set[int] = set()
        waiting = [(root, 0)]
        while waiting:
            number, depth = waiting.pop()
            if number in seen or depth > DEEP:
                self.fault(number * self.page_size, 0, f"page {number} is above itself, or too deep")
                continue
            seen.add(number)
            page = self._page(number)
            if page is None:
                continue
            flags, data = page
            if flags == _LEAF:
                yield from self._leaf(data, number * self.page_size)
            else:
                waiting.extend((below, depth + 1) for below in reversed(self._below(data, number)))

    def _below(self, data: bytes, number: int) -> list[int]:
        count = _PAGE.unpack_from(data)[2]
        whole = min(count, (len(data) - _PAGE.size) // _BRANCH_ITEM.size)
        if whole < count:
            self.fault(number * self.page_size, len(data), f"{count - whole} branches of page {number} are cut off")
        return [_BRANCH_ITEM.unpack_from(data, _PAGE.size + _BRANCH_ITEM.size * n)[2] for n in range(whole)]

    def _leaf(self, data: bytes, place: int) -> Iterator[Item]:
        if len(data) < _PAGE.size:
            self.fault(place, len(data), "a cut page")
            return
        count = _PAGE.unpack_from(data)[2]
        for n in range(count):
            at = _PAGE.size + _LEAF_ITEM.size * n
            if at + _LEAF_ITEM.size > len(data) or self.told >= ITEMS_MOST:
                self.fault(place, len(data), f"{count - n} keys are cut off, or too many")
                return
            flags, pos, keys, values = _LEAF_ITEM.unpack_from(data, at)
            start = at + pos + keys
            if pos < _LEAF_ITEM.size or start + values > len(data):
                self.fault(place + at, _LEAF_ITEM.size, "a key or value reaches out of its page")
                continue
            self.told += 1
            yield Item(data[at + pos : start], data[start : start + values], bool(flags & 1), place + start, values)


def fnv1a(data: bytes) -> int:
    """The 64-bit FNV-1a of some bytes (http://www.isthe.com/chongo/tech/comp/fnv/)."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def open_bolt(pread: Pread, size: int) -> Bolt:
    """A file's buckets as of the newest of its two meta pages that is whole.

    Raises:
        ValueError: neither meta page is whole: it is no such file, or too little of it is there.
    """
    first = _meta(pread, 0)
    places = (first[2],) if first is not None and first[2] in _SIZES else _SIZES
    second = next((m for place in places if (m := _meta(pread, place)) is not None and m[2] == place), None)
    found = [meta for meta in (first, second) if meta is not None and meta[2] in _SIZES]
    if not found:
        raise ValueError("neither of the two meta pages is whole")
    _, _, page_size, _, root, _, _, pages, transaction = max(found, key=lambda meta: meta[8])
    bolt = Bolt(pread, size, page_size, root, transaction, min(pages, -(-size // page_size) + 1))
    if len(found) == 1:
        lost = page_size if second is None else 0
        bolt.fault(
            lost, min(page_size, max(0, size - lost)), "one of the two meta pages is broken: a torn write, or changed"
        )
    if pages * page_size > size:
        bolt.fault(size, 0, f"the file is cut: {pages} pages of {page_size} bytes should be there, {size} bytes are")
    return bolt


def _meta(pread: Pread, offset: int) -> tuple[int, ...] | None:
    data = pread(offset, _PAGE.size + _METAS.size + 8)
    if len(data) < _PAGE.size + _METAS.size + 8 or not _PAGE.unpack_from(data)[1] & _META:
        return None
    body = data[_PAGE.size : _PAGE.size + _METAS.size]
    meta: tuple[int, ...] = _METAS.unpack(body)
    whole = meta[:2] == (MAGIC, VERSION) and fnv1a(body) == int.from_bytes(data[-8:], "little")
    return meta if whole else None
