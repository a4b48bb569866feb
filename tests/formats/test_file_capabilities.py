# SPDX-License-Identifier: Apache-2.0
"""A capability that setcap(8) wrote is read from ext, XFS and tar, wherever its attributes lie; hostile ones raise nothing."""

from __future__ import annotations

import io
import random
import shutil
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from headwater.formats.attributes import Capable, attributes, capabilities_of
from headwater.formats.filesystems import open_filesystem
from headwater.formats.opened import open_readonly
from headwater.formats.sources import FileSource
from headwater.formats.tarred import TarTree
from headwater.formats.trees import Tree

SETUID = struct.pack("<IIIII", 0x02000001, 1 << 7, 0, 0, 0)  # as setcap cap_setuid=ep writes it


def test_values_read_as_getcap_writes_them() -> None:
    raw = struct.pack("<IIIII", 0x02000001, 1 << 7 | 1 << 13, 0, 0, 0)
    assert capabilities_of(SETUID) == "cap_setuid=ep"
    assert capabilities_of(raw) == "cap_setuid,cap_net_raw=ep"
    assert capabilities_of(struct.pack("<IIIII", 0x02000000, 1, 1, 0, 0)) == "cap_chown=ip"
    assert capabilities_of(struct.pack("<IIIII", 0x02000000, 1, 0, 1 << 7, 0)) == "cap_chown,cap_bpf=p"
    assert capabilities_of(struct.pack("<III", 0x01000001, 1 << 21, 0)) == "cap_sys_admin=ep"
    assert capabilities_of(struct.pack("<IIIIII", 0x03000001, 1, 0, 0, 0, 1000)) == "cap_chown=ep [rootid=1000]"
    assert [capabilities_of(v) for v in (b"", SETUID[:19], b"\xff" * 20)] == [None] * 3


def _told(tree: Tree) -> dict[str, str]:
    entries = list(tree.entries())
    return {entries[n].path: text for n, text in tree.capabilities(entries).items()}  # type: ignore[attr-defined]


@pytest.mark.skipif(shutil.which("debugfs") is None, reason="e2fsprogs is not installed")
@pytest.mark.parametrize("size", [128, 256])
def test_ext_keeps_them_in_the_inode_or_in_a_block(tmp_path: Path, size: int) -> None:
    folder, image = tmp_path / "root", tmp_path / "ext.img"
    folder.mkdir()
    for name in ("tool", "plain", "data"):
        (folder / name).write_bytes(b"x")
        (folder / name).chmod(0o644 if name == "data" else 0o755)
    (tmp_path / "value").write_bytes(SETUID)
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext4", "-I", str(size), "-d", folder, image, "512k"], check=True, capture_output=True
    )
    for name in ("tool", "data"):
        ask = f"ea_set -f {tmp_path / 'value'} /{name} security.capability"
        subprocess.run(["debugfs", "-w", "-R", ask, image], check=True, capture_output=True)
    tree = open_filesystem(FileSource(open_readonly(image)))
    assert tree is not None
    assert _told(tree) == {"/tool": "cap_setuid=ep"}  # what cannot be executed gains nothing


def test_tar_keeps_them_in_its_pax_headers(tmp_path: Path) -> None:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as archive:
        for name, value in (("bin/tool", SETUID), ("bin/odd", b"\x00\x01"), ("bin/plain", b"")):
            member = tarfile.TarInfo(name)
            member.mode = 0o755
            if value:
                member.pax_headers = {"SCHILY.xattr.security.capability": value.decode("utf-8", "surrogateescape")}
            archive.addfile(member)
    path = tmp_path / "a.tar"
    path.write_bytes(held.getvalue())
    tree = TarTree(FileSource(open_readonly(path)), "tar")
    assert _told(tree) == {"/bin/tool": "cap_setuid=ep"}


def _xfs(value: bytes, leaf: bool) -> tuple[bytes, bytes]:
    """A record of XFS and the block of its attributes."""
    record = bytearray(512)
    record[:2], record[4], record[82], record[83] = b"IN", 3, 20, 2 if leaf else 1
    name, at = b"capability", 176 + 160
    local = bytes([len(name), len(value), 4]) + name + value
    block = bytearray(4096)
    if leaf:
        struct.pack_into(">H", record, 80, 1)
        record[at : at + 16] = ((9 << 21) | 1).to_bytes(16, "big")
        block[8:10] = b"\x3b\xee"
        struct.pack_into(">H", block, 56, 1)
        struct.pack_into(">IHB", block, 80, 0, 4000, 4 | 1)
        block[4000 : 4003 + len(name) + len(value)] = struct.pack(">HB", len(value), len(name)) + name + value
    else:
        record[at : at + 4 + len(local)] = struct.pack(">HBB", 4 + len(local), 1, 0) + local
    return bytes(record), bytes(block)


@pytest.mark.parametrize("leaf", [False, True])
def test_xfs_keeps_them_in_the_inode_or_in_a_leaf(leaf: bool) -> None:
    record, block = _xfs(SETUID, leaf)
    asked: list[int] = []

    def read(number: int, length: int) -> bytes:
        asked.append(number)
        return block[:length]

    assert attributes("xfs", record, read).values == {b"security.capability": SETUID}
    assert asked == ([9] if leaf else [])
    noted = Capable()
    noted.look_xfs(bytes(512) + record, 512, 64)
    assert noted.numbers == {65}


def test_hostile_records_raise_nothing_and_read_few_blocks() -> None:
    rand = random.Random(7)
    for leaf in (False, True):
        for _ in range(400):
            record, block = (bytearray(part) for part in _xfs(SETUID, leaf))
            for part in (record, block):
                for _ in range(rand.randrange(1, 6)):
                    part[rand.randrange(len(part))] = rand.randrange(256)
            record[2:4] = b"\x81\xed"
            asked: list[int] = []

            def read(number: int, length: int, asked: list[int] = asked, held: bytes = bytes(block)) -> bytes:
                asked.append(number)
                return held[:length]

            attributes("xfs", bytes(record), read)
            assert len(asked) <= 16
