# SPDX-License-Identifier: Apache-2.0
"""Programs that ran, how often and when, as Windows keeps it to start them faster (windows.prefetch).

Reads:  /Windows/Prefetch/NAME-HASH.pf, compressed (MAM) ones too.
Time:   FILETIME of each of the last runs, up to 8 since Windows 8, one before; UTC, 100 ns; written some ten seconds later.
Format: https://github.com/libyal/libscca/blob/main/documentation/Windows%20Prefetch%20File%20(PF)%20format.asciidoc, 17 to 31.
Limits: servers keep none unless told to; a name is cut at 29 characters; the program's path is the first of its files that
        has this name; files are those of the first seconds of a run; a MAM file's own checksum is not tried.
"""

from __future__ import annotations

from collections.abc import Iterator

from headwater.examine.parsers._whole import whole
from headwater.formats import prefetch
from headwater.formats.registry_layout import nanoseconds
from headwater.model.kinds import EventKind, GapReason, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Value
from headwater.model.times import rfc3339

FEED = "windows.prefetch"
VERSION = 1
READS = ("/*.pf",)
_MOST = 1 << 24
_TEXT = 1 << 16  # characters of the names that an event carries


def recognise(head: bytes) -> bool:
    return head[4:8] == b"SCCA"


def parse(file: File) -> Iterator[Record]:
    read = whole(file, _MOST)
    data = read.data
    if data:
        try:
            plain = prefetch.plain(data)
            found = prefetch.read(plain)
        except ValueError as error:
            yield Gap(0, len(data), GapReason.NOT_THIS_FORMAT, str(error))
        else:
            end = len(data)
            if plain is data and _HEADER <= found.size < end:
                end = found.size
            yield from _events(found, end)
            if end < len(data):
                yield Gap(end, len(data) - end, GapReason.NOT_THIS_FORMAT, "bytes behind the file's stated end")
            elif len(plain) < found.size:
                yield Gap(end, 0, GapReason.TRUNCATED, f"{found.size} bytes are stated, {len(plain)} are there")
    yield from read.gaps


_HEADER = 84


def _events(found: prefetch.Prefetch, length: int) -> Iterator[Event]:
    """One event per run, the latest first, the first of them with the names; one without a time where none is kept."""
    said: dict[str, Value] = {
        "trace": "prefetch",
        "name": found.name,
        "runs": found.runs,
        "prefetch_hash": f"{found.hash:08X}",
        "prefetch_version": found.version,
    }
    names: dict[str, Value] = {"files": len(found.files), **_volumes(found.volumes)}
    names |= _listed("file_names", found.files)
    names |= _listed("folder_names", tuple(name for volume in found.volumes for name in volume.folders))
    wanted = found.name.upper()
    path = next((n for n in found.files if wanted and _fits(n.upper(), wanted)), None)
    for index, time in enumerate(found.times or (0,)):
        when = nanoseconds(time)
        fields = said | ({"run": index + 1} if found.times else {}) | (names if index == 0 else {})
        if time and when is None:
            fields["time_text"] = str(time)
        yield Event(
            0, length, EventKind.EXECUTION_TRACE, when, TimeBasis.NONE if when is None else TimeBasis.UTC, "run",
            process=found.name or None, file_path=path, fields=fields,
        )  # fmt: skip


def _fits(path: str, name: str) -> bool:
    last = path.rpartition("\\")[2]
    return last == name or (len(name) >= 29 and last.startswith(name))


def _listed(name: str, texts: tuple[str, ...]) -> dict[str, Value]:
    text = "\n".join(texts)
    if not text:
        return {}
    return {name: text[:_TEXT]} | ({f"{name}_cut": True} if len(text) > _TEXT else {})


def _volumes(volumes: tuple[prefetch.Volume, ...]) -> dict[str, Value]:
    """Each volume on a line of its own: device, serial number, when it was made."""
    lines = []
    for volume in volumes:
        when = rfc3339(nanoseconds(volume.created)) if volume.created else None
        lines.append(f"{volume.device} {volume.serial >> 16:04X}-{volume.serial & 0xFFFF:04X} {when or '-'}")
    return {"volumes": "\n".join(lines)} if lines else {}
