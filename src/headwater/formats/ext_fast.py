# SPDX-License-Identifier: Apache-2.0
"""The fast commits of ext4: what the area behind the journal says happened since its last whole transaction.

A fast commit is a list of small records (tag, length, value; little-endian) that ends in a TAIL with a checksum over
all since the TAIL before; each begins on a block of its own. The area counts only while its HEAD names the transaction
that would come next: every whole commit makes it void. Layout: https://docs.kernel.org/filesystems/ext4/journal.html
("Fast commits") and the kernel's fs/ext4/fast_commit.h; a commit whose TAIL does not fit ends the list, as there.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from headwater.formats.crc32c import crc32c
from headwater.model.ports import ByteSource

ADD_RANGE, DEL_RANGE, CREAT, LINK, UNLINK, INODE = 1, 2, 3, 4, 5, 6
_PAD, _TAIL, _HEAD = 7, 8, 9
_LEAST = {ADD_RANGE: 16, DEL_RANGE: 12, CREAT: 9, LINK: 9, UNLINK: 9, INODE: 4 + 128, _PAD: 0}
_TAG = struct.Struct("<HH")
_NAME_MOST = 255


class Change(NamedTuple):
    """One record of a fast commit; ``place``: where its value stands on the volume, in bytes."""

    tag: int
    value: bytes
    place: int


@dataclass(slots=True)
class FastCommits:
    """The changes of all whole fast commits, in order; ``fault``: why the list ends before the area's data does."""

    changes: list[Change] = field(default_factory=list)
    commits: int = 0
    fault: str = ""


def read_fast_commits(source: ByteSource, places: Sequence[int], block_size: int, expected: int) -> FastCommits:
    """The fast commits in an area whose blocks begin at ``places``; ``expected``: the transaction that they belong to."""
    found = FastCommits()
    pending: list[Change] = []
    checksum = 0
    for index, place in enumerate(places):
        block = source.pread(place, block_size).ljust(block_size, b"\0")
        at = 0
        while at + 4 <= block_size:
            tag, length = _TAG.unpack_from(block, at)
            value = block[at + 4 : at + 4 + length]
            if tag == _HEAD:
                if at or length < 8 or struct.unpack_from("<I", value, 4)[0] != expected:
                    return found  # of an earlier round: nothing since
                if struct.unpack_from("<I", value, 0)[0]:
                    found.fault = "fast commits with features that are not known"
                    return found
            elif not index and not at:
                return found
            elif tag == _TAIL and len(value) >= 8:
                tid, stated = struct.unpack_from("<II", value, 0)
                if tid != expected or crc32c(checksum, block[at : at + 8]) != stated:
                    if tid == expected:
                        found.fault = "a fast commit has a wrong checksum; what it and later ones say is left out"
                    return found
                found.changes.extend(pending)
                found.commits += 1
                pending, checksum = [], 0
                break  # the next commit begins on the next block
            elif tag not in _LEAST or len(value) < max(length, _LEAST[tag]):
                return found  # what an earlier round left, or nothing
            elif tag != _PAD:
                pending.append(Change(tag, value, place + at + 4))
            checksum = crc32c(checksum, block[at : at + 4 + length])
            at += 4 + length
    return found


def dentry(value: bytes) -> tuple[int, int, bytes]:
    """(inode of the folder, inode, name) of CREAT, LINK and UNLINK."""
    parent, number = struct.unpack_from("<II", value, 0)
    return int(parent), int(number), value[8 : 8 + _NAME_MOST]
