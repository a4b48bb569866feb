# SPDX-License-Identifier: Apache-2.0
"""Names in ext directories: live ones, and those that deletion left standing in the space between.

Layout: https://docs.kernel.org/filesystems/ext4/directory.html. Deleting a name lengthens the record before it over the
deleted one, or sets the inode of a block's first record to 0; kernels since 5.13 also wipe the name. What stands in
that space is read as a record only where every part of it could be one.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from headwater.formats.ext_layout import INCOMPAT_FILETYPE, Superblock

_RECORD = struct.Struct("<IHBB")
_TAIL_TYPE = 0xDE  # a checksum in a record's clothes at the end of a block


class Name(NamedTuple):
    """A name at ``offset`` in the directory's content. ``inode`` may be 0 where deletion wiped it."""

    inode: int
    name: bytes
    kind: int  # 1 file, 2 directory, 3 char, 4 block, 5 FIFO, 6 socket, 7 link; 0 not recorded
    live: bool


class Names(NamedTuple):
    names: list[Name]
    broken: int  # bytes at the end of the block that are no records; 0 where it is whole


def names_in(data: bytes, block: Superblock, indexed: bool) -> Names:
    """The names of one directory block (or of one stretch of inline data) in the order in which they stand.

    ``indexed``: the directory has a hash tree, whose inner nodes look like empty blocks. ``.`` and ``..`` are left out.
    """
    found: list[Name] = []
    typed = bool(block.incompat & INCOMPAT_FILETYPE)
    unpack = _RECORD.unpack_from
    huge = block.block_size == 65536
    end = len(data)
    at = 0
    while at + 8 <= end:
        inode, length, size, kind = unpack(data, at)
        if not typed:
            size |= kind << 8
            kind = 0
        if huge:  # a length that 16 bits cannot hold
            length = 65536 if length in (0, 65535) else (length & 65532) | (length & 3) << 16
        if length < 8 or length & 3 or at + length > end or 8 + size > length:
            found.extend(_slack(data, at, end, block, typed))
            return Names(found, end - at)
        need = 8 + size + 3 & ~3
        if inode:
            name = data[at + 8 : at + 8 + size]
            if name == b"." or name == b"..":
                if name == b".." and indexed and at == 12:
                    return Names(found, 0)  # what follows is the root of the hash tree
            else:
                found.append(Name(inode, name, kind, True))
            if length - need >= 12:
                found.extend(_slack(data, at + need, at + length, block, typed))
        elif indexed and at == 0 and not size and length == end:
            return Names(found, 0)  # an inner node of the hash tree
        elif not (length == 12 and kind == _TAIL_TYPE):
            if size and kind <= 7 and _could_be(data[at + 8 : at + 8 + size]):
                found.append(Name(0, data[at + 8 : at + 8 + size], kind, False))
                at_slack = at + need
            else:
                at_slack = at + 12
            if at + length - at_slack >= 12:
                found.extend(_slack(data, at_slack, at + length, block, typed))
        at += length
    return Names(found, 0)


def _slack(data: bytes, at: int, end: int, block: Superblock, typed: bool) -> list[Name]:
    """Deleted records between ``at`` and ``end``: every 4-byte place is tried, whole records are stepped over."""
    if not data[at:end].strip(b"\0"):
        return []
    found: list[Name] = []
    while at + 12 <= end:
        inode, length, size, kind = _RECORD.unpack_from(data, at)
        if not typed:
            size |= kind << 8
            kind = 0
        need = 8 + size + 3 & ~3
        if (
            inode <= block.inodes
            and 0 < size <= 255
            and length >= need
            and not length & 3
            and at + need <= end
            and at + length <= len(data)
            and kind <= 7
            and (kind or not typed)
        ):
            name = data[at + 8 : at + 8 + size]
            # with the inode wiped as well, less speaks for a record: the name must be printable
            if _could_be(name) and (inode or (kind and min(name) >= 0x20)):
                if name != b"." and name != b"..":
                    found.append(Name(inode, name, kind, False))
                at += need
                continue
        at += 4
    return found


def _could_be(name: bytes) -> bool:
    return b"/" not in name and b"\0" not in name
