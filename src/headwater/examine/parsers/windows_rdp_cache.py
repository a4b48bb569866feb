# SPDX-License-Identifier: Apache-2.0
"""Pictures of remote screens that the remote desktop client kept, by their number (windows.rdp_cache).

Reads:  /Users/U/AppData/Local/Microsoft/Terminal Server Client/Cache/Cache*.bin and bcache*.bmc.
Time:   none of its own; the file's times tell when pictures were added.
Format: https://www.cert.ssi.gouv.fr/actualite/CERTFR-2016-ACT-017/.
Limits: names no server and shows no pictures: it says that this user's client had screens of another host, and how many tiles are
        kept; compressed tiles are counted by their stated length.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from headwater.examine.parsers._text import name_of, user_of
from headwater.model.kinds import EventKind, GapReason, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Skip, Value

FEED = "windows.rdp_cache"
VERSION = 1
READS = ("/Terminal Server Client/Cache/*.bin", "/Terminal Server Client/Cache/*.bmc")
_MAGIC = b"RDP8bmp\0"
_SLOT = 64 * 64
_TILES_MOST = 1_000_000


def recognise(head: bytes) -> bool:
    return head.startswith(_MAGIC)


def parse(file: File) -> Iterator[Record]:
    new = name_of(file.path).lower().endswith(".bin") or file.pread(0, 8) == _MAGIC
    if file.size == 0:
        return
    start = 12 if new else 0
    try:
        if new and file.pread(0, 8) != _MAGIC:
            yield Gap(0, file.size, GapReason.NOT_THIS_FORMAT, "no cache of remote pictures")
            return
        tiles, end, sizes = _tiles(file, start, new)
    except OSError as error:
        yield Gap(0, file.size, GapReason.UNREADABLE, f"input/output error {error.errno}")
        return
    if start and tiles:
        yield Skip(0, start, "header")
    if tiles:
        said: dict[str, Value] = {
            "activity": "remote desktop client",
            "tiles": tiles,
            "sizes": sizes,
            "cache": name_of(file.path),
        }
        yield Event(
            start, end - start, EventKind.USER_ACTIVITY, None, TimeBasis.NONE, "state", user=user_of(file.path), fields=said
        )  # fmt: skip
    else:
        end = 0
    if end < file.size:
        reason = "the rest of the slots, or no tile" if tiles else "no tile"
        yield Gap(end, file.size - end, GapReason.NOT_THIS_FORMAT, reason)


def _tiles(file: File, at: int, new: bool) -> tuple[int, int, str]:
    """How many tiles follow each other, where the last one ends, and the most usual sizes."""
    header = 12 if new else 20
    count, sizes = 0, dict[str, int]()
    while count < _TILES_MOST:
        raw = file.pread(at, header)
        if len(raw) < header:
            break
        width, height = struct.unpack_from("<HH", raw, 8)
        stated, flags = (4 * width * height, 0) if new else struct.unpack_from("<II", raw, 12)
        slot = stated if new or flags & 8 else _SLOT * (stated // (width * height)) if width and height else 0
        if not (0 < width <= 64 and 0 < height <= 64) or not slot or at + header + stated > file.size:
            break
        sizes[f"{width}x{height}"] = sizes.get(f"{width}x{height}", 0) + 1
        count, at = count + 1, min(at + header + slot, file.size)
    usual = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:5]
    return count, at, ", ".join(f"{size}: {number}" for size, number in usual)
