# SPDX-License-Identifier: Apache-2.0
"""Names in the free space of directories whose inode is another file's by now, or was wiped: the name is all that is left.

A directory that was written anew leaves copies of names that are still in use: a name that stands in the same directory
with the same inode is no deleted one. What remains is claimed as a name, with its place, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, NamedTuple

from headwater.formats.ext_directories import Name
from headwater.formats.trees import Entry

NAMES_MOST = 200_000
_READ_MOST = 256 << 20  # bytes of directories
_LOOK_MOST = 1 << 30  # bytes of them that are looked through for the places of names


class Slack(NamedTuple):
    """A deleted name: the inode of its directory, its whole path, what the listing says of it."""

    folder: int
    name: Name
    entry: Entry


class Part(NamedTuple):
    """A block of a directory: where it stands on the volume, its bytes there, and the names in use in it by inode."""

    place: int
    data: bytes
    live: Mapping[bytes, int]


@dataclass(frozen=True, slots=True)
class NameAlone:
    """``place`` and ``record_size``: of the name's record on the volume, or of its directory's inode where that is not found."""

    entry: Entry
    place: int
    record_size: int


def names_alone(
    slack: Iterable[Slack],
    claimed: set[str],
    parts: Callable[[int], Sequence[Part]],
    inode: Callable[[int], tuple[int, int]],
    form: Literal["ext", "xfs"],
) -> Iterator[NameAlone]:
    """The names that no other claim has. ``claimed``: their paths; ``inode``: (place, size) of a directory's inode."""
    left = _READ_MOST
    count = 0
    search = _Search(form)
    for folder, group in groupby(sorted(slack, key=lambda s: s.folder), key=lambda s: s.folder):
        held = parts(folder) if left > 0 else ()
        left -= sum(len(part.data) for part in held)
        live = {name: number for part in held for name, number in part.live.items()}
        seen: set[tuple[bytes, int]] = set()
        for each in group:
            name = each.name
            known = (name.name, name.inode)
            if each.entry.path in claimed or known in seen or live.get(name.name) == name.inode:
                continue
            seen.add(known)
            count += 1
            if count > NAMES_MOST:
                return
            found = search.place(held, name)
            length = (8 if form == "ext" else 9) + len(name.name)
            yield NameAlone(each.entry, *((found, length) if found is not None else inode(folder)))


class _Search:
    """Where the records of names begin in the blocks of their directory, for as long as the looking is worth it."""

    def __init__(self, form: Literal["ext", "xfs"]) -> None:
        self._form, self._left = form, _LOOK_MOST

    def place(self, parts: Sequence[Part], name: Name) -> int | None:
        """On the volume; None where it is not found, or was not looked for any more."""
        for part in parts:
            found = self._within(part, name)
            if found is not None or self._left < 0:
                return found
        return None

    def _within(self, part: Part, name: Name) -> int | None:
        size = bytes([len(name.name) & 255])
        if self._form == "xfs":  # the upper half of the number may have been written over
            needle, before = (name.inode & 0xFFFFFFFF).to_bytes(4, "big") + size + name.name, 4
        else:
            needle, before = size + bytes([name.kind & 255]) + name.name, 6
        number = name.inode.to_bytes(4, "little") if self._form == "ext" else b""
        at = part.data.find(needle)
        self._left -= len(part.data)
        while at >= 0 and self._left >= 0:
            if at >= before and part.data[at - before : at - before + len(number)] == number:
                return part.place + at - before
            self._left -= 256
            at = part.data.find(needle, at + 1)
        return None
