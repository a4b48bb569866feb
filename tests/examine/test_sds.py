# SPDX-License-Identifier: Apache-2.0
"""Security descriptors: who owns a file and who may do what, never guessed from broken bytes."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from headwater.examine.parsers import windows_sds
from headwater.formats.security_descriptor import parse_descriptor, sid_text
from headwater.model.records import Event, File, Gap, Skip

BLOCK = 0x40000
SYSTEM = b"\x01\x01\0\0\0\0\0\x05" + struct.pack("<I", 18)
EVERYONE = b"\x01\x01\0\0\0\0\0\x01" + struct.pack("<I", 0)
USER = b"\x01\x05\0\0\0\0\0\x05" + struct.pack("<5I", 21, 1, 2, 3, 1001)


def ace(kind: int, flags: int, mask: int, sid: bytes) -> bytes:
    return struct.pack("<BBHI", kind, flags, 8 + len(sid), mask) + sid


def acl(*aces: bytes) -> bytes:
    return struct.pack("<BBHHH", 2, 0, 8 + sum(map(len, aces)), len(aces), 0) + b"".join(aces)


def descriptor(owner: bytes, group: bytes, dacl: bytes | None, control: int = 0x8004) -> bytes:
    at = 20
    places = []
    for part in (owner, group, b"", dacl or b""):
        places.append(at if part else 0)
        at += len(part)
    return struct.pack("<BBHIIII", 1, 0, control, *places) + owner + group + (dacl or b"")


def entries(*held: bytes, base: int = 0) -> bytes:
    data = b""
    for n, raw in enumerate(held):
        data = data.ljust(len(data) + 15 & ~15, b"\0")
        data += struct.pack("<IIQI", 0x1234, 256 + n, base + len(data), 20 + len(raw)) + raw
    return data


def fixture() -> bytes:
    """Entries of each form: plain, open to everyone, inherited, broken SID, damage, a cut one."""
    good = entries(
        descriptor(SYSTEM, SYSTEM, acl(ace(0, 3, 0x1F01FF, SYSTEM), ace(0, 0x10, 0x1200A9, USER))),
        descriptor(USER, USER, None),
        descriptor(USER, SYSTEM, acl(ace(0, 0, 0x1F01FF, EVERYONE), ace(1, 0, 0x2, USER)), 0x9004),
        descriptor(b"\x02" + SYSTEM[1:], SYSTEM, acl()),
        descriptor(SYSTEM, SYSTEM, acl(ace(0, 0, 1, SYSTEM))[:12]),
    )
    return good.ljust(1024, b"\0") + b"\xff" * 64 + bytes(32)


def test_owner_and_rights_are_shown_as_they_stand() -> None:
    found = [r for r in windows_sds.parse(File.of(fixture())) if isinstance(r, Event)]
    assert [e.fields["owner"] for e in found] == ["S-1-5-18", "S-1-5-21-1-2-3-1001", "S-1-5-21-1-2-3-1001"]
    assert [e.fields["dacl"] for e in found] == [
        "D:(A;OICI;0x1f01ff;;;S-1-5-18)(A;ID;0x1200a9;;;S-1-5-21-1-2-3-1001)",
        "D:NO_ACCESS_CONTROL",
        "D:P(A;;0x1f01ff;;;S-1-1-0)(D;;0x2;;;S-1-5-21-1-2-3-1001)",
    ]


def test_copy_of_a_block_is_passed_over_and_a_differing_one_is_read() -> None:
    block = entries(descriptor(SYSTEM, SYSTEM, acl())).ljust(BLOCK, b"\0")
    same = list(windows_sds.parse(File.of(block + block[:200])))
    assert [type(r) for r in same] == [Event, Skip, Skip]
    other = entries(descriptor(USER, SYSTEM, acl()))
    differs = [r for r in windows_sds.parse(File.of(block + other)) if isinstance(r, Event)]
    assert [e.fields["owner"] for e in differs] == ["S-1-5-18", "S-1-5-21-1-2-3-1001"]


def test_broken_descriptors_are_gaps() -> None:
    gaps = [r for r in windows_sds.parse(File.of(fixture())) if isinstance(r, Gap)]
    assert len(gaps) == 3
    for raw in (b"", bytes(20), b"\x01\0\x04\x80" + b"\xff" * 16):
        with pytest.raises(ValueError, match="descriptor"):
            parse_descriptor(raw)
    assert sid_text(b"\x01\x0f" + bytes(20)) is None


def test_real_volume_has_an_owner_for_every_id() -> None:
    path = Path(__file__).parents[3] / "shared/data/plaso/test_data/vsstest.qcow2"
    if not path.exists():
        pytest.skip("plaso's test data are not here")
    from headwater.formats.media import open_medium
    from headwater.formats.ntfs_tree import NtfsTree
    from headwater.formats.opened import open_readonly

    tree = NtfsTree(open_medium([open_readonly(path)]))
    source = tree.open("9:$SDS")
    found = list(windows_sds.parse(File("/$SDS", source.size, source.pread)))
    assert sum(r.length for r in found if not hasattr(r, "declared")) == source.size
    known = {e.fields["security_id"] for e in found if isinstance(e, Event)}
    assert set(tree.table.security.tolist()) - {0} <= known
