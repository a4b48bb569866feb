# SPDX-License-Identifier: Apache-2.0
"""NTFS structures read directly: the times of an MFT record, and whether the volume was cleanly dismounted.

The Sleuth Kit keeps whole seconds in 32 bits for some of these; a record holds 100 ns since 1601 in 64. Layout: MFT
record, $STANDARD_INFORMATION, $VOLUME_INFORMATION, $LogFile restart pages as documented by the Linux NTFS project,
https://flatcap.github.io/linux-ntfs/ntfs/.
"""

from __future__ import annotations

import struct

FILETIME_1970 = 116_444_736_000_000_000
_LAST = (1 << 63) // 100 - 1
_STANDARD_INFORMATION = 0x10
_END = 0xFFFFFFFF
_TIMES = struct.Struct("<qqqq")
_CLEAN = 0x2
_NO_CLIENT = 0xFFFF


def filetime_ns(value: int) -> int | None:
    """Nanoseconds since 1970 of a FILETIME; None for 0 (not recorded) and beyond int64 nanoseconds."""
    since = value - FILETIME_1970
    return since * 100 if value and -_LAST <= since <= _LAST else None


def fixed_up(record: bytes) -> bytes:
    """A multi-sector record with the update sequence put back; as it is where that does not fit.

    Raises:
        ValueError: a sector ends in another number than the update sequence's: the write was torn.
    """
    at, count = struct.unpack_from("<HH", record, 4)
    if count < 2 or at + 2 * count > len(record) or (count - 1) * 512 > len(record):
        return record
    result = bytearray(record)
    mark = record[at : at + 2]
    for sector in range(1, count):
        end = sector * 512
        if record[end - 2 : end] != mark:
            raise ValueError("a torn record: its update sequence does not fit")
        result[end - 2 : end] = record[at + 2 * sector : at + 2 * sector + 2]
    return bytes(result)


def standard_times(record: bytes) -> dict[str, int | None]:
    """modified, accessed, changed (of the MFT record), created from $STANDARD_INFORMATION: ns since 1970, UTC.

    Raises:
        ValueError: the bytes are no MFT record, or one without that attribute.
    """
    if len(record) < 48 or record[:4] not in (b"FILE", b"BAAD"):
        raise ValueError("no MFT record")
    record = fixed_up(record)
    at = int(struct.unpack_from("<H", record, 20)[0])
    while at + 24 <= len(record):
        kind, length = struct.unpack_from("<II", record, at)
        if kind == _END or length < 24 or at + length > len(record):
            break
        if kind == _STANDARD_INFORMATION and not record[at + 8]:
            start = at + int(struct.unpack_from("<H", record, at + 20)[0])
            if start + 32 > at + length:
                break
            created, modified, changed, accessed = (filetime_ns(t) for t in _TIMES.unpack_from(record, start))
            return {"modified": modified, "accessed": accessed, "changed": changed, "created": created}
        at += length
    raise ValueError("an MFT record without standard information")


def volume_dirty(information: bytes) -> bool:
    """The dirty flag of $VOLUME_INFORMATION (attribute 0x70 of $Volume)."""
    return len(information) >= 12 and bool(struct.unpack_from("<H", information, 10)[0] & 1)


def log_clean(log: bytes) -> bool | None:
    """Whether $LogFile says that the volume was cleanly dismounted; None where it holds no restart page to tell.

    ``log``: its beginning, 64 KiB are enough for both restart pages. A log of 0xFF bytes was reset, which is clean.
    """
    if not log.strip(b"\xff"):
        return True
    best: tuple[int, bool] | None = None
    page = 4096
    if log[:4] == b"RSTR" and len(log) >= 24:
        page = max(512, min(65536, struct.unpack_from("<I", log, 16)[0]))
    for at in (0, page):
        if log[at : at + 4] != b"RSTR" or at + 32 > len(log):
            continue
        area = at + int(struct.unpack_from("<H", log, at + 24)[0])
        if area + 16 > len(log):
            continue
        lsn, _, _, in_use, flags = struct.unpack_from("<QHHHH", log, area)
        if best is None or lsn > best[0]:
            best = (lsn, in_use == _NO_CLIENT or bool(flags & _CLEAN))
    return None if best is None else best[1]
