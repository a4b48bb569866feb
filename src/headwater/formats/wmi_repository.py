# SPDX-License-Identifier: Apache-2.0
"""The WMI repository: pages of objects, the maps that say which pages are in use, the index that says which objects are.

Source: https://github.com/libyal/dtformats/blob/main/documentation/WMI%20repository%20file%20format.asciidoc (versions 2.0, Windows
XP, and 2.1, Vista and later) and https://github.com/mandiant/flare-wmi. Numbers are little-endian. Pages have 8192 bytes; a map
gives for a logical page its place in the file; what no map names is left over from before.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from headwater.formats.patterns import lazy_regex

PAGE = 8192
_BEGIN, _END = 0xABCD, 0xDCBA
_UNUSED = 0xFFFFFFFF
_ACTIVE = 0xACCC
_PAGE_KINDS = frozenset({0xACCC, 0xADDD, 0xBADD, 0})
_PAGES_MOST = 1 << 20
_RECORDS_MOST = 512  # that fit into the head of a page
_HASHES = {False: ("sha256", 128), True: ("md5", 64)}  # bytes of the hash as UTF-16 text
_NUMBER = lazy_regex(r"[0-9]{1,10}")
Pieces = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class PageMap:
    """``version`` rises with every write; ``objects`` and ``index``: the page in the file of each logical page."""

    version: int
    old: bool
    objects: tuple[int, ...]
    index: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """An instance as it stands: the bytes, their place, and how it is known.

    ``page`` and ``number``: its logical page and its number there; None where its page is in no map, or no head names it.
    ``indexed``: None where there is no index to ask. ``namespace``: the hash of its name, where the index says it.
    ``disputed``: the index has it with another length than its page.
    """

    kind: str
    data: bytes
    pieces: Pieces
    page: int | None
    number: int | None
    indexed: bool | None
    namespace: str
    mapped: bool | None
    whole: bool
    disputed: bool


@dataclass(slots=True)
class Repository:
    """``data``: the objects' file. ``page_map`` None and ``keys`` None where there is none that is whole."""

    data: bytes
    page_map: PageMap | None = None
    keys: Mapping[tuple[int, int], tuple[str, int]] | None = None
    _logical: dict[int, int] = field(default_factory=dict)
    _left: int = 0  # bytes that may be given behind records' first pages: sound ones never share them

    def __post_init__(self) -> None:
        self._left = 2 * len(self.data)
        if self.page_map is not None:
            self._logical = {p: n for n, p in enumerate(self.page_map.objects) if p != _UNUSED}

    def records(self, kind: str) -> Iterator[Record]:
        """Every instance of a class, in order of place, in use or left over."""
        for old in (False, True):
            mark = name_hash(kind, old).encode("utf-16-le")
            at = self.data.find(mark)
            while at >= 0:
                found = self._record(kind, at, len(mark))
                if found is not None:
                    yield found
                at = self.data.find(mark, at + len(mark))

    def _record(self, kind: str, at: int, head: int) -> Record | None:
        page, inside = divmod(at, PAGE)
        number, size = self._named(page, inside)
        logical = self._logical.get(page)
        block = struct.unpack_from("<I", self.data, at + head + 16)[0] if at + head + 20 <= len(self.data) else 0
        stated = head + 16 + (block & 0x3FFFFFFF)
        if block & 0x3FFFFFFF < 9 or (number is None and inside + stated > PAGE):
            return None
        pieces = self._pieces(page, inside, size if number is not None else stated, logical)
        data = b"".join(self.data[place : place + length] for place, length in pieces)
        key = None if self.keys is None or logical is None or number is None else self.keys.get((logical, number))
        mapped = None if self.page_map is None else logical is not None
        indexed = None if self.keys is None or mapped is None else key is not None
        whole = len(data) >= stated
        space, length = key or ("", size)
        return Record(kind, data, pieces, logical, number, indexed, space, mapped, whole, length != size)

    def _named(self, page: int, inside: int) -> tuple[int | None, int]:
        """The number and size of the record that the page's head has at this place."""
        for row in range(_RECORDS_MOST):
            entry = self.data[page * PAGE + 16 * row : page * PAGE + 16 * row + 16]
            if len(entry) < 16 or entry == bytes(16):
                break
            number, offset, size, _ = struct.unpack("<4I", entry)
            if offset == inside and 16 * row + 16 <= inside:
                return number, size
        return None, 0

    def _pieces(self, page: int, inside: int, size: int, logical: int | None) -> Pieces:
        """Where a record's bytes stand: the rest of its page, then the logical pages that follow."""
        size = min(size, len(self.data))
        found = [(page * PAGE + inside, min(size, PAGE - inside, len(self.data) - page * PAGE - inside))]
        left = size - found[0][1]
        while left > 0 and self._left > 0 and logical is not None and self.page_map is not None:
            logical += 1
            after = self.page_map.objects[logical] if logical < len(self.page_map.objects) else _UNUSED
            if after == _UNUSED or (after + 1) * PAGE > len(self.data):
                break
            found.append((after * PAGE, min(left, PAGE)))
            left -= found[-1][1]
            self._left -= found[-1][1]
        return tuple(found)


def name_hash(name: str, old: bool = False) -> str:
    """The hash under which a class or namespace is known, in capitals."""
    digest = hashlib.md5 if old else hashlib.sha256
    return digest(name.upper().encode("utf-16-le"), usedforsecurity=False).hexdigest().upper()


def newest(files: Sequence[bytes]) -> PageMap | None:
    """The map of the highest version among those that are whole."""
    found = [m for m in map(page_map, files) if m is not None]
    return max(found, key=lambda m: m.version, default=None)


def page_map(data: bytes) -> PageMap | None:
    """One mapping file: the objects' map, then the index's; None where it is not whole."""
    for old in (False, True):
        first = _table(data, 0, old)
        if first is None:
            continue
        version, objects, end = first
        begin = data.find(struct.pack("<I", _BEGIN), end, end + 16)
        second = _table(data, begin, old, footed=False) if begin >= 0 else None  # Windows 10 may leave its footer out
        return PageMap(version, old, objects, second[1] if second is not None else ())
    return None


def _table(data: bytes, at: int, old: bool, footed: bool = True) -> tuple[int, tuple[int, ...], int] | None:
    head, each = (16, 4) if old else (24, 24)
    if at < 0 or at + head > len(data):
        return None
    begin, version = struct.unpack_from("<II", data, at)
    count = struct.unpack_from("<I", data, at + head - 4)[0]
    end = at + head + each * count
    if begin != _BEGIN or count > _PAGES_MOST or end + 4 > len(data):
        return None
    free = struct.unpack_from("<I", data, end)[0]
    footer = end + 4 + 4 * free
    if footed and (footer + 4 > len(data) or struct.unpack_from("<I", data, footer)[0] != _END):
        return None
    entries = tuple(struct.unpack_from("<I", data, at + head + each * row)[0] for row in range(count))
    return version, entries, footer + 4


def is_index(data: bytes) -> bool:
    """Whether every page begins as the pages of an index do."""
    kinds = {int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), PAGE)}
    return len(data) % PAGE == 0 and kinds <= _PAGE_KINDS


def keys(index: bytes, places: Sequence[int], wanted: frozenset[str]) -> dict[tuple[int, int], tuple[str, int]]:
    """The objects of the wanted classes (their hashes) that the index names: (logical page, number) to the namespace's hash
    and the length that it states."""
    found: dict[tuple[int, int], tuple[str, int]] = {}
    for logical, place in enumerate(places):
        page = index[place * PAGE : (place + 1) * PAGE] if place != _UNUSED else b""
        if len(page) == PAGE and struct.unpack_from("<II", page) == (_ACTIVE, logical):
            for parts in _page_keys(page):
                held = [p.partition("_")[2].partition(".")[0] for p in parts]
                numbers = parts[-1].split(".")[-3:] if parts else []
                if wanted.intersection(held) and len(numbers) == 3 and all(_NUMBER.fullmatch(n) for n in numbers):
                    found[int(numbers[0]), int(numbers[1])] = (held[0], int(numbers[2]))
    return found


def _page_keys(page: bytes) -> Iterator[list[str]]:
    """The keys of one page of the index, each as its parts; what leaves the page is left out."""
    count = struct.unpack_from("<I", page, 16)[0]
    at = 20 + 4 * count + 4 * (count + 1)
    if at + 2 * count + 2 > PAGE:
        return
    rows = struct.unpack_from(f"<{count}H", page, at)
    at += 2 * count
    words = struct.unpack_from("<H", page, at)[0]
    if at + 2 + 2 * words + 2 > PAGE:
        return
    table = struct.unpack_from(f"<{words}H", page, at + 2)
    at += 2 + 2 * words
    texts = struct.unpack_from("<H", page, at)[0]
    if at + 2 + 2 * (texts + 1) > PAGE:
        return
    offsets = struct.unpack_from(f"<{texts}H", page, at + 2)
    held = page[at + 2 + 2 * (texts + 1) :]
    for row in rows:
        parts = table[row + 1 : row + 1 + table[row]] if row < words else ()
        if parts and len(parts) == table[row] and all(p < texts for p in parts):
            yield [held[offsets[p] : held.find(b"\0", offsets[p])].decode("ascii", "backslashreplace") for p in parts]
