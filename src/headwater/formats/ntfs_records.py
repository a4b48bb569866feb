# SPDX-License-Identifier: Apache-2.0
"""Records of $MFT by column: many at once, their fixups undone and their attributes walked in step.

A block of records is one array of bytes; each step of the walk takes the next attribute of every record that still has
one, so a block costs as many steps as its longest record has attributes, however many records it has. Layout: the Linux
NTFS project, https://flatcap.github.io/linux-ntfs/ntfs/concepts/file_record.html and the pages of the attributes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FILE, BAAD = 0x454C4946, 0x44414142
IN_USE, DIRECTORY = 0x1, 0x2
END = 0xFFFFFFFF
EMPTY, LIVE, FREE, BROKEN = 0, 1, 2, 3  # what a record is: never used, in use, free (deleted), not to be read
_SECTOR = 512
_HEADER = 48

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Attributes:
    """The attributes of a block, one row each, by record and place. Offsets count in the block's bytes.

    ``size``: of the content (a resident one's length, else the data size that its first part states). ``content``: where
    a resident content stands; for others where the runs begin. ``lowest``: the first cluster that this part maps.
    """

    row: Ints
    at: Ints
    type: Ints
    length: Ints
    resident: NDArray[np.bool_]
    name_length: Ints
    name_at: Ints
    flags: Ints
    id: Ints
    content: Ints
    size: Ints
    lowest: Ints


@dataclass(frozen=True, slots=True)
class Block:
    """Records ``first`` and following: ``data`` is their bytes with the fixups undone.

    ``state``: EMPTY, LIVE, FREE or BROKEN; ``why`` tells of broken ones 1 no record, 2 torn, 3 marked BAAD; ``cut``: the
    attributes end in what cannot be one.
    """

    first: int
    size: int
    data: NDArray[np.uint8]
    state: NDArray[np.uint8]
    why: NDArray[np.uint8]
    cut: NDArray[np.bool_]
    lsn: Ints
    sequence: Ints
    links: Ints
    flags: Ints
    base: NDArray[np.uint64]
    attributes: Attributes


def take(data: NDArray[np.uint8], at: Ints, width: int) -> Ints:
    """Little-endian integers of ``width`` bytes at these places; eight bytes come back as signed."""
    kind = {1: "<u1", 2: "<u2", 4: "<u4", 8: "<i8"}[width]
    if not len(at):
        return np.empty(0, np.int64)
    if width == 1 or not (at & (width - 1)).any():
        return data[: len(data) // width * width].view(kind)[at // width].astype(np.int64)
    gathered = data[at[:, None] + np.arange(width)]
    return np.ascontiguousarray(gathered).view(kind)[:, 0].astype(np.int64)


def decode(raw: bytes, size: int, first: int) -> Block:
    """Decode whole records of ``size`` bytes (a multiple of 512); what remains of ``raw`` behind them is left out."""
    count = len(raw) // size
    data = np.frombuffer(raw, np.uint8, count * size).copy()
    head = data.reshape(count, size)[:, :_HEADER].copy()
    words = head.view("<u2")
    magic = head.view("<u4")[:, 0]
    state = np.full(count, BROKEN, np.uint8)
    why = np.zeros(count, np.uint8)
    empty = ~data.reshape(count, size).view("<u8").any(axis=1)
    is_file = magic == FILE
    why[~is_file] = 1
    why[magic == BAAD] = 3
    torn = _fix(data.reshape(count, size).view("<u2"), words[:, 2], words[:, 3], is_file, size)
    why[torn] = 2
    flags = words[:, 11].astype(np.int64)
    good = is_file & ~torn
    state[good] = np.where(flags[good] & IN_USE, LIVE, FREE)
    state[empty], why[empty] = EMPTY, 0
    attributes, cut = _walk(data, size, np.flatnonzero(good), words[:, 10].astype(np.int64)[good], count)
    longs = head.view("<u8")
    return Block(
        first, size, data, state, why, cut, longs[:, 1].astype(np.int64), words[:, 8].astype(np.int64),
        words[:, 9].astype(np.int64), flags, longs[:, 4].copy(), attributes,
    )  # fmt: skip


def _fix(
    units: NDArray[np.uint16], at: NDArray[np.uint16], count: NDArray[np.uint16], wanted: NDArray[np.bool_], size: int
) -> NDArray[np.bool_]:
    """Put back the last two bytes of every sector; gives which records are torn (or have no fitting fixups)."""
    sectors = size // _SECTOR
    torn: NDArray[np.bool_] = wanted & (
        (count != sectors + 1) | (at & 1 != 0) | (at.astype(np.int64) + 2 * (sectors + 1) > size)
    )
    for place in np.unique(at[wanted & ~torn]).tolist():
        rows = np.flatnonzero(wanted & ~torn & (at == place))
        start = place // 2
        mark = units[rows, start]
        whole = np.ones(len(rows), np.bool_)
        for sector in range(1, sectors + 1):
            whole &= units[rows, sector * 256 - 1] == mark
        torn[rows[~whole]] = True
        rows = rows[whole]
        for sector in range(1, sectors + 1):
            units[rows, sector * 256 - 1] = units[rows, start + sector]
    return torn


def _walk(data: NDArray[np.uint8], size: int, rows: Ints, at: Ints, count: int) -> tuple[Attributes, NDArray[np.bool_]]:
    """Every attribute of the given records, whose first ones stand at ``at`` in them."""
    cut = np.zeros(count, np.bool_)
    longs = data.view("<u4")
    found: list[tuple[Ints, Ints, Ints, Ints]] = []
    rows = rows.astype(np.int64)
    while len(rows):
        fits = (at & 7 == 0) & (at >= _HEADER - 6) & (at + 8 <= size)
        cut[rows[~fits]] = True
        rows, at = rows[fits], at[fits]
        place = rows * size + at
        kind = longs[place >> 2].astype(np.int64)
        length = longs[(place >> 2) + 1].astype(np.int64)
        going = kind != END
        fits = (length >= 24) & (length & 7 == 0) & (at + length <= size)
        cut[rows[going & ~fits]] = True
        keep = going & fits
        rows, at, place, kind, length = rows[keep], at[keep], place[keep], kind[keep], length[keep]
        if len(rows):
            found.append((rows, place, kind, length))
        at = at + length
    if not found:
        none = np.empty(0, np.int64)
        return _attributes(data, none, none, none, none, cut), cut
    row, place, kind, length = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(place, kind="stable")
    return _attributes(data, row[order], place[order], kind[order], length[order], cut), cut


def _attributes(
    data: NDArray[np.uint8], row: Ints, at: Ints, kind: Ints, length: Ints, cut: NDArray[np.bool_]
) -> Attributes:
    resident = data[at + 8] == 0
    name_length = data[at + 9].astype(np.int64)
    name_at = take(data, at + 10, 2)
    held = np.where(resident, take(data, at + 16, 4), 0)
    start = np.where(resident, take(data, at + 20, 2), 0)
    long = ~resident & (length >= 64)
    size, lowest, runs = np.zeros(len(at), np.int64), np.zeros(len(at), np.int64), np.zeros(len(at), np.int64)
    lowest[long] = take(data, at[long] + 16, 8)
    runs[long] = take(data, at[long] + 32, 2)
    size[long] = take(data, at[long] + 48, 8)
    size = np.where(resident, held, size)
    start = np.where(resident, start, runs)
    good = np.where(resident, (start + held <= length) & (start & 1 == 0), long & (start < length) & (size >= 0))
    good &= (lowest >= 0) & (name_at & 1 == 0) & ((name_length == 0) | (name_at + 2 * name_length <= length))
    cut[row[~good]] = True
    columns = (
        row, at, kind, length, resident, name_length, at + name_at, take(data, at + 12, 2), take(data, at + 14, 2),
        at + start, size, lowest,
    )  # fmt: skip
    return Attributes(*(column[good] for column in columns))
