# SPDX-License-Identifier: Apache-2.0
"""The sections of an E01 image as bytes: the writing side of :mod:`headwater.formats.ewf_sections`.

Specification: Joachim Metz, "Expert Witness Compression Format (EWF)",
https://github.com/libyal/libewf/blob/main/documentation/Expert%20Witness%20Compression%20Format%20(EWF).asciidoc
Integers are little-endian; checksums are Adler-32. What is written is EnCase 6's form, which every reader knows.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from isal import isal_zlib

SIGNATURE = b"EVF\x09\x0d\x0a\xff\x00"
DESCRIPTOR = 76
TABLE_ENTRIES = 16_375
COMPRESSED = 0x8000_0000
_HEADER_KEYS = ("c", "n", "a", "e", "t", "av", "ov", "m", "u", "p")
_HEADER2_KEYS = ("a", "c", "n", "e", "t", "md", "sn", "av", "ov", "m", "u", "p", "dc")
# The case fields a person may state, by the names that the reader gives them back under.
FIELDS = {
    "case_number": "c", "evidence_number": "n", "description": "a", "examiner_name": "e", "notes": "t", "model": "md",
    "serial_number": "sn", "software_version": "av", "operating_system": "ov",
}  # fmt: skip


def checksum(data: bytes | memoryview) -> bytes:
    """The Adler-32 that stands behind every structure."""
    return struct.pack("<I", isal_zlib.adler32(data))


def descriptor(kind: str, at: int, size: int, following: int) -> bytes:
    """A section descriptor that stands at ``at``; ``size`` counts the descriptor, ``following`` is the next one's place."""
    head = struct.pack("<16sQQ40x", kind.encode("ascii"), following, size)
    return head + checksum(head)


def section(kind: str, at: int, body: bytes) -> bytes:
    """A section that stands at ``at`` in its segment file."""
    size = DESCRIPTOR + len(body)
    return descriptor(kind, at, size, at + size) + body


def closing(kind: str, at: int) -> bytes:
    """``next`` or ``done``: its offset points at itself."""
    return descriptor(kind, at, DESCRIPTOR, at)


def file_header(number: int) -> bytes:
    """The first 13 bytes of segment file ``number``, from 1."""
    return SIGNATURE + struct.pack("<BHH", 1, number & 0xFFFF, 0)


def _clean(value: str) -> str:
    """A value as the line format holds it: its tabs and line ends are what parts fields, so they become spaces."""
    return " ".join(value.replace("\t", " ").splitlines())


def header2(fields: Mapping[str, str], acquired: datetime) -> bytes:
    """The body of a ``header2`` section: UTF-16 text, so that every script survives."""
    moment = str(int(acquired.timestamp()))
    known = {FIELDS[k]: _clean(v) for k, v in fields.items() if k in FIELDS} | {"m": moment, "u": moment}
    lines = [
        "3", "main", "\t".join(_HEADER2_KEYS), "\t".join(known.get(k, "") for k in _HEADER2_KEYS), "",
        "srce", "0\t1", "p\tn\tid\tev\ttb\tlo\tpo\tah\tgu\taq", "0\t0", "\t\t\t\t\t-1\t-1\t\t\t", "",
        "sub", "0\t1", "p\tn\tid\tnu\tco\tgu", "0\t0", "\t\t\t\t1\t", "", "",
    ]  # fmt: skip
    return zlib.compress(b"\xff\xfe" + "\n".join(lines).encode("utf-16-le"), 9)


def header(fields: Mapping[str, str], acquired: datetime) -> bytes:
    """The body of the older ``header`` section; its code page is not stated, so what is not ASCII stands as UTF-8."""
    moment = acquired.astimezone(UTC).strftime("%Y %-m %-d %-H %-M %-S")
    known = {FIELDS[k]: _clean(v) for k, v in fields.items() if k in FIELDS} | {"m": moment, "u": moment, "p": "0"}
    lines = ["1", "main", "\t".join(_HEADER_KEYS), "\t".join(known.get(k, "") for k in _HEADER_KEYS), "", ""]
    return zlib.compress("\r\n".join(lines).encode("utf-8", "replace"), 9)


def volume(
    *, chunks: int, sectors_per_chunk: int, sector_size: int, sectors: int, set_id: bytes, level: int, physical: bool
) -> bytes:
    """The body of a ``volume`` or ``data`` section. ``level``: 0 none, 1 fast, 2 best. Media type 1: a fixed disk."""
    body = struct.pack(
        "<B3xIIIQIIIB3xI4xIB3xI4x16s",
        1, chunks, sectors_per_chunk, sector_size, sectors, 0, 0, 0, 3 if physical else 1, 0, 0, level, 1, set_id,
    )  # fmt: skip
    body = body.ljust(1048, b"\0")
    return body + checksum(body)


def table(entries: array[int], base: int) -> bytes:
    """The body of a ``table`` or ``table2`` section: 31-bit offsets from ``base``, the top bit where compressed."""
    head = struct.pack("<I4xQ4x", len(entries), base)
    packed = entries.tobytes()  # little-endian machines only: checked when the writer is made
    return head + checksum(head) + packed + checksum(packed)


def table_size(entries: int) -> int:
    """The size of both copies of a table together, in bytes, their descriptors counted."""
    return 2 * (DESCRIPTOR + 24 + 4 * entries + 4)


def errors(ranges: Iterable[tuple[int, int]]) -> bytes:
    """The body of an ``error2`` section from (first sector, count). Only what fits 32 bits can stand there."""
    packed = b"".join(struct.pack("<II", first, count) for first, count in ranges)
    head = struct.pack("<I", len(packed) // 8).ljust(516, b"\0")
    return head + checksum(head) + packed + checksum(packed)


def fits_errors(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges of sectors that ``error2`` can state; those beyond 2³² sectors stand in the sidecar alone."""
    return [(first, count) for first, count in ranges if first + count <= 0xFFFF_FFFF]


def digest(md5: str, sha1: str) -> bytes:
    """The body of a ``digest`` section; a digest that was not made is zeros, which readers take for absent."""
    body = bytes.fromhex(md5).ljust(16, b"\0") + bytes.fromhex(sha1).ljust(20, b"\0") + bytes(40)
    return body + checksum(body)


def md5_hash(md5: str) -> bytes:
    """The body of a ``hash`` section."""
    body = bytes.fromhex(md5) + bytes(16)
    return body + checksum(body)
