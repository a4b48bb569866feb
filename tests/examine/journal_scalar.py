# SPDX-License-Identifier: Apache-2.0
"""A journal read object by object and field by field: slow, plain, and what the reading by columns is held to."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from typing import Any

from headwater.formats.journal import Journal, open_journal
from headwater.formats.journal_layout import DATA, ENTRY, HEADER_LEAST
from headwater.model.kinds import GapReason
from headwater.model.records import Gap

ITEMS_MOST = 4096
CELLS_MOST = 4 << 20
Row = tuple[Any, ...]


def objects(journal: Journal) -> Iterator[tuple[int, int, int, int, bool]]:
    """Offset, type, flags, size and whether it is listed, of every object in the order in which they stand."""
    known = [*journal.listed().tolist(), journal.size]
    place = 0
    stated = journal.header.header_size
    at = max(HEADER_LEAST, stated + 7 & ~7) if stated < journal.size else HEADER_LEAST
    while at + 16 <= journal.size:
        while known[place] < at:
            place += 1
        ahead = known[place]
        found = journal.object_at(at)
        if found and ahead > at and at + found[2] > ahead and journal.is_entry(ahead):
            found = None  # its size lies: it would hide an entry that the index lists
        if found is None:
            at = journal.broken(at, ahead)
            continue
        yield (at, *found, ahead == at)
        at += found[2] + 7 & ~7
    if at < journal.size:
        journal.gaps.append(Gap(at, journal.size - at, GapReason.TRUNCATED, "part of an object"))


def rows(journal: Journal) -> Iterator[Row]:
    """Every entry: its place, its head, how many of its fields cannot be read, and the others by name."""
    known: dict[int, tuple[str, str] | None] = {}
    for at, kind, flags, size, listed in objects(journal):
        if kind == DATA:
            known[at] = journal.content(at, flags, size)
        if kind != ENTRY:
            continue
        width = 4 if journal.compact else 16
        count = min((size - 64) // width, ITEMS_MOST)
        if count < (size - 64) // width:
            journal.fault(at, size, GapReason.LIMIT, f"an entry of more than {ITEMS_MOST} fields")
        raw = journal.read(at, 64 + count * width)
        items = (
            struct.unpack_from(f"<{count}I", raw, 64)
            if width == 4
            else struct.unpack_from(f"<{2 * count}Q", raw, 64)[::2]
        )
        fields: dict[str, list[str]] = {}
        missing = cells = 0
        for item in items:
            if item not in known:
                known[item] = journal.field(item)
            found = known[item]
            if found is None or cells > CELLS_MOST:
                missing += 1
                continue
            fields.setdefault(found[0], []).append(found[1])
            cells += len(found[1])
        yield (at, size, *struct.unpack_from("<QQQ16s", raw, 16), listed, missing, fields)


def answer(data: bytes) -> tuple[list[Row], list[Gap], int]:
    """The entries, the gaps and the slack of a journal."""
    journal = open_journal(lambda at, n: data[at : at + n], len(data))
    assert isinstance(journal, Journal)
    found = list(rows(journal))
    return found, sorted(journal.gaps, key=lambda g: g.offset), journal.slack


def bent(data: bytes, chance: random.Random) -> bytes:
    """A journal with objects whose sizes, types, pointers, names and texts are wrong, some gone, some twice."""
    journal = open_journal(lambda at, n: data[at : at + n], len(data))
    assert isinstance(journal, Journal)
    every = [(at, kind, size) for at, kind, _flags, size, _listed in objects(journal)]
    some = [o for o in every if o[1] in (DATA, ENTRY)]
    out = bytearray(data)
    for _ in range(chance.choice((1, 3, 10, 40))):
        at, _kind, size = chance.choice(some)
        where = chance.randrange(at, at + size) if chance.random() < 0.5 else at + 64
        new = {
            "size": struct.pack("<Q", chance.choice((0, 15, 16, 64, size - 8, size + 8, 3 * size, 1 << 20, 1 << 63))),
            "kind": bytes([chance.randrange(9), chance.choice((0, 0, 1, 2, 4, 8))]),
            "item": struct.pack("<I", chance.choice((0, 7, chance.choice(every)[0], chance.choice(some)[0] + 8, 1 << 31))),
            "zeros": bytes(chance.randrange(1, 900)),
            "name": bytes(chance.choice(b"A_=\xff\xc3=\xa9") for _ in range(6)),
            "twice": out[slice(*(lambda o: (o[0], o[0] + o[2]))(chance.choice(some)))],
            "byte": bytes([chance.choice(b"\xe8\xff=\0 a")]),
        }  # fmt: skip
        what = chance.choice(sorted(new))
        place = {
            "size": at + 8,
            "kind": at,
            "twice": at,
            "item": at + 64 + 4 * chance.randrange(max(1, (size - 64) // 4)),
        }
        where = place.get(what, where)
        out[where : where + len(new[what])] = new[what]
    if chance.random() < 0.3:
        gone = chance.choice(some)[0]
        del out[gone : gone + 8 * chance.randrange(1, 30)]
    end = chance.randrange(len(out)) if chance.random() < 0.2 else len(out)
    return (
        bytes(out[: max(end, 300)])
        + chance.randbytes(chance.choice((0, 0, 0, 200)))
        + bytes(chance.choice((0, 0, 5000)))
    )
