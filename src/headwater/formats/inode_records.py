# SPDX-License-Identifier: Apache-2.0
"""One inode or MFT record, decoded from its bytes alone: how a claim about a file is checked against them."""

from __future__ import annotations

from headwater.formats.ext_inode import Row, decode_inodes
from headwater.formats.ntfs import standard_times
from headwater.formats.xfs_inode import decode_chunk
from headwater.formats.xfs_log_items import core_to_disk


def decode_record(kind: str, record: bytes) -> dict[str, int | None]:
    """Times (modified, accessed, changed, created, deleted: ns since 1970) and mode, uid, gid, size of one record.

    Raises:
        ValueError: the bytes are no record of this kind, or the kind has no records that can be decoded alone.
    """
    if kind in ("ext2", "ext3", "ext4"):
        return _ext(record)
    if kind == "ntfs":
        return standard_times(record)
    if kind == "xfs":
        return _xfs(record)
    raise ValueError(f"{kind} has no record that can be decoded alone")


def _ext(record: bytes) -> dict[str, int | None]:
    size = len(record)
    if 128 < size < 256 and size == 128 + int.from_bytes(record[128:130], "little"):
        record, size = record.ljust(256, b"\0"), 256  # as a fast commit holds it, without the unused end
    if size < 128 or size & (size - 1):
        raise ValueError("an ext inode is a power of two of at least 128 bytes")
    rows, _ = decode_inodes(record, size, 0)
    if not rows:
        raise ValueError("the record was never used")
    row: Row = rows[0]
    names = ("modified", "accessed", "changed", "created", "deleted", "mode", "uid", "gid", "size")
    return {name: getattr(row, name) for name in names}


def _xfs(record: bytes) -> dict[str, int | None]:
    if len(record) == 176 and record[:2] == b"NI":  # as the log holds it, in the byte order of the machine
        record = core_to_disk(record, 0).ljust(256, b"\0")
    size = len(record)
    if size < 256 or size & (size - 1):
        raise ValueError("an XFS inode is a power of two of at least 256 bytes")
    rows = decode_chunk(record, size, 0)
    if not rows:
        raise ValueError("no XFS inode")
    names = ("modified", "accessed", "changed", "created", "mode", "uid", "gid", "size")
    return {name: getattr(rows[0], name) for name in names} | {"deleted": None}
