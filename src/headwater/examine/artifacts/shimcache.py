# SPDX-License-Identifier: Apache-2.0
"""Programs that the compatibility cache has looked at (windows.shimcache).

Reads:  SYSTEM: Session Manager\\AppCompatCache (XP: AppCompatibility), of every control set that differs.
Time:   last modification of the program's file, FILETIME, UTC: not when it ran.
Format: https://github.com/libyal/winreg-kb/blob/main/docs/sources/system-keys/Application-compatibility-cache.md
Limits: written at shutdown only; that a program stands here means that it was there, and before Windows 10 a flag means that it ran.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from headwater.examine.artifacts._telling import control_sets, filetime, tell
from headwater.examine.hive_place import Place
from headwater.formats.registry_hive import Hive, Key, Value, text_of
from headwater.model.kinds import EventKind, GapReason
from headwater.model.records import Event, Gap

FEED = "windows.shimcache"
VERSION = 1
HIVES = ("system",)
_PLACES = (("AppCompatCache", "AppCompatCache"), ("AppCompatibility", "AppCompatCache"))
_DATA_MOST = 4 << 20
_RAN = 2
Found = tuple[int, int, str, int | None, bool | None]  # place and size in the data, path, time, whether it ran


def read(hive: Hive, place: Place) -> Iterator[Event | Gap]:
    """One event per entry, newest first as the cache has them."""
    seen: set[bytes] = set()
    for control, used in control_sets(hive):
        for folder, name in _PLACES:
            key = control.key(f"Control\\Session Manager\\{folder}")
            value = key.value(name) if key is not None else None
            if key is None or value is None:
                continue
            data = hive.value_data(value.row, _DATA_MOST)
            if data and data not in seen:
                seen.add(data)
                yield from _told(key, value, data, place, used)


def _told(key: Key, value: Value, data: bytes, place: Place, used: bool) -> Iterator[Event | Gap]:
    start, length = value.span
    whole = length == len(data)
    number = -1
    for number, (at, size, path, time, ran) in enumerate(entries(data)):
        span = (start + at, size) if whole else None
        yield tell(
            place, value, key, EventKind.EXECUTION_TRACE, time, t_kind="file-modified", file_path=path, trace="shimcache", position=number,
            ran=ran, in_use=used, span=span,
        )  # fmt: skip
    if number < 0 and len(data) > 128:
        yield Gap(start, length, GapReason.UNSUPPORTED, "a compatibility cache of a form that is not known")


def entries(data: bytes) -> Iterator[Found]:
    """The entries of a cache in any of its forms; what is cut off at its end is left out."""
    magic = int.from_bytes(data[:4], "little")
    if magic == 0xDEADBEEF:
        yield from _xp(data)
    elif magic in (0xBADC0FFE, 0xBADC0FEE):
        yield from _table(data, magic == 0xBADC0FEE)
    elif magic in (0x30, 0x34):
        yield from _signed(data, magic, False)
    elif data[128:132] in (b"00ts", b"10ts"):
        yield from _signed(data, 128, True)


def _xp(data: bytes) -> Iterator[Found]:
    for at in range(400, min(len(data) - 551, 400 + 96 * 552), 552):
        path = text_of(data[at : at + 528])
        if path:
            yield at, 552, path, filetime(data, at + 528), None


def _table(data: bytes, seven: bool) -> Iterator[Found]:
    """Windows 2003 to 7: a table of fixed entries that point to their paths; 64-bit ones have four bytes of zeros in them."""
    count, first = int.from_bytes(data[4:8], "little"), 128 if seven else 8
    wide = data[first + 4 : first + 8] == bytes(4)
    size = (48 if wide else 32) if seven else (32 if wide else 24)
    for number in range(min(count, (len(data) - first) // size)):
        at = first + number * size
        length = int.from_bytes(data[at : at + 2], "little")
        where = struct.unpack_from("<Q" if wide else "<I", data, at + (8 if wide else 4))[0]
        after = at + (16 if wide else 8)
        if where + length > len(data) or not length:
            continue
        ran = bool(struct.unpack_from("<I", data, after + 8)[0] & _RAN) if seven else None
        yield at, size, text_of(data[where : where + length]), filetime(data, after), ran


def _signed(data: bytes, at: int, flagged: bool) -> Iterator[Found]:
    """Windows 8 and later: entries with a signature and a size; Windows 8 ones have flags before the time."""
    while at + 14 <= len(data) and data[at : at + 4] in (b"00ts", b"10ts"):
        size = 12 + int.from_bytes(data[at + 8 : at + 12], "little")
        end = min(at + size, len(data))
        length = int.from_bytes(data[at + 12 : at + 14], "little")
        path, where, ran = text_of(data[at + 14 : min(at + 14 + length, end)]), at + 14 + length, None
        if flagged:
            if data[at : at + 4] == b"10ts":
                where += 2 + int.from_bytes(data[where : where + 2], "little")
            ran = bool(int.from_bytes(data[where : where + 4], "little") & _RAN)
            where += 8
        if where + 8 <= end:
            yield at, end - at, path, filetime(data, where), ran
        at += size
