# SPDX-License-Identifier: Apache-2.0
"""Records of the NTFS change journal ($UsnJrnl:$J) by column.

Records of versions 2, 3 and 4 are multiples of 8 bytes, stand one behind the other, and never cross a page of 4096
bytes, whose rest is zeros. Source: USN_RECORD_V2, _V3 and _V4 and the USN_REASON_* constants,
https://learn.microsoft.com/windows/win32/api/winioctl/ns-winioctl-usn_record_v2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headwater.formats.ntfs_names import names_at
from headwater.formats.ntfs_records import Ints, take
from headwater.model.kinds import GapReason
from headwater.model.records import Gap, Skip

PAGE = 4096
DIRECTORY = 0x10
CLOSE = 0x80000000
CREATE, DELETE, OLD_NAME, NEW_NAME = 0x100, 0x200, 0x1000, 0x2000
DATA = 0x1 | 0x2 | 0x4 | 0x10 | 0x20 | 0x40
REASONS = (
    (0x1, "DATA_OVERWRITE"), (0x2, "DATA_EXTEND"), (0x4, "DATA_TRUNCATION"), (0x10, "NAMED_DATA_OVERWRITE"),
    (0x20, "NAMED_DATA_EXTEND"), (0x40, "NAMED_DATA_TRUNCATION"), (0x100, "FILE_CREATE"), (0x200, "FILE_DELETE"),
    (0x400, "EA_CHANGE"), (0x800, "SECURITY_CHANGE"), (0x1000, "RENAME_OLD_NAME"), (0x2000, "RENAME_NEW_NAME"),
    (0x4000, "INDEXABLE_CHANGE"), (0x8000, "BASIC_INFO_CHANGE"), (0x10000, "HARD_LINK_CHANGE"),
    (0x20000, "COMPRESSION_CHANGE"), (0x40000, "ENCRYPTION_CHANGE"), (0x80000, "OBJECT_ID_CHANGE"),
    (0x100000, "REPARSE_POINT_CHANGE"), (0x200000, "STREAM_CHANGE"), (0x400000, "TRANSACTED_CHANGE"),
    (0x800000, "INTEGRITY_CHANGE"), (0x1000000, "DESIRED_STORAGE_CLASS_CHANGE"), (0x80000000, "CLOSE"),
)  # fmt: skip
SOURCES = ((0x1, "DATA_MANAGEMENT"), (0x2, "AUXILIARY_DATA"), (0x4, "REPLICATION_MANAGEMENT"),
           (0x8, "CLIENT_REPLICATION_MANAGEMENT"))  # fmt: skip
_CHUNK = 8 << 20
_LARGEST = 65536
_HEAD = {2: 60, 3: 76, 4: 56}
_MASK = np.uint64((1 << 48) - 1)


@dataclass(frozen=True, slots=True)
class Changes:
    """Records of a stretch, one row each. ``at`` counts in the file; ``time`` is a FILETIME, -1 in version 4, which has none.

    ``parent`` and ``inode`` are record numbers of $MFT with their sequence numbers beside them.
    """

    at: Ints
    length: Ints
    version: Ints
    inode: Ints
    sequence: Ints
    parent: Ints
    parent_sequence: Ints
    usn: Ints
    time: Ints
    reason: Ints
    source: Ints
    security: Ints
    attributes: Ints
    names: list[str]


@dataclass(frozen=True, slots=True)
class Stretch:
    """What bytes ``start`` up to ``end`` of the journal hold: records, and what is none."""

    start: int
    end: int
    changes: Changes
    gaps: tuple[Gap, ...]
    skips: tuple[Skip, ...]


def stretches(
    pread: Callable[[int, int], bytes], size: int, held: Sequence[tuple[int, int]] | None, directories: bool = False
) -> Iterator[Stretch]:
    """The journal in order, cut into stretches of some 8 MiB.

    ``held``: the parts that are stored, as (offset, length) in order; None where that is not known, and zeros are then
    read through. ``directories``: only records of directories are wanted (a first look at names).
    """
    at = 0
    for offset, length in held if held is not None else ((0, size),):
        offset, end = max(at, offset), min(offset + length, size)
        if offset > at:
            yield _hole(at, offset)
        at = offset
        while at < end:
            raw = pread(at, min(_CHUNK, end - at))
            if not raw:
                gap = Gap(at, end - at, GapReason.TRUNCATED, "the journal ends here")
                yield Stretch(at, end, _columns(np.empty(0, np.uint8), np.empty(0, np.int64), 0), (gap,), ())
                at = end
                break
            found = _stretch(raw, at, at + len(raw) >= end, directories)
            yield found
            at = found.end
    if at < size:
        yield _hole(at, size)


def _hole(start: int, end: int) -> Stretch:
    skip = Skip(start, end - start, "given back: a hole in the sparse file")
    return Stretch(start, end, _columns(np.empty(0, np.uint8), np.empty(0, np.int64), 0), (), (skip,))


def _stretch(raw: bytes, base: int, last: bool, directories: bool) -> Stretch:
    whole = len(raw) & ~7
    data = np.frombuffer(raw, np.uint8, whole)
    words = data.view("<u8")
    busy = np.concatenate(([0], np.cumsum(words != 0)))
    at, low, high, end = _pages(data, base) or _chain(data, base, last)
    good = _sound(data, at)
    empty = busy[high >> 3] == busy[low >> 3] if len(low) else np.empty(0, np.bool_)
    skips = [Skip(base + a, b - a, "padding") for a, b in zip(low[empty].tolist(), high[empty].tolist(), strict=True)]
    torn = [
        Gap(base + a, b - a, GapReason.NOT_THIS_FORMAT, "no record of the change journal")
        for a, b in zip(low[~empty].tolist(), high[~empty].tolist(), strict=True)
    ]
    torn += [
        Gap(base + a, n, GapReason.NOT_THIS_FORMAT, "a record of the change journal that cannot be")
        for a, n in zip(at[~good].tolist(), take(data, at[~good], 4).tolist(), strict=True)
    ]
    at = at[good]
    if directories and len(at):
        flags = take(data, at + 4, 2)
        place = np.where(flags == 2, 52, np.where(flags == 3, 68, 0))
        at = at[(flags != 4) & (take(data, at + place, 4) & DIRECTORY != 0)]
    if last and whole < len(raw):
        torn.append(Gap(base + whole, len(raw) - whole, GapReason.TRUNCATED, "less than a record"))
        end = len(raw)
    return Stretch(base, base + end, _columns(data, at, base), tuple(torn), tuple(skips))


def _pages(data: NDArray[np.uint8], base: int) -> tuple[Ints, Ints, Ints, int] | None:
    """As :func:`_chain`, all pages walked in step; None where a record crosses from one page into the next."""
    count, page = len(data) >> 3, PAGE >> 3
    if base & PAGE - 1 or not count:
        return None
    lengths = data.view("<u4")[::2]
    at = np.arange(0, count, page, dtype=np.int64)
    ends = np.minimum(at + page, count)
    starts: list[Ints] = []
    rest: list[tuple[Ints, Ints]] = []
    while len(at):
        length = lengths[at].astype(np.int64)
        record = (length >= 56) & (length <= _LARGEST) & (length & 7 == 0)
        rest.append((at[~record], ends[~record]))
        at, ends, length = at[record], ends[record], length[record]
        starts.append(at)
        at = at + (length >> 3)
        if (at > ends).any():
            return None
        going = at < ends
        at, ends = at[going], ends[going]
    low = np.concatenate([a for a, _ in rest])
    order = np.argsort(low)
    high = np.concatenate([b for _, b in rest])
    return np.sort(np.concatenate(starts)) << 3, low[order] << 3, high[order] << 3, len(data)


def _chain(data: NDArray[np.uint8], base: int, last: bool) -> tuple[Ints, Ints, Ints, int]:
    """Places of records, begins and ends of the ranges between them, and where the chain ended; whole 8-byte words."""
    lengths = data.view("<u4")[::2].tolist()
    starts: list[int] = []
    others: list[tuple[int, int]] = []
    at, end, count = 0, len(data), len(data) >> 3
    page = (base & PAGE - 1) >> 3
    while at < count:
        length = lengths[at]
        if 56 <= length <= _LARGEST and not length & 7:
            after = at + (length >> 3)
            if after <= count:
                starts.append(at << 3)
                at = after
                continue
            if not last and at:  # it goes on in the next stretch
                end = at << 3
                break
        after = min(count, (at + page | 511) + 1 - page)
        others.append((at << 3, after << 3))
        at = after
    low, high = np.array([a for a, _ in others], np.int64), np.array([b for _, b in others], np.int64)
    return np.array(starts, np.int64), low, high, end


def _sound(data: NDArray[np.uint8], at: Ints) -> NDArray[np.bool_]:
    """Which of these places hold a record whose version, name and length fit each other."""
    if not len(at):
        return np.empty(0, np.bool_)
    length = take(data, at, 4)
    version = take(data, at + 4, 2)
    good: NDArray[np.bool_] = take(data, at + 6, 2) == 0
    known = (version == 2) | (version == 3)
    shift = np.where(version == 3, 16, 0)
    held = known & (length >= 60 + shift)
    place = at[held] + shift[held]
    name, start = take(data, place + 56, 2), take(data, place + 58, 2)
    fits = (start >= 60 + shift[held]) & (start & 1 == 0) & (name & 1 == 0) & (start + name <= length[held])
    known[held] &= fits
    good &= (known & held) | (version == 4)
    return good


def _columns(data: NDArray[np.uint8], at: Ints, base: int) -> Changes:
    version = take(data, at + 4, 2)
    shift = np.where(version == 2, 0, 16)  # wider references put later fields 16 bytes further on
    plain = version != 4
    refs = take(data, at + 8, 8).view(np.uint64)
    above = take(data, at + 16 + shift // 2, 8).view(np.uint64)
    place = at + shift

    def of(offset: int, width: int, missing: int = 0) -> Ints:
        found = np.full(len(at), missing, np.int64)
        found[plain] = take(data, place[plain] + offset, width)
        return found

    usn = np.where(plain, of(24, 8), 0)
    reason, source = of(40, 4), of(44, 4)
    if not plain.all():
        other = at[~plain]
        usn[~plain] = take(data, other + 40, 8)
        reason[~plain] = take(data, other + 48, 4)
        source[~plain] = take(data, other + 52, 4)
    units, start = of(56, 2) // 2, of(58, 2)
    return Changes(
        base + at, take(data, at, 4), version, (refs & _MASK).astype(np.int64), (refs >> np.uint64(48)).astype(np.int64),
        (above & _MASK).astype(np.int64), (above >> np.uint64(48)).astype(np.int64), usn, of(32, 8, -1), reason, source,
        of(48, 4), of(52, 4), names_at(data.view("<u2"), (at + start) // 2, units),
    )  # fmt: skip
