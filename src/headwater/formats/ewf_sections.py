# SPDX-License-Identifier: Apache-2.0
"""The sections of one E01 segment file: finding them, also past damage, and what the small ones say.

Specification: Joachim Metz, "Expert Witness Compression Format (EWF)",
https://github.com/libyal/libewf/blob/main/documentation/Expert%20Witness%20Compression%20Format%20(EWF).asciidoc
Integers are little-endian; checksums are Adler-32. A section descriptor has 76 bytes: type 16, offset of the next 8,
size 8, padding 40, checksum 4. In ``next`` and ``done`` the offset points at the section itself.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from isal import isal_zlib

from headwater.formats.patterns import lazy_regex
from headwater.model.kinds import GapReason
from headwater.model.ports import ByteSource
from headwater.model.records import Gap

SIGNATURE = b"EVF\x09\x0d\x0a\xff\x00"
HEADER_SIZE = 13
_DESCRIPTOR = 76
_SECTIONS = 400_000  # a 16 TB image in one file has about 100,000
_TEXT = 1 << 20
_MEDIUM = 1 << 48  # 256 TiB: a size beyond it is not believed
_ERRORS = 100_000
_SCAN = 1 << 20
_TYPES = lazy_regex(
    rb"(?:header2|header|xheader|volume|disk|data|sectors|table2|table|session|error2|digest|hash|xhash|next|done)\0+"
)
DAMAGED = "?"  # the type of what stands between a broken descriptor and the next sound one

# The one-letter fields of the header sections (specification, "Header values").
_FIELDS = {
    "c": "case_number",
    "n": "evidence_number",
    "a": "description",
    "e": "examiner_name",
    "t": "notes",
    "av": "software_version",
    "ov": "operating_system",
    "m": "acquired",
    "u": "system_date",
    "md": "model",
    "sn": "serial_number",
    "l": "device_label",
    "pid": "process_id",
}


class Section(NamedTuple):
    """A section: its type, where its descriptor stands, and where its body begins and ends in the segment file."""

    type: str
    offset: int
    body: int
    end: int


@dataclass(frozen=True, slots=True)
class Geometry:
    """What the volume section says of the medium; ``set_id`` is all zeros where the format has none."""

    chunks: int
    sectors_per_chunk: int
    sector_size: int
    sectors: int
    set_id: bytes = bytes(16)
    sound: bool = True  # its checksum fits

    @property
    def chunk_size(self) -> int:
        return self.sectors_per_chunk * self.sector_size

    @property
    def size(self) -> int:
        return self.sectors * self.sector_size


def segment_number(source: ByteSource) -> int | None:
    """The number that a segment file states, from 1; None if it is no segment file."""
    head = source.pread(0, HEADER_SIZE)
    if len(head) < HEADER_SIZE or not head.startswith(SIGNATURE):
        return None
    return int.from_bytes(head[9:11], "little")


def _descriptor(data: bytes) -> tuple[str, int] | None:
    """Type and offset of the next section, if the descriptor's checksum fits."""
    if len(data) < _DESCRIPTOR or isal_zlib.adler32(data[:72]) != int.from_bytes(data[72:76], "little"):
        return None
    name = data[:16].rstrip(b"\0")
    if not name.isalnum():
        return None
    return name.decode("ascii"), int.from_bytes(data[16:24], "little")


def walk(source: ByteSource, warnings: list[Gap]) -> Iterator[Section]:
    """The sections of a segment file in order; the last is ``next`` or ``done`` unless the file is cut or damaged.

    A broken descriptor is passed by searching for the next sound one; what lies between is one section of type
    :data:`DAMAGED`. Offsets only ever grow, so no chain can loop.
    """
    at = HEADER_SIZE
    for _ in range(_SECTIONS):
        found = _descriptor(source.pread(at, _DESCRIPTOR))
        if found is None:
            # its own word for the next section, if there is one there, keeps the search out of the chunk data
            stated = int.from_bytes(source.pread(at + 16, 8), "little")
            after = stated if _leads_on(source, at, stated) else _next_sound(source, at + 1)
            if at >= source.size or (after is None and source.size - at < _DESCRIPTOR):
                warnings.append(
                    Gap(at, source.size - at, GapReason.TRUNCATED, "the segment ends without its last section")
                )
                return
            end = source.size if after is None else after
            warnings.append(Gap(at, end - at, GapReason.UNREADABLE, "a section descriptor is broken"))
            yield Section(DAMAGED, at, at, end)
            at = end
            continue
        name, following = found
        body = at + _DESCRIPTOR
        if name in ("next", "done"):
            yield Section(name, at, body, body)
            return
        if following < body:
            warnings.append(Gap(at, _DESCRIPTOR, GapReason.UNREADABLE, f"section {name} points backwards"))
            following = _next_sound(source, body) or source.size
        if following > source.size:
            detail = f"section {name} reaches beyond the end of the segment"
            warnings.append(Gap(source.size, following - source.size, GapReason.TRUNCATED, detail))
        yield Section(name, at, body, min(following, source.size))
        if following >= source.size:
            if following == source.size:
                detail = "the segment ends without its last section"
                warnings.append(Gap(source.size, 0, GapReason.TRUNCATED, detail))
            return
        at = following
    warnings.append(Gap(at, source.size - at, GapReason.LIMIT, f"more than {_SECTIONS} sections"))


def _leads_on(source: ByteSource, here: int, following: int) -> bool:
    return following > here and _descriptor(source.pread(following, _DESCRIPTOR)) is not None


def _next_sound(source: ByteSource, start: int) -> int | None:
    """Where, from ``start`` on, the next descriptor with a fitting checksum stands.

    It must lead on to another one, or to itself: evidence may hold E01 files, whose descriptors are sound but whose
    offsets count from another beginning.
    """
    at = start
    while at < source.size:
        block = source.pread(at, _SCAN + _DESCRIPTOR)
        for match in _TYPES.finditer(block):
            if match.start() >= _SCAN:
                break
            found = _descriptor(block[match.start() : match.start() + _DESCRIPTOR])
            here = at + match.start()
            if found and (found[1] == here if found[0] in ("next", "done") else _leads_on(source, here, found[1])):
                return here
        at += _SCAN
    return None


def geometry_of(source: ByteSource, section: Section) -> Geometry | None:
    """A volume, disk or data section; None where its values cannot be: the caller looks at the other copies."""
    data = source.pread(section.body, min(section.end - section.body, 1052))
    if len(data) >= 1052:
        chunks, per_chunk, sector = struct.unpack_from("<III", data, 4)
        sectors = int.from_bytes(data[16:24], "little")
        set_id, stated, covered = data[64:80], data[1048:1052], data[:1048]
    elif len(data) >= 94:  # EWF-S01 (SMART), also written by EnCase 1
        chunks, per_chunk, sector, sectors = struct.unpack_from("<IIII", data, 4)
        set_id, stated, covered = bytes(16), data[90:94], data[:90]
    else:
        return None
    if not 0 < per_chunk * sector <= 64 << 20 or sectors * sector > _MEDIUM:
        return None
    sound = isal_zlib.adler32(covered) == int.from_bytes(stated, "little")
    return Geometry(chunks, per_chunk, sector, sectors, set_id, sound)


def header_notes(source: ByteSource, section: Section) -> dict[str, str]:
    """The fields of a header or header2 section by name, empty ones left out; {} if it cannot be read."""
    packed = source.pread(section.body, min(section.end - section.body, _TEXT))
    try:
        data = zlib.decompressobj().decompress(packed, _TEXT)
    except zlib.error:
        return {}
    if section.type == "header2":
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode("latin-1")  # the code page is not stated: bytes stay tellable
    lines = text.replace("\r", "").split("\n")
    for index, line in enumerate(lines[:-2]):
        if line == "main":
            pairs = zip(lines[index + 1].split("\t"), lines[index + 2].split("\t"))
            return {_FIELDS[key]: value for key, value in pairs if key in _FIELDS and value}
    return {}


def stated_digests(source: ByteSource, section: Section) -> dict[str, str] | None:
    """The digests of a hash or digest section in hex; None if its checksum does not fit. All zeros: not stated."""
    length = 80 if section.type == "digest" else 36
    data = source.pread(section.body, min(length, section.end - section.body))
    if len(data) < length or isal_zlib.adler32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        return None
    found = {"md5": data[:16]}
    if section.type == "digest":
        found["sha1"] = data[16:36]
    return {name: value.hex() for name, value in found.items() if any(value)}


def acquisition_errors(source: ByteSource, section: Section) -> list[tuple[int, int]] | None:
    """The (first sector, count) that could not be read at acquisition; None if the checksum does not fit."""
    head = source.pread(section.body, 520)
    if len(head) < 520 or isal_zlib.adler32(head[:516]) != int.from_bytes(head[516:520], "little"):
        return None
    count = int.from_bytes(head[:4], "little")
    if count > min(_ERRORS, (section.end - section.body - 520) // 8):
        return None
    data = source.pread(section.body + 520, count * 8 + 4)
    if len(data) < count * 8 + 4 or isal_zlib.adler32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        return None
    return list(struct.iter_unpack("<II", data[:-4]))
