# SPDX-License-Identifier: Apache-2.0
"""Files that a user put into the recycle bin: what they were and when (windows.recycle).

Reads:  /$Recycle.Bin/SID/$I…, one per deleted file or folder; its content lies beside it under the same name with $R.
Time:   FILETIME of the deletion, UTC, 100 ns, by the host's own clock.
Format: https://github.com/libyal/dtformats/blob/main/documentation/Windows%20Recycle.Bin%20file%20formats.asciidoc, 1 and 2.
Limits: who deleted is the SID of the folder, not its name; files deleted past the bin leave nothing here; the size of a
        folder is that of all in it.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._whole import whole, wide
from headwater.formats.patterns import lazy_regex
from headwater.formats.registry_layout import nanoseconds
from headwater.model.kinds import EventKind, GapReason, TimeBasis
from headwater.model.paths import file_layer
from headwater.model.records import Event, File, Gap, Record, Value

FEED = "windows.recycle"
VERSION = 1
READS = ("/$Recycle.Bin/*/$I*", "/$RECYCLE.BIN/*/$I*", "/$Recycle.bin/*/$I*", "/$recycle.bin/*/$I*")
_MOST = 1 << 17
_FIXED = 520  # bytes of the path in version 1
_SID = lazy_regex(r"/(S-1-[0-9-]{1,180})/")


def recognise(head: bytes) -> bool:
    path = {1: 24, 2: 28}.get(int.from_bytes(head[:8], "little"))
    return path is not None and head[path + 1 : path + 6] == b"\0:\0\\\0"


def parse(file: File) -> Iterator[Record]:
    read = whole(file, _MOST)
    data = read.data
    version = int.from_bytes(data[:8], "little")
    start = {1: 24, 2: 28}.get(version, 0)
    if data and (not start or len(data) < start):
        detail = "a $I file cut in its header" if start else "no $I file of version 1 or 2"
        yield Gap(0, len(data), GapReason.TRUNCATED if start else GapReason.NOT_THIS_FORMAT, detail)
    elif data:
        size = _FIXED if version == 1 else 2 * int.from_bytes(data[24:28], "little")
        end = min(start + size, len(data))
        yield _event(data, start, end, file.path, version)
        if end < start + size and version == 2:
            yield Gap(end, 0, GapReason.TRUNCATED, f"a path of {size} bytes is stated, {end - start} are there")
        if end < len(data):
            yield Gap(end, len(data) - end, GapReason.NOT_THIS_FORMAT, "bytes behind the record")
    yield from read.gaps


def _event(data: bytes, start: int, end: int, path: str, version: int) -> Event:
    size, time = int.from_bytes(data[8:16], "little", signed=True), int.from_bytes(data[16:24], "little")
    when = nanoseconds(time)
    where = file_layer(path)
    sid = _SID.search(where)
    folder, _, name = where.rpartition("/")
    fields: dict[str, Value] = {"size": size if size >= 0 else None, "record_version": version}
    fields["sid"] = sid.group(1) if sid else None
    fields["kept_as"] = f"{folder}/$R{name[2:]}" if name.startswith("$I") else None
    fields["time_text"] = str(time) if when is None else None
    return Event(
        0, end, EventKind.FILE_DELETED, when, TimeBasis.NONE if when is None else TimeBasis.UTC, "recycled",
        file_path=wide(data[start:end]) or None, fields={k: v for k, v in fields.items() if v is not None},
    )  # fmt: skip
