# SPDX-License-Identifier: Apache-2.0
"""Owners and access lists of the files of an NTFS volume, by security id (windows.sds).

Reads:  /$Secure:$SDS of a volume, and $SDS collected as a file.
Time:   none: a descriptor states no time.
Format: https://flatcap.github.io/linux-ntfs/ntfs/files/secure.html; descriptors by [MS-DTYP] 2.4.6, shown as SDDL.
Limits: a file's security id stands in windows.mft; ids are not used again, so descriptors of deleted files stay; files of
        ntfs-3g and of NTFS before 3.0 hold descriptors of their own, which are not here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from headwater.formats.security_descriptor import parse_descriptor
from headwater.model.kinds import EventKind, GapReason
from headwater.model.records import Event, File, Gap, Record, Skip

FEED = "windows.sds"
VERSION = 1
READS = ("/$Secure:$SDS", "/$SDS", "/$Secure*$SDS")
_BLOCK = 0x40000  # each block of descriptors is followed by a copy of itself
_HEAD = 20
_LARGEST = 0x10000 + _HEAD


def parse(file: File) -> Iterator[Record]:
    """The descriptors of each block in order; its copy is passed over where it is one."""
    for base in range(0, file.size, 2 * _BLOCK):
        block = file.pread(base, min(_BLOCK, file.size - base))
        yield from _block(block, base)
        at = base + _BLOCK
        copy = file.pread(at, min(_BLOCK, file.size - at)) if at < file.size else b""
        if copy and copy == block[: len(copy)]:
            yield Skip(at, len(copy), "copy of the block before")
        elif copy:
            yield from _block(copy, at)


def _block(block: bytes, base: int) -> Iterator[Record]:
    at = 0
    while at < len(block):
        identity, place, length = struct.unpack_from("<IQI", block, at + 4) if at + _HEAD <= len(block) else (0, 0, 0)
        fits = _HEAD < length <= _LARGEST and at + length <= len(block) and (base + at) - place in (0, _BLOCK)
        if not fits:
            after = _next(block, at, base)
            rest = block[at:after]
            if rest.strip(b"\0"):
                yield Gap(base + at, len(rest), GapReason.NOT_THIS_FORMAT, "no entry of $SDS")
            else:
                yield Skip(base + at, len(rest), "padding")
            at = after
            continue
        yield _event(block[at + _HEAD : at + length], base + at, length, identity)
        at += length


def _next(block: bytes, at: int, base: int) -> int:
    """Where the next entry begins: at a multiple of 16, and it names its own place."""
    at = (at | 15) + 1
    while at + _HEAD <= len(block):
        place, length = struct.unpack_from("<QI", block, at + 8)
        if length > _HEAD and (base + at) - place in (0, _BLOCK):
            return at
        at += 16
    return len(block)


def _event(raw: bytes, at: int, length: int, identity: int) -> Event | Gap:
    try:
        found = parse_descriptor(raw)
    except ValueError as error:
        return Gap(at, length, GapReason.NOT_THIS_FORMAT, str(error))
    fields = {
        "security_id": identity,
        "owner": found.owner,
        "group": found.group,
        "dacl": found.dacl,
        "sacl": found.sacl,
    }
    return Event(at, length, EventKind.STATE_SECURITY, t_kind="state", fields=fields)
