# SPDX-License-Identifier: Apache-2.0
"""The header of a qcow2 image, its extensions and its table of snapshots.

Specification: https://www.qemu.org/docs/master/interop/qcow2.html. All numbers are big-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime

from headwater.formats.virtual_blocks import MEDIUM_MOST
from headwater.model.errors import AcquireError
from headwater.model.ports import ByteSource

DIRTY, CORRUPT, EXTERNAL, COMPRESSION, EXTENDED = 1, 2, 4, 8, 16
_KNOWN = DIRTY | CORRUPT | EXTERNAL | COMPRESSION | EXTENDED
_BACKING_FORMAT, _DATA_FILE = 0xE2792ACA, 0x44415441
_SNAPSHOTS = 65_536
_NAME = 1023
METHODS = {0: "deflate", 1: "zstd"}


@dataclass(frozen=True, slots=True)
class Header:
    """Sizes in bytes. ``encryption``: '' or its name; ``data_file``: None unless the data stand in another file."""

    version: int
    cluster_bits: int
    size: int
    encryption: str
    l1_offset: int
    l1_count: int
    snapshots_offset: int
    snapshots_count: int
    incompatible: int
    compression: str
    backing: str
    backing_format: str
    data_file: str | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state that the image keeps; ``size`` is the medium's at the time."""

    id: str
    name: str
    taken: str
    l1_offset: int
    l1_count: int
    size: int


def read_header(source: ByteSource, name: str) -> Header:
    """The header.

    Raises:
        AcquireError: HW2007 a version or a feature that no reader here knows; HW2042 values that cannot be.
    """
    head = source.pread(0, 112)
    if len(head) < 72:
        raise AcquireError("HW2042", name, what="the header is cut off")
    version, backing_at, backing_length, bits, size, crypt, l1_count, l1_offset = struct.unpack_from(
        ">IQIIQIIQ", head, 4
    )
    snapshots_count, snapshots_offset = struct.unpack_from(">IQ", head, 60)
    if version not in (2, 3):
        raise AcquireError("HW2007", name, what=f"QCOW version {version}")
    incompatible, length, method = 0, 72, 0
    if version == 3:
        if len(head) < 104:
            raise AcquireError("HW2042", name, what="the header is cut off")
        incompatible = int.from_bytes(head[72:80], "big")
        length = int.from_bytes(head[100:104], "big")
        if incompatible & ~_KNOWN:
            raise AcquireError("HW2007", name, what=f"qcow2 with unknown features {incompatible & ~_KNOWN:#x}")
        if incompatible & COMPRESSION and length > 104 and len(head) > 104:
            method = head[104]
    if not 9 <= bits <= 21 or (incompatible & EXTENDED and bits < 14):
        raise AcquireError("HW2042", name, what=f"clusters of 2^{bits} bytes")
    if size > MEDIUM_MOST or length < 72 or method not in METHODS or crypt > 2:
        raise AcquireError("HW2042", name, what="the header holds impossible values")
    if l1_offset % (1 << bits):
        raise AcquireError("HW2042", name, what="the L1 table is not aligned")
    backing = ""
    if backing_at and 0 < backing_length <= _NAME:
        backing = _text(source.pread(backing_at, backing_length))
    extensions = _extensions(source, length, backing_at or 1 << bits)
    return Header(
        version, bits, size, ("", "AES", "LUKS")[crypt], l1_offset, l1_count, snapshots_offset, snapshots_count,
        incompatible, METHODS[method], backing, _text(extensions.get(_BACKING_FORMAT, b"")),
        _text(extensions.get(_DATA_FILE, b"")) if incompatible & EXTERNAL else None,
    )  # fmt: skip


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("utf-8", "surrogateescape")


def _extensions(source: ByteSource, at: int, end: int) -> dict[int, bytes]:
    """Header extensions by type; a broken list ends where it breaks."""
    found: dict[int, bytes] = {}
    while at + 8 <= end and len(found) < 64:
        head = source.pread(at, 8)
        if len(head) < 8:
            break
        kind, length = struct.unpack(">II", head)
        if kind == 0 or at + 8 + length > end:
            break
        if kind in (_BACKING_FORMAT, _DATA_FILE):
            found[kind] = source.pread(at + 8, min(length, _NAME))
        at += 8 + (length + 7) // 8 * 8
    return found


def read_snapshots(source: ByteSource, header: Header) -> tuple[list[Snapshot], bool]:
    """The snapshots in the order of the table, and whether the whole table could be read."""
    found: list[Snapshot] = []
    at = header.snapshots_offset
    count = min(header.snapshots_count, _SNAPSHOTS)
    for _ in range(count):
        head = source.pread(at, 40)
        if len(head) < 40:
            return found, False
        l1_offset, l1_count, id_length, name_length, seconds, nanoseconds, _, _, extra = struct.unpack(
            ">QIHHIIQII", head
        )
        if extra > 1024:
            return found, False
        rest = source.pread(at + 40, extra + id_length + name_length)
        if len(rest) < extra + id_length + name_length:
            return found, False
        size = int.from_bytes(rest[8:16], "big") if extra >= 16 else header.size
        words = rest[extra:]
        taken = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{nanoseconds % 10**9:09d}Z"
        if size <= MEDIUM_MOST:
            found.append(Snapshot(_text(words[:id_length]), _text(words[id_length:]), taken, l1_offset, l1_count, size))
        at += (40 + len(rest) + 7) // 8 * 8
    return found, count == header.snapshots_count
