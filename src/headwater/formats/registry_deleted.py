# SPDX-License-Identifier: Apache-2.0
"""Keys and values that no tree leads to any more: in freed cells, in the slack of cells in use, in cells left over.

What is claimed is claimed apart: that a record of this name stands here; where it hung (its parent's cell may have been given
to another key since); and whether its data is still the data it had (its cell may be in use for something else by now).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headwater.formats.registry_hive import PATH_MOST, TEXT_MOST, Hive
from headwater.formats.registry_layout import BASE, FILETIME_EPOCH, NOWHERE, Flags, Ints
from headwater.formats.registry_tree import FREE, INLINE, NK, NK_LEAST, VK, VK_LEAST

FREED, SLACK, LEFT = "freed", "slack", "unreferenced"  # in a freed cell, behind a record in use, in use but not led to
INTACT, PARTLY, REUSED, MISSING, NONE = "as-left", "cut", "reused", "missing", "none"
MOST = 200_000  # records of each sort that are told of one hive
_YEAR = 365 * 86_400 * 10_000_000
_EARLIEST, _NO_LATER = FILETIME_EPOCH + 19 * _YEAR, FILETIME_EPOCH + 130 * _YEAR
_NAME_MOST = 512
_DEPTH = 512


@dataclass(frozen=True, slots=True)
class DeletedKey:
    """``parent`` and ``parent_state``: the path above as far as it can be followed, and whether that key is in use."""

    offset: int
    length: int
    where: str
    name: str
    written: int  # FILETIME
    parent: str
    parent_state: str  # "in-use", "deleted", "unknown"
    subkeys: int
    values: int


@dataclass(frozen=True, slots=True)
class DeletedValue:
    """``owner``: the key in whose old list it stands, with its path; None where no list leads to it."""

    offset: int
    length: int
    where: str
    name: str
    type: int
    size: int
    data: bytes
    data_state: str
    data_offset: int | None
    owner: str | None


@dataclass(frozen=True, slots=True)
class _Candidates:
    places: Ints  # where the record's cell began
    ends: Ints  # how far the room goes in which it stands
    where: list[str]


def _candidates(hive: Hive, signature: int, least: int) -> _Candidates:
    """Places with this signature that no structure in use covers."""
    cells, tree = hive.cells, hive.tree
    marks = hive.words.u2[2::4]  # the word behind a size, at every place where a cell may begin
    places = np.flatnonzero(marks == signature).astype(np.int64) * 8
    cell = cells.holding(places)
    places, cell = places[cell >= 0], cell[cell >= 0]
    ends = cells.starts[cell] + cells.sizes[cell]
    role = tree.role[cell]
    covered = np.where(role == FREE, 0, tree.extent[cell])
    good = (places >= cells.starts[cell] + covered) & (places + 4 + least <= ends) & (places >= BASE)
    places, cell, ends = places[good][:MOST], cell[good][:MOST], ends[good][:MOST]
    where = np.where(cells.used[cell], np.where(tree.role[cell] == FREE, LEFT, SLACK), FREED)
    return _Candidates(places, ends, where.tolist())


def _sound_keys(hive: Hive, found: _Candidates) -> Flags:
    body, words = found.places + 4, hive.words
    written = words.long(body + 4) | (words.long(body + 8) << 32)
    length = words.short(body + 72)
    good = (length > 0) & (length <= _NAME_MOST) & (body + NK_LEAST + length <= found.ends)
    good &= (written > _EARLIEST) & (written < _NO_LATER) & (words.short(body + 2) < 0x4000)
    above = words.long(body + 16)
    kept: Flags = good & (above % 8 == 0) & (above < len(hive.data))
    return kept


def _sound_values(hive: Hive, found: _Candidates) -> Flags:
    body, words = found.places + 4, hive.words
    length, size, kind = words.short(body + 2), words.long(body + 4), words.long(body + 12)
    at, flags = words.long(body + 8), words.short(body + 16)
    good = (length <= _NAME_MOST) & (body + VK_LEAST + length <= found.ends) & (flags <= 1)
    inline = size & INLINE != 0
    good &= np.where(inline, (size & ~INLINE) <= 4, (size < len(hive.data)) & ((size == 0) | (at % 8 == 0)))
    good &= inline | (size == 0) | (at < len(hive.data))
    kept: Flags = good & ((kind <= 11) | ((kind & 0xFFFF_0000) == 0xFFFF_0000))
    return kept


def _name(data: bytes, at: int, size: int, plain: bool) -> str:
    return data[at : at + size].decode("latin-1" if plain else "utf-16-le", "backslashreplace")


def _printable(name: str) -> bool:
    return all(c >= " " and c != "\x7f" for c in name)


class Deleted:
    """The remains in one hive; ``keys`` and ``values`` in the order of their places."""

    def __init__(self, hive: Hive) -> None:
        self._hive = hive
        self._long = hive.words.u4
        keys, values = _candidates(hive, NK, NK_LEAST), _candidates(hive, VK, VK_LEAST)
        self._live = dict(
            zip(hive.cells.starts[hive.tree.key_cell].tolist(), range(len(hive.tree.key_cell)), strict=True)
        )
        rows = np.flatnonzero(_sound_keys(hive, keys)).tolist()
        self._at: dict[int, int] = {int(keys.places[r]): r for r in rows}  # deleted keys by place
        self.keys: list[DeletedKey] = []
        self._owners: dict[int, str] = {}
        self._above: dict[int, str] = {}  # paths of deleted keys that were followed, by place
        for row in rows:
            self._key(int(keys.places[row]), keys.where[row])
        self.values: list[DeletedValue] = []
        for row in np.flatnonzero(_sound_values(hive, values)).tolist():
            self._value(int(values.places[row]), values.where[row])

    def _word(self, place: int) -> int:
        return int(self._long[place >> 2])

    def _half(self, place: int) -> int:
        return int(self._hive.words.u2[place >> 1])

    def _own_name(self, place: int) -> str:
        body = place + 4
        plain = bool(self._half(body + 2) & 0x20)
        return _name(self._hive.data, body + NK_LEAST, self._half(body + 72), plain)

    def _path(self, place: int) -> tuple[str, str]:
        """The path above the deleted key at ``place`` (from ``?`` on where its beginning is lost), and what its parent is now."""
        chain: list[int] = []
        first = above = self._word(place + 4 + 16) + BASE
        while above in self._at and above not in self._above and above != place and len(chain) < _DEPTH:
            self._above[above] = "?"  # a loop ends here
            chain.append(above)
            above = self._word(above + 4 + 16) + BASE
        live = self._live.get(above)
        path = self._hive.paths[live] if live is not None else self._above.get(above, "?")
        for one in reversed(chain):
            name = self._own_name(one)
            joined = f"{path}\\{name}" if path else name
            path = self._above[one] = joined if len(joined) <= PATH_MOST else f"…\\{name}"
        return path, "in-use" if first in self._live else "deleted" if first in self._at else "unknown"

    def _key(self, place: int, where: str) -> None:
        name = self._own_name(place)
        if not _printable(name):
            del self._at[place]
            return
        body = place + 4
        parent, state = self._path(place)
        length = 4 + NK_LEAST + self._half(body + 72)
        written = self._word(body + 4) | self._word(body + 8) << 32
        count, listed = self._word(body + 36), self._word(body + 40)
        found = DeletedKey(place, length, where, name, written, parent, state, self._word(body + 20), count)
        self.keys.append(found)
        if 0 < count <= 4096 and listed != NOWHERE and listed % 4 == 0:
            at = listed + BASE + 4
            path = f"{parent}\\{name}" if parent else name
            for entry in self._long[at >> 2 : (at >> 2) + count].tolist():
                self._owners.setdefault(entry + BASE, path)

    def _value(self, place: int, where: str) -> None:
        hive, body = self._hive, place + 4
        size, kind, length = self._word(body + 4), self._word(body + 12), self._half(body + 2)
        name = _name(hive.data, body + VK_LEAST, length, bool(self._half(body + 16) & 1))
        owner = self._owners.get(place)
        if not _printable(name) or (not length and owner is None):
            return  # a nameless one that no list leads to is as likely chance
        data, state, at = self._data(size, self._word(body + 8), body + 8)
        self.values.append(
            DeletedValue(place, 4 + VK_LEAST + length, where, name, kind, size & ~INLINE, data, state, at, owner)
        )

    def _data(self, size: int, offset: int, inline: int) -> tuple[bytes, str, int | None]:
        hive = self._hive
        if size & INLINE:
            return hive.data[inline : inline + (size & ~INLINE)], INTACT, inline
        if not size or offset == NOWHERE:
            return b"", NONE, None
        start = offset + BASE
        cell = int(hive.cells.holding([start])[0])
        if cell < 0 or start + 4 > len(hive.data):
            return b"", MISSING, None
        end = int(hive.cells.starts[cell] + hive.cells.sizes[cell])
        data = hive.data[start + 4 : min(start + 4 + min(size, TEXT_MOST), end)]
        if hive.cells.used[cell] and hive.tree.role[cell] != FREE:
            covered = int(hive.cells.starts[cell] + hive.tree.extent[cell])
            if start < covered:
                return b"", REUSED, start
        return data, INTACT if start + 4 + size <= end else PARTLY, start
