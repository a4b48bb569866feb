# SPDX-License-Identifier: Apache-2.0
"""Lists of shell items (PIDLs), as shortcuts, jump lists and the registry keep them, as a path and the times of its last item.

An item is a size of two bytes and so many bytes with them; a size of zero ends a list. Times are FAT dates and times, in UTC as
Explorer writes them, to two seconds. What an item is not known to be is shown in angle brackets, never left out.
https://github.com/libyal/libfwsi/blob/main/documentation/Windows%20Shell%20Item%20format.asciidoc
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_MOST = 256  # items of one list
_TEXT_MOST = 1024
_LONG_NAME_AT = {3: 20, 7: 38, 8: 42, 9: 46}
_FOLDERS = {
    "20d04fe0-3aea-1069-a2d8-08002b30309d": "My Computer", "450d8fba-ad25-11d0-98a8-0800361b1103": "My Documents",
    "208d2c60-3aea-1069-a2d7-08002b30309d": "Network", "f02c1a0d-be21-4350-88b0-7367fc96ef3c": "Network",
    "645ff040-5081-101b-9f08-00aa002f954e": "Recycle Bin", "59031a47-3f72-44a7-89c5-5595fe6b30ee": "User folder",
    "031e4825-7b94-4dc3-b131-e946b44c8dd5": "Libraries", "679f85cb-0220-4080-b29b-5540cc05aab6": "Quick access",
    "871c5380-42a0-1069-a2ea-08002b30309d": "Internet Explorer", "21ec2020-3aea-1069-a2dd-08002b30309d": "Control Panel",
    "26ee0668-a00a-44d7-9371-beb064c98683": "Control Panel", "b4bfcc3a-db2c-424c-b029-7fe99a87c641": "Desktop",
    "088e3905-0323-4b02-9826-5d99428e115f": "Downloads", "374de290-123f-4565-9164-39c4925e467b": "Downloads",
    "d3162b92-9365-467a-956b-92703aca08af": "Documents", "fdd39ad0-238f-46af-adb4-6c85480369c7": "Documents",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Item:
    """``times``: modified, created, accessed as nanoseconds since 1970, None where the item has none."""

    name: str
    sort: str  # "root", "volume", "file", "folder", "network", "uri", "other"
    modified: int | None = None
    created: int | None = None
    accessed: int | None = None
    size: int | None = None


def items(data: bytes) -> Iterator[Item]:
    """The items of a list in order, until its end or the first size that cannot be."""
    at = 0
    for _ in range(_MOST):
        size = int.from_bytes(data[at : at + 2], "little")
        if size < 3 or at + size > len(data):
            return
        yield item(data[at : at + size])
        at += size


def path_of(found: list[Item]) -> str:
    """The items as one path; a volume ends in its own backslash."""
    path = ""
    for one in found:
        if one.sort == "root" and len(found) > 1 and found[1].sort == "volume":
            continue  # My Computer before a drive says nothing more
        whole = one.sort == "volume" or (one.sort == "network" and one.name.startswith("\\\\"))
        path = one.name if not path or whole else f"{path.removesuffix(chr(92))}{chr(92)}{one.name}"
    return path[: 4 * _TEXT_MOST]


def item(data: bytes) -> Item:
    """One item with its size before it."""
    kind = data[2] if len(data) > 2 else 0
    if kind == 0x1F:
        return Item(_guid(data[4:20]), "root")
    if kind & 0x70 == 0x20 and len(data) > 4:
        text = _ansi(data[3:]) if kind & 1 else _guid(data[4:20])
        return Item(text, "volume" if kind & 1 else "root")
    if kind & 0x70 == 0x30 and len(data) >= 14:
        return _file(data, kind)
    if kind & 0x70 == 0x40 and len(data) > 6:
        return Item(_ansi(data[5:]), "network")
    if kind == 0x61:
        return Item(_uri(data), "uri")
    if kind == 0x2E:
        return Item(_guid(data[4:20]), "root")
    block = _block(data)
    if block is not None and block[0]:
        return Item(block[0], "other")
    return Item(f"<item 0x{kind:02x}>", "other")


def _file(data: bytes, kind: int) -> Item:
    size, day = struct.unpack_from("<II", data, 4)
    short = _wide(data[14:]) if kind & 4 else _ansi(data[14:])
    block = _block(data)
    name, created, accessed = block if block is not None else ("", None, None)
    sort = "folder" if kind & 1 else "file"
    return Item(
        name or short, sort, fat_time(day & 0xFFFF, day >> 16), created, accessed, size if sort == "file" else None
    )


def _block(data: bytes) -> tuple[str, int | None, int | None] | None:
    """The extension block of a file entry: its long name, when it was created and read."""
    at = data.find(b"\x04\x00\xef\xbe")
    if at < 4 or at + 12 > len(data):
        return None
    size, version = struct.unpack_from("<HH", data, at - 4)
    place = _LONG_NAME_AT.get(version)
    created, accessed = struct.unpack_from("<II", data, at + 4)
    times = fat_time(created & 0xFFFF, created >> 16), fat_time(accessed & 0xFFFF, accessed >> 16)
    if place is None or at - 4 + size > len(data):
        return "", *times
    return _wide(data[at - 4 + place : at - 4 + size]), *times


def fat_time(day: int, clock: int) -> int | None:
    """A FAT date and time as nanoseconds since 1970; None where it is none."""
    year, month, date = 1980 + (day >> 9), day >> 5 & 15, day & 31
    hour, minute, second = clock >> 11, clock >> 5 & 63, (clock & 31) * 2
    if (
        not day
        or not 1 <= month <= 12
        or not 1 <= date <= _days(year, month)
        or hour > 23
        or minute > 59
        or second > 59
    ):
        return None
    past = year - 1
    days = (
        past * 365
        + past // 4
        - past // 100
        + past // 400
        + sum(_days(year, m) for m in range(1, month))
        + date
        - 719_163
    )
    return (days * 86_400 + hour * 3600 + minute * 60 + second) * 1_000_000_000


def _days(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _uri(data: bytes) -> str:
    wide = len(data) > 3 and data[3] & 0x80
    text = _wide(data[8:]) if wide else _ansi(data[8:])
    return text or "<address>"


def _ansi(data: bytes) -> str:
    text = data[:_TEXT_MOST].partition(b"\0")[0]
    return text.decode("ascii", "backslashreplace")


def _wide(data: bytes) -> str:
    text = data[: 2 * _TEXT_MOST & ~1]
    return text[: len(text) & ~1].decode("utf-16-le", "backslashreplace").partition("\0")[0]


def _guid(raw: bytes) -> str:
    if len(raw) < 16:
        return "<root>"
    text = "-".join(p.hex() for p in (raw[3::-1], raw[5:3:-1], raw[7:5:-1], raw[8:10], raw[10:16]))
    return _FOLDERS.get(text, f"{{{text}}}")
