# SPDX-License-Identifier: Apache-2.0
"""Extended attributes of ext and XFS as an inode's record holds them: ``trusted.overlay.opaque`` and its like.

Layouts: https://docs.kernel.org/filesystems/ext4/attributes.html (in the inode behind its extra fields, and in one block of
its own), and for XFS the short form in the inode's attribute fork (https://git.kernel.org/pub/scm/fs/xfs/xfs-documentation.git,
"Extended Attributes"). Attributes of XFS that fill blocks of their own, and values of ext that have inodes of their own,
are not read: :func:`attributes` says so.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

_EXT_MAGIC = 0xEA020000
_EXT_PREFIXES = {1: b"user.", 4: b"trusted.", 6: b"security.", 7: b"system."}
_XFS_LOCAL, _XFS_NONE = 1, 2
_XFS_ROOT, _XFS_SECURE = 2, 4
_MOST = 256  # attributes of one inode
_BLOCK_MOST = 64 << 10  # bytes

Read = Callable[[int, int], bytes]


@dataclass(slots=True)
class Attributes:
    """The attributes by their full names; ``whole`` is False where some of them were not read.

    ``device``: the number of a device as it stands in the record, read as one; None where that is not known.
    """

    values: dict[bytes, bytes] = field(default_factory=dict)
    whole: bool = True
    device: int | None = None


def attributes(kind: str, record: bytes, read: Read | None = None, block_size: int = 4096) -> Attributes:
    """What an inode's record says. ``kind`` is its tree's; ``read(offset, length)`` reads the volume, where that is wanted.

    Hostile records give what can be had of them and ``whole`` False; nothing raises.
    """
    found = Attributes()
    try:
        if kind.startswith("ext"):
            _of_ext(record, read, block_size, found)
        elif kind == "xfs":
            _of_xfs(record, found)
        else:
            found.whole = False
    except (struct.error, IndexError):
        found.whole = False
    return found


def _of_ext(record: bytes, read: Read | None, block_size: int, found: Attributes) -> None:
    old, new = struct.unpack_from("<II", record, 40)
    found.device = old or new
    if len(record) > 132:
        at = 128 + struct.unpack_from("<H", record, 128)[0]
        if at + 4 <= len(record) and struct.unpack_from("<I", record, at)[0] == _EXT_MAGIC:
            _ext_entries(record, at + 4, at + 4, found)
    low, high = struct.unpack_from("<I", record, 104)[0], struct.unpack_from("<H", record, 118)[0]
    block = low | high << 32
    if not block:
        return
    if read is None or not 1024 <= block_size <= _BLOCK_MOST:
        found.whole = False
        return
    data = read(block * block_size, block_size)
    if len(data) != block_size or struct.unpack_from("<I", data, 0)[0] != _EXT_MAGIC:
        found.whole = False
        return
    _ext_entries(data, 32, 0, found)


def _ext_entries(data: bytes, at: int, base: int, found: Attributes) -> None:
    for _ in range(_MOST):
        if at + 16 > len(data) or not any(data[at : at + 4]):
            return
        length, index, offset, inode, size = struct.unpack_from("<BBHII", data, at)
        name = _EXT_PREFIXES.get(index, b"%d." % index) + data[at + 16 : at + 16 + length]
        if inode or base + offset + size > len(data):
            found.whole = False
        else:
            found.values.setdefault(name, data[base + offset : base + offset + size])
        at += 16 + (length + 3 & ~3)
    found.whole = False


def _of_xfs(record: bytes, found: Attributes) -> None:
    core = 176 if record[4] == 3 else 100
    found.device = struct.unpack_from(">I", record, core)[0]
    fork, form = record[82], record[83]
    if not fork or (form == _XFS_NONE and not struct.unpack_from(">H", record, 80)[0]):
        return
    if form != _XFS_LOCAL:
        found.whole = False
        return
    at = core + fork * 8
    count = record[at + 2]
    at += 4
    for _ in range(count):
        name, value, flags = record[at], record[at + 1], record[at + 2]
        if at + 3 + name + value > len(record):
            found.whole = False
            return
        prefix = b"trusted." if flags & _XFS_ROOT else b"security." if flags & _XFS_SECURE else b"user."
        begin = at + 3 + name
        found.values.setdefault(prefix + record[at + 3 : begin], record[begin : begin + value])
        at = begin + value
