# SPDX-License-Identifier: Apache-2.0
"""Detections as Windows Defender's history keeps them, one file each: threat, file, hash, process, user (windows.defender_history).

Reads:  /ProgramData/Microsoft/Windows Defender/Scans/History/Service/DetectionHistory/*/GUID.
Time:   FILETIME of the detection's beginning as the tracking data state it, else of the first detection; UTC, 100 ns.
Format: https://github.com/libyal/dtformats/blob/main/documentation/Windows%20Defender%20scan%20DetectionHistory%20file%20format.asciidoc.
Limits: values have no names and are known by their order; of several files the first is the event's, the others stand in a field;
        files are deleted after some weeks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from headwater.examine.parsers._whole import whole, wide
from headwater.formats.registry_layout import nanoseconds
from headwater.model.kinds import EventKind, GapReason, TimeBasis
from headwater.model.records import Event, File, Gap, Record, Value

FEED = "windows.defender_history"
VERSION = 1
READS = ("/DetectionHistory/*/*",)
_MOST = 1 << 22
_MAGIC = "Magic.Version:1.2"
_VALUES_MOST = 10_000
_OWN = {"ThreatTrackingSha256": "", "ThreatTrackingMD5": "md5", "ThreatTrackingSha1": "sha1", "ThreatTrackingSize": "size",
        "ThreatTrackingScanSource": "scan_source", "ThreatTrackingScanType": "scan_type", "ThreatTrackingThreatName": "tracked_threat",
        "ThreatTrackingId": "tracking_id"}  # fmt: skip


def recognise(head: bytes) -> bool:
    return head[0x30 : 0x30 + 2 * len(_MAGIC)] == _MAGIC.encode("utf-16-le")


@dataclass(slots=True)
class _Told:
    """What the values say so far: ``part`` counts the marks, ``index`` the values since the last one."""

    part: int = 0
    index: int = 0
    kind: str | None = None
    resources: list[tuple[str, str]] = field(default_factory=list)
    said: dict[str, Value] = field(default_factory=dict)
    tracked: dict[str, str | int] = field(default_factory=dict)
    first: int | None = None

    def take(self, tag: int, data: bytes) -> None:
        value: str | int = wide(data) if tag == 0x15 else int.from_bytes(data[:8], "little")
        if value == _MAGIC:
            self.part, self.index = min(self.part + 1, 2), 0
        place = (self.part, self.index)
        if place == (0, 0) and tag == 8:
            self.said["threat_id"] = int(value) & 0xFFFFFFFF
        elif place == (1, 1) and isinstance(value, str):
            self.said["threat"] = value
        elif place == (2, 1) and isinstance(value, str):
            self.kind = value
        elif place == (2, 2) and isinstance(value, str) and self.kind is not None:
            self.resources.append((self.kind, value))
        elif place == (2, 5) and tag == 0x28:
            self.tracked.update(_tracked(data))
        elif place == (2, 12) and isinstance(value, str):
            self.said["user"] = value
        elif place == (2, 14) and isinstance(value, str):
            self.said["process"] = value
        elif place == (2, 18) and tag == 0x0A:
            self.first = int(value)
        self.index += 1


def parse(file: File) -> Iterator[Record]:
    read = whole(file, _MOST)
    data, at, told = read.data, 0, _Told()
    for _ in range(_VALUES_MOST):
        if at + 8 > len(data):
            break
        size, tag = struct.unpack_from("<II", data, at)
        if at + 8 + size > len(data) or tag > 0xFF:
            break
        told.take(tag, data[at + 8 : at + 8 + size])
        at = min((at + 8 + size + 7) & ~7, len(data))
    if at and told.part:
        yield _event(told, at)
    else:
        at = 0
    if at < len(data):
        yield Gap(
            at, len(data) - at, GapReason.NOT_THIS_FORMAT, "no value of a detection" if at else "no detection history"
        )
    yield from read.gaps


def _tracked(data: bytes) -> Iterator[tuple[str, str | int]]:
    """Key and value of the tracking data; ends where one does not fit."""
    if len(data) < 20:
        return
    first, header, _, total = struct.unpack_from("<IIII", data)
    at, end = (header + 4, total) if first == 1 else (4, first)
    end = min(end, len(data))
    for _ in range(_VALUES_MOST):
        if at + 4 > end:
            return
        size = struct.unpack_from("<I", data, at)[0]
        key = wide(data[at + 4 : at + 4 + size])
        at += 4 + size
        if at + 4 > end:
            return
        tag = struct.unpack_from("<I", data, at)[0]
        at += 4
        long = {3: 4, 4: 8, 5: 1, 7: 5}.get(tag)
        if tag == 6 and at + 4 <= end:
            long = struct.unpack_from("<I", data, at)[0]
            at += 4
        if long is None or at + long > end:
            return
        raw = data[at : at + long]
        yield key, wide(raw) if tag == 6 else int.from_bytes(raw, "little")
        at += long


def _event(told: _Told, length: int) -> Event:
    started = told.tracked.get("ThreatTrackingStartTime")
    time = started if isinstance(started, int) else told.first
    when = nanoseconds(time) if time is not None else None
    files = [path for kind, path in told.resources if kind == "file"] or [path for _, path in told.resources]
    digest = told.tracked.get("ThreatTrackingSha256")
    said: dict[str, Value] = {name: told.tracked[key] for key, name in _OWN.items() if name and key in told.tracked}
    said = {k: v if isinstance(v, str) or (isinstance(v, int) and v < 1 << 63) else None for k, v in said.items()}
    said |= {k: v for k, v in told.said.items() if k not in ("user", "process")}
    said["resources"] = "\n".join(f"{kind}:{path}" for kind, path in told.resources)[:65_536] or None
    said["time_text"] = str(time) if time is not None and when is None else None
    user, process = told.said.get("user"), told.said.get("process")
    return Event(
        0, length, EventKind.MALWARE_DETECTED, when, TimeBasis.NONE if when is None else TimeBasis.UTC, "detected",
        user=str(user) if user else None, process=str(process) if process else None, file_path=files[0] if files else None,
        hash=str(digest) if digest else None, provider="windows-defender", fields={k: v for k, v in said.items() if v is not None},
    )  # fmt: skip
