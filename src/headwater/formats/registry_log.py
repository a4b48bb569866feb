# SPDX-License-Identifier: Apache-2.0
"""Transaction logs of a registry hive, old form (DIRT) and new (HvLE), and the hive as they would make it, in memory.

A log is applied only to a hive that says of itself that a write was not ended (it is dirty). In the new form the entries of
both logs are applied in order of their sequence numbers without a hole, from the one that the hive still lacks; in the old
form the one log counts whose time is the hive's. Bytes are never written: what a log changes is a list of places.
https://github.com/msuhanov/regf/blob/master/Windows%20registry%20file%20format%20specification.md
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headwater.formats.registry_layout import BASE, BaseBlock, base_block

SECTOR = 512
ENTRY_MAGIC = b"HvLE"
DIRTY_MAGIC = b"DIRT"
OLD_TYPES, NEW_TYPE = (1, 2), 6
HIVE_MOST = 2 << 30  # a hive's bins cannot be larger
_ENTRY = struct.Struct("<4sIIIIIQQ")
_REFERENCE = struct.Struct("<II")
_MASK = 0xFFFF_FFFF
# The seed as the kernel loads it (a 64-bit number), and its bytes in the order in which the specification prints them.
_SEEDS = (0x82EF4D887A4E55C5, 0xC5554E7A884DEF82)


def marvin32(data: bytes, seed: int) -> int:
    """The Marvin32 hash of ``data`` as one 64-bit number (Niels Ferguson's, as SymCrypt has it)."""
    low, high = seed & _MASK, seed >> 32
    whole = len(data) & ~3
    last = data[whole:] + b"\x80"
    words = np.frombuffer(data, dtype="<u4", count=whole >> 2).tolist()
    for word in (*words, int.from_bytes(last, "little"), 0):
        low = (low + word) & _MASK
        high ^= low
        low = (((low << 20) | (low >> 12)) + high) & _MASK
        high = ((high << 9) | (high >> 23)) & _MASK ^ low
        low = (((low << 27) | (low >> 5)) + high) & _MASK
        high = ((high << 19) | (high >> 13)) & _MASK
    return high << 32 | low


@dataclass(frozen=True, slots=True)
class Page:
    """Bytes that stand at ``at`` in the log and belong at ``place`` in the hive."""

    place: int
    at: int
    size: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One write as the log keeps it. ``sound``: its sums hold (old logs have none: then the size is what was checked)."""

    offset: int
    size: int
    sequence: int
    bins_size: int
    pages: tuple[Page, ...]
    sound: bool


@dataclass(frozen=True, slots=True)
class Log:
    """``entries``: those that follow the header without a hole; ``older``: remains of earlier writes behind them."""

    base: BaseBlock
    form: str  # "new", "old"
    entries: tuple[Entry, ...]
    older: tuple[Entry, ...]


def read_log(data: bytes) -> Log | None:
    """The log in these bytes; None where they do not begin with a log's base block."""
    base = base_block(data)
    if base is None or base.file_type not in (*OLD_TYPES, NEW_TYPE):
        return None
    if data[SECTOR : SECTOR + 4] == DIRTY_MAGIC and base.file_type in OLD_TYPES:
        entry = _dirty_pages(data, base)
        return Log(base, "old", (entry,) if entry is not None else (), ())
    entries: list[Entry] = []
    older: list[Entry] = []
    at, wanted, going = SECTOR, base.primary, True
    while at + _ENTRY.size <= len(data):
        entry = _entry(data, at)
        if entry is None:
            going = False
            at = _next_entry(data, at + SECTOR)
            continue
        going = going and entry.sound and entry.sequence == wanted
        (entries if going else older).append(entry)
        wanted = (wanted + 1) & _MASK
        at += entry.size
    return Log(base, "new", tuple(entries), tuple(older))


def _next_entry(data: bytes, at: int) -> int:
    found = data.find(ENTRY_MAGIC, at)
    while found >= 0 and found % SECTOR:
        found = data.find(ENTRY_MAGIC, found + 1)
    return found if found >= 0 else len(data)


def _entry(data: bytes, at: int) -> Entry | None:
    magic, size, _, sequence, bins, count, first, second = _ENTRY.unpack_from(data, at)
    if magic != ENTRY_MAGIC or size < SECTOR or size % SECTOR or at + size > len(data):
        return None
    if count > (size - _ENTRY.size) // _REFERENCE.size or bins % BASE or bins > HIVE_MOST:
        return None
    body = data[at + _ENTRY.size : at + size]
    head = data[at : at + 32]
    sound = any(marvin32(head, seed) == second and marvin32(body, seed) == first for seed in _SEEDS)
    pages: list[Page] = []
    where = at + _ENTRY.size + count * _REFERENCE.size
    for place, length in _REFERENCE.iter_unpack(body[: count * _REFERENCE.size]):
        if where + length > at + size or place + length > bins:
            sound = False
            break
        pages.append(Page(place + BASE, where, length))
        where += length
    return Entry(at, size, sequence, bins, tuple(pages), sound)


def _dirty_pages(data: bytes, base: BaseBlock) -> Entry | None:
    """The one set of pages of an old log: a bitmap of pages of 512 bytes, then those whose bit is set."""
    room = min(base.bins_size, HIVE_MOST) // SECTOR
    bitmap = data[SECTOR + 4 : SECTOR + 4 + (room + 7) // 8]
    bits = np.unpackbits(np.frombuffer(bitmap, dtype=np.uint8), bitorder="little")[:room]
    numbers = np.flatnonzero(bits).tolist()
    start = -(-(SECTOR + 4 + (room + 7) // 8) // SECTOR) * SECTOR
    there = max(len(data) - start, 0) // SECTOR
    sound = len(numbers) <= there and base.sound and base.primary == base.secondary
    pages = tuple(Page(BASE + n * SECTOR, start + i * SECTOR, SECTOR) for i, n in enumerate(numbers[:there]))
    size = min(start + len(numbers) * SECTOR, len(data)) - SECTOR
    return Entry(SECTOR, size, base.primary, base.bins_size, pages, sound) if size > 0 else None


@dataclass(frozen=True, slots=True)
class Replayed:
    """A hive as its logs make it. ``pages``: what came from where, as (log, page), later ones over earlier ones."""

    data: bytes
    pages: tuple[tuple[int, Page], ...]
    applied: frozenset[tuple[int, int]]  # (log, offset of the entry)


def replay(hive: bytes, logs: Sequence[Log | None], contents: Sequence[bytes]) -> Replayed | None:
    """The hive with its logs applied; None where it is not dirty or no log has anything that it lacks.

    ``logs`` in the order LOG, LOG1, LOG2 with their bytes beside them.
    """
    base = base_block(hive)
    if base is None or not base.dirty:
        return None
    chosen = _new_entries(base, logs) or _old_entries(base, hive, logs)
    if not chosen:
        return None
    end = max(len(hive), BASE + max(entry.bins_size for _, entry in chosen))
    out = bytearray(hive)
    out.extend(bytes(end - len(hive)))
    pages: list[tuple[int, Page]] = []
    for number, entry in chosen:
        for page in entry.pages:
            if page.place + page.size <= end:
                out[page.place : page.place + page.size] = contents[number][page.at : page.at + page.size]
                pages.append((number, page))
    last = chosen[-1][1]
    source = logs[chosen[-1][0]]
    root = base.root if base.sound or source is None else source.base.root
    struct.pack_into("<II", out, 36, root, last.bins_size)
    return Replayed(bytes(out), tuple(pages), frozenset((n, e.offset) for n, e in chosen))


def _new_entries(base: BaseBlock, logs: Sequence[Log | None]) -> list[tuple[int, Entry]]:
    ordered = [(n, log) for n, log in enumerate(logs) if log is not None and log.form == "new" and log.entries]
    ordered.sort(key=lambda pair: pair[1].entries[0].sequence)
    if not base.sound:
        ordered = ordered[-1:]  # only the latest log can mend a base block
    chosen: list[tuple[int, Entry]] = []
    for number, log in ordered:
        for entry in log.entries:
            if base.sound and entry.sequence < base.secondary:
                continue
            if chosen and entry.sequence != (chosen[-1][1].sequence + 1) & _MASK:
                return chosen
            chosen.append((number, entry))
    return chosen


def _old_entries(base: BaseBlock, hive: bytes, logs: Sequence[Log | None]) -> list[tuple[int, Entry]]:
    written = base.written
    if not base.sound and len(hive) >= BASE + 28:
        written = struct.unpack_from("<Q", hive, BASE + 20)[0]  # the first bin keeps a copy
    for number, log in enumerate(logs):
        if log is not None and log.form == "old" and log.base.written == written:
            for entry in log.entries:
                if entry.sound:
                    return [(number, entry)]
    return []
