# SPDX-License-Identifier: Apache-2.0
"""Headers come out of all three forms of the database, and lying slots, chains and counts give no more than a reason."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from headwater.formats import rpm_header
from headwater.formats.rpm_database import NotRpmDatabase, blobs
from headwater.formats.sources import MemorySource

GOLDEN = Path(__file__).parents[1] / "golden" / "linux_rpm"


def _names(data: bytes) -> list[str | None]:
    return sorted(rpm_header.text(rpm_header.tags(b.data), rpm_header.NAME) or "" for b in blobs(MemorySource(data)))


def _ndb(headers: list[bytes]) -> bytes:
    """SOURCE: written here after rpm's lib/backend/ndb/rpmpkg.c: one page of slots, then blobs in blocks of 16 bytes."""
    slots, body = b"", b""
    block = 4096 // 16
    for number, header in enumerate(headers, 1):
        size = -(-(len(header) + 16 + 12) // 16)
        slots += struct.pack("<4sIII", b"Slot", number, block, size)
        body += (struct.pack("<4sIII", b"BlbS", number, 1, len(header)) + header).ljust(size * 16, b"\0")
        block += size
    return (struct.pack("<4sIII", b"RpmP", 0, 1, 1).ljust(32, b"\0") + slots).ljust(4096, b"\0") + body


def test_three_forms_say_the_same() -> None:
    expected = ["hello-headwater", "second-headwater"]
    assert _names((GOLDEN / "rpmdb.sqlite").read_bytes()) == expected
    assert _names((GOLDEN / "Packages").read_bytes()) == expected
    headers = [b.data for b in blobs(MemorySource((GOLDEN / "Packages").read_bytes()))]
    assert _names(_ndb(headers)) == expected


def test_a_file_of_none_of_the_forms_is_refused() -> None:
    for data in (b"", b"no database at all" * 10, bytes(5000)):
        with pytest.raises(NotRpmDatabase):
            list(blobs(MemorySource(data)))


@pytest.mark.parametrize("seed", range(40))
def test_a_bent_database_ends_and_stays_within_its_file(seed: int) -> None:
    chance = random.Random(seed)
    real = (GOLDEN / ("Packages", "rpmdb.sqlite")[seed % 2]).read_bytes()
    data = bytearray(_ndb([b.data for b in blobs(MemorySource(real))]) if seed % 3 == 0 else real)
    for _ in range(chance.randrange(1, 40)):
        data[chance.randrange(64, len(data))] = chance.randrange(256)
    try:
        for blob in blobs(MemorySource(bytes(data))):
            assert 0 <= blob.offset <= blob.offset + blob.length <= len(data)
            try:
                found = rpm_header.tags(blob.data)
                list(rpm_header.files(found))
            except rpm_header.BadHeader:
                pass
    except NotRpmDatabase:
        pass
