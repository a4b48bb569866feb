# SPDX-License-Identifier: Apache-2.0
"""The pages and B+-trees of an ESE database (JET Blue), with the place of every node.

A page has a header, values, and at its end an array of tags that point into the values; a leaf's values are records, a
branch's are the numbers of its children. Numbers are little-endian. Formats: the engine's own source,
https://github.com/microsoft/Extensible-Storage-Engine (dev/ese/src/inc/cpage.hxx, node.hxx), and
https://github.com/libyal/libesedb/blob/main/documentation/Extensible%20Storage%20Engine%20(ESE)%20Database%20File%20(EDB)%20format.asciidoc.
Nothing here raises on what a page says: what cannot be is a fault, and a walk visits no page twice.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from headwater.model.ports import ByteSource

MAGIC = b"\xef\xcd\xab\x89"
STATES = {
    1: "just created",
    2: "dirty shutdown",
    3: "clean shutdown",
    4: "being converted",
    5: "force detached",
    6: "dirty and patched",
}
CLEAN = 3
PAGE_SIZES = (2048, 4096, 8192, 16384, 32768)
_ROOT, _LEAF, _EMPTY, _SPACE, _INDEX, _LONG, _NEW_SUM = 0x1, 0x2, 0x8, 0x20, 0x40, 0x80, 0x2000
_DELETED, _PREFIXED = 0x2, 0x4
_SMALL = 8192  # pages above this size keep a node's flags in its first word and have a longer header
_HELD = 256  # pages kept decoded while long values are looked up
DEPTH = 64
PAGES_MOST = 8_000_000
_IN_VAIN = 8  # leaves without a wanted key that a search goes past


class NotEse(ValueError):
    """The bytes are no ESE database, or its header makes no sense."""


@dataclass(frozen=True, slots=True)
class Header:
    """``state``: 3 where the database was closed in order; else changes may stand in its log files alone.

    ``copy``: the header itself was no good and its shadow on the second page was read. ``first_log`` to ``last_log``:
    the generations of log files without which the database is not whole, ``committed``: the last one that has changes of
    it; 0 where there is none.
    """

    version: int
    revision: int
    page_size: int
    state: int
    file_type: int
    copy: bool
    first_log: int = 0
    last_log: int = 0
    committed: int = 0

    @property
    def clean(self) -> bool:
        return self.state == CLEAN

    @property
    def logs(self) -> int:
        """How many log files must be replayed before the database is whole; 0 where it does not say."""
        return self.last_log - self.first_log + 1 if 0 < self.first_log <= self.last_log else 0

    @property
    def state_text(self) -> str:
        return STATES.get(self.state, f"state {self.state}")


@dataclass(frozen=True, slots=True)
class Fault:
    """Bytes of a tree that could not be read as nodes, and why."""

    offset: int
    length: int
    why: str


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a leaf. ``offset`` and ``length`` bound it in the file, its key before its data.

    ``deleted``: the engine has struck it out and not yet cleared it.
    """

    offset: int
    length: int
    key: bytes
    data: bytes
    deleted: bool


@dataclass(frozen=True, slots=True)
class Page:
    number: int
    flags: int
    owner: int  # object number of the tree that it belongs to
    following: int
    nodes: tuple[Node, ...]
    faults: tuple[Fault, ...]
    sound: bool  # its checksum holds, or is of a kind that is not tried here

    @property
    def leaf(self) -> bool:
        return bool(self.flags & _LEAF)

    @property
    def long_values(self) -> bool:
        return bool(self.flags & _LONG)


def header(source: ByteSource) -> Header:
    """The database's header, or its shadow copy on the page behind it.

    Raises:
        NotEse: neither is one.
    """
    for at in (0, *PAGE_SIZES):
        data = source.pread(at, 672)
        if len(data) < 672 or data[4:8] != MAGIC:
            continue
        version, kind = struct.unpack_from("<II", data, 8)
        (state,) = struct.unpack_from("<I", data, 52)
        revision, size = struct.unpack_from("<II", data, 232)
        size = size or 4096
        if size in PAGE_SIZES and (not at or at == size):
            first, last = struct.unpack_from(
                "<II", data, 296
            )  # DBFILEHDR in the engine's dev/ese/src/inc, le_lGenMinRequired
            (committed,) = struct.unpack_from("<I", data, 416)
            return Header(version, revision, size, state, kind, bool(at), first, last, committed)
    raise NotEse("no header of an ESE database")


@dataclass(slots=True)
class Pages:
    """The pages of a database; page n stands two pages' sizes further on, behind the header and its copy."""

    source: ByteSource
    header: Header
    _held: OrderedDict[int, Page] = field(default_factory=OrderedDict)

    @property
    def count(self) -> int:
        return max(0, min(self.source.size // self.header.page_size - 1, PAGES_MOST))

    @property
    def small(self) -> bool:
        return self.header.page_size <= _SMALL

    def place(self, number: int) -> int:
        """Where a page begins in the file."""
        return (number + 1) * self.header.page_size

    def page(self, number: int) -> Page | Fault:
        """A page taken apart; a fault where it does not lie in the file."""
        if number in self._held:
            self._held.move_to_end(number)
            return self._held[number]
        size = self.header.page_size
        if not 1 <= number <= self.count:
            return Fault(0, 0, f"page {number} does not lie in the file")
        raw = self.source.pread(self.place(number), size)
        if len(raw) < size:
            return Fault(min(self.place(number), self.source.size), len(raw), "the file ends inside this page")
        page = self._taken(number, raw)
        self._held[number] = page
        if len(self._held) > _HELD:
            self._held.popitem(last=False)
        return page

    def leaves(self, root: int, seen: set[int] | None = None) -> Iterator[Page | Fault]:
        """The leaves of the tree at ``root`` in order of key; what cannot be read comes as faults.

        ``seen``: pages that were read already, of other trees too; none is read again.
        """
        waiting = [(root, 0)]
        seen = set() if seen is None else seen
        while waiting:
            number, depth = waiting.pop()
            if number in seen or depth > DEPTH:
                at = min(self.place(number), self.source.size) if 1 <= number <= self.count else 0
                yield Fault(at, 0, f"page {number} is not part of a sound tree")
                continue
            page = self.page(number)
            if isinstance(page, Fault):
                yield page
                continue
            seen.add(number)
            if page.flags & _EMPTY:
                continue
            if page.flags & (_SPACE | _INDEX):
                yield Fault(self.place(number), self.header.page_size, f"page {number} is of another kind of tree")
            elif page.leaf:
                yield page
            else:
                yield from page.faults
                children = [child for node in page.nodes if 1 <= (child := _child(node)) <= self.count]
                if len(children) < len(page.nodes):
                    why = f"{len(page.nodes) - len(children)} pages below page {number} do not lie in the file"
                    yield Fault(self.place(number), 0, why)
                if len(waiting) + len(children) > self.count:  # hostile: each page stands below one other
                    yield Fault(self.place(number), 0, f"page {number} is not part of a sound tree")
                    continue
                waiting.extend((child, depth + 1) for child in reversed(children))

    def under(self, root: int, key: bytes, most: int) -> Iterator[Node]:
        """The nodes whose key begins with ``key``, in order, at most ``most``; none where the tree is not sound."""
        page = self._leaf_of(root, key)
        visited: set[int] = set()
        given = 0
        while page is not None and page.number not in visited and given < most:
            if len(visited) > _IN_VAIN + given:
                return
            visited.add(page.number)
            for node in page.nodes:
                if node.key.startswith(key) and not node.deleted:
                    yield node
                    given += 1
                elif node.key > key and not node.key.startswith(key):
                    return
            after = self.page(page.following) if page.following else None
            page = after if isinstance(after, Page) and after.leaf else None

    def _leaf_of(self, root: int, key: bytes) -> Page | None:
        """The first leaf that can hold ``key``."""
        number = root
        for _ in range(DEPTH):
            page = self.page(number)
            if isinstance(page, Fault) or not (page.nodes or page.leaf):
                return None
            if page.leaf:
                return page
            # a branch's key is above every key of its child; the last has none
            number = next((_child(n) for n in page.nodes if not n.key or n.key > key), _child(page.nodes[-1]))
        return None

    def _taken(self, number: int, raw: bytes) -> Page:
        base = self.place(number)
        following, owner = struct.unpack_from("<II", raw, 20)
        tags, flags = struct.unpack_from("<HI", raw, 34)
        start = 40 if self.small else 80
        # the upper four bits of the count are those of tags that are none, in newer revisions
        tags &= 0xFFF
        nodes: list[Node] = []
        faults: list[Fault] = []
        if start + 4 * tags > len(raw):
            return Page(
                number, flags, owner, following, (), (Fault(base, len(raw), "more tags than fit its page"),), True
            )
        mask = 0x1FFF if self.small else 0x7FFF
        ends = len(raw) - 4 * tags
        words = struct.unpack_from(f"<{2 * tags}H", raw, ends)[::-1]
        prefix = b""
        used: set[int] = set()
        for tag in range(tags):
            first, size = words[2 * tag], words[2 * tag + 1] & mask
            at = start + (first & mask)
            if at + size > ends or (tag and (not size or at in used)):
                faults.append(Fault(base + ends + 4 * (tags - 1 - tag), 4, f"tag {tag} points where no node can be"))
                continue
            if size:
                used.add(at)
            value = raw[at : at + size]
            if not tag:
                prefix = b"" if flags & _ROOT else value
                continue
            state = first >> 13 if self.small else value[1] >> 5 if size > 1 else 0
            node = _node(base + at, value, state, prefix)
            if node is None:
                faults.append(Fault(base + at, size, "a node whose key is longer than it"))
            else:
                nodes.append(node)
        return Page(number, flags, owner, following, tuple(nodes), tuple(faults), self._sound(number, raw, flags))

    def _sound(self, number: int, raw: bytes, flags: int) -> bool:
        """Whether the XOR of a page's words is what it states; large pages have other sums and are not tried."""
        if not self.small:
            return True
        words = np.frombuffer(raw, dtype="<u4")
        if flags & _NEW_SUM:
            total = int(np.bitwise_xor.reduce(words[2:])) ^ number
            return bool(total == int(words[0]))
        return bool(int(np.bitwise_xor.reduce(words[1:])) ^ 0x89ABCDEF == int(words[0]))


def _child(node: Node) -> int:
    return int.from_bytes(node.data[:4], "little") if len(node.data) >= 4 else 0


def _node(offset: int, value: bytes, state: int, prefix: bytes) -> Node | None:
    """A node: how much of the page's prefix its key takes, the rest of the key, the data."""
    at = 0
    key = b""
    if state & _PREFIXED:
        if len(value) < 2:
            return None
        key = prefix[: int.from_bytes(value[:2], "little") & 0x1FFF]
        at = 2
    size = int.from_bytes(value[at : at + 2], "little") & 0x1FFF
    at += 2
    if at + size > len(value):
        return None
    return Node(offset, len(value), key + value[at : at + size], value[at + size :], bool(state & _DELETED))
