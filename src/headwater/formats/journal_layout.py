# SPDX-License-Identifier: Apache-2.0
"""The header and the objects of a journal file, as their specification writes them.

https://systemd.io/JOURNAL_FILE_FORMAT/ — little-endian, objects aligned to 8 bytes, offsets from the file's beginning.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"LPKSHHRH"
DATA, FIELD, ENTRY, DATA_HASH_TABLE, FIELD_HASH_TABLE, ENTRY_ARRAY, TAG = range(1, 8)
XZ, LZ4, ZSTD = 1, 2, 4  # flags of a data object
INCOMPATIBLE_COMPACT = 16
INCOMPATIBLE_KNOWN = 1 | 2 | 4 | 8 | INCOMPATIBLE_COMPACT  # XZ, LZ4, keyed hash, ZSTD, compact
STATES = {0: "offline", 1: "online", 2: "archived"}
HEADER_LEAST = 208

_HEADER = struct.Struct("<8sIIB7x16s16s16s16sQQQQQQQQQQQQQQQ")
_LEAST = (0, 64, 40, 64, 16, 16, 24, 64)  # bytes of an object without its content, by type
_NOTHING = bytes(6)
OBJECT = struct.Struct("<BB6sQ")
ENTRY_HEAD = struct.Struct("<16xQQQ16sQ")


@dataclass(frozen=True, slots=True)
class Header:
    """The file's own statements about itself; nothing of it is relied on without a check."""

    compatible: int
    incompatible: int
    state: int
    file_id: str
    machine_id: str
    boot_id: str
    seqnum_id: str
    header_size: int
    arena_size: int
    tail_object_offset: int
    n_objects: int
    n_entries: int
    tail_seqnum: int
    head_seqnum: int
    entry_array_offset: int
    head_realtime: int
    tail_realtime: int

    @property
    def compact(self) -> bool:
        """Whether offsets in entries and arrays have 32 bits."""
        return bool(self.incompatible & INCOMPATIBLE_COMPACT)


def header_of(data: bytes) -> Header | None:
    """The header from the first 208 bytes; None where they are none of a journal."""
    if len(data) < HEADER_LEAST or data[:8] != SIGNATURE:
        return None
    (_, compatible, incompatible, state, file_id, machine, boot, seqnum_id, *numbers) = _HEADER.unpack_from(data)
    size, arena, _dt, _ds, _ft, _fs, tail, objects, entries, last, first, array, oldest, newest, _mono = numbers
    return Header(
        compatible,
        incompatible,
        state,
        file_id.hex(),
        machine.hex(),
        boot.hex(),
        seqnum_id.hex(),
        size,
        arena,
        tail,
        objects,
        entries,
        last,
        first,
        array,
        oldest,
        newest,
    )


def plausible(data: bytes, at: int, room: int, compact: bool) -> tuple[int, int, int] | None:
    """Type, flags and size of the object whose 16 bytes stand at ``at``, if it can stand in ``room`` bytes."""
    kind, flags, reserved, size = OBJECT.unpack_from(data, at)
    if not 1 <= kind <= 7 or not _LEAST[kind] <= size <= room or reserved != _NOTHING:
        return None
    if kind == DATA:
        return (kind, flags, size) if flags <= 7 else None
    if flags:
        return None
    if kind == ENTRY:
        fits = (size - 64) % (4 if compact else 16) == 0
    elif kind == ENTRY_ARRAY:
        fits = (size - 24) % (4 if compact else 8) == 0
    elif kind in (DATA_HASH_TABLE, FIELD_HASH_TABLE):
        fits = (size - 16) % 16 == 0
    else:
        fits = kind != TAG or size == 64
    return (kind, flags, size) if fits else None


_LEAST_OF = np.array(_LEAST, dtype=np.uint64)
_FLAGS_MOST = np.array([0, 7, 0, 0, 0, 0, 0, 0], dtype=np.uint64)
# what of the size beyond the least must be zero bits: items have 16 bytes (4 when compact), a tag has one size
_EVEN = np.array([0, 0, 0, 15, 15, 15, 7, (1 << 64) - 1], dtype=np.uint64)
_EVEN_COMPACT = np.array([0, 0, 0, 3, 15, 15, 3, (1 << 64) - 1], dtype=np.uint64)


def plausible_all(
    first: NDArray[np.uint64], size: NDArray[np.uint64], room: NDArray[np.uint64], compact: bool
) -> NDArray[np.bool_]:
    """As :func:`plausible`, of many objects: the first and the second 8 bytes of each, and the bytes there are for it."""
    kind = first & np.uint64(0xFF)
    known = (kind >= 1) & (kind <= 7)
    kind[~known] = 0
    flags = first >> np.uint64(8)  # with the reserved bytes, which are zeros
    least = _LEAST_OF[kind]
    even = (_EVEN_COMPACT if compact else _EVEN)[kind]
    good: NDArray[np.bool_] = known & (size >= least) & (size <= room)
    good &= (flags <= _FLAGS_MOST[kind]) & ((size - least) & even == 0)
    return good
